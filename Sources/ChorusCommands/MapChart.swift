import ChorusInference
import ChorusQuestions
import ChorusReports
import ChorusTables
import Foundation

/// The picture of a prediction over a grid of two inputs: the medians, and how sure they are.
struct MapChart {
  let question: Question
  let samples: Posterior.Samples
  /// Words below the title: what drew the paths.
  let subtitle: String

  /// Values of an input that are named along an axis.
  private static let named = 6
  /// Values of an input that a map can show apart.
  static let most = 200

  /// The values of both inputs, ascending, where the points are all pairs of them; else nil.
  private static func axes(_ question: Question) -> (x: [Double], y: [Double])? {
    let points = question.points
    guard points.dimensions == 2 else { return nil }
    func values(_ column: Int) -> [Double] {
      Set((0..<points.count).map { points.values[2 * $0 + column] }).sorted()
    }
    let (x, y) = (values(0), values(1))
    return x.count * y.count == points.count && x.count > 1 && y.count > 1 ? (x, y) : nil
  }

  /// Why there can be no map, or nil.
  static func refusal(_ question: Question) -> String? {
    let names = question.selection.inputs.joined(separator: ",")
    guard let axes = axes(question) else {
      return
        "a map of '\(names)' needs all pairs of some values of both; give a grid of each, as --at 0..10/1,0..5/0.5"
    }
    guard max(axes.x.count, axes.y.count) <= most else {
      return
        "a map shows up to \(most) values of an input, and there are \(max(axes.x.count, axes.y.count)); take larger steps"
    }
    return nil
  }

  func figure(width: Double = 960) -> Figure {
    guard let axes = Self.axes(question) else { return Figure(charts: []) }
    let places = (
      x: Self.places(of: axes.x), y: Self.places(of: axes.y)
    )
    let quantiles = samples.quantiles([0.05, 0.5, 0.95])
    let output = question.named(question.selection.target)
    let unit = output.unit.isEmpty ? "" : " \(output.unit)"
    let medians = quantiles.map { $0[1] }
    let (low, high) = (medians.min() ?? 0, medians.max() ?? 0)
    let (middle, half) = (low / 2 + high / 2, high / 2 - low / 2)
    let widths = quantiles.map { $0[2] - $0[0] }
    let widest = widths.max() ?? 0
    func grid(_ values: [Double], _ scaled: (Double) -> Double) -> [[Double]] {
      var rows = axes.y.map { _ in axes.x.map { _ in Double.nan } }
      for point in 0..<question.points.count {
        let (x, y) = (question.points.values[2 * point], question.points.values[2 * point + 1])
        guard let column = places.x[x], let row = places.y[y] else { continue }
        rows[row][column] = scaled(values[point])
      }
      return rows
    }
    func text(_ value: Double) -> String { ReportText.number(value) + unit }
    func chart(_ title: String, _ words: String, _ rows: [[Double]]) -> Chart {
      let names = question.selection.inputs.map { question.named($0) }
      func axis(_ index: Int, _ values: [Double]) -> Axis {
        Axis(
          names[index].title, unit: names[index].unit,
          scale: .categories(Self.labels(values, question.selection.kinds[index])))
      }
      return Chart(
        title: title, subtitle: words, summary: "\(title): \(words)", x: axis(0, axes.x), y: axis(1, axes.y),
        series: [Series("", .matrix(rows))] + observed(axes), height: 440)
    }
    let name = question.file == "-" ? "standard input" : URL(fileURLWithPath: question.file).lastPathComponent
    let caption =
      ((subtitle.isEmpty ? [] : [subtitle + "."]) + samples.notes.map { "Note: \($0)." }).joined(
        separator: " ")
    return Figure(
      title: "\(output.title), from \(question.data.count) rows of \(name)",
      charts: [
        chart(
          "Median of \(output.title)",
          "blue is above \(text(middle)), up to \(text(high)); orange below, down to \(text(low)); dots are observed rows",
          grid(medians) { half > 0 ? ($0 - middle) / half : 0 }),
        chart(
          "Width of the 90 % interval",
          "stronger is wider: the widest is \(text(widest)), the narrowest \(text(widths.min() ?? 0))",
          grid(widths) { widest > 0 ? $0 / widest : 0 }),
      ], columns: 2, caption: caption, width: width)
  }

  private static func places(of values: [Double]) -> [Double: Int] {
    Dictionary(uniqueKeysWithValues: values.enumerated().map { ($1, $0) })
  }

  /// Names of a few values along an axis; the others have none.
  private static func labels(_ values: [Double], _ kind: ColumnKind) -> [String] {
    let every = max(1, (values.count + named - 1) / named)
    return values.enumerated().map { $0 % every == 0 ? ReportText.text($1, kind) : "" }
  }

  /// The observed rows that lie within the map.
  private func observed(_ axes: (x: [Double], y: [Double])) -> [Series] {
    let data = question.data
    let points = (0..<data.count).compactMap { row -> Series.Point? in
      guard let x = Self.place(of: data.x[2 * row], in: axes.x),
        let y = Self.place(of: data.x[2 * row + 1], in: axes.y)
      else { return nil }
      return Series.Point(x, y)
    }
    return points.isEmpty ? [] : [Series("", .points(points), colour: .ink, labelling: .none)]
  }

  /// Where a value stands among ascending ones, counted from 0; nil for one beyond them.
  private static func place(of value: Double, in values: [Double]) -> Double? {
    guard let next = values.firstIndex(where: { $0 >= value }) else { return nil }
    if values[next] == value { return Double(next) }
    guard next > 0 else { return nil }
    return Double(next - 1) + (value - values[next - 1]) / (values[next] - values[next - 1])
  }
}
