/// What a language model cannot be asked for.
public enum LanguageError: Error, Sendable, Equatable, CustomStringConvertible {
  /// More tokens than training has shown in one sequence.
  case tooLong(tokens: Int, trained: Int)
  /// A text with fewer tokens than are needed.
  case tooShort(tokens: Int, needed: Int)
  /// A model that cannot propose tokens to another.
  case draft(String)
  /// A plan that leaves out what a model's memories have read already.
  case leavesOut(plan: String)

  public var description: String {
    switch self {
    case .tooLong(let tokens, let trained):
      "\(tokens) tokens are more than the \(trained) that this model has seen in one sequence; take fewer"
    case .tooShort(let tokens, let needed):
      "the text has \(tokens) tokens, and \(needed) are needed; take a longer one"
    case .draft(let text): text
    case .leavesOut(let plan):
      "'\(plan)' leaves tokens out, which this model's memories have read already; take sequential"
    }
  }
}
