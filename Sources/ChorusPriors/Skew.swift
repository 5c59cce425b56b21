import ChorusTensors
import Foundation

/// A bent view of a number: y = (exp(a z) − 1)/a, which is z for small a z. A Gaussian z gives a shifted log-normal y
/// (Box and Cox 1964 read backwards), skewed upwards for a > 0 and downwards for a < 0.
public struct Skew: Sendable, Hashable {
  /// a, not 0.
  public let rate: Double

  public init(rate: Double) { self.rate = rate }

  init(from stream: inout RandomStream) {
    let size = stream.logUniform(in: 0.1...1)
    rate = stream.uniform() < 0.5 ? size : -size
  }

  func bent(_ z: Double) -> Double { expm1(rate * z) / rate }
  /// The z that is seen as `y`; nil for what nothing is seen as.
  func straight(_ y: Double) -> Double? { rate * y > -1 ? log1p(rate * y) / rate : nil }
}

/// The oracle of a Gaussian process that is seen through a skew: exact, by change of variables,
/// log p(y) = log p(z) − a z.
public struct SkewedOracle: Oracle {
  public let latent: GaussianOracle
  public let skew: Skew
  /// The outputs as they are seen [rows].
  public let y: [Double]
  public var rows: Int { latent.rows }

  public init(latent: GaussianOracle, skew: Skew) {
    self.latent = latent
    self.skew = skew
    y = latent.y.map(skew.bent)
  }

  /// As the protocol says. A value that the law cannot give has a density of zero as a target, and throws
  /// `OracleError.impossible` in the context.
  public func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity {
    var straight = latent.y
    var impossible = Set<Int>()
    for (row, value) in (values ?? []).enumerated() where straight.indices.contains(row) {
      if let z = skew.straight(value) { straight[row] = z } else { impossible.insert(row) }
    }
    if let values, values.count != rows { throw .values(expected: rows, found: values.count) }
    if let row = context.first(where: impossible.contains) { throw .impossible(row) }
    let law = try latent.density(of: targets, given: context, values: straight)
    let a = skew.rate
    func seen(_ densities: [Double]) -> [Double] {
      zip(targets, densities).map { row, density in
        impossible.contains(row) ? -.infinity : density - a * straight[row]
      }
    }
    let moments = zip(law.means, law.variances).map { mean, variance in
      // Of a log-normal number exp(a z).
      let level = exp(a * mean + 0.5 * a * a * variance)
      return (mean: (level - 1) / a, variance: level * level * expm1(a * a * variance) / (a * a))
    }
    return OracleDensity(
      sequential: seen(law.sequential), marginal: seen(law.marginal), means: moments.map(\.mean),
      variances: moments.map(\.variance))
  }
}
