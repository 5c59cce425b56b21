import ChorusTensors
import Foundation

/// The search of a joint process for log-lengths and the log of the noise, by steps whose sizes follow the signs of the slopes
/// (iRprop−, Igel & Hüsken 2003): the same for any scale of the likelihood.
struct JointSearch {
  let x: [Double]
  let y: [Double]
  /// Known variances of the rows' errors, in units of the process's; empty for none.
  let errors: [Double]
  let columns: Int
  /// How many of the columns, the last, name levels.
  let names: Int

  struct Point {
    var lengths: [Double]
    var noise: Double
  }

  /// - Parameter x: rows, `[y.count, columns]`.
  init(x: [Double], y: [Double], errors: [Double] = [], columns: Int, names: Int = 0) {
    (self.x, self.y, self.errors, self.columns, self.names) = (x, y, errors, columns, names)
  }

  /// Where the priors of the logarithms are, and their deviations.
  private var usual: (length: Double, spread: Double, noise: Double, noiseSpread: Double) {
    (log(1.5) + 0.5 * log(Double(min(columns, 16))), 1.5, log(0.05), 2)
  }

  /// The likeliest point of a number of steps.
  ///
  /// - Parameters:
  ///   - start: where to begin; nil for the middle of the priors.
  ///   - size: of the first step, in logarithms.
  func run(steps: Int, from start: Point? = nil, size: Double = 0.4) -> Point? {
    let count = columns + 1
    var place =
      start.map { $0.lengths + [$0.noise] }
      ?? [Double](repeating: usual.length, count: columns) + [log(0.1)]
    var sizes = [Double](repeating: size, count: count)
    var before = [Double](repeating: 0, count: count)
    var best: (score: Double, place: [Double])?
    for _ in 0..<steps {
      guard let found = score(place) else { break }
      if found.score > best?.score ?? -.infinity { best = (found.score, place) }
      for i in 0..<count {
        var slope = found.slope[i]
        let turned = slope * before[i]
        if turned > 0 { sizes[i] = min(sizes[i] * 1.2, 1) }
        if turned < 0 {
          sizes[i] = max(sizes[i] * 0.5, 1e-3)
          slope = 0
        }
        before[i] = slope
        place[i] += slope > 0 ? sizes[i] : slope < 0 ? -sizes[i] : 0
      }
      for c in 0..<columns { place[c] = min(max(place[c], log(0.03)), log(200)) }
      place[columns] = min(max(place[columns], log(1e-5)), log(10))
    }
    return best.map { Point(lengths: Array($0.place.prefix(columns)), noise: $0.place[columns]) }
  }

  /// The squared distance of two rows by each column (`JointKernel`).
  @inline(__always)
  private func squares(
    _ x: UnsafeBufferPointer<Double>, _ i: Int, _ j: Int, _ body: (_ column: Int, _ square: Double) -> Void
  ) {
    for c in 0..<columns - names {
      let difference = x[i * columns + c] - x[j * columns + c]
      body(c, difference * difference)
    }
    for c in columns - names..<columns {
      body(c, x[i * columns + c] == x[j * columns + c] ? 0 : JointKernel.apart)
    }
  }

  /// The log-posterior up to a constant, and its slopes by the log-lengths and the log of the noise.
  func score(_ place: [Double]) -> (score: Double, slope: [Double])? {
    let n = y.count
    let precisions = place.prefix(columns).map { exp(-2 * $0) }
    let noise = exp(place[columns])
    // e^{−√3 r} of each pair i > j, of which kernel and slopes are made.
    let pairs = n * (n - 1) / 2
    var arguments = [Double](repeating: 0, count: pairs)
    x.withUnsafeBufferPointer { x in
      precisions.withUnsafeBufferPointer { precisions in
        var pair = 0
        for i in 0..<n {
          for j in 0..<i {
            var sum = 0.0
            squares(x, i, j) { sum += $1 * precisions[$0] }
            arguments[pair] = -(3 * sum).squareRoot()
            pair += 1
          }
        }
      }
    }
    var falls = [Double](repeating: 0, count: pairs)
    arguments.withUnsafeMutableBufferPointer { from in
      falls.withUnsafeMutableBufferPointer { to in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        DoubleKernels.exp(pairs, from, to)
      }
    }
    var k = [Double](repeating: 0, count: n * n)
    var pair = 0
    for i in 0..<n {
      for j in 0..<i {
        k[i * n + j] = (1 - arguments[pair]) * falls[pair]
        pair += 1
      }
      k[i * n + i] = 1 + noise + (errors.isEmpty ? 0 : errors[i])
    }
    guard let factor = try? CholeskyFactor(lower: consume k, count: n), let alpha = try? factor.solve(y)
    else { return nil }
    let inverse = InverseFactor.lowerInverse(of: factor)
    let variance = max(zip(y, alpha).reduce(0) { $0 + $1.0 * $1.1 } / Double(n), 1e-12)
    let usual = usual
    func prior(_ value: Double, _ centre: Double, _ spread: Double) -> (log: Double, slope: Double) {
      let z = (value - centre) / spread
      return (-0.5 * z * z, -z / spread)
    }
    var score = -0.5 * (Double(n) * log(variance) + factor.logDeterminant)
    var slope = [Double](repeating: 0, count: columns + 1)
    // ½ Σ_ij (α_i α_j/σ² − K⁻¹_ij) ∂K_ij; by log ℓ_c, ∂K = 3 e^{−√3 r} d_c²/ℓ_c².
    x.withUnsafeBufferPointer { x in
      slope.withUnsafeMutableBufferPointer { slope in
        var pair = 0
        for i in 0..<n {
          for j in 0..<i {
            let weight = 3 * falls[pair] * (alpha[i] * alpha[j] / variance - inverse[i * n + j])
            squares(x, i, j) { slope[$0] += weight * $1 * precisions[$0] }
            pair += 1
          }
          slope[columns] += 0.5 * noise * (alpha[i] * alpha[i] / variance - inverse[i * n + i])
        }
      }
    }
    for c in 0..<columns {
      let own = prior(place[c], usual.length, usual.spread)
      score += own.log
      slope[c] += own.slope
    }
    let own = prior(place[columns], usual.noise, usual.noiseSpread)
    score += own.log
    slope[columns] += own.slope
    return score.isFinite ? (score, slope) : nil
  }
}
