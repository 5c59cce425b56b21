/// Where a cell's text lies in the file; a quoted cell's without its outer quotes.
struct CellSpan: Sendable {
  let start: UInt32
  let end: UInt32
}

/// Splits text into rows of cells by RFC 4180, with `\n`, `\r\n` or `\r` at the end of a row.
///
/// Chorus has its own scanner because SwiftCSV 0.10 tells no line or column of an error, fills up rows that are
/// too short (`makingRectangular` in EnumeratedCSVView.swift, `?? ""` in NamedCSVView.swift), and drops spaces
/// around cells: a damaged file would be predicted from as if it were whole.
struct CSVScanner {
  static let columnLimit = 100_000

  let text: SourceText
  let delimiter: UInt8
  private(set) var position = 0

  init(_ text: SourceText, delimiter: UInt8) {
    self.text = text
    self.delimiter = delimiter
  }

  private static let quote = UInt8(ascii: "\"")

  /// Appends the cells of the next row to `cells`; returns where the row starts and how many cells it has, or
  /// nil at the end of the text.
  mutating func row(into cells: inout [CellSpan]) throws(TableError) -> (start: Int, count: Int)? {
    let bytes = text.bytes
    guard position < bytes.count else { return nil }
    let start = position
    var count = 0
    while true {
      cells.append(try cell(bytes))
      count += 1
      guard position - start <= SourceText.lineLimit else {
        throw text.error(
          .malformed, at: start, column: false,
          "the row is longer than \(SourceText.lineLimit >> 20) MiB; is a closing quote missing, or is this no CSV?"
        )
      }
      guard count <= Self.columnLimit else {
        throw text.error(
          .malformed, at: start, column: false,
          "the row has more than \(Self.columnLimit) columns; keep only the columns that are needed.")
      }
      guard position < bytes.count else { return (start, count) }
      let byte = bytes[position]
      position += 1
      if byte == delimiter { continue }
      if byte == 0x0D, position < bytes.count, bytes[position] == 0x0A { position += 1 }
      return (start, count)
    }
  }

  /// Reads one cell and stops at the delimiter, the line end or the end of the text after it.
  private mutating func cell(_ bytes: [UInt8]) throws(TableError) -> CellSpan {
    if position < bytes.count, bytes[position] == Self.quote { return try quotedCell(bytes) }
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == delimiter || byte == 0x0A || byte == 0x0D { break }
      if byte == Self.quote {
        throw text.error(
          .malformed, at: position,
          "a quote inside a cell that does not start with one; put the whole cell in quotes and double the "
            + "quotes in it.")
      }
      position += 1
    }
    return CellSpan(start: UInt32(start), end: UInt32(position))
  }

  private mutating func quotedCell(_ bytes: [UInt8]) throws(TableError) -> CellSpan {
    let opened = position
    position += 1
    while true {
      guard position < bytes.count else {
        throw text.error(
          .malformed, at: opened,
          "the quote that opens here is never closed; close it, or double it to keep it.")
      }
      guard bytes[position] == Self.quote else {
        position += 1
        continue
      }
      guard position + 1 < bytes.count, bytes[position + 1] == Self.quote else { break }
      position += 2
    }
    let span = CellSpan(start: UInt32(opened + 1), end: UInt32(position))
    position += 1
    if position < bytes.count, case let next = bytes[position], next != delimiter, next != 0x0A, next != 0x0D
    {
      throw text.error(
        .malformed, at: position,
        "text after a closing quote; end the cell there, or double the quotes in it.")
    }
    return span
  }
}
