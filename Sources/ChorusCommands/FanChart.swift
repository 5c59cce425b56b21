import ChorusData
import ChorusInference
import ChorusQuestions
import ChorusReports
import ChorusTables
import Foundation

/// The picture of a prediction along one input: what was observed, bands of quantiles, the median and some paths.
struct FanChart {
  let question: Question
  let samples: Posterior.Samples
  /// Words below the title: what drew the paths.
  let subtitle: String

  /// The paths that are drawn.
  static let shownPaths = 12
  /// The bands' lower and upper levels, the widest first.
  static let bands: [(name: String, low: Double, high: Double, opacity: Double)] = [
    ("5–95 %", 0.05, 0.95, 0.15), ("25–75 %", 0.25, 0.75, 0.3),
  ]
  /// Observed points that are drawn before the bands and not behind them.
  static let mostInFront = 500
  /// Targets over less than this share of the inputs get a picture of their own.
  static let closeUpShare = 0.3

  /// Why there can be no fan chart, or nil.
  static func refusal(_ selection: Selection) -> String? {
    let inputs = selection.inputs.dropLast(selection.covariates)
    guard inputs.count > 1 else { return nil }
    return
      "a picture has one input column and '\(inputs.joined(separator: ","))' are \(inputs.count);"
      + " name one of them, or use the table"
  }

  /// The whole, and below it the targets' neighbourhood where they take up little of it.
  func figure(width: Double = 760) -> Figure {
    let (rows, targets, places) = (observed, sortedTargets, places)
    let caption = samples.notes.map { "Note: \($0)." }.joined(separator: " ")
    var charts = [chart(title: title, subtitle: subtitle, rows, targets, within: nil)]
    let inputs = rows.map(\.x) + targets.map { places[$0] }
    if let first = targets.first, let last = targets.last, let low = inputs.min(), let high = inputs.max(),
      rows.count > 100
    {
      let (from, to) = (places[first], places[last])
      if to > from, to - from < Self.closeUpShare * (high - low) {
        // As much again of what was observed, on both sides together.
        let room = (to - from) * 0.6
        let range = max(low, from - room)...min(high, to + room)
        charts[0].height = 300
        var closeUp = chart(
          title: "Close-up", subtitle: "", rows.filter { range.contains($0.x) }, targets, within: range)
        for index in closeUp.series.indices { closeUp.series[index].labelling = .none }
        charts.append(closeUp)
      }
    }
    return Figure(charts: charts, columns: 1, caption: caption, width: width)
  }

  /// A small chart that stands beside those of other series.
  ///
  /// - Parameter isFirst: whether what its marks are is told; it is the same in all.
  func panel(_ title: String, isFirst: Bool) -> Chart {
    var chart = chart(title: title, subtitle: "", observed, sortedTargets, within: nil)
    chart.height = isFirst ? 300 : 260
    if !isFirst { for index in chart.series.indices { chart.series[index].labelling = .none } }
    return chart
  }

  private var title: String {
    let column = question.named(question.selection.target).title
    let name = question.file == "-" ? "standard input" : URL(fileURLWithPath: question.file).lastPathComponent
    return "\(column), from \(question.data.count) rows of \(name)"
  }

  /// The first input of each point, and of each row: columns beside time are not drawn.
  private var places: [Double] { Self.first(question.points) }
  private static func first(_ inputs: Inputs) -> [Double] {
    (0..<inputs.count).map { inputs[$0].first ?? .nan }
  }

  private var observed: [Series.Point] {
    zip(Self.first(question.data.inputs), question.data.y).map { Series.Point($0, $1) }
  }

  /// Targets by their input.
  private var sortedTargets: [Int] {
    let x = places
    return x.indices.sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] < x[$1] }
  }

  private func chart(
    title: String, subtitle: String, _ rows: [Series.Point], _ targets: [Int],
    within range: ClosedRange<Double>?
  ) -> Chart {
    let levels = Self.bands.flatMap { [$0.low, $0.high] } + [0.5]
    let quantiles = samples.quantiles(levels)
    let (runs, places) = (parts(targets), places)
    let x = runs.map { $0.map { places[$0] } ?? .nan }
    func column(_ level: Int) -> [Double] { runs.map { $0.map { quantiles[$0][level] } ?? .nan } }
    let paths = samples.paths.prefix(Self.shownPaths).map { path in runs.map { $0.map { path[$0] } ?? .nan }
    }
    var series = Self.bands.enumerated().map { index, band in
      Series.band(
        band.name, x: x, lower: column(2 * index), upper: column(2 * index + 1), colour: .palette(0),
        opacity: band.opacity)
    }
    series.append(
      .paths(
        "\(paths.count) path\(paths.count == 1 ? "" : "s"), one strong", x: x, Array(paths), highlighted: 0,
        colour: .palette(1)))
    series.append(.line("median", x: x, y: column(levels.count - 1), colour: .palette(0)))
    if runs.count == 1 {
      series.append(.points("", x: x, y: column(levels.count - 1), colour: .palette(0)))
    }
    // Few points stand before the fan; many would hide it.
    series.insert(
      Series("observed", .points(rows), colour: .ink), at: rows.count > Self.mostInFront ? 0 : series.count)
    let input = question.named(question.selection.inputs[0])
    let output = question.named(question.selection.target)
    let scale: Axis.Scale = question.selection.kinds[0].notation == nil ? .linear : .date
    return Chart(
      title: title, subtitle: subtitle, summary: summary(quantiles, targets),
      x: Axis(input.title, unit: input.unit, scale: scale, bounds: range),
      y: Axis(
        output.title, unit: output.unit,
        scale: question.selection.targetKind.notation == nil ? .linear : .date),
      series: series, height: range == nil ? 440 : 360)
  }

  /// The targets in runs, nil between them: rows without a value are not joined across rows that have one.
  private func parts(_ targets: [Int]) -> [Int?] {
    guard !question.isGrid else { return targets }
    let x = places
    let known = Self.first(question.data.inputs).sorted()
    var result: [Int?] = []
    var next = 0
    for target in targets {
      while next < known.count, known[next] <= (result.last ?? nil).map({ x[$0] }) ?? -.infinity { next += 1 }
      if !result.isEmpty, next < known.count, known[next] < x[target] { result.append(nil) }
      result.append(target)
    }
    return result
  }

  private func summary(_ quantiles: [[Double]], _ targets: [Int]) -> String {
    guard let first = targets.first, let last = targets.last else { return "" }
    func text(_ target: Int) -> String {
      let row = quantiles[target].map { ReportText.number($0) }
      let place = ReportText.text(places[target], question.selection.kinds[0])
      return "\(row[4]) at \(place) (5 to 95 percent: \(row[0]) to \(row[1]))"
    }
    return
      "Predicted \(question.selection.target) against \(question.selection.inputs[0]): from \(text(first)) to "
      + "\(text(last)), drawn from \(samples.paths.count) paths after \(question.data.count) observed rows."
  }
}

/// Values as a report writes them.
enum ReportText {
  static func number(_ value: Double) -> String { ChartNumber.text(value, digits: 4) }

  static func text(_ value: Double, _ kind: ColumnKind) -> String {
    kind.notation == nil ? number(value) : CalendarText.write((value * 86_400).rounded() / 86_400, as: kind)
  }
}
