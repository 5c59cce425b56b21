import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusReports
import ChorusTables
import Foundation

/// The words, tables and pictures of a report.
struct ReportContent {
  let question: Question
  let model: Model
  let modelName: String
  let template: PlanTemplate
  let posterior: Posterior
  let joint: Posterior.Samples
  /// Nil for a model that draws no value on its own.
  let independent: Posterior.Samples?
  let functional: Functional
  let heldOut: HeldOutScoring.Result?
  /// Whether the last rows were held out and not rows taken at random.
  let holdsOutLast: Bool
  let seed: UInt64

  private var selection: Selection { question.selection }
  private var output: (title: String, unit: String) { question.named(selection.target) }
  private var input: (title: String, unit: String) { question.named(selection.inputs[0]) }

  func page() -> Page {
    let file = question.file == "-" ? "standard input" : URL(fileURLWithPath: question.file).lastPathComponent
    return Page(
      title: "\(output.title) in \(file)", blocks: blocks + ReportBlocks.model(model, modelName))
  }

  /// All of a page but what is told of the model.
  var blocks: [Page.Block] {
    var blocks: [Page.Block] = [
      .paragraph(
        "\(joint.paths.count) paths at \(question.points.count) points, drawn by plan \(template) from model "
          + "\(modelName) after \(question.data.count) observed rows; seed \(seed)."),
      .heading("Prediction"),
      .figure(FanChart(question: question, samples: joint, subtitle: "").figure(width: 960)),
    ]
    let x = question.points.values
    let shared = ReportBlocks(
      output: output, input: input, inputKind: selection.kinds[0], places: "points", joint: joint.paths,
      independent: independent?.paths)
    blocks += shared.functional(functional, of: question.points)
    blocks += shared.correlations(
      order: x.indices.sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] < x[$1] }, axis: "point, by \(input.title)")
    if let heldOut { blocks += ReportBlocks.calibration(heldOut, isLast: holdsOutLast) }
    blocks += dataBlocks() + costBlocks()
    return blocks + ReportBlocks.notes(joint.notes.map(\.description))
  }

  // MARK: Data, cost, model

  private func dataBlocks() -> [Page.Block] {
    func row(_ column: String, _ values: [Double], _ kind: ColumnKind, missing: Int) -> [String] {
      let sorted = values.sorted()
      let named = question.named(column)
      func text(_ value: Double?) -> String { value.map { ReportText.text($0, kind) } ?? "–" }
      return [
        named.title, named.unit.isEmpty ? "–" : named.unit, String(values.count), String(missing),
        text(sorted.first),
        text(sorted.isEmpty ? nil : sorted[sorted.count / 2]), text(sorted.last), String(Set(values).count),
      ]
    }
    let x = selection.observed.inputs + selection.missing.inputs
    let rows = [
      row(selection.inputs[0], x, selection.kinds[0], missing: selection.incomplete.count),
      row(
        selection.target, selection.observed.targets, selection.targetKind,
        missing: selection.missing.indices.count),
    ]
    var blocks: [Page.Block] = [
      .heading("Data"),
      .table(
        Page.Table(
          columns: ["column", "unit", "values", "missing", "smallest", "middle", "largest", "different"],
          rows: rows,
          textColumns: 2)),
    ]
    let beyond = question.points.values.count {
      $0 < (question.data.x.min() ?? -.infinity) || $0 > (question.data.x.max() ?? .infinity)
    }
    if beyond > 0 {
      blocks.append(
        .paragraph(
          "\(beyond) of \(question.points.count) points lie beyond the observed \(input.title): extrapolation."
        ))
    }
    return blocks
  }

  private func costBlocks() -> [Page.Block] {
    let explanation = joint.plan.explanation
    guard let cost = try? posterior.cost(at: question.points, plan: template, paths: joint.paths.count) else {
      return []
    }
    let counts = cost.counts
    return [
      .heading("Cost of the plan"),
      .table(
        Page.Table(
          columns: ["plan", "paths", "network calls", "rows encoded", "query-key reads", "GFLOP"],
          rows: [
            [template.description]
              + [joint.paths.count, counts.calls, counts.encodes, counts.reads].map {
                ChartNumber.text($0)
              }
              + [ChartNumber.text(cost.work.total / 1e9)]
          ])),
      .details("What the plan does for one path", [.preformatted(explanation)]),
    ]
  }
}
