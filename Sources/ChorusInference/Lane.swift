import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors

/// A row of a plan with its reads in the form that the network takes, made once for all paths.
struct PlannedRow: Sendable {
  let position: Int
  let slot: Int
  let reads: Reads

  init(_ row: Plan.Row) {
    position = row.position
    slot = row.slot
    reads = Reads(row.reads)
  }

  /// A row that reads the first `prefix` slots.
  init(position: Int, slot: Int = -1, prefix: Int) {
    self.position = position
    self.slot = slot
    reads = .prefix(prefix)
  }
}

/// A plan with the rows of its calls in the form that the network takes, made once for all paths.
struct Program: Sendable {
  struct Call: Sendable {
    let encodes: Bool
    let context: RangeSet<Int>
    let commit: [PlannedRow]
    let predict: [PlannedRow]
  }

  struct Verification: Sendable {
    let encodes: Bool
    let context: RangeSet<Int>
    let positions: Range<Int>
    let draft: Int
    let pending: [PlannedRow]
    let buffered: Int
  }

  enum Instruction: Sendable {
    case call(Call)
    case verify(Verification)
    case trust(Plan.Trust)
  }

  /// A masked pass of the density.
  struct Pass: Sendable {
    let context: RangeSet<Int>
    let buffered: [PlannedRow]
    let queries: [PlannedRow]
  }

  let instructions: [Instruction]

  static func passes(of plan: Plan) -> [Pass] {
    plan.densityPasses.map {
      Pass(
        context: $0.context, buffered: $0.buffered.map(PlannedRow.init),
        queries: $0.queries.map(PlannedRow.init))
    }
  }

  init(_ plan: Plan) {
    instructions = plan.instructions.map { instruction in
      switch instruction {
      case .call(let call):
        .call(
          Call(
            encodes: call.encodes, context: call.context, commit: call.commit.map(PlannedRow.init),
            predict: call.predict.map(PlannedRow.init)))
      case .verify(let range):
        .verify(
          Verification(
            encodes: range.encodes, context: range.context, positions: range.positions, draft: range.draft,
            pending: range.pending.map(PlannedRow.init), buffered: range.buffered))
      case .trust(let trust): .trust(trust)
      }
    }
  }
}

/// One path on its way through a plan: what it has drawn, where it stands, and its part of the next network call.
///
/// Every draw is a pure function of (seed, path, target) and of what the path has read, so nothing depends on the paths
/// beside it.
struct Lane<Law: Predictive> {
  /// What is done with the answers of a call.
  enum Phase { case draw, draft, verify, probe, renew, score, smooth }

  let path: Int
  let seed: UInt64
  /// Which target stands at each position.
  let order: [Int]
  /// Drawn or given values by target, as the network holds them.
  private(set) var values: [Float]
  /// The means of the laws that they were drawn from, by target.
  private(set) var means: [Float] = []
  /// What a call with `smooth` puts in their place.
  private(set) var smoothed: [Float] = []
  /// log-density of the values scored so far.
  private(set) var score = 0.0
  /// Whether values are given and scored instead of drawn.
  private let isGiven: Bool
  /// The rounds of verified drafts, or of a trusted buffer, so far.
  private(set) var rounds: [Trace.Round] = []

  private(set) var commit: ArraySlice<PlannedRow> = []
  private(set) var query: ArraySlice<PlannedRow> = []
  private var phase = Phase.draw
  private var instruction = 0
  /// The positions in the context besides the observed rows, and the number of buffer rows after the next call.
  private(set) var context = RangeSet<Int>()
  private(set) var held = 0
  private var verifying: Drafts?
  private var trusting: Trusting?

  /// A round of a trusted buffer.
  private struct Trusting {
    let plan: Plan.Trust
    /// The first position of the round, and the next one to be drawn.
    var first: Int
    var next: Int
    /// How many positions the round has.
    var span = 1
    /// What the buffer says of the next position, once the round is at its end.
    var law: Law?
    var isTrusted = false
  }

  /// A verification under way.
  private struct Drafts {
    /// The first position not drawn yet, and the end of the range.
    var from: Int
    let end: Int
    /// Rows to commit with the next call.
    var pending: [PlannedRow]
    /// The drafts' distributions; as many as were drafted and not verified yet.
    var laws: [Law] = []
    /// The first draft that was refused, counted from `from`.
    var refused: Int?
  }

  /// - Parameter isGiven: whether `values` are scored along a program that goes by them.
  init(path: Int, seed: UInt64, order: [Int], values: [Float], isGiven: Bool = false) {
    self.isGiven = isGiven
    self.path = path
    self.seed = seed
    self.order = order
    self.values = values
  }

  /// How many values the context holds besides the observed rows.
  var merged: Int { context.ranges.reduce(0) { $0 + $1.count } }
  /// Whether a committed row reads one that is committed after it in the same call.
  var readsAhead: Bool { commit.contains { $0.reads.limit > $0.slot + 1 } }

  // MARK: Before a call

  /// Takes the next call of the program.
  ///
  /// - Returns: nil when the path is done, else whether it needs the context of `context` before the call.
  mutating func prepare(_ program: Program) -> Bool? {
    (commit, query) = ([], [])
    guard instruction < program.instructions.count else { return nil }
    switch program.instructions[instruction] {
    case .call(let call):
      let anew = call.encodes && (instruction > 0 || !call.context.isEmpty)
      instruction += 1
      phase = .draw
      (commit, query) = (call.commit[...], call.predict[...])
      if call.encodes { (context, held) = (call.context, 0) }
      held = max(held, (call.commit.lazy.map(\.slot).max() ?? -1) + 1)
      return anew
    case .verify(let range):
      guard let drafts = verifying else {
        verifying = Drafts(
          from: range.positions.lowerBound, end: range.positions.upperBound, pending: range.pending)
        if range.encodes { context = range.context }
        held = range.buffered
        propose(atMost: range.draft)
        return range.encodes && (instruction > 0 || !range.context.isEmpty)
      }
      if drafts.laws.isEmpty {
        held += drafts.pending.count
        propose(atMost: range.draft)
      } else {
        verify(drafts)
      }
      return false
    case .trust(let plan):
      let encodes = trusting == nil && (instruction > 0 || !plan.context.isEmpty)
      if trusting == nil {
        (context, held) = (plan.context, 0)
        trusting = Trusting(
          plan: plan, first: plan.positions.lowerBound, next: plan.positions.lowerBound)
      }
      return ask() || encodes
    }
  }

  /// The next call of a trusted buffer.
  ///
  /// - Returns: whether it needs a context of everything drawn.
  private mutating func ask() -> Bool {
    guard let round = trusting else { return false }
    if round.law != nil {
      phase = .renew
      (context, held) = (RangeSet(0..<round.next), 0)
      query = [PlannedRow(position: round.next, prefix: 0)]
      return true
    }
    held = round.next - round.first
    phase = held == round.span ? .probe : .draw
    if held > 0 { commit = [row(round.next - 1, slot: held - 1)] }
    query = [PlannedRow(position: round.next, prefix: held)]
    return false
  }

  /// Asks for the next positions side by side, each reading everything held.
  private mutating func propose(atMost most: Int) {
    guard let drafts = verifying else { return }
    let count = min(most, drafts.end - drafts.from)
    phase = count == 1 ? .draw : .draft  // the first of a chain needs no verification
    commit = drafts.pending[...]
    query = (drafts.from..<drafts.from + count).map { PlannedRow(position: $0, prefix: held) }[...]
  }

  /// Commits all drafts but the last and asks for all but the first again, each reading the drafts before it.
  private mutating func verify(_ drafts: Drafts) {
    phase = .verify
    let places = 0..<drafts.laws.count - 1
    commit = places.map { row(drafts.from + $0, slot: held + $0) }[...]
    query = places.map { PlannedRow(position: drafts.from + $0 + 1, prefix: held + $0 + 1) }[...]
  }

  /// A committed row, reading all before it and itself.
  private func row(_ position: Int, slot: Int) -> PlannedRow {
    PlannedRow(position: position, slot: slot, prefix: slot + 1)
  }

  /// Sets a call apart from the program: a pass of a density, or the last one of a noiseless curve.
  mutating func take(_ phase: Phase, commit: ArraySlice<PlannedRow>, query: ArraySlice<PlannedRow>) {
    self.phase = phase
    (self.commit, self.query) = (commit, query)
    if phase == .smooth { smoothed = values }
  }

  // MARK: After a call

  /// Takes the answer to the `index`-th query of the call.
  mutating func receive<A: Answer>(_ answer: A, to index: Int) where A.Law == Law {
    let target = order[query[query.startIndex + index].position]
    switch phase {
    case .draw: draw(answer, target)
    case .draft:
      draw(answer, target)
      verifying?.laws.append(answer.law)
    case .verify: judge(answer.law, target, index + 1)
    case .probe: trusting?.law = answer.law
    case .renew:
      if let round = trusting, let law = round.law {
        trusting?.isTrusted = answer.law.divergence(from: law) < round.plan.nats
      }
      draw(answer, target)
    case .score: score += answer.law.logDensity(Law.value(values[target]))
    case .smooth: smoothed[target] = Float(answer.law.mean)
    }
  }

  private mutating func draw<A: Answer>(_ answer: A, _ target: Int) where A.Law == Law {
    if isGiven {
      score += answer.law.logDensity(Law.value(values[target]))
      return
    }
    var stream = RandomStream(seed: seed, .paths, UInt64(path), UInt64(target))
    let (value, mean) = answer.drawn(from: &stream)
    values[target] = value.stored
    if means.isEmpty { means = values }
    means[target] = Float(mean)
  }

  /// Keeps or replaces the `index`-th draft; those after a refused one were drawn for nothing.
  private mutating func judge(_ law: Law, _ target: Int, _ index: Int) {
    guard let drafts = verifying, drafts.refused == nil else { return }
    // The law that the value has whether it is kept or replaced.
    means[target] = Float(law.mean)
    let coupling = Coupling(exact: law, draft: drafts.laws[index])
    var stream = RandomStream(seed: seed, .verification, UInt64(path), UInt64(target))
    if coupling.accepts(Law.value(values[target]), uniform: stream.uniform()) { return }
    values[target] = coupling.residual(from: &stream).stored
    verifying?.refused = index
  }

  /// Ends a call of a trusted buffer.
  private mutating func goOn() {
    guard var round = trusting, phase == .draw || phase == .renew else { return }
    func close() {
      rounds.append(
        Trace.Round(drafted: round.next - round.first, accepted: round.next - round.first))
    }
    if phase == .renew {
      close()
      round.span = round.plan.next(after: round.next - round.first, trusted: round.isTrusted)
      (round.first, round.law) = (round.next, nil)
    }
    round.next += 1
    trusting = round
    guard round.next == round.plan.positions.upperBound else { return }
    close()
    trusting = nil
    held = round.next - 1 - round.first
    instruction += 1
  }

  /// Ends a call.
  ///
  /// - Returns: how many buffer rows stay, where later ones are to be forgotten.
  mutating func finish() -> Int? {
    if trusting != nil { goOn() }
    guard var drafts = verifying, phase != .draft else { return nil }
    // The last value that stands, accepted or replaced, waits to be committed with the next call.
    let drafted = max(drafts.laws.count, 1)
    let last = drafts.refused ?? drafted - 1
    rounds.append(Trace.Round(drafted: drafted, accepted: drafts.refused ?? drafted))
    held += last
    drafts.pending = [row(drafts.from + last, slot: held)]
    drafts.from += last + 1
    (drafts.laws, drafts.refused) = ([], nil)
    if drafts.from < drafts.end {
      verifying = drafts
    } else {
      verifying = nil
      instruction += 1
    }
    return drafted > 1 ? held : nil
  }
}
