/// Reads the head of a GGUF file from its first byte on; nothing it reads can lead outside the bytes.
struct GGUFScanner {
  let bytes: UnsafeRawBufferPointer
  private(set) var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The next `count` bytes.
  mutating func take(_ count: Int, _ what: String) throws(HeaderError) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= bytes.count - position else {
      throw HeaderError("it ends inside \(what)")
    }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
  }

  mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, _ what: String
  ) throws(HeaderError) -> T {
    T(littleEndian: try take(MemoryLayout<T>.size, what).loadUnaligned(as: T.self))
  }

  /// A length of 64 bits that is no longer than the file.
  mutating func length(_ what: String) throws(HeaderError) -> Int {
    let length = try integer(UInt64.self, what)
    guard length <= UInt64(bytes.count) else {
      throw HeaderError("\(what) claims \(length), more than the file has bytes")
    }
    return Int(length)
  }

  mutating func string(_ what: String) throws(HeaderError) -> String {
    let text = try take(try length("the length of \(what)"), what)
    guard let string = String(validating: text, as: UTF8.self) else {
      throw HeaderError("\(what) is not UTF-8")
    }
    return string
  }

  /// Types of metadata, by their numbers.
  enum Kind: UInt32 {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64
  }

  mutating func kind(_ what: String) throws(HeaderError) -> Kind {
    let number = try integer(UInt32.self, what)
    guard let kind = Kind(rawValue: number) else {
      throw HeaderError("\(what) is of type \(number); known are 0 to 12")
    }
    return kind
  }

  mutating func value(_ kind: Kind, _ what: String) throws(HeaderError) -> GGUF.Value {
    switch kind {
    case .uint8: return .integer(Int(try integer(UInt8.self, what)))
    case .int8: return .integer(Int(try integer(Int8.self, what)))
    case .uint16: return .integer(Int(try integer(UInt16.self, what)))
    case .int16: return .integer(Int(try integer(Int16.self, what)))
    case .uint32: return .integer(Int(try integer(UInt32.self, what)))
    case .int32: return .integer(Int(try integer(Int32.self, what)))
    case .int64: return .integer(Int(try integer(Int64.self, what)))
    case .uint64:
      let value = try integer(UInt64.self, what)
      guard let value = Int(exactly: value) else { throw HeaderError("\(what) is \(value), too large") }
      return .integer(value)
    case .float32: return .number(Double(Float(bitPattern: try integer(UInt32.self, what))))
    case .float64: return .number(Double(bitPattern: try integer(UInt64.self, what)))
    case .bool: return .flag(try integer(UInt8.self, what) != 0)
    case .string: return .text(try string(what))
    case .array:
      let element = try self.kind("the type of \(what)")
      guard element != .array else { throw HeaderError("\(what) is an array of arrays, which is not read") }
      let count = try length("the length of \(what)")
      var values: [GGUF.Value] = []
      for _ in 0..<count { values.append(try value(element, what)) }
      return .list(values)
    }
  }
}
