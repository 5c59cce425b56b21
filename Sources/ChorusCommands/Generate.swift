import ArgumentParser
import ChorusFiles
import ChorusLanguage
import ChorusModels
import ChorusPlans
import Foundation

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Go on with a text, by a language model.",
    discussion: """
      What comes after the prompt goes to stdout as it is made. By default the likeliest token is taken each time; with \
      --temperature tokens are drawn, the same ones for the same --seed on any number of threads.

      --plan says what each token reads of those before it: sequential (everything), window(sinks:4,span:64), log-sparse, \
      random-sparse(reads:32). Positions stay those of the text. window(sinks:4,span:64,renewed:32) encodes what is in the window \
      anew every 32 tokens: nothing of what has left it remains, any memory can take it, and the text may become longer than \
      training has shown. Plans that take their targets in another order than a text has are refused.

      --draft names a smaller or more coarsely quantised model with the same tokens. It proposes --draft-tokens tokens, and \
      --model verifies them in one call: what is written has the same law as without, and the likeliest tokens are the same \
      ones. It pays where proposals are cheap and mostly stand; stderr tells how many did.
      """)

  @OptionGroup var language: LanguageOptions

  @Option(help: "The text to go on with.")
  var prompt: String?

  @Option(help: ArgumentHelp("A file with the text to go on with, or - for stdin.", valueName: "file"))
  var promptFile: String?

  @Option(help: "The most tokens to add.")
  var tokens = 64

  @Option(help: "What logits are divided by before a token is drawn; 0 takes the likeliest.")
  var temperature = 0.0

  @Option(help: "Draw from so many of the likeliest tokens only.")
  var topK: Int?

  @Option(help: "Draw from the likeliest tokens that together have this probability only.")
  var topP: Double?

  @Option(help: "What each token reads.")
  var plan = "sequential"

  @Option(help: ArgumentHelp("A model that proposes tokens, for --model to verify.", valueName: "file"))
  var draft: String?

  @Option(help: "Tokens that --draft proposes at a time; 4 by default.")
  var draftTokens: Int?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (prompt == nil) != (promptFile == nil) else {
      throw ValidationError("give --prompt or --prompt-file")
    }
    guard (1...1_000_000).contains(tokens) else {
      throw ValidationError("--tokens must be within 1...1000000")
    }
    guard temperature >= 0, temperature <= 100 else {
      throw ValidationError("--temperature must be within 0...100")
    }
    if let topK, topK < 1 { throw ValidationError("--top-k must be at least 1") }
    if let topP, !(topP > 0 && topP <= 1) {
      throw ValidationError("--top-p must be above 0 and at most 1")
    }
    if let draftTokens, !(1...64).contains(draftTokens) {
      throw ValidationError("--draft-tokens must be within 1...64")
    }
    if draftTokens != nil, draft == nil {
      throw ValidationError("--draft-tokens is for --draft; give it too")
    }
    if temperature == 0, topK != nil || topP != nil {
      throw ValidationError("--top-k and --top-p are for drawn tokens; give --temperature too")
    }
  }

  func run() throws {
    try reporting {
      let template = try PlanTemplate(parsing: plan)
      let text = try promptFile.map { try LanguageOptions.text($0) } ?? prompt ?? ""
      let model = try language.load()
      let given = LanguageOptions.tokens(text, model, common)
      let length = given.count + tokens
      let reading = try model.reading(template, tokens: length)
      let drafting = try draft.map {
        try Draft(LanguageModel(path: $0), length: draftTokens ?? 4, for: model)
      }
      Interruption.watch()
      let choice = TokenChoice(temperature: temperature, topK: topK, topP: topP, seed: common.seed)
      let clock = ContinuousClock()
      let start = clock.now
      var (first, count, characters): (ContinuousClock.Instant?, Int, CharacterStream) = (nil, 0, .init())
      let told = try model.generate(
        after: given, tokens: tokens, by: choice, reading: reading, draft: drafting, on: common.pool,
        stop: { Interruption.wanted }
      ) { token in
        first = first ?? clock.now
        count += 1
        try StandardStreams.write(characters.take(model.tokenizer.bytes(of: [token])))
      }
      try StandardStreams.write(characters.finish() + [UInt8(ascii: "\n")])
      let read = start.duration(to: first ?? clock.now) / .seconds(1)
      let made = (first ?? clock.now).duration(to: clock.now) / .seconds(1)
      common.say(
        "\(given.count) tokens read in \(Self.words(given.count, read)), "
          + "\(count) made in \(Self.words(max(count - 1, 0), made))"
          + (told.ending == .endOfText ? "; the text has ended" : ""))
      if drafting != nil {
        common.say(
          "\(told.accepted) of \(told.proposed) proposed tokens stand"
            + String(format: " (%.0f %%)", 100 * Double(told.accepted) / Double(max(told.proposed, 1)))
            + "; \(told.calls) calls of the model and \(told.draftCalls) of the draft")
      }
      if told.ending == .stopped { throw ExitCode(Exit.interrupted) }
    }
  }

  private static func words(_ count: Int, _ seconds: Double) -> String {
    String(format: "%.2f s (%.1f a second)", seconds, Double(count) / max(seconds, 1e-9))
  }
}
