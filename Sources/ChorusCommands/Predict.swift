import ArgumentParser
import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTables
import Foundation

struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Predict values of a column from the rows that have one.",
    discussion: """
      Rows with inputs and target are the context. Predicted are the rows whose target is missing, or the points of \
      --at. Quantiles of the drawn paths go to stdout, one row a point, in the file's units; with --output the paths \
      themselves go to a file (path,row,<inputs>,<target>). The note column says what to be careful about.

      Inputs are numbers, or ISO dates (counted in days). --at FIRST..LAST/STEP takes either; the step of a date \
      grid is like 12h, 1d, 1w, 1mo or 1y. With several input columns give one grid for each, separated by commas.

      --plot draws a fan chart into a file, --show a small one on stderr; both need one input column. With \
      --functional stdout has the distribution of a number made of each whole path instead: its row "joint" is from \
      the drawn paths, its row "independent" is what values drawn each on its own would claim. The _se columns are \
      Monte-Carlo errors. share is the part of the paths that have the number: first-above:V is the input at which a \
      path first is above V, which some never are. difference is last less first, by the input.

      Plans: \(PlanTemplate.help)
      """)

  @Argument(help: "A file of rows: CSV, TSV, JSON lines, .npy or .npz, each also as .gz; or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("Input columns, separated by commas.", valueName: "col[,col]"))
  var input: String

  @Option(help: ArgumentHelp("The column to predict.", valueName: "col"))
  var target: String

  @Option(help: ArgumentHelp("Points to predict at.", valueName: "first..last/step"))
  var at: String?

  @Option(
    help: ArgumentHelp(
      "A file with the points to predict at, in columns named as --input.", valueName: "file"))
  var atFile: String?

  @Option(help: "Paths to draw; quantiles are taken over them.")
  var samples = 100

  @Option(help: "Levels between 0 and 1.")
  var quantiles = "0.05,0.5,0.95"

  @Option(
    help: ArgumentHelp(
      "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")).", valueName: "plan"))
  var plan = "sequential"

  @Option(help: "functions, gp, or a path to a .safetensors file.")
  var model = "functions"

  @Option(help: ArgumentHelp("Write the paths to this file, whole or not at all.", valueName: "paths.csv"))
  var output: String?

  @Option(help: ArgumentHelp("Draw a picture into this file.", valueName: "picture.svg|.html"))
  var plot: String?

  @Option(
    help: ArgumentHelp(
      "Units of columns in pictures; without, what a header like \"accel (g)\" has in brackets.",
      valueName: "col=unit[,col=unit]"))
  var units: String?

  @Flag(help: "Draw a small picture on the terminal (stderr).")
  var show = false

  @Option(
    help: ArgumentHelp(
      "Distributions of numbers made of a path: \(Functional.forms.joined(separator: ", ")).",
      valueName: "name[,name]"))
  var functional: String?

  @Flag(help: "Draw the noiseless curve instead of values with noise.")
  var latent = false

  @Option(help: ArgumentHelp("Refuse plans that need more arithmetic than this.", valueName: "flop"))
  var flopLimit = Posterior.flopLimit

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var reading: ReadingOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (1...10_000_000).contains(samples) else {
      throw ValidationError("--samples must be within 1...10000000")
    }
    var levels: Set<Double> = []
    for level in try numberList(quantiles, option: "--quantiles") {
      guard (0...1).contains(level) else {
        throw ValidationError("--quantiles: \(level) is not between 0 and 1")
      }
      guard levels.insert(level).inserted else {
        throw ValidationError("--quantiles: \(level) is named twice")
      }
    }
    guard flopLimit > 0 else { throw ValidationError("--flop-limit must be positive") }
    try ReadingOptions.validate(at: at, atFile: atFile, file: file)
    if let plot { try PictureFile.check(plot, option: "--plot") }
    _ = try functionals
    if output == "-" { throw ValidationError("--output needs a file; stdout carries the quantiles") }
  }

  func run() throws {
    try reporting {
      let template = try PlanTemplate(parsing: plan)
      let levels = try numberList(quantiles, option: "--quantiles")
      let functionals = try self.functionals
      let question = try Question(
        file: file, input: input, target: target, at: at, atFile: atFile, units: units, reading: reading)
      if functionals.isEmpty { try question.check(outputColumns: Self.columns(levels)) }
      if plot != nil || show, let reason = FanChart.refusal(question.selection) {
        throw InferenceError.input("\(file): \(reason)")
      }
      if let needy = functionals.first(where: \.needsOrder), question.selection.dimensions > 1 {
        throw InferenceError.input(
          "\(file): '\(needy)' goes along one input column and there are \(question.selection.dimensions)")
      }
      let (selection, data, points) = (question.selection, question.data, question.points)
      let model = try Model(named: self.model)
      let pool = common.pool
      for path in [output, plot].compactMap({ $0 }) { try checkFolder(of: path) }
      let posterior = try model.condition(on: data, pool: pool)
      let (cost, work) = try posterior.cost(at: points, plan: template, paths: samples)
      common.progress(
        "\(data.count) rows, \(points.count) points, \(samples) paths: \(cost.calls) network calls,"
          + " \((work.total / 1e9).rounded()) GFLOP")
      let count = samples
      let drawn = try posterior.sample(
        samples, at: points, plan: template, seed: common.seed, latent: latent, flopLimit: flopLimit
      ) { done in common.progress("\(done) of \(count) paths") }
      common.progress("")
      for note in drawn.notes { common.say("note: \(note)") }
      if !selection.incomplete.isEmpty {
        common.say("note: \(selection.incomplete.count) rows lack an input and were left out")
      }
      // Files first: whoever reads stdout may stop early, which ends this process.
      if let output { try write(drawn, question, to: pathWriter(output, selection)) }
      if plot != nil || show {
        let fan = FanChart(
          question: question, samples: drawn,
          subtitle: "\(samples) paths, plan \(template), model \(self.model)\(latent ? ", noiseless" : "")")
        let figure = fan.figure()
        if let plot { try PictureFile.write(figure, title: figure.charts[0].title, to: plot) }
        if show { Terminal.standardError.show(figure) }
      }
      if functionals.isEmpty {
        try writeQuantiles(drawn, question, levels)
      } else {
        let independent = try posterior.sample(
          samples, at: points, plan: .independent, seed: common.seed, latent: latent, flopLimit: flopLimit)
        let table = FunctionalTable(
          functionals: functionals, levels: levels, inputs: points, kinds: selection.kinds)
        try table.write(joint: drawn, independent: independent.paths, format: format)
      }
    }
  }

  /// The numbers asked for with `--functional`.
  private var functionals: [Functional] {
    get throws {
      try (functional?.split(separator: ",", omittingEmptySubsequences: false) ?? []).map { part in
        let name = part.trimmingCharacters(in: .whitespaces)
        guard let functional = Functional(parsing: name) else {
          throw ValidationError(
            "--functional: '\(name)' is none of \(Functional.forms.joined(separator: ", "))")
        }
        return functional
      }
    }
  }

  /// Columns of the table on stdout after the inputs.
  private static func columns(_ levels: [Double]) -> [String] {
    ["mean"] + levels.map { "q\($0)" } + ["note"]
  }

  private func writeQuantiles(_ drawn: Posterior.Samples, _ question: Question, _ levels: [Double]) throws {
    let writer = try RowWriter(
      columns: question.selection.inputs + Self.columns(levels), format: format, to: .standardOutput)
    let values = drawn.quantiles(levels)
    let means = drawn.means
    let note = drawn.notes.map(\.description).joined(separator: "; ")
    for row in 0..<question.points.count {
      try writer.write(
        question.inputCells(row) + [.number(means[row])] + values[row].map { .number($0) }
          + [note.isEmpty ? .missing : .text(note)])
    }
    try writer.finish()
  }

  private func pathWriter(_ path: String, _ selection: Selection) throws -> RowWriter {
    let columns = ["path", "row"] + selection.inputs + [selection.target]
    return try RowWriter(
      columns: columns, format: path.hasSuffix(".jsonl") ? .jsonl : .csv, to: .file(path))
  }

  private func write(
    _ drawn: Posterior.Samples, _ question: Question, to writer: RowWriter
  ) throws {
    for (path, values) in drawn.paths.enumerated() {
      for row in 0..<question.points.count {
        try writer.write(
          [.integer(path), .integer(row)] + question.inputCells(row) + [.number(values[row])])
      }
    }
    try writer.finish()
  }
}
