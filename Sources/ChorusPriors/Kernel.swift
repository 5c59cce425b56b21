import ChorusTensors
import Foundation

/// A covariance function: a sum of terms, evaluated a row of the matrix at a time.
public struct Kernel: Sendable, Hashable, CustomStringConvertible {
  /// One summand. Distances are Euclidean after dividing each dimension by its length-scale:
  /// r² = sum_k ((a_k - b_k) / scales_k)².
  public struct Term: Sendable, Hashable {
    /// Rasmussen and Williams 2006: equations 4.9 (rbf), 4.14 and 4.17 (Matern), 4.31 (periodic), 4.19 (rational quadratic),
    /// 4.32 (Gibbs), section 2.7 (linear).
    public enum Form: Sendable, Hashable {
      /// v exp(-r²/2)
      case rbf
      /// v exp(-r)
      case matern12
      /// v (1 + √3 r) exp(-√3 r)
      case matern32
      /// v (1 + √5 r + 5r²/3) exp(-√5 r)
      case matern52
      /// v exp(-r²/2 - 2 sin²(π (a - b)·direction / period) / roughness²): a wave of fixed period along a unit
      /// vector whose shape is forgotten over the length-scales; infinite ones make it repeat for ever.
      case periodic(period: Double, roughness: Double, direction: [Double])
      /// v (offset + sum_k a_k b_k / scales_k²): Gaussian slopes and a Gaussian constant, √v and √(v offset).
      case linear(offset: Double)
      /// v (1 + r²/(2 alpha))^-alpha: RBFs of many length-scales together.
      case rationalQuadratic(alpha: Double)
      /// RBF whose length-scales are scales_k g(x), with g(x) = exp(rate x·direction) along a unit vector:
      /// v (2 g g'/(g² + g'²))^(D/2) exp(-r²/(g² + g'²)).
      case gibbs(rate: Double, direction: [Double])
    }

    public var form: Form
    /// v: the variance of the term (for linear, of the slope where the scale is 1).
    public var variance: Double
    /// One length-scale a dimension.
    public var scales: [Double]

    public init(_ form: Form, variance: Double, scales: [Double]) {
      self.form = form
      self.variance = variance
      self.scales = scales
    }

    var name: String {
      switch form {
      case .rbf: "rbf"
      case .matern12: "matern12"
      case .matern32: "matern32"
      case .matern52: "matern52"
      case .periodic: "periodic"
      case .linear: "linear"
      case .rationalQuadratic: "rational-quadratic"
      case .gibbs: "gibbs"
      }
    }
  }

  /// Numbers an input has.
  public let dimensions: Int
  /// The summands.
  public let terms: [Term]

  /// The sum of `terms`, which share the number of dimensions of the first.
  ///
  /// Throws `PriorError.dimensions` when they do not.
  public init(_ terms: [Term]) throws(PriorError) {
    let dimensions = terms.first?.scales.count ?? 1
    for term in terms {
      var counts = [term.scales.count]
      switch term.form {
      case .periodic(_, _, let direction), .gibbs(_, let direction): counts.append(direction.count)
      default: break
      }
      for count in counts where count != dimensions {
        throw .dimensions(asked: count, supported: dimensions...dimensions)
      }
    }
    self.dimensions = dimensions
    self.terms = terms
  }

  public var description: String { terms.map(\.name).joined(separator: " + ") }

  /// The covariance of two points.
  package func callAsFunction(_ a: [Double], _ b: [Double]) -> Double {
    let rows = matrix(a + b, count: 2, noise: 0)
    return rows[2]
  }

  package func matrix(_ x: [Double], count: Int, noise: Double) -> [Double] {
    matrix(x, count: count, noise: Array(repeating: noise, count: count))
  }

  /// The covariance of `count` points [count, dimensions] plus `noise` [count] on the diagonal: the lower triangle
  /// of a row-major [count, count]; the rest is zero.
  package func matrix(_ x: [Double], count: Int, noise: [Double]) -> [Double] {
    var out = [Double](repeating: 0, count: count * count)
    var scratch = [Double](repeating: 0, count: 2 * count)
    // Scaled coordinates of each term, one column after another, so that inner loops run over rows.
    for term in terms {
      let columns = coordinates(of: term, x, count: count)
      out.withUnsafeMutableBufferPointer { out in
        scratch.withUnsafeMutableBufferPointer { scratch in
          columns.withUnsafeBufferPointer { columns in
            guard let out = out.baseAddress, let scratch = scratch.baseAddress,
              let columns = columns.baseAddress
            else { return }
            let row = TermRow(
              term: term, dimensions: dimensions, count: count, columns: columns, exponent: scratch,
              factor: scratch + count)
            for i in 0..<count { row.add(i, to: out + i * count) }
          }
        }
      }
    }
    for i in 0..<count { out[i * count + i] += noise[i] }
    return out
  }

  /// Columns of scaled inputs [dimensions, count]; one more column for a periodic term, the phase in
  /// turns, and for a Gibbs term, log g.
  private func coordinates(of term: Term, _ x: [Double], count: Int) -> [Double] {
    var columns = [Double](repeating: 0, count: (dimensions + 1) * count)
    for k in 0..<dimensions {
      let inverse = 1 / term.scales[k]
      for i in 0..<count { columns[k * count + i] = x[i * dimensions + k] * inverse }
    }
    let (direction, unit): ([Double], Double)
    switch term.form {
    case .periodic(let period, _, let along): (direction, unit) = (along, period)
    case .gibbs(let rate, let along): (direction, unit) = (along, 1 / rate)
    default: return columns
    }
    for i in 0..<count {
      var along = 0.0
      for k in 0..<dimensions { along += x[i * dimensions + k] * direction[k] }
      columns[dimensions * count + i] = along / unit
    }
    return columns
  }
}

/// Adds one term to the first i + 1 entries of row i of a covariance matrix.
private struct TermRow {
  let term: Kernel.Term
  let dimensions: Int
  let count: Int
  let columns: UnsafePointer<Double>
  let exponent: UnsafeMutablePointer<Double>
  let factor: UnsafeMutablePointer<Double>

  @inline(__always)
  func add(_ i: Int, to out: UnsafeMutablePointer<Double>) {
    let n = i + 1
    let variance = term.variance
    switch term.form {
    case .linear(let offset):
      for j in 0..<n { out[j] += variance * offset }
      for k in 0..<dimensions {
        let column = columns + k * count
        let here = variance * column[i]
        for j in 0..<n { out[j] += here * column[j] }
      }
    case .rbf:
      squares(i, n, scale: -0.5)
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += variance * exponent[j] }
    case .matern12:
      squares(i, n, scale: 1)
      for j in 0..<n { exponent[j] = -exponent[j].squareRoot() }
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += variance * exponent[j] }
    case .matern32:
      squares(i, n, scale: 3)
      for j in 0..<n {
        let r = exponent[j].squareRoot()
        factor[j] = variance * (1 + r)
        exponent[j] = -r
      }
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += factor[j] * exponent[j] }
    case .matern52:
      squares(i, n, scale: 5)
      for j in 0..<n {
        let square = exponent[j]
        let r = square.squareRoot()
        factor[j] = variance * (1 + r + square / 3)
        exponent[j] = -r
      }
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += factor[j] * exponent[j] }
    case .periodic(_, let roughness, _):
      squares(i, n, scale: -0.5)
      let phase = columns + dimensions * count
      let weight = -2 / (roughness * roughness)
      for j in 0..<n {
        let turns = phase[i] - phase[j]
        let wave = sin(.pi * (turns - turns.rounded()))
        exponent[j] += weight * wave * wave
      }
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += variance * exponent[j] }
    case .rationalQuadratic(let alpha):
      squares(i, n, scale: 0.5 / alpha)
      for j in 0..<n { exponent[j] = -alpha * log1p(exponent[j]) }
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += variance * exponent[j] }
    case .gibbs:
      // With a = log g and c = cosh(a - a'): 2 g g' / (g² + g'²) = 1/c, and g² + g'² = 2 exp(a + a') c.
      squares(i, n, scale: -0.5)
      let growth = columns + dimensions * count
      for j in 0..<n {
        let ratio = cosh(growth[i] - growth[j])
        exponent[j] =
          exponent[j] * Foundation.exp(-growth[i] - growth[j]) / ratio - 0.5 * Double(dimensions) * log(ratio)
      }
      DoubleKernels.exp(n, exponent, exponent)
      for j in 0..<n { out[j] += variance * exponent[j] }
    }
  }

  /// exponent[j] = scale * squared scaled distance of rows i and j, for j < n.
  @inline(__always)
  private func squares(_ i: Int, _ n: Int, scale: Double) {
    for k in 0..<dimensions {
      let column = columns + k * count
      let here = column[i]
      if k == 0 {
        for j in 0..<n { exponent[j] = scale * (here - column[j]) * (here - column[j]) }
      } else {
        for j in 0..<n { exponent[j] += scale * (here - column[j]) * (here - column[j]) }
      }
    }
  }
}
