import ChorusInference
import ChorusModels
import ChorusStorage
import ChorusTables
import Foundation

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
    _ members: [Member], column: String, isWide: Bool, to path: String
  ) throws {
    let header = Header(column: column, names: members.map(\.name), isWide: isWide)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let text = String(decoding: try encoder.encode(header), as: UTF8.self)
    var writer = SafetensorsWriter(metadata: ["format": format, "contexts": text])
    for (place, member) in members.enumerated() {
      let bytes = try member.posterior.encoded(card: member.card)
      try writer.add("context.\(place)", shape: [bytes.count], bytes: bytes)
    }
    try writer.write(to: path)
  }

  /// Reads the file at `path`; nil where it is one of another kind.
  ///
  /// - Throws: `StorageError` where it cannot be read or is not as it was written.
  package init?(path: String) throws {
    let content = try Safetensors(path: path)
    guard content.metadata["format"] == Self.format else { return nil }
    func malformed(_ detail: String) -> StorageError {
      StorageError(.malformed, file: path, "\(detail). Make it anew with chorus condition.")
    }
    guard case .verified = content.verification else {
      throw StorageError(
        .checksum, file: path,
        "carries no checksum, so it was not written as it is. Make it anew with chorus condition.")
    }
    guard let json = content.metadata["contexts"],
      let header = try? JSONDecoder().decode(Header.self, from: Data(json.utf8))
    else { throw malformed("the description of its series in the metadata cannot be read") }
    guard !header.names.isEmpty, Set(header.names).count == header.names.count,
      content.unused(after: header.names.indices.map { "context.\($0)" }).isEmpty
    else { throw malformed("its series and contexts contradict each other") }
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
    else { throw malformed("its series are of several models, or have several columns") }
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
