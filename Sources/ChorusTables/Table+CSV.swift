extension Table {
  /// Reads a table of text: a header, then rows.
  static func csv(
    _ source: any ByteSource, name: String, options: TableOptions, tabs: Bool
  ) throws(TableError) -> Table {
    let text = try TextBuffer(source, name: name)
    let candidates: [Delimiter] = options.decimal == .comma ? [.semicolon, .tab] : Delimiter.allCases
    let delimiter =
      options.delimiter ?? (tabs ? .tab : .sniff(text.bytes[text.start..<text.end], among: candidates))
    var rows = CSVRows(CSVReader(text, delimiter: delimiter.rawValue), name, delimiter, options)
    try rows.readHeader()
    while try rows.reader.advance() { try rows.take() }
    return try rows.finish()
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

  mutating func readHeader() throws(TableError) {
    repeat {
      guard try reader.advance() else {
        throw TableError(.malformed, name, "is empty; the first line must name the columns.")
      }
    } while isBlank
    headerLine = reader.line
    columns = reader.text.bytes.withUnsafeBufferPointer { bytes in
      reader.cells.map { cell in
        let text = CellText.string(UnsafeBufferPointer(rebasing: bytes[cell.range]), isQuoted: cell.isQuoted)
        return String(decoding: NumberText.trimmed(ArraySlice(text.utf8)), as: UTF8.self)
      }
    }
    if options.decimal == .comma, columns.count == 1, columns[0].contains(","), options.delimiter == nil {
      throw TableError(
        .malformed, name, line: headerLine,
        "the header has commas and no ';' or tab, and with --decimal comma a comma separates no cells; "
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
    (stores, kept) = try options.stores(for: columns, name)
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
    return Table(source: name, columns: columns, rowCount: rows, stores: stores, lines: lines)
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
    for columns: [String], _ source: String
  ) throws(TableError) -> (stores: [Table.Store], kept: [Int]) {
    func numbers(_ column: String) -> NumberColumn {
      NumberColumn(.init(file: source, column: column, mark: decimal))
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
