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

extension Set<Int> {
  init(_ set: RangeSet<Int>) { self = Set(set.ranges.flatMap { Array($0) }) }
}

extension RangeSet<Int> {
  init(_ set: Set<Int>) { self = RangeSet(set.sorted().map { $0..<$0 + 1 }) }
}

/// What a row reads, by positions.
struct Read: Hashable {
  let position: Int
  let context: Set<Int>
  let buffer: Set<Int>
}

/// One network call by positions, without slots: its encoding, its committed rows and its queries.
struct NaiveCall: Hashable {
  var encoded: Set<Int>?
  var commits: [Read] = []
  var queries: [Read] = []
}

/// Takes steps with explicit sets of positions, written without looking at the module's arithmetic. Verifications go
/// as at their worst: of each round the second draft is refused.
struct NaiveSteps {
  private(set) var calls: [NaiveCall] = []
  /// The targets that a target's own row reads.
  private(set) var direct: [Int: Set<Int>] = [:]
  /// The buffer rows at the time a target was drawn, with what they have read.
  private(set) var rowsOf: [Int: [Int: Set<Int>]] = [:]

  private var next = NaiveCall(encoded: [])
  private var context: Set<Int> = []
  private var live: [Int] = []
  private var rowReads: [Int: Set<Int>] = [:]
  private var drawn = 0

  init(_ steps: [Plan.Step]) {
    for step in steps.dropFirst() { take(step) }
  }

  private mutating func take(_ step: Plan.Step) {
    switch step {
    case .encode(let set): encode(Set(set))
    case .merge: encode(Set(0..<drawn))
    case .predict(let positions, let reads):
      for (index, position) in positions.enumerated() { query(position, select(reads, index)) }
      drawn = positions.upperBound
      call()
    case .commit(let positions, let within, let reads):
      let selected = positions.indices.map { select(reads, $0 - positions.lowerBound) }
      for (index, position) in positions.enumerated() {
        let own: Set<Int> =
          switch within {
          case .causal: Set(positions.lowerBound...position)
          case .dense: Set(positions)
          case .isolated: [position]
          }
        commit(position, selected[index].union(own))
      }
      live += positions
    case .evict(let selector):
      let leaving = select(selector, 0)
      live.removeAll { leaving.contains($0) }
    case .verify(let positions, let draft): verify(positions, draft)
    case .trust: break  // its calls are known when it is run
    }
  }

  private mutating func verify(_ positions: Range<Int>, _ draft: Int) {
    let before = live
    func chain(_ position: Int) -> Set<Int> { Set(before).union(positions.lowerBound..<position) }
    var rest = positions
    while let first = rest.first {
      let drafts = first..<min(first + draft, rest.upperBound)
      for position in drafts { next.queries.append(read(position, chain(first))) }
      call()
      if drafts.count > 1 {
        for position in drafts.dropLast() { commit(position, chain(position + 1)) }
        for position in drafts.dropFirst() { next.queries.append(read(position, chain(position))) }
        call()
      }
      let end = min(first + 2, drafts.upperBound)
      for position in first..<end {
        direct[position] = chain(position).union(context)
        rowReads[position] = chain(position + 1)
        rowsOf[position] = rowReads
      }
      // The last row of a round is committed by the next call; the one before it is in place.
      commit(end - 1, chain(end))
      rest = end..<rest.upperBound
    }
    live += positions
    drawn = positions.upperBound
  }

  private mutating func encode(_ positions: Set<Int>) {
    context = positions
    live = []
    rowReads = [:]
    next = NaiveCall(encoded: positions)
  }

  private mutating func query(_ position: Int, _ reads: Set<Int>) {
    direct[position] = context.union(reads)
    rowsOf[position] = rowReads
    next.queries.append(read(position, reads))
  }

  private mutating func commit(_ position: Int, _ reads: Set<Int>) {
    rowReads[position] = reads
    next.commits.append(read(position, reads))
  }

  private func read(_ position: Int, _ buffer: Set<Int>) -> Read {
    Read(position: position, context: context, buffer: buffer)
  }

  private mutating func call() {
    calls.append(next)
    next = NaiveCall()
  }

  private func select(_ selector: Plan.Selector, _ index: Int) -> Set<Int> {
    switch selector {
    case .none: []
    case .all: Set(live)
    case .first(let count): Set(live.prefix(count))
    case .last(let count): Set(live.suffix(count))
    case .lags:
      Set([1, 2, 4, 8, 16, 32, 64].filter { $0 <= live.count }.map { live[live.count - $0] })
    case .ids(let set): Set(set).subtracting(context)
    case .union(let parts): parts.reduce(into: []) { $0.formUnion(select($1, index)) }
    case .each(let parts): select(parts[index], 0)
    }
  }

  /// The targets that reach one in a network of `layers` layers: one hop less than layers.
  func effective(_ position: Int, layers: Int?) -> Set<Int> {
    var reached = direct[position] ?? []
    let rows = rowsOf[position] ?? [:]
    for _ in 0..<(layers.map { $0 - 1 } ?? rows.count) {
      reached = reached.reduce(into: reached) { $0.formUnion(rows[$1] ?? []) }
    }
    return reached
  }

  /// E, R, S, queries and merges, row by row.
  func counts(context observed: Int) -> [Int] {
    var counts = [0, 0, calls.count, 0, -1]
    for call in calls {
      if let encoded = call.encoded {
        let known = observed + encoded.count
        counts[0] += known
        counts[1] += known * known
        counts[4] += 1
      }
      for row in call.commits + call.queries {
        counts[0] += 1
        counts[1] += observed + row.context.count + row.buffer.count
      }
      counts[3] += call.queries.count
    }
    counts[4] = max(0, counts[4])
    return counts
  }
}

/// Runs instructions with slots, as an executor would, and tells what each row has read by positions. Verifications
/// go as in `NaiveSteps`.
struct NaiveExecutor {
  private(set) var calls: [NaiveCall] = []
  private(set) var slotsUsed = 0
  private var slots: [Int: Int] = [:]
  private var context: Set<Int> = []
  private var call = NaiveCall()

  init(_ plan: Plan) {
    for instruction in plan.instructions {
      context = Set(instruction.context)
      if instruction.encodes {
        slots = [:]
        call.encoded = context
      }
      switch instruction {
      case .call(let call):
        commit(call.commit)
        ask(call.predict)
        end()
      case .verify(let verification): verify(verification)
      case .trust: continue  // its calls are known when it is run
      }
    }
  }

  private mutating func verify(_ verification: Plan.Verification) {
    func slot(_ position: Int) -> Int { verification.buffered + position - verification.positions.lowerBound }
    func row(_ position: Int) -> Plan.Row {
      Plan.Row(position: position, slot: slot(position), reads: RangeSet(0..<slot(position) + 1))
    }
    var rest = verification.positions
    var pending = verification.pending
    while let first = rest.first {
      let drafts = first..<min(first + verification.draft, rest.upperBound)
      commit(pending)
      ask(drafts.map { Plan.Row(position: $0, reads: RangeSet(0..<slot(first))) })
      end()
      if drafts.count > 1 {
        commit(drafts.dropLast().map(row))
        ask(drafts.dropFirst().map { Plan.Row(position: $0, reads: RangeSet(0..<slot($0))) })
        end()
      }
      let last = min(first + 1, drafts.upperBound - 1)
      slots = slots.filter { $0.key < slot(last) }
      pending = [row(last)]
      rest = last + 1..<rest.upperBound
    }
  }

  private mutating func commit(_ rows: [Plan.Row]) {
    for row in rows {
      slots[row.slot] = row.position
      slotsUsed = max(slotsUsed, row.slot + 1)
    }
    call.commits += rows.map(read)
  }

  private mutating func ask(_ rows: [Plan.Row]) { call.queries += rows.map(read) }

  private mutating func end() {
    calls.append(call)
    call = NaiveCall()
  }

  private func read(_ row: Plan.Row) -> Read {
    Read(position: row.position, context: context, buffer: Set(Set(row.reads).map { slots[$0] ?? -1 }))
  }
}

extension WorkRates {
  static let example = transformer(
    width: 128, layers: 6, feedForward: 256, heads: 4, headHidden: 256, embedderHidden: 256, components: 20,
    features: 1)

  /// Softmax layers of these sizes, counted by hand: a map of m × n numbers takes 2mn operations a row.
  static func transformer(
    width d: Int, layers: Int, feedForward: Int, heads: Int, headHidden: Int, embedderHidden: Int,
    components: Int, features: Int
  ) -> WorkRates {
    func embedding(_ inputs: Int) -> Embedding {
      Embedding(first: Double(2 * inputs * d), rest: Double(4 * d * embedderHidden))
    }
    return WorkRates(
      layers: (0..<layers).map { _ in
        Layer(
          stored: Double(4 * d * d), asked: Double(4 * d * d + 4 * d * feedForward), read: Double(4 * d),
          exponentials: Double(heads))
      }, input: embedding(features), value: embedding(1),
      head: Double(2 * headHidden * (d + 3 * components)), held: Held(row: 2 * d * layers))
  }
}

extension Plan {
  var calls: [Plan.Call] {
    instructions.compactMap { if case .call(let call) = $0 { call } else { nil } }
  }
}

/// Every listed form that needs no model and whose calls are known before it is run, with some more arguments.
let templates =
  PlanTemplate.forms.filter { $0 != "auto" && !$0.hasPrefix("trusted") } + [
    "blocks(of:3,capacity:7,order:given)", "coarse-to-fine(r:3,anchors:2,capacity:5)",
    "coarse-to-fine(r:2,strict)", "coarse-to-fine(r:4,reads:6)",
    "coarse-to-fine(r:2,anchors:2,reads:3,strict)",
    "lineage(r:2,anchors:3)", "lineage(r:3,strict)", "window(sinks:0,span:2,order:left-to-right)",
    "window(sinks:2,span:3,strict)", "log-sparse(order:coarse-to-fine)", "random-sparse(reads:2,strict)",
    "periods(r:3,order:coarse-to-fine)", "periods(r:2,strict)",
    "speculative(draft:3,capacity:6)", "speculative(draft:1)",
    "coarse-to-fine-verified(r:4,anchors:2,capacity:9)",
    "sequential(strict)", "reencode(order:given)",
  ]
