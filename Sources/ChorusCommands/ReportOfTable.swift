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
import ChorusTensors
import Foundation

/// `chorus report` of a table: what is predicted of one column, how far to trust it, and which columns it comes from.
extension Report {
  /// The table, where the command line or the file tells that it is one; nil for a function or a series.
  func tableJob() throws -> TableJob? {
    let isTold =
      try asOption != nil || givenModel.map { try Model(named: $0).blueprint.readsTables } ?? false
    let mayBe =
      givenModel == nil && target != nil && points.horizon == nil && points.at == nil && last == nil
      && file != "-"
    guard isTold || mayBe && !wide else { return nil }
    if !isTold, try !TableJob.mayBe(input: input, target: target, reading.rows(file)) { return nil }
    let table = try reading.rows(file).table()
    let (targets, inputs) = (TableJob.names(target, in: table) ?? [], TableJob.names(input, in: table))
    guard try isTold || TableJob.isTable(table, targets, inputs, error: errors.column, group: group)
    else { return nil }
    guard group == nil, !wide else {
      throw ValidationError(
        "--group and --wide of a report go with series, and \(file) is read as a table; leave it out")
    }
    guard targets.count == 1 else {
      throw InferenceError.input(
        "\(file): name the one column to report on with --target; it has: "
          + table.columns.prefix(20).joined(separator: ", "))
    }
    for (option, isGiven) in [
      ("--horizon", points.horizon != nil), ("--at", points.at != nil), ("--units", units != nil),
      ("--last", last != nil),
      ("--scale", scale.choice != .automatic && scale.choice != .raw),
    ] where isGiven {
      throw ValidationError("\(option) goes with a series, and \(file) is read as a table; leave it out")
    }
    let further = try points.atFile.map { try reading.rows($0).table() }
    return try TableJob(
      table, at: further, targets: targets, inputs: inputs, error: errors.column,
      as: TableJob.told(asOption))
  }

  func run(_ job: TableJob) throws {
    let step = job.steps(limits: scale.limits, whole: scale.isWhole)[0]
    let column = job.column(step)
    if let refusal = job.refusal([step]) { throw InferenceError.input("\(file): \(refusal)") }
    let isNumber = step.levels == nil
    if !isNumber, functional != nil {
      throw ValidationError("--functional is of numbers, and '\(column.name)' is a category")
    }
    let functional = try FunctionalTable.functionals(functional).first ?? .mean
    if functional.needsOrder {
      throw ValidationError(
        "--functional: '\(functional)' goes along an input, and rows of a table have no order")
    }
    let asked = try TableModel(givenModel, categories: !isNumber)
    let model = asked.model
    let template = try PlanTemplate(parsing: plan ?? "sequential")
    try outputs().checkPlaces()
    common.say(job.found([step]))
    for words in [asked.note].compactMap({ $0 }) + job.words { common.say("note: \(words)") }
    let count = samples
    var drawn: (joint: TableChain.Drawn, independent: TableChain.Drawn?)?
    if job.lacks([step]) {
      let chain = try TableChain(model, job.cells, steps: [step], rows: Set(job.asked), on: common.pool)
      func draw(_ plan: PlanTemplate) throws -> TableChain.Drawn {
        try chain.sample(count, seed: common.seed, plan: plan, flopLimit: flopLimit) {
          common.progress("\($0) of \(count) paths")
        }
      }
      drawn = (try draw(template), isNumber ? try draw(.independent) : nil)
    } else {
      common.say(
        "note: no row lacks a value of '\(column.name)'; the report is of rows that are held out alone")
    }
    for words in drawn?.joint.notes ?? [] { common.say("note: \(words)") }
    let trust = try trust(job, step, model, template)
    common.progress("")
    let network = isNumber ? model : model.ofCategories
    let content = TableReport(
      job: job, step: step, model: network, modelName: givenModel ?? network?.name ?? "", drawn: drawn,
      trust: trust,
      functional: functional, plan: template, seed: common.seed)
    try AtomicFile.write(content.page().html.utf8, to: output)
  }

  /// What comes of a prediction of rows that are held out; nil where that is not asked for, or too few are left.
  private func trust(
    _ job: TableJob, _ step: TableChain.Step, _ model: Model, _ template: PlanTemplate
  ) throws -> TableReport.Trust? {
    let known = (0..<job.cells.count).filter { !job.cells[$0, step.column].isNaN }
    let together = max(model.blueprint.trainedBuffer, 1)
    guard
      let split = Split.random(known.count, share: holdout ?? 0.2, together: together, seed: common.seed)
    else { return nil }
    let cells = job.cells.rows(known).columns(step.inputs)
    let y = known.map { job.cells[$0, step.column] }
    let tested = split.held.prefix(TableReport.mostTested)
    let rows = cells.rows(tested)
    common.progress("rows held out")
    func importances(
      _ relevance: [Double], _ score: (Cells) throws -> [Double]
    ) throws -> [(name: String, importance: ColumnImportance)] {
      let columns = job.relevant(step, relevance).prefix(TableReport.mostColumns)
      let losses = try ColumnImportance.losses(
        of: columns.map(\.places), rows: rows, seed: common.seed, score: score)
      return zip(columns, losses).map { ($0.name, $1) }
    }
    if let levels = step.levels {
      let known = y.map { Int($0) }
      let scoring = try ClassScoring(cells, levels: known, of: levels, split, by: model.ofCategories)
      return TableReport.Trust(
        split: split, result: .levels(scoring), relevance: scoring.fit.relevance,
        importances: try importances(scoring.fit.relevance) { rows in
          try zip(scoring.probabilities(rows), tested).map { log(max($0[known[$1]], 1e-12)) }
        })
    }
    let errors = job.errors(of: known, step)
    let scoring = HeldOutScoring(
      model: model, rows: .table(cells, y: y, errors: errors), plan: template, seed: common.seed,
      flopLimit: flopLimit,
      limits: scale.limits, whole: scale.isWhole)
    let result = try scoring.result(split, drawing: false, reencoding: false, on: common.pool)
    let posterior = try model.condition(
      on: cells.rows(split.context), y: split.context.map { y[$0] },
      errors: errors.isEmpty ? [] : split.context.map { errors[$0] }, limits: scale.limits,
      whole: scale.isWhole, pool: common.pool)
    let relevance =
      try
      (posterior.fit
      ?? TablePosterior.estimators(cells.rows(split.context), y: split.context.map { y[$0] }).fit).relevance
    let held = try Dataset(
      x: tested.map(Double.init), y: tested.map { y[$0] },
      errors: errors.isEmpty ? [] : tested.map { errors[$0] })
    return TableReport.Trust(
      split: split, result: .numbers(result), relevance: relevance,
      importances: try importances(relevance) { rows in
        try zip(HeldOutScoring.measured(posterior.marginals(at: rows), held), held.y).map {
          $0.logDensity($1)
        }
      })
  }
}
