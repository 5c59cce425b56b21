import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusReports
import ChorusTables
import Foundation

/// The words, tables and pictures of a report on one column of a table.
struct TableReport {
  let job: TableJob
  let step: TableChain.Step
  /// The network that is asked; nil where estimators are.
  let model: Model?
  let modelName: String
  /// Nil where no row lacks the column; values drawn each on its own are of numbers alone.
  let drawn: (joint: TableChain.Drawn, independent: TableChain.Drawn?)?
  let trust: Trust?
  let functional: Functional
  let plan: PlanTemplate
  let seed: UInt64

  /// What came of a prediction of rows that were held out.
  struct Trust {
    enum Result {
      case numbers(HeldOutScoring.Result)
      case levels(ClassScoring)
    }
    let split: Split
    let result: Result
    /// Of each input of the step.
    let relevance: [Double]
    let importances: [(name: String, importance: ColumnImportance)]
  }

  /// Held-out rows that importances are of, and columns they are of, at most: those that explain most alone.
  static let mostTested = 200
  static let mostColumns = 24
  /// Predicted rows that are told one by one.
  private static let listed = 30

  private var column: TableFrame.Column { job.column(step) }
  private var levels: [String]? {
    if case .category(let names) = column.kind { names } else { nil }
  }

  func page() -> Page {
    let source = job.frame.source
    let file = source == "-" ? "standard input" : URL(fileURLWithPath: source).lastPathComponent
    let known = column.values.count { !$0.isNaN }
    let paths = drawn.map {
      "\($0.joint.paths.count) paths through \($0.joint.cells.count) rows, drawn by plan \(plan) from "
    }
    let blocks: [Page.Block] =
      [
        .paragraph(
          "\(column.name) (\(column.words)) by \(job.inputs.count) columns: "
            + (paths ?? "no row lacks a value; ")
            + "\(model == nil ? "estimators fitted to the rows" : "model \(modelName)"), after \(known) rows with a value; seed \(seed)."
        )
      ] + predictionBlocks() + calibrationBlocks() + importanceBlocks() + dataBlocks()
      + ReportBlocks.notes(job.words + (drawn?.joint.notes ?? []))
      + (model.map { ReportBlocks.model($0, modelName) } ?? estimatorBlocks)
    return Page(title: "\(column.name) in \(file)", blocks: blocks)
  }

  // MARK: Prediction

  private func predictionBlocks() -> [Page.Block] {
    guard let drawn else { return [] }
    let joint = drawn.joint
    var blocks: [Page.Block] = [
      .heading("Prediction"),
      .figure(TablePicture(job: job, steps: [step], drawn: joint).figure()), .table(rows(joint)),
    ]
    if joint.cells.count > Self.listed {
      blocks.append(
        .paragraph(
          "The first \(Self.listed) of \(joint.cells.count) rows; chorus predict writes all of them."))
    }
    guard let independent = drawn.independent, joint.cells.count > 1,
      let numbers = try? Inputs(joint.cells.map { Double(job.numbers[$0.row]) })
    else { return blocks }
    let shared = ReportBlocks(
      output: (column.name, ""), input: ("row", ""), inputKind: .number, places: "rows",
      joint: joint.paths, independent: independent.paths)
    return blocks + shared.functional(functional, of: numbers)
      + shared.correlations(order: Array(joint.cells.indices), axis: "row asked, in order")
  }

  private func rows(_ drawn: TableChain.Drawn) -> Page.Table {
    let cells = drawn.cells.prefix(Self.listed).enumerated()
    if let levels {
      return Page.Table(
        columns: ["row", "likeliest"] + levels,
        rows: cells.map { place, cell in
          let law = drawn.expected[place]
          let best = law.indices.max { law[$0] < law[$1] } ?? 0
          return [String(job.numbers[cell.row]), levels[best]] + law.map { ReportBlocks.percent($0) }
        }, textColumns: 2)
    }
    return Page.Table(
      columns: ["row", "mean", "5 %", "50 %", "95 %"],
      rows: cells.map { place, cell in
        let quantiles = Posterior.Samples.quantiles(
          of: drawn.paths.map { $0[place] }, [0.05, 0.5, 0.95])
        return [String(job.numbers[cell.row])]
          + ([drawn.expected[place][0]] + quantiles).map(ReportText.number)
      })
  }

  private var estimatorBlocks: [Page.Block] {
    [
      .heading("Model"),
      .paragraph(
        "A category's probabilities are no network's. Estimators are fitted to the rows, and each counts for as much as "
          + "it says of rows left out; rows are drawn each by itself."),
    ]
  }

  // MARK: How far to trust it

  private func calibrationBlocks() -> [Page.Block] {
    switch trust?.result {
    case nil: return []
    case .numbers(let result):
      func row(_ name: String, _ accuracy: HeldOutScoring.Accuracy) -> [String] {
        [name] + [accuracy.rmse, accuracy.r2, accuracy.crps].map(ReportText.number)
      }
      let others = Baseline.ofTables.compactMap { baseline in
        result.baselines[baseline].map { row(Standing.name(baseline), $0) }
      }
      return ReportBlocks.calibration(result, isLast: false) + [
        .paragraph(
          "Errors on the same rows, beside simple methods fitted to the same context; less is better."),
        .table(
          Page.Table(
            columns: ["", "root mean squared error", "R²", "CRPS"],
            rows: [row("Chorus", result.accuracy)] + others)
        ),
      ]
    case .levels(let scoring):
      func row(_ name: String, _ scores: ClassScores) -> [String] {
        [name, ReportBlocks.percent(scores.accuracy)]
          + [scores.logLoss, scores.brier, scores.calibrationError].map(ReportText.number)
      }
      return [
        .heading("Calibration"),
        .paragraph(
          "\(scoring.split.held.count) of the rows, taken at random, were held out and predicted from the other "
            + "\(scoring.split.context.count). Where the likeliest level was given 80 %, it should have come in "
            + "about 80 % of the rows: points on the diagonal. Strokes hold 95 %."),
        .figure(Figure(charts: [reliability(scoring.model)], columns: 1)),
        .paragraph("Beside simple methods fitted to the same context; but for accuracy, less is better."),
        .table(
          Page.Table(
            columns: ["", "accuracy", "log-loss", "Brier score", "calibration error"],
            rows: [
              row("Chorus", scoring.model), row("shares of the levels", scoring.shares),
              row("logistic ridge regression", scoring.logistic), row("a forest", scoring.forest),
            ])),
      ]
    }
  }

  private func reliability(_ scores: ClassScores) -> Chart {
    let bins = scores.bins.filter { $0.count > 0 }
    let intervals = bins.map { bin in
      let range = Calibration.interval(share: bin.observed, of: bin.count)
      return Series.Interval(bin.claimed, low: range.lowerBound, high: range.upperBound)
    }
    return Chart(
      title: "Probabilities of the likeliest level", subtitle: "\(bins.reduce(0) { $0 + $1.count }) rows",
      summary: bins.map {
        "\(ReportBlocks.percent($0.claimed)) claimed, \(ReportBlocks.percent($0.observed)) came, \($0.count) rows"
      }.joined(separator: "; ") + ".",
      x: Axis("probability claimed", bounds: 0...1), y: Axis("share that came", bounds: 0...1),
      series: [
        .law("", x: [0, 1], y: [0, 1]),
        Series("95 %", .intervals(intervals), colour: .palette(0), opacity: 0.5),
        .points("came", x: bins.map(\.claimed), y: bins.map(\.observed), colour: .palette(0)),
      ], height: 320)
  }

  // MARK: Where it comes from

  private func importanceBlocks() -> [Page.Block] {
    guard let trust, !trust.importances.isEmpty else { return [] }
    let alone = Dictionary(
      job.relevant(step, trust.relevance).map { ($0.name, $0.relevance) }, uniquingKeysWith: { one, _ in one }
    )
    let sorted = trust.importances.sorted {
      $0.importance.loss != $1.importance.loss
        ? $0.importance.loss > $1.importance.loss : $0.name < $1.name
    }
    let tested = min(trust.split.held.count, Self.mostTested)
    let left = job.relevant(step, trust.relevance).count - trust.importances.count
    let bars = sorted.reversed().enumerated().map { place, column in
      Series.Bar(Double(place) - 0.38, Double(place) + 0.38, value: max(column.importance.loss, 0))
    }
    return [
      .heading("Which columns it comes from"),
      .paragraph(
        "How many nats a row the prediction of \(tested) held-out rows loses when a column's values are exchanged "
          + "between them. Of two columns that say the same, each may count for little. Beside it, how much of the "
          + "variance of rows not seen a column explains alone."
          + (left > 0 ? " The \(left) columns that explain least alone are left out." : "")),
      .figure(
        Figure(
          charts: [
            Chart(
              title: "Loss without a column", x: Axis("nats a row", includesZero: true),
              y: Axis("", scale: .categories(sorted.reversed().map(\.name))),
              series: [Series("", .bars(bars, horizontal: true), colour: .palette(0), opacity: 0.65)],
              height: 120 + 22 * Double(sorted.count))
          ], columns: 1)),
      .table(
        Page.Table(
          columns: ["column", "loss when exchanged (nats a row)", "standard error", "explains alone"],
          rows: sorted.map { column in
            [column.name]
              + [column.importance.loss, column.importance.error].map { ChartNumber.text($0, digits: 2) }
              + [ReportBlocks.percent(alone[column.name] ?? 0)]
          })),
    ]
  }

  // MARK: Data

  private func dataBlocks() -> [Page.Block] {
    let used = Set(job.usedColumns)
    let rows = job.frame.columns.filter { used.contains($0.name) }.map { column -> [String] in
      let values = column.values.filter { !$0.isNaN }.sorted()
      let middle = values.isEmpty ? nil : values[values.count / 2]
      func text(_ value: Double?) -> String {
        switch column.kind {
        case .number: value.map(ReportText.number) ?? "–"
        case .date(let notation): value.map { ReportText.text($0, .calendar(notation)) } ?? "–"
        case .category, .unused: "–"
        }
      }
      return [
        column.name, column.words, String(values.count), String(column.values.count - values.count),
        text(values.first), text(middle), text(values.last), String(Set(values).count),
      ]
    }
    return [
      .heading("Data"),
      .table(
        Page.Table(
          columns: ["column", "kind", "values", "missing", "smallest", "middle", "largest", "different"],
          rows: rows, textColumns: 2)),
    ]
  }
}
