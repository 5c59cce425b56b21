import CChorusKernels
import ChorusTensors
import Foundation

/// Local linear attention: around each query an affine function is fitted to the rows, weighed by exp(q·k/√width), and
/// its intercept is read (TTR's order 1; arXiv 2510.01450). In the additive form, with softmax weights p and their
/// means, out = v̄ + C_vk (C_kk + ε·I)⁻¹ (q − k̄), solved by conjugate gradients; ε = softplus(learned) + 10⁻³
/// is relative to the weights' sum.
///
/// The covariance of a query's keys is formed: at the widths of heads here that costs less than five products with it.
struct LocalLinearMemory: SpecifiedMemory {
  let sizes: AttentionSizes
  let shape: MemoryShape
  private let learned: MemoryValues
  private let steps: Int
  static let floor = 1e-3

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    MemoryShape(
      StoredLayout(sizes), read: sizes.columns,
      parameters: [MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(0.3))])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    shape = Self.shape(spec, sizes)
    learned = values
    capability = Self.capability(spec)
    if case .conjugateGradient(let steps) = spec.optimiser { self.steps = steps } else { steps = sizes.width }
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: true, fixedState: false, subsetReads: true)
  }
  let capability: Capability

  /// argmin over b and W of Σ p ‖v − b − W(k − q)‖² + ε‖W‖²; its b.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    guard !head.rows.isEmpty else { return ReferenceRead(head.nothing) }
    let scale = 1 / Double(head.sizes.width).squareRoot()
    let weights = head.softmax(head.rows.map { scale * head.dot(query, $0.key) })
    let n = head.sizes.width + 1
    var a = Square(n)
    var b = [[Double]](repeating: head.nothing, count: n)
    for (row, p) in zip(head.rows, weights) {
      let f = [1] + zip(row.key, query).map { $0 - $1 }
      for i in 0..<n {
        for j in 0..<n { a[i, j] += p * f[i] * f[j] }
        for j in row.value.indices { b[i][j] += p * f[i] * row.value[j] }
      }
    }
    for i in 1..<n { a[i, i] += head.softplus(head.numbers[0][head.head]) + floor }
    return ReferenceRead(a.solve(b)[0])
  }

  final class Buffer {
    let capacity: Int
    let stored: FloatBuffer
    init(paths: Int, capacity: Int, columns: Int) {
      self.capacity = capacity
      stored = FloatBuffer(count: paths * capacity * columns)
    }
  }

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }
  func finish(_ draft: StoredRows) -> StoredRows { draft }
  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(paths: paths, capacity: capacity, columns: shape.stored)
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: StoredRows, to buffer: Buffer,
    scratch: Arena
  ) {
    for index in 0..<rows.count {
      let place = Int(rows.paths[index]) * buffer.capacity + Int(rows.slots[index])
      (buffer.stored.pointer + place * shape.stored).update(
        from: stored + index * shape.stored, count: shape.stored)
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: StoredRows, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    run(context, rows, scratch) { arguments in
      (arguments.q, arguments.out) = (queries, out)
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: StoredRows, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    run(context, visible.count, scratch) { arguments in
      (arguments.q, arguments.out) = (queries, out)
      (arguments.paths, arguments.limits) = (visible.paths, visible.limits)
      (arguments.masks, arguments.mask_starts) = (visible.masks, visible.maskStarts)
      arguments.capacity = Int32(buffer.capacity)
      arguments.own_keys = UnsafePointer(buffer.stored.pointer)
      arguments.own_values = UnsafePointer(buffer.stored.pointer + sizes.columns)
      arguments.ld_own = Int32(shape.stored)
      arguments.own_stride = buffer.capacity * shape.stored
    }
  }

  private func run(
    _ context: StoredRows, _ rows: Int, _ scratch: Arena, _ complete: (inout ck_local_linear_args) -> Void
  ) {
    let mark = scratch.mark
    var arguments = LocalLinear.arguments(sizes, steps, rows)
    let ridge = scratch.floats(sizes.heads)
    for head in 0..<sizes.heads { ridge[head] = Float(Softplus.value(Double(learned[0][head])) + Self.floor) }
    arguments.ridge = UnsafePointer(ridge)
    arguments.shared_count = Int32(context.count)
    arguments.shared_keys = UnsafePointer(context.values.pointer)
    arguments.shared_values = UnsafePointer(context.values.pointer + sizes.columns)
    arguments.ld_shared = Int32(shape.stored)
    complete(&arguments)
    arguments.scratch = scratch.floats(
      ck_local_linear_scratch(arguments.width, arguments.shared_count, arguments.capacity))
    ck_local_linear(&arguments)
    scratch.rewind(to: mark)
  }

  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    tape.localLinear(
      queries: queries, keyValues: stored, sizes: sizes, steps: steps, ridge: learned.handles[0],
      floor: Self.floor, blocks: blocks)
  }

  func stateArrays(rows: Int) -> [StateArray] { [StateArray("keyvalues", [rows, shape.stored])] }
  func values(of context: StoredRows) -> [[Float]] { [context.values.array] }
  func context(rows: Int, values: [[Float]]) -> StoredRows? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let context = StoredRows(count: rows, columns: shape.stored)
    context.values.copy(from: FloatBuffer(values[0]))
    return context
  }

  /// Of each row its score and its part in means and covariances of keys and values; then the steps.
  var work: MemoryWork {
    let (heads, width) = (Double(sizes.heads), Double(sizes.width))
    var work = MemoryWork(row: 2 * heads * (width * width + 4 * width), numbers: shape.stored)
    work.read = 2 * heads * Double(steps) * width * width
    work.exponentials = heads
    return work
  }

  func contextBytes(rows: Int) -> Int { 4 * rows * shape.stored }
  func bufferBytes(capacity: Int) -> Int { 4 * capacity * shape.stored }
}
