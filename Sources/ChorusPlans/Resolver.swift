/// Reads steps one after another and refuses what no executor could run; what remains are instructions.
struct Resolver {
  /// No plan has more separate ranges of reads than this besides one for each row, so that asking for one cannot
  /// exhaust the memory.
  static let maximumRanges = 1 << 21

  let targets: Int
  let capacity: Int?
  private(set) var peak = 0
  private(set) var steps = 0
  var buffer: Buffer
  /// The positions in the context, besides the observed rows.
  private(set) var context = RangeSet<Int>()
  /// How many targets the steps have drawn.
  private(set) var drawn = 0

  private var instructions: [Plan.Instruction] = []
  /// Rows that the next call commits.
  private var waiting: [Plan.Row] = []
  private var encodes = true
  private var ranges = 0
  private var rewinds = false
  private var readsSubsets = false
  private var setsContext = false
  private var decides = false
  /// The first position that later draws passed over, and the draw that passed it.
  private var gap: (position: Int, after: Int)?
  /// The first position in place before it was drawn.
  private var undrawn: Int?
  /// The step of a change that nothing has read yet.
  private var idle: Int?

  init(targets: Int, capacity: Int?) throws(PlanError) {
    try check(targets, "targets", in: 0...Plan.maximumTargets)
    if let capacity { try check(capacity, "capacity", in: 1...Int.max) }
    self.targets = targets
    self.capacity = capacity
    buffer = Buffer(targets: targets)
  }

  var requirements: Plan.Requirements {
    Plan.Requirements(
      subsetReads: readsSubsets, rewind: rewinds, setContext: setsContext, decides: decides)
  }

  mutating func take(_ step: Plan.Step) throws(PlanError) {
    let index = steps
    steps += 1
    if index == 0 {
      guard case .encode(let positions) = step, positions.isEmpty else { throw .misplacedEncode(step: 0) }
      return
    }
    switch step {
    case .encode(let positions): try encode(positions, at: index)
    case .merge: try encode(.prefix(drawn), at: index)
    case .predict(let positions, let reads): try predict(positions, reads, at: index)
    case .commit(let positions, let within, let reads): try commit(positions, within, reads, at: index)
    case .evict(let selector): try evict(selector, at: index)
    case .verify(let positions, let draft): try verify(positions, draft, at: index)
    case .trust(let positions, let nats): try trust(positions, nats, at: index)
    }
  }

  /// The instructions, if every target was drawn and every change read.
  func finish() throws(PlanError) -> [Plan.Instruction] {
    if let gap { throw .neverPredicted(position: gap.position) }
    guard drawn == targets else { throw .neverPredicted(position: drawn) }
    if let undrawn {
      if let pair = Plan.cycle(in: instructions, targets: targets) {
        throw .cyclic(reader: pair.reader, read: pair.read)
      }
      throw .committedBeforePredicted(position: undrawn)
    }
    if let idle { throw .idleStep(idle) }
    return instructions
  }

  // MARK: Steps

  private mutating func encode(_ positions: RangeSet<Int>, at index: Int) throws(PlanError) {
    if let idle { throw .idleStep(idle) }
    for range in positions.ranges { try known(range) }
    if let last = positions.ranges.last, last.upperBound > drawn {
      noteUndrawn(positions.ranges.first { $0.upperBound > drawn }?.lowerBound ?? 0)
    }
    guard positions != context || buffer.count > 0 else { throw .idleStep(index) }
    context = positions
    waiting.removeAll()
    buffer.empty()
    encodes = true
    if !positions.isEmpty { setsContext = true }
    try count(ranges: positions.ranges.count)
    idle = index
  }

  private mutating func predict(_ positions: Range<Int>, _ reads: Plan.Selector, at index: Int)
    throws(PlanError)
  {
    try draw(positions, at: index)
    var rows: [Plan.Row] = []
    rows.reserveCapacity(positions.count)
    try forEach(positions, reads, at: index) { (resolver, position, slots) throws(PlanError) in
      let row = Plan.Row(position: position, slots)
      try resolver.count(row)
      rows.append(row)
    }
    try checkCapacity(buffer.count, at: positions.lowerBound)
    peak = max(peak, buffer.reserved)
    instructions.append(
      .call(Plan.Call(encodes: encodes, context: context, commit: waiting, predict: rows)))
    called()
  }

  private mutating func commit(
    _ positions: Range<Int>, _ within: Plan.Internal, _ reads: Plan.Selector, at index: Int
  ) throws(PlanError) {
    try known(positions)
    guard !positions.isEmpty else { throw .emptyStep(index) }
    var selected: [Plan.Reads] = []
    selected.reserveCapacity(positions.count)
    try forEach(positions, reads, at: index) { (resolver, position, slots) throws(PlanError) in
      guard resolver.buffer.place(of: position) == .nowhere, !resolver.context.contains(position) else {
        throw .committedTwice(position: position)
      }
      selected.append(slots)
    }
    let readsAll = buffer.isContiguous && reads == .all && within == .causal
    // Slots of this commit that a row reads, its own included.
    var own = RangeSet<Int>()
    var slots: [Int] = []
    for position in positions {
      try checkCapacity(buffer.count + 1, at: position)
      slots.append(buffer.append(position))
    }
    if within == .dense { for slot in slots { own.insert(contentsOf: slot..<slot + 1) } }
    for ((position, slot), before) in zip(zip(positions, slots), selected) {
      if readsAll {
        try wait(Plan.Row(position: position, slot: slot, buffer.prefix(slot + 1)))
      } else {
        if within == .isolated { own = RangeSet() }
        own.insert(contentsOf: slot..<slot + 1)
        try wait(Plan.Row(position: position, slot: slot, reads: before.slots.union(own)))
      }
    }
    if positions.upperBound > drawn { noteUndrawn(max(positions.lowerBound, drawn)) }
    idle = index
  }

  private mutating func evict(_ selector: Plan.Selector, at index: Int) throws(PlanError) {
    let slots: RangeSet<Int>
    do {
      slots = try resolve(selector, reader: -1).slots
    } catch .readsUncommitted(_, let position), .readsEvicted(_, let position) {
      throw .evictsUncommitted(position: position)
    }
    guard !slots.isEmpty else { throw .emptyStep(index) }
    buffer.evict(slots, awaitingCall: !waiting.isEmpty)
    idle = index
  }

  private mutating func verify(_ positions: Range<Int>, _ draft: Int, at index: Int) throws(PlanError) {
    try check(draft, "draft", in: 1...Int.max)
    try draw(positions, at: index)
    guard buffer.isContiguous else { throw .verifiesAfterEviction(step: index) }
    let before = buffer.count
    try checkCapacity(before, at: positions.lowerBound)
    if let capacity, before + positions.count - 1 > capacity {
      throw .capacityExceeded(position: positions.lowerBound + capacity - before, capacity: capacity)
    }
    instructions.append(
      .verify(
        Plan.Verification(
          positions: positions, draft: draft, encodes: encodes, context: context, pending: waiting,
          buffered: before)))
    called()
    for position in positions { _ = buffer.append(position) }
    peak = max(peak, before + positions.count - 1)
    let slot = before + positions.count - 1
    let last = Plan.Row(position: positions.upperBound - 1, slot: slot, buffer.prefix(slot + 1))
    waiting.append(last)
    if draft > 1, positions.count > 1 { rewinds = true }
  }

  /// What is in the buffer afterwards is known by no step, so that none may follow.
  private mutating func trust(_ positions: Range<Int>, _ nats: Double, at index: Int)
    throws(PlanError)
  {
    guard encodes, buffer.count == 0, context == .prefix(positions.lowerBound) else {
      throw .misplacedTrust(step: index)
    }
    guard positions.upperBound == targets else { throw .misplacedTrust(step: index) }
    try draw(positions, at: index)
    let most = min(capacity ?? targets, max(positions.count - 1, 1))
    instructions.append(
      .trust(
        Plan.Trust(positions: positions, most: most, nats: nats, context: context)))
    called()
    peak = max(peak, min(most, positions.count - 1))
    if positions.count > 1 { (setsContext, decides) = (true, true) }
  }

  // MARK: Parts of steps

  /// Checks positions about to be drawn, and draws them.
  private mutating func draw(_ positions: Range<Int>, at index: Int) throws(PlanError) {
    try known(positions)
    guard !positions.isEmpty else { throw .emptyStep(index) }
    let first = positions.lowerBound
    if let gap, positions.contains(gap.position) {
      throw .predictedOutOfOrder(position: gap.position, after: gap.after)
    }
    if first < drawn { throw .predictedTwice(position: first) }
    if first > drawn, gap == nil { gap = (drawn, first) }
    drawn = positions.upperBound
  }

  /// Resolves the selector of a step for each of its positions.
  private mutating func forEach(
    _ positions: Range<Int>, _ reads: Plan.Selector, at index: Int,
    _ body: (inout Resolver, Int, Plan.Reads) throws(PlanError) -> Void
  ) throws(PlanError) {
    if case .each(let selectors) = reads {
      guard selectors.count == positions.count else {
        throw .selectorCount(step: index, selectors: selectors.count, positions: positions.count)
      }
      for (position, selector) in zip(positions, selectors) {
        try body(&self, position, resolve(selector, reader: position))
      }
    } else {
      let slots = try resolve(reads, reader: positions.lowerBound)
      for position in positions { try body(&self, position, slots) }
    }
  }

  private mutating func wait(_ row: Plan.Row) throws(PlanError) {
    try count(row)
    waiting.append(row)
  }

  private mutating func called() {
    waiting.removeAll()
    buffer.called()
    encodes = false
    idle = nil
  }

  private mutating func noteUndrawn(_ position: Int) {
    if undrawn == nil { undrawn = position }
  }

  private func checkCapacity(_ rows: Int, at position: Int) throws(PlanError) {
    if let capacity, rows > capacity { throw .capacityExceeded(position: position, capacity: capacity) }
  }

  private mutating func count(_ row: Plan.Row) throws(PlanError) {
    guard row.prefix == nil else { return }
    readsSubsets = true
    try count(ranges: row.ranges)
  }

  private mutating func count(ranges more: Int) throws(PlanError) {
    ranges += more
    guard ranges <= Self.maximumRanges else { throw .tooManyReads(limit: Self.maximumRanges) }
  }

  func known(_ positions: Range<Int>) throws(PlanError) {
    guard positions.lowerBound >= 0 else {
      throw .unknownPosition(positions.lowerBound, targets: targets)
    }
    guard positions.upperBound <= targets else {
      throw .unknownPosition(positions.upperBound - 1, targets: targets)
    }
  }
}
