import ChorusEvaluation
import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

/// What is asked of a kept table: the targets of further rows.
struct TableAsk: ContextQuestion {
  private let table: KeptTable
  private let job: TableJob
  private let steps: [TableChain.Step]
  private let settings: DrawSettings

  init(_ table: KeptTable, _ incoming: Incoming) throws {
    let fields = incoming.fields
    for name in ["at", "horizon", "every", "series", "latent"] where fields.names.contains(name) {
      throw ServiceError(
        422, "'\(name)' is of series, and the context holds a table; give rows with its inputs in 'points'")
    }
    let inputs = table.job.inputs.map { table.job.frame.columns[$0].name }
    guard
      let source = try incoming.source(
        "points", options: TableOptions(fields), input: inputs.count == 1 ? inputs.first : nil)
    else {
      throw ServiceError(
        422, "there is nothing to predict; give rows with the inputs in 'points', or a table")
    }
    job = try table.saved.job(at: source.table())
    steps = job.steps(limits: table.saved.limits, whole: table.saved.isWhole)
    settings = try DrawSettings(fields, plan: "sequential")
    self.table = table
  }

  var points: Int { job.asked.count * steps.count }
  var values: Int {
    settings.samples
      * steps.reduce(0) { sum, step in sum + job.asked.count { job.cells[$0, step.column].isNaN } }
  }
  var paths: Int { settings.samples }
  var functionals: [Functional] { settings.functionals }
  /// Estimators do other work than a network.
  var isTypical: Bool { false }

  private func asker(flopLimit: Double) -> TableAsker {
    TableAsker(
      model: table.model, template: settings.template, samples: settings.samples, seed: settings.seed,
      levels: settings.levels, functionals: functionals, flopLimit: flopLimit, limits: table.saved.limits,
      whole: table.saved.isWhole, known: settings.known)
  }

  func check() throws { _ = try asker(flopLimit: 0).asked(TableJobs(job, of: table.saved)) }

  func flops() throws -> Double {
    let model = table.model
    // Cells that are given, and targets that some of the rows have, are learned from as well.
    let isSame =
      !settings.known.contains { $0.functional == nil && $0.relation == .equal }
      && !steps.contains { step in job.asked.contains { !job.cells[$0, step.column].isNaN } }
    let fit =
      table.isFitted && isSame
      ? 0 : TableChain.flops(toFit: steps, rows: job.cells.count, by: model)
    func drawing(_ plan: PlanTemplate) throws -> Double {
      try TableChain.flops(
        asking: steps, of: job.asked, in: job.cells, paths: settings.samples, plan: plan, by: model)
    }
    return try fit + drawing(settings.template) + (functionals.isEmpty ? 0 : drawing(.independent))
  }

  func plans() throws -> [JSON] {
    try steps.compactMap { step in
      let count = job.asked.count { job.cells[$0, step.column].isNaN }
      guard step.levels == nil, count > 0 else { return nil }
      let plan = try settings.template.resolve(
        context: max(table.job.cells.count, 1), targets: count, capability: table.model.network.capability)
      return .plan(plan, by: table.model, paths: settings.samples, of: nil)
    }
  }

  func response(_ kind: AnswerKind, _ form: AnswerForm, flopLimit: Double) throws -> ServiceResponse {
    let (answer, rows) = try asker(flopLimit: flopLimit).answer((nil, job), fitted: table.fitted(), on: nil)
    switch kind {
    case .summary:
      let names =
        functionals.isEmpty ? answer.names(groupColumn: nil) : answer.functionalNames(groupColumn: nil)
      return try AnswerBody(
        columns: names.header, rows: rows, beside: settings.beside(notes: answer.notes),
        matrix: functionals.isEmpty ? matrix(answer) : nil
      ).response(form)
    case .paths:
      switch form {
      case .json:
        return ServiceResponse(
          200,
          .object(
            [JSON.Member(key: "targets", value: .array(targets(answer)))]
              + settings.beside(notes: answer.notes)))
      case .npy:
        let isNumber = steps.count == 1 && steps[0].levels == nil
        return try AnswerBody(columns: [], rows: [], matrix: isNumber ? answer.drawn?.paths : nil).response(
          form)
      case .csv, .jsonl:
        var rows: [[ChorusTables.Cell]] = []
        answer.forEachPathRow { (cells) throws(Never) in rows.append(cells) }
        return try AnswerBody(columns: answer.pathNames(groupColumn: nil).header, rows: rows).response(form)
      }
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
      let column = job.column(step)
      let cells = answer.drawn?.cells ?? []
      let places = cells.indices.filter { cells[$0].step == index }
      let levels: [String]? = if case .category(let levels) = column.kind { levels } else { nil }
      return .members([
        "target": .string(column.name), "levels": levels.map { .array($0.map(JSON.string)) },
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
