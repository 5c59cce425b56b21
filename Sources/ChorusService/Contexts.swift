import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusStorage
import ChorusTables
import Foundation

/// What is known of a kept context without reading it.
package struct ContextDescription: Codable, Sendable, Equatable {
  package var id: String
  package var tenant: String
  /// What its maker calls it.
  package var name: String?
  package var model: String
  /// The network that is asked of a table's categories beside it; nil without, as in files of earlier versions.
  package var classes: String?
  /// Seconds since 1970.
  package var created: Double
  package var expires: Double?
  /// Counted up when rows are added or forgotten.
  package var version = 1
  package var rows: Int
  /// Rows that were sent so far, those included that lack a value or were forgotten; nil where their numbers were not kept.
  package var sent: Int?
  /// How its series are read; nil of a table, which has that itself, and in files of earlier versions.
  package var reading: SeriesReading?
  /// Whether it holds a table; nil, as in files of earlier versions, for series.
  package var isTable: Bool?
  package var inputs: [String]
  package var targets: [String]
  package var groupColumn: String?
  /// Of the series, in the order of the rows; nil where there is one.
  package var groups: [String]?
  /// Whether its rows came with a column for each series; nil where one column tells them apart.
  package var isWide: Bool?
  /// Of the encoded state in memory.
  package var bytes: Int
  package var notes: [String]

  var json: JSON {
    .members([
      "id": .string(id), "name": name.map(JSON.string), "model": .string(model),
      "classes": classes.map(JSON.string), "created": .string(Self.time(created)),
      "expires": expires.map { .string(Self.time($0)) },
      "kind": .string(isTable == true ? "table" : "series"), "version": .integer(version),
      "rows": .integer(rows), "sent": sent.map(JSON.integer), "inputs": .array(inputs.map(JSON.string)),
      "targets": .array(targets.map(JSON.string)), "group": groupColumn.map(JSON.string),
      "series": .integer(groups?.count ?? 1), "bytes": .integer(bytes),
      "notes": .array(notes.map(JSON.string)),
    ])
  }

  /// That of the rows after a change.
  var next: ContextDescription {
    var next = self
    next.version += 1
    return next
  }

  private static func time(_ seconds: Double) -> String {
    Date(timeIntervalSince1970: seconds.rounded()).formatted(.iso8601)
  }

  /// Ids are 128 random bits: who does not know one does not find it.
  static func newID() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(generator.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  static func isID(_ text: String) -> Bool {
    text.utf8.count == 32
      && text.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }
  }
}

/// A context in memory.
package struct LoadedContext: Sendable {
  enum Content: Sendable {
    /// The series of its rows, in each target by target, all encoded.
    case series([KeptSeries])
    case table(KeptTable)
  }

  package let description: ContextDescription
  let content: Content

  /// None of a table.
  var series: [KeptSeries] { if case .series(let series) = content { series } else { [] } }
  var table: KeptTable? { if case .table(let table) = content { table } else { nil } }

  /// What its groups are told apart by.
  var groups: Groups? {
    guard let column = description.groupColumn, let labels = description.groups else { return nil }
    return Groups(labels, column: column, source: "context")
  }

  /// Bytes of the encoded state, and of the rows beside it.
  static func bytes(_ series: [KeptSeries]) -> Int {
    series.reduce(0) { sum, one in
      sum + one.posterior.contextBytes + (one.sent?.bytes ?? 0) + one.observations.data.count
        * (one.observations.data.dimensions + 1)
        * 16
    }
  }
}

/// The folder that kept contexts are in: a folder for each, with a description and a saved context for each series and target.
///
/// A version of a context is whole when its description names it; files of another version are left over and removed.
struct ContextFolder: Sendable {
  let path: String

  private static let description = "context.json"
  private static let descriptionLimit = 64 << 20

  private func folder(_ id: String) -> String { "\(path)/\(id)" }

  private func file(_ description: ContextDescription, _ index: Int) -> String {
    "\(folder(description.id))/\(description.version)-\(index).safetensors"
  }

  private func rows(_ description: ContextDescription, _ index: Int) -> String {
    "\(folder(description.id))/\(description.version)-\(index)-rows.safetensors"
  }

  /// The rows as they were sent; nil in contexts of earlier versions.
  private func sent(_ description: ContextDescription, _ index: Int, dimensions: Int?) throws -> SentRows? {
    guard description.sent != nil else { return nil }
    return try SentRows(path: rows(description, index), dimensions: dimensions)
  }

  func write(_ context: LoadedContext) throws {
    let description = context.description
    try FileManager.default.createDirectory(
      atPath: folder(description.id), withIntermediateDirectories: true)
    switch context.content {
    case .series(let series):
      for (index, series) in series.enumerated() {
        try series.posterior.write(to: file(description, index), card: series.card.entries)
        try series.sent?.write(to: rows(description, index))
      }
    case .table(let table):
      try table.saved.write(to: file(description, 0))
      try table.sent?.write(to: rows(description, 0))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try encoder.encode(description).write(
      to: URL(fileURLWithPath: "\(folder(description.id))/\(Self.description)"), options: .atomic)
    removeOthers(description)
  }

  private func removeOthers(_ description: ContextDescription) {
    let prefix = "\(description.version)-"
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder(description.id))) ?? []
    where name.hasSuffix(".safetensors") && !name.hasPrefix(prefix) {
      try? FileManager.default.removeItem(atPath: "\(folder(description.id))/\(name)")
    }
  }

  func read(_ description: ContextDescription, _ model: Model) throws -> LoadedContext {
    if description.isTable == true {
      guard let saved = try SavedTable(path: file(description, 0)) else {
        throw StorageError(.malformed, file: file(description, 0), "is no table that was kept")
      }
      return LoadedContext(
        description: description,
        content: .table(
          try KeptTable(saved, model, sent: sent(description, 0, dimensions: nil))))
    }
    let count = (description.groups?.count ?? 1) * description.targets.count
    let series = try (0..<count).map { index in
      let saved = try SavedContext(path: file(description, index))
      return try KeptSeries(
        saved.posterior(model), ContextCard(saved), file: "context",
        group: description.groups?[index / description.targets.count],
        sent: sent(description, index, dimensions: description.inputs.count))
    }
    return LoadedContext(description: description, content: .series(series))
  }

  func remove(_ id: String) {
    // The description first: without it there is no context.
    try? FileManager.default.removeItem(atPath: "\(folder(id))/\(Self.description)")
    try? FileManager.default.removeItem(atPath: folder(id))
  }

  /// All contexts that are whole; others were being made when the process ended.
  func descriptions() -> [ContextDescription] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.sorted().compactMap { id in
      guard ContextDescription.isID(id) else { return nil }
      guard let data = FileManager.default.contents(atPath: "\(folder(id))/\(Self.description)"),
        data.count <= Self.descriptionLimit,
        let description = try? JSONDecoder().decode(ContextDescription.self, from: data), description.id == id
      else {
        remove(id)
        return nil
      }
      return description
    }
  }
}
