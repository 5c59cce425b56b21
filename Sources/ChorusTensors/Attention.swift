import CChorusKernels

/// Heads of an attention and the width of each.
public struct AttentionSizes: Sendable, Hashable {
  public let heads: Int
  public let width: Int
  /// Heads that have keys and values of their own: `heads`, or a divisor of it, and then as many heads beside each other
  /// read the same keys (grouped-query attention, Ainslie et al. 2023).
  public let keyHeads: Int
  public init(heads: Int, width: Int, keyHeads: Int? = nil) {
    self.heads = heads
    self.width = width
    self.keyHeads = keyHeads ?? heads
  }
  public var columns: Int { heads * width }
  /// Columns of a stored row's keys, and of its values.
  public var keyColumns: Int { keyHeads * width }
  /// 1/√width (Vaswani et al. 2017, eq. 1).
  public var scale: Float { 1 / Float(width).squareRoot() }
}

/// Runs visible blocks during training: packs each key segment once, however many blocks read it.
final class PackedSegments {
  private let arena: Arena
  private let sizes: AttentionSizes
  private var shared:
    (range: Range<Int>, keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)?
  private var own:
    (range: Range<Int>, keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)?

  init(_ arena: Arena, _ sizes: AttentionSizes) {
    self.arena = arena
    self.sizes = sizes
  }

  func attend(
    _ block: VisibleBlock, queries: UnsafeMutablePointer<Float>,
    keyValues: UnsafeMutablePointer<Float>,
    out: UnsafeMutablePointer<Float>, lse: UnsafeMutablePointer<Float>
  ) {
    let d = sizes.columns
    let rows = block.queries.count
    var arguments = ck_attention_args()
    arguments.rows = Int32(rows)
    arguments.heads = Int32(sizes.heads)
    arguments.key_heads = Int32(sizes.keyHeads)
    arguments.width = Int32(sizes.width)
    arguments.scale = sizes.scale
    arguments.q = UnsafePointer(queries + block.queries.lowerBound * d)
    arguments.ldq = Int32(d)
    arguments.out = out + block.queries.lowerBound * d
    arguments.ldo = Int32(d)
    arguments.lse = lse
    if !block.shared.isEmpty {
      let segment = packShared(block.shared, keyValues)
      arguments.shared_count = Int32(block.shared.count)
      arguments.shared_keys = UnsafePointer(segment.keys)
      arguments.shared_values = UnsafePointer(segment.values)
    }
    let own = block.visibleOwn
    if !own.isEmpty {
      let segment = packOwn(own, keyValues)
      arguments.capacity = Int32(own.count)
      arguments.private_keys = UnsafePointer(segment.keys)
      arguments.private_values = UnsafePointer(segment.values)
      arguments.limits = UnsafePointer(arena.integers(block.limits))
    }
    arguments.scratch = arena.floats(
      ck_attention_scratch(arguments.rows, arguments.heads, arguments.width, arguments.shared_count)
    )
    ck_attention(&arguments)
  }

  private func packShared(_ range: Range<Int>, _ keyValues: UnsafeMutablePointer<Float>)
    -> (keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)
  {
    if let shared, shared.range == range { return (shared.keys, shared.values) }
    let (count, heads, width) = (Int32(range.count), Int32(sizes.keyHeads), Int32(sizes.width))
    let d = sizes.keyColumns
    let keys = arena.floats(ck_shared_keys_count(count, heads, width))
    let values = arena.floats(ck_shared_values_count(count, heads, width))
    let rows = keyValues + range.lowerBound * 2 * d
    ck_pack_shared(
      0, count, count, heads, width, rows, Int32(2 * d), rows + d, Int32(2 * d), keys, values)
    shared = (range, keys, values)
    return (keys, values)
  }

  private func packOwn(_ range: Range<Int>, _ keyValues: UnsafeMutablePointer<Float>)
    -> (keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)
  {
    if let own, own.range == range { return (own.keys, own.values) }
    let (count, heads, width) = (Int32(range.count), Int32(sizes.keyHeads), Int32(sizes.width))
    let d = sizes.keyColumns
    let keys = arena.zeros(ck_private_keys_count(count, heads, width))
    let values = arena.zeros(ck_private_values_count(count, heads, width))
    for index in 0..<range.count {
      let row = keyValues + (range.lowerBound + index) * 2 * d
      ck_append_private(Int32(index), count, heads, width, row, row + d, keys, values)
    }
    own = (range, keys, values)
    return (keys, values)
  }
}
