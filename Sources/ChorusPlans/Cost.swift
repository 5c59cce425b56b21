extension Plan {
  /// What a plan costs, counted row by row as an executor's counters would.
  ///
  /// Paths drawn side by side share the encoding of the observed rows. Everything after it is each path's
  /// own, a context with drawn values included, since its values and order differ from path to path. A network call
  /// serves all paths.
  public struct Cost: Sendable, Hashable, Codable {
    /// Network calls one after another, S. Encoding a context rides with the call after it.
    public let calls: Int
    /// Times that the context is encoded anew; each path's own encoding is part of the same event.
    public let merges: Int
    /// Rows through the network, E.
    public let encodes: Int
    /// Those of the rows that ask for a prediction; the others bring a value.
    public let queries: Int
    /// Query-key pairs, R, for each layer and head. A row that asks does not read itself; a buffer row does.
    public let reads: Int
    /// Contexts that are encoded, one a path where paths have their own, and their rows among E.
    public let contexts: Int
    public let contextRows: Int
    /// The reads of rows of contexts, and those of buffer rows by the rows that are committed.
    public let contextReads: Int
    public let commitReads: Int
    /// Paths side by side.
    public let paths: Int
    /// The most context rows and buffer slots in use by one call, a shared context counted once.
    public let peakRows: Int
    /// The contexts and the context rows among these.
    public let peakContexts: Int
    public let peakContextRows: Int
    /// The most buffer slots of one path in use.
    public let peakSlots: Int

    var expected: ExpectedCost {
      ExpectedCost(
        calls: Double(calls), encodes: Double(encodes), queries: Double(queries),
        reads: Double(reads))
    }
  }

  /// The mean cost of a plan with verifications, if each draft but the first of its round is accepted with the same
  /// probability, whatever came before; of a plan that trusts its buffer, the worst case.
  public struct ExpectedCost: Sendable, Hashable, Codable {
    /// Network calls of one path. Paths in lock step wait for the slowest, so that they make more of them together.
    public let calls: Double
    public let encodes: Double
    public let queries: Double
    public let reads: Double
  }

  /// The cost of drawing `paths` paths (or scoring them step by step) side by side, by enumeration. For a
  /// verification it is the worst case: the second draft of every round is refused. So it is for a trusted buffer: every
  /// value joins the context at once.
  ///
  /// - Parameter context: another number of observed rows than the plan's own.
  public func cost(context: Int? = nil, paths: Int = 1) throws(PlanError) -> Cost {
    var tally = try Tally(context ?? contextRows, paths: paths)
    for instruction in instructions {
      try tally.begin(instruction)
      switch instruction {
      case .call(let call): try tally.run(call)
      case .verify(let verification):
        var left = verification.positions.count
        var calls = 0
        while left > 0 {
          let round = Trace.Round(drafted: min(verification.draft, left), accepted: 1)
          calls += try tally.run(round, of: verification, left: left, paths: paths)
          left -= round.drawn
        }
        tally.calls += calls
      case .trust(let trust):
        // A context for every value.
        let rounds = [Trace.Round](
          repeating: Trace.Round(drafted: 1, accepted: 1), count: trust.positions.count)
        tally.calls += try tally.run(rounds, of: trust, paths: paths)
        tally.encodings += trust.positions.count - 1
      }
    }
    return tally.cost
  }

  /// What was spent on a run whose verifications went as `trace` tells, one path for each of its paths.
  ///
  /// The paths go through the instructions in lock step: a verification lasts as long as its slowest path, and a path
  /// that is done is absent from its later calls.
  ///
  /// - Throws: `PlanError.foreignTrace` for rounds that this plan can not have run.
  public func cost(of trace: Trace, context: Int? = nil) throws(PlanError) -> Cost {
    var tally = try Tally(context ?? contextRows, paths: trace.paths.count)
    var next = [Int](repeating: 0, count: trace.paths.count)
    for instruction in instructions {
      try tally.begin(instruction)
      switch instruction {
      case .call(let call): try tally.run(call)
      case .verify(let verification):
        var slowest = 0
        for (path, rounds) in trace.paths.enumerated() {
          var left = verification.positions.count
          var calls = 0
          while left > 0 {
            guard rounds.indices.contains(next[path]) else { throw .foreignTrace(path: path) }
            let round = rounds[next[path]]
            guard round.drafted == min(verification.draft, left), (1...round.drafted).contains(round.accepted)
            else { throw .foreignTrace(path: path) }
            calls += try tally.run(round, of: verification, left: left, paths: 1)
            left -= round.drawn
            next[path] += 1
          }
          slowest = max(slowest, calls)
        }
        tally.calls += slowest
      case .trust(let trust):
        var (slowest, most) = (0, 0)
        for (path, rounds) in trace.paths.enumerated() {
          guard
            rounds.allSatisfy({ (1...trust.most).contains($0.drafted) && $0.accepted == $0.drafted }
            ),
            rounds.reduce(0, { $0 + $1.drawn }) == trust.positions.count
          else { throw .foreignTrace(path: path) }
          slowest = max(slowest, try tally.run(rounds, of: trust, paths: 1))
          most = max(most, rounds.count)
          next[path] = rounds.count
        }
        tally.calls += slowest
        tally.encodings += most - 1
      }
    }
    for (path, rounds) in trace.paths.enumerated() where next[path] != rounds.count {
      throw .foreignTrace(path: path)
    }
    return tally.cost
  }

  /// The mean cost with a constant probability of acceptance a: a round of g >= 2 drafts then draws
  /// 1 + (1 - a^(g-1)) / (1 - a) targets, two calls a round.
  public func expectedCost(acceptance: Double, context: Int? = nil, paths: Int = 1) throws(PlanError)
    -> ExpectedCost
  {
    guard (0...1).contains(acceptance) else { throw .acceptance(acceptance) }
    var tally = try Tally(context ?? contextRows, paths: paths)
    var mean = Round()
    for instruction in instructions {
      try tally.begin(instruction)
      switch instruction {
      case .call(let call): try tally.run(call)
      case .verify(let verification):
        let known = Double(tally.known)
        mean.add(
          Self.expected(verification, acceptance: acceptance, known: known), calls: 1, rows: Double(paths))
      case .trust: return try cost(context: context, paths: paths).expected
      }
    }
    let rest = tally.cost
    return ExpectedCost(
      calls: Double(rest.calls) + mean.calls, encodes: Double(rest.encodes) + mean.encodes,
      queries: Double(rest.queries) + mean.queries, reads: Double(rest.reads) + mean.reads)
  }

  /// Mean counts of one path from one or more rounds.
  private struct Round {
    var calls = 0.0
    var encodes = 0.0
    var queries = 0.0
    var reads = 0.0

    mutating func add(_ other: Round, calls weight: Double, rows: Double) {
      calls += weight * other.calls
      encodes += rows * other.encodes
      queries += rows * other.queries
      reads += rows * other.reads
    }
  }

  /// The mean over the rounds of a verification, from the last position back. What the first round commits is counted
  /// where the rows are.
  private static func expected(_ verification: Verification, acceptance: Double, known: Double) -> Round {
    let count = verification.positions.count
    var means = [Round()]
    for left in 1...count {
      let drafted = min(verification.draft, left)
      let g = Double(drafted)
      let before = Double(verification.buffered + count - left)
      var round = Round(
        calls: drafted == 1 ? 1 : 2, encodes: 3 * g - 2, queries: 2 * g - 1,
        reads: (3 * g - 2) * (known + before) + g * (g - 1))
      if left < count {
        round.encodes += 1
        round.reads += known + before
      }
      if drafted == 1 {
        round.add(means[left - 1], calls: 1, rows: 1)
      } else {
        // Draft m + 1 is the first refused one, so m + 1 targets are drawn; or no draft before the last is.
        var reached = 1.0
        for drawn in 2..<max(2, drafted) where reached > 1e-18 {
          let weight = reached * (1 - acceptance)
          round.add(means[left - drawn], calls: weight, rows: weight)
          reached *= acceptance
        }
        round.add(means[left - drafted], calls: reached, rows: reached)
      }
      means.append(round)
    }
    var total = means[count]
    for row in verification.pending {
      total.encodes += 1
      total.reads += known + Double(row.readCount)
    }
    return total
  }
}

/// How the verifications of a run went, path by path.
public struct Trace: Sendable, Hashable, Codable {
  /// One round of drafts and their verification.
  public struct Round: Sendable, Hashable, Codable {
    /// How many positions were drafted.
    public var drafted: Int
    /// How many drafts were accepted; the first always is.
    public var accepted: Int

    public init(drafted: Int, accepted: Int) {
      self.drafted = drafted
      self.accepted = accepted
    }

    /// How many targets the round drew: the accepted ones and, where one was refused, its correction.
    public var drawn: Int { accepted < drafted ? accepted + 1 : drafted }

    /// One call for a single draft, which is exact; else a second one verifies.
    public var calls: Int { drafted == 1 ? 1 : 2 }
  }

  /// The rounds of each path, those of one verification after those of another. A round of a trusted buffer has as many
  /// accepted as drafted: the values drawn from one context.
  public var paths: [[Round]]

  public init(paths: [[Round]]) { self.paths = paths }
}

/// Sums over the rows of calls.
private struct Tally {
  let observed: Int
  let paths: Int
  var calls = 0
  var encodings = 0
  /// Context rows of the current call, and how many paths have such a context of their own.
  private(set) var known = 0
  private var owners = 1
  private var slots = 0
  private var peakSlots = 0
  private var peak = (rows: 0, contexts: 0, contextRows: 0)
  private var queries = Count("the number of queries")
  private var encodes = Count("the number of encoded rows")
  private var reads = Count("the number of reads")
  private var contexts = Count("the number of contexts")
  private var contextRows = Count("the number of encoded rows")
  private var contextReads = Count("the number of reads")
  private var commitReads = Count("the number of reads")

  init(_ observed: Int, paths: Int) throws(PlanError) {
    try check(observed, "context", in: 0...Int.max)
    try check(paths, "paths", in: 1...Int.max)
    self.observed = observed
    self.paths = paths
  }

  var cost: Plan.Cost {
    Plan.Cost(
      calls: calls, merges: max(0, encodings - 1), encodes: encodes.value, queries: queries.value,
      reads: reads.value, contexts: contexts.value, contextRows: contextRows.value,
      contextReads: contextReads.value, commitReads: commitReads.value, paths: paths, peakRows: peak.rows,
      peakContexts: peak.contexts, peakContextRows: peak.contextRows, peakSlots: peakSlots)
  }

  /// The encoding that an instruction begins with.
  mutating func begin(_ instruction: Plan.Instruction) throws(PlanError) {
    if instruction.encodes {
      encodings += 1
      slots = 0
      var rows = Count("the number of context rows", observed)
      let drawn = instruction.context.elements
      try rows.add(drawn)
      known = rows.value
      owners = drawn == 0 ? 1 : paths
      try encode(owners)
    }
    for row in instruction.commit { slots = max(slots, row.slot + 1) }
    if case .verify(let verification) = instruction {
      slots = max(slots, verification.buffered + verification.positions.count - 1)
    }
    if case .trust(let trust) = instruction {
      slots = max(slots, min(trust.most, trust.positions.count - 1))
    }
    peakSlots = max(peakSlots, slots)
    try hold(slots, of: paths, beside: owners)
  }

  /// Contexts of the rows that are known.
  private mutating func encode(_ owners: Int) throws(PlanError) {
    try contexts.add(owners)
    try contextRows.add(known, times: owners)
    try encodes.add(known, times: owners)
    let pairs = try reads.product(known, known)
    try reads.add(pairs, times: owners)
    try contextReads.add(pairs, times: owners)
  }

  /// Buffers of some slots beside contexts, in use by one call.
  private mutating func hold(_ slots: Int, of paths: Int, beside contexts: Int) throws(PlanError) {
    var held = Count("the number of rows held")
    try held.add(known, times: contexts)
    let contextRows = held.value
    try held.add(slots, times: paths)
    if held.value >= peak.rows { peak = (held.value, contexts, contextRows) }
  }

  mutating func run(_ call: Plan.Call) throws(PlanError) {
    calls += 1
    try commit(call.commit, times: paths)
    try add(call.predict.count, reading: call.predict.reduce(0) { $0 + $1.readCount }, paths)
    try queries.add(call.predict.count, times: paths)
  }

  /// The calls of a round, whose rows it adds.
  mutating func run(
    _ round: Trace.Round, of verification: Plan.Verification, left: Int, paths: Int
  ) throws(PlanError) -> Int {
    let count = verification.positions.count
    let before = verification.buffered + count - left
    if left == count {
      try commit(verification.pending, times: paths)
    } else {
      try commit(1, reading: before, paths)
    }
    let g = round.drafted
    try add(g, reading: g * before, paths)
    // Rows 1..<g of the drafts and the conditionals after them, both reading one row more each time.
    let further = (g - 1) * before + g * (g - 1) / 2
    try commit(g - 1, reading: further, paths)
    try add(g - 1, reading: further, paths)
    try queries.add(2 * g - 1, times: paths)
    return round.calls
  }

  /// The calls of a path whose rounds from a trusted buffer were these, and whose rows it adds.
  mutating func run(
    _ rounds: [Trace.Round], of trust: Plan.Trust, paths: Int
  ) throws(PlanError) -> Int {
    let first = known
    var (calls, drawn) = (0, 0)
    for (index, round) in rounds.enumerated() {
      let count = round.drawn
      if index > 0 {
        known = first + drawn
        try encode(paths)
      }
      let isLast = index == rounds.count - 1
      // Every value but the last of the plan is committed, and every position asked for; between rounds one is asked twice.
      let commits = isLast ? count - 1 : count
      try commit(commits, reading: commits * (commits + 1) / 2, paths)
      try add(commits + 1, reading: commits * (commits + 1) / 2, paths)
      try queries.add(commits + 1, times: paths)
      try hold(commits, of: paths, beside: index > 0 ? paths : owners)
      calls += commits + 1
      drawn += count
    }
    known = first
    return calls
  }

  private mutating func commit(_ rows: [Plan.Row], times: Int) throws(PlanError) {
    try commit(rows.count, reading: rows.reduce(0) { $0 + $1.readCount }, times)
  }

  /// Rows that are committed, and read as others do.
  private mutating func commit(_ rows: Int, reading buffered: Int, _ times: Int) throws(PlanError) {
    try add(rows, reading: buffered, times)
    try commitReads.add(buffered, times: times)
  }

  /// Rows that read the context and, together, `buffered` buffer rows.
  private mutating func add(_ rows: Int, reading buffered: Int, _ times: Int) throws(PlanError) {
    try encodes.add(rows, times: times)
    let pairs = try reads.product(rows, known)
    try reads.add(pairs, times: times)
    try contextReads.add(pairs, times: times)
    try reads.add(buffered, times: times)
  }
}
