/// A canonical Huffman code of deflate (RFC 1951, 3.2.2), to be decoded from bits that come lowest first.
struct HuffmanCode {
  /// Bits that one look-up decodes; longer codes are rare by their nature and go bit by bit.
  private static let fast = 10

  /// For every value of the next ten bits: symbol << 4 | length; 0 where the code is longer, or is none.
  private var table = [UInt16](repeating: 0, count: 1 << HuffmanCode.fast)
  /// Codes of each length.
  private var counts = [UInt16](repeating: 0, count: 16)
  /// Symbols by their code.
  private var symbols: [UInt16] = []

  init() {}

  /// The code whose symbol s has `lengths[s]` bits (0: not used); nil where bits are left over or lacking. As in
  /// zlib, only a code of no symbol or of one with one bit may be incomplete.
  init?(lengths: ArraySlice<UInt8>) {
    for length in lengths { counts[Int(length)] += 1 }
    counts[0] = 0
    var left = 1
    var longest = 0
    for length in 1..<16 {
      left = left * 2 - Int(counts[length])
      guard left >= 0 else { return nil }
      if counts[length] > 0 { longest = length }
    }
    guard left == 0 || longest <= 1 else { return nil }
    var places = [Int](repeating: 0, count: 16)
    var codes = [Int](repeating: 0, count: 16)
    for length in 1..<15 {
      places[length + 1] = places[length] + Int(counts[length])
      codes[length + 1] = (codes[length] + Int(counts[length])) << 1
    }
    symbols = [UInt16](repeating: 0, count: lengths.count)
    for (symbol, length) in lengths.enumerated() where length > 0 {
      let length = Int(length)
      symbols[places[length]] = UInt16(symbol)
      places[length] += 1
      let code = codes[length]
      codes[length] += 1
      guard length <= Self.fast else { continue }
      var reversed = 0
      for bit in 0..<length where code >> bit & 1 == 1 { reversed |= 1 << (length - 1 - bit) }
      for index in stride(from: reversed, to: table.count, by: 1 << length) {
        table[index] = UInt16(symbol << 4 | length)
      }
    }
  }

  /// The symbol at the front of `bits` and its length in bits; nil where no code starts so.
  @inline(__always)
  func decode(_ bits: UInt64) -> (symbol: Int, length: Int)? {
    let entry = table[Int(bits & (1 << UInt64(Self.fast) - 1))]
    return entry != 0 ? (Int(entry >> 4), Int(entry & 15)) : decodeSlowly(bits)
  }

  private func decodeSlowly(_ bits: UInt64) -> (symbol: Int, length: Int)? {
    var code = 0
    var first = 0
    var index = 0
    for length in 1..<16 {
      code |= Int(bits >> UInt64(length - 1) & 1)
      let count = Int(counts[length])
      if code - count < first { return (Int(symbols[index + code - first]), length) }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    return nil
  }
}
