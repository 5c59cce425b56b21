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
      StoredLayout(sizes), read: sizes.columns,
      parameters: [
        MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(1)),
        MemoryParameter("rate", sizes.heads, initial: Softplus.inverse(1)),
      ])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    self.values = values
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    map = FeatureMaps.named(orIdentity: spec.features)
    rank = map.count(sizes.width)
    switch spec.optimiser {
    case .conjugateGradient(let steps): (self.steps, conjugate) = (steps, true)
    case .gradient(let steps): (self.steps, conjugate) = (steps, false)
    default:
      (steps, conjugate) = (rank, true)
    }
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: true, fixedState: true, subsetReads: true)
  }
  let capability: Capability

  // MARK: State

  final class Context: Sendable {
    let rows: Int
    /// A and G, `[heads][rank, rank]` and `[heads][rank, width]`: float32 numbers in Double. Steps that have not converged
    /// amplify every rounding by the condition of A, so they are taken in Double.
    let system: [Double]
    let targets: [Double]
    init(rows: Int, system: [Float], targets: [Float]) {
      self.rows = rows
      self.system = system.map { Double($0) }
      self.targets = targets.map { Double($0) }
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
  private var systemCount: Int { rank * rank }
  private var targetCount: Int { rank * sizes.width }

  /// Sums of the set as linear attention keeps them: the moments of φ(k) with [φ(k) | v].
  func draft(rows count: Int) -> Moments {
    Moments(rows: count, heads: sizes.heads, rank: rank, columns: columns)
  }

  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: Moments, scratch: Arena) {
    draft.write(rows: range, scratch) { index, head, left, right in
      let row = StoredRow(stored + index * shape.stored, head, shape.layout)
      map.apply(row.key, width: sizes.width, into: left)
      right.update(from: left, count: rank)
      (right + rank).update(from: row.value, count: sizes.width)
    }
  }

  func finish(_ draft: Moments) -> Context {
    let sums = draft.total
    var (system, targets) = ([Float](), [Float]())
    for head in 0..<sizes.heads {
      let ridge = Softplus.value(Double(values[Self.ridge][head])) + RidgeRule.floor
      for i in 0..<rank {
        for j in 0..<columns {
          let sum = sums[(head * rank + i) * columns + j] + (i == j ? ridge : 0)
          if j < rank { system.append(Float(sum)) } else { targets.append(Float(sum)) }
        }
      }
    }
    return Context(rows: draft.rows, system: system, targets: targets)
  }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(paths: paths, capacity: capacity, keys: sizes.heads * rank, values: sizes.columns)
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    for index in 0..<rows.count {
      for head in 0..<sizes.heads {
        let row = StoredRow(stored + index * shape.stored, head, shape.layout)
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
    let (x, residual) = (scratch.doubles(rows * width), scratch.doubles(rows * width))
    let (direction, product) = (scratch.doubles(rows * width), scratch.doubles(rows * width))
    let features = scratch.floats(rank)
    x.update(repeating: 0, count: rows * width)
    for row in 0..<rows {
      for head in 0..<sizes.heads {
        map.apply(queries + row * sizes.columns + head * sizes.width, width: sizes.width, into: features)
        for i in 0..<rank { residual[row * width + head * rank + i] = Double(features[i]) }
      }
    }
    direction.update(from: residual, count: rows * width)
    for _ in 0..<steps {
      multiply(context.system, rank, direction, rows, into: product)
      if let own { factors(own, direction, own.buffer.keys, rank, into: product) }
      for row in 0..<rows {
        let seen = context.rows + (own?.visible.slotsRead(by: row) ?? 0)
        for head in 0..<sizes.heads {
          let place = row * width + head * rank
          advance(x + place, residual + place, direction + place, product + place, head, rows: seen)
        }
      }
    }
    let read = scratch.doubles(rows * sizes.columns)
    multiply(context.targets, sizes.width, x, rows, into: read)
    if let own { factors(own, x, own.buffer.values, sizes.width, into: read) }
    for i in 0..<rows * sizes.columns { out[i] = Float(read[i]) }
    scratch.rewind(to: mark)
  }

  /// One step of one row: with gradient steps the direction is the residual.
  private func advance(
    _ x: UnsafeMutablePointer<Double>, _ residual: UnsafeMutablePointer<Double>,
    _ direction: UnsafeMutablePointer<Double>, _ product: UnsafePointer<Double>, _ head: Int, rows: Int
  ) {
    guard conjugate else {
      let rate = Softplus.value(Double(values[Self.rate][head])) / Double(max(1, rows))
      for i in 0..<rank {
        x[i] += rate * residual[i]
        residual[i] -= rate * product[i]
        direction[i] = residual[i]
      }
      return
    }
    var (squares, curvature) = (0.0, 0.0)
    for i in 0..<rank {
      squares += residual[i] * residual[i]
      curvature += direction[i] * product[i]
    }
    let step = squares / (curvature + Self.tiny)
    var next = 0.0
    for i in 0..<rank {
      x[i] += step * direction[i]
      residual[i] -= step * product[i]
      next += residual[i] * residual[i]
    }
    let share = next / (squares + Self.tiny)
    for i in 0..<rank { direction[i] = residual[i] + share * direction[i] }
  }

  /// Rows of x `[rows, heads·rank]` times a matrix `[rank, columns]` a head.
  private func multiply(
    _ matrices: [Double], _ columns: Int, _ x: UnsafePointer<Double>, _ rows: Int,
    into out: UnsafeMutablePointer<Double>
  ) {
    out.update(repeating: 0, count: rows * sizes.heads * columns)
    matrices.withUnsafeBufferPointer { matrices in
      guard let first = matrices.baseAddress else { return }
      for head in 0..<sizes.heads {
        var arguments = ck_multiply_f64_args()
        (arguments.m, arguments.n, arguments.k) = (Int32(rows), Int32(columns), Int32(rank))
        arguments.alpha = 1
        arguments.a = x + head * rank
        (arguments.a_across, arguments.a_along) = (sizes.heads * rank, 1)
        arguments.b = first + head * rank * columns
        (arguments.b_across, arguments.b_along) = (columns, 1)
        arguments.c = out + head * columns
        arguments.ldc = sizes.heads * columns
        ck_multiply_f64(&arguments)
      }
    }
  }

  /// Adds Σ (x·φ(k))·stored over the rows of its path that each row sees.
  private func factors(
    _ own: Own, _ x: UnsafePointer<Double>, _ stored: FloatBuffer, _ width: Int,
    into out: UnsafeMutablePointer<Double>
  ) {
    for row in 0..<own.visible.count {
      for head in 0..<sizes.heads {
        let first = (Int(own.visible.paths[row]) * sizes.heads + head) * own.buffer.capacity
        let probe = x + (row * sizes.heads + head) * rank
        let sum = out + (row * sizes.heads + head) * width
        for slot in 0..<Int(own.visible.limits[row]) where own.visible.sees(slot, from: row) {
          let score = dot(probe, own.buffer.keys.pointer + (first + slot) * rank)
          let value = stored.pointer + (first + slot) * width
          for j in 0..<width { sum[j] += score * Double(value[j]) }
        }
      }
    }
  }

  /// In four lanes, then what is left.
  private func dot(_ x: UnsafePointer<Double>, _ y: UnsafePointer<Float>) -> Double {
    var lanes = SIMD4<Double>()
    var i = 0
    while i + 4 <= rank {
      lanes +=
        SIMD4(x[i], x[i + 1], x[i + 2], x[i + 3]) * SIMD4<Double>(SIMD4(y[i], y[i + 1], y[i + 2], y[i + 3]))
      i += 4
    }
    var sum = lanes.sum()
    while i < rank {
      sum += x[i] * Double(y[i])
      i += 1
    }
    return sum
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
    [context.system.map { Float($0) }, context.targets.map { Float($0) }]
  }

  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    return Context(rows: rows, system: values[0], targets: values[1])
  }

  /// Every step is a product with A, of a path's rows with each of them and back; the last one is with G.
  var work: MemoryWork {
    let (heads, n, width, steps) = (
      Double(sizes.heads), Double(rank), Double(sizes.width), Double(self.steps)
    )
    var work = MemoryWork()
    work.write = 2 * heads * n * (n + width)
    work.read = 2 * heads * (steps * n * n + n * width)
    work.ownRow = 2 * heads * (steps * 2 * n + n + width)
    work.contextNumbers = contextBytes(rows: 0) / 4
    work.ownRowNumbers = bufferBytes(capacity: 1) / 4
    return work
  }

  func contextBytes(rows: Int) -> Int { 8 * sizes.heads * (systemCount + targetCount) }
  func bufferBytes(capacity: Int) -> Int { 4 * sizes.heads * capacity * (rank + sizes.width) }
}
