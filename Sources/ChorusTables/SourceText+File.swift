import Foundation

extension SourceText {
  /// Reads the file at `path`, or standard input where `path` is `-`.
  init(path: String) throws(TableError) {
    guard path != "-" else {
      let data: Data
      do { data = try FileHandle.standardInput.readToEnd() ?? Data() } catch {
        throw TableError(.system, "standard input", "can not be read: \(error.localizedDescription)")
      }
      try self.init([UInt8](data), name: "standard input")
      return
    }
    var folder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &folder) else {
      throw TableError(.missing, path, "no such file. Check the path.")
    }
    guard !folder.boolValue else { throw TableError(.system, path, "is a folder. Name a file in it.") }
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    if let size = (attributes?[.size] as? NSNumber)?.intValue, size >= Self.sizeLimit {
      throw Self.tooLarge(path)
    }
    let data: Data
    // Unlike Data(contentsOf:), a handle reads pipes too.
    do { data = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)).readToEnd() ?? Data() } catch {
      throw TableError(.system, path, "can not be read: \(error.localizedDescription)")
    }
    try self.init([UInt8](data), name: path)
  }
}
