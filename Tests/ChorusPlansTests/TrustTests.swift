import ChorusPlans
import Testing

/// A buffer that is trusted for as long as it has proved right: rounds, counts, and what is refused.
@Suite struct TrustTests {
  /// E, R and S of rounds by hand: a context for each, a call a position, and between rounds one that only asks.
  private func counts(_ rounds: [Int], context: Int) -> [Int] {
    var (encodes, reads, calls, drawn) = (0, 0, 0, 0)
    for (index, count) in rounds.enumerated() {
      let known = context + drawn
      encodes += known
      reads += known * known
      for place in 0..<(index == rounds.count - 1 ? count : count + 1) {
        calls += 1
        // The row that asks, and but for the first call one that is committed and reads itself.
        encodes += place == 0 ? 1 : 2
        reads += place == 0 ? known : 2 * (known + place)
      }
      drawn += count
    }
    return [encodes, reads, calls]
  }

  private func counts(_ cost: Plan.Cost) -> [Int] { [cost.encodes, cost.reads, cost.calls] }

  @Test func roundsAreCountedByHand() throws {
    for targets in [1, 2, 3, 8, 20] {
      let plan = try PlanTemplate.trusted(millinats: 20).resolve(context: 5, targets: targets)
      #expect(try counts(plan.cost()) == counts(Array(repeating: 1, count: targets), context: 5))
      #expect(plan.peakBufferRows == targets - 1 && plan.exactness == .exactChain)
      #expect(plan.visibility.direct.map(\.count) == Array(0..<targets))
      #expect(plan.requirements.decides == (targets > 1))
      #expect(try plan.expectedCost(acceptance: 0.5).calls == Double(plan.cost().calls))
    }
    let plan = try PlanTemplate.trusted(millinats: 20).resolve(context: 5, targets: 20)
    for rounds in [[1, 2, 4, 8, 5], [1, 2, 1, 1, 2, 4, 9], [1, 19]] {
      let trace = Trace(paths: [rounds.map { Trace.Round(drafted: $0, accepted: $0) }])
      #expect(try counts(plan.cost(of: trace)) == counts(rounds, context: 5))
      #expect(try plan.cost(of: trace).merges == rounds.count - 1)
    }
    // Paths have contexts of their own from the second round on, and wait for the slowest.
    let two = Trace(
      paths: [[1, 19], [1, 2, 17]].map { $0.map { Trace.Round(drafted: $0, accepted: $0) } })
    let (short, long, both) = (
      try plan.cost(of: Trace(paths: [two.paths[0]])),
      try plan.cost(of: Trace(paths: [two.paths[1]])),
      try plan.cost(of: two)
    )
    #expect(both.calls == long.calls && both.encodes == short.encodes + long.encodes - 5)
  }

  @Test func twiceAsManyOrHalf() throws {
    let plan = try PlanTemplate.trusted(millinats: 20, capacity: 6).resolve(context: 5, targets: 20)
    guard case .trust(let trust)? = plan.instructions.first else {
      Issue.record("no trusted buffer")
      return
    }
    #expect(trust.nats == 0.02 && trust.most == 6 && plan.peakBufferRows == 6)
    #expect([1, 2, 4, 6].map { trust.next(after: $0, trusted: true) } == [2, 4, 6, 6])
    #expect([1, 2, 5, 6].map { trust.next(after: $0, trusted: false) } == [1, 1, 2, 3])
    for rounds in [[1, 7, 12], [1, 2, 4], [20]] {
      let trace = Trace(paths: [rounds.map { Trace.Round(drafted: $0, accepted: $0) }])
      #expect(throws: PlanError.foreignTrace(path: 0)) { try plan.cost(of: trace) }
    }
    let refused = Trace(paths: [
      [Trace.Round(drafted: 4, accepted: 2), Trace.Round(drafted: 17, accepted: 17)]
    ])
    #expect(throws: PlanError.foreignTrace(path: 0)) { try plan.cost(of: refused) }
  }

  @Test func textAndWords() throws {
    for text in ["trusted(millinats:0)", "trusted(millinats:20,capacity:16,order:left-to-right)"] {
      #expect(try PlanTemplate(parsing: text).description == text)
      let plan = try PlanTemplate(parsing: text).resolve(context: 4, targets: 9)
      #expect(plan.explanation(rates: .example).contains("at the worst"))
      #expect(
        plan.explanation(rates: .example).contains(
          "draw 9 one after another, trusting up to 8 of them"))
      #expect(try plan.reencoded().peakBufferRows == 0)
    }
    #expect(throws: PlanTextError.self) { try PlanTemplate(parsing: "trusted") }
    #expect(throws: PlanTextError.self) { try PlanTemplate(parsing: "trusted(millinats:-1)") }
    #expect(throws: PlanTextError.self) { try PlanTemplate(parsing: "trusted(millinats:2,strict)") }
    #expect(throws: PlanError.self) {
      try PlanTemplate(parsing: "trusted(millinats:10000000)").resolve(context: 2, targets: 3)
    }
    // A model that merges nothing does not run it.
    let noSets = Plan.Capability(trainedBuffer: 4, setContext: false)
    #expect(throws: PlanError.self) {
      try PlanTemplate.trusted(millinats: 2).resolve(context: 2, targets: 3, capability: noSets)
    }
  }

  /// By hand it begins with a context of all that was drawn, and ends the plan.
  @Test func itsStepHasAPlace() throws {
    func plan(_ steps: [Plan.Step]) throws -> Plan {
      try Plan(context: 3, targets: 6, steps: [.encode(with: RangeSet())] + steps)
    }
    let late = try plan([.predict(0..<2, reads: .none), .merge, .trust(2..<6, nats: 0.1)])
    #expect(late.peakBufferRows == 3 && late.visibility.direct.map(\.count) == [0, 0, 2, 3, 4, 5])
    #expect(throws: PlanError.misplacedTrust(step: 2)) {
      try plan([.predict(0..<2, reads: .none), .trust(2..<6, nats: 0.1)])
    }
    #expect(throws: PlanError.misplacedTrust(step: 1)) {
      try plan([.trust(0..<4, nats: 0.1), .predict(4..<6, reads: .none)])
    }
  }
}
