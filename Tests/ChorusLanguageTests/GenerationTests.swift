import ChorusLanguageFixtures
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLanguage

@Suite struct GenerationTests {
  private func text(
    _ model: LanguageModel, _ prompt: [Int32], tokens: Int = 20, _ choice: TokenChoice = .greedy,
    reading: TextReading = .everything, threads: Int? = nil
  ) throws -> [Int32] {
    var made: [Int32] = []
    let pool = threads.map { ThreadPool(threads: $0) }
    _ = try model.generate(after: prompt, tokens: tokens, by: choice, reading: reading, on: pool) {
      made.append($0)
    }
    return made
  }

  @Test func greedyTakesTheLikeliestEachTime() throws {
    let model = try TinyModel.model()
    var known: [Int32] = [84, 104, 101]
    let made = try text(model, known)
    for token in made {
      let logits = TokenNetworkTests.logits(model.network, known, calls: [known.count])
      #expect(logits[known.count - 1].firstIndex(of: logits[known.count - 1].max() ?? 0) == Int(token))
      known.append(token)
    }
    #expect(!made.isEmpty)
    #expect(try text(model, [84, 104, 101], TokenChoice(temperature: 1, topK: 1)) == made)
  }

  @Test func theSameSeedGivesTheSameTextOnAnyThreads() throws {
    let model = try TinyModel.model()
    let prompt = Array(TokenNetworkTests.text.prefix(70))
    let choice = TokenChoice(temperature: 0.8, topK: 40, topP: 0.95, seed: 7)
    let first = try text(model, prompt, choice)
    for threads in 1...3 { #expect(try text(model, prompt, choice, threads: threads) == first) }
    var other = choice
    other.seed = 8
    #expect(try text(model, prompt, other) != first)
    // A plan that sees everything is no plan; one that sees little writes something else.
    let all = try Access(.sequential, tokens: 90)
    #expect(try text(model, prompt, choice, reading: TextReading(all)) == first)
    let window = try Access(.window(sinks: 1, span: 3), tokens: 90)
    #expect(try text(model, prompt, choice, reading: TextReading(window)) != first)
  }

  /// Tokens come as often as their probabilities say, of those that are left.
  @Test func tokensAreDrawnByTheirLaw() {
    let logits: [Float] = [1, 3, 2, 0, -50]
    func shares(_ choice: TokenChoice) -> [Double] {
      var counts = [Double](repeating: 0, count: 5)
      for place in 0..<20_000 {
        let token = logits.withUnsafeBufferPointer { choice.token($0, at: place) }
        counts[Int(token)] += 1 / 20_000
      }
      return counts
    }
    func law(_ kept: [Int], _ temperature: Double) -> [Double] {
      let total = kept.reduce(0) { $0 + exp(Double(logits[$1]) / temperature) }
      return logits.indices.map { kept.contains($0) ? exp(Double(logits[$0]) / temperature) / total : 0 }
    }
    let cases: [(TokenChoice, [Double])] = [
      (TokenChoice(temperature: 1), law([0, 1, 2, 3, 4], 1)),
      (TokenChoice(temperature: 2), law([0, 1, 2, 3, 4], 2)),
      (TokenChoice(temperature: 1, topK: 2), law([1, 2], 1)),
      (TokenChoice(temperature: 1, topP: 0.7), law([1, 2], 1)),
      (TokenChoice(temperature: 1, topP: 0.01), law([1], 1)),
      (TokenChoice(temperature: 1, topK: 3, topP: 1), law([0, 1, 2], 1)),
    ]
    for (choice, wanted) in cases {
      for (share, p) in zip(shares(choice), wanted) {
        let error = (p * (1 - p) / 20_000).squareRoot()
        #expect(abs(share - p) < 4.5 * error + 1e-9)
      }
    }
    let tie: [Float] = [0, 2, 2]
    #expect(tie.withUnsafeBufferPointer { TokenChoice.greedy.token($0, at: 0) } == 1)
  }

  @Test func whatEndsAText() throws {
    let model = try TinyModel.model()
    var made = 0
    let stopped = try model.generate(
      after: [1, 2], tokens: 20, stop: { made == 3 }, emit: { _ in made += 1 })
    #expect(stopped.ending == .stopped && made == 3)
    #expect(throws: LanguageError.tooLong(tokens: 129, trained: 128)) {
      try text(model, [1], tokens: 128)
    }
    #expect(throws: LanguageError.self) { try text(model, []) }
    // A model whose every token is followed by the end of the text.
    var writer = TinyModel.writer()
    let likeliest = try #require(try text(model, [1, 2], tokens: 1).first)
    writer.set("tokenizer.ggml.eos_token_id", .integer(Int(likeliest)))
    let ending = try LanguageModel(.init(bytes: writer.encoded(), file: "t"))
    #expect(try ending.generate(after: [1, 2], tokens: 9) { _ in made += 1 }.ending == .endOfText)
    #expect(made == 3)
  }
}
