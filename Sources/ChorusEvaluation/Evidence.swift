import ChorusTensors
import Foundation

/// log ∫ L(z) p(z) dz of a likelihood under a standard normal prior that is cut off at ±`bound` in each of a few dimensions.
///
/// Two estimates from one run. Particles go from the prior to the posterior by tempering, each stage so far that half of them
/// still count (Del Moral, Doucet & Jasra 2006, sec. 3; Neal 2001), in a few populations that know nothing of each other; their stages'
/// weights are the first estimate, and how they differ is its error. A Student-t
/// law fitted to the particles, with a share of the prior so that no weight is beyond bounds, is then sampled from, refitted
/// twice, and its importance weights are the second estimate, whose error is known. Where both agree, no part of the posterior
/// was missed that one of them has found.
public struct EvidenceSampler: Sendable {
  public var dimensions: Int
  public var bound: Double
  /// Particles that are tempered, in `populations` equal parts.
  public var particles = 256
  public var populations = 4
  /// Random-walk moves of a particle in a stage.
  public var moves = 5
  /// Draws of the last importance sample; doubled until the error is small enough, `doublings` times at most.
  public var draws = 2048
  public var doublings = 3
  /// The standard error to come down to, in nats.
  public var tolerance = 0.05

  public init(dimensions: Int, bound: Double) {
    (self.dimensions, self.bound) = (dimensions, bound)
  }

  /// What was found, in nats.
  public struct Estimate: Sendable, Hashable {
    /// By importance sampling.
    public var value: Double
    public var standardError: Double
    /// By tempering; its error is what the few populations tell.
    public var tempered: Double
    public var temperedError: Double
    /// How many independent draws of the posterior the importance sample is worth.
    public var effectiveDraws: Double
    public var draws: Int
    public var stages: Int
    /// Likelihoods that were worked out.
    public var evaluations: Int
    /// Whether the error is within the tolerance and both estimates agree within four of their errors.
    public var converged: Bool
    /// Mean of the posterior.
    public var mean: [Double]
  }

  private struct Particle {
    var z: [Double]
    var logLikelihood: Double
  }

  /// The estimate, a pure function of the seed.
  ///
  /// - Parameter logLikelihood: finite wherever the prior is.
  /// - Throws: `LinearAlgebraError` where the posterior is too thin in some direction for a covariance.
  /// - Precondition: there are a dimension, two populations of two particles each, and four draws at least.
  public func estimate(
    seed: UInt64, on pool: ThreadPool, _ logLikelihood: @escaping @Sendable ([Double]) -> Double
  ) throws -> Estimate {
    precondition(
      dimensions > 0 && particles > 1 && draws > 1, "a sampler has dimensions, particles and draws")
    let tempered = try (0..<populations).map { population in
      try temper(seed, UInt64(population), particles / populations, pool, logLikelihood)
    }
    let sum = LogSum(tempered.map(\.value))
    let temperedVariance = sum.relativeVariance / Double(populations)
    var evaluations = tempered.reduce(0) { $0 + $1.evaluations }
    let points = tempered.flatMap { $0.particles.map(\.z) }
    var law = try Proposal(points, weights: Array(repeating: 1, count: points.count))
    for round in 0..<2 {
      let sample = try draw(law, draws / 2, seed, UInt64(round), pool, logLikelihood)
      evaluations += sample.points.count
      law = try Proposal(sample.points, weights: sample.weights)
    }
    var count = draws
    var sample = try draw(law, count, seed, 2, pool, logLikelihood)
    evaluations += sample.points.count
    for round in 0..<doublings where sample.standardError > tolerance {
      let more = try draw(law, count, seed, UInt64(3 + round), pool, logLikelihood)
      evaluations += more.points.count
      count *= 2
      sample = Sample(
        points: sample.points + more.points, logWeights: sample.logWeights + more.logWeights, draws: count)
    }
    let (value, error) = (sample.value, sample.standardError)
    let both = (error * error + temperedVariance).squareRoot()
    return Estimate(
      value: value, standardError: error, tempered: sum.logMean,
      temperedError: temperedVariance.squareRoot(), effectiveDraws: sample.effective, draws: count,
      stages: tempered.reduce(0) { $0 + $1.stages }, evaluations: evaluations,
      converged: error <= tolerance && abs(value - sum.logMean) <= 4 * both, mean: sample.mean)
  }

  // MARK: Tempering

  private struct Tempering {
    var particles: [Particle]
    var value: Double
    var stages: Int
    var evaluations: Int
  }

  private func temper(
    _ seed: UInt64, _ population: UInt64, _ count: Int, _ pool: ThreadPool,
    _ logLikelihood: @escaping @Sendable ([Double]) -> Double
  ) throws -> Tempering {
    let (dimensions, bound) = (dimensions, bound)
    var all = try pool.map(count) { index in
      var stream = RandomStream(seed: seed, .evidence, population, 0, UInt64(index))
      let z = Self.prior(dimensions, bound, &stream)
      return Particle(z: z, logLikelihood: logLikelihood(z))
    }
    var (power, value, stage) = (0.0, 0.0, 0)
    var evaluations = count
    var step = 1.0
    while power < 1 {
      stage += 1
      let next = nextPower(after: power, all)
      let logWeights = all.map { (next - power) * $0.logLikelihood }
      let sum = LogSum(logWeights)
      value += sum.logMean
      power = next
      var stream = RandomStream(seed: seed, .evidence, population, UInt64(stage))
      all = Self.resampled(all, sum.weights, &stream)
      let spread = try CholeskyFactor(
        lower: Moments(all.map(\.z), weights: Array(repeating: 1, count: count)).covariance, count: dimensions
      )
      let (scale, moves, before, factor) = (step * 2.38 / Double(dimensions).squareRoot(), moves, all, spread)
      let (number, temperature) = (UInt64(stage), power)
      let moved = try pool.map(count) { index -> (Particle, Int) in
        var stream = RandomStream(seed: seed, .evidence, population, number, UInt64(1 + index))
        var (particle, accepted) = (before[index], 0)
        for _ in 0..<moves {
          let jump = try factor.colour(stream.normals(dimensions))
          let z = zip(particle.z, jump).map { $0 + scale * $1 }
          let level = log(stream.uniform())
          guard z.allSatisfy({ abs($0) <= bound }) else { continue }
          let likelihood = logLikelihood(z)
          let gain =
            temperature * (likelihood - particle.logLikelihood) + Self.logNormal(z)
            - Self.logNormal(particle.z)
          guard level < gain else { continue }
          particle = Particle(z: z, logLikelihood: likelihood)
          accepted += 1
        }
        return (particle, accepted)
      }
      all = moved.map(\.0)
      evaluations += count * moves
      let rate = Double(moved.reduce(0) { $0 + $1.1 }) / Double(count * moves)
      step *= exp(2 * (rate - 0.25))
    }
    return Tempering(
      particles: all, value: value, stages: stage, evaluations: evaluations)
  }

  /// The power of the likelihood at which half of the particles still count, by bisection; 1 where that is not reached.
  private func nextPower(after power: Double, _ all: [Particle]) -> Double {
    func effective(_ next: Double) -> Double {
      LogSum(all.map { (next - power) * $0.logLikelihood }).effective
    }
    if effective(1) >= 0.5 * Double(all.count) { return 1 }
    var (low, high) = (power, 1.0)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if effective(middle) >= 0.5 * Double(all.count) { low = middle } else { high = middle }
    }
    // Where no step leaves half of them, the smallest that there is.
    return low > power ? low : high
  }

  /// Systematic resampling.
  private static func resampled(
    _ all: [Particle], _ weights: [Double], _ stream: inout RandomStream
  ) -> [Particle] {
    let total = weights.reduce(0, +)
    var (running, place) = (weights[0], 0)
    let start = stream.uniform()
    return all.indices.map { index in
      let level = (Double(index) + start) / Double(all.count) * total
      while running <= level, place < all.count - 1 {
        place += 1
        running += weights[place]
      }
      return all[place]
    }
  }

  private static func prior(_ dimensions: Int, _ bound: Double, _ stream: inout RandomStream) -> [Double] {
    (0..<dimensions).map { _ in
      var z = stream.normal()
      while abs(z) > bound { z = stream.normal() }
      return z
    }
  }

  private static func logNormal(_ z: [Double]) -> Double {
    z.reduce(0) { $0 - 0.5 * $1 * $1 }
  }

  // MARK: Importance sampling

  private struct Sample {
    /// Draws within the bounds, and their log weights; the others weigh nothing.
    var points: [[Double]]
    var logWeights: [Double]
    var draws: Int

    private var sum: LogSum { LogSum(logWeights, of: draws) }
    var weights: [Double] { sum.weights }
    var value: Double { sum.logMean }
    var standardError: Double { (sum.relativeVariance / Double(draws)).squareRoot() }
    var effective: Double { sum.effective }
    var mean: [Double] { Moments(points, weights: weights).mean }
  }

  private func draw(
    _ law: Proposal, _ count: Int, _ seed: UInt64, _ round: UInt64, _ pool: ThreadPool,
    _ logLikelihood: @escaping @Sendable ([Double]) -> Double
  ) throws -> Sample {
    let (dimensions, bound) = (dimensions, bound)
    // The part of a normal within the bounds, in each dimension.
    let normaliser = Double(dimensions) * log(erf(bound / 2.0.squareRoot()) * (2 * Double.pi).squareRoot())
    let drawn = try pool.map(count) { index -> (z: [Double], logWeight: Double)? in
      var stream = RandomStream(seed: seed, .evidence, 1 << 32 + round, UInt64(index))
      let z =
        stream.uniform() < Proposal.share
        ? Self.prior(dimensions, bound, &stream) : try law.draw(from: &stream)
      guard z.allSatisfy({ abs($0) <= bound }) else { return nil }
      let prior = Self.logNormal(z) - normaliser
      let own = try law.logDensity(z) + log(1 - Proposal.share)
      let other = prior + log(Proposal.share)
      let top = max(own, other)
      let proposal = top + log(exp(own - top) + exp(other - top))
      return (z, logLikelihood(z) + prior - proposal)
    }
    let kept = drawn.compactMap { $0 }
    return Sample(points: kept.map(\.z), logWeights: kept.map(\.logWeight), draws: count)
  }
}

/// A Student-t law with five degrees of freedom around weighted points, a little wider than they are.
private struct Proposal: Sendable {
  /// How much of the draws comes from the prior instead.
  static let share = 0.1
  private static let freedom = 5.0
  private let mean: [Double]
  private let factor: CholeskyFactor
  private let normaliser: Double

  init(_ points: [[Double]], weights: [Double]) throws {
    let moments = Moments(points, weights: weights)
    mean = moments.mean
    let d = Double(mean.count)
    // A Student-t law of this scale has 1.2 times the covariance.
    let scale = 1.2 * (Self.freedom - 2) / Self.freedom
    factor = try CholeskyFactor(lower: moments.covariance.map { scale * $0 }, count: mean.count)
    normaliser =
      lgamma((Self.freedom + d) / 2) - lgamma(Self.freedom / 2) - 0.5 * d * log(Self.freedom * Double.pi)
      - 0.5 * factor.logDeterminant
  }

  func draw(from stream: inout RandomStream) throws -> [Double] {
    let normals = stream.normals(mean.count)
    // χ² with five degrees of freedom.
    let square = stream.normals(Int(Self.freedom)).reduce(0) { $0 + $1 * $1 }
    let scale = (Self.freedom / square).squareRoot()
    return zip(mean, try factor.colour(normals)).map { $0 + scale * $1 }
  }

  func logDensity(_ z: [Double]) throws -> Double {
    let whitened = try factor.whiten(zip(z, mean).map { $0 - $1 })
    let square = whitened.reduce(0) { $0 + $1 * $1 }
    return normaliser - 0.5 * (Self.freedom + Double(z.count)) * log1p(square / Self.freedom)
  }
}

/// Mean and covariance of weighted points; a little is added to the diagonal, so that points which are all alike have one too.
private struct Moments {
  let mean: [Double]
  /// The lower triangle, row-major.
  let covariance: [Double]

  init(_ points: [[Double]], weights: [Double]) {
    let d = points.first?.count ?? 0
    let total = max(weights.reduce(0, +), .leastNonzeroMagnitude)
    var mean = [Double](repeating: 0, count: d)
    for (z, weight) in zip(points, weights) {
      for i in 0..<d { mean[i] += weight / total * z[i] }
    }
    var matrix = [Double](repeating: 0, count: d * d)
    for (z, weight) in zip(points, weights) {
      for i in 0..<d {
        for j in 0...i { matrix[i * d + j] += weight / total * (z[i] - mean[i]) * (z[j] - mean[j]) }
      }
    }
    for i in 0..<d { matrix[i * d + i] += 1e-6 }
    self.mean = mean
    covariance = matrix
  }
}

/// Weights given by their logs, of `count` draws, those without a log weighing nothing.
private struct LogSum {
  /// Over the largest.
  let weights: [Double]
  private let top: Double
  private let count: Int
  private let total: Double
  private let squares: Double

  init(_ logs: [Double], of count: Int? = nil) {
    top = logs.max() ?? -.infinity
    let top = top
    weights = logs.map { top.isFinite ? exp($0 - top) : 0 }
    self.count = count ?? logs.count
    total = weights.reduce(0, +)
    squares = weights.reduce(0) { $0 + $1 * $1 }
  }

  var logMean: Double { top + log(total / Double(count)) }
  /// (Σ w)²/Σ w².
  var effective: Double { squares > 0 ? total * total / squares : 0 }
  /// Variance of a weight over the square of their mean.
  var relativeVariance: Double {
    let n = Double(count)
    return n > 1 && total > 0 ? (squares * n / (total * total) - 1) * n / (n - 1) : .infinity
  }
}
