/// Expands deflated bytes (RFC 1951), a block at a time, in memory that does not grow with them.
///
/// Own code, because a fresh machine has nothing but a Swift toolchain: Foundation keeps its zlib to itself, and the
/// packages that offer one (swift-nio-extras) link the system's, with a header that has to be installed first.
struct Inflater {
  /// How far back a copy may reach.
  private static let history = 1 << 15
  private static let room = history + (1 << 17)
  /// Bits that one literal, or one length and distance, can take.
  private static let longestSymbol = 48

  private enum State {
    case between
    case stored(left: Int)
    case coded
  }

  let name: String
  private let source: any ByteSource
  private var input = [UInt8](repeating: 0, count: 1 << 16)
  private var next = 0
  private var end = 0
  private var sourceEnded = false
  private var fetched = 0
  /// Bytes of the source that were used.
  var taken: Int { fetched - (end - next) - bitCount / 8 }
  private var bits: UInt64 = 0
  private var bitCount = 0
  private var state = State.between
  private var lastBlock = false
  private var literals = HuffmanCode()
  private var distances = HuffmanCode()
  /// What was expanded: history, then bytes that were not read yet.
  private var window = [UInt8](repeating: 0, count: Inflater.room + 512)
  private var produced = 0
  private var given = 0

  init(_ source: any ByteSource, name: String) {
    self.source = source
    self.name = name
  }

  // MARK: - Bytes between deflated streams

  /// Begins another stream at the present byte.
  mutating func restart() {
    (state, lastBlock, produced, given) = (.between, false, 0, 0)
    bits >>= UInt64(bitCount & 7)
    bitCount &= ~7
  }

  /// The next whole byte, or nil at the end of the source. After ``restart()`` only.
  mutating func byte() throws(TableError) -> UInt8? {
    try refill()
    guard bitCount >= 8 else { return nil }
    return UInt8(take(8))
  }

  /// The next four bytes as a number.
  mutating func word() throws(TableError) -> UInt32 {
    try need(32)
    return UInt32(take(32))
  }

  // MARK: - A stream

  /// Fills the front of `buffer`; 0 at the end of the stream.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
    while given == produced {
      if case .between = state, lastBlock { return 0 }
      slide()
      switch state {
      case .between: try header()
      case .stored(let left): try copyStored(left)
      case .coded: try expand()
      }
    }
    let count = min(buffer.count, produced - given)
    let part = given..<given + count
    window.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[part])) }
    given += count
    return count
  }

  private mutating func slide() {
    guard produced > Self.history else { return }
    let kept = produced - Self.history
    window.withUnsafeMutableBytes { bytes in
      let last = UnsafeRawBufferPointer(rebasing: bytes[kept..<kept + Self.history])
      UnsafeMutableRawBufferPointer(rebasing: bytes[..<Self.history]).copyMemory(from: last)
    }
    produced = Self.history
    given = produced
  }

  /// The order in which the lengths of the code for lengths are written.
  private static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  private mutating func header() throws(TableError) {
    try need(3)
    lastBlock = take(1) == 1
    switch take(2) {
    case 0:
      bits >>= UInt64(bitCount & 7)
      bitCount &= ~7
      let length = try storedLength()
      state = length == 0 ? .between : .stored(left: length)
    case 1:
      var lengths = [UInt8](repeating: 8, count: 288)
      for symbol in 144..<256 { lengths[symbol] = 9 }
      for symbol in 256..<280 { lengths[symbol] = 7 }
      try start(lengths[...], [UInt8](repeating: 5, count: 32)[...])
    case 2: try dynamicHeader()
    default: throw corrupt("a block of an unknown kind")
    }
  }

  /// Length and its complement.
  private mutating func storedLength() throws(TableError) -> Int {
    let both = try word()
    guard both & 0xFFFF == ~both >> 16 else { throw corrupt("a stored block whose length is damaged") }
    return Int(both & 0xFFFF)
  }

  private mutating func dynamicHeader() throws(TableError) {
    try need(14)
    let literalCount = Int(take(5)) + 257
    let distanceCount = Int(take(5)) + 1
    let orderCount = Int(take(4)) + 4
    guard literalCount <= 286, distanceCount <= 30 else { throw corrupt("a block with too many codes") }
    var lengths = [UInt8](repeating: 0, count: 19)
    for place in Self.order.prefix(orderCount) {
      try need(3)
      lengths[place] = UInt8(take(3))
    }
    guard let code = HuffmanCode(lengths: lengths[...]) else {
      throw corrupt("a code for lengths that is none")
    }
    lengths = []
    let total = literalCount + distanceCount
    while lengths.count < total {
      try refill()
      guard let (symbol, length) = code.decode(bits) else { throw corrupt("a length without a code") }
      try drop(length)
      guard symbol > 15 else {
        lengths.append(UInt8(symbol))
        continue
      }
      let (width, least) = symbol == 16 ? (2, 3) : symbol == 17 ? (3, 3) : (7, 11)
      try need(width)
      let count = Int(take(width)) + least
      guard let repeated = symbol == 16 ? lengths.last : 0, lengths.count + count <= total else {
        throw corrupt("a length repeated too often")
      }
      lengths.append(contentsOf: repeatElement(repeated, count: count))
    }
    guard lengths[256] > 0 else { throw corrupt("a block without an end") }
    try start(lengths[..<literalCount], lengths[literalCount...])
  }

  private mutating func start(
    _ literalLengths: ArraySlice<UInt8>, _ distanceLengths: ArraySlice<UInt8>
  ) throws(TableError) {
    guard let literals = HuffmanCode(lengths: literalLengths),
      let distances = HuffmanCode(lengths: distanceLengths)
    else { throw corrupt("a code with bits too many or too few") }
    (self.literals, self.distances, state) = (literals, distances, .coded)
  }

  private mutating func copyStored(_ left: Int) throws(TableError) {
    var left = left
    while left > 0, produced < Self.room {
      try refill()
      guard bitCount >= 8 else { throw truncated() }
      // The bits in hand are whole bytes; the rest comes straight from the input.
      while left > 0, bitCount >= 8, produced < Self.room {
        window[produced] = UInt8(take(8))
        produced += 1
        left -= 1
      }
      let count = min(left, end - next, Self.room - produced)
      guard count > 0, bitCount == 0 else { continue }
      window.replaceSubrange(produced..<produced + count, with: input[next..<next + count])
      produced += count
      next += count
      left -= count
    }
    state = left == 0 ? .between : .stored(left: left)
  }

  private static let lengthBase: [UInt16] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
  ]
  private static let lengthExtra: [UInt8] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  private static let distanceBase: [UInt16] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145,
    8193, 12289, 16385, 24577,
  ]
  private static let distanceExtra: [UInt8] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
  ]

  /// Literals and copies until the block ends or the window is full. A copy is at most 258 bytes, for which the
  /// window has room beyond its limit.
  private mutating func expand() throws(TableError) {
    let (lengthBase, lengthExtra) = (Self.lengthBase, Self.lengthExtra)
    let (distanceBase, distanceExtra) = (Self.distanceBase, Self.distanceExtra)
    while produced < Self.room {
      try refill()
      guard let (symbol, length) = literals.decode(bits) else { throw corrupt("bits that are no code") }
      try drop(length)
      if symbol < 256 {
        window[produced] = UInt8(symbol)
        produced += 1
        continue
      }
      if symbol == 256 {
        state = .between
        return
      }
      guard symbol < 286 else { throw corrupt("a length that is none") }
      let count = Int(lengthBase[symbol - 257]) + Int(take(Int(lengthExtra[symbol - 257])))
      guard let (code, width) = distances.decode(bits), code < 30 else {
        throw corrupt("a distance that is none")
      }
      try drop(width)
      let back = Int(distanceBase[code]) + Int(take(Int(distanceExtra[code])))
      guard bitCount >= 0 else { throw truncated() }
      guard back <= produced else { throw corrupt("a copy from before the start") }
      let from = produced - back
      let to = produced
      window.withUnsafeMutableBufferPointer { window in
        for index in 0..<count { window[to + index] = window[from + index] }
      }
      produced += count
    }
  }

  // MARK: - Bits

  /// Sees to at least 48 bits in hand, as far as the source has them.
  @inline(__always)
  private mutating func refill() throws(TableError) {
    guard bitCount < Self.longestSymbol else { return }
    if end - next < 8, !sourceEnded { try fetch() }
    if end - next >= 8 {
      let word = input.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: next, as: UInt64.self) }
      bits |= UInt64(littleEndian: word) << UInt64(bitCount)
      let bytes = (63 - bitCount) >> 3
      next += bytes
      bitCount += bytes * 8
      bits &= UInt64.max >> UInt64(64 - bitCount)
    } else {
      while bitCount <= 56, next < end {
        bits |= UInt64(input[next]) << UInt64(bitCount)
        next += 1
        bitCount += 8
      }
    }
  }

  private mutating func fetch() throws(TableError) {
    let left = end - next
    for index in 0..<left { input[index] = input[next + index] }
    (next, end) = (0, left)
    let count = try withBytes(&input) { [source] buffer throws(TableError) in
      try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[left...]))
    }
    end += count
    fetched += count
    sourceEnded = count == 0
    // A pipe may give a byte at a time.
    if !sourceEnded, end - next < 8 { try fetch() }
  }

  /// Sees to `count` bits in hand, at most 48.
  private mutating func need(_ count: Int) throws(TableError) {
    try refill()
    guard bitCount >= count else { throw truncated() }
  }

  /// The next bits, which ``need(_:)`` or ``refill()`` has seen to; where the source ended, `bitCount` tells of it
  /// by falling below zero.
  @inline(__always)
  private mutating func take(_ count: Int) -> UInt64 {
    let value = bits & (1 << UInt64(count) - 1)
    bits >>= UInt64(count)
    bitCount -= count
    return value
  }

  @inline(__always)
  private mutating func drop(_ count: Int) throws(TableError) {
    guard count <= bitCount else { throw truncated() }
    bits >>= UInt64(count)
    bitCount -= count
  }

  func truncated() -> TableError {
    TableError(
      .compressed, name, "the compressed data ends early, after \(taken) bytes; is the file cut off?")
  }

  func corrupt(_ what: String) -> TableError {
    TableError(.compressed, name, "the compressed data is damaged near byte \(taken): \(what).")
  }
}
