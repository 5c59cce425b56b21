import ChorusPlans
import Testing

@Suite struct ValidationTests {
  private let start: [Plan.Step] = [.encode(with: RangeSet()), .predict(0..<2, reads: .none)]
  private let end = Plan.Step.predict(2..<3, reads: .none)

  private func refuse(
    _ error: PlanError, targets: Int = 3, capacity: Int? = nil, _ steps: [Plan.Step],
    location: SourceLocation = #_sourceLocation
  ) {
    #expect(throws: error, sourceLocation: location) {
      try Plan(context: 4, targets: targets, capacity: capacity, steps: steps)
    }
    #expect(!error.description.isEmpty)
  }

  private func ids(_ positions: Int...) -> Plan.Selector { .ids(RangeSet(Set(positions))) }

  @Test func targetsAreDrawnOnceAndInOrder() {
    let encode = [Plan.Step.encode(with: RangeSet())]
    refuse(.predictedTwice(position: 1), start + [.predict(1..<3, reads: .none)])
    refuse(.predictedTwice(position: 1), start + [.verify(1..<3, draft: 2)])
    refuse(.neverPredicted(position: 2), start)
    refuse(
      .neverPredicted(position: 1), encode + [.predict(0..<1, reads: .none), .predict(2..<3, reads: .none)])
    refuse(
      .predictedOutOfOrder(position: 1, after: 2),
      encode + [.predict(0..<1, reads: .none), .predict(2..<3, reads: .none), .predict(1..<2, reads: .none)])
    refuse(.unknownPosition(3, targets: 3), encode + [.predict(0..<4, reads: .none)])
    refuse(.unknownPosition(-1, targets: 3), encode + [.predict(-1..<3, reads: .none)])
    refuse(.unknownPosition(Int.max - 1, targets: 3), encode + [.predict(0..<Int.max, reads: .none)])
    refuse(.unknownPosition(3, targets: 3), start + [.predict(2..<3, reads: ids(3))])
    refuse(.unknownPosition(7, targets: 3), start + [.encode(with: RangeSet(7..<8)), end])
    refuse(.emptyStep(1), encode + [.predict(0..<0, reads: .none)])
    refuse(.emptyStep(2), start + [.commit(0..<0), end])
    refuse(.emptyStep(2), start + [.evict(.all), end])
    refuse(.emptyStep(2), start + [.verify(2..<2, draft: 2), end])
    refuse(.neverPredicted(position: 0), [])
    refuse(.outOfRange(name: "draft", value: 0, allowed: 1...Int.max), start + [.verify(2..<3, draft: 0)])
  }

  @Test func theFirstStepEncodesTheObservedRows() {
    refuse(.misplacedEncode(step: 0), [.predict(0..<3, reads: .none)])
    refuse(.misplacedEncode(step: 0), [.encode(with: RangeSet(0..<1)), .predict(0..<3, reads: .none)])
    refuse(
      .idleStep(1), [.encode(with: RangeSet()), .encode(with: RangeSet()), .predict(0..<3, reads: .none)])
  }

  @Test func onlyRowsInTheBufferAreRead() {
    let one = start + [.commit(0..<1)]
    refuse(.readsUncommitted(reader: 2, read: 1), one + [.predict(2..<3, reads: ids(0, 1))])
    refuse(.readsUncommitted(reader: 1, read: 0), start + [.commit(1..<2, reads: ids(0)), end])
    refuse(.readsUncommitted(reader: 2, read: 2), one + [.predict(2..<3, reads: ids(2))])
    refuse(
      .readsEvicted(reader: 2, read: 0),
      start + [.commit(0..<2), .evict(.first(1)), .predict(2..<3, reads: ids(0, 1))])
    refuse(
      .outOfRange(name: "first", value: -1, allowed: 0...Int.max),
      start + [.predict(2..<3, reads: .first(-1))])
    refuse(
      .outOfRange(name: "last", value: -1, allowed: 0...Int.max), start + [.predict(2..<3, reads: .last(-1))])
    refuse(
      .selectorCount(step: 2, selectors: 2, positions: 1),
      start + [.predict(2..<3, reads: .each([.all, .all]))])
    refuse(
      .selectorCount(step: 2, selectors: 1, positions: 1),
      start + [.predict(2..<3, reads: .union([.each([.all])]))])
    // What is in the context is read there.
    #expect(throws: Never.self) {
      try Plan(
        context: 4, targets: 3,
        steps: start + [.encode(with: RangeSet(0..<1)), .predict(2..<3, reads: ids(0))])
    }
  }

  @Test func rowsEnterOnce() {
    refuse(.committedTwice(position: 0), start + [.commit(0..<1), .commit(0..<2), end])
    refuse(.committedTwice(position: 1), start + [.merge, .commit(1..<2), end])
    refuse(.committedTwice(position: 0), start + [.commit(0..<2), .evict(ids(0)), .commit(0..<1), end])
    refuse(.evictsUncommitted(position: 1), start + [.commit(0..<1), .evict(ids(1)), end])
    refuse(
      .evictsUncommitted(position: 0), start + [.commit(0..<2), .evict(ids(0)), .evict(ids(0)), end])
    // An encoding forgets the buffer, so that what is not in the context may enter again.
    #expect(throws: Never.self) {
      try Plan(
        context: 4, targets: 4,
        steps: start + [.commit(0..<2), end, .encode(with: RangeSet(1..<2)), .commit(0..<1)]
          + [.predict(3..<4, reads: .all)])
    }
  }

  @Test func capacityIsKept() {
    let steps = start + [.commit(0..<2), .predict(2..<3, reads: .all)]
    refuse(.capacityExceeded(position: 1, capacity: 1), capacity: 1, steps)
    #expect(throws: Never.self) { try Plan(context: 4, targets: 3, capacity: 2, steps: steps) }
    refuse(.outOfRange(name: "capacity", value: 0, allowed: 1...Int.max), capacity: 0, steps)
    let chain: [Plan.Step] = [.encode(with: RangeSet()), .verify(0..<3, draft: 2)]
    refuse(.capacityExceeded(position: 1, capacity: 1), capacity: 1, chain)
    #expect(throws: Never.self) { try Plan(context: 4, targets: 3, capacity: 2, steps: chain) }
    refuse(
      .capacityExceeded(position: 3, capacity: 2), targets: 4, capacity: 2,
      chain + [.predict(3..<4, reads: .none)])
  }

  @Test func verificationsNeedAWholeBuffer() {
    refuse(
      .verifiesAfterEviction(step: 4), start + [.commit(0..<2), .evict(.first(1)), .verify(2..<3, draft: 2)])
    #expect(throws: Never.self) {
      try Plan(
        context: 4, targets: 4,
        steps: start + [.commit(0..<2), .evict(.first(1)), end, .merge, .verify(3..<4, draft: 2)])
    }
  }

  @Test func cyclesAreRefusedByTheirPair() {
    let encode = [Plan.Step.encode(with: RangeSet())]
    refuse(
      .cyclic(reader: 0, read: 1),
      encode + [.commit(0..<2), .predict(0..<2, reads: .all), .predict(2..<3, reads: .none)])
    refuse(
      .cyclic(reader: 1, read: 1),
      encode + [
        .predict(0..<1, reads: .none), .commit(0..<2), .predict(1..<2, reads: .all),
        .predict(2..<3, reads: .none),
      ])
    // Through a row: target 0 reads row 2, which target 2 draws after reading target 0.
    refuse(
      .cyclic(reader: 0, read: 2),
      encode + [
        .commit(2..<3), .predict(0..<1, reads: .all), .predict(1..<2, reads: .none), .commit(0..<1),
        .predict(2..<3, reads: ids(0)),
      ])
    refuse(
      .cyclic(reader: 1, read: 1),
      encode + [
        .predict(0..<1, reads: .none), .encode(with: RangeSet(0..<2)), .predict(1..<2, reads: .none),
        .predict(2..<3, reads: .none),
      ])
    // No cycle, but the value is not there yet.
    refuse(
      .committedBeforePredicted(position: 1),
      encode + [.predict(0..<1, reads: .none), .commit(0..<2), .predict(1..<3, reads: .first(1))])
    refuse(.committedBeforePredicted(position: 2), start + [.commit(2..<3), end])
  }

  @Test func stepsThatNothingReads() {
    let all: [Plan.Step] = [.encode(with: RangeSet()), .predict(0..<3, reads: .none)]
    refuse(.idleStep(2), all + [.commit(0..<3)])
    refuse(.idleStep(2), all + [.merge])
    refuse(.idleStep(1), [.encode(with: RangeSet()), .merge, .predict(0..<3, reads: .none)])
    refuse(.idleStep(2), start + [.commit(0..<2), .merge, end])
    refuse(.idleStep(2), start + [.merge, .encode(with: RangeSet(0..<1)), end])
    refuse(.idleStep(4), start + [.commit(0..<2), end, .evict(.all)])
  }

  @Test func equalInstructionsAreEqualPlans() throws {
    let fused = try Plan(
      context: 4, targets: 3, steps: start + [.commit(0..<2), .predict(2..<3, reads: .first(2))])
    let split = try Plan(
      context: 4, targets: 3,
      steps: [.encode(with: RangeSet()), .predict(0..<2, reads: .first(3))]
        + [.commit(0..<1, reads: .none), .commit(1..<2, internal: .isolated, reads: ids(0))]
        + [.predict(2..<3, reads: .last(7))])
    #expect(fused == split)
    #expect(fused.calls.count == 2)
  }

  /// An evicted slot is taken again, but not by a row of the call whose rows still read it.
  @Test func slotsAreReused() throws {
    let plan = try Plan(
      context: 4, targets: 5,
      steps: start + [
        .commit(0..<2), end, .evict(ids(0)), .commit(2..<3), .predict(3..<4, reads: .all),
        .commit(3..<4), .evict(ids(1)), .predict(4..<5, reads: .all),
      ])
    #expect(plan.calls.map { $0.commit.map(\.slot) } == [[], [0, 1], [0], [2]])
    #expect(plan.calls.map { $0.predict.map { Set($0.reads) } } == [[[], []], [[]], [[0, 1]], [[0, 2]]])
    #expect(plan.densityPasses.map { $0.queries.map { Set($0.reads) } } == [[[], [], [], [1, 2], [2, 3]]])
    #expect(plan.peakBufferRows == 3)
  }

  /// Steps at random, mostly wrong: an error or a plan, never a trap, and no plan with a cycle.
  @Test func arbitraryStepsNeverTrap() {
    var generator = Seeded(state: 11)
    var accepted = 0
    for _ in 0..<40_000 {
      let targets = Int.random(in: 0...4, using: &generator)
      func range() -> Range<Int> {
        let low = Int.random(in: -1...4, using: &generator)
        return low..<Int.random(in: low...5, using: &generator)
      }
      func selector(_ depth: Int = 0) -> Plan.Selector {
        switch Int.random(in: 0..<(depth > 2 ? 6 : 8), using: &generator) {
        case 0: .none
        case 1: .first(Int.random(in: -1...3, using: &generator))
        case 2: .last(Int.random(in: -1...3, using: &generator))
        case 3: .lags
        case 4: .ids(RangeSet(range()))
        case 6: .union([selector(depth + 1), selector(depth + 1)])
        case 7: .each((0..<Int.random(in: 0...2, using: &generator)).map { _ in selector(depth + 1) })
        default: .all
        }
      }
      var steps: [Plan.Step] = [.encode(with: RangeSet())]
      for _ in 0..<Int.random(in: 0...5, using: &generator) {
        switch Int.random(in: 0..<16, using: &generator) {
        case 0: steps.append(.merge)
        case 1: steps.append(.encode(with: RangeSet(range())))
        case 2..<6:
          steps.append(
            .commit(range(), internal: [.causal, .dense, .isolated][steps.count % 3], reads: selector()))
        case 6: steps.append(.evict(selector()))
        case 7..<9: steps.append(.verify(range(), draft: Int.random(in: 0...3, using: &generator)))
        default: steps.append(.predict(range(), reads: selector()))
        }
      }
      guard let plan = try? Plan(context: 1, targets: targets, capacity: 3, steps: steps) else { continue }
      accepted += 1
      for (position, seen) in plan.visibility.direct.enumerated() {
        #expect(Set(seen.all).allSatisfy { $0 < position })
      }
      _ = try? plan.cost()
      #expect(throws: Never.self) { try plan.reencoded() }
    }
    #expect(accepted > 100)
  }
}
