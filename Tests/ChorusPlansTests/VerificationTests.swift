import ChorusPlans
import Testing

/// Row 9 of the closed forms, worst cases, expectations and traces.
@Suite struct VerificationTests {
  /// E and R of a round by the formula: with t rows in the buffer, pending ones counted elsewhere.
  private func round(_ g: Int, known: Int) -> (encodes: Int, reads: Int) {
    (3 * g - 2, (3 * g - 2) * known + g * (g - 1))
  }

  @Test func worstCaseByRounds() throws {
    for n in CostTests.contexts {
      for k in CostTests.targets {
        for draft in [2, 3, 8, 100] {
          let plan = try PlanTemplate.speculative(draft: draft).resolve(context: n, targets: k)
          var (encodes, reads, calls) = (n, n * n, 0)
          for drawn in stride(from: 0, to: k, by: 2) {
            let g = min(draft, k - drawn)
            let own = round(g, known: n + drawn)
            encodes += own.encodes + (drawn > 0 ? 1 : 0)
            reads += own.reads + (drawn > 0 ? n + drawn : 0)
            calls += g == 1 ? 1 : 2
          }
          let cost = try plan.cost()
          #expect([cost.encodes, cost.reads, cost.calls] == [encodes, reads, calls])
          // Two calls a round never exceed one call a target.
          #expect(cost.calls <= k)
          #expect(plan.exactness == (k == 1 ? .exactChain : .exactByVerification))
          #expect(plan.visibility.direct.map(\.count) == Array(0..<k))
          #expect(plan.peakBufferRows == k - 1)
        }
      }
    }
  }

  @Test func expectationBetweenBestAndWorst() throws {
    let plan = try PlanTemplate.speculative(draft: 8).resolve(context: 16, targets: 64)
    let worst = try plan.cost()
    let none = try plan.expectedCost(acceptance: 0)
    #expect(none.calls == Double(worst.calls) && none.encodes == Double(worst.encodes))
    #expect(none.reads == Double(worst.reads) && none.queries == Double(worst.queries))
    let all = try plan.expectedCost(acceptance: 1)
    let best = try plan.cost(
      of: Trace(paths: [Array(repeating: Trace.Round(drafted: 8, accepted: 8), count: 8)]))
    #expect(all.calls == Double(best.calls) && best.calls == 16)
    #expect(all.encodes == Double(best.encodes) && all.reads == Double(best.reads))
    var last = Double(worst.calls)
    for acceptance in [0.2, 0.5, 0.8, 0.95] {
      let mean = try plan.expectedCost(acceptance: acceptance).calls
      #expect(mean < last && mean > 16)
      last = mean
    }
    #expect(throws: PlanError.acceptance(1.5)) { try plan.expectedCost(acceptance: 1.5) }
    let two = try plan.expectedCost(acceptance: 0.5, paths: 2)
    #expect(two.calls == (try plan.expectedCost(acceptance: 0.5).calls))
  }

  /// Far from the end, calls per target are 2 / tau with tau = 1 + (1 - a^(g-1)) / (1 - a).
  @Test(arguments: [2, 4, 8]) func expectedTargetsOfARound(draft: Int) throws {
    for a in [0.3, 0.7, 0.9] {
      func calls(_ k: Int) throws -> Double {
        try PlanTemplate.speculative(draft: draft).resolve(context: 4, targets: k)
          .expectedCost(acceptance: a).calls
      }
      let power = (1..<draft).reduce(1.0) { p, _ in p * a }
      let tau = 1 + (1 - power) / (1 - a)
      #expect(try abs((calls(1200) - calls(600)) / 600 - 2 / tau) < 1e-9)
    }
  }

  /// The expectation against a mean over simulated traces, levels of several verifications and merges included.
  @Test func expectationAgainstSimulation() throws {
    var generator = Seeded(state: 21)
    let plan = try PlanTemplate(parsing: "coarse-to-fine-verified(r:2,capacity:12)")
      .resolve(context: 5, targets: 40)
    var sums = [0.0, 0.0, 0.0]
    let runs = 4000
    for _ in 0..<runs {
      let cost = try plan.cost(of: Trace(paths: [simulated(plan, acceptance: 0.7, &generator)]))
      for (index, value) in [cost.calls, cost.encodes, cost.reads].enumerated() {
        sums[index] += Double(value)
      }
    }
    let mean = try plan.expectedCost(acceptance: 0.7)
    for (sum, expected) in zip(sums, [mean.calls, mean.encodes, mean.reads]) {
      #expect(abs(sum / Double(runs) / expected - 1) < 0.01)
    }
  }

  private func simulated(_ plan: Plan, acceptance: Double, _ generator: inout Seeded) -> [Trace.Round] {
    var rounds: [Trace.Round] = []
    for case .verify(let verification) in plan.instructions {
      var left = verification.positions.count
      while left > 0 {
        var round = Trace.Round(drafted: min(verification.draft, left), accepted: 1)
        while round.accepted < round.drafted, Double.random(in: 0..<1, using: &generator) < acceptance {
          round.accepted += 1
        }
        rounds.append(round)
        left -= round.drawn
      }
    }
    return rounds
  }

  @Test func tracesOfSeveralPaths() throws {
    let plan = try PlanTemplate.speculative(draft: 4).resolve(context: 10, targets: 6)
    let fast = [Trace.Round(drafted: 4, accepted: 4), Trace.Round(drafted: 2, accepted: 2)]
    let slow = [4, 4, 2].map { Trace.Round(drafted: $0, accepted: 1) }
    let a = try plan.cost(of: Trace(paths: [fast]))
    let b = try plan.cost(of: Trace(paths: [slow]))
    #expect(a.calls == 4 && b.calls == 6)
    #expect(b == (try plan.cost()))
    let both = try plan.cost(of: Trace(paths: [fast, slow]))
    #expect(both.calls == 6)
    #expect(both.encodes == a.encodes + b.encodes - 10 && both.reads == a.reads + b.reads - 100)
    #expect(both.queries == a.queries + b.queries)
    #expect(both.peakRows == 10 + 2 * 5)
    for wrong in [
      [], [fast[0]], fast + [fast[1]], [Trace.Round(drafted: 3, accepted: 1)],
      [Trace.Round(drafted: 4, accepted: 0)], [Trace.Round(drafted: 4, accepted: 5)],
    ] {
      #expect(throws: PlanError.foreignTrace(path: 1)) { try plan.cost(of: Trace(paths: [fast, wrong])) }
    }
  }

  @Test func levelsAreDraftedWhole() throws {
    let plan = try PlanTemplate.coarseToFineVerified.resolve(context: 8, targets: 64)
    let verified = plan.instructions.compactMap { instruction -> [Int]? in
      guard case .verify(let verification) = instruction else { return nil }
      return [verification.positions.count, verification.draft, verification.buffered]
    }
    #expect(verified == [[2, 2, 2], [4, 4, 4], [8, 8, 8], [16, 16, 16], [32, 32, 32]])
    // Twelve calls when nothing is refused, as the oracle of section 4.5 finds for an OU process.
    #expect(try plan.expectedCost(acceptance: 1).calls == 12)
    let drafts = try PlanTemplate.coarseToFine(r: 2).resolve(context: 8, targets: 64)
    #expect(plan.order == drafts.order)
    #expect(plan.instructions.map(\.positions) == drafts.instructions.map(\.positions))
  }

  @Test func oneDraftIsSequential() throws {
    for k in CostTests.targets {
      let one = try PlanTemplate.speculative(draft: 1).resolve(context: 3, targets: k)
      #expect(one.instructions == (try PlanTemplate.sequential.resolve(context: 3, targets: k)).instructions)
      let byHand = try Plan(
        context: 3, targets: k, steps: [.encode(with: RangeSet()), .verify(0..<k, draft: 1)])
      #expect(try byHand.cost() == one.cost())
      #expect(byHand.exactness == .exactChain && !byHand.requirements.rewind)
    }
  }
}
