import ChorusFiles
import Foundation

/// Whole files, read once and written so that no reader ever sees a part.
public enum AtomicFile {
  /// The content of the file at `path`, read into memory.
  ///
  /// The file is read and not mapped: a mapped file that shrinks under its reader ends the process.
  ///
  /// - Throws: `StorageError`: `missing`, or `system` with the system's words.
  public static func read(_ path: String) throws(StorageError) -> Data {
    var folder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &folder) else {
      throw StorageError(.missing, file: path, "no such file. Check the path.")
    }
    guard !folder.boolValue else {
      throw StorageError(.system, file: path, "is a folder. Name a file in it.")
    }
    // Unlike Data(contentsOf:), a handle reads pipes and devices too.
    do { return try FileHandle(forReadingFrom: URL(fileURLWithPath: path)).readToEnd() ?? Data() } catch {
      throw StorageError(.system, file: path, "can not be read: \(error.localizedDescription)")
    }
  }

  /// Writes `data` at `path`, whole or not at all; see `OutputFile`.
  ///
  /// - Throws: `StorageError` (`system`) with the system's words.
  public static func write(_ data: Data, to path: String) throws(StorageError) {
    do throws(FileError) {
      let file = try OutputFile(path)
      try file.write(data)
      try file.commit()
    } catch {
      throw StorageError(.system, file: error.path, error.detail)
    }
  }
}
