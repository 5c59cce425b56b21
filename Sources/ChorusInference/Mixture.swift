import ChorusData
import ChorusModels
import Foundation

/// A mixture of Gaussians: what the network says of one value. Units are the caller's.
public struct GaussianMixture: Sendable, Hashable {
  /// Log-weights, normalised.
  public let logWeights: [Double]
  public let means: [Double]
  public let deviations: [Double]

  /// What of a blueprint its head's parameters are read by.
  struct Head: Sendable {
    let components: Int
    let local: Int
    let floor: Float
  }

  private static let plain = Scaling.Unit(origin: 0, scale: 1)

  /// From the head's raw parameters in the network's units: logits | means | raw scales, with
  /// sd = softplus(raw) + floor (Hassan et al. 2026, D.1); the local components are in `unit`.
  init(_ raw: UnsafePointer<Float>, _ head: Head, unit: Scaling.Unit) {
    let components = head.components
    let logits = (0..<components).map { Double(raw[$0]) }
    let top = logits.max() ?? 0
    let normaliser = top + log(logits.reduce(0) { $0 + exp($1 - top) })
    func own(_ component: Int) -> Scaling.Unit { component < head.local ? unit : Self.plain }
    logWeights = logits.map { $0 - normaliser }
    means = (0..<components).map { own($0).raw(Double(raw[components + $0])) }
    deviations = (0..<components).map {
      own($0).scale * Self.deviation(raw[2 * components + $0], floor: head.floor)
    }
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

  /// log p(y), in nats.
  public func logDensity(_ y: Double) -> Double {
    let terms = means.indices.map { c in
      let z = (y - means[c]) / deviations[c]
      return logWeights[c] - 0.5 * z * z - log(deviations[c]) - 0.5 * log(2 * Double.pi)
    }
    let top = terms.max() ?? -.infinity
    return top.isFinite ? top + log(terms.reduce(0) { $0 + exp($1 - top) }) : top
  }

  /// P(Y ≤ y).
  public func cdf(_ y: Double) -> Double {
    var sum = 0.0
    for c in means.indices {
      sum += exp(logWeights[c]) * 0.5 * erfc((means[c] - y) / (deviations[c] * 2.0.squareRoot()))
    }
    return min(max(sum, 0), 1)
  }

  /// The value y with P(Y ≤ y) = `level`, by bisection to the last bits; `level` in 0...1, NaN for
  /// NaN.
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

  /// A draw from two independent uniforms and a standard normal variate.
  package func draw(component uniform: Double, normal: Double) -> Double {
    var remaining = uniform
    for c in means.indices {
      remaining -= exp(logWeights[c])
      if remaining < 0 { return means[c] + deviations[c] * normal }
    }
    let last = means.count - 1
    return means[last] + deviations[last] * normal
  }

  /// The same draw, bit for bit, from the head's raw parameters in the network's units, without making the mixture:
  /// only one deviation is needed.
  static func draw(
    _ raw: UnsafePointer<Float>, _ head: Head, unit: Scaling.Unit, component uniform: Double, normal: Double
  ) -> Double {
    let components = head.components
    var top = Double(raw[0])
    for c in 1..<max(components, 1) { top = max(top, Double(raw[c])) }
    var sum = 0.0
    for c in 0..<components { sum += exp(Double(raw[c]) - top) }
    let normaliser = top + log(sum)
    var remaining = uniform
    var chosen = 0
    while chosen < components - 1 {
      remaining -= exp(Double(raw[chosen]) - normaliser)
      if remaining < 0 { break }
      chosen += 1
    }
    let own = chosen < head.local ? unit : plain
    let mean = own.raw(Double(raw[components + chosen]))
    return mean + own.scale * deviation(raw[2 * components + chosen], floor: head.floor) * normal
  }

  /// sd = softplus(raw) + floor.
  private static func deviation(_ raw: Float, floor: Float) -> Double {
    let value = Double(raw)
    return max(value, 0) + log1p(exp(-abs(value))) + Double(floor)
  }
}

extension GaussianMixture.Head {
  init(_ blueprint: Blueprint) {
    self.init(
      components: blueprint.components, local: blueprint.localComponents, floor: blueprint.sigmaFloor)
  }
}
