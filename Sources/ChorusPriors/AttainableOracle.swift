import ChorusTensors
import Foundation

/// The law of somebody who knows the prior, but not the hyperparameters that a task was drawn with: the most that any
/// model of the prior can have on average, where the `GaussianOracle` is told more than data can say.
///
/// Kernel, length-scale and variance of a `GPPrior` are summed out by the midpoint rule, the context's evidence being their
/// weight (Rasmussen and Williams 2006, equations 5.3–5.5). A point of the rule costs a Cholesky factor.
public struct AttainableOracle: Oracle {
  /// The largest number of rows, context and targets together, that is answered.
  public static let limit = 512
  /// Points of the rule along the length-scale and along the variance. The narrowest posterior (a smooth kernel seen
  /// at 128 places) has a length-scale known to about half the distance of two points.
  let lengths: Int
  let variances: Int

  public let prior: GPPrior
  /// Row-major [rows, dimensions].
  public let x: [Double]
  public let y: [Double]
  public let dimensions: Int

  public var rows: Int { y.count }

  init(
    prior: GPPrior, x: [Double], y: [Double], dimensions: Int, lengths: Int = 48, variances: Int = 8
  ) {
    (self.prior, self.x, self.y, self.dimensions) = (prior, x, y, dimensions)
    (self.lengths, self.variances) = (lengths, variances)
  }

  /// What one choice of hyperparameters says.
  private struct Voice {
    /// log of its part of the prior, and of the context's density under it.
    let weight: Double
    let law: GaussianConditional
  }

  public func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity {
    let outputs = values ?? y
    let asked = try question(targets, given: context, outputs: outputs.count, limit: Self.limit)
    let points = asked.flatMap { x[($0 * dimensions)..<(($0 + 1) * dimensions)] }
    let values = asked.map { outputs[$0] }
    let voices = try prior.hyperparameters(
      dimensions: dimensions, lengths: lengths, variances: variances
    ).map { choice throws(OracleError) in
      try voice(choice.term, share: choice.share, points, values, given: context.count)
    }
    // The chain rule of the mixture: each density is a ratio of evidences.
    var evidence = voices.map(\.weight)
    let before = Self.logSum(evidence)
    var (sequential, marginal, means, variances) = ([Double](), [Double](), [Double](), [Double]())
    var last = before
    let shares = voices.map { exp($0.weight - before) }
    for target in targets.indices {
      marginal.append(Self.logSum(voices.map { $0.weight + $0.law.marginal[target] }) - before)
      for index in voices.indices { evidence[index] += voices[index].law.sequential[target] }
      let next = Self.logSum(evidence)
      sequential.append(next - last)
      last = next
      let mean = zip(shares, voices).reduce(0) { $0 + $1.0 * $1.1.law.means[target] }
      means.append(mean)
      variances.append(
        zip(shares, voices).reduce(0) { sum, pair in
          let apart = pair.1.law.means[target] - mean
          return sum + pair.0 * (pair.1.law.variances[target] + apart * apart)
        })
    }
    return OracleDensity(sequential: sequential, marginal: marginal, means: means, variances: variances)
  }

  private func voice(
    _ term: Kernel.Term, share: Double, _ points: [Double], _ values: [Double], given: Int
  ) throws(OracleError) -> Voice {
    do {
      let factor = try CholeskyFactor(
        lower: Kernel([term]).matrix(points, count: values.count, noise: prior.noise), count: values.count)
      let context = try GaussianConditional(factor, values: values, given: 0).sequential.prefix(given)
      return Voice(
        weight: log(share) + context.reduce(0, +),
        law: try GaussianConditional(factor, values: values, given: given))
    } catch LinearAlgebraError.notPositiveDefinite(let pivot, _) {
      throw .notPositiveDefinite(kernel: term.name, pivot: pivot)
    } catch {
      throw .values(expected: values.count, found: values.count)
    }
  }

  private static func logSum(_ values: [Double]) -> Double {
    guard let top = values.max(), top > -.infinity else { return -.infinity }
    return top + log(values.reduce(0) { $0 + exp($1 - top) })
  }
}
