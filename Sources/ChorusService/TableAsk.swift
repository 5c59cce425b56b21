import ChorusEvaluation
import ChorusFiles
import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

/// What is asked of a kept table, or of one for each group: the targets of further rows.
struct TableAsk: ContextQuestion {
  private let table: KeptTable
  /// What is asked of each group.
  private let jobs: TableJobs
  private let steps: [TableChain.Step]
  private let settings: DrawSettings

  /// - Parameter pointLimit: rows that may be asked for, all groups together.
  init(_ table: KeptTable, _ incoming: Incoming, pointLimit: Int) throws {
    let fields = incoming.fields
    for name in ["at", "horizon", "every", "latent"] where fields.names.contains(name) {
      throw ServiceError(
        422, "'\(name)' is of series, and the context holds a table; give rows with its inputs in 'points'")
    }
    let series = try Ask.name(fields, among: table.groups)
    let inputs = table.inputs
    guard
      let source = try incoming.source(
        "points", options: TableOptions(fields), input: inputs.count == 1 ? inputs.first : nil)
    else {
      throw ServiceError(
        422, "there is nothing to predict; give rows with the inputs in 'points', or a table")
    }
    let further = try source.table()
    if let column = table.groupColumn, series == nil, !further.columns.contains(column) {
      let (count, product) = (table.groups?.count ?? 1).multipliedReportingOverflow(by: further.rowCount)
      guard !product, count <= pointLimit else {
        throw ServiceError(
          422,
          "every group would be asked for \(further.rowCount) rows; name their group in '\(column)', or one in 'series'"
        )
      }
    }
    jobs = try TableJobs(table.saved, at: further, only: series)
    steps = jobs.all[0].job.steps(limits: table.saved.limits, whole: table.saved.isWhole)
    settings = try DrawSettings(fields, plan: "sequential")
    self.table = table
  }

  var points: Int { jobs.all.reduce(0) { $0 + $1.job.asked.count } * steps.count }
  var values: Int { settings.samples * jobs.all.reduce(0) { $0 + lacking($1.job).reduce(0, +) } }
  var paths: Int { settings.samples * jobs.all.count { $0.job.lacks(steps) } }
  var functionals: [Functional] { settings.functionals }
  /// Estimators do other work than a network.
  var isTypical: Bool { false }

  private func asker(flopLimit: Double, _ kind: AnswerKind = .paths) -> TableAsker {
    TableAsker(
      model: table.model, template: settings.template, samples: settings.samples, seed: settings.seed,
      levels: settings.levels, functionals: functionals, flopLimit: flopLimit, limits: table.saved.limits,
      whole: table.saved.isWhole, known: settings.known, needsPaths: kind == .paths)
  }

  func check() throws { _ = try asker(flopLimit: 0).asked(jobs) }

  func flops() throws -> Double {
    let model = table.model
    let isPinned = settings.known.contains { $0.functional == nil && $0.relation == .equal }
    return try jobs.all.reduce(0) { sum, one in
      let job = one.job
      guard job.lacks(steps), job.refusal(steps) == nil else { return sum }
      // Cells that are given, and targets that some of the rows have, are learned from as well.
      let isSame =
        !isPinned && !steps.contains { step in job.asked.contains { !job.cells[$0, step.column].isNaN } }
      let fit =
        isSame
        ? table.flopsToFit(one.group) : TableChain.flops(toFit: steps, rows: job.cells.count, by: model)
      func drawing(_ plan: PlanTemplate) throws -> Double {
        try TableChain.flops(
          asking: steps, of: job.asked, in: job.cells, paths: settings.samples, plan: plan, by: model)
      }
      return try sum + fit + drawing(settings.template)
        + (functionals.isEmpty ? 0 : drawing(.independent))
    }
  }

  /// Of each step how many cells are drawn.
  private func lacking(_ job: TableJob) -> [Int] {
    steps.map { step in job.asked.count { job.cells[$0, step.column].isNaN } }
  }

  func plans() throws -> [JSON] {
    try jobs.all.flatMap { one in
      try zip(steps, lacking(one.job)).compactMap { step, count -> JSON? in
        guard count > 0, let model = TableChain.network(step, of: table.model) else { return nil }
        let plan = try settings.template.resolve(
          context: max(table.rows(of: one.group), 1), targets: count, capability: model.network.capability)
        return .plan(plan, by: model, paths: settings.samples, of: one.group)
      }
    }
  }

  func response(_ kind: AnswerKind, _ form: AnswerForm, flopLimit: Double) throws -> ServiceResponse {
    let (asker, column) = (asker(flopLimit: flopLimit, kind), table.groupColumn)
    let answers = try asker.asked(jobs).map { one in
      try asker.answer(one, fitted: table.fitted(one.group), on: nil)
    }
    let (first, notes) = (answers[0].answer, Self.notes(answers.map(\.answer)))
    let only = answers.count == 1 ? first : nil
    switch kind {
    case .summary:
      let names =
        functionals.isEmpty ? first.names(groupColumn: column) : first.functionalNames(groupColumn: column)
      return try AnswerBody(
        columns: names.header, rows: answers.flatMap(\.rows), beside: settings.beside(notes: notes),
        matrix: functionals.isEmpty ? only.flatMap(matrix) : nil
      ).response(form)
    case .paths:
      switch form {
      case .json:
        let all = answers.flatMap { targets($0.answer) }
        return ServiceResponse(
          200,
          .object(
            [JSON.Member(key: "targets", value: .array(all))] + settings.beside(notes: notes)))
      case .npy:
        let isNumber = steps.count == 1 && steps[0].levels == nil
        return try AnswerBody(columns: [], rows: [], matrix: isNumber ? only?.drawn?.paths : nil).response(
          form)
      case .csv, .jsonl:
        var rows: [[ChorusTables.Cell]] = []
        for (answer, _) in answers {
          answer.forEachPathRow { (cells) throws(Never) in rows.append(cells) }
        }
        return try AnswerBody(columns: first.pathNames(groupColumn: column).header, rows: rows).response(form)
      }
    }
  }

  /// What to be careful about, each once, with the group that it is of.
  private static func notes(_ answers: [TableAnswer]) -> [String] {
    answers.flatMap { answer in
      answer.notes.map { note in (answer.group.map { "group '\($0)': " } ?? "") + note }
    }
  }

  /// Of a single target: probabilities, or mean and quantiles.
  private func matrix(_ answer: TableAnswer) -> [[Double]]? {
    guard steps.count == 1, let drawn = answer.drawn else { return nil }
    guard steps[0].levels == nil else { return drawn.expected }
    return drawn.expected.indices.map { place in
      drawn.expected[place]
        + Posterior.Samples.quantiles(of: drawn.paths.map { $0[place] }, settings.levels)
    }
  }

  /// Of each target its paths, a value or a level for every row that lacks one.
  private func targets(_ answer: TableAnswer) -> [JSON] {
    steps.enumerated().map { index, step in
      let job = answer.job
      let column = job.column(step)
      let cells = answer.drawn?.cells ?? []
      let places = cells.indices.filter { cells[$0].step == index }
      let levels: [String]? = if case .category(let levels) = column.kind { levels } else { nil }
      return .members([
        "group": answer.group.map(JSON.string), "target": .string(column.name),
        "levels": levels.map { .array($0.map(JSON.string)) },
        "rows": .array(places.map { .integer(job.numbers[cells[$0].row]) }),
        "paths": .array(
          (answer.drawn?.paths ?? []).map { path in
            .array(places.map { JSON(column.cell(path[$0])) })
          }),
        "expected": .array(
          places.compactMap { answer.drawn?.expected[$0] }.map { law in
            levels == nil ? law.first.map(JSON.double) ?? .null : .array(law.map(JSON.double))
          }),
      ])
    }
  }
}
