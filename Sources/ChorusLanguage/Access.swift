import ChorusModels
import ChorusPlans

/// What every token of a text reads, itself included: the access pattern of a plan, put on a plain next-token model.
///
/// The row of token i predicts token i + 1, so it reads what the plan shows target i + 1, and itself.
public struct Access: Sendable {
  /// Of every token; nil where it reads everything before it.
  public let reads: [Reads?]
  /// Pairs of a reading and a read token, per block and head.
  public let pairs: Int

  /// Every token reads all before it.
  public init(tokens count: Int) {
    reads = [Reads?](repeating: nil, count: count)
    pairs = count * (count + 1) / 2
  }

  /// - Throws: `LanguageError.plan` for a plan that takes targets in another order than a text has, drafts or re-encodes.
  public init(_ template: PlanTemplate, tokens count: Int) throws {
    let plan = try template.ordered(.given).resolve(context: 0, targets: count + 1)
    guard plan.order == .fixed(Array(0...count)) else {
      throw LanguageError.plan("'\(template)' takes its targets in another order than a text has them")
    }
    guard !plan.requirements.rewind else {
      throw LanguageError.plan("'\(template)' drafts and verifies, which is not known for texts")
    }
    let seen = plan.visibility.direct
    guard seen.allSatisfy(\.context.isEmpty) else {
      throw LanguageError.plan("'\(template)' re-encodes what it has read, which is not known for texts")
    }
    var (reads, pairs): ([Reads?], Int) = ([], 0)
    for place in 0..<count {
      var slots = seen[place + 1].buffer
      slots.insert(contentsOf: place..<place + 1)
      let own = Reads(slots)
      pairs += own.mask.isEmpty ? own.limit : slots.ranges.reduce(0) { $0 + $1.count }
      reads.append(own == .prefix(place + 1) ? nil : own)
    }
    (self.reads, self.pairs) = (reads, pairs)
  }
}

/// What a language model cannot be asked for.
public enum LanguageError: Error, Sendable, Equatable, CustomStringConvertible {
  /// More tokens than training has shown in one sequence.
  case tooLong(tokens: Int, trained: Int)
  /// A text with fewer tokens than are needed.
  case tooShort(tokens: Int, needed: Int)
  case plan(String)
  /// A plan that leaves out what a model's memories have read already.
  case leavesOut(plan: String)

  public var description: String {
    switch self {
    case .tooLong(let tokens, let trained):
      "\(tokens) tokens are more than the \(trained) that this model has seen in one sequence; take fewer"
    case .tooShort(let tokens, let needed):
      "the text has \(tokens) tokens, and \(needed) are needed; take a longer one"
    case .leavesOut(let plan):
      "'\(plan)' leaves tokens out, which this model's memories have read already; take sequential"
    case .plan(let text): text + "; sequential, window and log-sparse are known"
    }
  }
}
