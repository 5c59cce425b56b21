/// The checksum of gzip and zip (CRC-32, polynomial 0xEDB88320), eight bytes a step.
struct Checksum32 {
  private(set) var value: UInt32 = 0

  /// Table 0 is the usual one; table n goes n bytes further.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var rest = UInt32(byte)
      for _ in 0..<8 { rest = rest & 1 == 1 ? 0xEDB8_8320 ^ (rest >> 1) : rest >> 1 }
      tables[byte] = rest
    }
    for index in 256..<tables.count {
      let before = tables[index - 256]
      tables[index] = tables[Int(before & 0xFF)] ^ (before >> 8)
    }
    return tables
  }()

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    var sum = ~value
    var index = 0
    Self.tables.withUnsafeBufferPointer { tables in
      func step(_ table: Int, _ byte: UInt64) -> UInt32 { tables[table * 256 + Int(byte & 0xFF)] }
      while bytes.count - index >= 8 {
        let word =
          UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ UInt64(sum)
        sum =
          step(7, word) ^ step(6, word >> 8) ^ step(5, word >> 16) ^ step(4, word >> 24)
          ^ step(3, word >> 32) ^ step(2, word >> 40) ^ step(1, word >> 48) ^ step(0, word >> 56)
        index += 8
      }
      while index < bytes.count {
        sum = tables[Int((sum ^ UInt32(bytes[index])) & 0xFF)] ^ (sum >> 8)
        index += 1
      }
    }
    value = ~sum
  }
}
