import ChorusData
import ChorusFiles
import ChorusHints
import ChorusModels
import ChorusStorage
import ChorusTensors

/// A context that was encoded once and kept in a file, to be asked later without encoding it again.
///
/// The file holds the rows themselves, in the network's units, beside what the network made of them: whoever has it has
/// the data. Only the model that wrote it can read it.
public struct SavedContext: Sendable {
  static let format = "chorus-context-2"
  /// Written before hints had a place of their own: a fit of trend and waves stands beside the scaling and in it.
  private static let firstFormat = "chorus-context-1"

  /// What the file says of itself, but for the fits, which can be read once the model tells of which hints they are.
  private struct Header: Codable {
    var model: String
    var fingerprint: String
    /// The checksum of the model's file, which is faster to compare; nil where the model is of no such file.
    var weights: String?
    var rows: Int
    /// nil: values as they are.
    var values: ValueScale?
    /// nil: none.
    var limits: Ends?
    var range: Ends?
    /// nil: values need not be whole numbers.
    var whole: Bool?
    /// nil: no errors of rows are known.
    var measured: MeasuredRows?
    /// nil: of more rows than are read the latest were.
    var nearest: Bool?
    var scaling: Scaling
    var inputColumns: [Column]
    var outputColumn: Column
  }

  /// The ends of a range; a side without one is absent, since JSON has no infinity.
  private struct Ends: Codable {
    var least: Double?
    var most: Double?

    init(_ range: ClosedRange<Double>) {
      least = range.lowerBound.isFinite ? range.lowerBound : nil
      most = range.upperBound.isFinite ? range.upperBound : nil
    }

    private enum CodingKeys: CodingKey { case least, most }

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      least = try fields.decodeIfPresent(Double.self, forKey: .least)
      most = try fields.decodeIfPresent(Double.self, forKey: .most)
      guard least ?? -.infinity <= most ?? .infinity else { throw DataError.badScale("bounds of the values") }
    }

    var range: ClosedRange<Double> { (least ?? -.infinity)...(most ?? .infinity) }
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
  /// Whether what the model made of the rows is kept as 16-bit floats.
  public var isHalf: Bool { content.tensors.contains { $0.type == .f16 } }
  /// What the writer added.
  public let card: [String: String]
  private let header: Header
  private let kept: KeptFile
  private var content: Safetensors { kept.content }

  /// Reads the file at `path` and checks that it is whole.
  ///
  /// - Throws: `StorageError` when it cannot be read, does not verify, or is no context of this version.
  public init(path: String) throws { try self.init(Safetensors(path: path)) }

  /// Checks bytes as ``init(path:)`` does those of a file.
  package init(bytes: [UInt8], file: String) throws {
    try self.init(Safetensors(bytes: bytes, file: file))
  }

  /// What was read of a file already, and is checked as ``init(path:)`` does.
  package init(_ content: Safetensors) throws {
    let path = content.file
    file = path
    guard content.metadata["context"] != nil,
      let kept = try KeptFile(
        content, formats: [Self.format, Self.firstFormat], description: "context",
        of: "the context in its metadata")
    else {
      throw StorageError(
        .malformed, file: path,
        "is no saved context of this version: its metadata lacks format \(Self.format). Make one with chorus condition."
      )
    }
    header = try kept.header(Header.self)
    self.kept = kept
    card = content.metadata.filter { $0.key != "format" && $0.key != "context" }
  }

  /// The posterior whose context this is: it answers as the one that was written, bit for bit on the same machine.
  ///
  /// - Throws: `InferenceError.input` for another model than the one that encoded it; `StorageError` for arrays that
  ///   are absent, of another shape, or hold what no context has.
  public func posterior(_ model: Model, on pool: ThreadPool? = nil) throws -> Posterior {
    guard try model.has(fingerprint: header.fingerprint, file: header.weights) else {
      let fingerprint = try model.fingerprint
      throw InferenceError.input(
        "\(file): the context was encoded by model '\(header.model)' (\(header.fingerprint.prefix(12))), and '\(model.name)'"
          + " (\(fingerprint.prefix(12))) is another one. Give that model, or condition anew.")
    }
    let (dimensions, read) = (header.inputColumns.count, content["y"]?.count ?? 0)
    guard (1...model.blueprint.inputDimensions).contains(dimensions) else {
      throw kept.malformed("the context has \(dimensions) input columns, which the model has not")
    }
    let preparation: Preparation
    do { preparation = try self.preparation(model.blueprint.hints) } catch {
      throw kept.malformed("what hints found in its rows cannot be read")
    }
    guard read <= header.rows,
      preparation.scaling.inputCentres.isEmpty || preparation.scaling.inputCentres.count == dimensions,
      preparation.fits.fits.allSatisfy({ $0.fits(dimensions: dimensions) })
    else { throw kept.malformed("its numbers of rows or columns contradict each other") }
    if let measured = header.measured {
      guard measured.errors.count == read, measured.hidden >= 0,
        measured.errors.allSatisfy({ $0 >= 0 && $0.isFinite })
      else { throw kept.malformed("its rows have errors that no rows have") }
    }
    let x = try content.floats("x", shape: [read, dimensions])
    let y = try content.floats("y", shape: [read])
    let reach = Float(Posterior.reach)
    guard x.allSatisfy({ abs($0) <= reach }), y.allSatisfy({ abs($0) <= reach }) else {
      throw kept.malformed("a row holds a value that is not finite, or is far too large")
    }
    let arrays = model.network.stateArrays(rows: read)
    let unused = content.unused(after: arrays.map(\.name) + ["x", "y"])
    guard unused.isEmpty else {
      throw kept.malformed("it holds \(unused.count) arrays too many, the first '\(unused[0])'")
    }
    let values = try arrays.map { try content.floats($0.name, shape: $0.shape) }
    let rows = NetworkRows(x: x, y: y, dimensions: dimensions)
    guard let state = model.network.condition(rows, preparation.fits, values: values) else {
      throw kept.malformed("an array of the context's state holds a value that no state has")
    }
    return Posterior(
      model, state, rows: header.rows, preparation: preparation, inputColumns: header.inputColumns,
      outputColumn: header.outputColumn, measured: header.measured, isNearest: header.nearest ?? false,
      on: pool)
  }

  private func preparation(_ hints: Hints) throws -> Preparation {
    let info: [CodingUserInfoKey: any Sendable] = CodingUserInfoKey.hints.map { [$0: hints] } ?? [:]
    let json = kept.description ?? .null
    guard kept.format == Self.firstFormat else {
      return Preparation(
        values: header.values ?? .raw, scaling: header.scaling,
        fits: try JSON.decode(Kept.self, from: json, userInfo: info).fits, limits: header.limits?.range,
        range: header.range?.range, isWhole: header.whole ?? false)
    }
    let first = try JSON.decode(FirstFormat.self, from: json, userInfo: info)
    return try first.preparation(header.scaling, hints)
  }

  /// The fits of the hints that the decoder was given.
  private struct Kept: Decodable {
    let fits: HintFits
    private enum Key: CodingKey { case hints }
    init(from decoder: any Decoder) throws {
      let hints = CodingUserInfoKey.hints.flatMap { decoder.userInfo[$0] } as? Hints ?? Hints()
      fits = try HintFits(
        from: decoder.container(keyedBy: Key.self).superDecoder(forKey: .hints), of: hints)
    }
  }

  /// A fit as the first format has it.
  private struct FirstFormat: Decodable {
    struct Scale: Decodable {
      let periods: Periods?
      let fitScale: Double?
    }
    let periods: Periods
    let scaling: Scale

    func preparation(_ plain: Scaling, _ hints: Hints) throws -> Preparation {
      guard hints.first(TrendAndWaves.self) != nil else { return Preparation(scaling: plain) }
      guard let subtracted = scaling.periods else {
        return Preparation(scaling: plain, fits: HintFits([TrendAndWaves.Fit(periods: periods)]))
      }
      let fitScale = scaling.fitScale ?? 1
      guard subtracted == periods, fitScale > 0, fitScale.isFinite else {
        throw DataError.badScale("scale \(fitScale) of the fit")
      }
      let fit = TrendAndWaves.Fit(
        periods: periods, origin: plain.outputCentre, scale: plain.outputScale, fitScale: fitScale)
      return Preparation(
        scaling: try Scaling(
          inputCentres: plain.inputCentres, inputScales: plain.inputScales,
          outputCentre: plain.outputCentre, outputScale: fitScale), fits: HintFits([fit]))
    }
  }

  fileprivate static func writer(
    _ posterior: Posterior, card: [String: String], half: Bool
  ) throws -> SafetensorsWriter {
    let header = Written(
      header: Header(
        model: posterior.model.name, fingerprint: try posterior.model.fingerprint,
        weights: posterior.model.checksum, rows: posterior.rows,
        values: posterior.preparation.values == .raw ? nil : posterior.preparation.values,
        limits: posterior.preparation.limits.map(Ends.init),
        range: posterior.preparation.range.map(Ends.init),
        whole: posterior.preparation.isWhole ? true : nil, measured: posterior.measured,
        nearest: posterior.isNearest ? true : nil,
        scaling: posterior.scaling, inputColumns: posterior.inputColumns,
        outputColumn: posterior.outputColumn),
      fits: posterior.conditioned.fits, hints: posterior.model.blueprint.hints)
    var metadata = card
    metadata["format"] = format
    metadata["context"] = try JSON.encode(header)
    var writer = SafetensorsWriter(metadata: metadata)
    let rows = posterior.conditioned.rows
    try writer.add("x", shape: [rows.count, rows.dimensions], floats: rows.x)
    try writer.add("y", shape: [rows.count], floats: rows.y)
    for (array, values) in posterior.conditioned.arrays {
      // A state whose size the rows do not change is a sum over them: small, and not to be rounded.
      let isOfRows = array.shape.first == rows.count
      try writer.add(array.name, shape: array.shape, floats: values, as: half && isOfRows ? .f16 : .f32)
    }
    return writer
  }
}

/// The header of a file, fits included.
private struct Written: Encodable {
  let header: any Encodable
  let fits: HintFits
  let hints: Hints

  private enum Key: CodingKey { case hints }

  func encode(to encoder: any Encoder) throws {
    try header.encode(to: encoder)
    var fields = encoder.container(keyedBy: Key.self)
    try fits.encode(to: fields.superEncoder(forKey: .hints), of: hints)
  }
}

extension CodingUserInfoKey {
  /// The hints of the model whose fits are read.
  fileprivate static let hints = CodingUserInfoKey(rawValue: "chorus.hints")
}

extension Posterior {
  /// Writes the encoded context, whole or not at all, to be asked later: see ``SavedContext``. The file reveals the
  /// data.
  ///
  /// - Parameters:
  ///   - card: lines of the writer's own; not `format` and not `context`.
  ///   - half: keep keys and values of the rows as 16-bit floats. The file is half as large; its answers have bytes of their own.
  /// - Throws: `StorageError` when the file cannot be written, or a value is beyond the range of 16-bit floats.
  public func write(to path: String, card: [String: String] = [:], half: Bool = false) throws {
    try SavedContext.writer(self, card: card, half: half).write(to: path)
  }

  /// The bytes that ``write(to:card:half:)`` writes.
  package func encoded(card: [String: String], half: Bool = false) throws -> [UInt8] {
    try SavedContext.writer(self, card: card, half: half).encoded()
  }

  /// Reads a context that ``write(to:card:half:)`` has written; nothing is encoded again.
  ///
  /// - Throws: as ``SavedContext/init(path:)`` and ``SavedContext/posterior(_:on:)``.
  public init(contentsOf path: String, model: Model, on pool: ThreadPool? = nil) throws {
    self = try SavedContext(path: path).posterior(model, on: pool)
  }

  /// The rows that were read, in the data's units, each rounded to 32 bits in the network's.
  public var observed: Dataset {
    get throws {
      let rows = conditioned.rows
      return try preparation.invert(
        Dataset(
          inputs: Inputs(rows.x.map(Double.init), dimensions: rows.dimensions), y: rows.y.map(Double.init),
          errors: measured?.errors ?? [],
          inputColumns: inputColumns,
          outputColumn: outputColumn))
    }
  }
}
