import ChorusTensors
import Foundation

/// Kernel ridge regression: κ(q, K)(κ(K, K) + λ·I)⁻¹V with κ(a, b) = exp(−‖a − b‖²/2ℓ²), λ and ℓ learned a head; a
/// Gaussian process with the keys as inputs. It keeps every row and a triangular factor, N² numbers a head.
///
/// With the factor L of all rows in their order and y = L⁻¹κ(K, q), Z = L⁻¹V a read of the first n rows is Σ_{i<n} y_i z_i,
/// because the factor of a leading block is the leading block of the factor: a row behind the set is one more row of L.
struct KernelRidgeMemory: HeadwiseMemory {
  let sizes: AttentionSizes
  let shape: MemoryShape
  let values: MemoryValues
  private let map: any FeatureMap
  private let rank: Int

  // Places in the shape's parameters.
  private static let ridge = 0, length = 1

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    let leverage = spec.readOut == .leverage
    return MemoryShape(
      StoredLayout(sizes), read: sizes.columns + (leverage ? sizes.heads : 0),
      parameters: [
        MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(0.1)),
        MemoryParameter(
          "length", sizes.heads, initial: Softplus.inverse(Double(sizes.width).squareRoot() / 2)),
      ])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    self.values = values
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    map = FeatureMaps.named(orIdentity: spec.features)
    rank = map.count(sizes.width)
  }

  static func capability(_ spec: MemorySpec) -> Capability { Capability(holdsSet: true, fixedState: false) }
  let capability: Capability

  /// κ(q, K)(κ(K, K) + λ·I)⁻¹V and 1 − κ(q, K)(κ(K, K) + λ·I)⁻¹κ(K, q).
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let length = head.softplus(head.numbers[Self.length][head.head]) + RidgeRule.floor
    func kernel(_ a: [Double], _ b: [Double]) -> Double {
      exp(-zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / (2 * length * length))
    }
    let keys = head.rows.map { head.features($0.key) }
    let q = head.features(query)
    let similar = keys.map { kernel(q, $0) }
    var a = Square(keys.count)
    for i in keys.indices {
      for j in keys.indices { a[i, j] = kernel(keys[i], keys[j]) + (i == j ? head.ridge : 0) }
    }
    let solved = a.solve(similar.map { [$0] }).map { $0[0] }
    let leverage = head.spec.readOut == .leverage ? 1 - head.dot(solved, similar) : nil
    return ReferenceRead(head.sum(solved), feature: leverage)
  }

  // MARK: State

  final class Context: Sendable {
    /// Rows of one head: features, and their rows of L and Z.
    struct Head: Sendable {
      let keys: [Double]
      let lower: [Double]
      let targets: [Double]
    }
    let heads: [Head]
    /// The most that a head's diagonal was raised by so that its equation had an answer; 0 as a rule.
    let raised: Double
    /// The rows all else is made from, in the same way each time.
    let stored: StoredRows
    var rows: Int { stored.count }
    init(heads: [Head], raised: Double, stored: StoredRows) {
      (self.heads, self.raised, self.stored) = (heads, raised, stored)
    }
  }

  /// For each path and head the features of its rows, their rows of L behind the context's, and of Z.
  final class Buffer {
    let capacity: Int
    let stride: Int
    var keys: [[Double]]
    var rows: [[[Double]]]
    var targets: [[Double]]
    init(paths: Int, heads: Int, capacity: Int, rank: Int, width: Int) {
      self.capacity = capacity
      stride = heads
      keys = Array(repeating: [Double](repeating: 0, count: capacity * rank), count: paths * heads)
      rows = Array(repeating: Array(repeating: [], count: capacity), count: paths * heads)
      targets = Array(repeating: [Double](repeating: 0, count: capacity * width), count: paths * heads)
    }
  }

  private func ridge(_ head: Int) -> Double {
    Softplus.value(Double(values[Self.ridge][head])) + RidgeRule.floor
  }
  private func length(_ head: Int) -> Double {
    Softplus.value(Double(values[Self.length][head])) + RidgeRule.floor
  }

  private func features(_ row: UnsafePointer<Float>, _ scratch: Arena) -> [Double] {
    let mark = scratch.mark
    let out = scratch.floats(rank)
    map.apply(row, width: sizes.width, into: out)
    defer { scratch.rewind(to: mark) }
    return (0..<rank).map { Double(out[$0]) }
  }

  private func kernel(_ a: [Double], _ b: ArraySlice<Double>, _ length: Double) -> Double {
    var squares = 0.0
    for (x, y) in zip(a, b) { squares += (x - y) * (x - y) }
    return exp(-squares / (2 * length * length))
  }

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }

  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }

  func finish(_ draft: StoredRows) -> Context {
    let scratch = Arena(blockCount: 1 << 12)
    let n = draft.count
    var raised = 0.0
    let heads = (0..<sizes.heads).map { head in
      var keys: [Double] = []
      var targets: [Double] = []
      for index in 0..<n {
        let row = StoredRow(draft.row(index), head, shape.layout)
        keys += features(row.key, scratch)
        targets += (0..<sizes.width).map { Double(row.value[$0]) }
      }
      var gram = [Double](repeating: 0, count: n * n)
      for i in 0..<n {
        let a = Array(keys[i * rank..<(i + 1) * rank])
        for j in 0...i {
          gram[i * n + j] =
            kernel(a, keys[j * rank..<(j + 1) * rank], length(head)) + (i == j ? ridge(head) : 0)
        }
      }
      var lower = [Double](repeating: 0, count: n * n)
      gram.withUnsafeBufferPointer { gram in
        lower.withUnsafeMutableBufferPointer { lower in
          guard let gram = gram.baseAddress, let out = lower.baseAddress else { return }
          raised = max(raised, SmallCholesky.factor(gram, n, into: out))
        }
      }
      solve(lower, n, &targets, sizes.width)
      return Context.Head(keys: keys, lower: lower, targets: targets)
    }
    return Context(heads: heads, raised: raised, stored: draft)
  }

  func raised(_ context: Context) -> Double { context.raised }

  private func solve(_ lower: [Double], _ n: Int, _ b: inout [Double], _ columns: Int) {
    lower.withUnsafeBufferPointer { lower in
      b.withUnsafeMutableBufferPointer { b in
        guard n > 0, let lower = lower.baseAddress, let b = b.baseAddress else { return }
        DoubleKernels.solveLower(n, lower, n, false, b, columns, columns)
      }
    }
  }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(paths: paths, heads: sizes.heads, capacity: capacity, rank: rank, width: sizes.width)
  }

  // MARK: Reading

  /// y = L⁻¹κ(rows, x) for the context's rows and the first `limit` of a path's.
  private func whiten(
    _ x: [Double], _ head: Int, _ context: Context, _ buffer: Buffer?, path: Int, limit: Int
  ) -> [Double] {
    let (own, n, length) = (context.heads[head], context.rows, length(head))
    var y = (0..<n).map { kernel(x, own.keys[$0 * rank..<($0 + 1) * rank], length) }
    solve(own.lower, n, &y, 1)
    guard let buffer else { return y }
    let place = path * buffer.stride + head
    for j in 0..<limit {
      let row = buffer.rows[place][j]
      var sum = kernel(x, buffer.keys[place][j * rank..<(j + 1) * rank], length)
      for i in y.indices { sum -= row[i] * y[i] }
      y.append(sum / row[n + j])
    }
    return y
  }

  /// Σ y_i z_i over the rows that y tells of.
  private func answer(_ y: [Double], _ head: Int, _ context: Context, _ buffer: Buffer?, path: Int)
    -> [Double]
  {
    var out = [Double](repeating: 0, count: sizes.width)
    for (i, weight) in y.enumerated() {
      for j in 0..<sizes.width {
        if i < context.rows {
          out[j] += weight * context.heads[head].targets[i * sizes.width + j]
        } else if let buffer {
          out[j] += weight * buffer.targets[path * buffer.stride + head][(i - context.rows) * sizes.width + j]
        }
      }
    }
    return out
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    for index in 0..<rows.count {
      let (path, slot) = (Int(rows.paths[index]), Int(rows.slots[index]))
      for head in 0..<sizes.heads {
        let row = StoredRow(stored + index * shape.stored, head, shape.layout)
        let x = features(row.key, scratch)
        let y = whiten(x, head, context, buffer, path: path, limit: slot)
        let read = answer(y, head, context, buffer, path: path)
        let pivot = max(1 + ridge(head) - y.reduce(0) { $0 + $1 * $1 }, 1e-12).squareRoot()
        let place = path * buffer.stride + head
        buffer.rows[place][slot] = y + [pivot]
        for i in 0..<rank { buffer.keys[place][slot * rank + i] = x[i] }
        for j in 0..<sizes.width {
          buffer.targets[place][slot * sizes.width + j] = (Double(row.value[j]) - read[j]) / pivot
        }
      }
    }
  }

  private func read(
    _ query: UnsafePointer<Float>, _ context: Context, _ buffer: Buffer?, path: Int, limit: Int,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    for head in 0..<sizes.heads {
      let x = features(query + head * sizes.width, scratch)
      let y = whiten(x, head, context, buffer, path: path, limit: limit)
      let read = answer(y, head, context, buffer, path: path)
      for j in 0..<sizes.width { out[head * sizes.width + j] = Float(read[j]) }
      if shape.read > sizes.columns {
        out[sizes.columns + head] = Float(max(0, 1 - y.reduce(0) { $0 + $1 * $1 }))
      }
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    for row in 0..<rows {
      read(
        queries + row * sizes.columns, context, nil, path: 0, limit: 0, into: out + row * shape.read, scratch)
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    for row in 0..<visible.count {
      read(
        queries + row * sizes.columns, context, buffer, path: Int(visible.paths[row]),
        limit: Int(visible.limits[row]), into: out + row * shape.read, scratch)
    }
  }

  // MARK: Training

  func record(_ head: inout HeadPass) {
    let m = head.matrices
    typealias Matrix = HeadPass.Matrix
    let ridge = m.softplus(head.parameter(Self.ridge), floor: RidgeRule.floor)
    let length = m.softplus(head.parameter(Self.length), floor: RidgeRule.floor)
    let falloff = m.map(length) { l in (-0.5 / (l * l), 1 / (l * l * l)) }
    func kernel(_ a: Matrix, _ b: Matrix) -> Matrix {
      let squaresA = m.multiply(m.rowSums(m.hadamard(a, a)), m.constant(1, 1, b.rows))
      let squaresB = m.multiply(m.constant(1, a.rows, 1), m.transpose(m.rowSums(m.hadamard(b, b))))
      let distances = m.add(m.add(squaresA, squaresB), m.multiply(a, b, .right), scale: -2)
      let scale = m.multiply(m.multiply(m.constant(1, a.rows, 1), falloff), m.constant(1, 1, b.rows))
      return m.map(m.hadamard(distances, scale)) { x in (exp(min(x, 0)), exp(min(x, 0))) }
    }
    let keys = m.stack(map.record(head.keys, on: m), map.record(head.ownKeys, on: m))
    let lower = m.cholesky(m.addDiagonal(kernel(keys, keys), ridge))
    let targets = m.solve(lower, m.stack(head.values, head.ownValues))
    for part in head.parts {
      let y = m.solve(lower, kernel(keys, map.record(part.queries, on: m)))
      let limits = part.limits.map { $0 + Int32(head.keys.rows) }
      let seen = m.visible(m.transpose(y), limits: limits)
      head.emit(part, m.multiply(seen, targets))
      guard shape.read > sizes.columns else { continue }
      let explained = m.rowSums(m.hadamard(seen, seen))
      head.emit(part, feature: m.add(m.constant(1, explained.rows, 1), explained, scale: -1))
    }
  }

  func stateArrays(rows: Int) -> [StateArray] { [StateArray("keyvalues", [rows, shape.stored])] }
  func values(of context: Context) -> [[Float]] { [context.stored.values.array] }
  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let draft = draft(rows: rows)
    draft.values.copy(from: FloatBuffer(values[0]))
    return finish(draft)
  }

  /// Of each row its kernel and its value. The triangular factor, whose numbers and operations of a read go with the square of the rows,
  /// is not in it: rates are those of a row.
  var work: MemoryWork {
    var work = MemoryWork(
      row: Double(sizes.heads) * (3 * Double(rank) + 2 * Double(sizes.width)),
      numbers: 2 * sizes.heads * (rank + sizes.width))
    work.contextRowNumbers += shape.stored
    work.exponentials = Double(sizes.heads)
    // A row is whitened before it is kept, which is another read.
    work.appendRow = work.ownRow
    return work
  }

  func contextBytes(rows: Int) -> Int {
    4 * rows * shape.stored + 8 * sizes.heads * rows * (rows + rank + sizes.width)
  }
  func bufferBytes(capacity: Int) -> Int {
    8 * sizes.heads * capacity * (capacity + rank + sizes.width)
  }
}
