import CChorusKernels
import ChorusTensors

/// Softmax attention: every row is kept, and a read is a local constant regression with weights exp(q·k/√width)
/// (Vaswani et al. 2017, eq. 1). One softmax runs over context and visible buffer rows together.
public struct SoftmaxMemory: Memory {
  public let sizes: AttentionSizes
  public init(_ sizes: AttentionSizes) { self.sizes = sizes }

  public static let capability = Capability(
    holdsSet: true, fixedState: false, rewind: true, subsetReads: true)

  /// Packed keys and values of the context rows.
  public struct Context: Sendable {
    public let count: Int
    let keys: FloatBuffer
    let values: FloatBuffer
  }

  /// Keys and values of each path's own rows. A class, because a path tile owns it and writes in place.
  public final class Buffer {
    public let capacity: Int
    let keys: FloatBuffer
    let values: FloatBuffer
    let keysStride: Int
    let valuesStride: Int

    init(paths: Int, capacity: Int, keysStride: Int, valuesStride: Int) {
      self.capacity = capacity
      self.keysStride = keysStride
      self.valuesStride = valuesStride
      keys = FloatBuffer(count: paths * keysStride)
      values = FloatBuffer(count: paths * valuesStride)
    }
  }

  public func context(rows count: Int) -> Context {
    let (n, heads, width) = (Int32(count), Int32(sizes.heads), Int32(sizes.width))
    return Context(
      count: count, keys: FloatBuffer(uninitialised: ck_shared_keys_count(n, heads, width)),
      values: FloatBuffer(uninitialised: ck_shared_values_count(n, heads, width)))
  }

  public func write(_ keyValues: UnsafePointer<Float>, rows range: Range<Int>, to context: Context) {
    let d = sizes.columns
    ck_pack_shared(
      Int32(range.lowerBound), Int32(range.count), Int32(context.count), Int32(sizes.heads),
      Int32(sizes.width),
      keyValues, Int32(2 * d), keyValues + d, Int32(2 * d), context.keys.pointer,
      context.values.pointer)
  }

  public func buffer(paths: Int, capacity: Int) -> Buffer {
    let (heads, width) = (Int32(sizes.heads), Int32(sizes.width))
    return Buffer(
      paths: paths, capacity: capacity,
      keysStride: ck_private_keys_count(Int32(capacity), heads, width),
      valuesStride: ck_private_values_count(Int32(capacity), heads, width))
  }

  public func append(
    _ keyValues: UnsafePointer<Float>, count: Int, paths: UnsafePointer<Int32>,
    slots: UnsafePointer<Int32>,
    to buffer: Buffer
  ) {
    let (heads, width, d) = (Int32(sizes.heads), Int32(sizes.width), sizes.columns)
    for index in 0..<count {
      let (path, row) = (Int(paths[index]), keyValues + index * 2 * d)
      ck_append_private(
        slots[index], Int32(buffer.capacity), heads, width, row, row + d,
        buffer.keys.pointer + path * buffer.keysStride,
        buffer.values.pointer + path * buffer.valuesStride)
    }
  }

  public func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context,
    into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    var arguments = arguments(queries, rows: rows, context, into: out)
    run(&arguments, scratch)
  }

  public func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    var arguments = arguments(queries, rows: visible.count, context, into: out)
    arguments.capacity = Int32(buffer.capacity)
    arguments.private_keys = UnsafePointer(buffer.keys.pointer)
    arguments.private_values = UnsafePointer(buffer.values.pointer)
    arguments.private_keys_stride = buffer.keysStride
    arguments.private_values_stride = buffer.valuesStride
    arguments.paths = visible.paths
    arguments.limits = visible.limits
    arguments.masks = visible.masks
    arguments.mask_starts = visible.maskStarts
    run(&arguments, scratch)
  }

  private func arguments(
    _ queries: UnsafePointer<Float>, rows: Int, _ context: Context,
    into out: UnsafeMutablePointer<Float>
  ) -> ck_attention_args {
    var arguments = ck_attention_args()
    arguments.rows = Int32(rows)
    arguments.heads = Int32(sizes.heads)
    arguments.width = Int32(sizes.width)
    arguments.scale = sizes.scale
    arguments.q = queries
    arguments.ldq = Int32(sizes.columns)
    arguments.out = out
    arguments.ldo = Int32(sizes.columns)
    arguments.shared_count = Int32(context.count)
    arguments.shared_keys = UnsafePointer(context.keys.pointer)
    arguments.shared_values = UnsafePointer(context.values.pointer)
    return arguments
  }

  private func run(_ arguments: inout ck_attention_args, _ scratch: Arena) {
    guard arguments.rows > 0 else { return }
    let mark = scratch.mark
    arguments.scratch = scratch.floats(
      ck_attention_scratch(arguments.rows, arguments.heads, arguments.width, arguments.shared_count)
    )
    ck_attention(&arguments)
    scratch.rewind(to: mark)
  }

  public func train(queries: Node, keyValues: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    tape.attention(queries: queries, keyValues: keyValues, heads: sizes.heads, blocks: blocks)
  }

  /// Keys beside values, row after row, as `write` takes them.
  public func stateArrays(rows: Int) -> [StateArray] { [StateArray("keyvalues", [rows, 2 * sizes.columns])] }

  public func values(of context: Context) -> [[Float]] {
    let d = sizes.columns
    let rows = [Float](unsafeUninitializedCapacity: context.count * 2 * d) { rows, count in
      count = context.count * 2 * d
      guard let first = rows.baseAddress else { return }
      ck_unpack_shared(
        Int32(context.count), Int32(sizes.heads), Int32(sizes.width), context.keys.pointer,
        context.values.pointer, first, Int32(2 * d), first + d, Int32(2 * d))
    }
    return [rows]
  }

  public func context(rows: Int, values: [[Float]]) -> Context? {
    guard rows > 0, rows <= Int(Int32.max), values.count == 1,
      values[0].count == rows * 2 * sizes.columns, values[0].allSatisfy(\.isFinite)
    else { return nil }
    let context = context(rows: rows)
    values[0].withUnsafeBufferPointer { values in
      if let first = values.baseAddress { write(first, rows: 0..<rows, to: context) }
    }
    return context
  }

  public func contextBytes(rows: Int) -> Int {
    let (n, heads, width) = (Int32(rows), Int32(sizes.heads), Int32(sizes.width))
    return 4 * (ck_shared_keys_count(n, heads, width) + ck_shared_values_count(n, heads, width))
  }

  public func bufferBytes(capacity: Int) -> Int {
    let (n, heads, width) = (Int32(capacity), Int32(sizes.heads), Int32(sizes.width))
    return 4 * (ck_private_keys_count(n, heads, width) + ck_private_values_count(n, heads, width))
  }
}
