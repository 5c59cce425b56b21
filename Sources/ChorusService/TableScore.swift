import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusQuestions
import ChorusTables
import Foundation

/// How well a kept table foretells further rows: each target in turn by the inputs and the targets before it, so that the sum of their
/// log-densities is that of all together.
struct TableScore: ContextScore {
  private let table: KeptTable
  private let job: TableJob
  private let steps: [TableChain.Step]
  /// Places of the rows that have all targets.
  private let rows: [Int]
  private let leftOut: Int
  private let settings: ScoreSettings

  init(_ table: KeptTable, _ incoming: Incoming, _ settings: ScoreSettings) throws {
    guard let source = try incoming.source("rows", options: TableOptions(incoming.fields)) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    let job = try table.saved.job(at: source.table())
    let steps = job.steps(limits: table.saved.limits, whole: table.saved.isWhole)
    rows = job.asked.filter { row in steps.allSatisfy { !job.cells[row, $0.column].isNaN } }
    leftOut = job.asked.count - rows.count
    guard !rows.isEmpty else {
      let targets = table.saved.targets.joined(separator: "' and '")
      throw ServiceError(422, "no row has a value of '\(targets)'")
    }
    (self.table, self.job, self.steps, self.settings) = (table, job, steps, settings)
  }

  var rowCount: Int { rows.count * steps.count }

  func flops() throws -> Double {
    let (model, rows) = (table.model, rows)
    let fit =
      table.isFitted ? 0 : TableChain.flops(toFit: steps, rows: table.job.cells.count, by: model)
    return try settings.flops { plan, paths in
      try TableChain.flops(
        scoring: steps, rows.count, of: job.cells.count, paths: paths, plan: plan, by: model)
    } + fit
  }

  func body(_ description: ContextDescription, flopLimit: Double) throws -> AnswerBody {
    let laws = try table.laws(beside: job)
    let classes = settings.isDensityAlone ? [] : ["accuracy", "log_loss", "brier"]
    let none = [ChorusTables.Cell](repeating: .missing, count: settings.columns.count - 2)
    let rows = try steps.enumerated().map { index, step -> [ChorusTables.Cell] in
      let inputs = job.cells.rows(self.rows).columns(step.inputs)
      let y = self.rows.map { job.cells[$0, step.column] }
      let name = ChorusTables.Cell.text(job.column(step).name)
      switch laws.law(index) {
      case .number(let posterior):
        let data = try Dataset(inputs: posterior.told(inputs), y: y)
        let (cells, note) = try settings.cells(posterior.posterior, data, flopLimit: flopLimit)
        return [name] + cells + classes.map { _ in .missing } + [.note(note)]
      case .category(let posterior):
        let said = try posterior.probabilities(at: inputs)
        let levels = y.map { Int($0) }
        let density = try posterior.logProbability(of: levels, at: inputs)
        let scores = ClassScores(said, levels)
        let own = [scores.accuracy, scores.logLoss, scores.brier].map { ChorusTables.Cell.number($0) }
        return [name, .integer(y.count), .number(density)] + none + own.prefix(classes.count) + [.missing]
      case .constant:
        return [name, .integer(y.count), .missing] + none + classes.map { _ in .missing }
          + [.text("all values that were read are the same, which has no density")]
      }
    }
    return AnswerBody(
      columns: ["target"] + settings.columns + classes + ["note"], rows: rows,
      beside: settings.beside(leftOut: leftOut))
  }
}
