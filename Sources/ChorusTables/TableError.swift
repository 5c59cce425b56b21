/// What is wrong with a table, a grid or a file of tasks: where, what, and what to do.
///
/// `description` reads like `mcycle.csv:12:3: 'abc' is not a number (column 'accel'); …`.
public struct TableError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of failure, for code that acts on them.
  public enum Reason: String, Sendable {
    /// The file is not there.
    case missing
    /// The system refused to read or write.
    case system
    /// Whoever was reading the output has gone.
    case unread
    /// Not UTF-8 text.
    case encoding
    /// Compressed bytes that are damaged, cut off, or expand to far more than a table would.
    case compressed
    /// Not arrays that can be read: a damaged .npy or .npz file, or an element type that is no number.
    case array
    /// Not a table: quotes, ragged rows, equal or no column names, no rows, too long or too wide.
    case malformed
    /// No column has the asked name.
    case unknownColumn
    /// A cell is not a finite number or a date.
    case notANumber
    /// A cell is empty where a value is needed.
    case missingValue
    /// A grid is not `FIRST..LAST/STEP`, or has too many points.
    case grid
    /// A line is not a task.
    case task
    /// A row has another number of cells than the header.
    case row
  }

  public let reason: Reason
  /// The path as the caller gave it, `standard input`, or the option at fault.
  public let source: String
  /// Counted from 1.
  public let line: Int?
  /// The character in the line, counted from 1.
  public let column: Int?
  public let detail: String

  public init(_ reason: Reason, _ source: String, line: Int? = nil, column: Int? = nil, _ detail: String) {
    self.reason = reason
    self.source = source
    self.line = line
    self.column = column
    self.detail = detail
  }

  public var description: String {
    var place = source
    if let line { place += ":\(line)" }
    if let column { place += ":\(column)" }
    return "\(place): \(detail)"
  }
}
