import Foundation

/// A change of units, column by column: scaled = (raw - centre) / scale. From outputs, what a fit of trend and waves says
/// at their inputs may be subtracted first, and the unit may grow where that fit knows less.
///
/// A density in scaled units is turned into one in raw units by the scale of each output's `Unit`: for
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
  /// The fit that is subtracted from outputs, in standardised units; nil for nothing.
  public let periods: Periods?
  /// The unit of the fit, in the output's, greater than 0.
  public let fitScale: Double

  /// Raw and scaled units are the same.
  public static let identity = Scaling()

  private init() {
    (inputCentres, inputScales, outputCentre, outputScale, periods, fitScale) = ([], [], 0, 1, nil, 1)
  }

  /// A scale from given numbers. Throws `DataError.badScale`, or `.rowCount` when the columns do not pair up.
  public init(
    inputCentres: [Double], inputScales: [Double], outputCentre: Double, outputScale: Double,
    periods: Periods? = nil, fitScale: Double = 1
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
    guard fitScale > 0, fitScale.isFinite else { throw .badScale("scale \(fitScale) of the fit") }
    self.inputCentres = inputCentres
    self.inputScales = inputScales
    self.outputCentre = outputCentre
    self.outputScale = outputScale
    self.periods = periods
    self.fitScale = fitScale
  }

  private enum CodingKeys: CodingKey {
    case inputCentres, inputScales, outputCentre, outputScale, periods, fitScale
  }

  /// Reads a scale and checks it like the initialiser from numbers.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      inputCentres: values.decode([Double].self, forKey: .inputCentres),
      inputScales: values.decode([Double].self, forKey: .inputScales),
      outputCentre: values.decode(Double.self, forKey: .outputCentre),
      outputScale: values.decode(Double.self, forKey: .outputScale),
      periods: values.decodeIfPresent(Periods.self, forKey: .periods),
      fitScale: values.decodeIfPresent(Double.self, forKey: .fitScale) ?? 1)
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

  /// The scale under which inputs have mean 0 and standard deviation 1, and so has what `Periods` with at most `waves` waves
  /// leave of the outputs: where they foretell nothing it is that of `standardising`.
  ///
  /// A rest smaller than a thousandth of the outputs' standard deviation is taken to be that large. Throws as
  /// `standardising`.
  public static func residual(
    x: some RandomAccessCollection<Double>, y: some RandomAccessCollection<Double>, dimensions: Int,
    waves: Int
  ) throws(DataError) -> Scaling {
    let plain = try standardising(x: x, y: y, dimensions: dimensions)
    let inputs = x.enumerated().map { plain.scaled(input: $1, column: $0 % dimensions) }
    let outputs = y.map { ($0 - plain.outputCentre) / plain.outputScale }
    let periods = Periods(
      x: inputs.map { Float($0) }, y: outputs.map { Float($0) }, dimensions: dimensions, count: waves)
    let rest = outputs.indices.map {
      outputs[$0] - periods.foretold(at: inputs[$0 * dimensions..<($0 + 1) * dimensions])
    }
    let (centre, scale) = moments(rest, floor: 1e-9)
    let spread = outputs.contains { abs($0 - outputs[0]) > 0 } ? max(scale, 1e-3) : 1
    return try Scaling(
      inputCentres: plain.inputCentres, inputScales: plain.inputScales,
      outputCentre: plain.outputCentre + plain.outputScale * centre,
      outputScale: plain.outputScale * spread, periods: periods, fitScale: plain.outputScale)
  }

  private static func moments(
    _ values: some Collection<Double>, floor: Double
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

  /// What 0 and 1 in scaled units are in the output's, at one row of inputs.
  public struct Unit: Sendable, Hashable {
    public let origin: Double
    /// Greater than 0.
    public let scale: Double

    public init(origin: Double, scale: Double) { (self.origin, self.scale) = (origin, scale) }

    public func scaled(_ output: Double) -> Double { (output - origin) / scale }
    public func raw(_ scaled: Double) -> Double { origin + scale * scaled }
  }

  /// The unit of outputs at a row of scaled inputs `[dimensions]`.
  public func unit(at inputs: some RandomAccessCollection<Double>) -> Unit {
    guard let periods else { return Unit(origin: outputCentre, scale: outputScale) }
    return Unit(
      origin: outputCentre + fitScale * periods.foretold(at: inputs),
      scale: outputScale * periods.growth(at: inputs))
  }

  /// The unit at each row of scaled inputs.
  public func units(_ inputs: Inputs) -> [Unit] { (0..<inputs.count).map { unit(at: inputs[$0]) } }

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
    let inputs = try apply(data.inputs)
    let y = zip(data.y, units(inputs)).map { $1.scaled($0) }
    return try Dataset(
      inputs: inputs, y: y, inputColumns: data.inputColumns, outputColumn: data.outputColumn)
  }

  /// A data set back in raw units. Throws `DataError.dimensions`.
  public func invert(_ data: Dataset) throws(DataError) -> Dataset {
    let y = zip(data.y, units(data.inputs)).map { $1.raw($0) }
    return try Dataset(
      inputs: invert(data.inputs), y: y, inputColumns: data.inputColumns, outputColumn: data.outputColumn)
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
