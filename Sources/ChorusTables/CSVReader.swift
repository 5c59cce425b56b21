/// Where a cell lies in the window of a text; a quoted cell's place is without its outer quotes.
struct CellSpan: Sendable {
  let start: Int
  let end: Int
  let isQuoted: Bool

  var isBlank: Bool { start == end && !isQuoted }
  var range: Range<Int> { start..<end }
}

/// Splits a stream of text into rows of cells by RFC 4180, with `\n`, `\r\n` or `\r` at the end of a row.
///
/// Chorus has its own reader because SwiftCSV 0.10 tells no line or column of an error, fills up rows that are
/// too short (`makingRectangular` in EnumeratedCSVView.swift, `?? ""` in NamedCSVView.swift), drops spaces
/// around cells, and holds the whole text: a damaged file would be predicted from as if it were whole.
struct CSVReader {
  static let columnLimit = 100_000

  private(set) var text: TextBuffer
  private let delimiter: UInt8
  /// The cells of the present row.
  private(set) var cells: [CellSpan] = []
  /// Lines that were passed as comments.
  private(set) var comments = 0
  /// Where the present row ends, and how many lines it takes.
  private var next: Int
  private var lines = 0

  init(_ text: TextBuffer, delimiter: UInt8) {
    self.text = text
    self.delimiter = delimiter
    next = text.start
  }

  /// The line on which the present row starts.
  var line: Int { text.line }

  private enum Scan {
    case row(next: Int, lines: Int)
    case comment(next: Int)
    /// The row goes on behind the window.
    case more
    case end
    case fault(at: Int, String)
    case tooWide
  }

  /// Goes on to the next row; false at the end of the text.
  mutating func advance() throws(TableError) -> Bool {
    while true {
      text.pass(to: next, lines: lines)
      (next, lines) = (text.start, 0)
      let (from, to, last, mark) = (text.start, text.end, text.ended, delimiter)
      let found = text.bytes.withUnsafeBufferPointer { bytes in
        Self.scan(bytes, from, to, last: last, delimiter: mark, &cells)
      }
      switch found {
      case .row(let next, let lines):
        try text.check(to: next)
        (self.next, self.lines) = (next, lines)
        return true
      case .comment(let next):
        try text.check(to: next)
        (self.next, lines) = (next, 1)
        comments += 1
      case .more:
        try text.more()
        next = text.start
      case .end: return false
      case .fault(let place, let words):
        try text.check(to: min(place + 1, text.end))
        throw text.error(.malformed, at: place, words)
      case .tooWide:
        try text.check(to: text.end)
        throw TableError(
          .malformed, text.name, line: text.line,
          "the row has more than \(Self.columnLimit) columns; keep only the columns that are needed.")
      }
    }
  }

  /// Begins with the text at `place` of the first window, as if nothing were before it.
  mutating func start(at place: Int) {
    lines = text.bytes.withUnsafeBufferPointer { TextBuffer.lines(in: $0[text.start..<place]) }
    next = place
  }

  private static let quote = UInt8(ascii: "\"")
  private static let space = UInt8(ascii: " ")

  /// Whether a line is a comment: it begins with `#`, and that is neither all of its first cell nor the mark of a
  /// missing value in it.
  static func isComment(_ line: some Collection<UInt8>, _ delimiter: UInt8) -> Bool {
    guard line.first == UInt8(ascii: "#") else { return false }
    let cell = line.prefix { $0 != delimiter && $0 != 0x0A && $0 != 0x0D }
    let isAll = cell.count == 1 && delimiter != space && line.dropFirst().first == delimiter
    return !isAll && NumberText.read(ArraySlice(cell.prefix(16))) != .missing
  }

  /// One row of the window `from..<to`; `last` where nothing comes behind it.
  private static func scan(
    _ bytes: UnsafeBufferPointer<UInt8>, _ from: Int, _ to: Int, last: Bool, delimiter: UInt8,
    _ cells: inout [CellSpan]
  ) -> Scan {
    cells.removeAll(keepingCapacity: true)
    guard from < to else { return last ? .end : .more }
    var position = from
    if bytes[from] == UInt8(ascii: "#") {
      guard let end = bytes[from..<to].firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) ?? (last ? to : nil)
      else {
        return .more
      }
      if isComment(bytes[from..<end], delimiter) {
        guard end < to else { return .comment(next: end) }
        guard bytes[end] == 0x0D else { return .comment(next: end + 1) }
        guard end + 1 < to || last else { return .more }
        return .comment(next: end + 1 < to && bytes[end + 1] == 0x0A ? end + 2 : end + 1)
      }
    }
    let isSpaced = delimiter == space
    if isSpaced { pass(bytes, &position, to) }
    var lines = 1
    while true {
      let start = position
      if position < to, bytes[position] == quote {
        guard let close = closingQuote(bytes, start, to, last: last, &lines) else {
          return last
            ? .fault(
              at: start, "the quote that opens here is never closed; close it, or double it to keep it.")
            : .more
        }
        cells.append(CellSpan(start: start + 1, end: close, isQuoted: true))
        position = close + 1
        if position < to, case let after = bytes[position], after != delimiter, after != 0x0A, after != 0x0D {
          return .fault(
            at: position, "text after a closing quote; end the cell there, or double the quotes in it.")
        }
      } else {
        while position < to, case let byte = bytes[position], byte != delimiter, byte != 0x0A, byte != 0x0D {
          if byte == quote {
            return .fault(
              at: position,
              "a quote inside a cell that does not start with one; put the whole cell in quotes and double the "
                + "quotes in it.")
          }
          position += 1
        }
        cells.append(CellSpan(start: start, end: position, isQuoted: false))
      }
      if cells.count > columnLimit { return .tooWide }
      // Spaces are one however many they are, and none at the end of a line.
      if isSpaced {
        pass(bytes, &position, to)
        guard position < to || last else { return .more }
        if position < to, bytes[position] != 0x0A, bytes[position] != 0x0D { continue }
      }
      guard position < to else { return last ? .row(next: position, lines: lines) : .more }
      let byte = bytes[position]
      position += 1
      if byte == delimiter { continue }
      if byte == 0x0D {
        guard position < to || last else { return .more }  // an LF may follow
        if position < to, bytes[position] == 0x0A { position += 1 }
      }
      return .row(next: position, lines: lines)
    }
  }

  private static func pass(_ bytes: UnsafeBufferPointer<UInt8>, _ position: inout Int, _ to: Int) {
    while position < to, bytes[position] == space { position += 1 }
  }

  /// The quote that closes the one at `open`, or nil where the window ends before. Counts line ends on the way.
  private static func closingQuote(
    _ bytes: UnsafeBufferPointer<UInt8>, _ open: Int, _ to: Int, last: Bool, _ lines: inout Int
  ) -> Int? {
    var position = open + 1
    while position < to {
      switch bytes[position] {
      case quote:
        guard position + 1 < to || last else { return nil }  // it may be the first of two
        guard position + 1 < to, bytes[position + 1] == quote else { return position }
        position += 1
      case 0x0D where position + 1 < to && bytes[position + 1] == 0x0A: break  // counted at its LF
      case 0x0A, 0x0D: lines += 1
      default: break
      }
      position += 1
    }
    return nil
  }
}
