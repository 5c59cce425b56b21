/// Input points: `count` rows of `dimensions` finite numbers, row-major.
public struct Inputs: Sendable, Hashable {
  /// Numbers a row, at least 1.
  public let dimensions: Int
  /// The numbers, row-major: row r is `values[r * dimensions ..< (r + 1) * dimensions]`.
  public let values: [Double]

  /// Rows.
  public var count: Int { values.count / dimensions }

  /// Rows of `dimensions` numbers from one row-major array.
  ///
  /// Throws `DataError.partialRow` when they do not fill whole rows, `.notFinite` with the first bad place.
  public init(_ values: [Double], dimensions: Int) throws(DataError) {
    guard dimensions > 0 else { throw .size(what: "the number of input dimensions", found: dimensions) }
    guard values.count % dimensions == 0 else {
      throw .partialRow(values: values.count, dimensions: dimensions)
    }
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw .notFinite(row: bad / dimensions, column: bad % dimensions, value: "\(values[bad])")
    }
    self.init(unchecked: values, dimensions: dimensions)
  }

  /// Points on a line. Throws `DataError.notFinite`.
  public init(_ values: [Double]) throws(DataError) {
    try self.init(values, dimensions: 1)
  }

  /// Points given row by row. Throws `DataError.ragged` or `.notFinite`; no rows at all are one-dimensional.
  public init(_ rows: [[Double]]) throws(DataError) {
    let dimensions = rows.first?.count ?? 1
    for (index, row) in rows.enumerated() where row.count != dimensions {
      throw .ragged(row: index, expected: dimensions, found: row.count)
    }
    try self.init(Array(rows.joined()), dimensions: dimensions)
  }

  /// Points that are finite and whole by construction.
  init(unchecked values: [Double], dimensions: Int) {
    self.values = values
    self.dimensions = dimensions
  }

  /// One row.
  public subscript(row: Int) -> ArraySlice<Double> {
    values[(row * dimensions)..<((row + 1) * dimensions)]
  }

  /// The rows of `indices`, in that order.
  public func rows(_ indices: some Sequence<Int>) -> Inputs {
    var picked = [Double]()
    for index in indices { picked.append(contentsOf: self[index]) }
    return Inputs(unchecked: picked, dimensions: dimensions)
  }

  /// These rows, then the rows of `other`. Throws `DataError.dimensions`.
  public func appending(_ other: Inputs) throws(DataError) -> Inputs {
    guard other.dimensions == dimensions else {
      throw .dimensions(what: "the appended part", expected: dimensions, found: other.dimensions)
    }
    return Inputs(unchecked: values + other.values, dimensions: dimensions)
  }

  /// The most points of a ``grid(_:count:)``: a gigabyte of them.
  public static let mostGridPoints = 1 << 27

  /// `count` equally spaced points of a line from one bound of `range` to the other.
  ///
  /// Throws `DataError.size` for a negative count and for one above ``mostGridPoints``.
  public static func grid(_ range: ClosedRange<Double>, count: Int) throws(DataError) -> Inputs {
    guard (0...mostGridPoints).contains(count) else {
      throw .size(what: "the number of grid points (at most \(mostGridPoints))", found: count)
    }
    let width = range.upperBound - range.lowerBound
    return try Inputs(
      (0..<count).map { range.lowerBound + width * (count == 1 ? 0.5 : Double($0) / Double(count - 1)) })
  }
}
