import ArgumentParser
import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusTables
import ChorusTensors

/// `chorus predict` of a table: its missing targets by the other columns, numbers or categories.
extension Predict {
  /// What a table is asked for, where the command line or the file tells that it is one and not a series; else what was read of the
  /// file, so that it is read once.
  func tableJob() throws -> (job: TableJob?, table: Table?) {
    guard let file, context == nil else { return (nil, nil) }
    let isTold = try givenModel.map { try Model(named: $0).blueprint.family == .table } ?? false
    let mayBe =
      givenModel == nil && group == nil && points.horizon == nil && points.at == nil && target != nil
    guard isTold || mayBe || asOption != nil else { return (nil, nil) }
    let isSaid = isTold || asOption != nil
    if !isSaid, try !TableJob.mayBe(input: input, target: target, file, reading) { return (nil, nil) }
    let table = try reading.rows(file).table()
    let (targets, inputs) = (
      TableJob.names(target, in: table) ?? [], TableJob.names(input, in: table)
    )
    guard try isSaid || TableJob.isTable(table, targets, inputs) else { return (nil, table) }
    guard !targets.isEmpty else {
      throw InferenceError.input(
        "\(file): name the column to predict with --target; it has: "
          + table.columns.prefix(20).joined(separator: ", "))
    }
    if let option = refusedOfTables {
      throw ValidationError("\(option) goes with a series, and \(file) is read as a table; leave it out")
    }
    let further = try points.atFile.map { try reading.rows($0).table() }
    return (
      try TableJob(
        table, at: further, targets: targets, inputs: inputs, as: TableJob.told(asOption)),
      nil
    )
  }

  private var refusedOfTables: String? {
    if group != nil { return "--group" }
    if points.horizon != nil { return "--horizon" }
    if points.at != nil { return "--at" }
    if shard != nil { return "--shard" }
    if units != nil { return "--units" }
    if error != nil { return "--error" }
    if latent { return "--latent" }
    if !known.given.isEmpty { return "--given" }
    if scale.choice != .automatic, scale.choice != .raw { return "--scale" }
    return nil
  }

  func run(_ job: TableJob) throws {
    let template = try PlanTemplate(parsing: plan ?? "sequential")
    let levels = try numberList(quantiles, option: "--quantiles")
    let functionals = try FunctionalTable.functionals(functional)
    let steps = job.steps(limits: scale.limits)
    let columns = steps.map { job.column($0) }
    if !functionals.isEmpty {
      guard steps.count == 1, columns[0].kind == .number else {
        throw ValidationError("--functional is of one column of numbers; name one target")
      }
      if let needy = functionals.first(where: \.needsOrder) {
        throw ValidationError(
          "--functional: '\(needy)' goes along an input, and rows of a table have no order")
      }
    }
    try job.check(steps)
    try outputs().checkPlaces()
    let firstRow = points.atFile == nil ? 0 : job.ownRows
    let asked = Set(firstRow..<job.cells.count)
    let missing = steps.contains { step in asked.contains { job.cells[$0, step.column].isNaN } }
    guard missing else {
      throw InferenceError.input(
        "\(job.frame.source): no row lacks a value of '\(columns.map(\.name).joined(separator: "' or '"))', so there is nothing to predict; "
          + "leave the cells empty that you want, or give rows with --at-file FILE")
    }
    let paths = try output.map {
      try RowWriter(
        columns: ["path", "row"] + columns.map(\.name), format: TableFormat(path: $0) ?? .csv, to: .file($0))
    }
    common.say(job.found(steps))
    let chain = try TableChain(
      Model(named: givenModel ?? "tables"), job.cells, steps: steps, rows: asked, on: common.pool)
    for (index, step) in steps.enumerated() {
      if let words = chain.relevance(index).flatMap({ job.importance(step, $0) }) { common.say(words) }
    }
    let count = samples
    let drawn = try chain.sample(count, seed: common.seed, plan: template, flopLimit: flopLimit) { done in
      common.progress("\(done) of \(count) paths")
    }
    common.progress("")
    let answer = TableAnswer(job: job, steps: steps, drawn: drawn, levels: levels, firstRow: firstRow)
    if let paths { try answer.writePaths(to: paths) }
    if plot != nil || show {
      let figure = TablePicture(job: job, steps: steps, drawn: drawn, firstRow: firstRow).figure()
      if let plot { try PictureFile.write(figure, title: figure.title, to: plot) }
      if show { Terminal.standardError.show(figure) }
    }
    for words in job.words + drawn.notes { common.say("note: \(words)") }
    func writer(_ columns: [String]) throws -> RowWriter {
      try RowWriter(columns: columns, format: format, to: .standardOutput)
    }
    guard functionals.isEmpty else {
      let independent = try chain.sample(count, seed: common.seed, plan: .independent, flopLimit: flopLimit)
      return try answer.writeFunctionals(functionals, independent: independent.paths, to: writer)
    }
    try answer.write(to: writer)
  }
}
