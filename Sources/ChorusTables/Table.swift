import ChorusTensors

/// A table read from a file: named columns of numbers, dates or text.
///
/// A file is read once, block by block. A column is kept as numbers, as text, or not at all; with the places of the
/// cells that are no numbers, so an error can name the file, the line and the character.
public struct Table: Sendable {
  /// What is kept of a column.
  struct Store: Sendable {
    var numbers: NumberColumn?
    var texts: TextColumn?
  }

  /// The path as the caller gave it, or `standard input`.
  public let source: String
  /// All columns of the file, kept or not.
  public let columns: [String]
  public let rowCount: Int
  /// Lines among the rows that were read as comments, for they begin with `#`.
  public let comments: Int
  private let stores: [Store]
  private let lines: LineNumbers

  init(
    source: String, columns: [String], rowCount: Int, stores: [Store], lines: LineNumbers, comments: Int = 0
  ) {
    self.source = source
    self.comments = comments
    self.columns = columns
    self.rowCount = rowCount
    self.stores = stores
    self.lines = lines
  }

  /// What a missing cell of a column means.
  public enum Missing: Sendable {
    /// Every cell must hold a value.
    case refused
    /// Empty cells and the usual words (`NA`, `N/A`, `#N/A`, `NaN`, `null`, `None`, `-`, `?`, `.`, in any case of
    /// letters) are nil: for a target column.
    case allowed
    /// As `allowed`, but `NaN` is refused: for an input column, where it is the mark of a failed computation.
    case allowedExceptNaN
  }

  /// The values of a column as numbers, with what they were.
  public struct Numbers: Equatable, Sendable {
    public let values: [Double?]
    public let kind: ColumnKind
  }

  /// The values of a column of numbers or dates; dates are days since 1970-01-01.
  ///
  /// - Throws: `TableError`: `unknownColumn`, `notANumber` or `missingValue`, with line and character.
  public func numbers(_ column: String, missing: Missing = .refused) throws(TableError) -> [Double?] {
    try values(of: column, missing: missing).values
  }

  /// The values of a column of numbers or dates, with their kind. The first cell that is not missing decides
  /// whether the column is one of dates; a column of dates of which some have a time is one of date-times. Numbers
  /// that all are like 20120131 are dates.
  ///
  /// - Parameter like: what another table has in a column of this name; it settles an order of day and month that is
  ///   open here.
  /// - Throws: `TableError` as ``numbers(_:missing:)``.
  public func values(
    of column: String, missing: Missing = .refused, like: ColumnKind? = nil
  ) throws(TableError) -> Numbers {
    let (values, kind) = try checked(column, missing: missing, like: like)
    return Numbers(values: values.map { $0.isNaN ? nil : $0 }, kind: kind)
  }

  /// As ``values(of:missing:)``, NaN where a value is missing.
  func checked(
    _ column: String, missing: Missing, like: ColumnKind? = nil
  ) throws(TableError) -> (values: [Double], kind: ColumnKind) {
    try numberColumn(column).checked(missing, like: like) { lines[$0] }
  }

  /// What a column holds, by its first cell that is not missing.
  ///
  /// - Throws: `TableError` (`unknownColumn`).
  public func kind(of column: String) throws(TableError) -> ColumnKind {
    try numberColumn(column).held
  }

  /// The cells of a column as they are, without their quotes.
  ///
  /// - Throws: `TableError` (`unknownColumn`), also for a column that was read as numbers only.
  public func texts(_ column: String) throws(TableError) -> [String] {
    guard let texts = stores[try index(of: column)].texts else { throw notKept(column, "text") }
    return texts.strings
  }

  /// Whether the cells of a column are kept as text.
  public func hasTexts(_ column: String) -> Bool {
    columns.firstIndex(of: column).map { stores[$0].texts != nil } ?? false
  }

  /// The line of the file on which a row (from 0) starts; nil for a row that is not there, or in a file of arrays.
  public func line(ofRow row: Int) -> Int? {
    (0..<rowCount).contains(row) ? lines[row] : nil
  }

  private func numberColumn(_ column: String) throws(TableError) -> NumberColumn {
    guard let numbers = stores[try index(of: column)].numbers else { throw notKept(column, "numbers") }
    return numbers
  }

  /// What stands for a missing cell of a column, beside the usual words.
  func missingMarkers(_ column: String) throws(TableError) -> MissingMarkers {
    try numberColumn(column).source.missing
  }

  private func notKept(_ column: String, _ form: String) -> TableError {
    TableError(.unknownColumn, source, "column '\(column)' was not kept as \(form); name it in TableOptions.")
  }

  private func index(of column: String) throws(TableError) -> Int {
    try Self.index(of: column, in: columns, source)
  }

  static func index(of column: String, in columns: [String], _ source: String) throws(TableError) -> Int {
    if let index = columns.firstIndex(of: column) { return index }
    let shown = columns.prefix(20).joined(separator: ", ") + (columns.count > 20 ? ", …" : "")
    let near = Suggestion.nearest(to: column, among: columns).map { " Did you mean '\($0)'?" } ?? ""
    throw TableError(.unknownColumn, source, "has no column '\(column)'; it has: \(shown).\(near)")
  }
}

/// The line of each row: a run of rows on lines that follow one another takes one entry.
struct LineNumbers: Sendable {
  private var runs: [(row: Int, line: Int)] = []
  private var count = 0

  mutating func append(_ line: Int) {
    let goesOn = runs.last.map { line - $0.line == count - $0.row } ?? false
    if !goesOn { runs.append((count, line)) }
    count += 1
  }

  subscript(row: Int) -> Int? {
    guard row < count else { return nil }
    var (low, high) = (0, runs.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if runs[middle].row <= row { low = middle } else { high = middle }
    }
    return low < runs.count ? runs[low].line + row - runs[low].row : nil
  }
}
