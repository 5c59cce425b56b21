import ChorusModels
import ChorusPlans
import ChorusTensors

/// What it takes to go on with a text under a plan, counted before anything runs.
///
/// A context of C tokens is read, then T tokens are told of, each once all before it are known: the last of them is not read. Counts are
/// of one text; nothing is drawn by drafts.
public struct ReadingCost: Sendable, Hashable {
  public let context: Int
  public let tokens: Int
  /// Network calls one after another: the context in pieces of ``TokenNetwork/piece``, then one a token, and those by which a
  /// window is encoded anew.
  public let calls: Int
  /// Tokens through the network.
  public let encodes: Int
  /// Pairs of a reading and a read token, itself included, for each block and head.
  public let reads: Int
  /// Tokens that are held at the most.
  public let peakRows: Int
  /// Floating-point operations of all blocks of all tokens, and of the logits of those that are told of.
  public let flops: Double
  /// The weights as they are held, and what tokens leave in the memories.
  public let weightBytes: Int
  public let stateBytes: Int

  /// The same by encoding everything before each token anew, and by one pass that reads everything.
  public struct Reference: Sendable, Hashable {
    public let calls: Int
    public let encodes: Int
    public let reads: Int
  }
  public var reencoding: Reference {
    let lengths = context..<context + tokens
    return Reference(
      calls: lengths.reduce(0) { $0 + Self.pieces($1) }, encodes: lengths.reduce(0, +),
      reads: lengths.reduce(0) { $0 + Self.triangle($1) })
  }
  public var reading: Reference {
    let count = context + tokens - 1
    return Reference(
      calls: Self.pieces(context) + tokens - 1, encodes: count, reads: Self.triangle(count))
  }

  static func triangle(_ n: Int) -> Int { n * (n + 1) / 2 }
  static func pieces(_ rows: Int) -> Int { (rows + TokenNetwork.piece - 1) / TokenNetwork.piece }
}

extension LanguageModel {
  /// What going on with a text takes under a plan.
  ///
  /// - Parameters:
  ///   - context: tokens that are known, the one that begins a text included; at least 1.
  ///   - tokens: those told of one after another; at least 1.
  /// - Throws: as ``reading(_:tokens:)``.
  public func cost(_ plan: PlanTemplate, context: Int, tokens: Int) throws -> ReadingCost {
    guard context >= 1, tokens >= 1 else {
      throw LanguageError.tooShort(tokens: min(context, tokens), needed: 1)
    }
    let count = context + tokens - 1
    let reading = try reading(plan, tokens: count)
    let growth = reading.growth(from: context, to: count)
    let (rates, peak) = (network.rates, reading.longest(of: count))
    return ReadingCost(
      context: context, tokens: tokens, calls: growth.calls, encodes: growth.encodes, reads: growth.reads,
      peakRows: peak,
      flops: rates.committing(Double(growth.encodes), own: Double(growth.reads))
        + Double(tokens) * rates.head,
      weightBytes: network.weights.bytes, stateBytes: network.bytes(capacity: peak))
  }
}

extension TextReading {
  /// Tokens encoded, pairs read and calls made where a text of `context` tokens is read and grows to `count`, a token at a time.
  func growth(from context: Int, to count: Int) -> (encodes: Int, reads: Int, calls: Int) {
    guard let renewal else {
      return (count, pairs(of: count), ReadingCost.pieces(context) + count - context)
    }
    // Of the context no epoch is read before that of its last token.
    let epochs = renewal.epoch(of: context - 1)...renewal.epoch(of: count - 1)
    let first = renewal.places(of: epochs.lowerBound).lowerBound
    var sum = (
      encodes: count - first, reads: 0, calls: ReadingCost.pieces(context - first) + count - context
    )
    for epoch in epochs {
      sum.reads += ReadingCost.triangle(renewal.rows(of: epoch, until: count))
      guard epoch > 0 else { continue }
      let window = renewal.row(of: renewal.places(of: epoch).lowerBound, in: epoch)
      sum.encodes += window
      sum.calls += ReadingCost.pieces(window)
    }
    return sum
  }
}
