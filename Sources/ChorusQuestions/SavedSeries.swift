import ChorusData
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusStorage
import ChorusTables
import ChorusTensors

/// A series with columns known beside time, read once and kept in a file to be asked later.
///
/// It holds the rows themselves, to the bit, what each column is and how values are seen: with that, answers have the bytes of asking
/// the rows directly. What the columns do is estimated again when it is asked, beside what is given then. It belongs to one model.
package struct SavedSeries: Sendable {
  static let format = "chorus-series-1"

  /// What values are seen as, and where they lie.
  package struct Settings: Sendable {
    package let values: ValueScale.Choice
    package let limits: ClosedRange<Double>?
    package let isWhole: Bool

    package init(values: ValueScale.Choice, limits: ClosedRange<Double>?, isWhole: Bool) {
      (self.values, self.limits, self.isWhole) = (values, limits, isWhole)
    }
  }

  /// What the file says of itself beside the numbers.
  private struct Header: Codable, Sendable {
    var model: String
    var fingerprint: String
    var source: String
    var inputs: [String]
    var target: String
    /// Of the inputs, then of the target: as `ContextCard` has them.
    var kinds: [String]
    /// How many of the inputs, the last ones, are known beside time.
    var covariates: Int
    /// Of each of these its levels; empty for numbers.
    var levels: [[String]]
    var units: [String: String]
    /// A `ValueScale.Choice`.
    var scale: String
    var least: Double?
    var most: Double?
    var whole: Bool
  }

  /// What errors call it.
  package let path: String
  package let observations: Observations
  package let settings: Settings
  private let header: Header

  /// A series to be kept.
  package init(_ observations: Observations, model: Model, _ settings: Settings) throws {
    let selection = observations.selection
    func end(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
    let data = observations.data
    let columns = data.inputColumns + [data.outputColumn]
    header = Header(
      model: model.name, fingerprint: try model.fingerprint, source: observations.file,
      inputs: selection.inputs, target: selection.target,
      kinds: (selection.kinds + [selection.targetKind]).map(ContextCard.word),
      covariates: selection.covariates,
      levels: (selection.dimensions - selection.covariates..<selection.dimensions).map {
        selection.levels[$0] ?? []
      },
      units: Dictionary(
        columns.filter { !$0.unit.isEmpty }.map { ($0.name, $0.unit) },
        uniquingKeysWith: { first, _ in first }), scale: settings.values.rawValue,
      least: end(settings.limits?.lowerBound), most: end(settings.limits?.upperBound),
      whole: settings.isWhole)
    (path, self.observations, self.settings) = (observations.file, observations, settings)
  }

  /// Writes the series, whole or not at all.
  package func write(to path: String) throws {
    var writer = SafetensorsWriter(metadata: ["format": Self.format, "series": try JSON.encode(header)])
    let data = observations.data
    if !data.errors.isEmpty { try writer.add("errors", shape: [data.count], doubles: data.errors) }
    try writer.add("x", shape: [data.count, data.dimensions], doubles: data.x)
    try writer.add("y", shape: [data.count], doubles: data.y)
    try writer.write(to: path)
  }

  /// What was read of a file; nil where it is one of another kind.
  ///
  /// - Throws: `StorageError` where it is not as it was written.
  init?(_ content: Safetensors) throws {
    guard
      let file = try KeptFile(
        content, formats: [Self.format], description: "series", of: "the series in its metadata")
    else { return nil }
    let (path, header) = (content.file, try file.header(Header.self))
    let kinds = header.kinds.compactMap { ContextCard.kind($0) }
    let (columns, names) = (header.inputs.count, header.inputs + [header.target])
    guard columns > 1, header.covariates == columns - 1, header.levels.count == header.covariates,
      kinds.count == columns + 1, Set(names).count == names.count,
      let scale = ValueScale.Choice(rawValue: header.scale),
      header.least ?? -.infinity < header.most ?? .infinity,
      header.levels.allSatisfy({ Set($0).count == $0.count && $0.count <= Table.mostCovariateLevels })
    else { throw file.malformed("its columns, scale or bounds contradict each other") }
    let count = content["y"]?.count ?? 0
    let x = try content.doubles("x", shape: [count, columns])
    let y = try content.doubles("y", shape: [count])
    let errors = content["errors"] == nil ? [] : try content.doubles("errors", shape: [count])
    guard content.unused(after: ["errors", "x", "y"]).isEmpty else {
      throw file.malformed("it holds arrays that no series has")
    }
    for (place, levels) in header.levels.enumerated() where !levels.isEmpty {
      let own = stride(from: place + 1, to: x.count, by: columns).map { x[$0] }
      guard own.allSatisfy({ Int(exactly: $0).map(levels.indices.contains) ?? false }) else {
        throw file.malformed("column '\(header.inputs[place + 1])' has levels that it does not name")
      }
    }
    let levels = header.levels.enumerated().filter { !$0.element.isEmpty }.map { ($0.offset + 1, $0.element) }
    let selection = Selection(
      inputs: header.inputs, target: header.target, kinds: Array(kinds.dropLast()),
      targetKind: kinds[columns], observed: x, targets: y, errors: errors, covariates: header.covariates,
      levels: Dictionary(uniqueKeysWithValues: levels))
    self.header = header
    self.path = path
    do { observations = try Observations(file: path, selection: selection, units: header.units) } catch {
      throw file.malformed("its rows hold what no rows have")
    }
    let bounds =
      header.least == nil && header.most == nil
      ? nil : (header.least ?? -.infinity)...(header.most ?? .infinity)
    settings = Settings(values: scale, limits: bounds, isWhole: header.whole)
  }

  /// The model that it was kept for.
  ///
  /// - Parameter name: a model's name or path; nil for the shipped one that the file names.
  package func model(_ name: String?, precision: Precision = .f32) throws -> Model {
    // A stranger may have written the file: a path in it is never opened.
    guard let name = name ?? (ModelLocation.shipped(header.model) == nil ? nil : header.model) else {
      throw ModelError.missing(
        "\(path): the series was kept for model '\(header.model)', which is not one that comes with Chorus; give the model's file with --model (fingerprint \(header.fingerprint.prefix(12)))"
      )
    }
    let model = try Model(named: name, precision: precision)
    guard try model.has(fingerprint: header.fingerprint) else {
      throw InferenceError.input(
        "\(path): the series was kept for model '\(header.model)' (\(header.fingerprint.prefix(12))), and '\(model.name)' is another one. Give that model, or condition anew."
      )
    }
    return model
  }
}
