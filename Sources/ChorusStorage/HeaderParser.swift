/// Why a header can not be read; the reader adds the file's name.
struct HeaderError: Error {
  let detail: String
  init(_ detail: String) { self.detail = detail }
}

/// A strict reader of the JSON in a safetensors header.
///
/// It takes just what the format allows: one object of tensors and at most one `__metadata__` object of strings.
/// Foundation's decoders keep one of two equal keys silently; here a name that comes twice is an error. There
/// is no recursion, so no depth of nesting can exhaust the stack.
struct HeaderParser {
  struct Tensor {
    var name: String
    var type: String
    var shape: [Int]
    var begin: Int
    var end: Int
  }

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Reads the whole header.
  ///
  /// - Throws: `HeaderError` with the byte of the header at which it stops to be well formed.
  mutating func parse() throws(HeaderError) -> (tensors: [Tensor], metadata: [String: String]) {
    var tensors: [Tensor] = []
    var metadata: [String: String]?
    var names: Set<String> = []
    guard bytes.first == UInt8(ascii: "{") else { throw failure("must start with '{'") }
    try members { parser, key throws(HeaderError) in
      guard names.insert(key).inserted else { throw parser.failure("has the name '\(key)' twice") }
      if key == "__metadata__" {
        metadata = try parser.strings()
      } else {
        tensors.append(try parser.tensor(named: key))
      }
    }
    skipSpace()
    guard position == bytes.count else { throw failure("goes on after its closing '}'") }
    return (tensors, metadata ?? [:])
  }

  private mutating func strings() throws(HeaderError) -> [String: String] {
    var result: [String: String] = [:]
    try members { parser, key throws(HeaderError) in
      let value = try parser.string()
      guard result.updateValue(value, forKey: key) == nil else {
        throw parser.failure("has the metadata key '\(key)' twice")
      }
    }
    return result
  }

  private mutating func tensor(named name: String) throws(HeaderError) -> Tensor {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try members { parser, key throws(HeaderError) in
      switch key {
      case "dtype" where type == nil: type = try parser.string()
      case "shape" where shape == nil: shape = try parser.integers()
      case "data_offsets" where offsets == nil: offsets = try parser.integers()
      default: throw parser.failure("has an unknown or repeated key '\(key)' in tensor '\(name)'")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw failure("lacks dtype, shape or two data_offsets for tensor '\(name)'")
    }
    return Tensor(name: name, type: type, shape: shape, begin: offsets[0], end: offsets[1])
  }

  /// Reads `{ "key": value, … }`; `body` reads each value.
  private mutating func members(
    _ body: (inout HeaderParser, String) throws(HeaderError) -> Void
  ) throws(HeaderError) {
    try expect("{")
    if accept("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try body(&self, key)
    } while accept(",")
    try expect("}")
  }

  private mutating func integers() throws(HeaderError) -> [Int] {
    var result: [Int] = []
    try expect("[")
    if accept("]") { return result }
    repeat { result.append(try integer()) } while accept(",")
    try expect("]")
    return result
  }

  private mutating func integer() throws(HeaderError) -> Int {
    skipSpace()
    let start = position
    var value = 0
    while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit <= 9 {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(digit))
      if overflow || carry { throw failure("has a number too large to be a size") }
      if position > start && value == 0 { throw failure("has a number with a leading zero") }
      value = sum
      position += 1
    }
    guard position > start else { throw failure("lacks a whole number") }
    return value
  }

  private mutating func string() throws(HeaderError) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let result = String(validating: text, as: UTF8.self) else {
          throw failure("has a name that is not UTF-8")
        }
        return result
      case UInt8(ascii: "\\"): text.append(contentsOf: try escape())
      case 0..<0x20: throw failure("has a control character in a name")
      default: text.append(byte)
      }
    }
    throw failure("ends inside a name")
  }

  private mutating func escape() throws(HeaderError) -> [UInt8] {
    guard position < bytes.count else { throw failure("ends inside a name") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var unit = try hexadecimal()
      if unit & 0xFC00 == 0xD800 {
        guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
          bytes[position + 1] == UInt8(ascii: "u")
        else { throw failure("has half a surrogate pair") }
        position += 2
        let low = try hexadecimal()
        guard low & 0xFC00 == 0xDC00 else { throw failure("has half a surrogate pair") }
        unit = 0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF
      }
      guard let scalar = Unicode.Scalar(unit) else { throw failure("has half a surrogate pair") }
      return Array(String(Character(scalar)).utf8)
    default: throw failure("has an unknown escape in a name")
    }
  }

  private mutating func hexadecimal() throws(HeaderError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count,
        let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue
      else {
        throw failure("has an unknown escape in a name")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(HeaderError) {
    guard accept(character) else { throw failure("lacks '\(character)'") }
  }

  private func failure(_ what: String) -> HeaderError {
    HeaderError("the header \(what) (byte \(position) of the header)")
  }
}
