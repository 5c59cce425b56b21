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

  private static let levels = [0.05, 0.25, 0.5, 0.75, 0.95]
  /// Targets of a picture of correlations.
  private static let correlated = 40

  private var selection: Selection { question.selection }
  private var output: (title: String, unit: String) { question.named(selection.target) }
  private var input: (title: String, unit: String) { question.named(selection.inputs[0]) }

  func page() -> Page {
    let file = question.file == "-" ? "standard input" : URL(fileURLWithPath: question.file).lastPathComponent
    var blocks: [Page.Block] = [
      .paragraph(
        "\(joint.paths.count) paths at \(question.points.count) points, drawn by plan \(template) from model "
          + "\(modelName) after \(question.data.count) observed rows; seed \(seed)."),
      .heading("Prediction"),
      .figure(FanChart(question: question, samples: joint, subtitle: "").figure(width: 960)),
    ]
    blocks += functionalBlocks() + correlationBlocks() + calibrationBlocks() + dataBlocks() + costBlocks()
    blocks += modelBlocks()
    return Page(title: "\(output.title) in \(file)", blocks: blocks)
  }

  // MARK: Prediction

  private func functionalBlocks() -> [Page.Block] {
    let table = FunctionalTable(
      functionals: [functional], levels: Self.levels, inputs: question.points, kinds: selection.kinds)
    let rows = table.rows(joint: joint.paths, independent: independent?.paths)
    func text(_ value: Double) -> String {
      functional.isInput && value.isFinite
        ? ReportText.text(value, selection.kinds[0]) : value.isInfinite ? "never" : ReportText.number(value)
    }
    let cells = rows.map { row -> [String] in
      let summary = row.summary
      let share = functional.isInput ? [Self.estimate(summary.share, ReportText.number)] : []
      return [row.draws] + share + [
        Self.estimate(summary.mean, text), Self.estimate(summary.deviation, ReportText.number),
      ] + summary.quantiles.map { text($0.value) }
    }
    let columns =
      ["draws"] + (functional.isInput ? ["share of paths"] : []) + ["mean", "standard deviation"]
      + Self.levels.map { "\(ReportText.number($0 * 100)) %" }
    return [
      .heading(functional.isInput ? "The \(name)" : "The \(name) of all points"),
      .paragraph(
        "Made of each path as a whole. "
          + (independent == nil
            ? ""
            : "Values drawn each on its own have the same distribution point by point, and "
              + "lose how they go together: what they would claim is beside it. ")
          + "± is the Monte-Carlo standard error."
      ),
      .figure(histogram(rows)), .table(Page.Table(columns: columns, rows: cells)),
    ]
  }

  private var name: String {
    switch functional {
    case .firstAbove(let level): "first \(input.title) with \(output.title) above \(ReportText.number(level))"
    case .maximum: "maximum"
    case .minimum: "minimum"
    default: functional.description
    }
  }

  private static func estimate(_ estimate: FunctionalSummary.Estimate, _ text: (Double) -> String) -> String {
    guard estimate.value.isFinite else { return text(estimate.value) }
    return text(estimate.value)
      + (estimate.error.isFinite ? " ± \(ChartNumber.text(estimate.error, digits: 2))" : "")
  }

  private func histogram(_ rows: [FunctionalTable.Row]) -> Figure {
    let all = rows.flatMap(\.values).filter(\.isFinite)
    let range = all.min().flatMap { low in all.max().map { low...$0 } }
    let series = rows.enumerated().map { index, row in
      let series = Series.histogram(
        row.draws + " draws", row.values, within: range, density: true, colour: .palette(index))
      return index == 0 ? series : series.outlined()
    }
    let unit = functional.isInput ? input.unit : output.unit
    let isDate = functional.isInput ? selection.kinds[0].notation != nil : false
    return Figure(
      charts: [
        Chart(
          title: "Distribution of the \(name)",
          x: Axis(
            functional.isInput ? input.title : "\(name) of \(output.title)", unit: unit,
            scale: isDate ? .date : .linear),
          y: Axis("density"), series: series, height: 300)
      ], columns: 1)
  }

  private func correlationBlocks() -> [Page.Block] {
    let x = question.points.values
    let order = x.indices.sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] < x[$1] }
    guard order.count > 1 else { return [] }
    let count = min(order.count, Self.correlated)
    let shown = (0..<count).map { order[$0 * (order.count - 1) / (count - 1)] }
    func chart(_ title: String, _ paths: [[Double]]) -> Chart {
      let matrix = Correlation.matrix(paths.map { path in shown.map { path[$0] } })
      return Chart(
        title: title, x: Axis("point, by \(input.title)"), y: Axis("point"),
        series: [Series("", .matrix(matrix))], height: 440)
    }
    let few = joint.paths.count < 100 ? " With so few paths, much of the pattern is chance." : ""
    return [
      .heading("How the values go together"),
      .paragraph(
        "Correlations between the drawn values of \(shown.count) points"
          + (shown.count < order.count ? " of \(order.count)" : "")
          + ": blue is positive, orange negative, stronger colour is nearer to 1 or -1." + few),
      .figure(
        Figure(
          charts: [chart("Joint draws", joint.paths)]
            + (independent.map { [chart("Independent draws", $0.paths)] } ?? []),
          columns: 2)),
    ]
  }

  // MARK: Calibration

  private func calibrationBlocks() -> [Page.Block] {
    guard let heldOut else { return [] }
    let calibration = heldOut.calibration
    let n = calibration.levels.count
    guard n > 0 else { return [] }
    let chart = CalibrationChart(
      calibration, title: "Where the held-out values fell", note: "\(n) values"
    ).chart
    let rows = calibration.coverage([0.5, 0.8, 0.9, 0.95]).map { row in
      [
        Self.percent(row.nominal), Self.percent(row.observed),
        "\(Self.percent(row.expected.lowerBound)) to \(Self.percent(row.expected.upperBound))",
        row.expected.contains(row.observed)
          ? "as expected" : row.observed < row.nominal ? "too narrow" : "too wide",
      ]
    }
    return [
      .heading("Calibration"),
      .paragraph(
        "\(n) of the rows, \(holdsOutLast ? "the last ones" : "taken at random"), were held out and predicted from the other \(heldOut.split.context.count), each on its own. "
          + "If the predictions are right, the bars are level within the grey band."),
      .figure(Figure(charts: [chart], columns: 1)),
      .table(
        Page.Table(
          columns: ["central interval", "values inside", "95 % of outcomes, if right", ""],
          rows: rows)),
      .paragraph(
        "Log-density of \(heldOut.split.joint.count) of them, in nats a value: \(ChartNumber.text(heldOut.joint, digits: 4)) jointly"
          + (heldOut.independent.isNaN
            ? "" : " (8 orders), \(ChartNumber.text(heldOut.independent, digits: 4)) as independent values")
          + "; more is better."
      ),
    ]
  }

  private static func percent(_ value: Double) -> String { "\(ChartNumber.text(value * 100, digits: 3)) %" }

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

  private func modelBlocks() -> [Page.Block] {
    let blueprint = model.blueprint
    var rows = [
      ["model", modelName], ["parameters", String(model.parameterCount)],
      [
        "trained with",
        "up to \(blueprint.trainedContext) rows and \(blueprint.trainedBuffer) values drawn together",
      ],
    ]
    rows += model.card.sorted { $0.key < $1.key }.map { [$0.key, $0.value] }
    var blocks: [Page.Block] = [.heading("Notes")]
    blocks += joint.notes.isEmpty ? [.paragraph("None.")] : joint.notes.map { .paragraph("\($0).") }
    return blocks + [
      .heading("Model"), .table(Page.Table(columns: ["", ""], rows: rows, textColumns: 2)),
    ]
  }
}
