import ArgumentParser
import ChorusFiles
import ChorusInference
import ChorusLanguage
import ChorusModels
import ChorusPlans
import ChorusTables
import Foundation

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Say what a plan would do and cost, before anything runs.",
    discussion: """
      calls are network calls one after another, encodes the rows through the network, reads the query-key pairs for \
      each layer and head; direct_ tells how many earlier targets a target reads and effective_ how many reach it \
      through the rows it reads. Columns ending in _to_reencode, _to_sequential and _to_marginal are ratios to those \
      plans. flops_nominal counts all layers of all rows, flops_executed what the code multiplies: the last layer for \
      rows that ask only, the inputs of targets embedded once. A plan that verifies drafts is counted at its worst; \
      calls_expected is the mean for a path if a draft is accepted with the given probability. An empty context \
      counts as the one row that the network puts in its place.

      Of a language model --context are the tokens of a text that are known, and --targets those told of one \
      after another; columns are calls, encodes, reads, tokens and bytes held, and ratios to encoding everything \
      before each token anew and to one pass that reads everything.

      The targets count as equally spaced along a line, unless --inputs names a file whose columns are their \
      inputs, one row a target.

      Plans: \(PlanTemplate.forms.joined(separator: ", ")). \(PlanTemplate.help)
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case text, csv, jsonl
  }

  @Option(help: "Context rows N.")
  var context: Int

  @Option(help: "Targets K; not needed with --inputs.")
  var targets: Int?

  @Option(help: "The plan; separate several by semicolons.")
  var plan = "sequential"

  @Option(
    help: ArgumentHelp(
      "A file with the inputs of the targets, in any format that predict reads, or - for stdin.",
      valueName: "file"))
  var inputs: String?

  @Option(
    help: "functions, gp, gp-noisy, sawtooth, a path to a .safetensors file, or a language model's GGUF file."
  )
  var model = "functions"

  @Option(help: "Paths drawn side by side.")
  var paths = 1

  @Option(help: "Probability of accepting a draft, for expectations.")
  var acceptance = 0.8

  @Flag(help: "Explain the strict form of a plan that the model can not run.")
  var reencode = false

  @Option(help: "text, csv or jsonl. (default: text on a terminal, else csv)")
  var format: Format?

  @OptionGroup var reading: ReadingOptions

  func validate() throws {
    guard targets != nil || inputs != nil else { throw ValidationError("give --targets or --inputs") }
    if inputs == nil, let option = reading.given {
      throw ValidationError("\(option) is for files, and without --inputs none is read; leave it out")
    }
    guard context >= 0 else { throw ValidationError("--context must not be negative") }
    guard (0...Plan.maximumTargets).contains(targets ?? 0) else {
      throw ValidationError("--targets must be within 0...\(Plan.maximumTargets)")
    }
    guard (1...10_000_000).contains(paths) else {
      throw ValidationError("--paths must be within 1...10000000")
    }
    guard (0...1).contains(acceptance) else { throw ValidationError("--acceptance must be within 0...1") }
  }

  func run() throws {
    try reporting {
      let templates = try plan.split(separator: ";", omittingEmptySubsequences: false).map {
        try PlanTemplate(parsing: String($0))
      }
      if self.model.hasSuffix(".gguf") { return try explain(LanguageModel(path: self.model), templates) }
      let model = try Model(named: self.model)
      if model.blueprint.family == .sequence, let text = try? LanguageModel(model) {
        return try explain(text, templates)
      }
      let geometry = try self.geometry()
      let count = geometry?.targets ?? targets ?? 0
      let plans = try templates.map { template in
        try template.resolve(
          context: max(context, 1), targets: count, geometry: geometry, capability: model.network.capability,
          whenUnsupported: reencode ? .reencode : .refuse)
      }
      switch format ?? (isatty(1) == 1 ? .text : .csv) {
      case .text: try writeText(plans, model)
      case .csv: try writeRows(plans, model, .csv)
      case .jsonl: try writeRows(plans, model, .jsonl)
      }
    }
  }

  /// All columns of the file, row by row.
  private func geometry() throws -> Plan.Geometry? {
    guard let inputs else { return nil }
    let table = try reading.rows(inputs).table()
    if let targets, targets != table.rowCount {
      throw ValidationError("--targets is \(targets), but \(inputs) has \(table.rowCount) rows; leave it out")
    }
    let columns = try table.columns.map { try table.numbers($0).compactMap { $0 } }
    let rows = (0..<table.rowCount).flatMap { row in columns.map { $0[row] } }
    return try Plan.Geometry(inputs: rows, dimensions: columns.count)
  }

  private func executed(_ plan: Plan, _ work: ExecutedWork) -> Double {
    work.encode(context) + work.sample(plan, paths: paths)
  }

  private func writeRows(_ plans: [Plan], _ model: Model, _ format: TableFormat) throws {
    let work = ExecutedWork(model.network.rates)
    let columns = Plan.Explanation.columns + ["flops_executed", "note"]
    let writer = try RowWriter(columns: columns, format: format, to: .standardOutput)
    for plan in plans {
      let row = try plan.explained(rates: work.rates, paths: paths, acceptance: acceptance)
      let notes = plan.warnings(model.network.capability).joined(separator: "; ")
      try writer.write(
        row.values.map(Cell.init) + [
          .number(executed(plan, work)), notes.isEmpty ? .missing : .text(notes),
        ])
    }
    try writer.finish()
  }

  private func writeText(_ plans: [Plan], _ model: Model) throws {
    let work = ExecutedWork(model.network.rates)
    let texts = plans.map { plan in
      let megaflop = (executed(plan, work) / 1e5).rounded() / 10
      return plan.explanation(
        rates: work.rates, paths: paths, capability: model.network.capability,
        acceptance: acceptance)
        + "\nexecuted    \(megaflop) MFLOP as the code multiplies\(plan.requirements.rewind ? ", at the worst" : "")\n"
    }
    try StandardStreams.write(texts.joined(separator: "\n").utf8)
  }
}

extension Cell {
  fileprivate init(_ value: Plan.Explanation.Value) {
    switch value {
    case .text(let text): self = .text(text)
    case .integer(let integer): self = .integer(integer)
    case .number(let number): self = .number(number)
    case .missing: self = .missing
    }
  }
}
