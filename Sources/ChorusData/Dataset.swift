/// What a column is called and measured in; both may be empty.
public struct Column: Sendable, Hashable, Codable {
  public var name: String
  public var unit: String
  /// Whether its numbers are dates, counted in days: then a year, a week, a day and an hour are likely periods.
  public var isDate: Bool

  public init(_ name: String = "", unit: String = "", isDate: Bool = false) {
    self.name = name
    self.unit = unit
    self.isDate = isDate
  }

  private enum CodingKeys: CodingKey { case name, unit, isDate }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    name = try fields.decode(String.self, forKey: .name)
    unit = try fields.decode(String.self, forKey: .unit)
    isDate = try fields.decodeIfPresent(Bool.self, forKey: .isDate) ?? false
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(name, forKey: .name)
    try fields.encode(unit, forKey: .unit)
    if isDate { try fields.encode(isDate, forKey: .isDate) }
  }
}

/// Observed rows: inputs and one output each, all finite. Rows form a set: their order carries no meaning.
///
/// ```swift
/// let levels = try Dataset(x: [0, 1, 2.5], y: [3.1, 2.9, 3.4])
/// ```
public struct Dataset: Sendable, Hashable {
  /// The input points, one a row.
  public let inputs: Inputs
  /// The outputs, one a row; never NaN (a missing output is no row: see `split(inputs:outputs:)`).
  public let y: [Double]
  /// The standard deviation of each output's error of measurement, which is known, in the output's unit; empty where none is.
  ///
  /// An output is then what would be seen without this error plus a normal draw, independent of all others.
  public let errors: [Double]
  /// Names and units of the input columns: `inputs.dimensions` of them.
  public var inputColumns: [Column]
  /// Name and unit of the output.
  public var outputColumn: Column

  /// Rows.
  public var count: Int { y.count }
  /// Numbers an input has.
  public var dimensions: Int { inputs.dimensions }
  /// The inputs row-major, shape [count, dimensions].
  public var x: [Double] { inputs.values }

  /// Rows from inputs and outputs.
  ///
  /// - Parameter errors: one a row, or none. Where all are 0 there are none.
  /// - Throws: `DataError.rowCount` when the numbers of rows (or of column names, if given) differ, `.notFinite` for an
  ///   output that is NaN or infinite, `.badError` for an error that is negative or not finite.
  public init(
    inputs: Inputs, y: [Double], errors: [Double] = [], inputColumns: [Column]? = nil,
    outputColumn: Column = Column()
  ) throws(DataError) {
    guard y.count == inputs.count else {
      throw .rowCount(what: "outputs for the inputs", expected: inputs.count, found: y.count)
    }
    if let bad = y.firstIndex(where: { !$0.isFinite }) {
      throw .notFinite(row: bad, column: nil, value: "\(y[bad])")
    }
    guard errors.isEmpty || errors.count == y.count else {
      throw .rowCount(what: "errors of the outputs", expected: y.count, found: errors.count)
    }
    if let bad = errors.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
      throw .badError(row: bad, value: errors[bad])
    }
    let columns = inputColumns ?? Array(repeating: Column(), count: inputs.dimensions)
    guard columns.count == inputs.dimensions else {
      throw .rowCount(what: "names of input columns", expected: inputs.dimensions, found: columns.count)
    }
    self.inputs = inputs
    self.y = y
    self.errors = errors.contains { $0 > 0 } ? errors : []
    self.inputColumns = columns
    self.outputColumn = outputColumn
  }

  /// Rows with one input each. Throws `DataError.rowCount`, `.notFinite` or `.badError`.
  public init(x: [Double], y: [Double], errors: [Double] = []) throws(DataError) {
    try self.init(inputs: Inputs(x), y: y, errors: errors)
  }

  /// Rows with several inputs each, one array a row. Throws `DataError.ragged`, `.rowCount`, `.notFinite` or `.badError`.
  public init(x: [[Double]], y: [Double], errors: [Double] = []) throws(DataError) {
    try self.init(inputs: Inputs(x), y: y, errors: errors)
  }

  private init(checked inputs: Inputs, _ y: [Double], _ errors: [Double], like other: Dataset) {
    self.inputs = inputs
    self.y = y
    self.errors = errors.contains { $0 > 0 } ? errors : []
    inputColumns = other.inputColumns
    outputColumn = other.outputColumn
  }

  /// The rows of `indices`, in that order.
  public func rows(_ indices: some Collection<Int>) -> Dataset {
    Dataset(
      checked: inputs.rows(indices), indices.map { y[$0] }, errors.isEmpty ? [] : indices.map { errors[$0] },
      like: self)
  }

  /// These rows, then the rows of `other`; names and units are this one's. Throws `DataError.dimensions`.
  public func appending(_ other: Dataset) throws(DataError) -> Dataset {
    let isKnown = !errors.isEmpty || !other.errors.isEmpty
    return Dataset(
      checked: try inputs.appending(other.inputs), y + other.y, isKnown ? error + other.error : [],
      like: self)
  }

  /// The error of each row, 0 where none is known.
  package var error: [Double] { errors.isEmpty ? [Double](repeating: 0, count: count) : errors }

  /// Rows whose output is a number, and the inputs of the rows whose output is NaN (missing): what to
  /// condition on, and what to ask for. `missingRows` are the positions of the latter, counted from 0.
  ///
  /// Throws `DataError.rowCount`, or `.notFinite` for an infinite output.
  public static func split(
    inputs: Inputs, outputs y: [Double]
  ) throws(DataError) -> (observed: Dataset, missing: Inputs, missingRows: [Int]) {
    guard y.count == inputs.count else {
      throw .rowCount(what: "outputs for the inputs", expected: inputs.count, found: y.count)
    }
    let present = y.indices.filter { !y[$0].isNaN }
    let absent = y.indices.filter { y[$0].isNaN }
    if let bad = present.first(where: { y[$0].isInfinite }) {
      throw .notFinite(row: bad, column: nil, value: "\(y[bad])")
    }
    let observed = try Dataset(inputs: inputs.rows(present), y: present.map { y[$0] })
    return (observed, inputs.rows(absent), absent)
  }
}
