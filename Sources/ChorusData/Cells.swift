/// Rows of a table without the column that is asked for: numbers, levels of categories, and missing cells.
///
/// ```swift
/// let cells = try Cells([[39.1, 0], [.nan, 2]], categories: [false, true])   // a bill's length, one of three islands
/// ```
public struct Cells: Sendable, Hashable {
  /// Row-major `[count, columns]`. NaN is a missing cell; of a category, a number names a level and means nothing else.
  public let values: [Double]
  /// Which columns are categories; one element a column.
  public let categories: [Bool]

  /// Columns.
  public var columns: Int { categories.count }
  /// Rows.
  public let count: Int

  /// Throws `DataError.partialRow` where the values do not fill rows, `.notFinite` for an infinite cell, `.size` without columns.
  public init(_ values: [Double], categories: [Bool]) throws(DataError) {
    guard !categories.isEmpty else { throw .size(what: "the number of columns", found: 0) }
    guard values.count % categories.count == 0 else {
      throw .partialRow(values: values.count, dimensions: categories.count)
    }
    if let bad = values.firstIndex(where: { $0.isInfinite }) {
      throw .notFinite(row: bad / categories.count, column: bad % categories.count, value: "\(values[bad])")
    }
    self.init(unchecked: values, categories: categories)
  }

  /// Rows one by one. Throws `DataError.ragged`, and as above.
  public init(_ rows: [[Double]], categories: [Bool]) throws(DataError) {
    for (index, row) in rows.enumerated() where row.count != categories.count {
      throw .ragged(row: index, expected: categories.count, found: row.count)
    }
    try self.init(Array(rows.joined()), categories: categories)
  }

  private init(unchecked values: [Double], categories: [Bool]) {
    self.values = values
    self.categories = categories
    count = values.count / categories.count
  }

  /// One row.
  public subscript(row: Int) -> ArraySlice<Double> { values[row * columns..<(row + 1) * columns] }

  /// One cell.
  public subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

  /// The rows of `indices`, in that order.
  public func rows(_ indices: some Collection<Int>) -> Cells {
    var picked: [Double] = []
    picked.reserveCapacity(indices.count * columns)
    for index in indices { picked.append(contentsOf: self[index]) }
    return Cells(unchecked: picked, categories: categories)
  }

  /// Columns `order`, in that order.
  ///
  /// - Precondition: `order` names columns of the table, at least one.
  public func columns(_ order: [Int]) -> Cells {
    precondition(
      !order.isEmpty && order.allSatisfy { categories.indices.contains($0) }, "columns of the table")
    var picked: [Double] = []
    picked.reserveCapacity(count * order.count)
    for row in 0..<count { for column in order { picked.append(self[row, column]) } }
    return Cells(unchecked: picked, categories: order.map { categories[$0] })
  }

  /// These rows, then the rows of `other`. Throws `DataError.dimensions` for other columns.
  public func appending(_ other: Cells) throws(DataError) -> Cells {
    guard other.categories == categories else {
      throw .dimensions(what: "the appended part", expected: columns, found: other.columns)
    }
    return Cells(unchecked: values + other.values, categories: categories)
  }
}
