/// Why a template, a list of steps or a cost was refused. Positions name the offending targets.
public enum PlanError: Error, Sendable, Hashable {
  /// A number outside what it may be, such as a block of 0 targets.
  case outOfRange(name: String, value: Int, allowed: ClosedRange<Int>)
  /// A step names a position outside `0..<targets`.
  case unknownPosition(Int, targets: Int)
  /// A plan begins with one `.encode`, and has no second one: later context changes are `.merge`.
  case misplacedEncode(step: Int)
  /// A `.predict` or `.commit` of no positions.
  case emptyStep(Int)
  /// A target is drawn twice.
  case predictedTwice(position: Int)
  /// A target is never drawn.
  case neverPredicted(position: Int)
  /// Positions number the targets as they are drawn, so `position` has to come before `later`.
  case predictedOutOfOrder(position: Int, after: Int)
  /// A target enters the network as a buffer or context row twice.
  case committedTwice(position: Int)
  /// Buffer rows follow the order of the draws, so `position` has to be committed before `later`.
  case commitSkips(position: Int, before: Int)
  /// A value is used as a buffer row, though nothing has drawn it yet.
  case committedBeforePredicted(position: Int)
  /// The rows of a commit read every earlier buffer row (the causal buffer); these read `reads` of
  /// `buffered`.
  case commitReadsPartly(position: Int, reads: Int, buffered: Int)
  /// `reader` reads the row of `read`, which is in the buffer neither before nor at that step.
  case readsUncommitted(reader: Int, read: Int)
  /// Committing `position` makes more buffer rows than the plan declared.
  case capacityExceeded(position: Int, capacity: Int)
  /// The value of `reader` would depend on the value of `read`, which depends on that of `reader`.
  case cyclic(reader: Int, read: Int)
  /// A `.commit` or `.merge` whose rows no later step reads.
  case idleStep(Int)
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
      "step \(step): a plan begins with encode, once; use merge to move drawn values into the context"
    case .emptyStep(let step):
      "step \(step) names no position"
    case .predictedTwice(let position):
      "target \(position) is predicted twice"
    case .neverPredicted(let position):
      "target \(position) is never predicted"
    case .predictedOutOfOrder(let position, let after):
      "target \(position) is predicted after target \(after); positions number targets in the order drawn"
    case .committedTwice(let position):
      "target \(position) is committed twice, or committed after it was merged"
    case .commitSkips(let position, let before):
      "target \(before) is committed before target \(position); buffer rows keep the order of the draws"
    case .committedBeforePredicted(let position):
      "target \(position) is committed before it is predicted"
    case .commitReadsPartly(let position, let reads, let buffered):
      "the commit of target \(position) reads \(reads) of \(buffered) buffer rows; a causal buffer reads all"
    case .readsUncommitted(let reader, let read):
      "target \(reader) reads target \(read), which is not in the buffer"
    case .capacityExceeded(let position, let capacity):
      "committing target \(position) exceeds the buffer capacity of \(capacity) rows; merge first"
    case .cyclic(let reader, let read):
      "target \(reader) reads target \(read), whose value depends on target \(reader)"
    case .idleStep(let step):
      "step \(step) changes what is visible, but no later step reads it"
    case .overflow(let quantity):
      "\(quantity) does not fit a 64-bit integer"
    }
  }
}

/// Why a text is not a plan. The description names the text and lists the valid forms.
public struct PlanTextError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong with the text.
  public enum Problem: Sendable, Hashable {
    /// No plan has this name.
    case unknownName(String)
    /// The argument list of a known name is not one of its forms.
    case badArguments(String)
    /// An argument that is not a whole number of at least 1.
    case badNumber(String)
  }

  /// The whole text as given.
  public let text: String
  public let problem: Problem

  public var description: String {
    let reason =
      switch problem {
      case .unknownName(let name): "no plan is named '\(name)'"
      case .badArguments(let arguments): "the arguments '\(arguments)' do not fit the name"
      case .badNumber(let number): "'\(number)' is not a whole number of at least 1"
      }
    let forms = PlanTemplate.forms.joined(separator: ", ")
    return "'\(text)' is not a plan: \(reason); valid forms: \(forms)"
  }
}
