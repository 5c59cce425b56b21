import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusReports
import ChorusTables

/// The parts of a page that reports of functions and of tables share.
struct ReportBlocks {
  /// What is predicted, and by what, with their units.
  let output: (title: String, unit: String)
  let input: (title: String, unit: String)
  let inputKind: ColumnKind
  /// What values are predicted at, in the plural: points, rows.
  let places: String
  /// `[paths][places]`.
  let joint: [[Double]]
  /// Nil for a model that draws no value on its own.
  let independent: [[Double]]?

  private static let levels = [0.05, 0.25, 0.5, 0.75, 0.95]
  /// Targets of a picture of correlations.
  private static let correlated = 40

  // MARK: A number made of each path

  /// - Parameter inputs: where values are predicted.
  func functional(_ functional: Functional, of inputs: Inputs) -> [Page.Block] {
    let table = FunctionalTable(
      functionals: [functional], levels: Self.levels, inputs: inputs, kinds: [inputKind])
    let rows = table.rows(joint: joint, independent: independent)
    func text(_ value: Double) -> String {
      functional.isInput && value.isFinite
        ? ReportText.text(value, inputKind) : value.isInfinite ? "never" : ReportText.number(value)
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
    let name = name(functional)
    return [
      .heading(
        functional.isInput
          ? "The \(name)" : functional.isBetween ? "The \(name)" : "The \(name) of all \(places)"),
      .paragraph(
        "Made of each path as a whole. "
          + (independent == nil
            ? ""
            : "Values drawn each on its own have the same distribution \(places.dropLast()) by \(places.dropLast()), and "
              + "lose how they go together: what they would claim is beside it. ")
          + "± is the Monte-Carlo standard error."
      ),
      .figure(histogram(functional, rows)), .table(Page.Table(columns: columns, rows: cells)),
    ]
  }

  private func name(_ functional: Functional) -> String {
    switch functional {
    case .firstAbove(let level): "first \(input.title) with \(output.title) above \(ReportText.number(level))"
    case .firstBelow(let level): "first \(input.title) with \(output.title) below \(ReportText.number(level))"
    case .between(let first, let last): "difference from \(first.text) to \(last.text)"
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

  private func histogram(_ functional: Functional, _ rows: [FunctionalTable.Row]) -> Figure {
    let all = rows.flatMap(\.values).filter(\.isFinite)
    let range = all.min().flatMap { low in all.max().map { low...$0 } }
    let series = rows.enumerated().map { index, row in
      let series = Series.histogram(
        row.draws + " draws", row.values, within: range, density: true, colour: .palette(index))
      return index == 0 ? series : series.outlined()
    }
    let unit = functional.isInput ? input.unit : output.unit
    let isDate = functional.isInput ? inputKind.notation != nil : false
    return Figure(
      charts: [
        Chart(
          title: "Distribution of the \(name(functional))",
          x: Axis(
            functional.isInput ? input.title : "\(name(functional)) of \(output.title)", unit: unit,
            scale: isDate ? .date : .linear),
          y: Axis("density"), series: series, height: 300)
      ], columns: 1)
  }

  // MARK: How values go together

  /// - Parameters:
  ///   - order: of the places, as they are shown.
  ///   - axis: what they are in the order of.
  func correlations(order: [Int], axis: String) -> [Page.Block] {
    guard order.count > 1 else { return [] }
    let count = min(order.count, Self.correlated)
    let shown = (0..<count).map { order[$0 * (order.count - 1) / (count - 1)] }
    func chart(_ title: String, _ paths: [[Double]]) -> Chart {
      let matrix = Correlation.matrix(paths.map { path in shown.map { path[$0] } })
      return Chart(
        title: title, x: Axis(axis), y: Axis(String(places.dropLast())),
        series: [Series("", .matrix(matrix))], height: 440)
    }
    let few = joint.count < 100 ? " With so few paths, much of the pattern is chance." : ""
    return [
      .heading("How the values go together"),
      .paragraph(
        "Correlations between the drawn values of \(shown.count) \(places)"
          + (shown.count < order.count ? " of \(order.count)" : "")
          + ": blue is positive, orange negative, stronger colour is nearer to 1 or -1." + few),
      .figure(
        Figure(
          charts: [chart("Joint draws", joint)]
            + (independent.map { [chart("Independent draws", $0)] } ?? []),
          columns: 2)),
    ]
  }

  // MARK: How far to trust it

  /// - Parameter isLast: whether the last rows were held out and not rows taken at random.
  static func calibration(_ heldOut: HeldOutScoring.Result, isLast: Bool) -> [Page.Block] {
    let calibration = heldOut.calibration
    let n = calibration.levels.count
    guard n > 0 else { return [] }
    let chart = CalibrationChart(
      calibration, title: "Where the held-out values fell", note: "\(n) values"
    ).chart
    let rows = calibration.coverage([0.5, 0.8, 0.9, 0.95]).map { row in
      [
        percent(row.nominal), percent(row.observed),
        "\(percent(row.expected.lowerBound)) to \(percent(row.expected.upperBound))",
        row.expected.contains(row.observed)
          ? "as expected" : row.observed < row.nominal ? "too narrow" : "too wide",
      ]
    }
    return [
      .heading("Calibration"),
      .paragraph(
        "\(n) of the rows, \(isLast ? "the last ones" : "taken at random"), were held out and predicted from the other \(heldOut.split.context.count), each on its own. "
          + "If the predictions are right, the bars are level within the grey band."),
      .figure(Figure(charts: [chart], columns: 1)),
      .table(
        Page.Table(
          columns: ["central interval", "values inside", "95 % of outcomes, if right", ""],
          rows: rows)),
      .paragraph(densities(heldOut)),
    ]
  }

  private static func densities(_ heldOut: HeldOutScoring.Result) -> String {
    func text(_ value: Double, _ what: String) -> String? {
      value.isNaN ? nil : "\(ChartNumber.text(value, digits: 4)) \(what)"
    }
    let several = heldOut.independent.isNaN ? "jointly" : "jointly (8 orders)"
    let parts = [text(heldOut.joint, several), text(heldOut.independent, "as independent values")]
    return "Log-density of \(heldOut.split.joint.count) of them, in nats a value: "
      + parts.compactMap { $0 }.joined(separator: ", ") + "; more is better."
  }

  static func percent(_ value: Double) -> String { "\(ChartNumber.text(value * 100, digits: 3)) %" }

  // MARK: Notes and model

  static func notes(_ notes: [String]) -> [Page.Block] {
    [.heading("Notes")] + (notes.isEmpty ? [.paragraph("None.")] : notes.map { .paragraph("\($0).") })
  }

  static func model(_ model: Model, _ name: String) -> [Page.Block] {
    let blueprint = model.blueprint
    var rows = [
      ["model", name], ["parameters", String(model.parameterCount)],
      [
        "trained with",
        "up to \(blueprint.trainedContext) rows and \(blueprint.trainedBuffer) values drawn together",
      ],
    ]
    rows += model.card.sorted { $0.key < $1.key }.map { [$0.key, $0.value] }
    return [.heading("Model"), .table(Page.Table(columns: ["", ""], rows: rows, textColumns: 2))]
  }
}
