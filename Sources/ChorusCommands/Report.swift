import ArgumentParser
import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusReports
import ChorusStorage
import ChorusTables
import Foundation

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write a report of a prediction and how far to trust it: one HTML file.",
    discussion: """
      The file, the prediction, calibration on rows held out of it, the distribution of a number made of each path, \
      correlations of the drawn values, the plan's cost and the model's card. The page needs no network and no \
      script. Points to predict at are the rows without a target, or those of \
      --horizon, --at or --at-file, as in predict. The report shows data from the file: share it as you would share the file.

      Without --input and --target the columns are found as in chorus predict, and told on stderr.

      With --group, or --wide, the page begins with a small picture and the scores of every series, up to \(Self.mostGroups) of them, and has \
      a part for each that the reader opens.

      A table, as chorus predict has it, gets a report on one --target, a number or a category: what is predicted of the \
      rows that lack it, calibration and scores on rows held out beside simple methods, and which columns it comes from.
      """)

  @Argument(help: "A file of rows: CSV, TSV, JSON lines, .npy or .npz, each also as .gz; or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("The input column.", valueName: "col"))
  var input: String?

  @Option(help: ArgumentHelp("The column to predict.", valueName: "col"))
  var target: String?

  @Option(
    help: ArgumentHelp(
      "The column that tells the series of the file apart: each has a part of the page.", valueName: "col"))
  var group: String?

  @Flag(help: "Every column of numbers, or of --target, is a series of its own: as --group.")
  var wide = false

  @OptionGroup var points: PointOptions

  @Option(
    help: ArgumentHelp(
      "Units of columns; without, what a header like \"accel (g)\" has in brackets.",
      valueName: "col=unit[,col=unit]"))
  var units: String?

  @Option(help: ArgumentHelp("The page to write.", valueName: "report.html"))
  var output: String

  @Option(help: "Paths to draw.")
  var samples = 400

  @Option(
    help: ArgumentHelp(
      "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")). (default: auto; of a table, sequential)",
      valueName: "plan"))
  var plan: String?

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "functions, gp, tables, classes, or a path to a .safetensors file. (default: functions; of a table, tables, and classes for a category)",
      valueName: "model"))
  var givenModel: String?

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp(
      "What columns of a table are, where that is not found right: number, category, or skip.",
      valueName: "col=kind[,col=kind]"))
  var asOption: String?

  @Option(
    help: ArgumentHelp(
      "The part of the rows that calibration holds out, drawn by the seed; 0 leaves calibration out. (default: 0.2)",
      valueName: "part"))
  var holdout: Double?

  @Option(help: ArgumentHelp("Calibration holds out the last rows instead.", valueName: "rows"))
  var last: Int?

  @Option(
    help: ArgumentHelp(
      "A number made of each path: \(Functional.forms.joined(separator: ", ")). (default: mean)",
      valueName: "name"))
  var functional: String?

  @Option(help: ArgumentHelp("Refuse plans that need more arithmetic than this.", valueName: "flop"))
  var flopLimit = Posterior.flopLimit

  @OptionGroup var errors: ErrorOption

  @OptionGroup var scale: ScaleOption

  @OptionGroup var reading: ReadingOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (2...1_000_000).contains(samples) else {
      throw ValidationError("--samples must be within 2...1000000")
    }
    guard (0...0.9).contains(holdout ?? 0) else { throw ValidationError("--holdout must be within 0...0.9") }
    guard holdout == nil || last == nil else {
      throw ValidationError("--holdout and --last exclude one another; give one")
    }
    if let last, last < 1 { throw ValidationError("--last must be at least 1") }
    guard output.lowercased().hasSuffix(".html") else {
      throw ValidationError("--output: '\(output)' must end in .html")
    }
    try validating {
      if try FunctionalTable.functionals(functional).count > 1 {
        throw QuestionError("--functional: a report has one number made of each path; name one")
      }
    }
    guard flopLimit > 0 else { throw ValidationError("--flop-limit must be positive") }
    try points.check(file: file)
    try validating { _ = try TableJob.told(asOption) }
    if errors.column != nil, let option = scale.named {
      throw ValidationError(
        "\(option) is of values without their errors, and those held out have theirs; leave one out")
    }
    _ = try outputs()
  }

  func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FILE": file, "--at-file": points.atFile], model: givenModel)
    try outputs.add("--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      if let job = try tableJob() { return try run(job) }
      if group != nil || wide { return try runByGroups() }
      let question = try Question(
        reading.rows(file), input: input, target: target, points: points.asked(reading), units: units,
        error: errors.column)
      if let reason = FanChart.refusal(question.selection) {
        throw InferenceError.input("\(file): \(reason)")
      }
      let functional = try numberOfPaths(question)
      let model = try Model(named: modelName)
      try outputs().checkPlaces()
      let content = try content(of: question, functional, model)
      common.progress("")
      if let found = question.observations.found { common.say(found) }
      for word in question.observations.words { common.say("note: \(word.text)") }
      for note in content.joint.notes { common.say("note: \(note)") }
      try AtomicFile.write(content.page().html.utf8, to: output)
    }
  }

  var modelName: String { givenModel ?? "functions" }

  /// What is predicted of one series, and how far to trust it.
  func content(of question: Question, _ functional: Functional, _ model: Model) throws -> ReportContent {
    let template = try PlanTemplate(parsing: plan ?? "auto")
    let sections = try question.sections(
      model, values: scale.choice, limits: scale.limits, whole: scale.isWhole, on: common.pool)
    let posterior =
      try sections?.main(at: question.points)
      ?? model.condition(
        on: question.data, values: scale.choice, limits: scale.limits, whole: scale.isWhole,
        pool: common.pool)
    let asked: any Answering = sections ?? posterior
    let count = samples
    func draw(_ plan: PlanTemplate) throws -> Posterior.Samples {
      try asked.paths(
        count, at: question.points, plan: plan, seed: common.seed, latent: false, flopLimit: flopLimit
      ) { done in common.progress("\(done) of \(count) paths") }
    }
    let joint = try draw(template)
    let inOrder = model.network.capability.inOrder
    let independent = inOrder ? nil : try draw(.independent)
    var scoring = HeldOutScoring(
      model: model, rows: .function(question.data), plan: inOrder ? template : .sequential,
      seed: common.seed,
      flopLimit: flopLimit, values: scale.choice, limits: scale.limits, whole: scale.isWhole)
    scoring.grid = question.observations.grid(season: nil).map { ($0.places, $0.season.rows) }
    let heldOut = try split(of: question.data, model).map {
      try scoring.result($0, drawing: false, reencoding: false, on: common.pool)
    }
    return ReportContent(
      question: question, model: model, modelName: modelName, template: joint.plan.template ?? template,
      posterior: posterior, joint: joint, independent: independent, functional: functional,
      heldOut: heldOut, holdsOutLast: last != nil || inOrder, seed: common.seed)
  }

  /// The number made of each path, which has to be of points that are asked for.
  func numberOfPaths(_ question: Question) throws -> Functional {
    let (selection, points) = (question.selection, question.points)
    let named = try FunctionalTable.resolved(
      FunctionalTable.functionals(functional), kind: selection.kinds[0], of: selection.inputs[0])
    try FunctionalTable.check(
      named, at: (0..<points.count).map { points[$0].first ?? .nan }, file: question.file)
    return named.first ?? .mean
  }

  /// The rows that calibration holds out: the last ones where they are asked for or the model knows nothing else.
  private func split(of data: Dataset, _ model: Model) throws -> Split? {
    let together = max(model.blueprint.trainedBuffer, 1)
    let holdout = holdout ?? 0.2
    let share = Int((holdout * Double(data.count)).rounded())
    if let count = last ?? (model.network.capability.inOrder ? share : nil), count > 0 {
      let split = Split.last(data, count: count, together: together, seed: common.seed)
      guard split != nil || last == nil else {
        throw InferenceError.input(
          "\(file): has \(data.count) rows with a value; --last \(count) leaves fewer than 2 to learn from")
      }
      return split
    }
    return Split.random(data.count, share: holdout, together: together, seed: common.seed)
  }
}
