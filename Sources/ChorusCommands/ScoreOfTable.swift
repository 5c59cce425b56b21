import ArgumentParser
import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusTables
import ChorusTensors
import Foundation

/// `chorus score` of a table: rows held out at random, in folds, or by a column.
extension Score {
  /// The table, where the command line or the file tells that it is one; else what was read of the file.
  func tableJob() throws -> (job: TableJob, table: Table)? {
    let isTold =
      try folds != nil || groupFolds != nil || asOption != nil
      || givenModel.map { try Model(named: $0).blueprint.readsTables } ?? false
    guard
      isTold
        || (givenModel == nil && !wide.isTold && target != nil && group == nil && last == nil
          && windows == nil && covariates == nil && file != "-")
    else { return nil }
    if !isTold, try !TableJob.mayBe(input: input, target: target, reading.rows(file)) { return nil }
    let table = try reading.rows(file).table()
    let (targets, inputs) = (
      TableJob.names(target, in: table) ?? [], TableJob.names(input, in: table)
    )
    guard try isTold || TableJob.isTable(table, targets, inputs, error: errors.column) else { return nil }
    guard !targets.isEmpty else {
      throw InferenceError.input(
        "\(file): name the one column to score with --target, or several that are categories; it has: "
          + table.columns.prefix(20).joined(separator: ", "))
    }
    for (option, isGiven) in [
      ("--last", last != nil), ("--windows", windows != nil), ("--group", group != nil),
      ("--wide", wide.isTold),
      ("--season", season != nil), ("--with", covariates != nil),
      ("--scale", scale.choice != .automatic && scale.choice != .raw),
    ] where isGiven {
      throw ValidationError("\(option) goes with a series, and \(file) is read as a table; leave it out")
    }
    var told = try TableJob.told(asOption)
    // Columns that say how rows are split tell nothing of the target.
    for name in splits.map(Observations.names) ?? [] { told[name] = .skip }
    return (
      try TableJob(table, targets: targets, inputs: inputs, error: errors.column, as: told), table
    )
  }

  func run(_ job: TableJob, _ table: Table) throws {
    let steps = job.steps(limits: scale.limits, whole: scale.isWhole)
    if steps.allSatisfy({ $0.levels != nil }) { return try run(job, table, categories: steps) }
    guard steps.count == 1 else {
      throw InferenceError.input(
        "\(file): several targets are scored together where all are categories; name one column of numbers")
    }
    let (step, column) = (steps[0], job.column(steps[0]))
    let known = (0..<job.cells.count).filter { !job.cells[$0, step.column].isNaN }
    guard known.count >= 4 else {
      throw InferenceError.input(
        "\(file): \(known.count) rows have a value of '\(column.name)'; at least 4 are needed")
    }
    let cells = job.cells.rows(known).columns(step.inputs)
    let y = known.map { job.cells[$0, step.column] }
    let splits = try splits(of: known, table)
    common.say(job.found([step]))
    for words in job.words { common.say("note: \(words)") }
    try outputs().checkPlaces()
    let progress = Progress(of: splits.count, "repetitions", common)
    precise.warn(common)
    let network = try TableModel(givenModel, categories: false, precision: precise.precision).model
    let functionals = try FunctionalTable.functionals(functional)
    let scoring = HeldOutScoring(
      model: network, rows: .table(cells, y: y, errors: job.errors(of: known, step)),
      plan: try PlanTemplate(parsing: plan ?? "sequential"),
      orders: orders,
      samples: samples ?? (functionals.isEmpty ? 50 : 200), seed: common.seed, flopLimit: flopLimit,
      limits: scale.limits, whole: scale.isWhole)
    let overlap =
      folds == nil && groupFolds == nil
      ? Double(splits[0].held.count) / Double(splits[0].context.count) : 0
    guard functionals.isEmpty else {
      let claims = try common.pool.map(splits.count) { index, pool in
        defer { progress.advance() }
        return try scoring.claims(functionals, splits[index], on: pool)
      }
      progress.clear()
      return try ClaimTable(functionals: functionals, claims: claims, overlap: overlap).write(format)
    }
    let results = try common.pool.map(splits.count) { index, pool in
      defer { progress.advance() }
      return try scoring.result(splits[index], drawing: true, reencoding: reencode, on: pool)
    }
    progress.clear()
    let scores = ScoreTable(
      series: [(nil, results)], groupColumn: nil, overlap: overlap, lines: true, baselines: Baseline.ofTables)
    for note in scores.notes { common.say("note: \(note)") }
    if let output { try write(results, known, y, column.name, to: output) }
    try scores.write(format)
    common.say(scores.verdict)
    for line in Standing(table: scores, season: (1, nil)).words { common.say(line) }
    if let calibration { try draw(results, column.name, to: calibration) }
  }

  /// A row each held-out value of each repetition; rows are numbered from 1 as in the file.
  private func write(
    _ results: [HeldOutScoring.Result], _ known: [Int], _ y: [Double], _ target: String, to path: String
  ) throws {
    let names: [OutputName] = ["repetition", "row", .file(target), "pit", "crps", "log_density"]
    for words in names.words { common.say("note: \(words)") }
    let writer = try RowWriter(
      columns: names.header, format: TableFormat(path: path) ?? .csv, to: .file(path))
    for (index, result) in results.enumerated() {
      for (place, row) in result.split.held.enumerated() {
        try writer.write([
          .integer(index + 1), .integer(known[row] + 1), .number(y[row]),
          .number(result.calibration.levels[place]), .number(result.crps[place]),
          .number(result.logDensity[place]),
        ])
      }
    }
    try writer.finish()
  }

  /// - Parameter known: the rows of the table that have a target; splits number them.
  func splits(of known: [Int], _ table: Table) throws -> [Split] {
    let (together, seed) = (targets ?? 64, common.seed)
    if let folds { return Split.folds(known.count, folds, together: together, seed: seed) }
    if let groupFolds {
      let groups = try table.texts(groupFolds)
      return try Split.folds(groups: known.map { groups[$0] }, together: together, seed: seed)
        ?? {
          throw InferenceError.input("\(file): column '\(groupFolds)' has fewer than two groups to hold out")
        }()
    }
    if let names = splits.map(Observations.names) {
      return try names.enumerated().map { repetition, name in
        let marks = try table.texts(name)
        let own = known.map { marks[$0] }
        if let odd = own.first(where: { !["", "context", "held-out"].contains($0) }) {
          throw InferenceError.input(
            "\(file): column '\(name)' has '\(odd)'; it takes context, held-out or nothing")
        }
        guard
          let split = Split.given(
            context: own.indices.filter { own[$0] == "context" },
            held: own.indices.filter { own[$0] == "held-out" },
            together: together, repetition: repetition, seed: seed)
        else {
          throw InferenceError.input(
            "\(file): column '\(name)' holds out no row with a value, or leaves fewer than 2 to learn from")
        }
        return split
      }
    }
    let share = holdout ?? 0.2
    return try (0..<(repetitions ?? 10)).map { repetition in
      guard
        let split = Split.random(
          known.count, share: share, together: together, repetition: repetition, seed: seed)
      else {
        throw InferenceError.input(
          "\(file): --holdout \(share) of \(known.count) rows leaves none to hold out, or fewer than 2 to learn from"
        )
      }
      return split
    }
  }
}
