import CChorusKernels
import ChorusTensors
import Foundation

/// Softmax attention: every row is kept, and a read is a local constant regression with weights exp(q·k/√width)
/// (Vaswani et al. 2017, eq. 1). One softmax runs over context and visible buffer rows together.
///
/// With keys and queries of length 1 and a learned temperature a head it is Gaussian kernel regression: only then does a
/// key's weight fall with its distance alone.
struct SoftmaxMemory: SpecifiedMemory {
  let sizes: AttentionSizes
  let shape: MemoryShape
  private let unit: Bool
  private let learned: MemoryValues
  /// Whether the context's keys and values are kept as bfloat16 and products with them rounded.
  private let rounds: Bool

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    let initial = log(Double(sizes.width).squareRoot())
    return MemoryShape(
      StoredLayout(sizes), read: sizes.columns,
      parameters: spec.features == "unit"
        ? [MemoryParameter("temperature", sizes.heads, initial: initial)] : [])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    unit = spec.features == "unit"
    learned = values
    rounds = values.weights.precision == .bf16
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: true, fixedState: false, subsetReads: true, merge: true)
  }
  let capability: Capability

  /// Packed keys and values of the context rows.
  final class Context: Sendable {
    let count: Int
    let keys: FloatBuffer
    let values: FloatBuffer
    init(count: Int, keys: FloatBuffer, values: FloatBuffer) {
      self.count = count
      self.keys = keys
      self.values = values
    }
  }

  /// Keys and values of each path's own rows. A class, because a path tile owns it and writes in place.
  final class Buffer {
    let capacity: Int
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

  /// Σ s v / Σ s, s = exp(q·k/√width), or exp(e^t·q·k) with both of length 1.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let unit = head.spec.features == "unit"
    let scale = unit ? exp(head.numbers[0][head.head]) : 1 / Double(head.sizes.width).squareRoot()
    let q = head.features(query)
    let scores = head.rows.map { scale * head.dot(q, head.features($0.key)) }
    return ReferenceRead(head.sum(head.softmax(scores)))
  }

  // MARK: Lengths

  /// e^t of a head, against the scale that the kernel multiplies scores by.
  private func temperature(_ head: Int) -> Float { exp(learned[0][head]) / sizes.scale }

  /// Queries of length e^t/scale, or keys of length 1, `[rows, stride]`, in place.
  private func makeUnit(_ rows: UnsafeMutablePointer<Float>, _ count: Int, stride: Int, queries: Bool) {
    let map = UnitFeatures()
    for row in 0..<count {
      for head in 0..<(queries ? sizes.heads : sizes.keyHeads) {
        let x = rows + row * stride + head * sizes.width
        map.apply(x, width: sizes.width, into: x)
        guard queries else { continue }
        let factor = temperature(head)
        for i in 0..<sizes.width { x[i] *= factor }
      }
    }
  }

  /// A copy of the rows with the lengths they are stored or asked with; the rows themselves where that is as they are.
  private func prepared(
    _ rows: UnsafePointer<Float>, _ count: Int, stride: Int, queries: Bool, _ scratch: Arena
  ) -> UnsafePointer<Float> {
    guard unit else { return rows }
    let copy = scratch.floats(count * stride)
    copy.update(from: rows, count: count * stride)
    makeUnit(copy, count, stride: stride, queries: queries)
    return UnsafePointer(copy)
  }

  // MARK: Storing

  func draft(rows count: Int) -> Context {
    let (n, heads, width) = (Int32(count), Int32(sizes.keyHeads), Int32(sizes.width))
    return Context(
      count: count, keys: FloatBuffer(uninitialised: ck_shared_keys_count(n, heads, width)),
      values: FloatBuffer(uninitialised: ck_shared_values_count(n, heads, width)))
  }

  func write(
    _ stored: UnsafePointer<Float>, rows range: Range<Int>, to context: Context, scratch: Arena
  ) {
    let (d, mark) = (sizes.keyColumns, scratch.mark)
    let keyValues = prepared(stored, range.count, stride: 2 * d, queries: false, scratch)
    (rounds ? ck_pack_shared_bf16 : ck_pack_shared)(
      Int32(range.lowerBound), Int32(range.count), Int32(context.count), Int32(sizes.keyHeads),
      Int32(sizes.width),
      keyValues, Int32(2 * d), keyValues + d, Int32(2 * d), context.keys.pointer,
      context.values.pointer)
    scratch.rewind(to: mark)
  }

  func finish(_ draft: Context) -> Context { draft }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    let (heads, width) = (Int32(sizes.keyHeads), Int32(sizes.width))
    return Buffer(
      paths: paths, capacity: capacity,
      keysStride: ck_private_keys_count(Int32(capacity), heads, width),
      valuesStride: ck_private_values_count(Int32(capacity), heads, width))
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    let (heads, width, d) = (Int32(sizes.keyHeads), Int32(sizes.width), sizes.keyColumns)
    let mark = scratch.mark
    let keyValues = prepared(stored, rows.count, stride: 2 * d, queries: false, scratch)
    for index in 0..<rows.count {
      let (path, row) = (Int(rows.paths[index]), keyValues + index * 2 * d)
      ck_append_private(
        rows.slots[index], Int32(buffer.capacity), heads, width, row, row + d,
        buffer.keys.pointer + path * buffer.keysStride,
        buffer.values.pointer + path * buffer.valuesStride)
    }
    scratch.rewind(to: mark)
  }

  // MARK: Reading

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context,
    into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    let mark = scratch.mark
    let queries = prepared(queries, rows, stride: sizes.columns, queries: true, scratch)
    var arguments = arguments(queries, rows: rows, context, into: out)
    run(&arguments, scratch)
    scratch.rewind(to: mark)
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let queries = prepared(queries, visible.count, stride: sizes.columns, queries: true, scratch)
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
    scratch.rewind(to: mark)
  }

  private func arguments(
    _ queries: UnsafePointer<Float>, rows: Int, _ context: Context,
    into out: UnsafeMutablePointer<Float>
  ) -> ck_attention_args {
    var arguments = ck_attention_args()
    arguments.rows = Int32(rows)
    arguments.heads = Int32(sizes.heads)
    arguments.key_heads = Int32(sizes.keyHeads)
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
    let (rows, heads, width, count) = (
      arguments.rows, arguments.heads, arguments.width, arguments.shared_count
    )
    if rounds {
      arguments.scratch = scratch.floats(ck_attention_bf16_scratch(rows, heads, width, count))
      ck_attention_bf16(&arguments)
    } else {
      arguments.scratch = scratch.floats(ck_attention_scratch(rows, heads, width, count))
      ck_attention(&arguments)
    }
  }

  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    tape.attention(
      queries: unit ? unitRows(queries, queries: true, on: tape) : queries,
      keyValues: unit ? unitRows(stored, queries: false, on: tape) : stored, heads: sizes.heads,
      blocks: blocks)
  }

  private func unitRows(_ node: Node, queries: Bool, on tape: Tape) -> Node {
    tape.matrices(rows: node.rows, columns: node.columns, reads: [node]) { pass in
      let all = 0..<node.rows
      for head in 0..<(queries ? sizes.heads : sizes.keyHeads) {
        let columns = head * sizes.width..<(head + 1) * sizes.width
        var x = UnitFeatures().record(pass.input(node, rows: all, columns: columns), on: pass.matrices)
        if queries {
          let factor = pass.matrices.map(pass.input(learned.handles[0], head..<head + 1)) { [sizes] t in
            let value = exp(t) / Double(sizes.scale)
            return (value, value)
          }
          x = pass.matrices.scaleRows(
            x, by: pass.matrices.multiply(pass.matrices.constant(1, x.rows, 1), factor))
        }
        pass.emit(x, row: 0, column: columns.lowerBound)
      }
      if !queries {
        let d = sizes.keyColumns
        pass.emit(pass.input(node, rows: all, columns: d..<2 * d), row: 0, column: d)
      }
    }
  }

  /// Rows put one behind the other. Rows cannot be taken out by their sum; there is none.
  func merge(_ first: Context, _ second: Context, removing: Bool) -> Context? {
    guard !removing else { return nil }
    let more = values(of: second)[0]
    return rounds ? packed(values(of: first)[0] + more) : appended(to: first, more)
  }

  /// Rows that are packed side by side.
  private static let tile = 16

  /// The context of plain rows behind those of another, whose whole tiles are taken as they are.
  private func appended(to first: Context, _ more: [Float]) -> Context {
    let (width, d) = (sizes.width, sizes.keyColumns)
    let added = more.count / (2 * d)
    let whole = first.count / Self.tile * Self.tile
    let context = draft(rows: first.count + added)
    let last = first.count > whole ? draft(rows: first.count - whole) : nil
    func padded(_ rows: Int) -> Int { (rows + Self.tile - 1) / Self.tile * Self.tile }
    /// Copies tiles from one head or block of columns of a context to that of another.
    func copy(
      _ from: FloatBuffer, _ to: FloatBuffer, _ place: Int, each columns: Int, _ tiles: Range<Int>,
      of rows: Int
    ) {
      let (own, other) = (place * padded(first.count) * columns, place * padded(rows) * columns)
      (to.pointer + other).update(
        from: from.pointer + own + tiles.lowerBound * columns, count: tiles.count * columns)
    }
    let ends = whole..<padded(first.count)
    for head in 0..<sizes.keyHeads {
      copy(first.keys, context.keys, head, each: width, 0..<whole, of: context.count)
      if let last { copy(first.keys, last.keys, head, each: width, ends, of: last.count) }
    }
    for block in 0..<sizes.keyHeads * ((width + 15) / 16) {
      copy(first.values, context.values, block, each: 16, 0..<whole, of: context.count)
      if let last { copy(first.values, last.values, block, each: 16, ends, of: last.count) }
    }
    let rows = (last.map { values(of: $0)[0] } ?? []) + more
    rows.withUnsafeBufferPointer { rows in
      guard let start = rows.baseAddress else { return }
      ck_pack_shared(
        Int32(whole), Int32(rows.count / (2 * d)), Int32(context.count), Int32(sizes.keyHeads), Int32(width),
        start, Int32(2 * d), start + d, Int32(2 * d), context.keys.pointer, context.values.pointer)
    }
    return context
  }

  /// The context of plain rows `[count, 2·columns]` with the lengths they are kept at.
  private func packed(_ rows: [Float]) -> Context {
    let d = sizes.keyColumns
    let count = rows.count / (2 * d)
    let context = draft(rows: count)
    rows.withUnsafeBufferPointer { rows in
      guard let first = rows.baseAddress else { return }
      (rounds ? ck_pack_shared_bf16 : ck_pack_shared)(
        0, Int32(count), Int32(count), Int32(sizes.keyHeads), Int32(sizes.width), first, Int32(2 * d),
        first + d,
        Int32(2 * d), context.keys.pointer, context.values.pointer)
    }
    return context
  }

  /// Keys beside values, row after row, as `write` takes them.
  func stateArrays(rows: Int) -> [StateArray] { [StateArray("keyvalues", [rows, 2 * sizes.keyColumns])] }

  func values(of context: Context) -> [[Float]] {
    let d = sizes.keyColumns
    let rows = [Float](unsafeUninitializedCapacity: context.count * 2 * d) { rows, count in
      count = context.count * 2 * d
      guard let first = rows.baseAddress else { return }
      (rounds ? ck_unpack_shared_bf16 : ck_unpack_shared)(
        Int32(context.count), Int32(sizes.keyHeads), Int32(sizes.width), context.keys.pointer,
        context.values.pointer, first, Int32(2 * d), first + d, Int32(2 * d))
    }
    return [rows]
  }

  func context(rows: Int, values: [[Float]]) -> Context? {
    guard rows > 0, rows <= Int(Int32.max), values.count == 1,
      values[0].count == rows * 2 * sizes.keyColumns, values[0].allSatisfy(\.isFinite)
    else { return nil }
    return packed(values[0])
  }

  /// A product of query and key and one of weight and value.
  var work: MemoryWork {
    var work = MemoryWork(row: 4 * Double(sizes.columns), numbers: shape.stored)
    work.exponentials = Double(sizes.heads)
    return work
  }

  func contextBytes(rows: Int) -> Int {
    let (n, heads, width) = (Int32(rows), Int32(sizes.keyHeads), Int32(sizes.width))
    return 4 * (ck_shared_keys_count(n, heads, width) + ck_shared_values_count(n, heads, width))
  }

  func bufferBytes(capacity: Int) -> Int {
    let (n, heads, width) = (Int32(capacity), Int32(sizes.keyHeads), Int32(sizes.width))
    return 4 * (ck_private_keys_count(n, heads, width) + ck_private_values_count(n, heads, width))
  }
}
