import CChorusKernels
import ChorusTensors

/// How the processes of one training run pass bytes to each other. Everything that they do together is made of ``swap(_:_:with:)``, here,
/// so that it can be tested without any of them.
public protocol Exchange: Sendable {
  /// This process's place among ``ranks``.
  var rank: Int { get }
  /// How many processes there are: a power of two.
  var ranks: Int { get }

  /// Gives bytes to another process, which calls this at the same time, and takes as many as `incoming` has room for.
  ///
  /// - Throws: `TrainingError.rank` where the other one does not answer.
  func swap(_ outgoing: UnsafeRawBufferPointer, _ incoming: UnsafeMutableRawBufferPointer, with other: Int)
    throws
}

/// One process.
public struct Alone: Exchange {
  public var rank: Int { 0 }
  public var ranks: Int { 1 }
  public init() {}
  public func swap(
    _ outgoing: UnsafeRawBufferPointer, _ incoming: UnsafeMutableRawBufferPointer, with other: Int
  ) throws {}
}

extension Exchange {
  /// This rank's share of a number of items: ranks' shares follow one another.
  func share(of count: Int) -> Range<Int> { share(of: count, rank) }

  func share(of count: Int, _ rank: Int) -> Range<Int> {
    count * rank / ranks..<count * (rank + 1) / ranks
  }

  /// Adds up what the ranks have, which all of them then hold.
  ///
  /// Recursive halving, then doubling (Thakur, Rabenseifner and Gropp 2005, sec. 4.2): neighbours come first, so that every number is
  /// added along the binary tree of which ranks are the leaves: the sum is that of one process that adds along this tree. A rank sends and takes
  /// 2 (1 − 1/ranks) times the buffer.
  func sum(_ buffer: FloatBuffer) throws {
    guard ranks > 1 else { return }
    let scratch = FloatBuffer(uninitialised: (buffer.count + 1) / 2)
    var parts = [0..<buffer.count]
    var distance = 1
    while distance < ranks {
      let part = parts[parts.count - 1]
      let middle = part.lowerBound + part.count / 2
      let (low, high) = (part.lowerBound..<middle, middle..<part.upperBound)
      let (kept, given) = rank & distance == 0 ? (low, high) : (high, low)
      try swap(buffer.bytes(given).readOnly, scratch.bytes(0..<kept.count), with: rank ^ distance)
      ck_add(kept.count, scratch.pointer, buffer.pointer + kept.lowerBound)
      parts.append(kept)
      distance *= 2
    }
    while distance > 1 {
      distance /= 2
      let own = parts.removeLast()
      let whole = parts[parts.count - 1]
      let other =
        rank & distance == 0 ? own.upperBound..<whole.upperBound : whole.lowerBound..<own.lowerBound
      try swap(buffer.bytes(own).readOnly, buffer.bytes(other), with: rank ^ distance)
    }
  }

  /// The numbers of every rank, in the order of ranks; all of them give as many.
  func gather(_ own: [Double]) throws -> [[Double]] {
    var all = [[Double]](repeating: own, count: ranks)
    var distance = 1
    while distance < ranks {
      let (first, other) = (rank / distance * distance, (rank ^ distance) / distance * distance)
      let outgoing = Array(all[first..<first + distance].joined())
      var incoming = [Double](repeating: 0, count: outgoing.count)
      try outgoing.withUnsafeBytes { outgoing in
        try incoming.withUnsafeMutableBytes { try swap(outgoing, $0, with: rank ^ distance) }
      }
      for place in 0..<distance {
        all[other + place] = Array(incoming[place * own.count..<(place + 1) * own.count])
      }
      distance *= 2
    }
    return all
  }

  /// Gives all ranks the bytes of the first.
  func share(_ bytes: UnsafeMutableRawBufferPointer) throws {
    let none = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    var distance = ranks / 2
    while distance > 0 {
      if rank % (2 * distance) == 0 { try swap(bytes.readOnly, none, with: rank + distance) }
      if rank % (2 * distance) == distance { try swap(none.readOnly, bytes, with: rank - distance) }
      distance /= 2
    }
  }

  /// The text of the first rank; the others give nothing.
  func share(_ text: String) throws -> String {
    var bytes = Array(text.utf8)
    var count = [Int64(bytes.count)]
    try count.withUnsafeMutableBytes { try share($0) }
    guard (0...1 << 30).contains(count[0]) else { throw TrainingError.rank("rank 0 sent no text") }
    if rank != 0 { bytes = [UInt8](repeating: 0, count: Int(count[0])) }
    try bytes.withUnsafeMutableBytes { try share($0) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate var readOnly: UnsafeRawBufferPointer { UnsafeRawBufferPointer(self) }
}

extension FloatBuffer {
  fileprivate func bytes(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      UnsafeMutableBufferPointer(start: pointer + range.lowerBound, count: range.count))
  }
  var bytes: UnsafeMutableRawBufferPointer { bytes(0..<count) }
}
