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
    let accesses = try [Access(tokens: length)] + plans.map { try model.access($0, tokens: length) }
    let found: [[Double]?] = try pool.map(accesses.count * passages.count) { index in
      let (access, passage) = index.quotientAndRemainder(dividingBy: passages.count)
      return scored(passages[passage], accesses[access], stop)
    }
    let nats = found.compactMap { $0 }
    guard nats.count == found.count else { return nil }
    func all(_ access: Int) -> [Double] {
      Array(nats[access * passages.count..<(access + 1) * passages.count].joined())
    }
    let full = all(0)
    return zip(plans, accesses.dropFirst()).enumerated().map { index, pair in
      let own = all(index + 1)
      return Row(
        plan: pair.0, pairs: pair.1.pairs, share: Double(pair.1.pairs) / Double(accesses[0].pairs),
        nats: SurprisalCurve.Mean(own), gap: SurprisalCurve.Mean(zip(own, full).map { $0 - $1 }))
    }
  }

  /// Surprisals of a text's tokens from `lead` on; nil where it was stopped.
  private func scored(_ tokens: [Int32], _ access: Access, _ stop: () -> Bool) -> [Double]? {
    let paths = model.network.paths(capacity: tokens.count)
    var nats: [Double] = []
    for first in stride(from: 0, to: tokens.count - 1, by: TokenNetwork.piece) {
      if stop() { return nil }
      let range = first..<min(first + TokenNetwork.piece, tokens.count - 1)
      let rows = range.map {
        TokenNetwork.Row(tokens[$0], at: $0, reads: access.reads[$0], asked: $0 + 1 >= lead)
      }
      let next = range.filter { $0 + 1 >= lead }.map { tokens[$0 + 1] }
      nats += model.network.read(rows[...], into: paths, on: nil) { said in
        said.logProbabilities(of: next).map { -$0 }
      }
    }
    return nats
  }
}
