/// A table read from text: named columns of cells, turned into numbers, dates or text when they are asked for.
///
/// Cells are kept as places in the text, so an error can name the file, the line and the character.
public struct Table: Sendable {
  /// The path as the caller gave it, or `standard input`.
  public let source: String
  public let columns: [String]
  public let rowCount: Int
  private let text: SourceText
  private let cells: [CellSpan]

  /// Reads the CSV or TSV file at `path`, or standard input where `path` is `-`.
  ///
  /// Without `delimiter`, a name that ends in `.tsv` or `.tab` means tabs; else the delimiter is the one of `,`
  /// `;` and tab that is most frequent in the header.
  ///
  /// - Throws: `TableError` as ``init(bytes:source:delimiter:)``, and for a file that is not there or can not be
  ///   read.
  public static func read(path: String, delimiter: Delimiter? = nil) throws(TableError) -> Table {
    let name = path.lowercased()
    let tabs = name.hasSuffix(".tsv") || name.hasSuffix(".tab")
    return try Table(SourceText(path: path), delimiter: delimiter ?? (tabs ? .tab : nil))
  }

  /// Reads the text of a table: a header, then rows.
  ///
  /// - Throws: `TableError`: text that is not UTF-8 (`encoding`), or (`malformed`) no rows, equal column names,
  ///   rows with more or fewer cells than the header, misplaced or open quotes, or a row or file past the limits.
  public init(bytes: [UInt8], source: String, delimiter: Delimiter? = nil) throws(TableError) {
    try self.init(SourceText(bytes, name: source), delimiter: delimiter)
  }

  private init(_ text: SourceText, delimiter: Delimiter?) throws(TableError) {
    let bytes = text.bytes
    var scanner = CSVScanner(text, delimiter: (delimiter ?? .sniff(bytes)).rawValue)
    func isBlank(_ cell: CellSpan) -> Bool { cell.start == cell.end && !Self.isQuoted(cell, bytes) }

    var header: [CellSpan] = []
    var start = 0
    repeat {
      header.removeAll()
      guard let row = try scanner.row(into: &header) else {
        throw TableError(.malformed, text.name, "is empty; the first line must name the columns.")
      }
      start = row.start
    } while header.count == 1 && isBlank(header[0])
    let columns = header.map { Self.string($0, bytes).trimmedSpaces }
    var seen: [String: Int] = [:]
    for (index, name) in columns.enumerated() {
      if let first = seen.updateValue(index, forKey: name) {
        throw text.error(
          .malformed, at: Int(header[index].start),
          "columns \(first + 1) and \(index + 1) are both called '\(name)'; rename one.")
      }
    }

    var cells: [CellSpan] = []
    var rows = 0
    while true {
      let before = cells.count
      guard let row = try scanner.row(into: &cells) else { break }
      if row.count == columns.count {
        rows += 1
      } else if row.count == 1 && isBlank(cells[before]) {
        cells.removeLast()  // a blank line
      } else {
        let cause =
          row.count > columns.count ? "is a cell with a delimiter in it unquoted?" : "is the row cut off?"
        throw text.error(
          .malformed, at: row.start, column: false,
          "expected \(columns.count) cells as in the header (line \(text.place(of: start).line)), found "
            + "\(row.count); \(cause)")
      }
    }
    while columns.count == 1, let last = cells.last, isBlank(last) {
      cells.removeLast()
      rows -= 1
    }
    guard rows > 0 else {
      throw TableError(.malformed, text.name, "has a header and no rows; add rows below the header.")
    }
    source = text.name
    self.columns = columns
    self.text = text
    self.cells = cells
    rowCount = rows
  }

  /// What a missing cell of a column means.
  public enum Missing: Sendable {
    /// Every cell must hold a value.
    case refused
    /// Empty cells and the usual words (`NA`, `N/A`, `NaN`, `null`, `None`, `-`) are nil: for a target column.
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
  /// whether the column is one of dates; a column of dates of which some have a time is one of date-times.
  ///
  /// - Throws: `TableError` as ``numbers(_:missing:)``.
  public func values(of column: String, missing: Missing = .refused) throws(TableError) -> Numbers {
    let index = try self.index(of: column)
    var values: [Double?] = []
    values.reserveCapacity(rowCount)
    var kind: ColumnKind?
    for row in 0..<rowCount {
      let cell = self.cell(row, index)
      let characters = text.bytes[Int(cell.start)..<Int(cell.end)]
      if kind == nil || kind == .number {
        switch NumberText.read(characters) {
        case .finite(let value):
          values.append(value)
          kind = .number
          continue
        case .missing where missing != .refused, .notANumber where missing == .allowed:
          values.append(nil)
          continue
        case .missing: throw missingValue(cell, column)
        case .notANumber, .infinite: throw notFinite(cell, column)
        case .other: break
        }
        guard kind == nil, let date = CalendarText.read(characters) else {
          throw notANumber(cell, column, kind)
        }
        values.append(date.days)
        kind = date.kind
        continue
      }
      if let date = CalendarText.read(characters) {
        guard let joined = Self.join(kind, date.kind) else {
          throw text.error(
            .notANumber, at: Int(cell.start),
            "some times of column '\(column)' have an offset from UTC and some have none; give all or none.")
        }
        values.append(date.days)
        kind = joined
      } else {
        switch NumberText.read(characters) {
        case .missing where missing != .refused, .notANumber where missing == .allowed: values.append(nil)
        case .missing: throw missingValue(cell, column)
        case .notANumber, .infinite: throw notFinite(cell, column)
        case .finite, .other: throw notANumber(cell, column, kind)
        }
      }
    }
    return Numbers(values: values, kind: kind ?? .number)
  }

  /// What a column holds, by its first cell that is not missing.
  ///
  /// - Throws: `TableError` (`unknownColumn`).
  public func kind(of column: String) throws(TableError) -> ColumnKind {
    let index = try self.index(of: column)
    for row in 0..<rowCount {
      let cell = self.cell(row, index)
      let characters = text.bytes[Int(cell.start)..<Int(cell.end)]
      switch NumberText.read(characters) {
      case .finite, .infinite: return .number
      case .missing, .notANumber: continue
      case .other: return CalendarText.read(characters)?.kind ?? .text
      }
    }
    return .number
  }

  /// The cells of a column as they are, without their quotes.
  ///
  /// - Throws: `TableError` (`unknownColumn`).
  public func texts(_ column: String) throws(TableError) -> [String] {
    let index = try self.index(of: column)
    return (0..<rowCount).map { Self.string(cell($0, index), text.bytes) }
  }

  /// The line of the file on which a row (from 0) starts; nil for a row that is not there.
  public func line(ofRow row: Int) -> Int? {
    guard (0..<rowCount).contains(row) else { return nil }
    return text.place(of: Int(cell(row, 0).start)).line
  }

  private func index(of column: String) throws(TableError) -> Int {
    if let index = columns.firstIndex(of: column) { return index }
    let shown = columns.prefix(20).joined(separator: ", ") + (columns.count > 20 ? ", …" : "")
    let near = Suggestion.nearest(to: column, among: columns).map { " Did you mean '\($0)'?" } ?? ""
    throw TableError(.unknownColumn, source, "has no column '\(column)'; it has: \(shown).\(near)")
  }

  private func cell(_ row: Int, _ column: Int) -> CellSpan { cells[row * columns.count + column] }

  private static func isQuoted(_ cell: CellSpan, _ bytes: [UInt8]) -> Bool {
    cell.start > 0 && bytes[Int(cell.start) - 1] == UInt8(ascii: "\"")
  }

  private static func string(_ cell: CellSpan, _ bytes: [UInt8]) -> String {
    let characters = bytes[Int(cell.start)..<Int(cell.end)]
    guard isQuoted(cell, bytes), characters.contains(UInt8(ascii: "\"")) else {
      return String(decoding: characters, as: UTF8.self)
    }
    var single: [UInt8] = []
    var half = false  // after the first of two quotes
    for byte in characters {
      half = byte == UInt8(ascii: "\"") && !half
      if !half { single.append(byte) }
    }
    return String(decoding: single, as: UTF8.self)
  }

  /// The kind of a column of dates that has values of both kinds; nil where they can not be compared.
  private static func join(_ one: ColumnKind?, _ other: ColumnKind) -> ColumnKind? {
    guard let one, one != other else { return other }
    if one == .date { return other }
    return other == .date ? one : nil
  }

  private func shown(_ cell: CellSpan) -> String {
    let full = Self.string(cell, text.bytes)
    return full.count > 40 ? full.prefix(40) + "…" : full
  }

  private func missingValue(_ cell: CellSpan, _ column: String) -> TableError {
    text.error(
      .missingValue, at: Int(cell.start),
      "no value (column '\(column)'); every row needs one: fill it in or leave the row out.")
  }

  private func notFinite(_ cell: CellSpan, _ column: String) -> TableError {
    text.error(
      .notANumber, at: Int(cell.start),
      "'\(shown(cell))' is not finite (column '\(column)'); write a finite number or leave the row out.")
  }

  private func notANumber(_ cell: CellSpan, _ column: String, _ kind: ColumnKind?) -> TableError {
    let written = shown(cell)
    let what: String
    let advice: String
    switch kind {
    case nil:
      what = "a number or a date"
      advice = "choose a column of numbers or of dates (YYYY-MM-DD)"
    case .number:
      what = "a number"
      advice =
        Double(written.replacingComma) == nil
        ? "write a number, or leave the cell empty where it is missing" : "write the decimal point as '.'"
    default:
      what = "a date like those above it"
      advice = "write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, or leave the cell empty where it is missing"
    }
    return text.error(
      .notANumber, at: Int(cell.start), "'\(written)' is not \(what) (column '\(column)'); \(advice).")
  }
}

extension String {
  fileprivate var trimmedSpaces: String {
    String(decoding: NumberText.trimmed(ArraySlice(utf8)), as: UTF8.self)
  }

  fileprivate var replacingComma: String { String(map { $0 == "," ? "." : $0 }) }
}
