import ChorusModels
import ChorusPlans
import ChorusTensors

/// What each token of a text reads of those before it: a plan, put on a text.
public struct TextReading: Sendable {
  /// What rows read where not everything is read.
  let access: Access?
  let renewal: Renewal?

  private init(_ access: Access?, _ renewal: Renewal?) { (self.access, self.renewal) = (access, renewal) }

  /// Everything before it.
  public static let everything = TextReading(nil, nil)

  public init(_ access: Access) { self.init(access, nil) }

  init(_ renewal: Renewal) { self.init(nil, renewal) }

  /// The most tokens that are read one after the other, of a text of `count`.
  func longest(of count: Int) -> Int { min(renewal?.limit ?? count, count) }

  /// Pairs of a reading and a read token, per block and head, in a text of `count` tokens.
  func pairs(of count: Int) -> Int {
    if let access { return access.pairs }
    guard let renewal else { return count * (count + 1) / 2 }
    return (0...renewal.epoch(of: max(count - 1, 0))).reduce(0) { sum, epoch in
      let rows = renewal.rows(of: epoch, until: count)
      return sum + rows * (rows + 1) / 2
    }
  }
}

/// A window that is encoded anew: epochs of a text, each of which begins with the first `sinks` tokens of the text and the `span` tokens
/// before its own. The first has as many tokens as the others have rows.
struct Renewal: Sendable, Hashable {
  let sinks: Int
  let span: Int
  let every: Int

  /// The most rows of an epoch.
  var limit: Int { sinks + span + every }

  /// The epoch that a place belongs to.
  func epoch(of place: Int) -> Int { place < limit ? 0 : 1 + (place - limit) / every }

  /// The places that an epoch's own tokens have.
  func places(of epoch: Int) -> Range<Int> {
    epoch == 0 ? 0..<limit : limit + (epoch - 1) * every..<limit + epoch * every
  }

  /// The places of the first `count` rows of an epoch.
  func window(of epoch: Int) -> (Int) -> Int {
    let first = epoch == 0 ? sinks : places(of: epoch).lowerBound - span
    return { row in row < sinks ? row : first + row - sinks }
  }

  /// The row that a place of an epoch's own has in it.
  func row(of place: Int, in epoch: Int) -> Int {
    epoch == 0 ? place : sinks + span + place - places(of: epoch).lowerBound
  }

  /// Rows of an epoch in a text of `count` tokens.
  func rows(of epoch: Int, until count: Int) -> Int {
    let own = places(of: epoch)
    return row(of: own.lowerBound, in: epoch) + own.clamped(to: 0..<max(count, 0)).count
  }
}

extension LanguageModel {
  /// What each of so many tokens reads under a plan.
  ///
  /// - Throws: `LanguageError.leavesOut` for a plan that leaves out what this model's memories have read already,
  ///   `LanguageError.tooLong` for more tokens read one after the other than training has shown, `AccessError` and `PlanError` for a
  ///   plan that says nothing about texts.
  public func reading(_ template: PlanTemplate, tokens count: Int) throws -> TextReading {
    if let renewal = template.renewal {
      for (name, value, least) in [("sinks", renewal.sinks, 0), ("span", renewal.span, 1)] where value < least
      {
        throw PlanError.outOfRange(name: name, value: value, allowed: least...Int.max)
      }
      let (sum, isTooLarge) = renewal.sinks.addingReportingOverflow(renewal.span)
      let (all, isLarger) = sum.addingReportingOverflow(renewal.every)
      guard !isTooLarge, !isLarger else { throw LanguageError.tooLong(tokens: .max, trained: trainedLength) }
      guard all <= trainedLength else { throw LanguageError.tooLong(tokens: all, trained: trainedLength) }
      return TextReading(Renewal(sinks: renewal.sinks, span: renewal.span, every: renewal.every))
    }
    guard count <= trainedLength else { throw LanguageError.tooLong(tokens: count, trained: trainedLength) }
    guard template != .sequential else { return .everything }
    let access = try Access(template, tokens: count)
    guard network.readsSubsets || access.reads.allSatisfy({ $0 == nil }) else {
      throw LanguageError.leavesOut(plan: "\(template)")
    }
    return TextReading(access)
  }
}

/// A network that reads a text as it grows, and again from where it has become another.
struct TextReader {
  private let network: TokenNetwork
  private let reading: TextReading
  private let pool: ThreadPool?
  private let capacity: Int
  private var paths: TokenNetwork.Paths
  /// Tokens that it has read.
  private var known = 0
  private var epoch = 0
  private(set) var calls = 0
  /// Tokens that went through the network.
  private(set) var encodes = 0

  /// - Parameter count: the most tokens that the text will have.
  init(_ network: TokenNetwork, _ reading: TextReading, tokens count: Int, on pool: ThreadPool?) {
    (self.network, self.reading, self.pool) = (network, reading, pool)
    capacity = reading.longest(of: count)
    paths = network.paths(capacity: capacity)
  }

  /// Tokens from a place on will be others.
  mutating func forget(from place: Int) { known = min(known, place) }

  /// Reads what it has not read, and hands over what each of the last tokens, which must be among that, says of the next.
  ///
  /// - Returns: false where `stop` said so.
  mutating func read(
    _ text: [Int32], last asked: Int, _ stop: () -> Bool, _ say: (TokenNetwork.Said) -> Void
  ) -> Bool {
    if let renewal = reading.renewal {
      // Epochs before the first token that is asked leave nothing behind.
      let first = renewal.epoch(of: max(text.count - asked, 0))
      known = max(known, renewal.places(of: first).lowerBound)
    }
    while known < text.count {
      if stop() { return false }
      let own = reading.renewal?.epoch(of: known) ?? 0
      if own != epoch { begin(own, text) }
      let most = reading.renewal?.places(of: epoch).upperBound ?? text.count
      let end = min(known + TokenNetwork.piece, text.count, most)
      let rows = (known..<end).map { place in
        TokenNetwork.Row(
          text[place], at: reading.renewal?.row(of: place, in: epoch) ?? place,
          reads: reading.access?.reads[place], asked: place >= text.count - asked)
      }
      network.read(rows[...], into: paths, on: pool) { if $0.count > 0 { say($0) } }
      known = end
      calls += 1
      encodes += rows.count
    }
    return true
  }

  /// The same, with the logits behind each of the last tokens.
  mutating func logits(
    _ text: [Int32], last asked: Int, _ stop: () -> Bool, _ say: (UnsafeBufferPointer<Float>) -> Void
  ) -> Bool {
    let vocabulary = network.vocabulary
    return read(text, last: asked, stop) { said in
      let logits = said.logits(0..<said.count)
      for row in 0..<said.count {
        say(UnsafeBufferPointer(start: logits + row * vocabulary, count: vocabulary))
      }
    }
  }

  /// Encodes what an epoch has before the first token that is not known.
  private mutating func begin(_ epoch: Int, _ text: [Int32]) {
    guard let renewal = reading.renewal else { return }
    self.epoch = epoch
    paths = network.paths(capacity: capacity)
    let (count, place) = (renewal.row(of: known, in: epoch), renewal.window(of: epoch))
    for first in stride(from: 0, to: count, by: TokenNetwork.piece) {
      let rows = (first..<min(first + TokenNetwork.piece, count)).map {
        TokenNetwork.Row(text[place($0)], at: $0)
      }
      network.read(rows[...], into: paths, on: pool) { _ in }
      calls += 1
      encodes += rows.count
    }
  }
}
