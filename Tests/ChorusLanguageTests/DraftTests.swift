import ChorusLanguageFixtures
import ChorusModels
import ChorusPlans
import ChorusStorage
import ChorusTensors
import Testing

@testable import ChorusLanguage

@Suite struct DraftTests {
  private func text(
    _ model: LanguageModel, _ prompt: [Int32], tokens: Int, _ choice: TokenChoice = .greedy,
    reading: TextReading = .everything, draft: Draft? = nil, threads: Int? = nil
  ) throws -> (tokens: [Int32], told: Continued) {
    var made: [Int32] = []
    let pool = threads.map { ThreadPool(threads: $0) }
    let told = try model.generate(
      after: prompt, tokens: tokens, by: choice, reading: reading, draft: draft, on: pool
    ) { made.append($0) }
    return (made, told)
  }

  /// A model whose texts never end, so that numbers of calls are known.
  private func endless(seed: UInt64 = 1) throws -> LanguageModel {
    var writer = TinyModel.writer(seed: seed)
    writer.set("tokenizer.ggml.eos_token_id", nil)
    return try LanguageModel(GGUF(bytes: writer.encoded(), file: "endless.gguf"))
  }

  @Test func theLikeliestTokensAreTheSameWithAnyDraft() throws {
    let (model, other) = (try TinyModel.model(), try TinyModel.model(seed: 2))
    for prompt in [[84], [84, 104, 101], Array(TokenNetworkTests.text.prefix(70))] as [[Int32]] {
      let alone = try text(model, prompt, tokens: 40)
      for length in [1, 3, 8, 64] {
        let drafted = try text(model, prompt, tokens: 40, draft: Draft(other, length: length, for: model))
        #expect(drafted.tokens == alone.tokens)
        // Another network's proposals seldom stand, but each round says a token of its own.
        #expect(drafted.told.accepted < drafted.told.proposed)
      }
      let windows = try [
        TextReading(Access(.window(sinks: 1, span: 4), tokens: prompt.count + 40)),
        model.reading(.window(sinks: 1, span: 4, renewed: 3), tokens: prompt.count + 40),
      ]
      for window in windows {
        let drafted = try text(
          model, prompt, tokens: 40, reading: window, draft: Draft(other, length: 3, for: model))
        #expect(drafted.tokens == (try text(model, prompt, tokens: 40, reading: window)).tokens)
      }
    }
  }

  /// A draft that is the model itself is always right, so draws are those without one.
  @Test func whatTheModelItselfProposesStands() throws {
    let model = try endless()
    let choice = TokenChoice(temperature: 0.9, topK: 30, seed: 5)
    let alone = try text(model, [84, 104], tokens: 41, choice)
    let drafted = try text(model, [84, 104], tokens: 41, choice, draft: Draft(model, length: 4, for: model))
    #expect(drafted.tokens == alone.tokens)
    // Eight rounds of 4 + 1 tokens, and one whose last token is the model's own.
    #expect(drafted.told.proposed == 32 && drafted.told.accepted == 32 && drafted.told.calls == 9)
    #expect(alone.told.calls == 41 && alone.told.proposed == 0)
  }

  @Test func theSameSeedGivesTheSameTextOnAnyThreads() throws {
    let (model, other) = (try TinyModel.model(), try TinyModel.model(seed: 2))
    let draft = try Draft(other, length: 3, for: model)
    let choice = TokenChoice(temperature: 1.5, topP: 0.95, seed: 7)
    let prompt = Array(TokenNetworkTests.text.prefix(20))
    let first = try text(model, prompt, tokens: 30, choice, draft: draft)
    #expect(first.told.accepted > 0 && first.told.accepted < first.told.proposed)
    for threads in 1...3 {
      #expect(try text(model, prompt, tokens: 30, choice, draft: draft, threads: threads) == first)
    }
  }

  /// The first and the second token behind a prompt come as often as the model's law says, by many seeds, whatever proposes them:
  /// here a draft whose laws are other ones.
  @Test func drawsHaveTheLawOfTheModel() throws {
    let (model, other) = (try endless(), try endless(seed: 2))
    let draft = try Draft(other, length: 2, for: model)
    let prompt: [Int32] = [84, 104]
    let choice = TokenChoice(temperature: 3, topK: 60)
    func law(_ tokens: [Int32]) -> [Double] {
      let logits = TokenNetworkTests.logits(model.network, tokens, calls: [tokens.count])[tokens.count - 1]
      return logits.withUnsafeBufferPointer { choice.law($0).probabilities }
    }
    let first = law(prompt)
    var second = [Double](repeating: 0, count: first.count)
    for (token, p) in first.enumerated() where p > 0 {
      for (next, q) in law(prompt + [Int32(token)]).enumerated() { second[next] += p * q }
    }
    let draws = 4000
    var found = [[Int]](repeating: [Int](repeating: 0, count: first.count), count: 2)
    var (accepted, proposed) = (0, 0)
    for seed in 0..<draws {
      var own = choice
      own.seed = UInt64(seed)
      let drawn = try text(model, prompt, tokens: 3, own, draft: draft)
      for place in 0..<2 { found[place][Int(drawn.tokens[place])] += 1 }
      accepted += drawn.told.accepted
      proposed += drawn.told.proposed
    }
    #expect(accepted > 0 && accepted < proposed)
    for (found, wanted) in zip(found, [first, second]) {
      #expect(zip(found, wanted).allSatisfy { $0 == 0 || $1 > 0 })
      // Chi-squared over tokens that are expected five times or more, the others as one: far above its mean once in many
      // thousand runs, and seeds are fixed.
      let common = wanted.indices.filter { wanted[$0] * Double(draws) >= 5 }
      let rare = (
        Double(draws - common.reduce(0) { $0 + found[$1] }),
        Double(draws) * (1 - common.reduce(0) { $0 + wanted[$1] })
      )
      let cells = common.map { (Double(found[$0]), Double(draws) * wanted[$0]) } + (rare.1 > 5 ? [rare] : [])
      let distance = cells.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) / $1.1 }
      let freedom = Double(cells.count - 1)
      #expect(
        freedom > 10 && distance < freedom + 5 * (2 * freedom).squareRoot(), "\(distance) of \(freedom)")
    }
  }

  @Test func draftsThatCannotPropose() throws {
    let model = try TinyModel.model()
    var writer = TinyModel.writer()
    writer.set("tokenizer.ggml.merges", .list(TinyModel.merges.dropLast().map { .text($0) }))
    let other = try LanguageModel(GGUF(bytes: writer.encoded(), file: "other.gguf"))
    #expect(throws: LanguageError.self) { try Draft(other, length: 4, for: model) }
    #expect(throws: LanguageError.self) { try Draft(model, length: 0, for: model) }
    writer = TinyModel.writer()
    writer.set("llama.context_length", .integer(16))
    let short = try LanguageModel(GGUF(bytes: writer.encoded(), file: "short.gguf"))
    let draft = try Draft(short, length: 4, for: model)
    #expect(throws: LanguageError.tooLong(tokens: 21, trained: 16)) {
      try text(model, [1], tokens: 20, draft: draft)
    }
  }
}
