import ChorusPriors
import ChorusTensors

/// Comparing models of multisensory causal inference (Hassan et al. 2026, sec. 4.4 of the experiments and App. D.3) by what they
/// are worth: the log marginal likelihood of an observer's answers.
///
/// The answers of the paper's participants are not to be had here; simulated observers stand in for them.
public enum CausalInference {
  /// The trials of a simulated observer.
  public struct DataSet: Sendable, Hashable {
    /// From 0 on.
    public let observer: Int
    /// Which of the observer's data sets, 0 or 1.
    public let part: Int
    /// The ρ that the observer has in truth.
    public let stretch: Double
    public let trials: [CausalObserver.Trial]
  }

  /// Two data sets of each of `observers` observers drawn from the prior, every other one with ρ = 4/3; a pure function of the seed.
  public static func dataSets(observers: Int = 15, trials: Int = 400, seed: UInt64 = 0) -> [DataSet] {
    (0..<observers).flatMap { number in
      var stream = RandomStream(seed: seed, .evaluation, UInt64(number))
      let stretch = number.isMultiple(of: 2) ? 1 : 4.0 / 3
      let observer = CausalObserver(stretch: stretch, from: &stream)
      return (0..<2).map { part in
        DataSet(
          observer: number, part: part, stretch: stretch,
          trials: CausalPrior.stratified(trials, by: observer, from: &stream))
      }
    }
  }

  /// log p(answers | stimuli, ρ) of an observer's trials, its parameters integrated out; nats, answers in degrees.
  ///
  /// - Parameters:
  ///   - stretch: ρ, 1 or 4/3 in the paper.
  ///   - sampler: how hard to try.
  /// - Throws: `LinearAlgebraError` where the posterior is too thin in some direction to be sampled.
  public static func logMarginalLikelihood(
    of trials: [CausalObserver.Trial], stretch: Double, seed: UInt64 = 0,
    sampler: EvidenceSampler = EvidenceSampler(
      dimensions: CausalObserver.parameterCount, bound: CausalObserver.parameterBound),
    on pool: ThreadPool
  ) throws -> EvidenceSampler.Estimate {
    let grouped = CausalTrials(trials)
    return try sampler.estimate(seed: seed, on: pool) { z in
      CausalObserver(standardised: z, stretch: stretch).logLikelihood(grouped)
    }
  }
}
