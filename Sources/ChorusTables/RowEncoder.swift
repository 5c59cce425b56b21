import ChorusFiles

/// One value to be written.
public enum Cell: Equatable, Sendable {
  case text(String)
  /// Written with the fewest digits that give the same value back; empty or null where it is not finite.
  case number(Double)
  /// As `number`, with the digits of a `Float`.
  case float(Float)
  case integer(Int)
  /// A value of a column of `kind`, in the form in which such a column is read.
  case value(Double, ColumnKind)
  case missing
}

/// The forms of output.
public enum TableFormat: String, Sendable, CaseIterable {
  case csv
  /// JSON lines: one object a row.
  case jsonl
}

/// Turns rows into bytes.
public struct RowEncoder: Sendable {
  public let columns: [String]
  public let format: TableFormat
  private let keys: [String]

  public init(columns: [String], format: TableFormat) {
    self.columns = columns
    self.format = format
    keys = columns.map { JSON.quoted($0) + ":" }
  }

  /// What stands before the first row.
  public var header: String {
    switch format {
    case .csv: columns.map { csv($0) }.joined(separator: ",") + "\n"
    case .jsonl: ""
    }
  }

  /// One row, with its line end.
  ///
  /// - Throws: `TableError` (`row`) where the number of cells is not that of the columns.
  public func row(_ cells: [Cell]) throws(TableError) -> String {
    guard cells.count == columns.count else {
      throw TableError(.row, "output", "a row has \(cells.count) cells for \(columns.count) columns.")
    }
    switch format {
    case .csv:
      let line = cells.map { csv(written($0) ?? "") }.joined(separator: ",")
      // A blank line would not be read as a row.
      return (line.isEmpty ? "\"\"" : line) + "\n"
    case .jsonl:
      let members = zip(keys, cells).map { key, cell in
        guard let text = written(cell) else { return key + "null" }
        return key + (isText(cell) ? JSON.quoted(text) : text)
      }
      return "{" + members.joined(separator: ",") + "}\n"
    }
  }

  private func isText(_ cell: Cell) -> Bool {
    switch cell {
    case .text: true
    case .value(_, let kind): kind != .number
    case .number, .float, .integer, .missing: false
    }
  }

  private func written(_ cell: Cell) -> String? {
    switch cell {
    case .text(let text): text
    case .number(let value): value.isFinite ? Self.short(value.description) : nil
    case .float(let value): value.isFinite ? Self.short(value.description) : nil
    case .integer(let value): String(value)
    case .value(let value, let kind):
      value.isFinite ? Self.written(value, kind) : nil
    case .missing: nil
    }
  }

  /// A value of a column of `kind`, in the form in which such a column is read.
  static func written(_ value: Double, _ kind: ColumnKind) -> String {
    kind.notation == nil ? short(value.description) : CalendarText.write(value, as: kind)
  }

  /// A whole number without its `.0`.
  private static func short(_ text: String) -> String {
    text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  private func csv(_ text: String) -> String {
    let bytes = text.utf8
    let special = bytes.contains {
      $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D || $0 == 0x3B || $0 == 0x09
    }
    // A line that begins with '#' is a comment to some, also here.
    guard special || bytes.first == 0x20 || bytes.last == 0x20 || bytes.first == 0x23 else { return text }
    var result = "\""
    for scalar in text.unicodeScalars {
      if scalar == "\"" { result += "\"" }
      result.unicodeScalars.append(scalar)
    }
    return result + "\""
  }
}
