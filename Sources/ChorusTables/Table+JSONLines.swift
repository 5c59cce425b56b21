extension Table {
  /// Reads JSON lines: one object a row; its keys are the columns. A key that an object lacks is a missing value.
  static func jsonLines(
    _ source: any ByteSource, name: String, options: TableOptions
  ) throws(TableError) -> Table {
    var text = try TextBuffer(source, name: name)
    var rows = JSONRows(name, options)
    while let end = try text.wholeLine() {
      try text.check(to: end.next)
      let line = text.start..<end.contents
      let number = text.line
      let fault = text.bytes.withUnsafeBufferPointer { bytes -> JSONScanner.Fault? in
        let characters = UnsafeBufferPointer(rebasing: bytes[line])
        if characters.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { return nil }
        do throws(JSONScanner.Fault) { try rows.take(characters, line: number) } catch { return error }
        return nil
      }
      if let fault { throw text.error(.malformed, at: text.start + fault.at, fault.words) }
      text.pass(to: end.next, lines: 1)
    }
    return try rows.finish()
  }
}

extension TextBuffer {
  /// Where the line that begins at `start` ends, and the one after it begins; nil at the end of the text.
  mutating func wholeLine() throws(TableError) -> (contents: Int, next: Int)? {
    var looked = 0
    while true {
      let from = start + looked
      let end = bytes.withUnsafeBufferPointer { $0[from..<self.end].firstIndex(of: 0x0A) }
      if let end { return (end, end + 1) }
      if ended { return start < self.end ? (self.end, self.end) : nil }
      looked = self.end - start
      try more()
    }
  }
}

/// Turns objects into columns.
private struct JSONRows {
  /// A file of n lines may have n different keys, and would need n² cells: so many are taken freely, or for each
  /// value in the file.
  private static let freeCells = 1 << 22
  private static let cellsForAValue = 100

  private let name: String
  private var options: TableOptions
  private let missing: MissingMarkers
  private var columns: [String] = []
  private var indices: [String: Int] = [:]
  private var stores: [Table.Store] = []
  /// Columns of which something is kept.
  private var kept: [Int] = []
  /// The last row, from 1, in which each column was met.
  private var met: [Int] = []
  private var rows = 0
  /// Values in the file, and cells kept, most of them missing where each line has keys of its own.
  private var values = 0
  private var cells = 0
  private var lines = LineNumbers()

  init(_ name: String, _ options: TableOptions) {
    self.name = name
    self.options = options
    self.options.decimal = .point
    missing = MissingMarkers(options.missing)
  }

  mutating func take(_ text: UnsafeBufferPointer<UInt8>, line: Int) throws(JSONScanner.Fault) {
    var scanner = JSONScanner(text)
    var goesOn = try scanner.open()
    rows += 1
    lines.append(line)
    var expected = 0
    while goesOn {
      let start = scanner.position
      let (key, hasEscapes, value) = try scanner.member()
      let column = try column(key, hasEscapes, scanner, guess: expected, at: start)
      values += 1
      expected = column + 1
      met[column] = rows
      let place = value.start(before: scanner.position)
      add(value, scanner, to: column) { (line, 1 + text[..<place].count { $0 & 0xC0 != 0x80 }) }
      goesOn = try scanner.more()
    }
    cells += kept.count
    for column in kept where met[column] != rows { addMissing(column) { (line, nil) } }
  }

  /// The column of a key. Keys mostly come in the order of the line before, which saves a look-up.
  private mutating func column(
    _ key: Range<Int>, _ hasEscapes: Bool, _ scanner: JSONScanner, guess: Int, at start: Int
  ) throws(JSONScanner.Fault) -> Int {
    let characters = UnsafeBufferPointer(rebasing: scanner.text[key])
    if !hasEscapes, guess < columns.count, met[guess] != rows, columns[guess].utf8.elementsEqual(characters) {
      return guess
    }
    let name = String(decoding: hasEscapes ? scanner.unescaped(key) : Array(characters), as: UTF8.self)
    if let index = indices[name] {
      guard met[index] != rows else {
        throw JSONScanner.Fault(
          at: key.lowerBound - 1, words: "the key '\(name)' is there twice; leave one out.")
      }
      return index
    }
    guard columns.count < CSVReader.columnLimit else {
      throw JSONScanner.Fault(
        at: key.lowerBound - 1,
        words: "more than \(CSVReader.columnLimit) different keys; keep only those that are needed.")
    }
    let index = columns.count
    columns.append(name)
    indices[name] = index
    met.append(0)
    let isNumbers = options.numbers?.contains(name) ?? true
    let isText = options.numbers == nil || options.texts.contains(name)
    stores.append(
      Table.Store(
        numbers: isNumbers
          ? NumberColumn(
            .init(file: self.name, column: name, notation: options.dateNotation, missing: missing)) : nil,
        texts: isText ? TextColumn() : nil))
    guard isNumbers || isText else { return index }
    kept.append(index)
    cells += rows - 1
    guard cells <= max(Self.freeCells, Self.cellsForAValue * values) else {
      throw JSONScanner.Fault(
        at: key.lowerBound - 1,
        words: "\(cells) cells for \(values) values, for keys change from line to line.")
    }
    for row in 0..<rows - 1 {
      let line = lines[row]
      addMissing(index) { (line, nil) }
    }
    return index
  }

  private mutating func add(
    _ value: JSONScanner.Value, _ scanner: JSONScanner, to column: Int, place: () -> NumberColumn.Place
  ) {
    switch value {
    case .null: addMissing(column, place: place)
    case .other(let range): add(UnsafeBufferPointer(rebasing: scanner.text[range]), to: column, place)
    case .string(let range, false): add(UnsafeBufferPointer(rebasing: scanner.text[range]), to: column, place)
    case .string(let range, true):
      scanner.unescaped(range).withUnsafeBufferPointer { add($0, to: column, place) }
    }
  }

  private mutating func add(
    _ text: UnsafeBufferPointer<UInt8>, to column: Int, _ place: () -> NumberColumn.Place
  ) {
    stores[column].numbers?.append(text, place: place)
    stores[column].texts?.append(text)
  }

  private mutating func addMissing(_ column: Int, place: () -> NumberColumn.Place) {
    stores[column].numbers?.appendMissing(place: place)
    stores[column].texts?.append(UnsafeBufferPointer(start: nil, count: 0))
  }

  func finish() throws(TableError) -> Table {
    guard rows > 0 else {
      throw TableError(.malformed, name, "is empty; write one JSON object on each line.")
    }
    guard !columns.isEmpty else {
      throw TableError(.malformed, name, "has objects without keys; write them as {\"x\": 1, \"y\": 2}.")
    }
    for wanted in options.required { _ = try Table.index(of: wanted, in: columns, name) }
    return Table(source: name, columns: columns, rowCount: rows, stores: stores, lines: lines)
  }
}
