import ArgumentParser
import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusReports
import ChorusTables
import ChorusTensors
import Foundation
import Synchronization

struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Predict values of a column from the rows that have one.",
    discussion: """
      Rows with inputs and target are the context. Predicted are the rows whose target is missing, --horizon steps \
      after the last row, or the points of --at or --at-file. Without --input and --target the column of dates, or of \
      rising numbers, and the one other column of numbers are taken, and told on stderr; of a file with one column the \
      rows are counted. What leaves a choice is refused. Quantiles of the drawn paths go to stdout, one row a point, in the file's units; with \
      --output the paths themselves go to a file (path,row,<inputs>,<target>). The note column says what to be careful \
      about, and outside which of context, inputs, targets (drawn together) and reads (by the plan) training has not \
      shown, row by row.

      Inputs are numbers, or dates in any of the usual notations (counted in days), which output and --at follow. The \
      step of a grid of dates is like 30min, 12h, 1d, 1w, 1M, 1q or 1y. With several input columns give one grid for each, separated by commas.

      A file with a column for each series (--wide, or found by names like shop_1, shop_2, shop_3) is answered as if one \
      column, series, told them apart. With --group every series of the file is conditioned on by itself, and the group comes first in the output; a \
      series with fewer than two observed rows is not predicted and says so in its note. Where --at-file has the \
      group's column, a row is a point of the series it names; else every series has all points. Several --target \
      columns are predicted one after another, each on its own, with a column that tells which.

      A table with a target or an input of texts, with more than three inputs, or without a column that orders its rows is \
      read as one (--model tables says so too): all columns but the target tell of it, numbers, categories, dates and \
      missing cells. The target may be a category, whose levels get probabilities: by the network classes, which draws rows \
      together, around estimators; --model tables has those alone, each row by itself. Several targets are drawn together, \
      each given those before it; one that a row has counts as observed. Rows are numbered from 1, as they stand in the \
      file or that of --at-file.

      A model reads so many rows of a series at once (functions: 1024). Of a longer one each point is answered by the rows \
      around it, behind the last row by the latest; which these are depends on the rows alone, so that what else is asked \
      changes no answer. A note says how many were read.

      --with promo,temperature takes columns that are known beside time, also where a series is predicted: their values \
      come from the rows without a target, or from --at-file. What they move is estimated beside level and seasons, with how \
      surely; stderr tells how much, and what tells nothing is left out. chorus score --with tells whether it helps. More \
      columns, or levels, than the rows tell apart are read as a table, which is said.

      --error sd takes the standard deviations of the rows' errors of measurement; what is predicted is what would be measured \
      without.

      --context takes what chorus condition has written in place of a file and its columns: nothing is encoded again. \
      Points come from --horizon, --at or --at-file.

      --plot draws a picture into a file, --show a small one on stderr: a fan chart along one input column, small ones of \
      up to \(PredictionPicture.mostPanels) series and targets, a map where --at has a grid of two. With \
      --functional stdout has the distribution of a number made of each whole path instead: its row "joint" is from \
      the drawn paths, its row "independent" is what values drawn each on its own would claim (not of a model that predicts \
      each value from those before it). The _se columns are \
      Monte-Carlo errors. share is the part of the paths that have the number: first-above:V is the input at which a \
      path first is above V, first-below:V at which it first is below, which some never are. difference is last less first, \
      by the input; difference:A..B is the value at B less that at A, two of the points asked for, or two rows of a table by \
      their numbers.

      Plans: \(PlanTemplate.help)
      """)

  @Argument(help: "A file of rows: CSV, TSV, JSON lines, .npy or .npz, each also as .gz; or - for stdin.")
  var file: String?

  @Option(help: ArgumentHelp("Input columns, separated by commas.", valueName: "col[,col]"))
  var input: String?

  @Option(help: ArgumentHelp("The column to predict, or several.", valueName: "col[,col]"))
  var target: String?

  @Option(help: ArgumentHelp("The column that tells the series of the file apart.", valueName: "col"))
  var group: String?

  @OptionGroup var wide: WideOption

  @Option(
    name: .customLong("with"),
    help: ArgumentHelp(
      "Columns that are known beside time, also where a series is predicted: numbers, or texts with few levels.",
      valueName: "col[,col]"))
  var covariates: String?

  @OptionGroup var errors: ErrorOption

  @Option(
    help: ArgumentHelp("Ask a context that was encoded before.", valueName: "context.safetensors"))
  var context: String?

  @OptionGroup var points: PointOptions

  @Option(
    help: ArgumentHelp(
      "Predict the i-th of n parts of the series alone, as one job of an array does; the rows of all parts are those of one run.",
      valueName: "i/n"))
  var shard: Shard?

  @Option(help: "Paths to draw; quantiles are taken over them.")
  var samples = 100

  @Option(help: "Levels between 0 and 1.")
  var quantiles = "0.05,0.5,0.95"

  @Option(
    help: ArgumentHelp(
      "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")). (default: auto; of a table, sequential)",
      valueName: "plan"))
  var plan: String?

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "functions, gp, tables, classes, or a path to a .safetensors file. (default: functions; of a table, tables, and classes for categories; of a context, its own)",
      valueName: "model"))
  var givenModel: String?

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

  @Option(
    help: """
      sensible rounds quantiles and means to a thousandth of their law's width, and probabilities to four digits; all keeps \
      every digit. Paths of --output are never rounded.
      """)
  var digits = Digits.sensible

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp(
      "What columns of a table are, where that is not found right: number, category, or skip.",
      valueName: "col=kind[,col=kind]"))
  var asOption: String?

  @OptionGroup var known: GivenOptions

  @OptionGroup var scale: ScaleOption

  @OptionGroup var precise: PrecisionOption

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
    try points.check(file: file)
    if let plot { try PictureFile.check(plot, option: "--plot") }
    try validating { _ = try FunctionalTable.functionals(functional) }
    try validateSource()
    _ = try outputs()
  }

  private func validateSource() throws {
    if context != nil {
      let own = [
        ("FILE", file), ("--input", input), ("--target", target), ("--group", group),
        ("--error", errors.column),
        ("--with", covariates),
      ]
      if let more = own.first(where: { $0.1 != nil }) {
        throw ValidationError("--context has its own rows and columns; leave out \(more.0)")
      }
      guard !wide.isTold else { throw ValidationError("--wide is of a file; --context has one series") }
      guard units == nil else { throw ValidationError("--units are given when a context is made") }
      if let option = scale.named { throw ValidationError("\(option) is given when a context is made") }
      guard !points.isEmpty else {
        throw ValidationError(
          "--context has no rows to predict; give --horizon STEPS, --at FIRST..LAST/STEP or --at-file FILE")
      }
      if points.atFile == nil, let option = reading.given {
        throw ValidationError(
          "\(option) is for files, and --context reads none but that of --at-file; leave it out")
      }
      return
    }
    if file == nil { throw ValidationError("Missing expected argument '<file>'") }
    try TableJob.checkTold(asOption)
  }

  func run() throws {
    try reporting {
      let template = try PlanTemplate(parsing: plan ?? "auto")
      let levels = try numberList(quantiles, option: "--quantiles")
      let functionals = try FunctionalTable.functionals(functional)
      precise.warn(common)
      let saved = try context.map { try SavedFile(path: $0) }
      let (jobs, read) = try tableJobs(saved)
      if let jobs { return try run(jobs) }
      let asking = try self.asking(saved, read)
      var picture = plot != nil || show ? try PredictionPicture(asking) : nil
      let name = givenModel ?? "functions"
      let model = try asking.model ?? Model(named: name, precision: precise.precision)
      try outputs().checkPlaces()
      let table = try PredictionTable(
        asking: asking, levels: levels, functionals: functionals, digits: digits, format: format,
        paths: output)
      let asker = Asker(
        model: model, values: asking.settings?.values ?? scale.choice,
        limits: asking.settings?.limits ?? scale.limits, whole: asking.settings?.isWhole ?? scale.isWhole,
        template: template,
        samples: samples, seed: common.seed, latent: latent,
        flopLimit: flopLimit,
        independent: !functionals.isEmpty && !model.network.capability.inOrder, known: try known.statements)
      let pool = common.pool
      if let found = asking.found { common.say(found) }
      for words in table.renamed { common.say("note: \(words)") }
      var tally = NoteTally()
      let part = shard?.range(of: asking.questions.count) ?? asking.questions.indices
      var (next, answered) = (part.lowerBound, 0)
      while next < part.upperBound {
        let batch = batch(of: asking.questions, from: next, to: part.upperBound)
        for answer in try answers(asking.questions, batch, asker, on: pool) {
          if asking.questions.count == 1 {
            common.progress("")
            for words in answer.foundWords { common.say(words) }
          }
          answered += 1
          picture?.add(answer) { pictureWords($0, template, model) }
          // Files first, as tables do.
          if answered == part.count, let figure = picture?.figure() {
            common.progress("")
            try draw(figure)
          }
          tally.add(answer)
          try table.write(answer)
        }
        next = batch.upperBound
      }
      common.progress("")
      for note in asking.notes + tally.notes { common.say("note: \(note)") }
      try table.finish()
    }
  }

  /// What drew the paths of a picture.
  private func pictureWords(
    _ samples: Posterior.Samples, _ template: PlanTemplate, _ model: Model
  ) -> String {
    "\(self.samples) paths, plan \(samples.plan.template ?? template), model \(givenModel ?? model.name)\(latent ? ", noiseless" : "")"
  }

  private func draw(_ figure: Figure) throws {
    let title = figure.title.isEmpty ? figure.charts[0].title : figure.title
    if let plot { try PictureFile.write(figure, title: title, to: plot) }
    if show { for part in parts(of: figure) { Terminal.standardError.show(part) } }
  }

  /// What a terminal shows one after another: of several series or maps each chart, of a single series its closest look.
  private func parts(of figure: Figure) -> [Figure] {
    guard !figure.title.isEmpty else { return [figure] }
    return figure.charts.map { Figure(charts: [$0], columns: 1) }
  }

  func outputs() throws -> Outputs {
    var outputs = Outputs(
      reading: ["FILE": file, "--at-file": points.atFile, "--context": context], model: givenModel)
    try outputs.add(table: "--output", output)
    try outputs.add("--plot", plot)
    return outputs
  }

  /// - Parameter table: what was read of the file already.
  private func asking(_ saved: SavedFile?, _ table: Table?) throws -> Asking {
    if let saved,
      let asking = try Asking(
        saved, model: givenModel, precision: precise.precision, points: points.asked(reading))
    {
      return asking
    }
    return try Asking(
      table.map { RowsSource(read: $0) } ?? reading.rows(file ?? "-"), input: input, target: target,
      group: group, points: points.asked(reading), units: units,
      with: covariates.map(Observations.names) ?? [], error: errors.column, wide: wide.file)
  }

  /// The questions from `start` on, and before `last`, whose answers are held at once: as many as keep all threads busy, and no
  /// more than half a gigabyte of drawn values. What is drawn is written before more is.
  private func batch(of questions: [Question], from start: Int, to last: Int) -> Range<Int> {
    var values = 0.0
    var end = start
    while end < last, end - start < 512 {
      values += Double(samples) * Double(questions[end].points.count)
      if end > start, values > 5e7 { break }
      end += 1
    }
    return start..<end
  }

  /// The answers to some of the questions, side by side on the threads there are.
  private func answers(
    _ questions: [Question], _ range: Range<Int>, _ asker: Asker, on pool: ThreadPool
  ) throws -> [Answer] {
    let common = common
    if questions.count == 1 {
      let count = samples
      return [
        try asker.answer(questions[0], on: pool) { done in common.progress("\(done) of \(count) paths") }
      ]
    }
    let done = Atomic<Int>(range.lowerBound)
    return try pool.map(range.count) { index, pool in
      let answer = try asker.answer(questions[range.lowerBound + index], on: pool)
      let count = done.wrappingAdd(1, ordering: .relaxed).newValue
      common.progress("\(count) of \(questions.count) questions")
      return answer
    }
  }
}
