import CChorusKernels
import Foundation

/// The Double kernels the package computes with: those of C.
package enum DoubleKernels {
  /// In-place lower Cholesky factor of the lower triangle of a: [n, n] with row stride `lda`. Gives n, or the
  /// first pivot that is not positive.
  package static func cholesky(_ n: Int, _ a: UnsafeMutablePointer<Double>, _ lda: Int) -> Int {
    Int(ck_cholesky_f64(Int32(n), a, Int32(lda)))
  }

  /// b [n, columns] := L⁻¹ b or L⁻ᵀ b.
  package static func solveLower(
    _ n: Int, _ l: UnsafePointer<Double>, _ ldl: Int, _ transposed: Bool, _ b: UnsafeMutablePointer<Double>,
    _ columns: Int, _ ldb: Int
  ) {
    ck_solve_lower_f64(
      Int32(n), l, Int32(ldl), transposed ? 1 : 0, b, Int32(columns), Int32(ldb))
  }

  /// Eliminates the first n columns of a: [rows, lda] by pivots of the first n rows, so that the other rows hold the
  /// Schur complement; `lda` is a multiple of 4. Gives n, or the first column without a pivot.
  package static func schur(_ n: Int, rows: Int, _ a: UnsafeMutablePointer<Double>, _ lda: Int) -> Int {
    Int(ck_schur_f64(Int32(n), Int32(rows), a, Int32(lda)))
  }

  /// y := L x.
  package static func multiplyLower(
    _ n: Int, _ l: UnsafePointer<Double>, _ ldl: Int, _ x: UnsafePointer<Double>,
    _ y: UnsafeMutablePointer<Double>
  ) {
    ck_multiply_lower_f64(Int32(n), l, Int32(ldl), x, y)
  }

  /// A row-major matrix, or its transpose.
  package struct Strided {
    let pointer: UnsafePointer<Double>
    let across, along: Int

    /// Rows `stride` apart.
    package init(_ pointer: UnsafePointer<Double>, _ stride: Int) { self.init(pointer, stride, 1) }
    private init(_ pointer: UnsafePointer<Double>, _ across: Int, _ along: Int) {
      (self.pointer, self.across, self.along) = (pointer, across, along)
    }
    package var transposed: Strided { Strided(pointer, along, across) }
  }

  /// c += alpha·a·b for a [m, k] and b [k, n].
  package static func multiply(
    _ m: Int, _ n: Int, _ k: Int, _ alpha: Double, _ a: Strided, _ b: Strided,
    _ c: UnsafeMutablePointer<Double>, _ ldc: Int
  ) {
    var arguments = ck_multiply_f64_args()
    (arguments.m, arguments.n, arguments.k) = (Int32(m), Int32(n), Int32(k))
    arguments.alpha = alpha
    (arguments.a, arguments.a_across, arguments.a_along) = (a.pointer, a.across, a.along)
    (arguments.b, arguments.b_across, arguments.b_along) = (b.pointer, b.across, b.along)
    (arguments.c, arguments.ldc) = (c, ldc)
    ck_multiply_f64(&arguments)
  }

  /// c [n, n] += aᵀ a for a: [rows, n], of which rows are `lda` apart.
  package static func gram(
    _ n: Int, rows: Int, _ a: UnsafePointer<Double>, _ lda: Int, _ c: UnsafeMutablePointer<Double>
  ) {
    var arguments = ck_multiply_f64_args()
    (arguments.m, arguments.n, arguments.k) = (Int32(n), Int32(n), Int32(rows))
    arguments.alpha = 1
    (arguments.a, arguments.a_across, arguments.a_along) = (a, 1, lda)
    (arguments.b, arguments.b_across, arguments.b_along) = (a, lda, 1)
    (arguments.c, arguments.ldc) = (c, n)
    ck_multiply_f64(&arguments)
  }

  /// c [m, n] += a bᵀ for a [m, k] and b [n, k].
  package static func multiply(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>,
    _ c: UnsafeMutablePointer<Double>
  ) { multiply(m, n, k, a, across: k, b, across: k, c) }

  /// The same of the first k columns of wider matrices, rows of which are so far apart.
  package static func multiply(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Double>, across aRow: Int, _ b: UnsafePointer<Double>,
    across bRow: Int, _ c: UnsafeMutablePointer<Double>
  ) {
    var arguments = ck_multiply_f64_args()
    (arguments.m, arguments.n, arguments.k) = (Int32(m), Int32(n), Int32(k))
    arguments.alpha = 1
    (arguments.a, arguments.a_across, arguments.a_along) = (a, aRow, 1)
    (arguments.b, arguments.b_across, arguments.b_along) = (b, 1, bRow)
    (arguments.c, arguments.ldc) = (c, n)
    ck_multiply_f64(&arguments)
  }

  /// y := exp(x), elementwise; y may be x.
  package static func exp(_ n: Int, _ x: UnsafePointer<Double>, _ y: UnsafeMutablePointer<Double>) {
    ck_exp_f64(n, x, y)
  }
}

/// The same kernels in plain Swift: the reference of the tests.
package enum PlainDoubleKernels {
  package static func cholesky(_ n: Int, _ a: UnsafeMutablePointer<Double>, _ lda: Int) -> Int {
    for i in 0..<n {
      let row = a + i * lda
      for j in 0..<i {
        let other = a + j * lda
        row[j] = (row[j] - dot(j, row, other)) / other[j]
      }
      let pivot = row[i] - dot(i, row, row)
      guard pivot > 0, pivot.isFinite else { return i }
      row[i] = pivot.squareRoot()
    }
    return n
  }

  package static func solveLower(
    _ n: Int, _ l: UnsafePointer<Double>, _ ldl: Int, _ transposed: Bool, _ b: UnsafeMutablePointer<Double>,
    _ columns: Int, _ ldb: Int
  ) {
    for step in 0..<n {
      let i = transposed ? n - 1 - step : step
      let row = b + i * ldb
      for j in transposed ? (i + 1)..<n : 0..<i {
        let factor = transposed ? l[j * ldl + i] : l[i * ldl + j]
        let other = b + j * ldb
        for c in 0..<columns { row[c] -= factor * other[c] }
      }
      let pivot = l[i * ldl + i]
      for c in 0..<columns { row[c] /= pivot }
    }
  }

  package static func multiplyLower(
    _ n: Int, _ l: UnsafePointer<Double>, _ ldl: Int, _ x: UnsafePointer<Double>,
    _ y: UnsafeMutablePointer<Double>
  ) {
    for i in 0..<n { y[i] = dot(i + 1, l + i * ldl, x) }
  }

  package static func exp(_ n: Int, _ x: UnsafePointer<Double>, _ y: UnsafeMutablePointer<Double>) {
    for i in 0..<n { y[i] = Foundation.exp(x[i]) }
  }

  /// Sum of products in eight partial sums, then the rest one by one.
  @inline(__always)
  private static func dot(_ n: Int, _ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>) -> Double {
    var lanes = SIMD8<Double>()
    var i = 0
    while i + 8 <= n {
      let a = UnsafeRawPointer(x + i).loadUnaligned(as: SIMD8<Double>.self)
      let b = UnsafeRawPointer(y + i).loadUnaligned(as: SIMD8<Double>.self)
      lanes += a * b
      i += 8
    }
    var sum = lanes.sum()
    while i < n {
      sum += x[i] * y[i]
      i += 1
    }
    return sum
  }
}
