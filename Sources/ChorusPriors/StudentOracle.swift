import ChorusTensors
import Foundation

/// Noise √variance · t by Student's t, as a scale mixture: N(0, variance/λ), λ ~ Gamma(ν/2, rate ν/2).
public struct StudentNoise: Sendable, Hashable {
  /// ν, a whole number so that λ is a sum of squared normals.
  public let degrees: Int
  /// The squared scale; the variance is ν/(ν - 2) times this.
  public let variance: Double

  public init(degrees: Int, variance: Double) {
    self.degrees = max(1, degrees)
    self.variance = variance
  }

  func draw(_ stream: inout RandomStream) -> Double {
    let precision = stream.chiSquare(degrees) / Double(degrees)
    return (variance / precision).squareRoot() * stream.normal()
  }
}

extension RandomStream {
  fileprivate mutating func chiSquare(_ degrees: Int) -> Double {
    var sum = 0.0
    for _ in 0..<degrees {
      let z = normal()
      sum += z * z
    }
    return sum
  }
}

/// The oracle of a zero-mean Gaussian process under Student-t noise. Its densities have no closed form: they are
/// simulated, and `OracleDensity.error` tells how well.
///
/// Given the noise's precisions λ everything is Gaussian. A Gibbs sampler draws the context's λ given its outputs
/// (Geweke, "Bayesian treatment of the independent Student-t linear model", 1993, with a Gaussian process for the
/// mean); for each draw the targets are read one after the other by a particle filter, in which the density of a target
/// is an integral over its own λ by the trapezoidal rule in log λ, and λ is then drawn from what was summed. Only
/// the particles are random: products of the filter's means estimate the joint density without bias.
public struct StudentOracle: Oracle {
  public static let limit = 1024
  /// Variance of Gaussian noise beside Student's, so that covariances of smooth kernels can be factored.
  public static let nugget = 1e-6
  /// Filters that run apart, from whose spread the error is told, and particles of each.
  static let filters = 8
  static let burnIn = 48

  public let kernel: Kernel
  public let noise: StudentNoise
  public let x: [Double]
  public let y: [Double]
  /// Of the simulation: the same question has the same answer.
  public let seed: UInt64
  /// Particles of each filter.
  public let particles: Int

  public var rows: Int { y.count }

  /// Throws `OracleError.values` when the outputs do not match the inputs.
  public init(
    kernel: Kernel, noise: StudentNoise, x: [Double], y: [Double], seed: UInt64, particles: Int = 32
  ) throws(OracleError) {
    guard x.count == y.count * kernel.dimensions else {
      throw .values(expected: x.count / max(1, kernel.dimensions), found: y.count)
    }
    (self.kernel, self.noise, self.x, self.y) = (kernel, noise, x, y)
    (self.seed, self.particles) = (seed, max(2, particles))
  }

  public func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity {
    let outputs = values ?? y
    let asked = try question(targets, given: context, outputs: outputs.count, limit: Self.limit)
    let d = kernel.dimensions
    let points = asked.flatMap { x[($0 * d)..<(($0 + 1) * d)] }
    let covariance = kernel.matrix(points, count: asked.count, noise: Self.nugget)
    var stream = RandomStream(seed: seed, .evaluation, UInt64(context.count), UInt64(targets.count))
    do {
      let beliefs = try beliefs(
        covariance, context.map { outputs[$0] }, targets: targets.count, stream: &stream)
      return simulate(beliefs, targets.map { outputs[$0] }, &stream)
    } catch LinearAlgebraError.notPositiveDefinite(let pivot, _) {
      throw .notPositiveDefinite(kernel: kernel.description, pivot: pivot)
    } catch {
      throw .values(expected: asked.count, found: asked.count)
    }
  }

  /// The Gaussian law of the targets' function values (with the nugget) given the context and its λ.
  struct Belief {
    var mean: [Double]
    /// [targets, targets], whole.
    var covariance: [Double]

    /// After the value `y` of target `k`, seen with noise of this variance.
    mutating func observe(_ y: Double, at k: Int, noise: Double) {
      let m = mean.count
      let row = Array(covariance[k * m..<(k + 1) * m])
      let (residual, scale) = (y - mean[k], 1 / (row[k] + noise))
      for i in 0..<m {
        mean[i] += row[i] * scale * residual
        for j in 0..<m { covariance[i * m + j] -= row[i] * row[j] * scale }
      }
    }
  }

  /// A belief for each of `filters * particles` sweeps of the Gibbs sampler.
  private func beliefs(
    _ covariance: [Double], _ y: [Double], targets m: Int, stream: inout RandomStream
  ) throws(LinearAlgebraError) -> [Belief] {
    let n = y.count
    let rows = n + m
    var inner = [Double](repeating: 0, count: n * n)
    for i in 0..<n { for j in 0...i { inner[i * n + j] = covariance[i * rows + j] } }
    var cross = [Double](repeating: 0, count: n * m)
    for i in 0..<n { for k in 0..<m { cross[i * m + k] = covariance[(n + k) * rows + i] } }
    let prior = try CholeskyFactor(lower: inner, count: n)
    var precisions = [Double](repeating: 1, count: n)
    var beliefs: [Belief] = []
    // Without a context there is one belief and nothing to sweep.
    let sweeps = n == 0 ? 0 : Self.burnIn
    for sweep in 0..<sweeps + Self.filters * particles {
      var matrix = inner
      for i in 0..<n { matrix[i * n + i] += noise.variance / precisions[i] }
      let factor = try CholeskyFactor(lower: matrix, count: n)
      if sweep >= sweeps {
        let half = try factor.whiten(cross, columns: m)
        let z = try factor.whiten(y)
        var belief = Belief(mean: [Double](repeating: 0, count: m), covariance: [])
        for i in 0..<n { for k in 0..<m { belief.mean[k] += half[i * m + k] * z[i] } }
        belief.covariance = [Double](repeating: 0, count: m * m)
        for k in 0..<m {
          for l in 0...k {
            var value = covariance[(n + k) * rows + n + l]
            for i in 0..<n { value -= half[i * m + k] * half[i * m + l] }
            belief.covariance[k * m + l] = value
            belief.covariance[l * m + k] = value
          }
        }
        beliefs.append(belief)
      }
      // The noise e given λ and y by Matheron's rule: a draw of function and noise, moved to where their sum is y.
      let function = try prior.colour(stream.normals(n))
      let drawn = (0..<n).map { (noise.variance / precisions[$0]).squareRoot() * stream.normal() }
      let weights = try factor.solve((0..<n).map { y[$0] - function[$0] - drawn[$0] })
      for i in 0..<n {
        let e = drawn[i] + noise.variance / precisions[i] * weights[i]
        precisions[i] =
          stream.chiSquare(noise.degrees + 1) / (Double(noise.degrees) + e * e / noise.variance)
      }
    }
    return beliefs
  }

  private func simulate(
    _ beliefs: [Belief], _ y: [Double], _ stream: inout RandomStream
  ) -> OracleDensity {
    let nodes = Nodes(noise)
    let m = y.count
    // log of each filter's estimate of the joint density of the first targets, [filters][targets + 1].
    var prefixes: [[Double]] = []
    for filter in 0..<Self.filters {
      let own = Array(beliefs[filter * particles..<(filter + 1) * particles])
      prefixes.append(Self.filter(own, y, nodes, &stream))
    }
    let together = (0...m).map { k in
      logSum(prefixes.map { $0[k] }) - log(Double(Self.filters))
    }
    let shares = prefixes.map { exp($0[m] - together[m]) }  // their mean is 1
    let spread = shares.reduce(0) { $0 + ($1 - 1) * ($1 - 1) } / Double(Self.filters - 1)
    let count = Double(beliefs.count)
    var (marginal, means, variances) = ([Double](), [Double](), [Double]())
    for k in 0..<m {
      let terms = beliefs.map { nodes.logDensity(y[k], $0.mean[k], $0.covariance[k * m + k]) }
      marginal.append(logSum(terms) - log(count))
      let mean = beliefs.reduce(0) { $0 + $1.mean[k] } / count
      let square = beliefs.reduce(0) {
        $0 + $1.covariance[k * m + k] + ($1.mean[k] - mean) * ($1.mean[k] - mean)
      }
      let degrees = Double(noise.degrees)
      means.append(mean)
      variances.append(
        square / count + (degrees > 2 ? noise.variance * degrees / (degrees - 2) : .infinity))
    }
    return OracleDensity(
      sequential: (0..<m).map { together[$0 + 1] - together[$0] }, marginal: marginal, means: means,
      variances: variances, error: (spread / Double(Self.filters)).squareRoot())
  }

  /// Running log-estimates of the joint density, the first of no target.
  private static func filter(
    _ beliefs: [Belief], _ y: [Double], _ nodes: Nodes, _ stream: inout RandomStream
  ) -> [Double] {
    var beliefs = beliefs
    let even = -log(Double(beliefs.count))
    var weights = [Double](repeating: even, count: beliefs.count)  // logarithms
    var running = [0.0]
    for k in y.indices {
      for s in beliefs.indices {
        let variance = beliefs[s].covariance[k * y.count + k]
        weights[s] += nodes.logDensity(y[k], beliefs[s].mean[k], variance)
        let noise = nodes.draw(y[k], beliefs[s].mean[k], variance, &stream)
        beliefs[s].observe(y[k], at: k, noise: noise)
      }
      let total = logSum(weights)
      running.append(running[k] + total)
      for s in weights.indices { weights[s] -= total }
      let effective = exp(-logSum(weights.map { 2 * $0 }))
      guard effective < Double(beliefs.count) / 2 else { continue }
      let chosen = systematic(weights.map { exp($0) }, stream.uniform())
      beliefs = chosen.map { beliefs[$0] }
      weights = [Double](repeating: even, count: beliefs.count)
    }
    return running
  }

  /// As many indices as there are weights, each about as often as its weight says (systematic resampling).
  static func systematic(_ weights: [Double], _ uniform: Double) -> [Int] {
    let n = weights.count
    var (index, sum) = (0, weights.first ?? 0)
    return (0..<n).map { place in
      while sum < (Double(place) + uniform) / Double(n), index < n - 1 {
        index += 1
        sum += weights[index]
      }
      return index
    }
  }

  /// The mixture over λ of one noise term as a sum: equally spaced in log λ, where the integrand is smooth and falls
  /// off fast on both sides, so that the trapezoidal rule is as good as exact.
  struct Nodes {
    /// Variances of the noise, and logarithms of their weights.
    let variances: [Double]
    let logWeights: [Double]

    init(_ noise: StudentNoise) {
      let (step, shape) = (0.2, Double(noise.degrees) / 2)
      let places = stride(from: -16.0, through: 4, by: step)
      variances = places.map { noise.variance * exp(-$0) }
      let logs = places.map { shape * $0 - shape * exp($0) }
      let total = logSum(logs)
      logWeights = logs.map { $0 - total }
    }

    private func terms(_ y: Double, _ mean: Double, _ variance: Double) -> [Double] {
      let square = (y - mean) * (y - mean)
      return variances.indices.map { j in
        let total = max(variance, 0) + variances[j]
        return logWeights[j] - 0.5 * (log(2 * .pi * total) + square / total)
      }
    }

    /// log density of y when the function's value is N(mean, variance).
    func logDensity(_ y: Double, _ mean: Double, _ variance: Double) -> Double {
      logSum(terms(y, mean, variance))
    }

    /// The noise's variance, drawn given y.
    func draw(_ y: Double, _ mean: Double, _ variance: Double, _ stream: inout RandomStream) -> Double {
      let logs = terms(y, mean, variance)
      let total = logSum(logs)
      return variances[stream.choice(weights: logs.map { exp($0 - total) })]
    }
  }
}

/// log Σ exp.
private func logSum(_ logs: [Double]) -> Double {
  guard let most = logs.max(), most > -.infinity else { return -.infinity }
  return most + log(logs.reduce(0) { $0 + exp($1 - most) })
}
