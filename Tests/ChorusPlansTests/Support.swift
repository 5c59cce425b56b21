import ChorusPlans

/// A small generator with a seed (SplitMix64), so that a failing case can be run again.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Valid steps at random: blocks, partial commits, partial reads, merges.
func randomSteps(targets: Int, using generator: inout Seeded) -> [Plan.Step] {
  var steps: [Plan.Step] = targets > 0 ? [.encode] : []
  var drawn = 0
  var merged = 0
  var committed = 0
  while drawn < targets {
    if drawn > merged, Int.random(in: 0..<4, using: &generator) == 0 {
      steps.append(.merge)
      merged = drawn
      committed = drawn
    } else if drawn > committed, Bool.random(using: &generator) {
      let end = Int.random(in: (committed + 1)...drawn, using: &generator)
      steps.append(.commit(committed..<end, reads: .prefix(committed - merged)))
      committed = end
    }
    let end = Int.random(in: (drawn + 1)...targets, using: &generator)
    let reads = Int.random(in: 0...(committed - merged), using: &generator)
    steps.append(.predict(drawn..<end, reads: reads == 0 ? .none : .prefix(reads)))
    drawn = end
  }
  return steps
}

/// A row-by-row executor with explicit sets, written without looking at the module's arithmetic.
struct NaiveExecutor {
  enum Row: Hashable {
    case observed(Int)
    case value(Int)
  }

  var calls = 0
  var encodes = 0
  var reads = 0
  var peak = 0
  /// What each row in place has read directly.
  var rowReads: [Row: Set<Row>] = [:]
  /// What each target's own row read when it was drawn, directly and through other rows.
  var seen: [Int: Set<Row>] = [:]
  var reached: [Int: Set<Row>] = [:]

  init(_ steps: [Plan.Step], context: Int) {
    var known = (0..<context).map { Row.observed($0) }
    var buffer: [Row] = []
    var drawn: [Row] = []
    for step in steps {
      switch step {
      case .encode, .merge:
        known = (0..<context).map { Row.observed($0) } + drawn
        buffer = []
        for row in known { rowReads[row] = Set(known) }
        encodes += known.count
        reads += known.count * known.count
      case .commit(let positions, _):
        for position in positions {
          buffer.append(.value(position))
          rowReads[.value(position)] = Set(known + buffer)
          encodes += 1
          reads += known.count + buffer.count
        }
      case .predict(let positions, let selector):
        calls += 1
        for position in positions {
          let visible = known + buffer.prefix(selector.count)
          seen[position] = Set(visible)
          reached[position] = closure(Set(visible))
          encodes += 1
          reads += visible.count
        }
        drawn += positions.map { .value($0) }
      }
      peak = max(peak, known.count + buffer.count)
    }
  }

  /// The targets that a target sees directly.
  func direct(_ position: Int) -> Set<Int> { targets(seen[position] ?? []) }

  /// The targets that can reach it through the rows it reads.
  func effective(_ position: Int) -> Set<Int> { targets(reached[position] ?? []) }

  /// All that these rows have read, as the rows now stand: a merge encodes them anew.
  private func closure(_ rows: Set<Row>) -> Set<Row> {
    let next = rows.reduce(into: rows) { $0.formUnion(rowReads[$1] ?? []) }
    return next == rows ? rows : closure(next)
  }

  private func targets(_ rows: Set<Row>) -> Set<Int> {
    Set(rows.compactMap { if case .value(let position) = $0 { position } else { nil } })
  }
}
