import ChorusTensors
import Foundation

/// Ridge regression to rows that fade: G ← γ G + β k vᵀ and H ← γ H + β k kᵀ are the columns of one state, and a query reads
/// x·G with (H + λ) x = q. What is solved is the difference between the rules that use it.
enum FadingRidge {
  typealias Matrix = HeadPass.Matrix

  /// x after some steps of conjugate gradients from zero, whose products with H `product` gives.
  static func conjugate(
    _ query: [Double], ridge: Double, steps: Int, _ product: ([Double]) -> [Double]
  ) -> [Double] {
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    var (x, rest, direction) = (query.map { _ in 0.0 }, query, query)
    var square = dot(rest, rest)
    for _ in 0..<steps {
      let image = zip(product(direction), direction).map { $0 + ridge * $1 }
      let step = square / (dot(direction, image) + SolverRidgeMemory.tiny)
      x = zip(x, direction).map { $0 + step * $1 }
      rest = zip(rest, image).map { $0 - step * $1 }
      let next = dot(rest, rest)
      let turn = next / (square + SolverRidgeMemory.tiny)
      direction = zip(rest, direction).map { $0 + turn * $1 }
      square = next
    }
    return x
  }

  /// The same from `rest` = q and `x` = 0 on, with products that `product` writes into
  /// `image`; `rest` becomes what is left.
  private static func conjugate(
    _ x: UnsafeMutablePointer<Double>, _ rest: UnsafeMutablePointer<Double>, _ n: Int, ridge: Double,
    steps: Int, _ scratch: Arena,
    _ product: (_ x: UnsafePointer<Double>, _ image: UnsafeMutablePointer<Double>) -> Void
  ) {
    func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>) -> Double {
      var sum = 0.0
      for i in 0..<n { sum += a[i] * b[i] }
      return sum
    }
    let (direction, image) = (scratch.doubles(n), scratch.doubles(n))
    direction.update(from: rest, count: n)
    var square = dot(rest, rest)
    for _ in 0..<steps {
      product(direction, image)
      for i in 0..<n { image[i] += ridge * direction[i] }
      let step = square / (dot(direction, image) + SolverRidgeMemory.tiny)
      for i in 0..<n {
        x[i] += step * direction[i]
        rest[i] -= step * image[i]
      }
      let next = dot(rest, rest)
      let turn = next / (square + SolverRidgeMemory.tiny)
      for i in 0..<n { direction[i] = rest[i] + turn * direction[i] }
      square = next
    }
  }

  /// x exactly, by a Cholesky factor of H + λ; tells what had to be added to its diagonal.
  static func exact(_ query: [Double], ridge: Double, _ h: [Double]) -> (x: [Double], raised: Double) {
    let n = query.count
    var (system, factor, x) = (h, [Double](repeating: 0, count: n * n), query)
    for i in 0..<n { system[i * n + i] += ridge }
    let raised = SmallCholesky.factor(system, n, into: &factor)
    for transposed in [false, true] { DoubleKernels.solveLower(n, factor, n, transposed, &x, 1, 1) }
    return (x, raised)
  }

  /// The same of every row of `queries`.
  static func exact(
    _ queries: Matrix, ridge: Matrix, _ m: MatrixTape, _ product: (Matrix) -> Matrix
  ) -> Matrix {
    let (count, n) = (queries.rows, queries.columns)
    // Row i of every query's H is what the unit vector i reads.
    let parts = (0..<n).map { i in
      product(
        m.input(count, n, learns: false) { values in
          for place in 0..<count * n { values[place] = place % n == i ? 1 : 0 }
        })
    }
    let all = parts.dropFirst().reduce(parts[0]) { m.beside($0, $1) }
    let solved = (0..<count).map { row in
      let h = m.reshape(m.rows(all, row..<row + 1), rows: n)
      let factor = m.cholesky(m.addDiagonal(h, m.rows(ridge, row..<row + 1)))
      let query = m.transpose(m.rows(queries, row..<row + 1))
      return m.transpose(m.solve(factor, m.solve(factor, query), transposed: true))
    }
    return solved.dropFirst().reduce(solved[0]) { m.stack($0, $1) }
  }

  /// How a specification's x is found.
  enum Solver: Sendable {
    case exact
    case conjugate(steps: Int)
    init(_ spec: MemorySpec) {
      if case .conjugateGradient(let steps) = spec.optimiser {
        self = .conjugate(steps: steps)
      } else {
        self = .exact
      }
    }
  }

  /// What a read takes: products with the state, of which all but the last are with H, and operations of a Cholesky factor.
  struct Work {
    let products: Int
    let rank: Int
    let rest: Double
    func columns(_ width: Int) -> Int { (products - 1) * rank + width }
  }

  static func work(_ solver: Solver, rank: Int) -> Work {
    switch solver {
    case .conjugate(let steps): Work(products: steps + 1, rank: rank, rest: 0)
    case .exact: Work(products: rank + 1, rank: rank, rest: Double(rank * rank * rank) / 3)
    }
  }

  /// What a query reads of a state G beside H.
  static func read(
    _ query: UnsafePointer<Float>, ridge: Double, _ solver: Solver, rank: Int, width: Int,
    _ state: StateProduct, into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (asked, read) = (scratch.floats(rank), scratch.floats(rank))
    switch solver {
    case .conjugate(let steps):
      let (x, rest) = (scratch.doubles(rank), scratch.doubles(rank))
      for i in 0..<rank { (x[i], rest[i]) = (0, Double(query[i])) }
      conjugate(x, rest, rank, ridge: ridge, steps: steps, scratch) { direction, image in
        for i in 0..<rank { asked[i] = Float(direction[i]) }
        state(asked, width..<width + rank, read)
        for i in 0..<rank { image[i] = Double(read[i]) }
      }
      for i in 0..<rank { asked[i] = Float(x[i]) }
    case .exact:
      asked.update(repeating: 0, count: rank)
      let h = (0..<rank).flatMap { i in
        asked[i] = 1
        state(asked, width..<width + rank, read)
        asked[i] = 0
        return (0..<rank).map { Double(read[$0]) }
      }
      let x = exact((0..<rank).map { Double(query[$0]) }, ridge: ridge, h).x
      for i in 0..<rank { asked[i] = Float(x[i]) }
    }
    state(asked, 0..<width, out)
    scratch.rewind(to: mark)
  }

  /// The same exactly on a tape, of every row of `queries`; `ridge` is `[1, 1]`.
  static func record(
    _ queries: Matrix, ridge: Matrix, width: Int, _ m: MatrixTape, _ state: RecordedReads
  ) -> Matrix {
    let ridges = m.multiply(m.constant(1, queries.rows, 1), ridge)
    let x = exact(queries, ridge: ridges, m) { state.columns(width..<width + queries.columns, of: $0) }
    return state.columns(0..<width, of: x)
  }

  /// The same by its formula, by elimination where it is exact.
  static func reference(
    _ query: [Double], _ head: ReferenceHead, ridge: Double, of state: [[Double]]
  ) -> [Double] {
    let (n, width) = (query.count, head.sizes.width)
    func read(_ x: [Double]) -> [Double] { Array(head.read(x, state)[..<width]) }
    if case .conjugate(let steps) = Solver(head.spec) {
      return read(
        conjugate(query, ridge: ridge, steps: steps) { x in Array(head.read(x, state)[width...]) })
    }
    var system = Square(n)
    for i in 0..<n { for j in 0..<n { system[i, j] = state[i][width + j] + (i == j ? ridge : 0) } }
    return read(system.solve(query.map { [$0] }).map { $0[0] })
  }
}
