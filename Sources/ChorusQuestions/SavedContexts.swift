import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusStorage
import ChorusTables

/// Series of one file that were encoded together, each kept as a context of its own, in one file.
package struct SavedContexts: Sendable {
  static let format = "chorus-contexts-1"

  /// What the file says of itself beside the contexts.
  private struct Header: Codable {
    /// The column that tells the series apart, of a file with a column for each what it is called.
    var column: String
    /// Of the series, in the order of their contexts.
    var names: [String]
    /// Whether the file that they were read from had a column for each.
    var isWide: Bool
  }

  /// A series with what is kept of it.
  package struct Member: Sendable {
    package let name: String
    package let posterior: Posterior
    package let card: [String: String]

    package init(name: String, posterior: Posterior, card: [String: String]) {
      (self.name, self.posterior, self.card) = (name, posterior, card)
    }
  }

  package let path: String
  package let column: String
  package let isWide: Bool
  package let names: [String]
  /// One a series.
  package let contexts: [SavedContext]

  /// Writes series, whole or not at all.
  package static func write(
    _ members: [Member], column: String, isWide: Bool, half: Bool, to path: String
  ) throws {
    let header = Header(column: column, names: members.map(\.name), isWide: isWide)
    var writer = SafetensorsWriter(metadata: ["format": format, "contexts": try JSON.encode(header)])
    for (place, member) in members.enumerated() {
      let bytes = try member.posterior.encoded(card: member.card, half: half)
      try writer.add("context.\(place)", shape: [bytes.count], bytes: bytes)
    }
    try writer.write(to: path)
  }

  /// What was read of a file; nil where it is one of another kind.
  ///
  /// - Throws: `StorageError` where it is not as it was written.
  init?(_ content: Safetensors) throws {
    guard
      let file = try KeptFile(
        content, formats: [Self.format], description: "contexts", of: "its series in the metadata")
    else { return nil }
    let (path, header) = (content.file, try file.header(Header.self))
    guard !header.names.isEmpty, Set(header.names).count == header.names.count,
      content.unused(after: header.names.indices.map { "context.\($0)" }).isEmpty
    else { throw file.malformed("its series and contexts contradict each other") }
    let contexts = try header.names.enumerated().map { place, name in
      let bytes = try content.bytes("context.\(place)")
      return try SavedContext(bytes: bytes, file: "\(path): '\(name)'")
    }
    let first = contexts[0]
    guard
      contexts.allSatisfy({
        $0.fingerprint == first.fingerprint && $0.outputColumn.name == first.outputColumn.name
          && $0.inputColumns.map(\.name) == first.inputColumns.map(\.name)
      })
    else { throw file.malformed("its series are of several models, or have several columns") }
    (self.path, column, isWide, names) = (path, header.column, header.isWide, header.names)
    self.contexts = contexts
  }

  /// The series as they are asked.
  package func kept(_ model: Model) throws -> [KeptSeries] {
    try zip(names, contexts).map { name, context in
      try KeptSeries(context.posterior(model), ContextCard(context), file: path, group: name)
    }
  }

  /// What tells the series apart.
  package var groups: Groups { Groups(names, column: column, source: path) }
}
