import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusQuestions
import ChorusTables
import Foundation

/// How well a kept table, or that of each group, foretells further rows: each target in turn by the inputs and the targets before it, so that the sum of their
/// log-densities is that of all together.
struct TableScore: ContextScore {
  private struct Part {
    let group: String?
    let job: TableJob
    /// Places of the rows that have all targets.
    let rows: [Int]
  }

  private let table: KeptTable
  /// Of the groups that have rows.
  private let parts: [Part]
  private let steps: [TableChain.Step]
  private let leftOut: Int
  private let settings: ScoreSettings

  init(_ table: KeptTable, _ incoming: Incoming, _ settings: ScoreSettings) throws {
    guard let source = try incoming.source("rows", options: TableOptions(incoming.fields)) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    let further = try source.table()
    // Every row is of a group.
    if let column = table.groupColumn { _ = try further.texts(column) }
    let jobs = try TableJobs(table.saved, at: further).all
    let steps = jobs[0].job.steps(limits: table.saved.limits, whole: table.saved.isWhole)
    parts = jobs.compactMap { group, job in
      let rows = job.asked.filter { row in steps.allSatisfy { !job.cells[row, $0.column].isNaN } }
      return rows.isEmpty ? nil : Part(group: group, job: job, rows: rows)
    }
    // What is said is of values without their errors.
    if parts.contains(where: { $0.job.errors(of: $0.rows, steps[0]).contains { $0 > 0 } }) {
      throw ServiceError(
        422,
        "rows whose '\(table.saved.error ?? "")' is not 0 cannot be scored here; chorus score adds their errors to what is said of them"
      )
    }
    leftOut = further.rowCount - parts.reduce(0) { $0 + $1.rows.count }
    guard !parts.isEmpty else {
      let targets = table.saved.targets.joined(separator: "' and '")
      throw ServiceError(422, "no row has a value of '\(targets)'")
    }
    (self.table, self.steps, self.settings) = (table, steps, settings)
  }

  var rowCount: Int { parts.reduce(0) { $0 + $1.rows.count } * steps.count }

  func flops() throws -> Double {
    let model = table.model
    return try parts.reduce(0) { sum, part in
      try sum + table.flopsToFit(part.group)
        + settings.flops { plan, paths in
          try TableChain.flops(
            scoring: steps, part.rows.count, of: part.job.cells.count, paths: paths, plan: plan, by: model)
        }
    }
  }

  func body(_ description: ContextDescription, flopLimit: Double) throws -> AnswerBody {
    let key = table.groupColumn.map { [$0] } ?? []
    return AnswerBody(
      columns: key + ["target"] + settings.columns + classes + ["note"],
      rows: try parts.flatMap { try rows($0, flopLimit: flopLimit) },
      beside: settings.beside(leftOut: leftOut))
  }

  /// Columns of scores that categories have and numbers have not.
  private var classes: [String] { settings.isDensityAlone ? [] : ["accuracy", "log_loss", "brier"] }

  /// A row for each target of a group.
  private func rows(_ part: Part, flopLimit: Double) throws -> [[ChorusTables.Cell]] {
    let job = part.job
    let laws = try table.laws(part.group, beside: job)
    let none = [ChorusTables.Cell](repeating: .missing, count: settings.columns.count - 2)
    return try steps.enumerated().map { index, step -> [ChorusTables.Cell] in
      let inputs = job.cells.rows(part.rows).columns(step.inputs)
      let y = part.rows.map { job.cells[$0, step.column] }
      let name = (part.group.map { [ChorusTables.Cell.text($0)] } ?? []) + [.text(job.column(step).name)]
      func unscored(_ words: String) -> [ChorusTables.Cell] {
        name + [.integer(y.count), .missing] + none + classes.map { _ in .missing } + [.text(words)]
      }
      guard let laws else { return unscored("the group has too few rows to learn from") }
      switch laws.law(index) {
      case .number(let posterior):
        let data = try Dataset(inputs: posterior.told(inputs), y: y)
        let (cells, note) = try settings.cells(posterior.posterior, data, flopLimit: flopLimit)
        return name + cells + classes.map { _ in .missing } + [.note(note)]
      case .category(let posterior):
        let said = try posterior.probabilities(at: inputs)
        let levels = y.map { Int($0) }
        let density = try posterior.logProbability(
          of: levels, at: inputs, plan: settings.template, orders: settings.orders, seed: settings.seed,
          flopLimit: flopLimit)
        let scores = ClassScores(said, levels)
        let own = [scores.accuracy, scores.logLoss, scores.brier].map { ChorusTables.Cell.number($0) }
        return name + [.integer(y.count), .number(density)] + none + own.prefix(classes.count) + [.missing]
      case .constant:
        return unscored("all values that were read are the same, which has no density")
      }
    }
  }
}
