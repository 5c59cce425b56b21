import CChorusKernels
import ChorusTensors
import Foundation

/// Ridge regression read by a few steps instead of a factorisation: from G = Σ φ(k) vᵀ and A = Σ φ(k) φ(k)ᵀ + λ·I a query
/// solves A x = φ(q) by r conjugate-gradient steps (MesaNet, von Oswald et al. 2025) or by r full-batch gradient steps
/// x ← x + (η/n)·(φ(q) − A x), and reads x·G. Rows behind the set join A and G as rank-one terms.
///
/// One gradient step from zero is linear attention divided by n; many are ridge regression.
struct SolverRidgeMemory: HeadwiseMemory {
  let sizes: AttentionSizes
  let shape: MemoryShape
  let values: MemoryValues
  private let map: any FeatureMap
  private let steps: Int
  private let conjugate: Bool
  private let rank: Int
  static let tiny = 1e-20

  // Places in the shape's parameters.
  private static let ridge = 0, rate = 1

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    MemoryShape(
      stored: 2 * sizes.columns, read: sizes.columns,
      parameters: [
        MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(1)),
        MemoryParameter("rate", sizes.heads, initial: Softplus.inverse(1)),
      ])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    self.values = values
    shape = Self.shape(spec, sizes)
    map = FeatureMaps.named(orIdentity: spec.features)
    rank = map.count(sizes.width)
    switch spec.optimiser {
    case .conjugateGradient(let steps): (self.steps, conjugate) = (steps, true)
    case .gradient(let steps): (self.steps, conjugate) = (steps, false)
    case .exact, .online: (steps, conjugate) = (rank, true)
    }
  }

  var capability: Capability { Capability(holdsSet: true, fixedState: true, subsetReads: true) }

  // MARK: State

  /// Sums of the set as linear attention keeps them: the moments of φ(k) with [φ(k) | v].
  final class Draft: Sendable {
    let rows: Int
    let parts: FloatBuffer
    init(rows: Int, count: Int) {
      self.rows = rows
      parts = FloatBuffer(count: count)
    }
  }

  final class Context: Sendable {
    let rows: Int
    /// Packed A and G, `[rank, rank]` and `[rank, width]`, head by head.
    let system: FloatBuffer
    let targets: FloatBuffer
    init(rows: Int, system: Int, targets: Int) {
      self.rows = rows
      self.system = FloatBuffer(count: system)
      self.targets = FloatBuffer(count: targets)
    }
  }

  final class Buffer {
    let capacity: Int
    let keys: FloatBuffer
    let values: FloatBuffer
    init(paths: Int, capacity: Int, keys: Int, values: Int) {
      self.capacity = capacity
      self.keys = FloatBuffer(count: paths * capacity * keys)
      self.values = FloatBuffer(count: paths * capacity * values)
    }
  }

  private var columns: Int { rank + sizes.width }
  private var systemCount: Int { ck_packed_count(Int32(rank), Int32(rank)) }
  private var targetCount: Int { ck_packed_count(Int32(rank), Int32(sizes.width)) }
  private static var tile: Int { 32 }

  func draft(rows count: Int) -> Draft {
    Draft(rows: count, count: (count + Self.tile - 1) / Self.tile * sizes.heads * rank * columns)
  }

  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: Draft, scratch: Arena) {
    let mark = scratch.mark
    for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.tile) {
      let count = min(Self.tile, range.upperBound - first)
      let right = scratch.floats(count * columns)
      for head in 0..<sizes.heads {
        for index in 0..<count {
          let row = StoredRow(stored + (first - range.lowerBound + index) * shape.stored, head, sizes, shape)
          map.apply(row.key, width: sizes.width, into: right + index * columns)
          (right + index * columns + rank).update(from: row.value, count: sizes.width)
        }
        let (m, n, k) = (Int32(rank), Int32(columns), Int32(count))
        ck_matmul_tn(
          m, n, k, right, n, right, n,
          draft.parts.pointer + (first / Self.tile * sizes.heads + head) * rank * columns, n, 0,
          scratch.floats(ck_matmul_tn_scratch(m, n, k)))
      }
    }
    scratch.rewind(to: mark)
  }

  func finish(_ draft: Draft) -> Context {
    let context = Context(
      rows: draft.rows, system: sizes.heads * systemCount, targets: sizes.heads * targetCount)
    let size = rank * columns
    var sums = [Float](repeating: 0, count: size)
    for head in 0..<sizes.heads {
      for i in 0..<size {
        var sum = 0.0
        for tile in 0..<draft.parts.count / max(1, sizes.heads * size) {
          sum += Double(draft.parts.pointer[(tile * sizes.heads + head) * size + i])
        }
        sums[i] = Float(sum)
      }
      let ridge = Float(Softplus.value(Double(values[Self.ridge][head])) + RidgeRule.floor)
      for i in 0..<rank { sums[i * columns + i] += ridge }
      let (n, all, width) = (Int32(rank), Int32(columns), Int32(sizes.width))
      sums.withUnsafeBufferPointer { sums in
        guard let sums = sums.baseAddress else { return }
        ck_pack(n, n, sums, all, 0, context.system.pointer + head * systemCount)
        ck_pack(n, width, sums + rank, all, 0, context.targets.pointer + head * targetCount)
      }
    }
    return context
  }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(paths: paths, capacity: capacity, keys: sizes.heads * rank, values: sizes.columns)
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    for index in 0..<rows.count {
      for head in 0..<sizes.heads {
        let row = StoredRow(stored + index * shape.stored, head, sizes, shape)
        let place = (Int(rows.paths[index]) * sizes.heads + head) * buffer.capacity + Int(rows.slots[index])
        map.apply(row.key, width: sizes.width, into: buffer.keys.pointer + place * rank)
        (buffer.values.pointer + place * sizes.width).update(from: row.value, count: sizes.width)
      }
    }
  }

  // MARK: Reading

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    solve(queries, rows, context, nil, into: out, scratch)
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    solve(queries, visible.count, context, (visible, buffer), into: out, scratch)
  }

  private typealias Own = (visible: VisibleRows, buffer: Buffer)

  private func solve(
    _ queries: UnsafePointer<Float>, _ rows: Int, _ context: Context, _ own: Own?,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let width = sizes.heads * rank
    let (x, residual) = (scratch.zeros(rows * width), scratch.floats(rows * width))
    let (direction, product) = (scratch.floats(rows * width), scratch.floats(rows * width))
    for row in 0..<rows {
      for head in 0..<sizes.heads {
        map.apply(
          queries + row * sizes.columns + head * sizes.width, width: sizes.width,
          into: residual + row * width + head * rank)
      }
    }
    direction.update(from: residual, count: rows * width)
    for _ in 0..<steps {
      apply(context, own, direction, rows, into: product, scratch)
      for row in 0..<rows {
        let seen = context.rows + (own?.visible.slotsRead(by: row) ?? 0)
        for head in 0..<sizes.heads {
          let place = row * width + head * rank
          advance(x + place, residual + place, direction + place, product + place, head, rows: seen)
        }
      }
    }
    multiply(context.targets, targetCount, x, rows, sizes.width, into: out, shape.read)
    if let own {
      factors(own, x, own.buffer.values, sizes.width, into: out, shape.read)
    }
    scratch.rewind(to: mark)
  }

  /// One step of one row: with gradient steps the direction is the residual.
  private func advance(
    _ x: UnsafeMutablePointer<Float>, _ residual: UnsafeMutablePointer<Float>,
    _ direction: UnsafeMutablePointer<Float>, _ product: UnsafePointer<Float>, _ head: Int, rows: Int
  ) {
    guard conjugate else {
      let rate = Float(Softplus.value(Double(values[Self.rate][head]))) / Float(max(1, rows))
      for i in 0..<rank {
        x[i] += rate * residual[i]
        residual[i] -= rate * product[i]
        direction[i] = residual[i]
      }
      return
    }
    var (squares, curvature) = (Float(0), Float(0))
    for i in 0..<rank {
      squares += residual[i] * residual[i]
      curvature += direction[i] * product[i]
    }
    let step = squares / (curvature + Float(Self.tiny))
    var next: Float = 0
    for i in 0..<rank {
      x[i] += step * direction[i]
      residual[i] -= step * product[i]
      next += residual[i] * residual[i]
    }
    let share = next / (squares + Float(Self.tiny))
    for i in 0..<rank { direction[i] = residual[i] + share * direction[i] }
  }

  /// A·x of the rows each row sees.
  private func apply(
    _ context: Context, _ own: Own?, _ x: UnsafePointer<Float>, _ rows: Int,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    multiply(context.system, systemCount, x, rows, rank, into: out, sizes.heads * rank)
    if let own { factors(own, x, own.buffer.keys, rank, into: out, sizes.heads * rank) }
  }

  private func multiply(
    _ packed: FloatBuffer, _ count: Int, _ x: UnsafePointer<Float>, _ rows: Int, _ columns: Int,
    into out: UnsafeMutablePointer<Float>, _ stride: Int
  ) {
    for head in 0..<sizes.heads {
      var arguments = ck_matmul_args()
      (arguments.m, arguments.k, arguments.n) = (Int32(rows), Int32(rank), Int32(columns))
      (arguments.a, arguments.lda) = (x + head * rank, Int32(sizes.heads * rank))
      arguments.packed = UnsafePointer(packed.pointer + head * count)
      (arguments.c, arguments.ldc) = (out + head * columns, Int32(stride))
      ck_matmul(&arguments)
    }
  }

  private func factors(
    _ own: Own, _ x: UnsafePointer<Float>, _ stored: FloatBuffer, _ width: Int,
    into out: UnsafeMutablePointer<Float>, _ stride: Int
  ) {
    guard own.buffer.capacity > 0 else { return }
    var arguments = ck_factor_args()
    (arguments.rows, arguments.heads) = (Int32(own.visible.count), Int32(sizes.heads))
    (arguments.rank, arguments.width) = (Int32(rank), Int32(width))
    (arguments.probes, arguments.ld_probes) = (x, Int32(sizes.heads * rank))
    arguments.probe_head = Int32(rank)
    (arguments.paths, arguments.limits) = (own.visible.paths, own.visible.limits)
    (arguments.masks, arguments.mask_starts) = (own.visible.masks, own.visible.maskStarts)
    arguments.capacity = Int32(own.buffer.capacity)
    arguments.factors = UnsafePointer(own.buffer.keys.pointer)
    arguments.factors_stride = sizes.heads * own.buffer.capacity * rank
    arguments.values = UnsafePointer(stored.pointer)
    arguments.values_stride = sizes.heads * own.buffer.capacity * width
    (arguments.out, arguments.ld_out, arguments.out_head) = (out, Int32(stride), Int32(width))
    ck_factor_read(&arguments)
  }

  // MARK: Training

  /// All steps of all queries, recorded one by one.
  func record(_ head: inout HeadPass) {
    let m = head.matrices
    typealias Matrix = HeadPass.Matrix
    let (keys, own) = (map.record(head.keys, on: m), map.record(head.ownKeys, on: m))
    let ridge = m.softplus(head.parameter(Self.ridge), floor: RidgeRule.floor)
    let rate = m.softplus(head.parameter(Self.rate))
    let system = m.addDiagonal(m.multiply(keys, keys, .left), ridge)
    let target = m.multiply(keys, head.values, .left)
    func quotient(_ a: Matrix, _ b: Matrix) -> Matrix {
      let inverse = m.map(b) { x in
        let value = 1 / (x + Self.tiny)
        return (value, -value * value)
      }
      return m.hadamard(a, inverse)
    }
    for part in head.parts {
      func applied(_ x: Matrix) -> Matrix {
        let scores = m.visible(m.multiply(x, own, .right), limits: part.limits)
        return m.add(m.multiply(x, system), m.multiply(scores, own))
      }
      var residual = map.record(part.queries, on: m)
      var x = m.constant(0, residual.rows, rank)
      if conjugate {
        var direction = residual
        var squares = m.rowSums(m.hadamard(residual, residual))
        for _ in 0..<steps {
          let product = applied(direction)
          let step = quotient(squares, m.rowSums(m.hadamard(direction, product)))
          x = m.add(x, m.scaleRows(direction, by: step))
          residual = m.add(residual, m.scaleRows(product, by: step), scale: -1)
          let next = m.rowSums(m.hadamard(residual, residual))
          direction = m.add(residual, m.scaleRows(direction, by: quotient(next, squares)))
          squares = next
        }
      } else {
        let rates = m.multiply(head.shares(of: part), rate)
        for _ in 0..<steps {
          let product = applied(residual)
          x = m.add(x, m.scaleRows(residual, by: rates))
          residual = m.add(residual, m.scaleRows(product, by: rates), scale: -1)
        }
      }
      let scores = m.visible(m.multiply(x, own, .right), limits: part.limits)
      head.emit(part, m.add(m.multiply(x, target), m.multiply(scores, head.ownValues)))
    }
  }

  func stateArrays(rows: Int) -> [StateArray] {
    [
      StateArray("system", [sizes.heads, rank, rank]),
      StateArray("targets", [sizes.heads, rank, sizes.width]),
    ]
  }

  func values(of context: Context) -> [[Float]] {
    [
      PackedHeads.plain(context.system, sizes.heads, rank, rank),
      PackedHeads.plain(context.targets, sizes.heads, rank, sizes.width),
    ]
  }

  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let context = Context(rows: rows, system: sizes.heads * systemCount, targets: sizes.heads * targetCount)
    PackedHeads.pack(values[0], sizes.heads, rank, rank, into: context.system)
    PackedHeads.pack(values[1], sizes.heads, rank, sizes.width, into: context.targets)
    return context
  }

  func contextBytes(rows: Int) -> Int { 4 * sizes.heads * (systemCount + targetCount) }
  func bufferBytes(capacity: Int) -> Int { 4 * sizes.heads * capacity * (rank + sizes.width) }
}
