import ChorusMemories
import ChorusTensors

/// Multi-query associative recall (Arora et al. 2024, "Zoology") as next tokens: keys with their values, then some of the keys
/// again, each followed by its value. Only these values are asked; a memory that holds the pairs knows every one of them.
///
/// The context is the pairs, two rows each; between the questions stands token 0, or any token. One of those may be a key, and
/// what comes behind it is then a second value: no answer is certain there, though seldom so.
public struct RecallPrior: Prior {
  /// What stands between the questions.
  public enum Fillers: Sendable, Hashable { case zeros, random }

  public var name: String { fillers == .zeros ? "recall" : "recall-random" }
  public let dimensions = 1...1
  public let keepsColumns = true
  public let isSequence = true
  public let fillers: Fillers
  /// Tokens there are: 0, keys, and from the middle on values.
  public let vocabulary: Int

  public init(fillers: Fillers = .zeros, vocabulary: Int = 64) {
    self.fillers = fillers
    self.vocabulary = max(8, vocabulary)
  }

  /// The most pairs that a vocabulary has keys for.
  public var pairs: Int { vocabulary / 2 - 1 }

  /// - Throws: `PriorError.stored` for sizes that no pairs and questions fit into.
  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions)
    let (pairs, rest) = (shape.context / 2, shape.rows - shape.context)
    guard (1...self.pairs).contains(pairs), shape.context.isMultiple(of: 2), rest >= 2 * pairs,
      shape.buffer == 0
    else {
      throw .stored(
        "\(name) has a context of two rows a pair, 1...\(self.pairs) pairs, no buffer, and at least as many targets; not"
          + " \(shape.context), \(shape.buffer) and \(shape.targets)")
    }
    let sequence = RecallSequence(
      length: shape.rows, pairs: pairs, vocabulary: vocabulary, random: fillers == .random, &stream)
    var tokens = sequence.tokens
    var asked = [Bool](repeating: false, count: shape.targets)
    for (place, value) in sequence.asked {
      tokens[place + 1] = value
      asked[place + 1 - shape.context] = true
    }
    var task = PriorTask(
      shape: shape, x: (0..<shape.rows).map(Double.init), y: tokens.map(Double.init),
      ceiling: fillers == .zeros ? 0 : nil, component: name)
    task.asked = asked
    return task
  }
}
