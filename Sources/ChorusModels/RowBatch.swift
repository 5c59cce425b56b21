/// Which buffer rows of its path one row of a network call reads: all slots below `limit`, or some of them.
public struct Reads: Sendable, Hashable {
  /// One more than the highest slot that is read.
  public let limit: Int
  /// One bit a slot, 64 slots a word, ⌈limit/64⌉ words; empty where all slots below `limit` are read.
  public let mask: [UInt64]

  /// The first `count` slots: what a network has seen in training.
  public static func prefix(_ count: Int) -> Reads { Reads(limit: max(count, 0), mask: []) }
  /// The context alone.
  public static let none = Reads.prefix(0)

  private init(limit: Int, mask: [UInt64]) {
    self.limit = limit
    self.mask = mask
  }

  /// These slots, none of them negative. Slots 0 ..< n are the prefix of n slots, whatever they were made from.
  public init(_ slots: RangeSet<Int>) {
    precondition(slots.ranges.first.map { $0.lowerBound >= 0 } ?? true, "slots count from 0")
    limit = slots.ranges.last?.upperBound ?? 0
    guard slots != RangeSet(0..<limit) else {
      mask = []
      return
    }
    var words = [UInt64](repeating: 0, count: (limit + 63) / 64)
    for slot in slots.ranges.joined() { words[slot / 64] |= 1 << (slot % 64) }
    mask = words
  }
}

/// The rows of one network call, path by path: for each path the rows that it commits, then its queries.
///
/// Paths may differ in their numbers of rows, and a path may have none. A batch is meant to be emptied and filled
/// again from call to call: it then allocates nothing.
public struct RowBatch: Sendable {
  /// Rows of the call, committed and queried.
  public private(set) var count = 0
  /// Rows that the call asks for.
  public private(set) var queries = 0
  /// Paths begun.
  public private(set) var paths = 0

  // One element a row, in order.
  package private(set) var inputs: [Int32] = []
  package private(set) var path: [Int32] = []
  package private(set) var limits: [Int32] = []
  /// Where the row's words begin in `masks`; -1 where it reads a prefix.
  package private(set) var maskStarts: [Int32] = []
  /// Slot of a committed row; -1 for a query.
  package private(set) var slots: [Int32] = []
  /// One element a committed row.
  package private(set) var values: [Float] = []
  package private(set) var masks: [UInt64] = []

  public init() {}

  public var commits: Int { count - queries }

  /// The same rows with other values committed.
  package func replacing(values: [Float]) -> RowBatch {
    precondition(values.count == commits, "there is a value for each row committed")
    var other = self
    other.values = values
    return other
  }

  /// Empties the batch and keeps its memory.
  public mutating func clear() {
    (count, queries, paths) = (0, 0, 0)
    inputs.removeAll(keepingCapacity: true)
    path.removeAll(keepingCapacity: true)
    limits.removeAll(keepingCapacity: true)
    maskStarts.removeAll(keepingCapacity: true)
    slots.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
    masks.removeAll(keepingCapacity: true)
  }

  /// Goes on to the next path; comes before the rows of the first one as well.
  public mutating func begin() { paths += 1 }

  /// Commits the value `y`, in the network's units, of an input to `slot` of the path. What a committed row reads
  /// includes its own slot; it may read rows that are committed in the same call.
  public mutating func commit(input: Int32, y: Float, slot: Int32, reads: Reads) {
    precondition(
      slots.last.map { $0 >= 0 || path.last != Int32(paths - 1) } ?? true, "a path's commits come first")
    precondition(slot >= 0, "slots count from 0")
    append(input, slot, reads)
    values.append(y)
  }

  /// Asks for the distribution of an input's value.
  public mutating func query(input: Int32, reads: Reads) {
    append(input, -1, reads)
    queries += 1
  }

  private mutating func append(_ input: Int32, _ slot: Int32, _ reads: Reads) {
    precondition(paths > 0, "rows belong to a path: begin one")
    inputs.append(input)
    path.append(Int32(paths - 1))
    limits.append(Int32(reads.limit))
    maskStarts.append(reads.mask.isEmpty ? -1 : Int32(masks.count))
    if !reads.mask.isEmpty { masks.append(contentsOf: reads.mask) }
    slots.append(slot)
    count += 1
  }
}
