import ChorusTensors
import Foundation

/// A mixture of Gaussians: what the network says of one number. Units are the caller's.
public struct GaussianMixture: ContinuousLaw, Hashable {
  /// Log-weights, normalised.
  public let logWeights: [Double]
  public let means: [Double]
  public let deviations: [Double]

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
    GaussianMixture(
      logWeights: logWeights, means: means.map { offset + scale * $0 },
      deviations: deviations.map { scale * $0 })
  }

  public var mean: Double { zip(logWeights, means).reduce(0) { $0 + exp($1.0) * $1.1 } }

  public var variance: Double {
    let mean = mean
    var sum = 0.0
    for c in means.indices {
      let d = means[c] - mean
      sum += exp(logWeights[c]) * (deviations[c] * deviations[c] + d * d)
    }
    return sum
  }

  public func logDensity(_ y: Double) -> Double {
    let terms = means.indices.map { c in
      let z = (y - means[c]) / deviations[c]
      return logWeights[c] - 0.5 * z * z - log(deviations[c]) - 0.5 * log(2 * Double.pi)
    }
    let top = terms.max() ?? -.infinity
    return top.isFinite ? top + log(terms.reduce(0) { $0 + exp($1 - top) }) : top
  }

  public func cdf(_ y: Double) -> Double {
    var sum = 0.0
    for c in means.indices {
      sum += exp(logWeights[c]) * 0.5 * erfc((means[c] - y) / (deviations[c] * 2.0.squareRoot()))
    }
    return min(max(sum, 0), 1)
  }

  /// By bisection to the last bits.
  public func quantile(_ level: Double) -> Double {
    guard !level.isNaN else { return .nan }
    guard level > 0 else { return -.infinity }
    guard level < 1 else { return .infinity }
    var low = Double.infinity
    var high = -Double.infinity
    for c in means.indices {
      low = min(low, means[c] - 40 * deviations[c])
      high = max(high, means[c] + 40 * deviations[c])
    }
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

  /// A component by a uniform variate, then a value by a normal one.
  public func draw(from stream: inout RandomStream) -> Value {
    var remaining = stream.uniform()
    let normal = stream.normal()
    for c in means.indices {
      remaining -= exp(logWeights[c])
      if remaining < 0 { return .number(means[c] + deviations[c] * normal) }
    }
    let last = means.count - 1
    return .number(means[last] + deviations[last] * normal)
  }
}

/// A law that is at hand needs no other form.
extension GaussianMixture: Answer {
  public var law: GaussianMixture { self }
}
