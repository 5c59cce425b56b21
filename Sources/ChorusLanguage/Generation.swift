import ChorusLayers
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
    let (tokens, weights) = kept(logits)
    var stream = RandomStream(seed: seed, 0x70CE, UInt64(place))
    var rest = stream.uniform() * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return Int32(tokens[index]) }
    }
    return Int32(tokens[weights.lastIndex { $0 > 0 } ?? 0])
  }

  /// The tokens that may be drawn, with their weights.
  private func kept(_ logits: UnsafeBufferPointer<Float>) -> (tokens: [Int], weights: [Double]) {
    let top = logits.max() ?? 0
    var tokens = Array(logits.indices)
    if topK != nil || topP != nil {
      tokens.sort { (logits[$0], $1) > (logits[$1], $0) }
      if let topK { tokens = Array(tokens.prefix(topK)) }
    }
    var weights = tokens.map { exp(Double(logits[$0] - top) / temperature) }
    if let topP {
      let enough = topP * weights.reduce(0, +)
      var (count, sum) = (0, 0.0)
      while count < weights.count, sum < enough || count == 0 {
        sum += weights[count]
        count += 1
      }
      weights = Array(weights.prefix(count))
    }
    return (tokens, weights)
  }

  /// The law that `token` draws from: without what is cut off, and at temperature 0 of one token alone.
  public func law(_ logits: UnsafeBufferPointer<Float>) -> Categorical {
    var kept = [Double](repeating: -.infinity, count: logits.count)
    if temperature > 0 {
      let (tokens, weights) = self.kept(logits)
      for (token, weight) in zip(tokens, weights) { kept[token] = log(weight) }
    } else {
      kept[Int(token(logits, at: 0))] = 0
    }
    return Categorical(logits: kept)
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
