import Foundation

/// Whether a model's contexts come in units of their own.
public enum ScalingRule: String, Sendable, Codable, CaseIterable {
  /// Numbers reach the network as they are.
  case none
  /// By mean and standard deviation of the context.
  case standardise
}

/// A change of units, column by column: scaled = (raw - centre) / scale.
///
/// A density in scaled units is turned into one in raw units by the scale of the output's `Unit`: for
/// y = origin + scale * s, log p(y) = log p(s) - log(scale).
public struct Scaling: Sendable, Hashable, Codable {
  /// Centre of each input column; empty for `.identity`, which suits any number of dimensions.
  public let inputCentres: [Double]
  /// Scale of each input column, greater than 0.
  public let inputScales: [Double]
  /// Centre of the output.
  public let outputCentre: Double
  /// Scale of the output, greater than 0.
  public let outputScale: Double

  /// Raw and scaled units are the same.
  public static let identity = Scaling()

  private init() {
    (inputCentres, inputScales, outputCentre, outputScale) = ([], [], 0, 1)
  }

  /// A scale from given numbers. Throws `DataError.badScale`, or `.rowCount` when the columns do not pair up.
  public init(
    inputCentres: [Double], inputScales: [Double], outputCentre: Double, outputScale: Double
  ) throws(DataError) {
    guard inputCentres.count == inputScales.count else {
      throw .rowCount(what: "scales for the centres", expected: inputCentres.count, found: inputScales.count)
    }
    for (column, scale) in inputScales.enumerated() where !(scale > 0 && scale.isFinite) {
      throw .badScale("scale \(scale) of input \(column)")
    }
    for (column, centre) in inputCentres.enumerated() where !centre.isFinite {
      throw .badScale("centre \(centre) of input \(column)")
    }
    guard outputScale > 0, outputScale.isFinite, outputCentre.isFinite else {
      throw .badScale("centre \(outputCentre), scale \(outputScale) of the output")
    }
    self.inputCentres = inputCentres
    self.inputScales = inputScales
    self.outputCentre = outputCentre
    self.outputScale = outputScale
  }

  private enum CodingKeys: CodingKey {
    case inputCentres, inputScales, outputCentre, outputScale
  }

  /// Reads a scale and checks it like the initialiser from numbers.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      inputCentres: values.decode([Double].self, forKey: .inputCentres),
      inputScales: values.decode([Double].self, forKey: .inputScales),
      outputCentre: values.decode(Double.self, forKey: .outputCentre),
      outputScale: values.decode(Double.self, forKey: .outputScale))
  }

  /// The scale under which the rows have mean 0 and standard deviation 1 (divided by the number of rows) in
  /// every column. A standard deviation of at most `floor` times the column's largest magnitude, or of 0,
  /// is taken as 1: such a column is constant up to rounding and is only centred.
  ///
  /// Throws `DataError.tooFewRowsToScale` for fewer than 2 rows, `.badScale` when numbers are too large.
  public static func standardising(
    context: Dataset, floor: Double = 1e-9
  ) throws(DataError) -> Scaling {
    try standardising(x: context.x, y: context.y, dimensions: context.dimensions, floor: floor)
  }

  /// As above, from row-major inputs [rows, dimensions] and outputs [rows].
  public static func standardising(
    x: some RandomAccessCollection<Double>, y: some RandomAccessCollection<Double>, dimensions: Int,
    floor: Double = 1e-9
  ) throws(DataError) -> Scaling {
    guard dimensions > 0 else { throw .size(what: "the number of input dimensions", found: dimensions) }
    guard y.count >= 2 else { throw .tooFewRowsToScale(found: y.count) }
    guard x.count == y.count * dimensions else {
      throw .rowCount(what: "input values", expected: y.count * dimensions, found: x.count)
    }
    var centres = [Double]()
    var scales = [Double]()
    for column in 0..<dimensions {
      let values = (0..<y.count).map { x[x.index(x.startIndex, offsetBy: $0 * dimensions + column)] }
      let (centre, scale) = moments(values, floor: floor)
      centres.append(centre)
      scales.append(scale)
    }
    let (centre, scale) = moments(y, floor: floor)
    return try Scaling(inputCentres: centres, inputScales: scales, outputCentre: centre, outputScale: scale)
  }

  /// Mean and standard deviation (divided by the number of values); 1 in place of a deviation of at most `floor` times the
  /// largest magnitude.
  package static func moments(
    _ values: some Collection<Double>, floor: Double = 1e-9
  ) -> (centre: Double, scale: Double) {
    let count = Double(values.count)
    var sum = 0.0
    var largest = 0.0
    for value in values {
      sum += value
      largest = max(largest, abs(value))
    }
    let mean = sum / count
    var squares = 0.0
    for value in values { squares += (value - mean) * (value - mean) }
    let deviation = (squares / count).squareRoot()
    return (mean, deviation > floor * largest && deviation > 0 ? deviation : 1)
  }

  // MARK: - Between units

  /// An input number of `column` in scaled units.
  @inlinable
  public func scaled(input: Double, column: Int) -> Double {
    inputCentres.isEmpty ? input : (input - inputCentres[column]) / inputScales[column]
  }

  /// What 0 and 1 in scaled units are in another unit.
  public struct Unit: Sendable, Hashable, Codable {
    public let origin: Double
    /// Greater than 0.
    public let scale: Double

    public init(origin: Double, scale: Double) { (self.origin, self.scale) = (origin, scale) }

    public func scaled(_ output: Double) -> Double { (output - origin) / scale }
    public func raw(_ scaled: Double) -> Double { origin + scale * scaled }
  }

  /// The unit of outputs.
  public var output: Unit { Unit(origin: outputCentre, scale: outputScale) }

  /// Inputs in scaled units. Throws `DataError.dimensions`.
  public func apply(_ inputs: Inputs) throws(DataError) -> Inputs {
    try map(inputs) { value, column in (value - inputCentres[column]) / inputScales[column] }
  }

  /// Inputs back in raw units. Throws `DataError.dimensions`.
  public func invert(_ inputs: Inputs) throws(DataError) -> Inputs {
    try map(inputs) { value, column in inputCentres[column] + inputScales[column] * value }
  }

  /// A data set in scaled units. Throws `DataError.dimensions`.
  public func apply(_ data: Dataset) throws(DataError) -> Dataset {
    return try Dataset(
      inputs: apply(data.inputs), y: data.y.map { output.scaled($0) }, inputColumns: data.inputColumns,
      outputColumn: data.outputColumn)
  }

  /// A data set back in raw units. Throws `DataError.dimensions`.
  public func invert(_ data: Dataset) throws(DataError) -> Dataset {
    return try Dataset(
      inputs: invert(data.inputs), y: data.y.map { output.raw($0) }, inputColumns: data.inputColumns,
      outputColumn: data.outputColumn)
  }

  private func map(
    _ inputs: Inputs, _ change: (Double, Int) -> Double
  ) throws(DataError) -> Inputs {
    if inputCentres.isEmpty { return inputs }
    guard inputs.dimensions == inputCentres.count else {
      throw .dimensions(what: "the data to scale", expected: inputCentres.count, found: inputs.dimensions)
    }
    var values = inputs.values
    for index in values.indices { values[index] = change(values[index], index % inputs.dimensions) }
    return try Inputs(values, dimensions: inputs.dimensions)
  }
}
