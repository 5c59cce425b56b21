extension JSON {
  /// Lists within lists, objects within objects.
  static let depthLimit = 64

  /// Reads a text of one value.
  package init(parsing bytes: [UInt8]) throws(JSONFault) {
    var reader = JSONReader(bytes: bytes)
    self = try reader.document()
  }
}

private struct JSONReader {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func fault(_ words: String) -> JSONFault { JSONFault(place: position + 1, words: words) }

  private mutating func skipSpaces() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func document() throws(JSONFault) -> JSON {
    let value = try value(depth: 0)
    skipSpaces()
    guard next == nil else { throw fault("something follows the value") }
    return value
  }

  private mutating func value(depth: Int) throws(JSONFault) -> JSON {
    skipSpaces()
    guard depth < JSON.depthLimit else { throw fault("nested more than \(JSON.depthLimit) deep") }
    switch next {
    case UInt8(ascii: "{"): return try object(depth)
    case UInt8(ascii: "["): return try array(depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case nil: throw fault("the text ends where a value is expected")
    default: return try number()
    }
  }

  private mutating func word(_ word: String, _ value: JSON) throws(JSONFault) -> JSON {
    guard bytes[position...].starts(with: word.utf8) else { throw fault("a value is expected") }
    position += word.utf8.count
    return value
  }

  private mutating func object(_ depth: Int) throws(JSONFault) -> JSON {
    position += 1
    var members: [JSON.Member] = []
    var seen: Set<String> = []
    skipSpaces()
    if take("}") { return .object([]) }
    while true {
      skipSpaces()
      guard next == UInt8(ascii: "\"") else { throw fault("a key in quotes is expected") }
      let key = try string()
      guard seen.insert(key).inserted else { throw fault("the key \(JSON.quoted(key)) is there twice") }
      skipSpaces()
      guard take(":") else { throw fault("a ':' is expected") }
      members.append(JSON.Member(key: key, value: try value(depth: depth + 1)))
      skipSpaces()
      if take("}") { return .object(members) }
      guard take(",") else { throw fault("a ',' or '}' is expected") }
    }
  }

  private mutating func array(_ depth: Int) throws(JSONFault) -> JSON {
    position += 1
    var values: [JSON] = []
    skipSpaces()
    if take("]") { return .array([]) }
    while true {
      values.append(try value(depth: depth + 1))
      skipSpaces()
      if take("]") { return .array(values) }
      guard take(",") else { throw fault("a ',' or ']' is expected") }
    }
  }

  private mutating func digits() -> Int {
    let start = position
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    return position - start
  }

  private mutating func number() throws(JSONFault) -> JSON {
    let start = position
    _ = take("-")
    let isZero = next == UInt8(ascii: "0")
    let count = digits()
    guard count > 0, !isZero || count == 1 else { throw fault("a value is expected") }
    if take("."), digits() == 0 { throw fault("a digit is expected") }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      guard digits() > 0 else { throw fault("a digit is expected") }
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func string() throws(JSONFault) -> String {
    position += 1
    var text: [UInt8] = []
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw fault("not UTF-8") }
        return string
      case UInt8(ascii: "\\"): text += String(try escape()).utf8
      case 0..<0x20: throw fault("a control character in a string")
      default: text.append(byte)
      }
    }
    throw fault("a string without end")
  }

  private mutating func escape() throws(JSONFault) -> Unicode.Scalar {
    guard let byte = next else { throw fault("a string without end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw fault("an escape that JSON does not have")
    }
    var code = try hexadecimal()
    if (0xD800..<0xDC00).contains(code), take("\\"), take("u") {
      let low = try hexadecimal()
      guard (0xDC00..<0xE000).contains(low) else { throw fault("half a character") }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw fault("half a character") }
    return scalar
  }

  private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw fault("four hexadecimal digits are expected")
      }
      code = code << 4 + UInt32(digit)
      position += 1
    }
    return code
  }
}
