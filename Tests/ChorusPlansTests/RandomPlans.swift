import ChorusPlans

/// Valid steps at random: every kind of step and of selector.
struct RandomPlan {
  private(set) var steps: [Plan.Step] = []
  private var context: Set<Int> = []
  private var live: [Int] = []
  private var evicted: Set<Int> = []
  private var drawn = 0

  init(targets: Int, using generator: inout Seeded) {
    if targets > 0 { steps.append(.encode(with: RangeSet())) }
    while drawn < targets {
      if drawn > 0, Int.random(in: 0..<4, using: &generator) == 0 { encode(&generator) }
      for _ in 0..<Int.random(in: 0..<3, using: &generator) { commit(&generator) }
      if !live.isEmpty, Int.random(in: 0..<4, using: &generator) == 0 { evict(&generator) }
      for _ in 0..<Int.random(in: 0..<2, using: &generator) { commit(&generator) }
      let end = Int.random(in: (drawn + 1)...min(targets, drawn + 5), using: &generator)
      if evicted.isEmpty, Int.random(in: 0..<4, using: &generator) == 0 {
        steps.append(.verify(drawn..<end, draft: Int.random(in: 1...4, using: &generator)))
        live += drawn..<end
      } else {
        steps.append(.predict(drawn..<end, reads: selector(end - drawn, &generator)))
      }
      drawn = end
    }
  }

  private mutating func encode(_ generator: inout Seeded) {
    var wanted = Set(0..<drawn)
    if Bool.random(using: &generator) {
      wanted = wanted.filter { _ in Bool.random(using: &generator) }
    }
    guard wanted != context || !live.isEmpty else { return }
    steps.append(wanted.count == drawn ? .merge : .encode(with: RangeSet(wanted)))
    (context, live, evicted) = (wanted, [], [])
  }

  private mutating func commit(_ generator: inout Seeded) {
    let free = (0..<drawn).filter {
      !context.contains($0) && !live.contains($0) && !evicted.contains($0)
    }
    guard let first = free.randomElement(using: &generator) else { return }
    var end = first + 1
    while free.contains(end), Bool.random(using: &generator) { end += 1 }
    let within = [Plan.Internal.causal, .causal, .dense, .isolated].randomElement(using: &generator)
    steps.append(
      .commit(first..<end, internal: within ?? .causal, reads: selector(end - first, &generator)))
    live += first..<end
  }

  private mutating func evict(_ generator: inout Seeded) {
    let leaving = live.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
    guard !leaving.isEmpty else { return }
    steps.append(.evict(.ids(RangeSet(Set(leaving)))))
    live.removeAll { leaving.contains($0) }
    evicted.formUnion(leaving)
  }

  private func selector(_ positions: Int, _ generator: inout Seeded) -> Plan.Selector {
    let kind = Int.random(in: 0..<10, using: &generator)
    if kind == 0 { return .each((0..<positions).map { _ in single(&generator) }) }
    if kind == 1 { return .union([single(&generator), single(&generator)]) }
    return single(&generator)
  }

  private func single(_ generator: inout Seeded) -> Plan.Selector {
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: .none
    case 1: .first(Int.random(in: 0...4, using: &generator))
    case 2: .last(Int.random(in: 0...4, using: &generator))
    case 3: .lags
    case 4: .ids(RangeSet(Set(live).union(context).filter { _ in Bool.random(using: &generator) }))
    default: .all
    }
  }
}
