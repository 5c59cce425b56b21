import ChorusLanguageFixtures
import ChorusPlans
import ChorusStorage
import ChorusTensors
import Testing

@testable import ChorusLanguage

/// What going on with a text costs, beside what a reader does.
@Suite struct ReadingCostTests {
  static let plans = [
    "sequential", "window(sinks:2,span:6)", "log-sparse", "window(sinks:2,span:5,renewed:4)",
    "window(sinks:0,span:3,renewed:1)", "window(sinks:1,span:1,renewed:7)",
  ]

  @Test(arguments: plans, [(1, 1), (1, 30), (12, 9), (25, 20)])
  func countsAreThoseOfAReader(_ plan: String, _ sizes: (context: Int, tokens: Int)) throws {
    let model = try LanguageModel(GGUF(bytes: TinyModel.writer().encoded(), file: "tiny.gguf"))
    let template = try PlanTemplate(parsing: plan)
    let cost = try model.cost(template, context: sizes.context, tokens: sizes.tokens)
    let count = sizes.context + sizes.tokens - 1
    let text = (0..<count).map { TokenNetworkTests.text[$0 % TokenNetworkTests.text.count] }

    var reader = TextReader(
      model.network, try model.reading(template, tokens: count), tokens: count, on: nil)
    var (said, known) = (0, sizes.context)
    while known <= count {
      let isRead = reader.read(
        Array(text.prefix(known)), last: 1, { false }, { said += $0.count })
      #expect(isRead)
      known += 1
    }
    #expect(said == sizes.tokens)
    #expect(cost.calls == reader.calls)
    #expect(cost.encodes == reader.encodes)
    #expect(cost.flops > Double(cost.encodes) * model.network.rates.row)
    #expect(cost.stateBytes == model.network.bytes(capacity: cost.peakRows))
  }

  @Test func ratiosAreThoseOfTheDefinition() throws {
    let model = try LanguageModel(GGUF(bytes: TinyModel.writer().encoded(), file: "tiny.gguf"))
    let cost = try model.cost(.sequential, context: 3, tokens: 4)
    // Lengths 3, 4, 5 and 6 are encoded anew; at the end six tokens have been read.
    #expect(cost.reencoding == .init(calls: 4, encodes: 18, reads: 6 + 10 + 15 + 21))
    #expect(cost.reading == .init(calls: 4, encodes: 6, reads: 21))
    #expect((cost.encodes, cost.reads) == (6, 21))
    let window = try model.cost(PlanTemplate(parsing: "window(sinks:1,span:2)"), context: 3, tokens: 4)
    #expect(window.reads < 21 && window.encodes == 6)
    #expect(throws: LanguageError.self) { try model.cost(.sequential, context: 0, tokens: 4) }
    #expect(throws: LanguageError.self) {
      try model.cost(.sequential, context: model.trainedLength, tokens: 2)
    }
  }
}
