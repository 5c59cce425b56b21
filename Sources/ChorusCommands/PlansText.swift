import ArgumentParser
import ChorusLanguage
import ChorusPlans
import ChorusTables
import Foundation

struct ComparePlansOnText: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "text",
    abstract: "Score a text by a language model whose tokens read only what plans show them.",
    discussion: """
      The model was trained to read everything; nothing of it is changed. A row for each plan: pairs are the reads of a \
      passage per block and head and share what they are of all, nats is the mean surprisal of the scored tokens, gap what \
      it is above reading everything, token by token, with its standard error. Positions stay those of the text.
      """)

  /// Windows with and without sinks and the sparse patterns, with about as many reads each.
  static let usual = [
    "sequential", "window(sinks:0,span:16)", "window(sinks:4,span:12)", "window(sinks:4,span:16)",
    "window(sinks:1,span:19)", "window(sinks:4,span:20)", "window(sinks:4,span:32)",
    "window(sinks:4,span:64)",
    "window(sinks:0,span:64)", "window(sinks:4,span:128)", "log-sparse", "random-sparse(reads:9)",
    "random-sparse(reads:24)",
  ]

  @OptionGroup var language: LanguageOptions

  @Option(help: ArgumentHelp("The text, or - for stdin.", valueName: "file"))
  var text: String

  @Option(help: ArgumentHelp("Plans, separated by semicolons. (default: windows and sparse patterns)"))
  var plans: String?

  @Option(help: "Passages, in the middles of as many equal parts of the text.")
  var passages = 3

  @Option(help: "Tokens of a passage.")
  var tokens = 384

  @Option(help: "Tokens of a passage before the first one that is scored.")
  var lead = 64

  @Flag(help: "Read single line breaks as spaces: lines of a paragraph become one.")
  var joinLines = false

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: WorkOptions

  func validate() throws {
    guard (1...10_000).contains(passages) else {
      throw ValidationError("--passages must be within 1...10000")
    }
    guard (2...100_000).contains(tokens) else { throw ValidationError("--tokens must be within 2...100000") }
    guard (1..<tokens).contains(lead) else {
      throw ValidationError("--lead must be at least 1 and below --tokens")
    }
  }

  func run() throws {
    try reporting {
      let templates = try plans.map {
        try $0.split(separator: ";").map { try PlanTemplate(parsing: String($0)) }
      }
      let model = try language.load()
      var text = try LanguageOptions.text(self.text)
      if joinLines { text = Surprisal.joiningLines(text) }
      let comparison = try AccessComparison(
        model, text: LanguageOptions.tokens(text, model, common), passages: passages, tokens: tokens,
        lead: lead)
      Interruption.watch()
      let plans = try templates ?? Self.usual.map { try PlanTemplate(parsing: $0) }
      guard
        let rows = try comparison.rows(plans, on: common.pool, stop: { Interruption.wanted })
      else { throw ExitCode(Exit.interrupted) }
      let writer = try RowWriter(
        columns: ["plan", "pairs", "share", "nats", "nats_error", "gap", "gap_error"], format: format,
        to: .standardOutput)
      for row in rows {
        try writer.write([
          .text(row.plan.description), .integer(row.pairs), .number(row.share), .number(row.nats.value),
          .number(row.nats.error), .number(row.gap.value), .number(row.gap.error),
        ])
      }
      try writer.finish()
    }
  }
}
