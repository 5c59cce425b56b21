import ArgumentParser
import ChorusEvaluation
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusReports
import ChorusTables
import Foundation

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Compare a model's joint densities with the exact ones of a prior.",
    discussion: """
      For every context size: the mean log-density in nats a target of the exact posterior (joint, and as \
      independent marginals), and of the model under three plans: independent, buffer (sequential), re-encode. \
      Orders are the same for buffer and re-encode; their difference is paired over tasks. The last line is over \
      all sizes. The oracle knows each task's hyperparameters (of a sawtooth height and noise, not the wave), which \
      no data tell; --attainable adds what somebody has who knows the prior alone, and that is the most a model \
      can have. \
      oracle_error is the standard error of a task's oracle_joint where the oracle simulates, 0 where it is exact.
      """)

  @Option(help: "functions, gp, or a path.")
  var model = "functions"

  @Option(
    help: ArgumentHelp(
      "\(Priors.names.joined(separator: ", ")); one family, as functions/rbf; or a law outside them: rational-quadratic, gibbs, student, linear-regression.",
      valueName: "prior"))
  var prior: String?

  @Option(
    help: ArgumentHelp(
      "Tasks of a file in place of a prior, as chorus train reads them. (there is no oracle of them)",
      valueName: "file.jsonl"))
  var tasks: String?

  @Option(
    help:
      "How the rows of a task of the file are split: random, or future, the first as context and those after them as targets."
  )
  var split = StoredTasks.Split.random

  @Option(help: "Context sizes.")
  var context = "8,16,32,64,128"

  @Option(help: "Targets of a task.")
  var targets = 16

  @Option(help: "Tasks for each context size.")
  var functions = 256

  @Option(help: "Random target orders averaged.")
  var orders = 8

  @Option(help: "Input columns of the tasks. (default: the fewest that the prior draws)")
  var dimensions: Int?

  @Option(
    help: ArgumentHelp(
      "The plan in the column buffer: \(PlanTemplate.forms.joined(separator: ", ")).", valueName: "plan"))
  var plan = "sequential"

  @Option(
    help: ArgumentHelp(
      "Draw where the targets fell in their own predictive distributions, for every context size.",
      valueName: "picture.svg"))
  var calibration: String?

  @Flag(
    help:
      "Add the columns attainable_joint and attainable_minus_reencode (gp, gp-noisy and sawtooth; up to seconds a task at 128 rows)."
  )
  var attainable = false

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var precise: PrecisionOption

  @OptionGroup var common: CommonOptions

  static let columns = [
    "context", "targets", "functions", "oracle_functions", "oracle_joint", "oracle_joint_se",
    "oracle_independent",
    "oracle_independent_se", "independent", "independent_se", "buffer", "buffer_se", "reencode",
    "reencode_se",
    "reencode_minus_buffer", "reencode_minus_buffer_se", "buffer_minus_independent",
    "buffer_minus_independent_se",
    "oracle_minus_reencode", "oracle_minus_reencode_se", "oracle_error",
  ]
  static let attainableColumns = [
    "attainable_joint", "attainable_joint_se", "attainable_minus_reencode", "attainable_minus_reencode_se",
  ]

  func validate() throws {
    _ = try sizeList(context, option: "--context")
    guard (prior == nil) != (tasks == nil) else {
      throw ValidationError("give --prior NAME, or --tasks FILE.jsonl")
    }
    guard split == .random || tasks != nil else {
      throw ValidationError("--split is of the tasks of a file; give --tasks FILE.jsonl")
    }
    guard (1...512).contains(targets) else { throw ValidationError("--targets must be within 1...512") }
    guard (1...1_000_000).contains(functions) else { throw ValidationError("--functions must be at least 1") }
    guard (1...4096).contains(orders) else { throw ValidationError("--orders must be within 1...4096") }
    guard (1...64).contains(dimensions ?? 1) else { throw ValidationError("--dimensions must be at least 1") }
    if let calibration { try PictureFile.check(calibration, option: "--calibration") }
    _ = try outputs()
  }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["--tasks": tasks], model: model)
    try outputs.add("--calibration", calibration)
    return outputs
  }

  func run() throws {
    try reporting {
      precise.warn(common)
      let model = try Model(named: self.model, precision: precise.precision)
      try model.refuseOrder(
        "the exact posterior of a prior answers in any order, and that is what it would be compared with")
      let prior = try drawn()
      let comparison = try OracleComparison(
        model: model, prior: prior, targets: targets, functions: functions, orders: orders, seed: common.seed,
        dimensions: dimensions ?? prior.dimensions.lowerBound, plan: PlanTemplate(parsing: plan),
        attainable: attainable)
      if attainable, !(prior is GPPrior), !(prior is SawtoothPrior) {
        throw ValidationError(
          "--attainable: the hyperparameters of \(prior.name) cannot be summed out; ask for gp, gp-noisy or sawtooth"
        )
      }
      try outputs().checkPlaces()
      let writer = try RowWriter(
        columns: Self.columns + (attainable ? Self.attainableColumns : []), format: format,
        to: .standardOutput)
      let sizes = try sizeList(context, option: "--context")
      if let tasks = model.card["tasks"] {
        common.say("model trained on \(tasks) tasks of \(model.card["prior"] ?? "?")")
      }
      let rows = try comparison.rows(contexts: sizes, on: common.pool) { row in
        try writer.write(cells(row))
        try writer.flush()
        common.progress("context \(row.context.map(String.init) ?? "all") done")
      }
      common.progress("")
      try writer.finish()
      common.sayDensityZero(
        rows.filter { row in [row.independent, row.buffer, row.reencode].contains { $0.mean == -.infinity } }
          .map { $0.context.map { "N = \($0)" } ?? "all" })
      if let calibration {
        let name = URL(fileURLWithPath: self.model).deletingPathExtension().lastPathComponent
        let title = "Calibration of \(name) on tasks of \(prior.name)"
        let charts = rows.map { row in
          CalibrationChart(
            row.calibration, title: row.context.map { "N = \($0)" } ?? "all N",
            note: "\(row.functions) tasks"
          ).chart
        }
        let figure = Figure(title: title, charts: charts, columns: 3, caption: CalibrationChart.caption)
        try PictureFile.write(figure, title: title, to: calibration)
      }
    }
  }

  /// What tasks are drawn from.
  private func drawn() throws -> any Prior {
    guard let tasks else { return try Priors.named(prior ?? "") }
    let file = try TaskFile(path: tasks)
    return try StoredTasks(file.datasets, keepsColumns: file.columns != nil, split: split)
  }

  private func cells(_ row: OracleComparison.Row) -> [Cell] {
    let estimates = [
      row.oracleJoint, row.oracleIndependent, row.independent, row.buffer, row.reencode,
      row.reencodeMinusBuffer,
      row.bufferMinusIndependent, row.oracleMinusReencode,
    ]
    func cells(_ estimates: [OracleComparison.Estimate?]) -> [Cell] {
      estimates.flatMap { estimate -> [Cell] in
        guard let estimate else { return [.missing, .missing] }
        return [.number(estimate.mean), .number(estimate.standardError)]
      }
    }
    let context: Cell = row.context.map { .integer($0) } ?? .text("all")
    return [context, .integer(row.targets), .integer(row.functions), .integer(row.oracleFunctions)]
      + cells(estimates) + [row.oracleError.map { .number($0) } ?? .missing]
      + (attainable ? cells([row.attainableJoint, row.attainableMinusReencode]) : [])
  }
}

extension StoredTasks.Split: ExpressibleByArgument {}
