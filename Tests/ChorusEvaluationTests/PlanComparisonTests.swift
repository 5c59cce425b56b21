import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusEvaluation
@testable import ChorusInference

/// The executor with exact conditionals in the network's place.
@Suite struct OracleConditionerTests {
  static let observed = [-1.7, -1.2, -0.6, -0.1, 0.4, 0.9, 1.3, 1.8]
  static let targets = (0..<64).map { -2 + 4 * Double($0) / 63 }

  private struct Case {
    let kernel: Kernel
    let noise: Double

    func conditioner(seed: UInt64) throws -> OracleConditioner {
      let x = OracleConditionerTests.observed
      let factor = try CholeskyFactor(
        lower: kernel.matrix(x, count: x.count, noise: noise + 1e-6), count: x.count)
      var stream = RandomStream(seed: seed, 1)
      let y = try factor.colour((0..<x.count).map { _ in stream.normal() })
      return OracleConditioner(
        kernel: kernel, noise: noise, x: x, y: y, targets: OracleConditionerTests.targets)
    }
  }

  private func process(_ form: Kernel.Term.Form, noise: Double) throws -> Case {
    Case(kernel: try Kernel([.init(form, variance: 1, scales: [0.25])]), noise: noise)
  }

  private func plan(_ text: String, targets: Int = 64) throws -> Plan {
    try PlanTemplate(parsing: text).resolve(context: 8, targets: targets)
  }

  /// Midpoints of the gaps of a Markov process are independent given their ends (Lévy), so no draft is refused: one call
  /// for each of the first two levels and two for each of the other five.
  @Test func markovDraftsAreNeverRefused() throws {
    let process = try process(.matern12, noise: 1e-9)
    for seed in 0..<4 {
      let sampler = Sampler(
        try process.conditioner(seed: UInt64(seed)), plan: try plan("coarse-to-fine-verified(r:2)"),
        seed: UInt64(seed))
      let trace = try #require(try sampler.sample(1).trace)
      #expect(try sampler.plan.cost(of: trace).calls == 12)
    }
  }

  /// Fewer than half of the calls of a chain, and no fewer than one and two a level.
  @Test func smoothDraftsAreMostlyAccepted() throws {
    for form in [Kernel.Term.Form.matern32, .rbf] {
      let process = try process(form, noise: 0.02)
      let plan = try plan("coarse-to-fine-verified(r:2)")
      let calls = try (0..<12).map { seed in
        let sampler = Sampler(
          try process.conditioner(seed: UInt64(seed)), plan: plan, seed: UInt64(seed))
        let trace = try #require(try sampler.sample(1).trace)
        return Double(try plan.cost(of: trace).calls)
      }
      let mean = calls.reduce(0, +) / 12
      #expect(mean >= 12 && mean < 22, "\(mean) calls")
    }
  }

  /// Densities by the executor are the oracle's own: the chain's in any order, and of every plan by its visible sets.
  @Test(arguments: [
    "sequential", "sequential(capacity:5)", "reencode", "speculative(draft:4)",
    "coarse-to-fine-verified(r:2)",
    "blocks(of:6)", "coarse-to-fine(r:4)", "lineage(r:4)", "window(sinks:2,span:3)", "log-sparse",
    "random-sparse(reads:4)", "independent",
  ]) func densitiesAreTheOracles(text: String) throws {
    let process = try process(.matern52, noise: 0.05)
    let conditioner = try process.conditioner(seed: 5)
    let plan = try plan(text)
    let sampler = Sampler(conditioner, plan: plan, seed: 3)
    let y = (0..<64).map { Float(sin(Double($0) / 7)) }
    let density = try sampler.logDensities(of: y, orders: 1)[0]
    var stream = RandomStream(seed: 5, 1)
    let x = Self.observed
    let factor = try CholeskyFactor(
      lower: process.kernel.matrix(x, count: 8, noise: process.noise + 1e-6), count: 8)
    let seen = try factor.colour((0..<8).map { _ in stream.normal() })
    let oracle = try GaussianOracle(
      kernel: process.kernel, noise: process.noise, x: x + Self.targets, y: seen + y.map(Double.init))
    let order = plan.order(path: 0, seed: 3)
    let expected = try plan.visibility.direct.enumerated().reduce(0.0) { sum, target in
      let visible = target.element.all.ranges.joined().map { 8 + order[$0] }
      return sum
        + (try oracle.density(of: [8 + order[target.offset]], given: Array(0..<8) + visible).joint)
    }
    #expect(abs(density - expected) < 1e-6 * max(1, abs(expected)))
  }
}

@Suite struct PlanComparisonTests {
  @Test func splitsTheLoss() throws {
    let comparison = PlanComparison(
      model: try Model(named: "gp-noisy"), prior: GPPrior.noisy, targets: 12, functions: 6, orders: 2,
      repetitions: 0)
    let plans = try ["sequential", "independent", "coarse-to-fine-verified(r:2)", "reencode"].map {
      try PlanTemplate(parsing: $0)
    }
    let rows = try comparison.rows(plans, contexts: [8], on: ThreadPool(threads: 1))
    #expect(rows.map(\.plan) == plans)
    #expect(rows[0].toSequential.mean == 0 && rows[3].toReencode.mean == 0)
    #expect(abs(rows[0].scheduleLoss?.mean ?? .nan) < 1e-9)
    #expect(abs(rows[2].scheduleLoss?.mean ?? .nan) < 1e-9)
    let independent = try #require(rows[1].scheduleLoss)
    #expect(
      independent.mean > 0.1 && independent.low <= independent.mean && independent.mean <= independent.high)
    for row in rows {
      let (loss, error) = (try #require(row.scheduleLoss), try #require(row.networkError))
      #expect(abs(loss.mean + error.mean - row.toSequential.mean) < 1e-9)
    }
    #expect(rows[1].calls == 1 && rows[0].calls == 12)
    #expect(rows[2].calls < 12 && Double(rows[2].lockStepCalls) >= rows[2].calls)
    #expect(rows[0].time == nil)
  }

  @Test func bootstrap() {
    let interval = PlanComparison.Interval((0..<400).map { Double($0 % 2) })
    #expect(interval.mean == 0.5)
    // The standard error is 0.025.
    #expect(abs(interval.low - 0.451) < 0.01 && abs(interval.high - 0.549) < 0.01)
    #expect(PlanComparison.Interval([1]).low.isNaN)
  }
}
