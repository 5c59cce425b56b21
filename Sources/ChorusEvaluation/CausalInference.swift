import ChorusPriors
import ChorusTensors

/// Comparing models of multisensory causal inference (Hassan et al. 2026, sec. 4.4 of the experiments and App. D.3) by what they
/// are worth: the log marginal likelihood of an observer's answers.
public enum CausalInference {
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
