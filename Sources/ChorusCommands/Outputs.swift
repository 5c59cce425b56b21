import ArgumentParser
import ChorusFiles
import ChorusModels
import ChorusTables
import Foundation

/// The files that a command reads and writes, looked at before any of them is touched.
struct Outputs {
  private let inputs: [(name: String, identity: FileIdentity)]
  private var outputs: [(option: String, path: String, identity: FileIdentity)] = []
  /// Of the outputs those that are no devices or pipes.
  private var places: [String] = []

  /// - Parameter inputs: paths by what the command line calls them.
  init(reading inputs: KeyValuePairs<String, String?>, model: String? = nil) {
    // A model may be named without a path.
    let all = inputs.map { ($0, $1) } + [("the model", model.flatMap { try? ModelLocation.resolve($0) })]
    self.inputs = all.compactMap { name, path in
      guard let path, !path.isEmpty else { return nil }
      let identity = path == "-" ? FileIdentity.standardInput : FileIdentity(path)
      return identity.map { (name, $0) }
    }
  }

  /// Adds a file to be written, and refuses one without a name, and one that would be lost or mixed up by it.
  mutating func add(_ option: String, _ path: String?) throws {
    guard let path else { return }
    guard !path.isEmpty else { throw ValidationError("\(option): the path is empty; name a file") }
    guard path != "-" else {
      throw ValidationError("\(option) needs a file; stdout carries something else, or nothing")
    }
    guard let identity = FileIdentity(path) else {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      // For the words that a folder is refused with.
      if isFolder.boolValue { places.append(path) }
      return
    }
    if let same = inputs.first(where: { $0.identity == identity }) {
      throw ValidationError(
        "\(option): '\(path)' is read as \(same.name), and would be lost by writing it; name another file")
    }
    if let same = outputs.first(where: { $0.identity == identity }) {
      throw ValidationError("\(option): '\(path)' is written by \(same.option) too; name another file")
    }
    guard identity != FileIdentity.standardOutput else {
      throw ValidationError("\(option): '\(path)' is where stdout goes; name another file")
    }
    outputs.append((option, path, identity))
    places.append(path)
  }

  /// As ``add(_:_:)``, for a table of rows.
  mutating func add(table option: String, _ path: String?) throws {
    try add(option, path)
    guard let path, TableFormat(path: path) == nil else { return }
    throw ValidationError("\(option): '\(path)' must end in .csv or .jsonl, which is what can be written")
  }

  /// As ``add(_:_:)``, for a model or a context.
  mutating func add(tensors option: String, _ path: String?) throws {
    try add(option, path)
    guard let path, !["", "safetensors"].contains(path.endingOfPath) else {
      return
    }
    throw ValidationError("\(option): '\(path)' must end in .safetensors, which is what is written")
  }

  /// Finds out before the work that nothing could be written after it.
  func checkPlaces() throws(FileError) {
    for path in places { _ = try OutputFile(path) }
  }

  static func check(folder path: String, _ option: String) throws {
    if path.isEmpty { throw ValidationError("\(option): the path is empty; name a folder") }
  }
}

extension TableFormat {
  /// The form of a file of rows by the end of its name; nil for the name of something else.
  init?(path: String) {
    switch path.endingOfPath {
    case "", "csv", "txt": self = .csv
    case "jsonl", "ndjson": self = .jsonl
    default: return nil
    }
  }
}
