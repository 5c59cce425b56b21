/// Reads one JSON object (RFC 8259) that stands on one line.
///
/// Own code, because Foundation's decoders tell no place of an error, take the last of two equal keys without a
/// word, refuse the `NaN` that Python writes, and make a tree of every line, of which a column or two are wanted.
struct JSONScanner {
  /// Where reading stopped, and why.
  struct Fault: Error {
    let at: Int
    let words: String
  }

  /// Lists within lists, objects within objects.
  static let depthLimit = 256

  enum Value {
    /// The characters of a string, escapes and all.
    case string(Range<Int>, hasEscapes: Bool)
    /// A number, `true`, `NaN`, or the text of a list or an object.
    case other(Range<Int>)
    case null

    /// Where the value starts.
    func start(before end: Int) -> Int {
      switch self {
      case .string(let range, _): range.lowerBound - 1
      case .other(let range): range.lowerBound
      case .null: end - 4
      }
    }
  }

  let text: UnsafeBufferPointer<UInt8>
  private(set) var position = 0

  init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

  private func fault(_ words: String) -> Fault { Fault(at: min(position, text.count), words: words) }

  private mutating func skipSpaces() {
    while position < text.count, [0x20, 0x09, 0x0D].contains(text[position]) { position += 1 }
  }

  private func next() -> UInt8? { position < text.count ? text[position] : nil }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Goes into the object; false where it is empty.
  mutating func open() throws(Fault) -> Bool {
    skipSpaces()
    guard take("{") else {
      throw fault("the line is no JSON object; write one object, as {\"x\": 1}, on each line.")
    }
    skipSpaces()
    guard !take("}") else { return try end() }
    return true
  }

  /// The next key and what is in it.
  mutating func member() throws(Fault) -> (key: Range<Int>, hasEscapes: Bool, value: Value) {
    skipSpaces()
    guard next() == UInt8(ascii: "\"") else { throw fault("a key in quotes is expected here.") }
    let (key, hasEscapes) = try string()
    skipSpaces()
    guard take(":") else { throw fault("a ':' is expected here.") }
    skipSpaces()
    return (key, hasEscapes, try value(depth: 0))
  }

  /// Whether another member follows.
  mutating func more() throws(Fault) -> Bool {
    skipSpaces()
    if take(",") { return true }
    guard take("}") else {
      throw fault(
        position < text.count ? "a ',' or '}' is expected here." : "the object does not end on its line.")
    }
    return try end()
  }

  private mutating func end() throws(Fault) -> Bool {
    skipSpaces()
    guard position == text.count else { throw fault("text after the object; write one object on each line.") }
    return false
  }

  private mutating func value(depth: Int) throws(Fault) -> Value {
    let start = position
    switch next() {
    case UInt8(ascii: "\""):
      let (range, hasEscapes) = try string()
      return .string(range, hasEscapes: hasEscapes)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      try skipNested(depth: depth + 1)
      return .other(start..<position)
    case nil: throw fault("the object does not end on its line.")
    default:
      while let byte = next(),
        byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte &- 0x30 <= 9 || byte == 0x2B
          || byte == 0x2D || byte == 0x2E
      { position += 1 }
      let word = UnsafeBufferPointer(rebasing: text[start..<position])
      if word.elementsEqual("null".utf8) { return .null }
      guard Self.isNumber(word) || Self.words.contains(where: { word.elementsEqual($0.utf8) }) else {
        position = start
        throw fault("a value is expected here: a number, a string in quotes, true, false or null.")
      }
      return .other(start..<position)
    }
  }

  /// Python writes the last three, though JSON has no such words.
  private static let words = ["true", "false", "NaN", "Infinity", "-Infinity"]

  /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
  private static func isNumber(_ word: UnsafeBufferPointer<UInt8>) -> Bool {
    var index = 0
    func at(_ index: Int) -> UInt8 { index < word.count ? word[index] : 0 }
    func digits() -> Bool {
      let start = index
      while at(index) &- 0x30 <= 9 { index += 1 }
      return index > start
    }
    if at(index) == UInt8(ascii: "-") { index += 1 }
    let first = index
    guard digits(), index == first + 1 || at(first) != UInt8(ascii: "0") else { return false }
    if at(index) == UInt8(ascii: ".") {
      index += 1
      guard digits() else { return false }
    }
    if at(index) | 0x20 == UInt8(ascii: "e") {
      index += 1
      if at(index) == UInt8(ascii: "+") || at(index) == UInt8(ascii: "-") { index += 1 }
      guard digits() else { return false }
    }
    return index == word.count
  }

  /// A list or an object inside the object, read and left out.
  private mutating func skipNested(depth: Int) throws(Fault) {
    guard depth <= Self.depthLimit else { throw fault("lists and objects are nested too deeply.") }
    let isObject = take("{")
    if !isObject { position += 1 }
    let close: Unicode.Scalar = isObject ? "}" : "]"
    skipSpaces()
    guard !take(close) else { return }
    while true {
      skipSpaces()
      if isObject {
        guard next() == UInt8(ascii: "\"") else { throw fault("a key in quotes is expected here.") }
        _ = try string()
        skipSpaces()
        guard take(":") else { throw fault("a ':' is expected here.") }
        skipSpaces()
      }
      _ = try value(depth: depth)
      skipSpaces()
      guard !take(close) else { return }
      guard take(",") else {
        throw fault(
          position < text.count
            ? "a ',' or '\(close)' is expected here." : "the object does not end on its line.")
      }
    }
  }

  /// The string that starts here, without its quotes; its escapes are checked.
  private mutating func string() throws(Fault) -> (Range<Int>, hasEscapes: Bool) {
    position += 1
    let start = position
    var hasEscapes = false
    while let byte = next() {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return (start..<position - 1, hasEscapes)
      case UInt8(ascii: "\\"):
        hasEscapes = true
        guard try unescape() != nil else { throw fault("an escape that JSON does not have.") }
      case ..<0x20: throw fault("a control character in a string; write it as an escape.")
      default: position += 1
      }
    }
    throw fault("the string does not end on its line.")
  }

  /// The character of the escape that starts here; nil where there is none such. Half of a pair is refused.
  private mutating func unescape() throws(Fault) -> Unicode.Scalar? {
    position += 1
    guard let letter = next() else { return nil }
    position += 1
    switch letter {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      guard let unit = hexadecimal() else { return nil }
      guard unit & 0xFC00 == 0xD800 else { return Unicode.Scalar(unit) }
      guard take("\\"), take("u"), let low = hexadecimal(), low & 0xFC00 == 0xDC00 else { return nil }
      return Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF))
    default: return nil
    }
  }

  private mutating func hexadecimal() -> UInt32? {
    guard text.count - position >= 4 else { return nil }
    var value: UInt32 = 0
    for byte in text[position..<position + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      value = value << 4 | UInt32(digit)
    }
    position += 4
    return value
  }

  /// The bytes of a string whose escapes are written out; it was checked when it was read.
  func unescaped(_ range: Range<Int>) -> [UInt8] {
    var reader = JSONScanner(UnsafeBufferPointer(rebasing: text[range]))
    var result: [UInt8] = []
    while let byte = reader.next() {
      if byte == UInt8(ascii: "\\"), let scalar = (try? reader.unescape()) ?? nil {
        result.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      } else {
        result.append(byte)
        reader.position += 1
      }
    }
    return result
  }
}
