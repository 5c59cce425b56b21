import ChorusLanguageFixtures
import ChorusModels
import ChorusPlans
import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLanguage

/// Windows of a text that are encoded anew.
@Suite struct RenewalTests {
  /// A model that ends no text.
  private func endless() throws -> LanguageModel {
    var writer = TinyModel.writer()
    writer.set("tokenizer.ggml.eos_token_id", nil)
    return try LanguageModel(GGUF(bytes: writer.encoded(), file: "endless.gguf"))
  }

  /// What is read of a text when its last token is, by the definition: the first tokens, so many before the epoch, and the epoch's.
  private func window(_ text: [Int32], _ renewal: Renewal) -> [Int32] {
    var (begin, end) = (0, renewal.limit)
    while text.count > end { (begin, end) = (end, end + renewal.every) }
    return begin == 0 ? text : Array(text.prefix(renewal.sinks) + text[(begin - renewal.span)...])
  }

  @Test(arguments: [(2, 5, 4), (0, 3, 1), (1, 1, 7), (4, 40, 20)])
  func eachTokenReadsItsWindowEncodedAnew(sinks: Int, span: Int, every: Int) throws {
    let model = try endless()
    let renewal = Renewal(sinks: sinks, span: span, every: every)
    var text = Array(TokenNetworkTests.text.prefix(renewal.limit > 50 ? 70 : 9))
    var made: [Int32] = []
    _ = try model.generate(after: text, tokens: 3 * every + span, reading: TextReading(renewal)) {
      made.append($0)
    }
    #expect(made.count > every)
    for token in made {
      let seen = window(text, renewal)
      #expect(seen.count <= renewal.limit)
      let logits = TokenNetworkTests.logits(model.network, seen, calls: [seen.count])
      let last = try #require(logits.last)
      #expect(last.firstIndex(of: last.max() ?? 0) == Int(token), "\(text.count)")
      text.append(token)
    }
  }

  @Test func pairsAreThoseOfItsWindows() {
    let renewal = Renewal(sinks: 2, span: 3, every: 4)
    for count in 1...40 {
      // Of each epoch the rows of its last token, all of which were encoded.
      var (pairs, end) = (0, 0)
      while end < count {
        end = min(end == 0 ? renewal.limit : end + renewal.every, count)
        let rows = window([Int32](repeating: 0, count: end), renewal).count
        pairs += rows * (rows + 1) / 2
      }
      #expect(TextReading(renewal).pairs(of: count) == pairs, "\(count)")
    }
    #expect(TextReading.everything.pairs(of: 5) == 15)
  }

  @Test("A text may become longer than training has shown, and any memory can take it")
  func goesOnWithoutEnd() throws {
    let model = try endless()
    let template = try PlanTemplate(parsing: "window(sinks:1, span:20, renewed:10)")
    #expect(template == .window(sinks: 1, span: 20, renewed: 10))
    #expect("\(template)" == "window(sinks:1,span:20,renewed:10)")
    var made: [Int32] = []
    let reading = try model.reading(template, tokens: 400)
    _ = try model.generate(after: [84, 104], tokens: 300, reading: reading) { made.append($0) }
    #expect(made.count == 300)
    // Of a long prompt only what the last window has is read.
    let long = (0..<2_000).map { TokenNetworkTests.text[$0 % 90] }
    let told = try model.generate(after: long, tokens: 1, reading: reading) { _ in }
    #expect(told.calls <= 2)
    #expect(throws: LanguageError.tooLong(tokens: 400, trained: 128)) {
      try model.reading(.sequential, tokens: 400)
    }
    #expect(throws: LanguageError.tooLong(tokens: 129, trained: 128)) {
      try model.reading(.window(sinks: 1, span: 120, renewed: 8), tokens: 10)
    }
    #expect(throws: PlanError.outOfRange(name: "span", value: -9, allowed: 1...Int.max)) {
      try model.reading(.window(sinks: 1, span: -9, renewed: 3), tokens: 10)
    }
    #expect(throws: LanguageError.self) {
      try model.reading(.window(sinks: .max, span: .max, renewed: .max), tokens: 10)
    }
  }

  @Test func plansOfFunctionsRefuseIt() throws {
    #expect(throws: PlanError.self) {
      try PlanTemplate.window(sinks: 1, span: 2, renewed: 3).resolve(context: 4, targets: 6)
    }
    #expect(throws: PlanTextError.self) { try PlanTemplate(parsing: "window(sinks:1,span:2,renewed:-1)") }
    #expect(try PlanTemplate(parsing: "window(sinks:1,span:2,renewed:0)") == .window(sinks: 1, span: 2))
  }
}
