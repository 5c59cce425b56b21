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
  /// Of each input column the steps that it is counted in; nil for one that is not, and empty where none is.
  public let inputSteps: [InputSteps?]
  /// Centre of the output.
  public let outputCentre: Double
  /// Scale of the output, greater than 0.
  public let outputScale: Double

  /// Raw and scaled units are the same.
  public static let identity = Scaling()

  private init() {
    (inputCentres, inputScales, inputSteps, outputCentre, outputScale) = ([], [], [], 0, 1)
  }

  /// A scale from given numbers. Throws `DataError.badScale`, or `.rowCount` when the columns do not pair up.
  public init(
    inputCentres: [Double], inputScales: [Double], inputSteps: [InputSteps?] = [], outputCentre: Double,
    outputScale: Double
  ) throws(DataError) {
    guard inputCentres.count == inputScales.count else {
      throw .rowCount(what: "scales for the centres", expected: inputCentres.count, found: inputScales.count)
    }
    guard inputSteps.isEmpty || inputSteps.count == inputCentres.count else {
      throw .rowCount(what: "steps for the centres", expected: inputCentres.count, found: inputSteps.count)
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
    self.inputSteps = inputSteps.allSatisfy { $0 == nil } ? [] : inputSteps
    self.outputCentre = outputCentre
    self.outputScale = outputScale
  }

  private enum CodingKeys: CodingKey {
    case inputCentres, inputScales, inputSteps, outputCentre, outputScale
  }

  /// Steps are kept where there are any: without, a scale is kept as ever.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(inputCentres, forKey: .inputCentres)
    try values.encode(inputScales, forKey: .inputScales)
    if !inputSteps.isEmpty { try values.encode(inputSteps, forKey: .inputSteps) }
    try values.encode(outputCentre, forKey: .outputCentre)
    try values.encode(outputScale, forKey: .outputScale)
  }

  /// Reads a scale and checks it like the initialiser from numbers.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      inputCentres: values.decode([Double].self, forKey: .inputCentres),
      inputScales: values.decode([Double].self, forKey: .inputScales),
      inputSteps: values.decodeIfPresent([InputSteps?].self, forKey: .inputSteps) ?? [],
      outputCentre: values.decode(Double.self, forKey: .outputCentre),
      outputScale: values.decode(Double.self, forKey: .outputScale))
  }

  /// The scale under which the rows have mean 0 and standard deviation 1 (divided by the number of rows) in every column.
  ///
  /// A column is constant if all its values are equal, and only then. A constant input keeps its unit; a constant output has one
  /// of a hundredth of its size, so that an answer is near it in whatever unit it is given.
  ///
  /// Throws `DataError.tooFewRowsToScale` for fewer than 2 rows, `.badScale` when numbers are too large.
  public static func standardising(context: Dataset) throws(DataError) -> Scaling {
    try standardising(x: context.x, y: context.y, dimensions: context.dimensions)
  }

  /// As above, from row-major inputs [rows, dimensions] and outputs [rows].
  public static func standardising(
    x: some RandomAccessCollection<Double>, y: some RandomAccessCollection<Double>, dimensions: Int
  ) throws(DataError) -> Scaling {
    guard dimensions > 0 else { throw .size(what: "the number of input dimensions", found: dimensions) }
    guard y.count >= 2 else { throw .tooFewRowsToScale(found: y.count) }
    guard x.count == y.count * dimensions else {
      throw .rowCount(what: "input values", expected: y.count * dimensions, found: x.count)
    }
    var centres = [Double]()
    var scales = [Double]()
    var steps = [InputSteps?]()
    for column in 0..<dimensions {
      let values = (0..<y.count).map { x[x.index(x.startIndex, offsetBy: $0 * dimensions + column)] }
      let own = InputSteps(values)
      steps.append(own)
      let (centre, deviation) = own.map { ($0.centre, $0.scale) } ?? moments(values)
      centres.append(centre)
      scales.append(deviation > 0 ? deviation : 1)
    }
    let (centre, deviation) = moments(y)
    return try Scaling(
      inputCentres: centres, inputScales: scales, inputSteps: steps, outputCentre: centre,
      outputScale: deviation > 0 ? deviation : unitOfConstant(centre))
  }

  /// The unit of outputs that all have this value: a hundredth of its size.
  package static func unitOfConstant(_ value: Double) -> Double {
    max((value == 0 ? 1 : abs(value)) / 100, .leastNormalMagnitude)
  }

  /// Mean and standard deviation (divided by the number of values), 0 if and only if all values are equal.
  ///
  /// An origin is taken off first, which is exact for numbers near each other, and what is left is told in parts of its range:
  /// so neither a large offset (a clock in milliseconds) nor a tiny or huge unit is rounded away.
  package static func moments(_ values: some Collection<Double>) -> (centre: Double, deviation: Double) {
    guard let low = values.min(), let high = values.max() else { return (0, 0) }
    // Halves, since the range of finite numbers may be infinite.
    let (half, middle) = (high / 2 - low / 2, low / 2 + high / 2)
    guard high > low, half > 0 else { return (high > low ? low : middle, high > low ? high - low : 0) }
    let count = Double(values.count)
    let parts = values.map { ($0 / 2 - middle / 2) / half }
    let mean = parts.reduce(0, +) / count
    let squares = parts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    // In this order: the range itself may be infinite.
    return (middle + half * (2 * mean), half * (2 * (squares / count).squareRoot()))
  }

  // MARK: - Between units

  /// An input number of `column` in scaled units.
  public func scaled(input: Double, column: Int) -> Double {
    if inputCentres.isEmpty { return input }
    if !inputSteps.isEmpty, let steps = inputSteps[column] { return steps.scaled(input) }
    return (input - inputCentres[column]) / inputScales[column]
  }

  /// The number of `column` that is `scaled` in scaled units.
  private func raw(input scaled: Double, column: Int) -> Double {
    if !inputSteps.isEmpty, let steps = inputSteps[column] { return steps.raw(scaled) }
    return inputCentres[column] + inputScales[column] * scaled
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
    try map(inputs) { value, column in scaled(input: value, column: column) }
  }

  /// Inputs back in raw units. Throws `DataError.dimensions`.
  public func invert(_ inputs: Inputs) throws(DataError) -> Inputs {
    try map(inputs) { value, column in raw(input: value, column: column) }
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
