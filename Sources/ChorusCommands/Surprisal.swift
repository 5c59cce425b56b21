import ArgumentParser
import ChorusLanguage
import ChorusTables
import Foundation

struct Surprisal: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "surprisal",
    abstract: "Measure how the surprisal of a text's tokens falls as their context grows, scheme by scheme.",
    discussion: """
      S_t(c) = -log p(token t | the c tokens before it), in nats, for every c up to --context and --tokens targets. One pass \
      of windows serves all pairs (context-length probing). Schemes: sequential, one token more at a time; hierarchical, \
      windows of 1, 2, 4, ... tokens; lags, the tokens at lags 1, 2, 4, ... alone, side by side. The last two hold a \
      prediction until their context has doubled.

      Rows of the output: of a scheme and a context the measures nats, change (mean |S(c) - S(before)|), signed_change, \
      rank (of the targets' curves, once for each --tolerance, which the measure's name ends with), bound (the most that the \
      rank can be), efficiency (rank at the first tolerance by change); of a scheme alone power_law and exponential (slope, with \
      the share of variance explained in place of a standard error), iterations, encodes and reads to predict one token, and \
      how many times those of refining through every length (of_refining) and of one ordinary pass (of_one_pass) that is.

      No token stands before the first of a window.
      """)

  @OptionGroup var language: LanguageOptions

  @Option(help: ArgumentHelp("The text, or - for stdin.", valueName: "file"))
  var text: String

  @Option(help: "Schemes, separated by commas: sequential, hierarchical, lags.")
  var schemes = "sequential,hierarchical"

  @Option(help: "The longest context C, in tokens.")
  var context = 256

  @Option(help: "Target tokens of a passage.")
  var tokens = 96

  @Option(help: "Passages, in the middles of as many equal parts of the text.")
  var passages = 1

  @Option(help: "Singular values count above these shares of the largest, separated by commas.")
  var tolerance = "0.01,0.001,0.0001,0.000001"

  @Flag(help: "Read single line breaks as spaces: lines of a paragraph become one.")
  var joinLines = false

  @Option(help: ArgumentHelp("Every S_t(c), as .csv or .jsonl.", valueName: "file"))
  var every: String?

  @Option(
    help: ArgumentHelp("A picture of change, rank and efficiency, as .svg or .html.", valueName: "file"))
  var plot: String?

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: WorkOptions

  func validate() throws {
    guard (2...100_000).contains(context) else {
      throw ValidationError("--context must be within 2...100000")
    }
    guard (2...100_000).contains(tokens) else { throw ValidationError("--tokens must be within 2...100000") }
    guard (1...10_000).contains(passages) else {
      throw ValidationError("--passages must be within 1...10000")
    }
    _ = try chosen()
    guard try numberList(tolerance, option: "--tolerance").allSatisfy({ $0 > 0 && $0 < 1 }) else {
      throw ValidationError("--tolerance: shares must be above 0 and below 1")
    }
    if let plot { try PictureFile.check(plot, option: "--plot") }
    var outputs = Outputs(reading: ["--text": text, "--model": language.model])
    try outputs.add(table: "--every", every)
    try outputs.add("--plot", plot)
  }

  private func chosen() throws -> [Scheme] {
    let names = schemes.split(separator: ",", omittingEmptySubsequences: false)
    let chosen = names.compactMap { Scheme(rawValue: String($0)) }
    guard chosen.count == names.count, Set(chosen).count == names.count else {
      throw ValidationError(
        "--schemes: give some of \(Scheme.allCases.map(\.rawValue).joined(separator: ", ")), each once")
    }
    return chosen
  }

  func run() throws {
    try reporting {
      let schemes = try chosen()
      let model = try language.load()
      guard context <= model.longestContext else {
        throw LanguageError.tooLong(tokens: context, trained: model.longestContext)
      }
      var text = try LanguageOptions.text(self.text)
      if joinLines { text = Self.joiningLines(text) }
      let tokens = LanguageOptions.tokens(text, model, common)
      let passages = try Passage.spread(
        self.passages, over: tokens, contexts: context, targets: self.tokens)
      common.say(
        "\(tokens.count) tokens; targets from token "
          + passages.map { String($0.first) }.joined(separator: ", ") + " on")
      Interruption.watch()
      let tables = try measure(passages, schemes, model)
      common.progress("")
      let curves = schemes.map { scheme in
        SurprisalCurve(
          scheme, (scheme == .lags ? tables.lags : tables.windows).flatMap(\.nats), contexts: context)
      }
      let report = SurprisalReport(
        curves: curves, tolerances: try numberList(tolerance, option: "--tolerance"))
      try report.write(format)
      if let every { try Self.write(tables.windows, passages, to: every) }
      if let plot { try PictureFile.write(report.figure, title: "Surprisal and context", to: plot) }
    }
  }

  private typealias Tables = (windows: [SurprisalTable], lags: [SurprisalTable])

  private func measure(_ passages: [Passage], _ schemes: [Scheme], _ model: LanguageModel) throws -> Tables {
    let pool = common.pool
    var tables: Tables = ([], [])
    let common = common
    let (needsWindows, count) = (every != nil || schemes.contains { $0 != .lags }, passages.count)
    for (index, passage) in passages.enumerated() {
      let stop: @Sendable () -> Bool = { Interruption.wanted }
      if needsWindows {
        let table = try model.surprisals(passage, on: pool, stop: stop) { share in
          common.progress("passage \(index + 1) of \(count): \(Int(100 * share)) %")
        }
        guard let table else { throw ExitCode(Exit.interrupted) }
        tables.windows.append(table)
      }
      if schemes.contains(.lags) {
        guard let table = try model.lagSurprisals(passage, on: pool, stop: stop) else {
          throw ExitCode(Exit.interrupted)
        }
        tables.lags.append(table)
      }
    }
    return tables
  }

  /// A text whose paragraphs are single lines.
  static func joiningLines(_ text: String) -> String {
    let lines = text.replacingOccurrences(of: "\r\n", with: "\n").split(
      separator: "\n", omittingEmptySubsequences: false)
    var joined = ""
    for (index, line) in lines.enumerated() {
      if index > 0 { joined += line.isEmpty || lines[index - 1].isEmpty ? "\n" : " " }
      joined += line
    }
    return joined
  }

  private static func write(_ tables: [SurprisalTable], _ passages: [Passage], to path: String) throws {
    let writer = try RowWriter(
      columns: ["passage", "position", "token", "context", "nats"],
      format: TableFormat(path: path) ?? .csv, to: .file(path))
    for (index, (table, passage)) in zip(tables, passages).enumerated() {
      for (target, row) in table.nats.enumerated() {
        for (column, nats) in row.enumerated() {
          try writer.write([
            .integer(index), .integer(passage.first + target),
            .integer(Int(passage.tokens[passage.contexts + target])), .integer(column + 1), .number(nats),
          ])
        }
      }
    }
    try writer.finish()
  }
}
