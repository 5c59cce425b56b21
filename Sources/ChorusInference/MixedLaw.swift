import ChorusLayers
import ChorusTensors
import Foundation

/// The law of a number that is drawn from one of some laws, whatever they are.
struct MixedLaw: ContinuousLaw {
  let parts: [any ContinuousLaw]
  /// How likely each is; nil where one is as likely as the others.
  var shares: [Double]?

  /// Halvings in search of a quantile, and places of a score on each side of the outcome.
  private static let (halvings, places) = (60, 256)

  private func average(_ number: (any ContinuousLaw) -> Double) -> Double {
    guard let shares else { return parts.reduce(0) { $0 + number($1) } / Double(parts.count) }
    return zip(parts, shares).reduce(0) { $0 + $1.1 * number($1.0) }
  }

  /// The same of numbers whose logarithms are told.
  private func logAverage(_ logarithm: (any ContinuousLaw) -> Double) -> Double {
    guard let shares else { return Posterior.logMeanExp(parts.map(logarithm)) }
    return Posterior.logSumExp(zip(parts, shares).map { logarithm($0) + log($1) })
  }

  var mean: Double { average { $0.mean } }
  var variance: Double {
    let mean = mean
    return average { $0.variance + ($0.mean - mean) * ($0.mean - mean) }
  }

  func draw(from stream: inout RandomStream) -> Value {
    let part = shares.map { stream.choice(weights: $0) } ?? stream.below(parts.count)
    return parts[part].draw(from: &stream)
  }
  func cdf(_ y: Double) -> Double { average { $0.cdf(y) } }
  func logDensity(_ y: Double) -> Double { logAverage { $0.logDensity(y) } }
  func logMass(in range: ClosedRange<Double>) -> Double { logAverage { $0.logMass(in: range) } }

  func quantile(_ level: Double) -> Double {
    let ends = parts.map { $0.quantile(level) }
    guard var low = ends.min(), var high = ends.max(), low < high else { return ends.first ?? .nan }
    for _ in 0..<Self.halvings {
      let middle = low / 2 + high / 2
      guard middle > low, middle < high else { break }
      if cdf(middle) < level { low = middle } else { high = middle }
    }
    return high
  }

  /// ∫ (F(t) − 1{t ≥ y})² dt.
  func crps(_ y: Double) -> Double {
    func integral(_ from: Double, _ to: Double, _ beyond: Double) -> Double {
      guard to > from else { return 0 }
      let step = (to - from) / Double(Self.places)
      return step
        * (0...Self.places).reduce(0) { sum, place in
          let part = cdf(from + step * Double(place)) - beyond
          return sum + (place == 0 || place == Self.places ? 0.5 : 1) * part * part
        }
    }
    let ends = (quantile(1e-7), quantile(1 - 1e-7))
    return integral(min(ends.0, y), y, 0) + integral(y, max(ends.1, y), 1)
  }

  func scaled(by scale: Double, offset: Double) -> MixedLaw {
    func one(_ law: some ContinuousLaw) -> any ContinuousLaw { law.scaled(by: scale, offset: offset) }
    return MixedLaw(parts: parts.map { one($0) }, shares: shares)
  }
}
