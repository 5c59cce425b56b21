import ChorusTensors
import Foundation

/// Ridge regression solved exactly: with A = Σ w φ(k) φ(k)ᵀ + λ·I = LLᵀ and W = A⁻¹ Σ w φ(k) vᵀ a query reads φ(q)·W, and
/// beside it its leverage φ(q)ᵀA⁻¹φ(q) (the Mesa layer, von Oswald et al. 2023; Intention, Garnelo & Czarnecki 2023).
///
/// The rows behind the set are whitened one after the other: with y = L⁻¹φ(k), s_i = ũ_i·y and
/// c² = 1 + y·y − Σ s_i², the row becomes ũ = (y − Σ s_i ũ_i)/c and z = (v − read at k)/c. Then a read is
/// φ(q)·W + Σ (ũ_i·y) z_i, and its leverage y·y − Σ (ũ_i·y)². So appending is a read, and rewinding is truncation.
struct RidgeRule: FusedRule {
  let map: any FeatureMap
  let sizes: AttentionSizes
  let spec: MemorySpec
  let values: MemoryValues
  let rank: Int
  /// λ = softplus(learned) + this.
  static let floor = 1e-3

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    let leverage = spec.readOut == .leverage
    return PointWeights.shape(
      spec, sizes,
      MemoryShape(
        StoredLayout(sizes), read: sizes.columns + (leverage ? sizes.heads : 0),
        parameters: [MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(1))]))
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    map = FeatureMaps.named(orIdentity: spec.features)
    self.sizes = sizes
    self.spec = spec
    self.values = values
    rank = map.count(sizes.width)
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: true, fixedState: true, merge: true, remove: true)
  }

  /// The normal equations, solved by elimination.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let q = head.features(query)
    let (a, g) = head.normalEquations()
    guard head.spec.readOut == .leverage else { return ReferenceRead(head.read(q, a.solve(g))) }
    let solved = a.solve(q.map { [$0] }).map { $0[0] }
    return ReferenceRead(head.read(q, a.solve(g)), feature: head.dot(q, solved))
  }

  var momentColumns: Int { rank + sizes.width }
  /// L⁻ᵀ beside W: one product gives y and the set's answer.
  var mapColumns: Int { rank + sizes.width }
  var valueColumn: Int { rank }
  let shift: Float = 0
  let sequential = false
  let readsBeforeWriting = true

  /// A Cholesky factor, its inverse, and two triangular solutions of the values.
  var work: (row: Double, map: Double, read: Double) {
    let (n, width) = (Double(rank), Double(sizes.width))
    return (0, n * n * n / 3 + n * n * n + 2 * n * n * width, 0)
  }

  var ridgeIndex: Int { spec.weights == .learned ? 1 : 0 }
  private func root(_ row: StoredRow, _ head: Int) -> Float {
    spec.weights == .learned ? PointWeights.value(row, values[0][head]).squareRoot() : 1
  }

  func features(_ row: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
    map.apply(row, width: sizes.width, into: out)
  }

  func moment(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, left: UnsafeMutablePointer<Float>,
    right: UnsafeMutablePointer<Float>
  ) {
    let root = root(row, head)
    for i in 0..<rank { left[i] = root * key[i] }
    right.update(from: left, count: rank)
    for j in 0..<sizes.width { right[rank + j] = root * row.value[j] }
  }

  func map(
    _ moments: UnsafePointer<Double>, rows: Int, head: Int, into map: UnsafeMutablePointer<Double>,
    _ scratch: Arena
  ) -> Double {
    let mark = scratch.mark
    let (n, columns) = (rank, mapColumns)
    let ridge = Softplus.value(Double(values[ridgeIndex][head])) + Self.floor
    let (a, lower) = (scratch.doubles(n * n), scratch.doubles(n * n))
    for i in 0..<n {
      for j in 0..<n {
        a[i * n + j] = 0.5 * (moments[i * columns + j] + moments[j * columns + i]) + (i == j ? ridge : 0)
      }
    }
    let raised = SmallCholesky.factor(a, n, into: lower)
    // L⁻¹, transposed into the map, and L⁻ᵀ L⁻¹ G.
    let inverse = scratch.doubles(n * n)
    for i in 0..<n * n { inverse[i] = i % (n + 1) == 0 ? 1 : 0 }
    DoubleKernels.solveLower(n, lower, n, false, inverse, n, n)
    let w = scratch.doubles(n * sizes.width)
    for i in 0..<n {
      for j in 0..<sizes.width { w[i * sizes.width + j] = moments[i * columns + n + j] }
    }
    DoubleKernels.solveLower(n, lower, n, false, w, sizes.width, sizes.width)
    DoubleKernels.solveLower(n, lower, n, true, w, sizes.width, sizes.width)
    for i in 0..<n {
      for j in 0..<n { map[i * columns + j] = inverse[j * n + i] }
      for j in 0..<sizes.width { map[i * columns + n + j] = w[i * sizes.width + j] }
    }
    scratch.rewind(to: mark)
    return raised
  }

  /// A row of weight w is the row √w·k, √w·v of weight 1.
  func commit(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, read: FactorRead,
    factor: UnsafeMutablePointer<Float>, stored: UnsafeMutablePointer<Float>
  ) {
    let root = root(row, head)
    let factorOf = root / (1 + root * root * leverage(read)).squareRoot()
    for i in 0..<rank { factor[i] = factorOf * (read.mapped[i] - read.projected[i]) }
    for j in 0..<sizes.width { stored[j] = factorOf * (row.value[j] - read.mapped[rank + j]) }
  }

  func finish(
    _ read: FactorRead, query: UnsafePointer<Float>, head: Int, into out: UnsafeMutablePointer<Float>,
    feature: UnsafeMutablePointer<Float>
  ) {
    out.update(from: read.mapped + rank, count: sizes.width)
    if spec.readOut == .leverage { feature[0] = leverage(read) }
  }

  private func leverage(_ read: FactorRead) -> Float {
    var squares: Float = 0
    for i in 0..<rank { squares += read.mapped[i] * read.mapped[i] }
    return max(0, squares - read.square)
  }
}

extension ReferenceHead {
  /// λ, behind the learned weights' number where there is one.
  var ridge: Double { softplus(numbers[spec.weights == .learned ? 1 : 0][head]) + RidgeRule.floor }

  /// A = Σ w φφᵀ + λ·I and G = Σ w φ vᵀ.
  func normalEquations() -> (a: Square, g: [[Double]]) {
    var a = Square(rank)
    var g = [[Double]](repeating: nothing, count: rank)
    for row in rows {
      let (f, w) = (features(row.key), weight(row))
      for i in f.indices {
        for j in f.indices { a[i, j] += w * f[i] * f[j] }
        for j in nothing.indices { g[i][j] += w * f[i] * row.value[j] }
      }
    }
    for i in 0..<rank { a[i, i] += ridge }
    return (a, g)
  }
}
