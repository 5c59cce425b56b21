extension Table {
  /// Reads a table of text: a header, then rows.
  static func csv(
    _ source: any ByteSource, name: String, options: TableOptions, tabs: Bool
  ) throws(TableError) -> Table {
    let text = try TextBuffer(source, name: name)
    let candidates: [Delimiter] =
      options.decimal == .comma ? Delimiter.allCases.filter { $0 != .comma } : Delimiter.allCases
    let window = text.bytes[text.start..<text.end]
    let delimiter = options.delimiter ?? (tabs ? .tab : .sniff(window, among: candidates))
    let heading = CommentHeading(window, delimiter, options.decimal ?? .point)
    var rows = CSVRows(CSVReader(text, delimiter: delimiter.rawValue), name, delimiter, options)
    try rows.readHeader(heading)
    while try rows.reader.advance() { try rows.take() }
    return try rows.finish()
  }
}

/// The names of columns in a comment right above rows of values, as gnuplot and NumPy have them: `# time level`.
struct CommentHeading {
  /// Where the line with the names begins, behind its mark; nil where the first line that is no comment has them.
  let start: Int?

  /// - Parameter window: the beginning of the text.
  init(_ window: ArraySlice<UInt8>, _ delimiter: Delimiter, _ mark: DecimalMark) {
    var (start, names, from) = (Int?.none, [ArraySlice<UInt8>](), window.startIndex)
    // `#name` and not `# a remark`: some columns below may be text.
    var isTight = false
    while from < window.endIndex {
      let end = window[from...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? window.endIndex
      let line = NumberText.trimmed(window[from..<end])
      if CSVReader.isComment(window[from..<end], delimiter.rawValue) {
        let rest = line.drop { $0 == UInt8(ascii: "#") || $0 == 0x20 || $0 == 0x09 }
        (start, names) = (rest.startIndex, Self.cells(rest, delimiter))
        isTight = rest.startIndex == line.startIndex + 1
      } else if !line.isEmpty {
        let cells = Self.cells(line, delimiter)
        let values = cells.count { Self.isValue($0, mark) }
        let isHeading =
          !names.isEmpty && names.count == cells.count && !names.contains { Self.isValue($0, mark) }
          && (values == cells.count || values > 0 && isTight)
        self.start = isHeading ? start : nil
        return
      }
      from = end + 1
    }
    self.start = nil
  }

  private static func cells(_ line: ArraySlice<UInt8>, _ delimiter: Delimiter) -> [ArraySlice<UInt8>] {
    line.split(separator: delimiter.rawValue, omittingEmptySubsequences: delimiter == .space)
  }

  private static func isValue(_ cell: ArraySlice<UInt8>, _ mark: DecimalMark) -> Bool {
    guard NumberText.read(cell, mark: mark) == .other else { return true }
    return cell.withUnsafeBufferPointer {
      CalendarText.reading($0, like: nil) != .none || AmountText.read($0, mark: mark) != nil
    }
  }
}

/// Turns rows of cells into columns.
private struct CSVRows {
  var reader: CSVReader
  private let name: String
  private let delimiter: Delimiter
  private let options: TableOptions
  private var columns: [String] = []
  private var stores: [Table.Store] = []
  /// Indices of columns of which something is kept.
  private var kept: [Int] = []
  private var headerLine = 1
  private var commentsAbove = 0
  private var lines = LineNumbers()
  private var rows = 0
  /// In a table of one column a blank line is a row without a value, unless no row follows it.
  private var blankLines: [Int] = []

  init(_ reader: CSVReader, _ name: String, _ delimiter: Delimiter, _ options: TableOptions) {
    self.reader = reader
    self.name = name
    self.delimiter = delimiter
    self.options = options
  }

  private var isBlank: Bool { reader.cells.count == 1 && reader.cells[0].isBlank }

  mutating func readHeader(_ heading: CommentHeading) throws(TableError) {
    if let start = heading.start { reader.start(at: start) }
    repeat {
      guard try reader.advance() else {
        throw TableError(.malformed, name, "is empty; the first line must name the columns.")
      }
    } while isBlank
    headerLine = reader.line
    commentsAbove = reader.comments
    columns = reader.text.bytes.withUnsafeBufferPointer { bytes in
      reader.cells.map { cell in
        let text = CellText.string(UnsafeBufferPointer(rebasing: bytes[cell.range]), isQuoted: cell.isQuoted)
        return String(decoding: NumberText.trimmed(ArraySlice(text.utf8)), as: UTF8.self)
      }
    }
    if options.decimal == .comma, columns.count == 1, columns[0].utf8.contains(UInt8(ascii: ",")),
      options.delimiter == nil
    {
      throw TableError(
        .malformed, name, line: headerLine,
        "the header has commas and no ';', '|', tab or space, and with --decimal comma a comma separates no cells; "
          + "leave --decimal out, or separate cells by ';'.")
    }
    var seen: [String: Int] = [:]
    for (index, column) in columns.enumerated() {
      if let first = seen.updateValue(index, forKey: column) {
        throw reader.text.error(
          .malformed, at: reader.cells[index].start,
          "columns \(first + 1) and \(index + 1) are both called '\(column)'; rename one.")
      }
    }
    (stores, kept) = try options.stores(for: columns, name, isMarkSure: delimiter == .comma)
  }

  /// The present row.
  mutating func take() throws(TableError) {
    guard reader.cells.count == columns.count else {
      guard isBlank else { throw ragged() }
      return
    }
    if columns.count == 1 {
      guard !isBlank else { return blankLines.append(reader.line) }
      takeBlankLines()
    }
    lines.append(reader.line)
    rows += 1
    let (all, cells, start, line) = (reader.text.bytes, reader.cells, reader.text.start, reader.line)
    all.withUnsafeBufferPointer { bytes in
      for column in kept {
        let cell = cells[column]
        let characters = UnsafeBufferPointer(rebasing: bytes[cell.range])
        stores[column].numbers?.append(characters, isQuoted: cell.isQuoted) {
          let place = TextBuffer.place(of: cell.start, in: bytes[start...], line: line)
          return (place.line, place.column)
        }
        stores[column].texts?.append(characters, isQuoted: cell.isQuoted)
      }
    }
  }

  private mutating func takeBlankLines() {
    for line in blankLines {
      lines.append(line)
      rows += 1
      for column in kept {
        stores[column].numbers?.appendMissing { (line, 1) }
        stores[column].texts?.append(UnsafeBufferPointer(start: nil, count: 0))
      }
    }
    blankLines.removeAll(keepingCapacity: true)
  }

  func finish() throws(TableError) -> Table {
    guard rows > 0 else {
      throw TableError(.malformed, name, "has a header and no rows; add rows below the header.")
    }
    return Table(
      source: name, columns: columns, rowCount: rows, stores: stores, lines: lines,
      comments: reader.comments - commentsAbove)
  }

  private func ragged() -> TableError {
    let found = reader.cells.count
    var cause = found > columns.count ? "is a cell with a delimiter in it unquoted?" : "is the row cut off?"
    if found > columns.count, delimiter == .comma, looksLikeDecimalCommas {
      cause =
        "are its commas decimal commas? Then separate cells by ';' or tabs and pass --decimal comma."
    }
    return TableError(
      .malformed, name, line: reader.line,
      "expected \(columns.count) cells as in the header (line \(headerLine)), found \(found); \(cause)")
  }

  /// Whether some cell is a whole number and the one after it digits only.
  private var looksLikeDecimalCommas: Bool {
    func digits(_ cell: CellSpan) -> Bool {
      !cell.isQuoted && cell.start < cell.end && reader.text.bytes[cell.range].allSatisfy { $0 &- 0x30 <= 9 }
    }
    func whole(_ cell: CellSpan) -> Bool {
      let sign =
        !cell.isQuoted && cell.start < cell.end && [0x2B, 0x2D].contains(reader.text.bytes[cell.start])
      return digits(sign ? CellSpan(start: cell.start + 1, end: cell.end, isQuoted: false) : cell)
    }
    return zip(reader.cells, reader.cells.dropFirst()).contains { whole($0) && digits($1) }
  }
}

extension TableOptions {
  /// Empty stores for the columns of a file, and which of them keep something.
  func stores(
    for columns: [String], _ source: String, isMarkSure: Bool = true
  ) throws(TableError) -> (stores: [Table.Store], kept: [Int]) {
    let missing = MissingMarkers(self.missing, mark: decimal ?? .point)
    func numbers(_ column: String) -> NumberColumn {
      NumberColumn(
        .init(
          file: source, column: column, mark: decimal ?? .point, isMarkSure: isMarkSure || decimal != nil,
          notation: dateNotation, missing: missing))
    }
    guard let wanted = self.numbers else {
      return (columns.map { Table.Store(numbers: numbers($0), texts: TextColumn()) }, Array(columns.indices))
    }
    var stores = [Table.Store](repeating: Table.Store(), count: columns.count)
    for name in required { _ = try Table.index(of: name, in: columns, source) }
    for name in wanted {
      if let index = columns.firstIndex(of: name) { stores[index].numbers = numbers(name) }
    }
    for name in texts { if let index = columns.firstIndex(of: name) { stores[index].texts = TextColumn() } }
    return (stores, stores.indices.filter { stores[$0].numbers != nil || stores[$0].texts != nil })
  }
}
