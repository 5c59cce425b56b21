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
  func tableJobs(_ saved: SavedFile?) throws -> (jobs: TableJobs?, table: Table?) {
    if let saved { return (try savedJobs(saved), nil) }
    guard let file, !wide.isTold else { return (nil, nil) }
    if let covariates { return try tableJobs(file, beside: Observations.names(covariates)) }
    let isTold = try givenModel.map { try Model(named: $0).blueprint.readsTables } ?? false
    let mayBe =
      givenModel == nil && points.horizon == nil && points.at == nil && target != nil
    guard isTold || mayBe || asOption != nil else { return (nil, nil) }
    let isSaid = isTold || asOption != nil
    if !isSaid, try !TableJob.mayBe(input: input, target: target, reading.rows(file)) { return (nil, nil) }
    let table = try reading.rows(file).table()
    let (targets, inputs) = (
      TableJob.names(target, in: table) ?? [], TableJob.names(input, in: table)
    )
    guard try isSaid || TableJob.isTable(table, targets, inputs, error: errors.column, group: group)
    else { return (nil, table) }
    guard !targets.isEmpty else {
      throw InferenceError.input(
        "\(file): name the column to predict with --target; it has: "
          + table.columns.prefix(20).joined(separator: ", "))
    }
    try refuseWhatSeriesHave(file)
    let further = try points.atFile.map { try reading.rows($0).table() }
    let jobs = try TableJobs(
      table, at: further, targets: targets, inputs: inputs, error: errors.column,
      as: TableJob.told(asOption), group: group)
    return (jobs, nil)
  }

  /// The table that rows with columns beside time are, where those are more, or of other kinds, than a series' rows tell apart.
  private func tableJobs(
    _ file: String, beside covariates: [String]
  ) throws -> (jobs: TableJobs?, table: Table?) {
    let isTold =
      try asOption != nil || givenModel.map { try Model(named: $0).blueprint.readsTables } ?? false
    guard isTold || givenModel == nil, points.horizon == nil, points.at == nil else { return (nil, nil) }
    let table = try reading.rows(file).table()
    let columns = try AskedColumns(
      RowsSource(read: table), input: input, target: target, group: group, marks: covariates,
      error: errors.column, several: true)
    let reason = try TableJob.exceedsSeries(columns, covariates)
    guard isTold || reason != nil else { return (nil, table) }
    if let reason, !isTold {
      common.say(
        "note: \(reason): read as a table, whose rows are predicted by their columns and not as a series")
    }
    try refuseWhatSeriesHave(file)
    let time = columns.isCounted ? [] : columns.selections[0].inputs
    let jobs = try TableJobs(
      table, at: points.atFile.map { try reading.rows($0).table() }, targets: columns.targets,
      inputs: time + covariates, error: errors.column, as: TableJob.told(asOption), group: group)
    return (jobs, nil)
  }

  /// A table that was kept; nil where the file holds a series.
  private func savedJobs(_ file: SavedFile) throws -> TableJobs? {
    guard case .table(let saved) = file else { return nil }
    if asOption != nil {
      throw ValidationError("--context has its own rows and columns; leave out --as")
    }
    try refuseWhatSeriesHave(saved.path)
    guard let rows = points.atFile else {
      throw ValidationError("\(saved.path) is of a table; give the rows to predict with --at-file FILE")
    }
    return try TableJobs(saved, at: reading.rows(rows).table())
  }

  private func refuseWhatSeriesHave(_ file: String) throws {
    let options = [
      ("--horizon", points.horizon != nil), ("--at", points.at != nil), ("--units", units != nil),
      ("--latent", latent), ("--shard", shard != nil && group == nil),
      ("--scale", scale.choice != .automatic && scale.choice != .raw),
    ]
    if let option = options.first(where: \.1)?.0 {
      throw ValidationError("\(option) goes with a series, and \(file) is read as a table; leave it out")
    }
  }

  func run(_ jobs: TableJobs) throws {
    let functionals = try FunctionalTable.functionals(functional)
    if plot != nil || show, jobs.groupColumn != nil {
      throw ValidationError("--plot and --show draw one table; leave out --group")
    }
    let asked = try jobs.model(givenModel, precision: precise.precision)
    let asker = TableAsker(
      model: asked.model,
      template: try PlanTemplate(parsing: plan ?? "sequential"),
      samples: samples,
      seed: common.seed, levels: try numberList(quantiles, option: "--quantiles"), functionals: functionals,
      flopLimit: flopLimit, limits: jobs.saved?.limits ?? scale.limits,
      whole: jobs.saved?.isWhole ?? scale.isWhole, known: try known.statements,
      needsPaths: output != nil || plot != nil || show, digits: digits)
    try run(jobs, asker, notes: [asked.note].compactMap { $0 } + jobs.notes)
  }

  private func run(_ jobs: TableJobs, _ asker: TableAsker, notes: [String]) throws {
    let asked = try asker.asked(jobs)
    try outputs().checkPlaces()
    let (first, steps) = (asked[0].job, asker.steps(asked[0].job))
    let shape = TableAnswer(job: first, steps: steps, drawn: nil, levels: asker.levels)
    let names =
      asker.functionals.isEmpty
      ? shape.names(groupColumn: jobs.groupColumn) : shape.functionalNames(groupColumn: jobs.groupColumn)
    let paths = try output.map {
      try RowWriter(
        columns: shape.pathNames(groupColumn: jobs.groupColumn).header,
        format: TableFormat(path: $0) ?? .csv, to: .file($0))
    }
    common.say(first.found(steps) + (jobs.groupColumn.map { ", each '\($0)' by itself" } ?? ""))
    for words in notes + names.words { common.say("note: \(words)") }
    var (stdout, said, next) = (
      RowWriter?.none, Set<String>(), shard?.range(of: asked.count) ?? 0..<asked.count
    )
    while !next.isEmpty {
      let batch = next.prefix(asker.atOnce(asked[next]))
      let answers = try self.answers(asker, asked, batch)
      for (answer, _) in answers {
        // Files first: whoever reads stdout may stop early.
        if let paths { try answer.forEachPathRow(paths.write) }
        try draw(answer)
        for words in (said.isEmpty ? first.words : []) + answer.notes where said.insert(words).inserted {
          common.say("note: \(answer.group.map { "group '\($0)': " } ?? "")\(words)")
        }
      }
      if batch.upperBound == next.upperBound { try paths?.finish() }
      let writer = try stdout ?? RowWriter(columns: names.header, format: format, to: .standardOutput)
      stdout = writer
      for row in answers.flatMap(\.rows) { try writer.write(row) }
      next = batch.upperBound..<next.upperBound
    }
    try stdout?.finish()
  }

  /// The answers to some of the tables, side by side on the threads there are.
  private func answers(
    _ asker: TableAsker, _ asked: [(group: String?, job: TableJob)], _ batch: Range<Int>
  ) throws -> [(answer: TableAnswer, rows: [[ChorusTables.Cell]])] {
    let (common, count) = (common, samples)
    defer { common.progress("") }
    guard batch.count == 1, asked.count == 1 else {
      return try common.pool.map(batch.count) { index, pool in
        let answer = try asker.answer(asked[batch.lowerBound + index], on: pool)
        common.progress("\(batch.lowerBound + index + 1) of \(asked.count) groups")
        return answer
      }
    }
    return [
      try asker.answer(
        asked[batch.lowerBound], on: common.pool, say: { common.say($0) },
        progress: { common.progress("\($0) of \(count) paths") })
    ]
  }

  private func draw(_ answer: TableAnswer) throws {
    guard plot != nil || show, let drawn = answer.drawn else { return }
    let figure = TablePicture(job: answer.job, steps: answer.steps, drawn: drawn).figure()
    if let plot { try PictureFile.write(figure, title: figure.title, to: plot) }
    if show { Terminal.standardError.show(figure) }
  }
}
