import Foundation
import Testing

@testable import ChorusTensors

/// Every operation on small matrices: its value from plain loops, its gradient from finite differences of itself.
@Suite struct MatrixTapeTests {
  private typealias Matrix = MatrixTape.Matrix

  /// Σ_ij c_ij out_ij with fixed c, for inputs of these shapes; compares value and all gradients in Double.
  private func check(
    _ shapes: [(Int, Int)], positive: Bool = false, tolerance: Double = 1e-7, seed: UInt64 = 3,
    _ recorded: (MatrixTape, [Matrix]) -> Matrix, reference: ([Dense]) -> Dense,
    location: SourceLocation = #_sourceLocation
  ) {
    var stream = RandomStream(seed: seed)
    let inputs = shapes.map { rows, columns in
      Dense(rows, columns) { _, _ in positive ? 0.5 + stream.uniform() : stream.normal() }
    }
    func coefficient(_ index: Int) -> Double { 0.5 + Double(index * 7 % 11) / 5 }
    let tape = MatrixTape()
    func run(_ inputs: [Dense]) -> (out: Matrix, given: [Matrix]) {
      tape.reset()
      let given = inputs.map { input in
        tape.input(input.rows, input.columns) { values in
          for (i, value) in input.values.enumerated() { values[i] = value }
        }
      }
      return (recorded(tape, given), given)
    }
    func loss(_ inputs: [Dense]) -> Double {
      let out = run(inputs).out
      return (0..<out.rows * out.columns).reduce(0) { $0 + coefficient($1) * tape.values(out)[$1] }
    }

    let (out, given) = run(inputs)
    let expected = reference(inputs)
    #expect(out.rows == expected.rows && out.columns == expected.columns, sourceLocation: location)
    let size = expected.values.reduce(1) { max($0, abs($1)) }
    for (i, value) in expected.values.enumerated() {
      #expect(abs(tape.values(out)[i] - value) < 1e-11 * size, sourceLocation: location)
    }
    tape.seed(out) { seed in for i in 0..<out.rows * out.columns { seed[i] += coefficient(i) } }
    tape.backward()
    let found = given.map { matrix in
      (0..<matrix.rows * matrix.columns).map { i in tape.gradient(matrix).map { $0[i] } ?? 0 }
    }
    let step = 1e-5
    for (index, gradient) in found.enumerated() {
      var moved = inputs
      let wanted = gradient.indices.map { i -> Double in
        moved[index].values[i] = inputs[index].values[i] + step
        let above = loss(moved)
        moved[index].values[i] = inputs[index].values[i] - step
        let below = loss(moved)
        moved[index].values[i] = inputs[index].values[i]
        return (above - below) / (2 * step)
      }
      let scale = wanted.reduce(1) { max($0, abs($1)) }
      for (got, wanted) in zip(gradient, wanted) {
        #expect(abs(got - wanted) < tolerance * scale, "gradient of input \(index)", sourceLocation: location)
      }
    }
  }

  private static func turned(_ a: Dense) -> Dense { Dense(a.columns, a.rows) { a[$1, $0] } }

  @Test(arguments: [(3, 4, 5), (1, 1, 1), (9, 2, 17), (0, 3, 2), (3, 0, 2), (3, 2, 0)])
  func products(m: Int, k: Int, n: Int) {
    check([(m, k), (k, n)]) {
      $0.multiply($1[0], $1[1])
    } reference: {
      $0[0] * $0[1]
    }
    check([(k, m), (k, n)]) {
      $0.multiply($1[0], $1[1], .left)
    } reference: {
      Self.turned($0[0]) * $0[1]
    }
    check([(m, k), (n, k)]) {
      $0.multiply($1[0], $1[1], .right)
    } reference: {
      $0[0] * Self.turned($0[1])
    }
  }

  /// A matrix that is read twice by one operation gets both gradients.
  @Test func aMatrixWithItself() {
    check([(4, 3)]) {
      $0.multiply($1[0], $1[0], .left)
    } reference: {
      Self.turned($0[0]) * $0[0]
    }
    check([(4, 3)]) {
      $0.multiply($1[0], $1[0], .right)
    } reference: {
      $0[0] * Self.turned($0[0])
    }
    check([(4, 3)]) {
      $0.hadamard($1[0], $1[0])
    } reference: {
      $0[0].map { $0 * $0 }
    }
    check([(4, 3)]) {
      $0.add($1[0], $1[0], scale: 3)
    } reference: {
      $0[0].map { 4 * $0 }
    }
    check([(2, 3)]) {
      $0.stack($1[0], $1[0])
    } reference: { m in
      Dense(4, 3) { m[0][$0 % 2, $1] }
    }
  }

  @Test(arguments: [(3, 4), (1, 1), (0, 4), (2, 0)])
  func elementwise(rows: Int, columns: Int) {
    let shape = (rows, columns)
    check([shape, shape]) {
      $0.add($1[0], $1[1], scale: -2.5)
    } reference: {
      $0[0] + $0[1].map { -2.5 * $0 }
    }
    check([shape, shape]) {
      $0.hadamard($1[0], $1[1])
    } reference: { m in
      Dense(rows, columns) { m[0][$0, $1] * m[1][$0, $1] }
    }
    check([shape]) {
      $0.map($1[0]) { (sin($0), cos($0)) }
    } reference: {
      $0[0].map(sin)
    }
    check([shape]) {
      $0.scaled($1[0], by: -3)
    } reference: {
      $0[0].map { -3 * $0 }
    }
    check([shape]) {
      $0.transpose($1[0])
    } reference: {
      Self.turned($0[0])
    }
  }

  @Test func rowsAndShapes() {
    check([(5, 3)]) {
      $0.rows($1[0], 1..<4)
    } reference: {
      $0[0][rows: 1..<4]
    }
    check([(5, 3)]) {
      $0.rows($1[0], 2..<2)
    } reference: {
      $0[0][rows: 2..<2]
    }
    check([(1, 12)]) {
      $0.reshape($1[0], rows: 3)
    } reference: { m in
      Dense(3, 4) { m[0][0, 4 * $0 + $1] }
    }
    check([(2, 3), (4, 3)]) {
      $0.stack($1[0], $1[1])
    } reference: { m in
      Dense(6, 3) { $0 < 2 ? m[0][$0, $1] : m[1][$0 - 2, $1] }
    }
    check([(0, 3), (4, 3)]) {
      $0.stack($1[0], $1[1])
    } reference: {
      $0[1]
    }
    check([(4, 3), (0, 3)]) {
      $0.stack($1[0], $1[1])
    } reference: {
      $0[0]
    }
    check([(3, 4)]) {
      $0.visible($1[0], limits: [0, 9, 2])
    } reference: { m in
      Dense(3, 4) { $1 < [0, 9, 2][$0] ? m[0][$0, $1] : 0 }
    }
    check([(4, 4), (1, 1)]) {
      $0.addDiagonal($1[0], $1[1])
    } reference: { m in
      Dense(4, 4) { m[0][$0, $1] + ($0 == $1 ? m[1][0, 0] : 0) }
    }
  }

  @Test(arguments: [(4, 3), (1, 5), (0, 3)])
  func rowsAndColumnsScaledAndSummed(rows: Int, columns: Int) {
    check([(rows, columns)]) {
      $0.rowSums($1[0])
    } reference: { m in
      Dense(rows, 1) { row, _ in (0..<columns).reduce(0) { $0 + m[0][row, $1] } }
    }
    check([(rows, columns), (rows, 1)]) {
      $0.scaleRows($1[0], by: $1[1])
    } reference: { m in
      Dense(rows, columns) { m[0][$0, $1] * m[1][$0, 0] }
    }
    check([(rows, columns), (1, columns)]) {
      $0.scaleColumns($1[0], by: $1[1])
    } reference: { m in
      Dense(rows, columns) { m[0][$0, $1] * m[1][0, $1] }
    }
    check([(rows, columns), (1, columns)]) {
      $0.addRow($1[0], $1[1])
    } reference: {
      $0[0].adding($0[1])
    }
  }

  /// A = B Bᵀ + n·I, so that moving B keeps it symmetric.
  private static func gram(_ b: Dense) -> Dense {
    var a = b * turned(b)
    for i in 0..<b.rows { a[i, i] += Double(b.rows) }
    return a
  }
  private static func gram(_ tape: MatrixTape, _ b: Matrix) -> Matrix {
    tape.addDiagonal(tape.multiply(b, b, .right), tape.constant(Double(b.rows), 1, 1))
  }
  private static func factor(_ a: Dense) -> Dense {
    var l = Dense(a.rows, a.rows)
    for i in 0..<a.rows {
      for j in 0...i {
        let sum = (0..<j).reduce(a[i, j]) { $0 - l[i, $1] * l[j, $1] }
        l[i, j] = i == j ? sum.squareRoot() : sum / l[j, j]
      }
    }
    return l
  }

  @Test(arguments: [1, 2, 5, 9, 20])
  func choleskyFactors(n: Int) {
    check([(n, n)], seed: 8) {
      $0.cholesky(Self.gram($0, $1[0]))
    } reference: {
      Self.factor(Self.gram($0[0]))
    }
  }

  @Test(arguments: [(1, 1), (5, 3), (9, 8), (12, 17), (4, 0)], [false, true])
  func triangularSolves(shape: (n: Int, columns: Int), transposed: Bool) {
    let (n, columns) = shape
    check([(n, n), (n, columns)], seed: 9) {
      $0.solve($0.cholesky(Self.gram($0, $1[0])), $1[1], transposed: transposed)
    } reference: { m in
      let l = Self.factor(Self.gram(m[0]))
      var x = m[1]
      for c in 0..<columns {
        for step in 0..<n {
          let i = transposed ? n - 1 - step : step
          let rest = transposed ? Array(i + 1..<max(n, i + 1)) : Array(0..<i)
          let sum = rest.reduce(x[i, c]) { $0 - (transposed ? l[$1, i] : l[i, $1]) * x[$1, c] }
          x[i, c] = sum / l[i, i]
        }
      }
      return x
    }
  }

  /// What no gradient is needed for gets none, and a pass over a part of the tape leaves the rest alone.
  @Test func constantsHaveNoGradientAndPartsArePassedAlone() {
    let tape = MatrixTape()
    let a = tape.input(2, 2) { for i in 0..<4 { $0[i] = Double(i) } }
    let fixed = tape.constant(2, 2, 2)
    let first = tape.count
    let product = tape.multiply(a, fixed)
    tape.seed(product) { for i in 0..<4 { $0[i] += 1 } }
    tape.backward(from: first)
    #expect(tape.gradient(fixed) == nil)
    #expect(tape.gradient(a).map { [$0[0], $0[3]] } == [4, 4])
    let alone = tape.multiply(fixed, fixed)
    tape.seed(alone) { _ in Issue.record("a constant was seeded") }
  }

  // MARK: Nearly singular matrices

  private static func factored(_ a: Dense) -> (lower: Dense, added: Double) {
    var lower = Dense(a.rows, a.rows) { _, _ in 99 }
    let added = a.values.withUnsafeBufferPointer { a in
      lower.values.withUnsafeMutableBufferPointer {
        SmallCholesky.factor(a.baseAddress!, lower.rows, into: $0.baseAddress!)
      }
    }
    return (lower, added)
  }

  @Test func aSingularMatrixHasAFiniteFactorOfWhatItTells() {
    for n in [1, 3, 8, 40] {
      var stream = RandomStream(seed: UInt64(n))
      let row = stream.normals(n)
      let zero = Dense(n, n)
      let rankOne = Dense(n, n) { 1e6 * row[$0] * row[$1] }
      var negative = Self.gram(Dense(n, n) { _, _ in stream.normal() })
      negative[n - 1, n - 1] = -1
      for a in [zero, rankOne, negative] {
        let (lower, added) = Self.factored(a)
        #expect(lower.values.allSatisfy { $0.isFinite })
        #expect(added >= 0)
        let size = a.values.reduce(1) { max($0, abs($1)) }
        let product = lower * Self.turned(lower)
        guard added < 0.9 * size else { continue }  // the last resort is no factor of the matrix
        for i in 0..<n {
          for j in 0..<n {
            #expect(abs(product[i, j] - a[i, j] - (i == j ? added : 0)) < 1e-12 * size * Double(n + 1))
            if j > i { #expect(lower[i, j] == 0) }
          }
        }
      }
      #expect(Self.factored(zero).added > 0)
    }
    let (lower, added) = Self.factored(Dense(3, 3) { _, _ in .nan })
    #expect(lower.values.allSatisfy { $0.isFinite } && added > 0)
    #expect(Self.factored(Dense(2, 2) { $0 == $1 ? 4 : 0 }).added == 0)
  }
}
