import ChorusTensors
import Foundation
import Testing

@Suite("Linear algebra in Double")
struct LinearAlgebraTests {
  /// A random positive definite matrix: G Gᵀ + n/10.
  static func matrix(_ n: Int, seed: UInt64) -> [Double] {
    var stream = RandomStream(seed: seed)
    let g = stream.normals(n * n)
    var a = [Double](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0..<n {
        for k in 0..<n { a[i * n + j] += g[i * n + k] * g[j * n + k] }
      }
      a[i * n + i] += Double(n) / 10
    }
    return a
  }

  static func largest(_ x: [Double], _ y: [Double]) -> Double {
    zip(x, y).map { abs($0 - $1) }.max() ?? 0
  }

  @Test("L Lᵀ is the matrix, solve inverts it, colour multiplies by L", arguments: [1, 2, 7, 8, 9, 33, 130])
  func factor(n: Int) throws {
    let a = Self.matrix(n, seed: 5)
    let factor = try CholeskyFactor(lower: a, count: n)
    let l = factor.lower
    for i in 0..<n {
      for j in 0...i {
        var sum = 0.0
        for k in 0...j { sum += l[i * n + k] * l[j * n + k] }
        #expect(abs(sum - a[i * n + j]) < 1e-11 * Double(n))
      }
    }
    var stream = RandomStream(seed: 6)
    let b = stream.normals(n * 3)
    let x = try factor.solve(b, columns: 3)
    for i in 0..<n {
      for c in 0..<3 {
        var sum = 0.0
        for k in 0..<n { sum += a[i * n + k] * x[k * 3 + c] }
        #expect(abs(sum - b[i * 3 + c]) < 1e-9)
      }
    }
    let z = stream.normals(n)
    #expect(Self.largest(try factor.whiten(factor.colour(z)), z) < 1e-10)
  }

  @Test("The kernels in use agree with the plain ones", arguments: [1, 5, 16, 67, 200])
  func kernels(n: Int) {
    let a = Self.matrix(n, seed: 8)
    var (used, plain) = (a, a)
    #expect(used.withUnsafeMutableBufferPointer { DoubleKernels.cholesky(n, $0.baseAddress!, n) } == n)
    #expect(plain.withUnsafeMutableBufferPointer { PlainDoubleKernels.cholesky(n, $0.baseAddress!, n) } == n)
    #expect(Self.largest(used, plain) < 1e-11 * Double(n))
    let x = (0..<n).map { -700 + 720 * Double($0) / Double(n) }
    var (y, reference) = (x, x)
    y.withUnsafeMutableBufferPointer { DoubleKernels.exp(n, $0.baseAddress!, $0.baseAddress!) }
    reference.withUnsafeMutableBufferPointer { PlainDoubleKernels.exp(n, $0.baseAddress!, $0.baseAddress!) }
    for (y, reference) in zip(y, reference) { #expect(abs(y - reference) <= 1e-14 * reference) }
    var far: [Double] = [-746, -6000, -1e300, -.infinity, 0]
    far.withUnsafeMutableBufferPointer { DoubleKernels.exp(5, $0.baseAddress!, $0.baseAddress!) }
    #expect(far.prefix(4).allSatisfy { (0...1e-300).contains($0) } && far[4] == 1)
    for transposed in [false, true] {
      var stream = RandomStream(seed: 9)
      let b = stream.normals(n * 2)
      var (first, second) = (b, b)
      first.withUnsafeMutableBufferPointer {
        DoubleKernels.solveLower(n, plain, n, transposed, $0.baseAddress!, 2, 2)
      }
      second.withUnsafeMutableBufferPointer {
        PlainDoubleKernels.solveLower(n, plain, n, transposed, $0.baseAddress!, 2, 2)
      }
      #expect(Self.largest(first, second) < 1e-9)
    }
  }

  @Test("A matrix that is not positive definite is refused with its pivot")
  func refusals() {
    #expect(throws: LinearAlgebraError.notPositiveDefinite(pivot: 2, count: 3)) {
      try CholeskyFactor(lower: [4, 0, 0, 2, 2, 0, 1, 1, 0.1], count: 3)
    }
    #expect(throws: LinearAlgebraError.notPositiveDefinite(pivot: 0, count: 1)) {
      try CholeskyFactor(lower: [.nan], count: 1)
    }
    #expect(throws: LinearAlgebraError.notPositiveDefinite(pivot: 1, count: 2)) {
      try CholeskyFactor(lower: [1, 0, 0, .infinity], count: 2)
    }
    #expect(throws: LinearAlgebraError.size("a 2 x 2 matrix", expected: 4, found: 3)) {
      try CholeskyFactor(lower: [1, 2, 3], count: 2)
    }
  }

  @Test("Log density and conditional law of a bivariate normal, by hand")
  func bivariate() throws {
    // Variances 4 and 9, covariance 3: det 27; the second given the first: mean 0.75 y1, variance 6.75.
    let factor = try CholeskyFactor(lower: [4, 0, 3, 9], count: 2)
    #expect(abs(factor.logDeterminant - log(27)) < 1e-14)
    let y = [1.0, -2.0]
    let quadratic: Double = 37 / 27.0  // (9 y1² - 2·3 y1 y2 + 4 y2²) / det
    let joint: Double = -log(2 * Double.pi) - 0.5 * log(27.0) - 0.5 * quadratic
    #expect(abs(try factor.logDensity(y) - joint) < 1e-14)
    let law = try GaussianConditional(factor, values: y, given: 1)
    #expect(abs(law.means[0] - 0.75) < 1e-15)
    #expect(abs(law.variances[0] - 6.75) < 1e-14)
    let first: Double = -0.5 * log(8 * Double.pi) - 0.125
    #expect(abs(law.joint - (joint - first)) < 1e-14)
    #expect(abs(law.marginal[0] - law.joint) < 1e-14)
    let all = try GaussianConditional(factor, values: y, given: 0)
    #expect(abs(all.joint - joint) < 1e-14)
    let second: Double = -0.5 * log(18 * Double.pi) - 4 / 18.0
    #expect(abs(all.marginal[1] - second) < 1e-14)
  }
}
