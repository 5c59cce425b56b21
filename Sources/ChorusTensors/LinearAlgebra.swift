import Foundation

/// Why a piece of linear algebra has no answer.
public enum LinearAlgebraError: Error, Equatable, CustomStringConvertible {
  /// The matrix is not positive definite: after eliminating the rows before it, the pivot (counted from 0) is
  /// not positive or not finite.
  case notPositiveDefinite(pivot: Int, count: Int)
  /// A vector or matrix has the wrong number of values.
  case size(String, expected: Int, found: Int)

  public var description: String {
    switch self {
    case .notPositiveDefinite(let pivot, let count):
      return "the \(count) x \(count) matrix is not positive definite: pivot \(pivot) is not positive; "
        + "add to the diagonal, or remove a repeated row"
    case .size(let what, let expected, let found):
      return "\(what) has \(found) values where \(expected) are needed"
    }
  }
}

/// The lower Cholesky factor L of a symmetric positive definite matrix A = L Lᵀ, in Double, for oracles and
/// priors (a few thousand rows at most).
public struct CholeskyFactor: Sendable {
  /// Rows of the matrix.
  public let count: Int
  /// L, row-major [count, count]; the strict upper triangle holds what the given matrix held there.
  public let lower: [Double]

  /// Factors the matrix whose lower triangle is given row-major [count, count]; the strict upper triangle is not
  /// read. At most 32768 rows.
  public init(lower matrix: consuming [Double], count: Int) throws(LinearAlgebraError) {
    guard (0...1 << 15).contains(count), matrix.count == count * count else {
      throw .size("a \(count) x \(count) matrix", expected: count &* count, found: matrix.count)
    }
    let done = matrix.withUnsafeMutableBufferPointer { buffer -> Int in
      guard let base = buffer.baseAddress, count > 0 else { return 0 }
      return DoubleKernels.cholesky(count, base, count)
    }
    guard done == count else { throw .notPositiveDefinite(pivot: done, count: count) }
    for i in 0..<count where !matrix[i * count + i].isFinite {
      throw .notPositiveDefinite(pivot: i, count: count)
    }
    self.count = count
    lower = matrix
  }

  /// log det A.
  public var logDeterminant: Double {
    var sum = 0.0
    for i in 0..<count { sum += log(lower[i * count + i]) }
    return 2 * sum
  }

  /// L⁻¹ b for b: [count, columns], row-major.
  public func whiten(_ b: consuming [Double], columns: Int = 1) throws(LinearAlgebraError) -> [Double] {
    try solveTriangular(b, columns: columns, transposed: false)
  }

  /// A⁻¹ b for b: [count, columns], row-major.
  public func solve(_ b: consuming [Double], columns: Int = 1) throws(LinearAlgebraError) -> [Double] {
    let half = try solveTriangular(b, columns: columns, transposed: false)
    return try solveTriangular(half, columns: columns, transposed: true)
  }

  /// L z: a draw of N(0, A) when `z` is a draw of standard normals [count].
  public func colour(_ z: [Double]) throws(LinearAlgebraError) -> [Double] {
    guard z.count == count else { throw .size("a vector", expected: count, found: z.count) }
    return [Double](unsafeUninitializedCapacity: count) { out, filled in
      lower.withUnsafeBufferPointer { l in
        z.withUnsafeBufferPointer { z in
          guard let l = l.baseAddress, let z = z.baseAddress, let out = out.baseAddress else { return }
          DoubleKernels.multiplyLower(count, l, count, z, out)
        }
      }
      filled = count
    }
  }

  /// log N(y; 0, A).
  public func logDensity(_ y: [Double]) throws(LinearAlgebraError) -> Double {
    let z = try whiten(y)
    var squares = 0.0
    for value in z { squares += value * value }
    return -0.5 * (squares + logDeterminant + Double(count) * log(2 * .pi))
  }

  private func solveTriangular(
    _ b: consuming [Double], columns: Int, transposed: Bool
  ) throws(LinearAlgebraError) -> [Double] {
    guard columns >= 0, b.count == count * columns else {
      throw .size("a right-hand side", expected: count * columns, found: b.count)
    }
    b.withUnsafeMutableBufferPointer { b in
      lower.withUnsafeBufferPointer { l in
        guard let l = l.baseAddress, let b = b.baseAddress else { return }
        DoubleKernels.solveLower(count, l, count, transposed, b, columns, columns)
      }
    }
    return b
  }
}

/// The normal distribution of the last rows of a Gaussian vector given its first ones, read off one Cholesky
/// factor of the covariance of all of them.
///
/// With z = L⁻¹ y: the density of row i given all rows before it is N(y_i; y_i - L_ii z_i, L_ii²), and given
/// the first n rows only, N(y_i; sum_{j<n} L_ij z_j, sum_{n<=j<=i} L_ij²). Rasmussen and Williams, "Gaussian
/// Processes for Machine Learning", 2006, equations A.6 and 2.23-2.24, in factored form.
public struct GaussianConditional: Sendable {
  /// log density of each row after the first `given`, given all rows before it; their sum is the joint density.
  public let sequential: [Double]
  /// log density of each row after the first `given`, given those only.
  public let marginal: [Double]
  /// Mean of each row given the first `given` rows.
  public let means: [Double]
  /// Variance of each row given the first `given` rows.
  public let variances: [Double]

  /// log density of all rows after the first `given` together, given those.
  public var joint: Double { sequential.reduce(0, +) }

  /// The law of rows `given`... of a vector with covariance LLᵀ, mean zero and values `y`.
  public init(_ factor: CholeskyFactor, values y: [Double], given: Int) throws(LinearAlgebraError) {
    let count = factor.count
    guard (0...count).contains(given) else {
      throw .size("the conditioning part", expected: count, found: given)
    }
    let z = try factor.whiten(y)
    let normaliser = -0.5 * log(2 * .pi)
    var (sequential, marginal, means, variances) = ([Double](), [Double](), [Double](), [Double]())
    for i in given..<count {
      let row = factor.lower[(i * count)..<(i * count + i + 1)]
      var mean = 0.0
      for (l, z) in zip(row.prefix(given), z) { mean += l * z }
      var variance = 0.0
      for l in row.dropFirst(given) { variance += l * l }
      let pivot = factor.lower[i * count + i]
      sequential.append(normaliser - log(pivot) - 0.5 * z[i] * z[i])
      let residual = y[i] - mean
      marginal.append(normaliser - 0.5 * log(variance) - 0.5 * residual * residual / variance)
      means.append(mean)
      variances.append(variance)
    }
    (self.sequential, self.marginal, self.means, self.variances) = (sequential, marginal, means, variances)
  }
}
