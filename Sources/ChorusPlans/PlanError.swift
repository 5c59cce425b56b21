/// Why a template, a list of steps or a cost was refused. Positions name the offending targets.
public enum PlanError: Error, Sendable, Hashable {
  /// A number outside what it may be, such as a block of 0 targets.
  case outOfRange(name: String, value: Int, allowed: ClosedRange<Int>)
  /// A step names a position outside `0..<targets`.
  case unknownPosition(Int, targets: Int)
  /// A plan begins with one `.encode` of the observed rows alone.
  case misplacedEncode(step: Int)
  /// A step that names no position or selects no row.
  case emptyStep(Int)
  /// A `.each` selector has another number of parts than its step has positions.
  case selectorCount(step: Int, selectors: Int, positions: Int)
  /// A target is drawn twice.
  case predictedTwice(position: Int)
  /// A target is never drawn.
  case neverPredicted(position: Int)
  /// Positions number the targets as they are drawn, so `position` has to come before `after`.
  case predictedOutOfOrder(position: Int, after: Int)
  /// A target enters the network as a buffer or context row twice.
  case committedTwice(position: Int)
  /// A value is used as a buffer or context row, though nothing has drawn it yet.
  case committedBeforePredicted(position: Int)
  /// `reader` reads the row of `read`, which is not in the buffer at that step.
  case readsUncommitted(reader: Int, read: Int)
  /// `reader` reads the row of `read`, which was evicted.
  case readsEvicted(reader: Int, read: Int)
  /// A step evicts the row of a position that is not in the buffer.
  case evictsUncommitted(position: Int)
  /// Rows of a verification are taken back from the end, so nothing may have been evicted before it.
  case verifiesAfterEviction(step: Int)
  /// What a buffer is trusted for depends on the draws, so that the step begins with a context and ends the plan.
  case misplacedTrust(step: Int)
  /// Committing `position` makes more buffer rows than the plan declared.
  case capacityExceeded(position: Int, capacity: Int)
  /// The value of `reader` would depend on the value of `read`, which depends on that of `reader`.
  case cyclic(reader: Int, read: Int)
  /// A step that changes what is in place, though no later row reads it.
  case idleStep(Int)
  /// More separate ranges of reads than a plan may hold in memory.
  case tooManyReads(limit: Int)
  /// A fixed order that does not name each target once.
  case notAnOrder(targets: Int)
  /// The inputs of the targets do not fit: the reason in words.
  case geometry(String)
  /// The model cannot do what the plan needs; `instead` is one that it runs.
  case unsupported(plan: String, need: String, instead: PlanTemplate)
  /// `auto` chooses by what the model was trained for, which nobody has told.
  case needsCapability(String)
  /// The rounds of a path are none that the plan could have run.
  case foreignTrace(path: Int)
  /// A probability of acceptance that is none.
  case acceptance(Double)
  /// A count that does not fit a 64-bit integer.
  case overflow(String)
}

extension PlanError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .outOfRange(let name, let value, let allowed):
      "\(name) is \(value); it must lie in \(allowed.lowerBound)...\(allowed.upperBound)"
    case .unknownPosition(let position, let targets):
      "position \(position) does not exist; the plan has \(targets) targets, numbered from 0"
    case .misplacedEncode(let step):
      "step \(step): a plan begins with an encode of the observed rows, before anything else and with nothing drawn"
    case .emptyStep(let step):
      "step \(step) names no position or row"
    case .selectorCount(let step, let selectors, let positions):
      "step \(step) has \(positions) positions and \(selectors) selectors, one for each is needed"
    case .predictedTwice(let position):
      "target \(position) is predicted twice"
    case .neverPredicted(let position):
      "target \(position) is never predicted"
    case .predictedOutOfOrder(let position, let after):
      "target \(position) is predicted after target \(after); positions number targets in the order drawn"
    case .committedTwice(let position):
      "target \(position) is committed twice, or committed while it is in the context"
    case .committedBeforePredicted(let position):
      "target \(position) is committed or encoded before it is predicted"
    case .readsUncommitted(let reader, let read):
      "target \(reader) reads target \(read), which is not in the buffer"
    case .readsEvicted(let reader, let read):
      "target \(reader) reads target \(read), which was evicted from the buffer"
    case .evictsUncommitted(let position):
      "target \(position) is evicted, but is not in the buffer"
    case .verifiesAfterEviction(let step):
      "step \(step): a verification takes rows back from the end of a buffer from which nothing was evicted;"
        + " merge first"
    case .misplacedTrust(let step):
      "step \(step): drawing from a trusted buffer begins with a context of everything drawn and ends with the last target"
    case .capacityExceeded(let position, let capacity):
      "committing target \(position) exceeds the buffer capacity of \(capacity) rows; merge first"
    case .cyclic(let reader, let read):
      "target \(reader) reads target \(read), whose value depends on target \(reader)"
    case .idleStep(let step):
      "step \(step) changes what is visible, but no later step reads it"
    case .tooManyReads(let limit):
      "the reads of the plan fall into more than \(limit) separate ranges; ask for fewer targets"
    case .notAnOrder(let targets):
      "an order names each of the \(targets) targets once"
    case .geometry(let reason):
      reason
    case .unsupported(let plan, let need, let instead):
      "the plan \(plan) needs \(need), which the model cannot do; "
        + (instead.readsContextOnly
          ? "\(instead) reads the same values as context" : "the model runs the plan \(instead)")
    case .needsCapability(let plan):
      "the plan \(plan) is chosen by the model's trained buffer, which is not known here; name a plan"
    case .foreignTrace(let path):
      "the rounds of path \(path) do not draw the plan's verified targets"
    case .acceptance(let probability):
      "an acceptance of \(probability) is no probability; it must lie in 0...1"
    case .overflow(let quantity):
      "\(quantity) does not fit a 64-bit integer"
    }
  }
}

/// Refuses a number outside its range by name.
func check(_ value: Int, _ name: String, in allowed: ClosedRange<Int>) throws(PlanError) {
  guard allowed.contains(value) else { throw .outOfRange(name: name, value: value, allowed: allowed) }
}
