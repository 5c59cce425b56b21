import ChorusTensors
import Foundation

/// Gated KalmaNet (arXiv 2511.21016): the sums of MesaNet, whose ridge goes with their size, λ = a‖H‖ in Frobenius' norm and at
/// least 1e-3, and whose equation is solved by Chebyshev's iteration. All eigenvalues of H + λ lie between λ and λ + ‖H‖, so
/// that its steps are known beforehand and none of them divides by what it has found.
struct KalmaRule<Gate: RecurrentRule>: RecurrentRule {
  static var readsProduct: Bool { false }
  static var least: Double { 1e-3 }
  static func columns(_ features: Int, width: Int) -> Int { width + features }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { MesaRule<Gate>.gates(sizes) }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    MesaRule<Gate>.parameters(sizes).map {
      $0.name == "ridge" ? MemoryParameter("ridge", $0.count, initial: Softplus.inverse(0.05)) : $0
    }
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    MesaRule<Gate>.reference(row, head, steps: steps)
  }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    let width = head.sizes.width
    let h = state.map { Array($0[width...]) }
    let size = h.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } }.squareRoot()
    let ridge = head.softplus(head.numbers[head.numbers.count - 1][head.head]) * size + least
    let x = chebyshev(query, ridge: ridge, size: size, steps: steps(head.spec)) { head.read($0, h) }
    return Array(head.read(x, state)[..<width])
  }

  static func steps(_ spec: MemorySpec) -> Int {
    if case .chebyshev(let steps) = spec.optimiser { return steps }
    return 1
  }

  /// x with (H + λ) x = q but for what some steps leave, H between 0 and `size` (Saad 2003, "Iterative methods", alg. 12.1).
  static func chebyshev(
    _ query: [Double], ridge: Double, size: Double, steps: Int, _ product: ([Double]) -> [Double]
  ) -> [Double] {
    let (centre, radius) = (ridge + size / 2, size / 2)
    var (x, rest, share) = (query.map { _ in 0.0 }, query, radius / centre)
    var step = query.map { $0 / centre }
    for _ in 0..<steps {
      x = zip(x, step).map { $0 + $1 }
      let image = zip(product(step), step).map { $0 + ridge * $1 }
      rest = zip(rest, image).map { $0 - $1 }
      let whole = 2 * centre - share * radius
      let next = radius / whole
      step = zip(step, rest).map { next * share * $0 + 2 / whole * $1 }
      share = next
    }
    return x
  }

  private let mesa: MesaRule<Gate>
  private let steps: Int
  private let (rank, width): (Int, Int)
  private let values: MemoryValues
  private let number: Int

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    mesa = MesaRule(spec, sizes, values)
    steps = Self.steps(spec)
    (rank, width) = (FeatureMaps.named(orIdentity: spec.features).count(sizes.width), sizes.width)
    self.values = values
    number = Gate.parameters(sizes).count + 1
  }

  /// H itself for its norm, the steps, and G.
  var products: Int { rank + steps + 1 }
  var productColumns: Int? { (rank + steps) * rank + width }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    mesa.terms(row, head, steps: steps, into: move)
  }

  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (asked, read) = (scratch.floats(rank), scratch.floats(rank))
    func product(_ x: [Double]) -> [Double] {
      for i in 0..<rank { asked[i] = Float(x[i]) }
      state(asked, width..<width + rank, read)
      return (0..<rank).map { Double(read[$0]) }
    }
    let size = (0..<rank).reduce(0.0) { sum, i in
      product((0..<rank).map { $0 == i ? 1 : 0 }).reduce(sum) { $0 + $1 * $1 }
    }.squareRoot()
    let ridge = Softplus.value(Double(values[number][head])) * size + Self.least
    let query = (0..<rank).map { Double(query[$0]) }
    let x = Self.chebyshev(query, ridge: ridge, size: size, steps: steps, product)
    for i in 0..<rank { asked[i] = Float(x[i]) }
    state(asked, 0..<width, out)
    scratch.rewind(to: mark)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    mesa.record(&head, keys: keys)
  }

  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix {
    let m = head.matrices
    func product(_ x: HeadPass.Matrix) -> HeadPass.Matrix { state.columns(width..<width + rank, of: x) }
    let squares = (0..<rank).map { i in
      let row = product(
        m.input(queries.rows, rank, learns: false) { values in
          for place in 0..<queries.rows * rank { values[place] = place % rank == i ? 1 : 0 }
        })
      return m.rowSums(m.hadamard(row, row))
    }
    let sizes = m.map(squares.dropFirst().reduce(squares[0]) { m.add($0, $1) }) { x in
      let root = x.squareRoot()
      return (root, root > 0 ? 0.5 / root : 0)
    }
    let share = m.multiply(m.constant(1, queries.rows, 1), m.softplus(head.parameter(number)))
    let ridges = m.add(m.hadamard(sizes, share), m.constant(Self.least, queries.rows, 1))
    let x = chebyshev(queries, ridges: ridges, sizes: sizes, m, product)
    return state.columns(0..<width, of: x)
  }

  /// The same iteration of every row.
  private func chebyshev(
    _ queries: HeadPass.Matrix, ridges: HeadPass.Matrix, sizes: HeadPass.Matrix, _ m: MatrixTape,
    _ product: (HeadPass.Matrix) -> HeadPass.Matrix
  ) -> HeadPass.Matrix {
    func inverse(_ x: HeadPass.Matrix) -> HeadPass.Matrix { m.map(x) { (1 / $0, -1 / ($0 * $0)) } }
    let radius = m.scaled(sizes, by: 0.5)
    let centre = m.add(ridges, radius)
    var share = m.hadamard(radius, inverse(centre))
    var (x, rest) = (m.constant(0, queries.rows, queries.columns), queries)
    var step = m.scaleRows(queries, by: inverse(centre))
    for _ in 0..<steps {
      x = m.add(x, step)
      rest = m.add(rest, m.add(product(step), m.scaleRows(step, by: ridges)), scale: -1)
      let whole = inverse(m.add(m.scaled(centre, by: 2), m.hadamard(share, radius), scale: -1))
      let next = m.hadamard(radius, whole)
      step = m.add(
        m.scaleRows(step, by: m.hadamard(next, share)), m.scaleRows(rest, by: m.scaled(whole, by: 2)))
      share = next
    }
    return x
  }
}
