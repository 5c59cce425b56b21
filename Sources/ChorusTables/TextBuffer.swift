/// A stream of text seen through a window that moves on record by record.
///
/// Memory is one block, and where a record is longer the record. Errors get the line, which is counted along, and the
/// character in it.
struct TextBuffer {
  /// The longest line, or row with line ends inside quotes, in bytes.
  static let recordLimit = 64 << 20

  let name: String
  private let source: any ByteSource
  private(set) var bytes: [UInt8]
  /// The first byte that was not passed, and the first that was not read yet.
  private(set) var start = 0
  private(set) var end = 0
  private(set) var ended = false
  /// The line of `start`, from 1.
  private(set) var line = 1
  /// Up to here the window may hold other bytes than ASCII.
  private var suspect = 0

  /// - Throws: `TableError`: the first block can not be read or is UTF-16.
  init(_ source: any ByteSource, name: String, block: Int = 1 << 16) throws(TableError) {
    self.source = source
    self.name = name
    bytes = [UInt8](repeating: 0, count: block)
    try more()
    if bytes[..<end].starts(with: [0xFF, 0xFE]) || bytes[..<end].starts(with: [0xFE, 0xFF]) {
      throw TableError(
        .encoding, name, line: 1, column: 1, "is UTF-16 text; save it as UTF-8 (iconv -f utf-16 -t utf-8).")
    }
    if bytes[..<end].starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
  }

  /// Reads another block behind what is there, which moves to the front.
  mutating func more() throws(TableError) {
    if start > 0 {
      let (first, count) = (start, end - start)
      bytes.withUnsafeMutableBytes { bytes in
        bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[first..<first + count]))
      }
      suspect = max(0, suspect - start)
      (start, end) = (0, count)
    }
    guard end - start <= Self.recordLimit else { throw tooLong() }
    if end == bytes.count { bytes.append(contentsOf: repeatElement(0, count: bytes.count)) }
    let from = end
    let count = try withBytes(&bytes) { [source] buffer throws(TableError) in
      try source.fill(UnsafeMutableRawBufferPointer(rebasing: buffer[from...]))
    }
    end += count
    ended = end < bytes.count
    let plain = bytes.withUnsafeBytes {
      UTF8Text.isPlain(UnsafeRawBufferPointer(rebasing: $0[from..<from + count]))
    }
    if !plain { suspect = end }
  }

  /// Refuses the record up to `next` where it is too long or not UTF-8.
  mutating func check(to next: Int) throws(TableError) {
    guard next - start <= Self.recordLimit else { throw tooLong() }
    guard start < suspect else { return }
    let record = start..<next
    let bad = bytes.withUnsafeBytes { UTF8Text.firstInvalid(UnsafeRawBufferPointer(rebasing: $0[record])) }
    guard let bad else { return }
    let byte = bytes[start + bad]
    throw error(
      .encoding, at: start + bad,
      byte == 0
        ? "a zero byte: this is UTF-16 text or no text; save it as UTF-8."
        : "the byte 0x\(String(byte, radix: 16)) is not UTF-8; save the file as UTF-8 (iconv -f latin1 -t utf-8)."
    )
  }

  /// Goes on to `next`, which is `lines` lines further.
  mutating func pass(to next: Int, lines: Int) {
    start = next
    line += lines
  }

  private func tooLong() -> TableError {
    TableError(
      .malformed, name, line: line,
      "the row is longer than \(Self.recordLimit >> 20) MiB; is a closing quote missing, or is this no CSV?")
  }

  /// Lines that end in `bytes`.
  static func lines(in bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
    place(of: bytes.endIndex, in: bytes, line: 0).line
  }

  /// Line and character of a place in the record that begins at `start`.
  func place(of offset: Int) -> (line: Int, column: Int) {
    bytes.withUnsafeBufferPointer { Self.place(of: offset, in: $0[start..<end], line: line) }
  }

  /// Line and character of a place in `record`, which begins on line `line`.
  static func place(
    of offset: Int, in record: Slice<UnsafeBufferPointer<UInt8>>, line: Int
  ) -> (line: Int, column: Int) {
    var place = (line: line, column: 1)
    for index in record.startIndex..<min(offset, record.endIndex) {
      switch record[index] {
      case 0x0D where index + 1 < record.endIndex && record[index + 1] == 0x0A: break  // counted at its LF
      case 0x0A, 0x0D: place = (place.line + 1, 1)
      case 0x80..<0xC0: break  // goes on a character
      default: place.column += 1
      }
    }
    return place
  }

  func error(_ reason: TableError.Reason, at offset: Int, _ detail: String) -> TableError {
    let place = place(of: offset)
    return TableError(reason, name, line: place.line, column: place.column, detail)
  }
}

enum UTF8Text {
  /// Whether all bytes are ASCII other than zero.
  static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var found: UInt64 = 0
    var index = 0
    while bytes.count - index >= 8 {
      let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      found |= word | (word &- ones) & ~word
      index += 8
    }
    while index < bytes.count {
      found |= bytes[index] &- 1 >= 0x7F ? 0x80 : 0
      index += 1
    }
    return found & (ones << 7) == 0
  }

  /// The offset of the first byte that is zero or not UTF-8, or nil.
  static func firstInvalid(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    var offset = 0
    while true {
      switch parser.parseScalar(from: &iterator) {
      case .valid(let scalar):
        if scalar.first == 0 { return offset }
        offset += scalar.count
      case .emptyInput: return nil
      case .error: return offset
      }
    }
  }
}
