import ChorusPlans
import Testing

@Suite struct ValidationTests {
  private func refuse(
    _ error: PlanError, targets: Int = 3, capacity: Int? = nil, _ steps: [Plan.Step],
    location: SourceLocation = #_sourceLocation
  ) {
    #expect(throws: error, sourceLocation: location) {
      try Plan(context: 4, targets: targets, capacity: capacity, steps: steps)
    }
    #expect(!error.description.isEmpty)
  }

  @Test func targetsAreDrawnOnceAndInOrder() {
    refuse(
      .predictedTwice(position: 1),
      [.encode, .predict(0..<2, reads: .none), .predict(1..<3, reads: .none)])
    refuse(.neverPredicted(position: 2), [.encode, .predict(0..<2, reads: .none)])
    refuse(
      .neverPredicted(position: 1), [.encode, .predict(0..<1, reads: .none), .predict(2..<3, reads: .none)])
    refuse(
      .predictedOutOfOrder(position: 1, after: 2),
      [.encode, .predict(0..<1, reads: .none), .predict(2..<3, reads: .none), .predict(1..<2, reads: .none)])
    refuse(.unknownPosition(3, targets: 3), [.encode, .predict(0..<4, reads: .none)])
    refuse(.unknownPosition(-1, targets: 3), [.encode, .predict(-1..<3, reads: .none)])
    refuse(.unknownPosition(Int.max - 1, targets: 3), [.encode, .predict(0..<Int.max, reads: .none)])
    refuse(.emptyStep(1), [.encode, .predict(0..<0, reads: .none)])
    refuse(.neverPredicted(position: 0), [])
  }

  @Test func oneEncodeAtTheBeginning() {
    refuse(.misplacedEncode(step: 0), [.predict(0..<3, reads: .none)])
    refuse(.misplacedEncode(step: 1), [.encode, .encode, .predict(0..<3, reads: .none)])
  }

  @Test func onlyBufferedRowsAreRead() {
    refuse(
      .readsUncommitted(reader: 1, read: 0),
      [.encode, .predict(0..<1, reads: .none), .predict(1..<3, reads: .prefix(1))])
    refuse(
      .readsUncommitted(reader: 2, read: 1),
      [
        .encode, .predict(0..<2, reads: .none), .commit(0..<1, reads: .none),
        .predict(2..<3, reads: .prefix(2)),
      ])
    refuse(
      .readsUncommitted(reader: 2, read: 2),
      [.encode, .predict(0..<2, reads: .none), .merge, .predict(2..<3, reads: .prefix(1))])
    refuse(.readsUncommitted(reader: 0, read: 0), [.encode, .predict(0..<3, reads: .prefix(Int.max))])
    refuse(
      .outOfRange(name: "reads", value: -1, allowed: 0...Int.max),
      [.encode, .predict(0..<3, reads: .prefix(-1))])
  }

  @Test func theBufferIsCausalAndInOrder() {
    let start: [Plan.Step] = [.encode, .predict(0..<2, reads: .none)]
    let end = Plan.Step.predict(2..<3, reads: .none)
    refuse(
      .committedTwice(position: 0),
      start + [.commit(0..<1, reads: .none), .commit(0..<2, reads: .none), end])
    refuse(.committedTwice(position: 1), start + [.merge, .commit(1..<2, reads: .none), end])
    refuse(.commitSkips(position: 0, before: 1), start + [.commit(1..<2, reads: .none), end])
    refuse(
      .commitReadsPartly(position: 1, reads: 0, buffered: 1),
      start + [.commit(0..<1, reads: .none), .commit(1..<2, reads: .none), end])
    refuse(.readsUncommitted(reader: 0, read: 0), start + [.commit(0..<1, reads: .prefix(1)), end])
  }

  @Test func capacityIsKept() {
    let steps: [Plan.Step] = [
      .encode, .predict(0..<2, reads: .none), .commit(0..<2, reads: .none),
      .predict(2..<3, reads: .prefix(2)),
    ]
    refuse(.capacityExceeded(position: 1, capacity: 1), capacity: 1, steps)
    #expect(throws: Never.self) { try Plan(context: 4, targets: 3, capacity: 2, steps: steps) }
    refuse(.outOfRange(name: "capacity", value: 0, allowed: 1...Int.max), capacity: 0, steps)
  }

  @Test func cyclesAreRefusedByTheirPair() {
    refuse(
      .cyclic(reader: 0, read: 1),
      [
        .encode, .commit(0..<2, reads: .none), .predict(0..<2, reads: .prefix(2)),
        .predict(2..<3, reads: .none),
      ])
    refuse(
      .cyclic(reader: 1, read: 1),
      [
        .encode, .predict(0..<1, reads: .none), .commit(0..<2, reads: .none),
        .predict(1..<2, reads: .prefix(2)), .predict(2..<3, reads: .none),
      ])
    // No cycle, but the value is not there yet.
    refuse(
      .committedBeforePredicted(position: 1),
      [
        .encode, .predict(0..<1, reads: .none), .commit(0..<2, reads: .none),
        .predict(1..<3, reads: .prefix(1)),
      ])
  }

  @Test func stepsThatNothingReads() {
    let all = Plan.Step.predict(0..<3, reads: .none)
    refuse(.idleStep(2), [.encode, all, .commit(0..<3, reads: .none)])
    refuse(.idleStep(2), [.encode, all, .merge])
    refuse(.idleStep(1), [.encode, .merge, all])
    refuse(
      .idleStep(2),
      [
        .encode, .predict(0..<2, reads: .none), .commit(0..<2, reads: .none), .merge,
        .predict(2..<3, reads: .none),
      ])
  }

  @Test func equalCallsAreEqualPlans() throws {
    let fused = try Plan(
      context: 4, targets: 3,
      steps: [
        .encode, .predict(0..<2, reads: .none), .commit(0..<2, reads: .prefix(0)),
        .predict(2..<3, reads: .prefix(2)),
      ])
    let split = try Plan(
      context: 4, targets: 3,
      steps: [
        .encode, .predict(0..<2, reads: .prefix(0)), .commit(0..<1, reads: .none),
        .commit(1..<2, reads: .prefix(1)), .predict(2..<3, reads: .prefix(2)),
      ])
    #expect(fused == split)
    #expect(fused.calls.count == 2)
  }

  /// Steps at random, mostly wrong: an error or a plan, never a trap, and no plan with a cycle.
  @Test func arbitraryStepsNeverTrap() {
    var generator = Seeded(state: 11)
    var accepted = 0
    for _ in 0..<20_000 {
      let targets = Int.random(in: 0...4, using: &generator)
      func range() -> Range<Int> {
        let low = Int.random(in: -1...4, using: &generator)
        return low..<Int.random(in: low...5, using: &generator)
      }
      func reads() -> Plan.Reads {
        Bool.random(using: &generator) ? .none : .prefix(Int.random(in: -1...3, using: &generator))
      }
      var steps: [Plan.Step] = [.encode]
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: steps.append(.merge)
        case 1: steps.append(.encode)
        case 2..<6: steps.append(.commit(range(), reads: reads()))
        default: steps.append(.predict(range(), reads: reads()))
        }
      }
      guard let plan = try? Plan(context: 1, targets: targets, steps: steps) else { continue }
      accepted += 1
      for position in 0..<targets {
        #expect(plan.visibility.direct(of: position).map { $0.buffer.upperBound <= position } == true)
      }
    }
    #expect(accepted > 100)
  }
}
