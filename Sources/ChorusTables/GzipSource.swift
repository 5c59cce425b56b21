/// Expands gzip (RFC 1952), one member after another; length and checksum of each are checked.
final class GzipSource: ByteSource {
  /// Bytes that may come out whatever their number against those that went in.
  static let freely = 64 << 20

  private var inflater: Inflater
  private let limit: ExpansionLimit
  private var sum = Checksum32()
  /// Bytes that came out: of this member, and before it.
  private var length = 0
  private var before = 0
  private var started = false
  private var inside = false
  private var ended = false

  init(_ source: any ByteSource, name: String, limit: Int) {
    inflater = Inflater(source, name: name)
    self.limit = ExpansionLimit(ratio: limit)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
    while !ended, !buffer.isEmpty {
      if !inside { try begin() }
      if ended { break }
      let count = try inflater.read(into: buffer)
      if count > 0 {
        sum.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        length += count
        try limit.check(expanded: before + length, from: inflater.taken, inflater.name)
        return count
      }
      try finish()
    }
    return 0
  }

  /// The head of a member. After a member come another, zeros that fill a tape, or nothing.
  private func begin() throws(TableError) {
    inflater.restart()
    var first = try inflater.byte()
    while started, first == 0 { first = try inflater.byte() }
    guard let first else {
      guard started else { throw inflater.truncated() }
      ended = true
      return
    }
    started = true
    guard first == 0x1F, try next() == 0x8B else {
      throw inflater.corrupt("what follows is not gzip")
    }
    guard try next() == 8 else { throw inflater.corrupt("not packed by deflate") }
    let flags = try next()
    for _ in 0..<6 { _ = try next() }  // time, level, system
    if flags & 4 != 0 {
      let count = Int(try next()) | Int(try next()) << 8
      for _ in 0..<count { _ = try next() }
    }
    if flags & 8 != 0 { while try next() != 0 {} }  // the name
    if flags & 16 != 0 { while try next() != 0 {} }  // a comment
    if flags & 2 != 0 { for _ in 0..<2 { _ = try next() } }
    guard flags & 0xE0 == 0 else { throw inflater.corrupt("flags that are not known") }
    before += length
    length = 0
    sum = Checksum32()
    inside = true
  }

  private func finish() throws(TableError) {
    inflater.restart()
    guard try inflater.word() == sum.value else { throw inflater.corrupt("the checksum is another") }
    guard try inflater.word() == UInt32(truncatingIfNeeded: length) else {
      throw inflater.corrupt("the length is another")
    }
    inside = false
  }

  private func next() throws(TableError) -> UInt8 {
    guard let byte = try inflater.byte() else { throw inflater.truncated() }
    return byte
  }
}

/// A file of a few kilobytes may expand to gigabytes of the same; a table does not.
struct ExpansionLimit {
  /// Bytes out for a byte in.
  let ratio: Int

  func check(expanded: Int, from taken: Int, _ name: String) throws(TableError) {
    guard expanded > GzipSource.freely, expanded / max(ratio, 1) > max(taken, 1) else { return }
    throw TableError(
      .compressed, name,
      "expands to more than \(ratio) times its size (\(taken) bytes to \(expanded) and on); if that is meant, "
        + "raise the limit with --max-expansion.")
  }
}
