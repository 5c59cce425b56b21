import CChorusKernels
import Foundation

/// Reverse-mode derivatives of small dense matrices in Double.
///
/// A memory writes its training form here the way its paper does: a dozen operations on matrices of one head, whose
/// derivatives are checked once each. Float64 because triangular factors of nearly singular sums are among them,
/// and because a head is so small that the layer's own maps take most of the time all the same.
///
/// Memory comes from two arenas and is kept from task to task. A tape belongs to one thread.
public final class MatrixTape {
  /// A recorded matrix `[rows, columns]`.
  public struct Matrix: Sendable, Hashable {
    let index: Int
    public let rows: Int
    public let columns: Int
  }

  /// Which factor of a product is transposed.
  public enum Transposed: Sendable { case none, left, right }

  enum Operation {
    /// Comes from outside; only an input with `learns` gets a gradient.
    case input(learns: Bool)
    case multiply(Matrix, Matrix, Transposed)
    /// left + scale·right.
    case add(Matrix, Matrix, scale: Double)
    case hadamard(Matrix, Matrix)
    /// Elementwise, with its derivative at every element.
    case map(Matrix, derivative: UnsafeMutablePointer<Double>)
    case transpose(Matrix)
    /// The values from row `first` on, read as rows of another length.
    case rows(Matrix, first: Int)
    case stack(Matrix, Matrix)
    case addDiagonal(Matrix, Matrix)
    case addRow(Matrix, Matrix)
    /// Each row, or each column, times its number.
    case scaleRows(Matrix, Matrix)
    case scaleColumns(Matrix, Matrix)
    case visible(Matrix, limits: [Int32])
    case cholesky(Matrix)
    case solve(Matrix, Matrix, transposed: Bool)
  }

  struct Record {
    let operation: Operation
    let values: UnsafeMutablePointer<Double>
    let rows: Int
    let columns: Int
    let needsGradient: Bool
    var gradient: UnsafeMutablePointer<Double>?
    var count: Int { rows * columns }
  }

  let arena = Arena(blockCount: 1 << 16)
  /// Of one backward pass: gradients and their intermediate products.
  let scratch = Arena(blockCount: 1 << 16)
  var records: [Record] = []
  /// Floating-point operations of products since the tape was made.
  public private(set) var work = 0.0

  public init() {}

  /// Counts a product of `[m, k]` and `[k, n]`.
  public func count(product m: Int, _ n: Int, _ k: Int) { work += 2 * Double(m * n * k) }

  public func reset() {
    records.removeAll(keepingCapacity: true)
    arena.reset()
    scratch.reset()
  }

  /// Matrices recorded so far: what `backward` takes as the place to stop.
  public var count: Int { records.count }

  /// Bytes held for values and gradients.
  public var bytes: Int { arena.bytes + scratch.bytes }

  /// `[rows, columns]`, row-major, valid until `reset`.
  public func values(_ matrix: Matrix) -> UnsafeMutablePointer<Double> { records[matrix.index].values }

  /// What `backward` found for a matrix; nil where nothing came by.
  public func gradient(_ matrix: Matrix) -> UnsafeMutablePointer<Double>? { records[matrix.index].gradient }

  func append(_ operation: Operation, _ rows: Int, _ columns: Int, reads: [Matrix]) -> Matrix {
    var needs = reads.contains { records[$0.index].needsGradient }
    if case .input(let learns) = operation { needs = learns }
    records.append(
      Record(
        operation: operation, values: arena.doubles(rows * columns), rows: rows, columns: columns,
        needsGradient: needs, gradient: nil))
    return Matrix(index: records.count - 1, rows: rows, columns: columns)
  }

  // MARK: Operations

  /// A matrix from outside; `fill` writes its values.
  public func input(
    _ rows: Int, _ columns: Int, learns: Bool = true, _ fill: (UnsafeMutablePointer<Double>) -> Void
  ) -> Matrix {
    let out = append(.input(learns: learns), rows, columns, reads: [])
    fill(values(out))
    return out
  }

  /// A constant matrix of one value.
  public func constant(_ value: Double, _ rows: Int, _ columns: Int) -> Matrix {
    input(rows, columns, learns: false) { $0.update(repeating: value, count: rows * columns) }
  }

  /// A product of two matrices, one of them transposed if so told.
  public func multiply(_ a: Matrix, _ b: Matrix, _ transposed: Transposed = .none) -> Matrix {
    let rows = transposed == .left ? a.columns : a.rows
    let out = append(
      .multiply(a, b, transposed), rows, transposed == .right ? b.rows : b.columns, reads: [a, b])
    values(out).update(repeating: 0, count: out.rows * out.columns)
    count(product: out.rows, out.columns, transposed == .left ? a.rows : a.columns)
    Self.multiply(
      1, Strided(values(a), a, transposed == .left), Strided(values(b), b, transposed == .right), values(out))
    return out
  }

  /// a + scale·b.
  public func add(_ a: Matrix, _ b: Matrix, scale: Double = 1) -> Matrix {
    let out = append(.add(a, b, scale: scale), a.rows, a.columns, reads: [a, b])
    let (x, y, z) = (values(a), values(b), values(out))
    for i in 0..<a.rows * a.columns { z[i] = x[i] + scale * y[i] }
    return out
  }

  /// Products element by element.
  public func hadamard(_ a: Matrix, _ b: Matrix) -> Matrix {
    let out = append(.hadamard(a, b), a.rows, a.columns, reads: [a, b])
    let (x, y, z) = (values(a), values(b), values(out))
    for i in 0..<a.rows * a.columns { z[i] = x[i] * y[i] }
    return out
  }

  /// A function of each element, given as value and derivative.
  public func map(_ a: Matrix, _ function: (Double) -> (value: Double, derivative: Double)) -> Matrix {
    let derivative = arena.doubles(a.rows * a.columns)
    let out = append(.map(a, derivative: derivative), a.rows, a.columns, reads: [a])
    let (x, z) = (values(a), values(out))
    for i in 0..<a.rows * a.columns { (z[i], derivative[i]) = function(x[i]) }
    return out
  }

  /// The same for a function of many elements at once, which writes values and derivatives.
  public func map(
    _ a: Matrix,
    all function: (
      _ count: Int, _ x: UnsafePointer<Double>, _ values: UnsafeMutablePointer<Double>,
      _ derivatives: UnsafeMutablePointer<Double>
    ) -> Void
  ) -> Matrix {
    let derivative = arena.doubles(a.rows * a.columns)
    let out = append(.map(a, derivative: derivative), a.rows, a.columns, reads: [a])
    function(a.rows * a.columns, values(a), values(out), derivative)
    return out
  }

  public func transpose(_ a: Matrix) -> Matrix {
    let out = append(.transpose(a), a.columns, a.rows, reads: [a])
    let (x, z) = (values(a), values(out))
    for i in 0..<a.rows { for j in 0..<a.columns { z[j * a.rows + i] = x[i * a.columns + j] } }
    return out
  }

  /// Some rows of a matrix.
  public func rows(_ a: Matrix, _ range: Range<Int>) -> Matrix {
    let out = append(.rows(a, first: range.lowerBound), range.count, a.columns, reads: [a])
    values(out).update(from: values(a) + range.lowerBound * a.columns, count: range.count * a.columns)
    return out
  }

  /// The same values as rows of another length.
  public func reshape(_ a: Matrix, rows: Int) -> Matrix {
    let count = a.rows * a.columns
    let out = append(.rows(a, first: 0), rows, count / max(rows, 1), reads: [a])
    values(out).update(from: values(a), count: count)
    return out
  }

  /// The rows of a above those of b.
  public func stack(_ a: Matrix, _ b: Matrix) -> Matrix {
    let out = append(.stack(a, b), a.rows + b.rows, a.columns, reads: [a, b])
    values(out).update(from: values(a), count: a.rows * a.columns)
    (values(out) + a.rows * a.columns).update(from: values(b), count: b.rows * b.columns)
    return out
  }

  /// a + s·I for a square matrix and a `[1, 1]` matrix s.
  public func addDiagonal(_ a: Matrix, _ s: Matrix) -> Matrix {
    let out = append(.addDiagonal(a, s), a.rows, a.columns, reads: [a, s])
    let z = values(out)
    z.update(from: values(a), count: a.rows * a.columns)
    for i in 0..<a.rows { z[i * a.columns + i] += values(s)[0] }
    return out
  }

  /// Adds `row` `[1, columns]` to every row.
  public func addRow(_ a: Matrix, _ row: Matrix) -> Matrix {
    let out = append(.addRow(a, row), a.rows, a.columns, reads: [a, row])
    let (x, y, z) = (values(a), values(row), values(out))
    for i in 0..<a.rows {
      for j in 0..<a.columns { z[i * a.columns + j] = x[i * a.columns + j] + y[j] }
    }
    return out
  }

  /// Row i of a times element i of `factors` `[rows, 1]`.
  public func scaleRows(_ a: Matrix, by factors: Matrix) -> Matrix {
    let out = append(.scaleRows(a, factors), a.rows, a.columns, reads: [a, factors])
    let (x, y, z, n) = (values(a), values(factors), values(out), a.columns)
    for i in 0..<a.rows {
      let factor = y[i]
      for j in i * n..<(i + 1) * n { z[j] = x[j] * factor }
    }
    return out
  }

  /// Column j of a times element j of `factors` `[1, columns]`.
  public func scaleColumns(_ a: Matrix, by factors: Matrix) -> Matrix {
    let out = append(.scaleColumns(a, factors), a.rows, a.columns, reads: [a, factors])
    let (x, y, z, n) = (values(a), values(factors), values(out), a.columns)
    for i in 0..<a.rows { for j in 0..<n { z[i * n + j] = x[i * n + j] * y[j] } }
    return out
  }

  /// Row i as far as column `limits[i]`, zeros from there on.
  public func visible(_ a: Matrix, limits: [Int32]) -> Matrix {
    let out = append(.visible(a, limits: limits), a.rows, a.columns, reads: [a])
    let (x, z) = (values(a), values(out))
    for i in 0..<a.rows {
      let seen = max(0, min(a.columns, Int(limits[i])))
      let row = i * a.columns
      (z + row).update(from: x + row, count: seen)
      (z + row + seen).update(repeating: 0, count: a.columns - seen)
    }
    return out
  }

  /// The lower factor of a symmetric positive definite matrix. A pivot that rounding has brought to zero or below is
  /// raised by adding to the diagonal, in steps from 1e-12 of its mean, so that the answer is finite.
  public func cholesky(_ a: Matrix) -> Matrix {
    let out = append(.cholesky(a), a.rows, a.columns, reads: [a])
    SmallCholesky.factor(values(a), a.rows, into: values(out))
    return out
  }

  /// L⁻¹ b, or L⁻ᵀ b, for a lower-triangular L.
  public func solve(_ l: Matrix, _ b: Matrix, transposed: Bool = false) -> Matrix {
    let out = append(.solve(l, b, transposed: transposed), b.rows, b.columns, reads: [l, b])
    values(out).update(from: values(b), count: b.rows * b.columns)
    DoubleKernels.solveLower(l.rows, values(l), l.columns, transposed, values(out), b.columns, b.columns)
    return out
  }

  // MARK: Built from these

  /// Sums of the rows, `[rows, 1]`.
  public func rowSums(_ a: Matrix) -> Matrix { multiply(a, constant(1, a.columns, 1)) }
  public func scaled(_ a: Matrix, by factor: Double) -> Matrix { map(a) { ($0 * factor, factor) } }

  // MARK: Products of strided matrices

  /// A row-major matrix, or its transpose.
  struct Strided {
    let pointer: UnsafeMutablePointer<Double>
    let rows: Int
    let columns: Int
    let across: Int
    let along: Int

    init(_ pointer: UnsafeMutablePointer<Double>, _ shape: Matrix, _ transposed: Bool) {
      self.pointer = pointer
      (rows, columns) = transposed ? (shape.columns, shape.rows) : (shape.rows, shape.columns)
      (across, along) = transposed ? (1, shape.columns) : (shape.columns, 1)
    }
  }

  /// out += alpha·a·b, with out as long a row as b.
  static func multiply(_ alpha: Double, _ a: Strided, _ b: Strided, _ out: UnsafeMutablePointer<Double>) {
    var arguments = ck_multiply_f64_args()
    (arguments.m, arguments.n, arguments.k) = (Int32(a.rows), Int32(b.columns), Int32(a.columns))
    arguments.alpha = alpha
    arguments.a = UnsafePointer(a.pointer)
    (arguments.a_across, arguments.a_along) = (a.across, a.along)
    arguments.b = UnsafePointer(b.pointer)
    (arguments.b_across, arguments.b_along) = (b.across, b.along)
    arguments.c = out
    arguments.ldc = b.columns
    ck_multiply_f64(&arguments)
  }
}

/// Cholesky factors of the small matrices inside memories.
package enum SmallCholesky {
  /// Writes the factor of `a` `[n, n]`, zeros above the diagonal; returns what had to be added to the diagonal.
  @discardableResult
  package static func factor(
    _ a: UnsafePointer<Double>, _ n: Int, into out: UnsafeMutablePointer<Double>
  ) -> Double {
    var mean = 0.0
    for i in 0..<n { mean += abs(a[i * n + i]) / Double(max(n, 1)) }
    if !mean.isFinite || mean == 0 { mean = 1 }
    var jitter = 0.0
    for attempt in 0..<14 {
      out.update(from: a, count: n * n)
      if attempt > 0 {
        jitter = mean * pow(10, Double(attempt) - 13)
        for i in 0..<n { out[i * n + i] += jitter }
      }
      if DoubleKernels.cholesky(n, out, n) == n, (0..<n).allSatisfy({ out[$0 * n + $0].isFinite }) {
        for i in 0..<n { for j in i + 1..<max(n, i + 1) { out[i * n + j] = 0 } }
        return jitter
      }
    }
    // Nothing finite to factor: a multiple of the unit matrix, so that what is read stays finite.
    for i in 0..<n * n { out[i] = i % (n + 1) == 0 ? mean.squareRoot() : 0 }
    return mean
  }
}
