import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What a text's tokens cost when each reads only what a plan shows it: a frozen model under access patterns that its training
/// has not shown.
public struct AccessComparison: Sendable {
  public struct Row: Sendable {
    public let plan: PlanTemplate
    /// Pairs of a reading and a read token in a passage, per block and head, and as a share of all.
    public let pairs: Int
    public let share: Double
    /// Mean surprisal of the scored tokens, in nats.
    public let nats: SurprisalCurve.Mean
    /// What it is above that of reading everything, token by token.
    public let gap: SurprisalCurve.Mean
  }

  public let model: LanguageModel
  /// Texts of one length.
  public let passages: [[Int32]]
  /// Tokens before the first one that is scored.
  public let lead: Int

  /// `count` passages of `tokens` tokens in the middles of as many equal parts of a text.
  public init(
    _ model: LanguageModel, text: [Int32], passages count: Int, tokens: Int, lead: Int
  ) throws(LanguageError) {
    guard tokens <= model.trainedLength else {
      throw .tooLong(tokens: tokens, trained: model.trainedLength)
    }
    self.model = model
    self.lead = lead
    passages = try Passage.spread(count, over: text, contexts: lead, targets: tokens - lead).map(\.tokens)
  }

  /// A row for each plan, in their order; nil where it was stopped.
  public func rows(
    _ plans: [PlanTemplate], on pool: ThreadPool, stop: @escaping @Sendable () -> Bool = { false }
  ) throws -> [Row]? {
    let length = passages.first?.count ?? 0
    let readings = try [TextReading.everything] + plans.map { try model.reading($0, tokens: length) }
    let found: [[Double]?] = try pool.map(readings.count * passages.count) { index in
      let (reading, passage) = index.quotientAndRemainder(dividingBy: passages.count)
      return scored(passages[passage], readings[reading], stop)
    }
    let nats = found.compactMap { $0 }
    guard nats.count == found.count else { return nil }
    func all(_ reading: Int) -> [Double] {
      Array(nats[reading * passages.count..<(reading + 1) * passages.count].joined())
    }
    let full = all(0)
    return zip(plans, readings.dropFirst()).enumerated().map { index, pair in
      let (own, pairs) = (all(index + 1), pair.1.pairs(of: length))
      return Row(
        plan: pair.0, pairs: pairs, share: Double(pairs) / Double(TextReading.everything.pairs(of: length)),
        nats: SurprisalCurve.Mean(own), gap: SurprisalCurve.Mean(zip(own, full).map { $0 - $1 }))
    }
  }

  /// Surprisals of a text's tokens from `lead` on; nil where it was stopped.
  private func scored(_ tokens: [Int32], _ reading: TextReading, _ stop: () -> Bool) -> [Double]? {
    var reader = TextReader(model.network, reading, tokens: tokens.count, on: nil)
    var nats: [Double] = []
    // The last token predicts none that is known.
    let isRead = reader.read(Array(tokens.dropLast()), last: tokens.count - lead, stop) { said in
      let first = max(lead, 1) + nats.count
      nats += said.logProbabilities(of: Array(tokens[first..<first + said.count])).map { -$0 }
    }
    return isRead ? nats : nil
  }
}
