import ArgumentParser
import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusReports
import ChorusTables
import Foundation

struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Hold out rows of a file and score what is predicted for them.",
    discussion: """
      Rows are held out at random (--holdout), or the last ones by the first input column (--last; every further \
      repetition forgets as many rows more), or by columns of the file (--splits), or --windows of --targets rows, each predicted from the --context rows \
      before it. A line each repetition, in the file's units and standardised (divided by the context's standard \
      deviation), then "all" with the means; windows have the last alone.

      independent, buffer and reencode are log-densities in nats a value of up to --targets held-out values: each on \
      its own, jointly by --plan, and (with --reencode) with each value read as context by the next; more is better. crps (of single \
      values), energy and variogram (order 0.5; of values together, from --samples paths) are better if less. \
      coverage_90 is the part of the single values inside their central 90 % interval, pit_1 to pit_10 count them by \
      tenths of their predictive distribution.

      _se is the standard error over repetitions, _low to _high a 95 % interval of the mean of paired differences by \
      Student's t; with --holdout and --splits, where repetitions share rows, with the correction of Nadeau and Bengio (2003).

      With --functional stdout has another table: how often a number made of all held-out values of a repetition was \
      inside the central intervals that joint draws, and draws of each value on its own, claim for it.

      rmse (of the mean), mae (of the median) and mase (mae beside what the seasonal naive forecast misses by within the \
      context) are of single values; r2 is the part of their variance that the means explain. Columns named naive_, smoothing_ and structural_ have those of simple methods told \
      the same rows and the season: the value of a season before, exponential smoothing (of what comes before a value alone), \
      and level, trend and seasons as a Gaussian process; crps_minus_ is less than 0 where the model is better. The last line on \
      stderr is a verdict. They need one input column.

      With --group every series is scored by itself: lines of each, and "all" without a group over all of them. Without --input \
      and --target the columns are found as in chorus predict.

      A table (as chorus predict tells one; --model tables says so too) is scored by --holdout, --folds, --group-folds or \
      --splits, beside the mean and the estimators that the model is told of. Of a category the scores are accuracy, \
      log-loss, Brier score and calibration error, beside the levels' shares, logistic regression and a forest. Several \
      categories are scored by the chain rule, each told by the inputs and those before it: the line of all has the sum of \
      their log-losses, and log_loss_apart what they come to where each is told by the inputs alone. independent_log_loss and \
      joint_log_loss are of up to --targets held-out rows, in nats a row: each row by itself, and all by the chain rule over --orders.

      A model that predicts each value from those before it (family sequence) knows no value on its own: its columns of \
      independent values are empty, crps and coverage are by --samples paths, and --plan is sequential(order:given) or auto.
      """)

  @Argument(help: "A file of rows: CSV, TSV, JSON lines, .npy or .npz, each also as .gz; or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("Input columns, separated by commas.", valueName: "col[,col]"))
  var input: String?

  @Option(
    help: ArgumentHelp("The column to predict, or several categories of a table.", valueName: "col[,col]"))
  var target: String?

  @Option(help: ArgumentHelp("The column that tells the series of the file apart.", valueName: "col"))
  var group: String?

  @OptionGroup var wide: WideOption

  @Option(
    help: ArgumentHelp(
      "Rows in a season, for the simple methods. (default: as the calendar has it)", valueName: "rows"))
  var season: Int?

  @Option(help: ArgumentHelp("Hold out this part of the rows at random. (default: 0.2)", valueName: "part"))
  var holdout: Double?

  @Option(help: ArgumentHelp("Hold out the last rows.", valueName: "rows"))
  var last: Int?

  @Option(
    help: ArgumentHelp(
      "Columns, one a repetition, that say of each row: context, held-out, or nothing to leave it out.",
      valueName: "col[,col]"))
  var splits: String?

  @Option(help: ArgumentHelp("Of a table: hold out each of that many parts in turn.", valueName: "n"))
  var folds: Int?

  @Option(
    help: ArgumentHelp(
      "Of a table: hold out all rows of each level of this column in turn.", valueName: "col"))
  var groupFolds: String?

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp(
      "What columns of a table are, where that is not found right: number, category, or skip.",
      valueName: "col=kind[,col=kind]"))
  var asOption: String?

  @Option(help: ArgumentHelp("Hold out the ends of that many windows.", valueName: "n"))
  var windows: Int?

  @Option(help: ArgumentHelp("Rows before the held-out ones of a window. (default: 96)", valueName: "rows"))
  var context: Int?

  @Option(
    help: ArgumentHelp(
      "Held-out values looked at together, drawn by the seed. (default: 64; of a window, 16)",
      valueName: "n"))
  var targets: Int?

  @Option(help: ArgumentHelp("Repetitions. (default: 10; with --last, 1)", valueName: "n"))
  var repetitions: Int?

  @Option(help: "Random target orders averaged.")
  var orders = 16

  @Flag(
    help: "Score re-encoding as well: a slow reference that reads the context anew for every value and order."
  )
  var reencode = false

  @Option(
    help: ArgumentHelp(
      "Paths drawn for the scores that need draws. (default: 50; with --functional, 200)", valueName: "n"))
  var samples: Int?

  @Option(
    help: ArgumentHelp(
      "The plan of the joint distribution: \(PlanTemplate.forms.joined(separator: ", ")). (default: auto; of a table, sequential)",
      valueName: "plan"))
  var plan: String?

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "functions, gp, tables, classes, or a path to a .safetensors file. (default: functions; of a table, tables, and classes for a category)",
      valueName: "model"))
  var givenModel: String?
  private var model: String { givenModel ?? "functions" }

  @Option(
    help: ArgumentHelp(
      "Score numbers made of all held-out values: \(Functional.forms.joined(separator: ", ")).",
      valueName: "name[,name]"))
  var functional: String?

  @Option(
    help: ArgumentHelp(
      "Write every held-out value with its PIT and scores to this file.", valueName: "values.csv"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Draw where the held-out values fell in their own predictive distributions.", valueName: "picture.svg"))
  var calibration: String?

  @Option(help: ArgumentHelp("Refuse plans that need more arithmetic than this.", valueName: "flop"))
  var flopLimit = Posterior.flopLimit

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @Option(
    name: .customLong("with"),
    help: ArgumentHelp(
      "Columns that are known beside time, as in chorus predict; whether they help is told.",
      valueName: "col[,col]"))
  var covariates: String?

  @OptionGroup var errors: ErrorOption

  @OptionGroup var scale: ScaleOption

  @OptionGroup var precise: PrecisionOption

  @OptionGroup var reading: ReadingOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    let ways = [
      holdout != nil, last != nil, windows != nil, splits != nil, folds != nil, groupFolds != nil,
    ]
    guard ways.count(where: { $0 }) <= 1 else {
      throw ValidationError(
        "--holdout, --last, --splits, --windows, --folds and --group-folds exclude one another; give one")
    }
    if let folds, !(2...1000).contains(folds) { throw ValidationError("--folds must be within 2...1000") }
    guard repetitions == nil || folds == nil && groupFolds == nil else {
      throw ValidationError("--repetitions does not go with folds: every fold is one")
    }
    try TableJob.checkTold(asOption)
    if let holdout, !(holdout > 0 && holdout <= 0.9) {
      throw ValidationError("--holdout must be above 0 and at most 0.9")
    }
    if let last, last < 1 { throw ValidationError("--last must be at least 1") }
    if let windows, !(1...1_000_000).contains(windows) {
      throw ValidationError("--windows must be within 1...1000000")
    }
    guard context == nil || windows != nil else { throw ValidationError("--context goes with --windows") }
    guard repetitions == nil || windows == nil else {
      throw ValidationError("--repetitions does not go with --windows: every window is one")
    }
    guard repetitions == nil || splits == nil else {
      throw ValidationError("--repetitions does not go with --splits: every column is one")
    }
    if let calibration { try PictureFile.check(calibration, option: "--calibration") }
    guard calibration == nil || functional == nil else {
      throw ValidationError("--calibration is of single values and does not go with --functional")
    }
    if let context, context < 2 { throw ValidationError("--context must be at least 2") }
    if let targets, !(1...4096).contains(targets) {
      throw ValidationError("--targets must be within 1...4096")
    }
    if let repetitions, !(1...10_000).contains(repetitions) {
      throw ValidationError("--repetitions must be within 1...10000")
    }
    guard (1...4096).contains(orders) else { throw ValidationError("--orders must be within 1...4096") }
    if let samples, !(2...10_000).contains(samples) {
      throw ValidationError("--samples must be within 2...10000")
    }
    guard flopLimit > 0 else { throw ValidationError("--flop-limit must be positive") }
    try validating {
      if let two = try FunctionalTable.functionals(functional).first(where: \.isBetween) {
        throw QuestionError(
          "--functional: '\(two)' is of two points, and those held out differ from time to time; difference is of the first and the last"
        )
      }
    }
    if let season, !(1...100_000).contains(season) {
      throw ValidationError("--season must be within 1...100000")
    }
    guard group == nil || functional == nil else {
      throw ValidationError("--functional is of one series and does not go with --group")
    }
    guard !reencode || functional == nil else {
      throw ValidationError("--reencode is of densities and does not go with --functional")
    }
    if errors.column != nil, let option = scale.named {
      throw ValidationError(
        "\(option) is of values without their errors, and those held out have theirs; leave one out")
    }
    guard output == nil || functional == nil else {
      throw ValidationError("--output has single values and does not go with --functional")
    }
    _ = try outputs()
  }

  func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FILE": file], model: model)
    try outputs.add(table: "--output", output)
    try outputs.add("--calibration", calibration)
    return outputs
  }

  func run() throws {
    try reporting {
      if let (job, table) = try tableJob() { return try run(job, table) }
      let template = try PlanTemplate(parsing: plan ?? "auto")
      let functionals = try FunctionalTable.functionals(functional)
      let all = try Observations.series(
        reading.rows(file), input: input, target: target, group: group,
        marks: self.splits.map(Observations.names) ?? [], with: covariates.map(Observations.names) ?? [],
        error: errors.column, wide: wide.file)
      let column = group ?? (all.first?.group == nil ? nil : WideFile.column)
      if all.count > 1, !functionals.isEmpty {
        throw ValidationError("--functional is of one series, and \(file) has \(all.count)")
      }
      let series = all.filter { $0.refusal == nil }
      guard let observations = series.first else {
        throw InferenceError.input("\(file): \(all.first?.refusal ?? "has no rows")")
      }
      try observations.check(functionals)
      if let found = all.first?.found { common.say(found) }
      for word in DataWord.said(all.map(\.words)) { common.say("note: \(word)") }
      if series.count < all.count {
        common.say(
          "note: \(all.count - series.count) of \(all.count) series have too few rows and were left out")
      }
      let splits = try series.map { series in
        do {
          return try self.splits == nil ? self.splits(of: series.data) : self.splits(by: series)
        } catch {
          guard let group = series.group else { throw error }
          throw SeriesError(file: file, group: group, underlying: error)
        }
      }
      precise.warn(common)
      let model = try Model(named: self.model, precision: precise.precision)
      if model.network.capability.inOrder, last == nil, windows == nil {
        throw ModelError.input(
          "model '\(self.model)' predicts what comes after the rows it has read; hold out the last rows (--last 12) or the"
            + " ends of windows (--windows 20)")
      }
      try outputs().checkPlaces()
      let scorings = series.map { series in
        var scoring = HeldOutScoring(
          model: model,
          rows: covariates == nil ? .function(series.data) : .series(series.data, beside: series.covariates),
          plan: template, orders: orders,
          samples: samples ?? (functionals.isEmpty ? 50 : 200), seed: common.seed, flopLimit: flopLimit,
          values: scale.choice, limits: scale.limits, whole: scale.isWhole)
        scoring.grid = series.grid(season: season).map { ($0.places, $0.season.rows) }
        return scoring
      }
      let jobs = splits.enumerated().flatMap { place, splits in splits.map { (place, $0) } }
      let progress = Progress(of: jobs.count, windows == nil ? "repetitions" : "windows", common)
      let overlap = overlap(splits.joined())
      if functionals.isEmpty {
        let results = try common.pool.map(jobs.count) { index, pool in
          defer { progress.advance() }
          let (place, split) = jobs[index]
          do {
            return try scorings[place].result(split, drawing: true, reencoding: reencode, on: pool)
          } catch {
            guard let group = series[place].group else { throw error }
            throw SeriesError(file: file, group: group, underlying: error)
          }
        }
        progress.clear()
        let grouped = series.indices.map { place in
          (series[place].group, zip(jobs, results).filter { $0.0.0 == place }.map(\.1))
        }
        let table = ScoreTable(series: grouped, groupColumn: column, overlap: overlap, lines: windows == nil)
        for note in table.notes { common.say("note: \(note)") }
        if let output { try write(grouped.map(\.1), series, to: output) }
        try table.write(format)
        common.say(table.verdict)
        let standing = Standing(table: table, season: observations.grid(season: season)?.season ?? (1, nil))
        for line in standing.words { common.say(line) }
        if covariates != nil {
          let plain = try common.pool.map(jobs.count) { index, pool in
            let (place, split) = jobs[index]
            var scoring = scorings[place]
            scoring.rows = .function(try series[place].timeAlone)
            return try scoring.result(split, drawing: false, reencoding: false, on: pool)
          }
          common.say(Self.gain(results, plain, overlap: overlap))
        }
        if let calibration { try draw(results, observations.selection.target, to: calibration) }
      } else {
        let claims = try common.pool.map(jobs.count) { index, pool in
          defer { progress.advance() }
          return try scorings[jobs[index].0].claims(functionals, jobs[index].1, on: pool)
        }
        progress.clear()
        try ClaimTable(functionals: functionals, claims: claims, overlap: overlap).write(format)
      }
    }
  }

  /// What columns beside time gain, split by split, in words.
  private static func gain(
    _ with: [HeldOutScoring.Result], _ without: [HeldOutScoring.Result], overlap: Double
  ) -> String {
    func mean(_ value: (HeldOutScoring.Result, HeldOutScoring.Result) -> Double) -> RepeatedMean {
      RepeatedMean(zip(with, without).map(value), overlap: overlap)
    }
    func number(_ value: Double) -> String { String(format: "%.3g", value) }
    let ratio = mean { log($0.accuracy.crps / $1.accuracy.crps) }
    let isMeasured = with.contains { $0.joint.isNaN }
    let nats = mean { isMeasured ? $0.independent - $1.independent : $0.joint - $1.joint }
    let interval =
      with.count > 1 ? " (95 % \(number(exp(ratio.low))) to \(number(exp(ratio.high))))" : ""
    let verdict =
      with.count > 1 && exp(ratio.high) < 1
      ? "it helps" : exp(ratio.low) > 1 ? "it does harm" : "no difference shown"
    return
      "--with: CRPS \(number(exp(ratio.mean))) of that without\(interval), \(isMeasured ? "" : "joint ")log-density \(nats.mean < 0 ? "" : "+")\(number(nats.mean)) nats a value: \(verdict)"
  }

  /// Held out over context rows where repetitions share rows of the context: see `RepeatedMean`.
  private func overlap(_ splits: some Sequence<Split>) -> Double {
    guard last == nil, windows == nil, let first = splits.first(where: { _ in true }) else { return 0 }
    return Double(first.held.count) / Double(first.context.count)
  }

  private func splits(of data: Dataset) throws -> [Split] {
    let (together, seed) = (targets ?? (windows == nil ? 64 : 16), common.seed)
    func failure(_ text: String) -> InferenceError { .input("\(file): \(text)") }
    if let windows {
      let context = context ?? 96
      let found = Split.windows(data, context: context, held: together, count: windows, seed: seed)
      guard found.count == windows else {
        throw failure(
          "\(data.count) rows have \(found.count) windows of \(context) + \(together) rows that hold out different ones, not \(windows); ask for fewer or shorter ones"
        )
      }
      return found
    }
    return try (0..<(repetitions ?? (last == nil ? 10 : 1))).map { repetition in
      if let last {
        guard
          let split = Split.last(data, count: last, together: together, repetition: repetition, seed: seed)
        else {
          let most = max((data.count - 2) / last, 0)
          throw failure(
            most == 0
              ? "has \(data.count) rows with a value; --last \(last) leaves fewer than 2 to learn from"
              : "\(data.count) rows hold out \(last) at most \(most) times; ask for fewer --repetitions")
        }
        return split
      }
      let share = holdout ?? 0.2
      guard
        let split = Split.random(
          data.count, share: share, together: together, repetition: repetition, seed: seed)
      else {
        throw failure(
          "--holdout \(share) of \(data.count) rows leaves none to hold out, or fewer than 2 to learn from")
      }
      return split
    }
  }

  /// The splits that columns of the file tell.
  private func splits(by observations: Observations) throws -> [Split] {
    try zip(splits.map(Observations.names) ?? [], observations.marks).enumerated().map { repetition, column in
      let (name, marks) = column
      if let odd = marks.first(where: { !["", "context", "held-out"].contains($0) }) {
        throw InferenceError.input(
          "\(file): column '\(name)' has '\(odd)'; it takes context, held-out or nothing")
      }
      guard
        let split = Split.given(
          context: marks.indices.filter { marks[$0] == "context" },
          held: marks.indices.filter { marks[$0] == "held-out" }, together: targets ?? 64,
          repetition: repetition, seed: common.seed)
      else {
        throw InferenceError.input(
          "\(file): column '\(name)' holds out no row with a value, or leaves fewer than 2 to learn from")
      }
      return split
    }
  }

  func draw(_ results: [HeldOutScoring.Result], _ target: String, to path: String) throws {
    let all = Calibration(levels: results.flatMap(\.calibration.levels))
    let name = file == "-" ? "standard input" : URL(fileURLWithPath: file).lastPathComponent
    let title = "Calibration on \(name), \(target)"
    let picture = CalibrationChart(
      all, title: "Where the held-out values fell",
      note: "\(all.levels.count) values of \(results.count) repetition\(results.count == 1 ? "" : "s")")
    let figure = Figure(
      title: title, charts: [picture.chart, picture.coverage], columns: 2, caption: CalibrationChart.caption)
    try PictureFile.write(figure, title: title, to: path)
  }

  /// A row each held-out value of each repetition.
  private func write(_ results: [[HeldOutScoring.Result]], _ series: [Observations], to path: String) throws {
    let rows = series[0].selection
    let names: [OutputName] =
      (group.map { [.file($0)] } ?? []) + ["repetition"] + rows.inputs.map(OutputName.file)
      + [.file(rows.target), "pit", "crps", "log_density"]
    for words in names.words { common.say("note: \(words)") }
    let writer = try RowWriter(
      columns: names.header, format: TableFormat(path: path) ?? .csv, to: .file(path))
    for (rows, results) in zip(series, results) {
      for (index, result) in results.enumerated() {
        for (place, row) in result.split.held.enumerated() {
          try writer.write(
            (group == nil ? [] : [.text(rows.group ?? "")]) + [.integer(index + 1)]
              + rows.inputCells(of: rows.data.inputs, row) + [
                .value(rows.data.y[row], rows.selection.targetKind),
                .number(result.calibration.levels[place]), .number(result.crps[place]),
                .number(result.logDensity[place]),
              ])
        }
      }
    }
    try writer.finish()
  }
}
