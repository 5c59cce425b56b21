/// What is wrong with data handed to the package; every case says what to do about it.
public enum DataError: Error, Equatable, CustomStringConvertible {
  /// A row has another number of values than the first one. Rows count from 0.
  case ragged(row: Int, expected: Int, found: Int)
  /// The number of values is no multiple of the number of dimensions.
  case partialRow(values: Int, dimensions: Int)
  /// An input or output is NaN or infinite. Rows and columns count from 0; the column of an output is nil.
  case notFinite(row: Int, column: Int?, value: String)
  /// The error of an output is negative, NaN or infinite. Rows count from 0.
  case badError(row: Int, value: Double)
  /// Two things that should have the same number of rows have not.
  case rowCount(what: String, expected: Int, found: Int)
  /// Two things that should have the same number of input dimensions have not.
  case dimensions(what: String, expected: Int, found: Int)
  /// A scale was asked for from fewer rows than a standard deviation needs.
  case tooFewRowsToScale(found: Int)
  /// A scale is not positive and finite, or a centre is not finite.
  case badScale(String)
  /// A value is none that a scale can show.
  case noPlace(value: Double, scale: ValueScale)
  /// A value lies outside of the bounds that values are said to have.
  case beyondBounds(value: Double, bounds: ClosedRange<Double>)
  /// A value is no whole number, and values are said to be whole.
  case notWhole(value: Double)
  /// A size is negative or out of range.
  case size(what: String, found: Int)

  public var description: String {
    switch self {
    case .ragged(let row, let expected, let found):
      return "row \(row) has \(found) values, the rows before it \(expected): give every row the same number"
    case .partialRow(let values, let dimensions):
      return "\(values) values do not fill rows of \(dimensions) dimensions"
    case .notFinite(let row, let column, let value):
      let place = column.map { "input \($0)" } ?? "the output"
      return "row \(row): \(place) is \(value); leave out rows with missing values, or split them off with "
        + "Dataset.split(inputs:outputs:)"
    case .badError(let row, let value):
      return
        "row \(row): the error of the output is \(value); give its standard deviation, 0 where it is measured exactly"
    case .rowCount(let what, let expected, let found):
      return "\(what): \(found) where \(expected) are needed"
    case .dimensions(let what, let expected, let found):
      return "\(what) has \(found) input dimensions where \(expected) are needed"
    case .tooFewRowsToScale(let found):
      return "a scale needs at least 2 rows and there are \(found): pass a Scaling made from other data, "
        + "or .identity"
    case .badScale(let what):
      return "\(what): a scale must be finite and greater than 0, a centre finite"
    case .noPlace(let value, let scale):
      return
        "the value \(value) cannot be seen \(scale.words ?? "as it is"), which is for values \(scale == .logarithm ? "above 0" : "from 0 on"): "
        + "take values as they are (--scale raw)"
    case .beyondBounds(let value, let bounds):
      let (side, bound) =
        value < bounds.lowerBound
        ? ("below the least", bounds.lowerBound) : ("above the largest", bounds.upperBound)
      return
        "the value \(value) is \(side) that values are said to have, \(bound): give wider bounds, or leave the row out"
    case .notWhole(let value):
      return
        "the value \(value) is no whole number, which values are said to be: leave out --integer, or round it"
    case .size(let what, let found):
      return "\(what) cannot be \(found)"
    }
  }
}
