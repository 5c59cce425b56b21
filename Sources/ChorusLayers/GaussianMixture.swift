import ChorusTensors
import Foundation

/// A mixture of Gaussians: what the network says of one number. Units are the caller's.
///
/// Where it is kept within bounds (`within`), what lay outside is removed and the rest renormalised: draws, densities,
/// the distribution function and the moments are those of that law.
public struct GaussianMixture: ContinuousLaw, Hashable {
  /// Log-weights of the whole components, normalised.
  public let logWeights: [Double]
  public let means: [Double]
  public let deviations: [Double]
  /// What the law is bounded to; nil where it has all of its tails.
  public private(set) var bounds: Bounds?

  /// Bounds, and how much of the whole mixture lies below and between them.
  public struct Bounds: Sendable, Hashable {
    public let range: ClosedRange<Double>
    let below: Double
    let inside: Double
  }

  public init(logWeights: [Double], means: [Double], deviations: [Double]) {
    self.logWeights = logWeights
    self.means = means
    self.deviations = deviations
  }

  /// One Gaussian.
  public init(mean: Double, deviation: Double) {
    self.init(logWeights: [0], means: [mean], deviations: [deviation])
  }

  public func scaled(by scale: Double, offset: Double) -> GaussianMixture {
    var law = GaussianMixture(
      logWeights: logWeights, means: means.map { offset + scale * $0 },
      deviations: deviations.map { scale * $0 })
    law.bounds = bounds.map {
      Bounds(
        range: offset + scale * $0.range.lowerBound...offset + scale * $0.range.upperBound, below: $0.below,
        inside: $0.inside)
    }
    return law
  }

  // MARK: Bounds

  /// Whether a bounded law would be that of the whole component to the last bits.
  static func isInside(_ mean: Double, _ deviation: Double, _ range: ClosedRange<Double>) -> Bool {
    mean - 9 * deviation > range.lowerBound && mean + 9 * deviation < range.upperBound
  }

  /// A law with less of itself inside than this keeps its tails: what is left would say nothing of what the network says.
  static let least = 1e-6

  public func within(_ range: ClosedRange<Double>) -> GaussianMixture? {
    if means.indices.allSatisfy({ Self.isInside(means[$0], deviations[$0], range) }) { return self }
    let below = whole(below: range.lowerBound)
    let inside = whole(in: range)
    guard inside >= Self.least else { return nil }
    var law = self
    law.bounds = Bounds(range: range, below: below, inside: inside)
    return law
  }

  /// This law with probability 1 − `share` and another one with `share`, each kept within `range`, or what this one is bounded to.
  public func mixed(
    with other: GaussianMixture, share: Double, within range: ClosedRange<Double>? = nil
  ) -> GaussianMixture {
    let range = range ?? bounds?.range
    func own(_ law: GaussianMixture, _ share: Double) -> [Double] {
      let inside = range.map { law.whole(in: $0) }
      return law.logWeights.map { $0 + log(share) - log(max(inside ?? 1, 1e-300)) }
    }
    let weights = own(self, 1 - share) + own(other, share)
    let top = weights.max() ?? 0
    let normaliser = top + log(weights.reduce(0) { $0 + exp($1 - top) })
    let law = GaussianMixture(
      logWeights: weights.map { $0 - normaliser }, means: means + other.means,
      deviations: deviations + other.deviations)
    return range.flatMap { law.within($0) } ?? law
  }

  /// How much of the whole mixture lies within a range, precise in both tails.
  private func whole(in range: ClosedRange<Double>) -> Double {
    let moments = Moments(within: range)
    return means.indices.reduce(0) { $0 + exp(logWeights[$1]) * moments.part(means[$1], deviations[$1]) }
  }

  /// P(Y ≤ y) of the whole mixture.
  private func whole(below y: Double) -> Double {
    var sum = 0.0
    for c in means.indices {
      sum += exp(logWeights[c]) * 0.5 * erfc((means[c] - y) / (deviations[c] * 2.0.squareRoot()))
    }
    return min(max(sum, 0), 1)
  }

  // MARK: The law

  public var mean: Double {
    guard let bounds else { return zip(logWeights, means).reduce(0) { $0 + exp($1.0) * $1.1 } }
    return moments(within: bounds).mean
  }

  public var variance: Double {
    if let bounds { return moments(within: bounds).variance }
    let mean = mean
    var sum = 0.0
    for c in means.indices {
      let d = means[c] - mean
      sum += exp(logWeights[c]) * (deviations[c] * deviations[c] + d * d)
    }
    return sum
  }

  private func moments(within bounds: Bounds) -> (mean: Double, variance: Double) {
    let moments = Moments(within: bounds.range)
    var (first, second) = (0.0, 0.0)
    for c in means.indices {
      let weight = exp(logWeights[c])
      let inside = moments.part(means[c], deviations[c])
      first += weight * moments.first(means[c], deviations[c], inside: inside)
      second += weight * moments.second(means[c], deviations[c], inside: inside)
    }
    let mean = first / bounds.inside
    return (
      moments.mean(first, inside: bounds.inside), max(second / bounds.inside - mean * mean, 0)
    )
  }

  public func logDensity(_ y: Double) -> Double {
    if let bounds, !bounds.range.contains(y) { return -.infinity }
    let terms = means.indices.map { c in
      let z = (y - means[c]) / deviations[c]
      return logWeights[c] - 0.5 * z * z - log(deviations[c]) - 0.5 * log(2 * Double.pi)
    }
    let top = terms.max() ?? -.infinity
    let whole = top.isFinite ? top + log(terms.reduce(0) { $0 + exp($1 - top) }) : top
    return bounds.map { whole - log($0.inside) } ?? whole
  }

  public func cdf(_ y: Double) -> Double {
    guard let bounds else { return whole(below: y) }
    guard y > bounds.range.lowerBound else { return 0 }
    guard y < bounds.range.upperBound else { return 1 }
    return min(max((whole(below: y) - bounds.below) / bounds.inside, 0), 1)
  }

  /// Precise in both tails; so far out that nothing is left of a component, the density of the middle times the width.
  public func logMass(in range: ClosedRange<Double>) -> Double {
    var range = range
    if let bounds {
      guard range.overlaps(bounds.range) else { return -.infinity }
      range = range.clamped(to: bounds.range)
    }
    let inside = whole(in: range)
    if inside > 1e-290 { return log(inside) - (bounds.map { log($0.inside) } ?? 0) }
    let (low, high) = (range.lowerBound, range.upperBound)
    guard low.isFinite, high.isFinite else { return logDensity(low.isFinite ? low : high) }
    return logDensity(low / 2 + high / 2) + log(high - low)
  }

  /// By bisection to the last bits.
  public func quantile(_ level: Double) -> Double {
    guard !level.isNaN else { return .nan }
    guard level > 0 else { return bounds?.range.lowerBound ?? -.infinity }
    guard level < 1 else { return bounds?.range.upperBound ?? .infinity }
    var low = Double.infinity
    var high = -Double.infinity
    for c in means.indices {
      low = min(low, means[c] - 40 * deviations[c])
      high = max(high, means[c] + 40 * deviations[c])
    }
    if let range = bounds?.range { (low, high) = (max(low, range.lowerBound), min(high, range.upperBound)) }
    for _ in 0..<200 {
      let middle = low + (high - low) / 2
      if middle <= low || middle >= high { break }
      if cdf(middle) < level { low = middle } else { high = middle }
    }
    return low + (high - low) / 2
  }

  /// In closed form: with CRPS(F, y) = E|X − y| − ½ E|X − X'| (Gneiting & Raftery 2007, eq. 21, sign turned) and E|Z| of a
  /// Gaussian Z (Grimit et al. 2006, eq. 3).
  public func crps(_ y: Double) -> Double {
    if let bounds { return crps(y, within: bounds.range) }
    let weights = logWeights.map { exp($0) }
    var (near, apart) = (0.0, 0.0)
    for i in weights.indices {
      near += weights[i] * Self.meanMagnitude(y - means[i], deviations[i])
      for j in weights.indices {
        let deviation = (deviations[i] * deviations[i] + deviations[j] * deviations[j]).squareRoot()
        apart += weights[i] * weights[j] * Self.meanMagnitude(means[i] - means[j], deviation)
      }
    }
    return near - apart / 2
  }

  /// E|Z| of a Gaussian Z of this mean and standard deviation.
  private static func meanMagnitude(_ mean: Double, _ deviation: Double) -> Double {
    guard deviation > 0 else { return abs(mean) }
    let z = mean / deviation
    return deviation * (2 / Double.pi).squareRoot() * exp(-z * z / 2) + mean * erf(z / 2.0.squareRoot())
  }

  /// ∫(F − 1{y ≤ ·})² over the range, and the way from the range to an outcome beyond it. Between places where a component
  /// changes the integrand is smooth, and five points of Gauss and Legendre are exact to eight digits.
  private func crps(_ y: Double, within range: ClosedRange<Double>) -> Double {
    var places = [range.lowerBound, range.upperBound, y]
    for c in means.indices {
      places += (-12...12).map { means[c] + Double($0) / 2 * deviations[c] }
    }
    places = places.filter { range.contains($0) && $0.isFinite }.sorted()
    var sum = max(y - range.upperBound, range.lowerBound - y, 0)
    for (low, high) in zip(places, places.dropFirst()) where high > low {
      let (middle, half) = ((low + high) / 2, (high - low) / 2)
      for (point, weight) in Self.legendre {
        for side in point == 0 ? [0.0] : [-point, point] {
          let x = middle + half * side
          let part = cdf(x) - (x >= y ? 1 : 0)
          sum += half * weight * part * part
        }
      }
    }
    return sum
  }

  /// Points and weights of Gauss and Legendre with five points, those of the upper half.
  private static let legendre = [
    (0.0, 0.5688888888888889), (0.5384693101056831, 0.4786286704993665),
    (0.9061798459386640, 0.2369268850561891),
  ]

  /// A component by a uniform variate, then a value by a normal one; one beyond the bounds is drawn anew between them.
  public func draw(from stream: inout RandomStream) -> Value {
    var remaining = stream.uniform()
    let normal = stream.normal()
    var chosen = max(means.count - 1, 0)
    for c in means.indices {
      remaining -= exp(logWeights[c])
      if remaining < 0 {
        chosen = c
        break
      }
    }
    let y = means[chosen] + deviations[chosen] * normal
    guard let bounds, !bounds.range.contains(y) else { return .number(y) }
    return .number(quantile(stream.uniform()))
  }
}

/// A law that is at hand needs no other form.
extension GaussianMixture: Answer {
  public var law: GaussianMixture { self }
}
