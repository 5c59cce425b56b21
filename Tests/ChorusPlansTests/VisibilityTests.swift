import ChorusPlans
import Testing

@Suite struct VisibilityTests {
  /// Sampler, density and counters against an executor that keeps explicit sets, for random plans.
  @Test func everyViewOfAPlanAgrees() throws {
    var generator = Seeded(state: 3)
    for _ in 0..<400 {
      let targets = Int.random(in: 0...12, using: &generator)
      let context = Int.random(in: 0...6, using: &generator)
      let steps = randomSteps(targets: targets, using: &generator)
      // A commit that only a merge follows is idle; the generator makes none, for it merges first.
      let plan = try Plan(context: context, targets: targets, steps: steps)
      let naive = NaiveExecutor(steps, context: context)

      let cost = try plan.cost()
      #expect(cost.calls == naive.calls)
      #expect(cost.encodes == naive.encodes)
      #expect(cost.reads == naive.reads)
      #expect(cost.peakRows == naive.peak)
      #expect(cost.queries == targets)

      for position in 0..<targets {
        let direct = try #require(plan.visibility.direct(of: position))
        let effective = try #require(plan.visibility.effective(of: position))
        #expect(naive.direct(position) == Set((0..<targets).filter { direct.contains($0) }))
        #expect(naive.effective(position) == Set((0..<targets).filter { effective.contains($0) }))
      }
      #expect(plan.visibility.direct(of: targets) == nil)
      #expect(plan.visibility.direct(of: -1) == nil)

      // What the calls read and what the passes read, row by row.
      let sampled = plan.calls.flatMap { call in
        call.predict.map { ($0, call.merged, Set(call.merged..<(call.merged + call.limit))) }
      }
      let scored = plan.densityPasses.flatMap { pass in
        zip(pass.positions, pass.limits).map { position, limit in
          (position, pass.merged.count, Set(pass.buffered.prefix(limit)))
        }
      }
      #expect(sampled.elementsEqual(scored, by: ==))
      #expect(plan.densityPasses.count == (targets == 0 ? 0 : cost.merges + 1))
      #expect(try Plan(context: context, targets: targets, steps: plan.steps) == plan)
    }
  }

  @Test func theLastDrawnTargetIsNeverCommitted() throws {
    for form in PlanTemplate.forms {
      for targets in [1, 2, 8, 17, 64] {
        let plan = try PlanTemplate(parsing: form).resolve(context: 3, targets: targets)
        #expect(plan.calls.allSatisfy { !$0.commit.contains(targets - 1) && !$0.merge.contains(targets - 1) })
      }
    }
  }

  @Test func exactnessClasses() throws {
    func exactness(_ template: PlanTemplate, _ targets: Int = 8) throws -> Plan.Exactness {
      try template.resolve(context: 3, targets: targets).visibility.exactness
    }
    #expect(try exactness(.sequential) == .exactChain)
    #expect(try exactness(.reencode) == .exactChain)
    #expect(try exactness(.sequential(capacity: 3)) == .exactChain)
    #expect(try exactness(.blocks(of: 3)) == .blockwiseIndependent)
    #expect(try exactness(.independent) == .blockwiseIndependent)
    #expect(try exactness(.independent, 1) == .exactChain)
    let cut = try Plan(
      context: 3, targets: 2,
      steps: [.encode, .predict(0..<1, reads: .none), .predict(1..<2, reads: .none)])
    #expect(cut.visibility.exactness == .truncated)
  }

  @Test func summaryAndPicture() throws {
    let plan = try PlanTemplate.sequential(capacity: 2).resolve(context: 3, targets: 4)
    let seen = plan.visibility.summary
    #expect((seen.minimum, seen.mean, seen.maximum) == (0, 1.5, 3))
    #expect(plan.visibility.picture == "....\nb...\ncc..\nccb.")
  }
}
