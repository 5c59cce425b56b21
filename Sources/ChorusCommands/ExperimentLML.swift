import ArgumentParser
import ChorusEvaluation
import ChorusPriors
import ChorusTables
import ChorusTensors

/// `chorus experiment lml`: what a model of multisensory causal inference is worth for an observer's answers.
struct ExperimentLML: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lml",
    abstract: "The log marginal likelihood of an observer's answers, under each ρ.",
    discussion: """
      FILE has a row a trial, with columns report (0 visual, 1 auditory), heard and seen (degrees), level (0 most \
      reliable, 1, 2) and answer (degrees). The seven parameters of an observer are integrated out, by importance \
      sampling (lml, with its standard error se) and by tempering (tempered); converged tells whether the error is \
      within --tolerance and both agree.
      """)

  @Argument(help: "Trials: CSV, TSV, JSON lines or NumPy's, also as .gz, or - for standard input.")
  var file: String

  @Option(help: "How much farther out sounds are heard than they are: numbers or fractions.")
  var stretch = "1,4/3"

  @Option(help: "The standard error to come down to, in nats.")
  var tolerance = 0.05

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var reading: ReadingOptions
  @OptionGroup var common: CommonOptions

  static let columns = [
    "stretch", "trials", "lml", "se", "tempered", "tempered_se", "effective_draws", "draws", "evaluations",
    "converged",
  ]

  func validate() throws {
    _ = try Self.stretches(stretch)
    guard tolerance > 0, tolerance.isFinite else { throw ValidationError("--tolerance must be above 0") }
  }

  func run() throws {
    try reporting {
      let trials = try CausalTrialFile.read(reading.rows(file).table(numbers: CausalTrialFile.columns))
      let writer = try RowWriter(columns: Self.columns, format: format, to: .standardOutput)
      var sampler = EvidenceSampler(
        dimensions: CausalObserver.parameterCount, bound: CausalObserver.parameterBound)
      sampler.tolerance = tolerance
      let pool = common.pool
      for (text, stretch) in try Self.stretches(stretch) {
        let found = try CausalInference.logMarginalLikelihood(
          of: trials, stretch: stretch, seed: common.seed, sampler: sampler, on: pool)
        try writer.write([
          .text(text), .integer(trials.count), .number(found.value), .number(found.standardError),
          .number(found.tempered), .number(found.temperedError), .number(found.effectiveDraws),
          .integer(found.draws), .integer(found.evaluations), .text(found.converged ? "yes" : "no"),
        ])
        try writer.flush()
        if !found.converged {
          common.say("ρ = \(text): not converged; a smaller --tolerance draws more")
        }
      }
      try writer.finish()
    }
  }

  /// Numbers or fractions above 0, with what they were written as.
  static func stretches(_ text: String) throws -> [(text: String, value: Double)] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      let parts = part.split(separator: "/", omittingEmptySubsequences: false).map {
        Double($0.trimmingCharacters(in: .whitespaces)) ?? .nan
      }
      let value = parts.count == 2 ? parts[0] / parts[1] : parts.count == 1 ? parts[0] : .nan
      guard value > 0.1, value < 10 else {
        throw ValidationError("--stretch: '\(part)' is not a number or fraction between 0.1 and 10, as 4/3")
      }
      return (part.trimmingCharacters(in: .whitespaces), value)
    }
  }
}

/// Trials of an observer as rows of a table.
enum CausalTrialFile {
  static let columns = ["report", "heard", "seen", "level", "answer"]

  static func read(_ table: Table) throws(TableError) -> [CausalObserver.Trial] {
    var values: [[Double?]] = []
    for column in columns { values.append(try table.numbers(column)) }
    var trials: [CausalObserver.Trial] = []
    for row in 0..<table.rowCount {
      let cells = values.map { $0[row] ?? .nan }
      func refused(_ column: Int, _ what: String) -> TableError {
        TableError(
          .notANumber, table.source, line: table.line(ofRow: row),
          "'\(columns[column])' is \(cells[column]); it must be \(what)")
      }
      guard let report = Int(exactly: cells[0]).flatMap(CausalObserver.Report.init) else {
        throw refused(0, "0 (visual) or 1 (auditory)")
      }
      guard let level = Int(exactly: cells[3]), CausalObserver.levels.contains(level) else {
        throw refused(3, "0, 1 or 2")
      }
      for column in [1, 2, 4] where !(abs(cells[column]) <= 180) { throw refused(column, "within ±180°") }
      trials.append(
        .init(.init(heard: cells[1], seen: cells[2], level: level), report: report, answer: cells[4]))
    }
    return trials
  }
}
