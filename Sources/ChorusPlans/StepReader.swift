/// Reads steps one after another and refuses what no executor could run; what remains is a visibility.
///
/// It keeps one run a `.predict` and a few numbers, so a template can feed it steps without making a list.
struct StepReader {
  private let targets: Int
  private let capacity: Int?
  private var runs: [Plan.Visibility.Run] = []
  private var steps = 0
  private var drawn = 0
  private var merged = 0
  private var committed = 0
  /// The first position that later draws passed over, and the draw that passed it.
  private var gap: (position: Int, after: Int)?
  /// The first position committed before it was drawn.
  private var undrawn: Int?
  /// The step of a commit or merge that nothing has read yet.
  private var idle: Int?

  init(targets: Int, capacity: Int?) throws(PlanError) {
    try check(targets, "targets", in: 0...Plan.maximumTargets)
    if let capacity { try check(capacity, "capacity", in: 1...Int.max) }
    self.targets = targets
    self.capacity = capacity
  }

  mutating func take(_ step: Plan.Step) throws(PlanError) {
    let index = steps
    steps += 1
    if (index == 0) != (step == .encode) { throw .misplacedEncode(step: index) }
    switch step {
    case .encode: break
    case .predict(let positions, let reads): try predict(positions, reads.count, at: index)
    case .commit(let positions, let reads): try commit(positions, reads.count, at: index)
    case .merge:
      if let idle { throw .idleStep(idle) }
      guard drawn > merged else { throw .idleStep(index) }
      merged = drawn
      committed = drawn
      idle = index
    }
  }

  /// The visibility of the steps taken, if every target was drawn and every row read.
  func finish() throws(PlanError) -> Plan.Visibility {
    if let gap { throw .neverPredicted(position: gap.position) }
    guard drawn == targets else { throw .neverPredicted(position: drawn) }
    if let undrawn { throw .committedBeforePredicted(position: undrawn) }
    if let idle { throw .idleStep(idle) }
    let visibility = Plan.Visibility(runs: runs)
    try visibility.checkAcyclic()
    return visibility
  }

  private mutating func predict(_ positions: Range<Int>, _ reads: Int, at index: Int) throws(PlanError) {
    try known(positions, at: index)
    let first = positions.lowerBound
    if let gap, positions.contains(gap.position) {
      throw .predictedOutOfOrder(position: gap.position, after: gap.after)
    }
    if first < drawn { throw .predictedTwice(position: first) }
    if first > drawn, gap == nil { gap = (drawn, first) }
    try check(reads, "reads", in: 0...Int.max)
    guard reads <= committed - merged else { throw .readsUncommitted(reader: first, read: committed) }
    let run = Plan.Visibility.Run(positions: positions, merged: merged, committed: committed, limit: reads)
    try Plan.Visibility.checkAcyclic(run)
    runs.append(run)
    drawn = positions.upperBound
    idle = nil
  }

  private mutating func commit(_ positions: Range<Int>, _ reads: Int, at index: Int) throws(PlanError) {
    try known(positions, at: index)
    let first = positions.lowerBound
    if first < committed { throw .committedTwice(position: first) }
    if first > committed { throw .commitSkips(position: committed, before: first) }
    let buffered = committed - merged
    try check(reads, "reads", in: 0...Int.max)
    if reads > buffered { throw .readsUncommitted(reader: first, read: committed) }
    if reads < buffered { throw .commitReadsPartly(position: first, reads: reads, buffered: buffered) }
    if let capacity, positions.upperBound - merged > capacity {
      throw .capacityExceeded(position: merged + capacity, capacity: capacity)
    }
    if positions.upperBound > drawn, undrawn == nil { undrawn = max(first, drawn) }
    committed = positions.upperBound
    idle = index
  }

  private func known(_ positions: Range<Int>, at index: Int) throws(PlanError) {
    guard positions.lowerBound >= 0 else {
      throw .unknownPosition(positions.lowerBound, targets: targets)
    }
    guard positions.upperBound <= targets else {
      throw .unknownPosition(positions.upperBound - 1, targets: targets)
    }
    guard !positions.isEmpty else { throw .emptyStep(index) }
  }
}

/// Refuses a number outside its range by name.
func check(_ value: Int, _ name: String, in allowed: ClosedRange<Int>) throws(PlanError) {
  guard allowed.contains(value) else { throw .outOfRange(name: name, value: value, allowed: allowed) }
}
