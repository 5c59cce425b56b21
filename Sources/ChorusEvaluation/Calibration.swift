import Foundation

/// How often held-out values fall where a distribution says they should.
public struct Calibration: Sendable, Hashable {
  /// P(Y ≤ y) of each held-out value under its predictive distribution; uniform on 0...1 if that is right.
  public let levels: [Double]

  /// - Parameter levels: within 0...1; others are left out.
  public init(levels: [Double]) { self.levels = levels.filter { (0...1).contains($0) } }

  /// The share of values inside a central interval.
  public struct Coverage: Sendable, Hashable {
    /// The probability the interval claims.
    public let nominal: Double
    public let observed: Double
    /// Where the observed share would lie with probability 0.95 if the values were independent and the claim true.
    public let expected: ClosedRange<Double>
  }

  /// Coverage of the central intervals of the given probabilities.
  public func coverage(_ nominal: [Double]) -> [Coverage] {
    nominal.map { probability in
      let low = (1 - probability) / 2
      let inside = levels.count { $0 >= low && $0 <= 1 - low }
      let band = Self.binomialRange(levels.count, probability, inside: 0.95)
      let n = Double(max(levels.count, 1))
      return Coverage(
        nominal: probability, observed: Double(inside) / n,
        expected: Double(band.lowerBound) / n...Double(band.upperBound) / n)
    }
  }

  /// How many values fall into each of `bins` equal parts of 0...1.
  public func counts(bins: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: max(bins, 1))
    for level in levels { counts[min(counts.count - 1, Int(level * Double(counts.count)))] += 1 }
    return counts
  }

  /// The smallest central range that a binomial count of `n` trials falls into with probability `inside` at least.
  public static func binomialRange(_ n: Int, _ probability: Double, inside: Double) -> ClosedRange<Int> {
    guard n > 0, probability > 0 else { return 0...0 }
    guard probability < 1 else { return n...n }
    let tail = (1 - inside) / 2
    var (low, high) = (0, n)
    var below = 0.0
    for k in 0...n {
      let logTerm =
        logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1) + Double(k) * log(probability)
        + Double(n - k) * log1p(-probability)
      let before = below
      below += exp(logTerm)
      if before <= tail && below > tail { low = k }
      if before < 1 - tail && below >= 1 - tail {
        high = k
        break
      }
    }
    return low...max(low, high)
  }

  /// Where the true share lies with probability about 0.95, when it was found to be `share` of `n` independent values
  /// (Wilson 1927).
  public static func interval(share: Double, of n: Int) -> ClosedRange<Double> {
    guard n > 0 else { return 0...1 }
    let (n, z) = (Double(n), 1.959963984540054)
    let centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    let margin = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
    return max(0, centre - margin)...min(1, centre + margin)
  }

  private static func logGamma(_ n: Int) -> Double { lgamma(Double(n)) }
}

/// Correlations of the columns of draws.
public enum Correlation {
  /// The matrix of Pearson correlations, `[targets][targets]`; NaN where a column does not vary.
  ///
  /// - Parameter paths: `[paths][targets]`.
  public static func matrix(_ paths: [[Double]]) -> [[Double]] {
    guard let width = paths.first?.count else { return [] }
    let n = Double(paths.count)
    let columns = (0..<width).map { column -> [Double] in
      let mean = paths.reduce(0) { $0 + $1[column] } / n
      let centred = paths.map { $0[column] - mean }
      let size = centred.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return centred.map { $0 / size }
    }
    return columns.map { one in columns.map { other in zip(one, other).reduce(0) { $0 + $1.0 * $1.1 } } }
  }
}
