import Foundation

extension GaussianMixture {
  /// Of Gaussians cut to a range: with a and b the standardised bounds and P what lies between, E Z = (φ(a) − φ(b))/P and
  /// E Z² = 1 + (aφ(a) − bφ(b))/P.
  struct Moments {
    let range: ClosedRange<Double>
    /// Moments are about the middle of the range, so that what is far out takes no digits.
    let middle: Double

    init(within range: ClosedRange<Double>) {
      let (low, high) = (range.lowerBound, range.upperBound)
      self.range = range
      middle =
        (low.isFinite ? low : high.isFinite ? high : 0) / 2 + (high.isFinite ? high : low.isFinite ? low : 0)
        / 2
    }

    /// How much of a component lies within the range, precise in both tails.
    func part(_ mean: Double, _ deviation: Double) -> Double {
      let unit = deviation * 2.0.squareRoot()
      let (low, high) = ((range.lowerBound - mean) / unit, (range.upperBound - mean) / unit)
      return low > 0 ? (erfc(low) - erfc(high)) / 2 : (erfc(-high) - erfc(-low)) / 2
    }

    /// Whether `part` is 1 and both densities at the bounds are 0 to the last bit, for this deviation or a smaller one: beyond
    /// 38.7 deviations exp(−z²/2) is below the least number.
    func isUntouched(_ mean: Double, _ deviation: Double) -> Bool {
      mean - 39 * deviation > range.lowerBound && mean + 39 * deviation < range.upperBound
    }

    private func density(_ z: Double) -> Double { exp(-z * z / 2) / (2 * Double.pi).squareRoot() }

    /// Of what lies inside about the middle, times `inside`, which is `part`.
    func first(_ mean: Double, _ deviation: Double, inside: Double) -> Double {
      let (a, b) = ((range.lowerBound - mean) / deviation, (range.upperBound - mean) / deviation)
      return (mean - middle) * inside + deviation * (density(a) - density(b))
    }

    func second(_ mean: Double, _ deviation: Double, inside: Double) -> Double {
      let (a, b) = ((range.lowerBound - mean) / deviation, (range.upperBound - mean) / deviation)
      let centre = mean - middle
      // z·φ(z) of a bound that is infinitely far is 0.
      func edge(_ z: Double) -> Double { z.isFinite ? z * density(z) : 0 }
      let two = inside + edge(a) - edge(b)
      return centre * centre * inside + 2 * centre * deviation * (density(a) - density(b))
        + deviation * deviation * two
    }

    /// The mean of all that lies inside, of the sum of first moments.
    func mean(_ first: Double, inside: Double) -> Double {
      min(max(middle + first / inside, range.lowerBound), range.upperBound)
    }
  }
}
