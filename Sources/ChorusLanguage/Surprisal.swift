import ChorusTensors
import Foundation
import Synchronization

/// Surprisals S_t(c) = −log p(x_t | the c tokens before it), in nats, for all context lengths c = 1...C of some targets t, by
/// context-length probing (Cífka & Liutkus 2023): a window of tokens that begins at s and is read once tells, with every one of
/// its rows, the surprisal of another target under another context length.
public struct SurprisalTable: Sendable {
  /// `[targets][C]`: entry c − 1 is S_t(c).
  public let nats: [[Double]]
  /// Tokens that went through the network.
  public let encoded: Int
  /// Windows that were read.
  public let windows: Int

  public var contexts: Int { nats.first?.count ?? 0 }
}

/// One run of targets in a text, with the tokens before it.
public struct Passage: Sendable, Hashable {
  /// C tokens and then the targets.
  public let tokens: [Int32]
  /// C.
  public let contexts: Int
  /// Where the first target is among the tokens of the text.
  public let first: Int
  public var targets: Int { tokens.count - contexts }

  public init(_ tokens: [Int32], contexts: Int, first: Int) {
    (self.tokens, self.contexts, self.first) = (tokens, contexts, first)
  }

  /// `count` passages in the middles of as many equal parts of a text.
  public static func spread(
    _ count: Int, over text: [Int32], contexts: Int, targets: Int
  ) throws(LanguageError) -> [Passage] {
    let length = contexts + targets
    guard text.count >= length else { throw .tooShort(tokens: text.count, needed: length) }
    return (0..<count).map { part in
      let start = Int((Double(part) + 0.5) / Double(count) * Double(text.count - length))
      return Passage(
        Array(text[start..<start + length]), contexts: contexts, first: start + contexts)
    }
  }
}

extension LanguageModel {
  /// Reads short sequences side by side and tells the surprisals that were asked for.
  private struct Batch: Sendable {
    /// The token before each sequence: the one that begins a text, where the model has seen every text begin with it.
    let start: Int32?
    var rows: [TokenNetwork.Row] = []
    var paths = 0
    var longest = 0
    /// Of the rows asked for: the token that follows, and where its surprisal belongs.
    var next: [Int32] = []
    var places: [(target: Int, column: Int)] = []

    init(_ start: Int32?) { self.start = start }

    /// - Parameter asked: for a row of the sequence the token that follows and where its surprisal belongs.
    mutating func add(
      _ tokens: some Collection<Int32>, asked: (Int) -> (token: Int32, target: Int, column: Int)?
    ) {
      let first = start == nil ? 0 : 1
      if let start { rows.append(TokenNetwork.Row(start, at: 0, path: paths, asked: false)) }
      for (place, token) in tokens.enumerated() {
        let question = asked(place)
        rows.append(TokenNetwork.Row(token, at: first + place, path: paths, asked: question != nil))
        if let question {
          next.append(question.token)
          places.append((question.target, question.column))
        }
      }
      paths += 1
      longest = max(longest, first + tokens.count)
    }
  }

  /// Tokens that go through the network in one call, as long as windows allow.
  private static let callRows = 256

  /// The longest context that training has shown; the token that begins a text has a place of its own.
  public var longestContext: Int { trainedLength - (tokenizer.start == nil ? 0 : 1) }

  /// S_t(c) of a passage. The token that begins a text, where the model has one, is before every window and is not counted.
  ///
  /// - Parameters:
  ///   - stop: asked before every call of the network; the table is nil then.
  ///   - progress: gets the share that is done.
  public func surprisals(
    _ passage: Passage, on pool: ThreadPool, stop: @escaping @Sendable () -> Bool = { false },
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws -> SurprisalTable? {
    let (contexts, targets, tokens) = (passage.contexts, passage.targets, passage.tokens)
    guard contexts <= longestContext else {
      throw LanguageError.tooLong(tokens: contexts, trained: longestContext)
    }
    var batches = [Batch(tokenizer.start)]
    // The window from `start` on ends with its C-th token, or with the last one that has a target behind it.
    for start in 0..<contexts + targets - 1 {
      if batches[batches.count - 1].rows.count >= Self.callRows {
        batches.append(Batch(tokenizer.start))
      }
      let end = min(start + contexts, contexts + targets - 1)
      batches[batches.count - 1].add(tokens[start..<end]) { place in
        let target = start + place + 1 - contexts
        return target >= 0 ? (tokens[start + place + 1], target, place) : nil
      }
    }
    guard let nats = try run(batches, targets, contexts, pool, stop, progress) else { return nil }
    return SurprisalTable(
      nats: nats, encoded: batches.reduce(0) { $0 + $1.rows.count }, windows: contexts + targets - 1)
  }

  /// The surprisals of a passage's targets from tokens at lags 1, 2, 4, … 2^l alone, put side by side: `[targets][l]`.
  public func lagSurprisals(
    _ passage: Passage, on pool: ThreadPool, stop: @escaping @Sendable () -> Bool = { false }
  ) throws -> SurprisalTable? {
    let (tokens, levels) = (passage.tokens, Levels.count(passage.contexts))
    var batches = [Batch(tokenizer.start)]
    for target in 0..<passage.targets {
      let next = passage.contexts + target
      for level in 0..<levels {
        if batches[batches.count - 1].rows.count >= Self.callRows {
          batches.append(Batch(tokenizer.start))
        }
        let sequence = (0...level).reversed().map { tokens[next - 1 << $0] }
        batches[batches.count - 1].add(sequence) { place in
          place == level ? (tokens[next], target, level) : nil
        }
      }
    }
    guard let nats = try run(batches, passage.targets, levels, pool, stop, { _ in }) else { return nil }
    return SurprisalTable(
      nats: nats, encoded: batches.reduce(0) { $0 + $1.rows.count }, windows: passage.targets * levels)
  }

  private func run(
    _ batches: [Batch], _ targets: Int, _ columns: Int, _ pool: ThreadPool,
    _ stop: @escaping @Sendable () -> Bool, _ progress: @escaping @Sendable (Double) -> Void
  ) throws -> [[Double]]? {
    let done = Atomic<Int>(0)
    let all: [[Double]?] = try pool.map(batches.count) { index in
      if stop() { return nil }
      let batch = batches[index]
      let found = network.read(
        batch.rows[...], into: network.paths(batch.paths, capacity: batch.longest), on: nil
      ) { $0.logProbabilities(of: batch.next) }
      let count = done.wrappingAdd(1, ordering: .relaxed).newValue
      progress(Double(count) / Double(batches.count))
      return found
    }
    var nats = [[Double]](repeating: [Double](repeating: .nan, count: columns), count: targets)
    for (batch, found) in zip(batches, all) {
      guard let found else { return nil }
      for (place, value) in zip(batch.places, found) { nats[place.target][place.column] = -value }
    }
    return nats
  }
}

/// Windows that double: level l has the 2^l tokens before a target.
public enum Levels {
  /// Levels up to a context of C tokens: ⌊log₂ C⌋ + 1.
  public static func count(_ contexts: Int) -> Int {
    Int.bitWidth - max(contexts, 0).leadingZeroBitCount
  }
}
