import ChorusPlans
import Testing

/// Random plans against an executor that knows slots only and one that knows positions only.
@Suite struct PropertyTests {
  private func check(_ plan: Plan, _ steps: [Plan.Step], location: SourceLocation = #_sourceLocation) throws {
    let naive = NaiveSteps(steps)
    let executor = NaiveExecutor(plan)
    #expect(executor.calls == naive.calls, sourceLocation: location)
    let cost = try plan.cost()
    #expect(
      [cost.encodes, cost.reads, cost.calls, cost.queries, cost.merges]
        == naive.counts(context: plan.contextRows), sourceLocation: location)
    #expect(cost.peakSlots == plan.peakBufferRows)
    #expect(executor.slotsUsed == plan.peakBufferRows)

    let visibility = plan.visibility
    for position in 0..<plan.targets {
      #expect(visibility.direct(of: position).map { Set($0.all) } == naive.direct[position])
    }
    for layers in [1, 2, 3, nil] {
      let effective = try #require(visibility.effective(layers: layers))
      for position in 0..<plan.targets {
        #expect(Set(effective[position].all) == naive.effective(position, layers: layers))
      }
    }
    try expectSameMasks(plan)
  }

  /// The rows of the density's passes read what the rows of the calls read: queries and buffer rows.
  private func expectSameMasks(_ plan: Plan) throws {
    var sampled: [Int: Read] = [:]
    for call in NaiveExecutor(plan).calls { for row in call.queries { sampled[row.position] = row } }
    var scored: [Int: Read] = [:]
    for pass in plan.densityPasses {
      #expect(pass.buffered.map(\.slot) == Array(0..<pass.buffered.count))
      let context = Set(pass.context)
      func read(_ row: Plan.Row) -> Read {
        Read(
          position: row.position, context: context,
          buffer: Set(Set(row.reads).map { pass.buffered[$0].position }))
      }
      for query in pass.queries { scored[query.position] = read(query) }
      for row in pass.buffered { #expect(read(row).buffer.contains(row.position)) }
    }
    // A draft reads less than its verification; the last reading of a position is that of the chain.
    #expect(scored == sampled)
    #expect(plan.densityPasses.flatMap { $0.queries.map(\.position) } == Array(0..<plan.targets))
    #expect(plan.densityPasses.count == plan.instructions.count { $0.encodes })
  }

  @Test func everyViewOfARandomPlanAgrees() throws {
    var generator = Seeded(state: 3)
    var requirements = [0, 0, 0]
    for _ in 0..<500 {
      let targets = Int.random(in: 0...14, using: &generator)
      let steps = RandomPlan(targets: targets, using: &generator).steps
      let plan = try Plan(context: Int.random(in: 0...6, using: &generator), targets: targets, steps: steps)
      try check(plan, steps)
      if plan.requirements.subsetReads { requirements[0] += 1 }
      if plan.requirements.rewind { requirements[1] += 1 }
      if plan.requirements.setContext { requirements[2] += 1 }
    }
    #expect(requirements.allSatisfy { $0 > 100 })
  }

  /// The strict form reads the same values, and nothing reaches a target that it does not read.
  @Test func reencodingKeepsTheDirectVisibility() throws {
    var generator = Seeded(state: 9)
    for _ in 0..<200 {
      let targets = Int.random(in: 0...12, using: &generator)
      let plan = try Plan(
        context: 3, targets: targets, steps: RandomPlan(targets: targets, using: &generator).steps)
      let strict = try plan.reencoded()
      #expect(strict.visibility.direct.map(\.all) == plan.visibility.direct.map(\.all))
      #expect(strict.visibility.effective() == strict.visibility.direct)
      #expect(strict.peakBufferRows == 0)
      #expect(!strict.requirements.subsetReads && !strict.requirements.rewind)
      try expectSameMasks(strict)
    }
  }

  @Test(arguments: templates) func templatesAgreeToo(text: String) throws {
    for targets in [0, 1, 2, 3, 5, 8, 13, 40] {
      let plan = try PlanTemplate(parsing: text).resolve(context: 4, targets: targets)
      #expect(plan.targets == targets)
      try expectSameMasks(plan)
      let executor = NaiveExecutor(plan)
      #expect(executor.slotsUsed == plan.peakBufferRows)
      let cost = try plan.cost()
      #expect(cost.calls == executor.calls.count)
      #expect(cost.queries == executor.calls.reduce(0) { $0 + $1.queries.count })
      let rows = executor.calls.flatMap { $0.commits + $0.queries }
      let encoded = executor.calls.compactMap { $0.encoded.map { 4 + $0.count } }
      #expect(cost.encodes == rows.count + encoded.reduce(0, +))
      #expect(
        cost.reads == rows.reduce(0) { $0 + 4 + $1.context.count + $1.buffer.count }
          + encoded.reduce(0) { $0 + $1 * $1 })
      // Nothing is read before it is drawn, and the last target is never committed.
      var drawn: Set<Int> = []
      for call in executor.calls {
        let read = (call.commits + call.queries).reduce(into: call.encoded ?? []) {
          $0.formUnion($1.context.union($1.buffer))
        }
        #expect(targets == 0 || !read.contains(targets - 1))
        #expect(read.subtracting(drawn).subtracting(call.commits.map(\.position)).isEmpty)
        drawn.formUnion(call.queries.map(\.position))
      }
      if let capacity = plan.capacity { #expect(plan.peakBufferRows <= capacity) }
    }
  }
}
