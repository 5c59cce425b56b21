import ChorusModels
import ChorusTensors
import Foundation

/// How the next token is chosen from its law.
public struct TokenChoice: Sendable, Hashable {
  /// What logits are divided by; 0 takes the likeliest token.
  public var temperature: Double
  /// Only so many of the likeliest tokens; nil for all.
  public var topK: Int?
  /// Only the likeliest tokens that together have at least this probability; nil for all.
  public var topP: Double?
  public var seed: UInt64

  public static let greedy = TokenChoice(temperature: 0)

  public init(temperature: Double, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0) {
    (self.temperature, self.topK, self.topP, self.seed) = (temperature, topK, topP, seed)
  }

  /// The token at `place` of a text: a function of the logits, the seed and the place. Of equal logits the lowest token counts
  /// as likelier.
  public func token(_ logits: UnsafeBufferPointer<Float>, at place: Int) -> Int32 {
    guard temperature > 0 else {
      var best = 0
      for token in logits.indices where logits[token] > logits[best] { best = token }
      return Int32(best)
    }
    let top = logits.max() ?? 0
    func weight(_ token: Int) -> Double { exp(Double(logits[token] - top) / temperature) }
    var tokens = Array(logits.indices)
    if topK != nil || topP != nil {
      tokens.sort { (logits[$0], $1) > (logits[$1], $0) }
      if let topK { tokens = Array(tokens.prefix(topK)) }
    }
    var weights = tokens.map(weight)
    if let topP {
      let enough = topP * weights.reduce(0, +)
      var (count, sum) = (0, 0.0)
      while count < weights.count, sum < enough || count == 0 {
        sum += weights[count]
        count += 1
      }
      weights = Array(weights.prefix(count))
    }
    var stream = RandomStream(seed: seed, 0x70CE, UInt64(place))
    var rest = stream.uniform() * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return Int32(tokens[index]) }
    }
    return Int32(tokens[weights.lastIndex { $0 > 0 } ?? 0])
  }
}

extension LanguageModel {
  /// Why a text that was going on has ended.
  public enum Ending: Sendable, Equatable { case endOfText, enoughTokens, stopped }

  /// Goes on with a text, token by token.
  ///
  /// - Parameters:
  ///   - prompt: at least one token.
  ///   - count: the most tokens to add.
  ///   - access: what each token reads, of at least prompt + count tokens; nil for everything before it.
  ///   - stop: asked before every call of the network.
  ///   - emit: gets each token as soon as it is chosen.
  public func generate(
    after prompt: [Int32], tokens count: Int, by choice: TokenChoice = .greedy, access: Access? = nil,
    on pool: ThreadPool? = nil, stop: () -> Bool = { false }, emit: (Int32) throws -> Void
  ) throws -> Ending {
    guard !prompt.isEmpty else { throw LanguageError.tooShort(tokens: 0, needed: 1) }
    guard prompt.count + count <= trainedLength else {
      throw LanguageError.tooLong(tokens: prompt.count + count, trained: trainedLength)
    }
    let paths = network.paths(capacity: prompt.count + count)
    var waiting = prompt[...]
    var place = 0
    for _ in 0..<count {
      var next: Int32?
      while next == nil {
        if stop() { return .stopped }
        let piece = waiting.prefix(TokenNetwork.piece)
        waiting = waiting.dropFirst(piece.count)
        let rows = piece.enumerated().map { index, token in
          TokenNetwork.Row(
            token, at: place + index, reads: access?.reads[place + index],
            asked: waiting.isEmpty && index == piece.count - 1)
        }
        place += piece.count
        next = network.read(rows[...], into: paths, on: pool) { said in
          guard said.count > 0 else { return nil }
          let logits = UnsafeBufferPointer(start: said.logits(0..<1), count: network.vocabulary)
          return choice.token(logits, at: place)
        }
      }
      guard let next else { break }
      if next == tokenizer.end { return .endOfText }
      try emit(next)
      waiting = [next]
    }
    return .enoughTokens
  }
}

/// Bytes of tokens in whole characters: what ends inside of one waits for the next token.
public struct CharacterStream: Sendable {
  private var held: [UInt8] = []

  public init() {}

  /// Takes bytes in and gives those of complete characters.
  public mutating func take(_ bytes: [UInt8]) -> [UInt8] {
    held += bytes
    // A character's first byte tells how many there are; at most three bytes can be of an unfinished one.
    var complete = held.count
    for back in 1...3 where back <= held.count {
      let byte = held[held.count - back]
      guard byte & 0xC0 != 0x80 else { continue }
      let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
      if length > back { complete = held.count - back }
      break
    }
    defer { held.removeFirst(complete) }
    return Array(held.prefix(complete))
  }

  /// What is left of an unfinished character.
  public mutating func finish() -> [UInt8] {
    defer { held = [] }
    return held
  }
}
