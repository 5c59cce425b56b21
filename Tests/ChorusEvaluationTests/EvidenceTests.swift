import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusEvaluation

@Suite("Marginal likelihoods")
struct EvidenceTests {
  /// Small enough for a test.
  static func sampler(_ dimensions: Int) -> EvidenceSampler {
    var sampler = EvidenceSampler(dimensions: dimensions, bound: 2)
    sampler.particles = 128
    sampler.moves = 4
    sampler.draws = 1024
    return sampler
  }

  /// log ∫ N(y; z, σ²) φ(z) dz / ∫ φ(z) dz over z in [−2, 2], in closed form.
  static func exact(_ y: Double, _ deviation: Double) -> Double {
    let variance = deviation * deviation + 1
    let (mean, width) = (y / variance, deviation / variance.squareRoot())
    func part(_ low: Double, _ high: Double) -> Double {
      0.5 * (erf(high / 2.0.squareRoot()) - erf(low / 2.0.squareRoot()))
    }
    return -0.5 * y * y / variance - 0.5 * log(2 * Double.pi * variance)
      + log(part((-2 - mean) / width, (2 - mean) / width) / part(-2, 2))
  }

  /// Peaks inside the bounds and at them.
  @Test("Gaussian likelihoods have their closed form", arguments: [[0.4, -1, 0.2], [2.1, 1.5, -3]])
  func gaussian(data: [Double]) throws {
    let deviations = [0.02, 0.2, 0.7]
    let expected = zip(data, deviations).reduce(0) { $0 + Self.exact($1.0, $1.1) }
    let likelihood: @Sendable ([Double]) -> Double = { z in
      (0..<3).reduce(0) { sum, i in
        let distance = (data[i] - z[i]) / deviations[i]
        return sum - 0.5 * distance * distance - log(deviations[i]) - 0.5 * log(2 * Double.pi)
      }
    }
    var sampler = Self.sampler(3)
    (sampler.particles, sampler.moves) = (512, 8)
    let one = try sampler.estimate(seed: 1, on: ThreadPool(threads: 1), likelihood)
    #expect(abs(one.value - expected) < 4 * one.standardError, "\(one.value) for \(expected)")
    #expect(one.standardError < 0.05 && one.converged)
    #expect(abs(one.tempered - expected) < 6 * one.temperedError && one.temperedError < 1)
    let two = try sampler.estimate(seed: 1, on: ThreadPool(threads: 3), likelihood)
    #expect(one == two)
    let other = try sampler.estimate(seed: 2, on: ThreadPool(threads: 2), likelihood)
    #expect(other.value != one.value)
  }

  @Test("An observer's marginal likelihood is that of plain sums over the prior")
  func causal() throws {
    let stretch = 4.0 / 3
    var stream = RandomStream(seed: 4)
    let observer = CausalObserver(standardised: [0, 0, 0, 0, 0, 0, 0], stretch: stretch)
    let trials = CausalPrior.stratified(6, by: observer, from: &stream)
    let grouped = CausalTrials(trials)
    let pool = ThreadPool(threads: 2)
    let likelihoods = try pool.map(1500) { index in
      var stream = RandomStream(seed: 9, UInt64(index))
      return exp(CausalObserver(stretch: stretch, from: &stream).logLikelihood(grouped))
    }
    let mean = likelihoods.reduce(0, +) / 1500
    let variance = likelihoods.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 1500
    let error = (variance / 1500).squareRoot() / mean
    let found = try CausalInference.logMarginalLikelihood(
      of: trials, stretch: stretch, seed: 1, sampler: Self.sampler(CausalObserver.parameterCount), on: pool)
    let both = (error * error + found.standardError * found.standardError).squareRoot()
    #expect(abs(found.value - log(mean)) < 4 * both, "\(found.value) for \(log(mean))")
    #expect(both < 0.2 && found.converged)
  }

  @Test("Simulated observers stand in for participants, two data sets each")
  func dataSets() {
    let sets = CausalInference.dataSets(observers: 3, trials: 24, seed: 2)
    #expect(sets.map(\.observer) == [0, 0, 1, 1, 2, 2])
    #expect(sets.map(\.part) == [0, 1, 0, 1, 0, 1])
    let wide = 4.0 / 3
    let stretches: [Double] = [1, 1, wide, wide, 1, 1]
    #expect(sets.map(\.stretch) == stretches)
    #expect(sets.allSatisfy { $0.trials.count == 24 } && Set(sets.map(\.trials)).count == 6)
    #expect(sets == CausalInference.dataSets(observers: 3, trials: 24, seed: 2))
  }
}
