import ChorusData
import ChorusModels
import ChorusStorage
import ChorusTensors
import Foundation

/// A context that was encoded once and kept in a file, to be asked later without encoding it again.
///
/// The file holds the rows themselves, in the network's units, beside what the network made of them: whoever has it has
/// the data. Only the model that wrote it can read it.
public struct SavedContext: Sendable {
  static let format = "chorus-context-1"

  /// What the file says of itself.
  private struct Header: Codable {
    var model: String
    var fingerprint: String
    var rows: Int
    var scaling: Scaling
    var periods: Periods
    var inputColumns: [Column]
    var outputColumn: Column
  }

  /// The path as the caller gave it.
  public let file: String
  /// The name of the model that encoded it.
  ///
  /// A stranger may have written it: it is for people to read, and no path to open.
  public var modelName: String { header.model }
  /// The ``Model/fingerprint`` of that model, the only one that can read the context.
  public var fingerprint: String { header.fingerprint }
  /// Names and units of the input columns.
  public var inputColumns: [Column] { header.inputColumns }
  public var outputColumn: Column { header.outputColumn }
  /// What the writer added.
  public let card: [String: String]
  private let header: Header
  private let content: Safetensors

  /// Reads the file at `path` and checks that it is whole.
  ///
  /// - Throws: `StorageError` when it cannot be read, does not verify, or is no context of this version.
  public init(path: String) throws { try self.init(Safetensors(path: path), file: path) }

  init(_ content: Safetensors, file path: String) throws {
    self.content = content
    file = path
    guard content.metadata["format"] == Self.format, let json = content.metadata["context"] else {
      throw StorageError(
        .malformed, file: path,
        "is no saved context of this version: its metadata lacks format \(Self.format). Make one with chorus condition."
      )
    }
    guard case .verified = content.verification else {
      throw StorageError(
        .checksum, file: path,
        "carries no checksum, so it was not written as it is. Make it anew with chorus condition."
      )
    }
    do {
      header = try JSONDecoder().decode(Header.self, from: Data(json.utf8))
    } catch {
      throw StorageError(
        .malformed, file: path,
        "the description of the context in its metadata cannot be read. Make it anew with chorus condition.")
    }
    card = content.metadata.filter { $0.key != "format" && $0.key != "context" }
  }

  /// The posterior whose context this is: it answers as the one that was written, bit for bit on the same machine.
  ///
  /// - Throws: `InferenceError.input` for another model than the one that encoded it; `StorageError` for arrays that
  ///   are absent, of another shape, or hold what no context has.
  public func posterior(_ model: Model, on pool: ThreadPool? = nil) throws -> Posterior {
    let fingerprint = try model.fingerprint
    guard fingerprint == header.fingerprint else {
      throw InferenceError.input(
        "\(file): the context was encoded by model '\(header.model)' (\(header.fingerprint.prefix(12))), and '\(model.name)'"
          + " (\(fingerprint.prefix(12))) is another one. Give that model, or condition anew.")
    }
    func malformed(_ detail: String) -> StorageError {
      StorageError(.malformed, file: file, "\(detail). Make it anew with chorus condition.")
    }
    let (dimensions, read) = (header.inputColumns.count, content["y"]?.count ?? 0)
    guard (1...model.blueprint.inputDimensions).contains(dimensions) else {
      throw malformed("the context has \(dimensions) input columns, which the model has not")
    }
    guard read <= header.rows,
      header.scaling.inputCentres.isEmpty || header.scaling.inputCentres.count == dimensions,
      header.periods.lines.count <= dimensions,
      header.scaling.periods.map({ $0 == header.periods }) ?? true
    else { throw malformed("its numbers of rows or columns contradict each other") }
    let x = try content.floats("x", shape: [read, dimensions])
    let y = try content.floats("y", shape: [read])
    let reach = Float(Posterior.reach)
    guard x.allSatisfy({ abs($0) <= reach }), y.allSatisfy({ abs($0) <= reach }) else {
      throw malformed("a row holds a value that is not finite, or is far too large")
    }
    let arrays = model.trunk.stateArrays(rows: read)
    let unused = content.unused(after: arrays.map(\.name) + ["x", "y"])
    guard unused.isEmpty else {
      throw malformed("it holds \(unused.count) arrays too many, the first '\(unused[0])'")
    }
    let values = try arrays.map { try content.floats($0.name, shape: $0.shape) }
    guard
      let state = model.trunk.context(
        x: x, y: y, dimensions: dimensions, periods: header.periods, values: values)
    else {
      throw malformed("an array of the context's state holds a value that no state has")
    }
    return Posterior(
      model, Conditioned(model.trunk, x: x, y: y, dimensions: dimensions, state: state), rows: header.rows,
      scaling: header.scaling, inputColumns: header.inputColumns, outputColumn: header.outputColumn, on: pool)
  }

  fileprivate static func writer(_ posterior: Posterior, card: [String: String]) throws -> SafetensorsWriter {
    let header = Header(
      model: posterior.model.name, fingerprint: try posterior.model.fingerprint, rows: posterior.rows,
      scaling: posterior.scaling, periods: posterior.conditioned.state.periods,
      inputColumns: posterior.inputColumns, outputColumn: posterior.outputColumn)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var metadata = card
    metadata["format"] = format
    metadata["context"] = String(decoding: try encoder.encode(header), as: UTF8.self)
    var writer = SafetensorsWriter(metadata: metadata)
    let context = posterior.conditioned
    try writer.add("x", shape: [context.y.count, context.dimensions], floats: context.x)
    try writer.add("y", shape: [context.y.count], floats: context.y)
    let arrays = posterior.model.trunk.stateArrays(rows: context.y.count)
    for (array, values) in zip(arrays, posterior.model.trunk.values(of: context.state)) {
      try writer.add(array.name, shape: array.shape, floats: values)
    }
    return writer
  }
}

extension Posterior {
  /// Writes the encoded context, whole or not at all, to be asked later: see ``SavedContext``. The file reveals the
  /// data.
  ///
  /// - Parameter card: lines of the writer's own; not `format` and not `context`.
  /// - Throws: `StorageError` when the file cannot be written.
  public func write(to path: String, card: [String: String] = [:]) throws {
    try SavedContext.writer(self, card: card).write(to: path)
  }

  /// Reads a context that ``write(to:card:)`` has written; nothing is encoded again.
  ///
  /// - Throws: as ``SavedContext/init(path:)`` and ``SavedContext/posterior(_:on:)``.
  public init(contentsOf path: String, model: Model, on pool: ThreadPool? = nil) throws {
    self = try SavedContext(path: path).posterior(model, on: pool)
  }

  /// The rows that were read, in the data's units, each rounded to 32 bits in the network's.
  public var observed: Dataset {
    get throws {
      let (x, y) = (conditioned.x.map(Double.init), conditioned.y.map(Double.init))
      return try scaling.invert(
        Dataset(
          inputs: Inputs(x, dimensions: conditioned.dimensions), y: y, inputColumns: inputColumns,
          outputColumn: outputColumn))
    }
  }
}
