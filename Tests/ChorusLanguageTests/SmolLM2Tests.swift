import ChorusLanguage
import ChorusTensors
import Foundation
import Testing

/// A model that people use, where its file is there: tools/fetch_smollm2 fetches it and prints its path.
@Suite(
  .enabled(
    if: SmolLM2.path != nil,
    "CHORUS_LANGUAGE_MODEL names no file; set it to what tools/fetch_smollm2 prints"))
struct SmolLM2Tests {
  private func model() throws -> LanguageModel { try LanguageModel(path: SmolLM2.path ?? "") }

  @Test func logitsAreThoseOfTheDefinition() throws {
    let model = try model()
    let tokens = Array(model.tokenizer.encode("To Sherlock Holmes she is always the woman.").tokens)
    let own = TokenNetworkTests.logits(model.network, tokens, calls: [3, 1])
    let wanted = ReferenceLlama(model.network).logits(tokens)
    let worst = zip(own, wanted).map { zip($0, $1).map { abs(Double($0) - $1) }.max() ?? .nan }.max() ?? .nan
    #expect(worst < 1e-3, "\(worst)")
    print("logits differ from float64 by at most \(worst)")
  }

  /// Both ways to S_t(c): windows that tell many pairs, and each alone, token by token.
  @Test func windowsTellWhatEachPairDoesAlone() throws {
    let model = try model()
    let text = String(
      repeating: "I had seen little of Holmes lately. My marriage had drifted us away. ", count: 3)
    let tokens = model.tokenizer.encode(text).tokens
    let passage = try Passage.spread(1, over: tokens, contexts: 24, targets: 6)[0]
    let table = try #require(try model.surprisals(passage, on: ThreadPool(threads: 2)))
    for target in [0, 3, 5] {
      for context in [1, 2, 3, 11, 24] {
        let next = 24 + target
        let alone = SurprisalTests.alone(
          model, passage.tokens[next - context..<next], next: passage.tokens[next])
        #expect(abs(table.nats[target][context - 1] - alone) < 1e-4)
      }
    }
  }

  @Test(
    .enabled(
      if: SmolLM2.tokens != nil,
      "CHORUS_LANGUAGE_TOKENS names no folder; tools/check_language.py --tokens-to makes one"))
  func tokensAreThoseOfThePackageTokenizers() throws {
    struct Sample: Decodable {
      let text: String
      let tokens: [Int32]
    }
    let tokenizer = try model().tokenizer
    let lines = try String(contentsOfFile: (SmolLM2.tokens ?? "") + "/tokens.jsonl", encoding: .utf8)
    var count = 0
    for line in lines.split(separator: "\n") {
      let sample = try JSONDecoder().decode(Sample.self, from: Data(line.utf8))
      let own = tokenizer.encode(sample.text).tokens
      #expect(own == sample.tokens, "\(sample.text.prefix(80).debugDescription)")
      count += 1
    }
    #expect(count > 10_000)
  }
}

enum SmolLM2 {
  static let path = ProcessInfo.processInfo.environment["CHORUS_LANGUAGE_MODEL"]
  static let tokens = ProcessInfo.processInfo.environment["CHORUS_LANGUAGE_TOKENS"]
}
