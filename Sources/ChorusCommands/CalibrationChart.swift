import ChorusEvaluation
import ChorusReports

/// A histogram of where values fell in their predictive distributions, beside what is expected of it.
struct CalibrationChart {
  let calibration: Calibration
  let title: String
  /// Words below the title.
  let note: String

  static let caption =
    "Probability integral transform: a value's place is the probability its own distribution gave to a smaller one. "
    + "Bars are level if the distributions are right, high at the ends if they are too narrow, high in the middle if too "
    + "wide. The grey band holds 90 % of counts of independent values; values of one task or split go together, so true "
    + "ones stray farther."

  init(_ calibration: Calibration, title: String, note: String) {
    self.calibration = calibration
    self.title = title
    self.note = note
  }

  var chart: Chart {
    let n = calibration.levels.count
    let bins = n >= 200 ? 20 : n >= 40 ? 10 : 5
    let band = Calibration.binomialRange(n, 1 / Double(bins), inside: 0.9)
    let counts = calibration.counts(bins: bins)
    let bars = counts.enumerated().map { bin, count in
      Series.Bar(Double(bin) / Double(bins), Double(bin + 1) / Double(bins), value: Double(count))
    }
    let (low, high) = (Double(band.lowerBound), Double(band.upperBound))
    return Chart(
      title: title, subtitle: "probability integral transform, \(note)",
      summary:
        "Counts of values by predicted probability below them: \(counts). Expected within \(band.lowerBound) to \(band.upperBound).",
      x: Axis("predicted probability of a smaller value", bounds: 0...1),
      y: Axis("values", includesZero: true),
      series: [
        .band(
          "90 % of counts, if calibrated", x: [0, 1], lower: [low, low], upper: [high, high], colour: .muted,
          opacity: 0.2),
        Series("counts", .bars(bars, horizontal: false), colour: .palette(0), opacity: 0.65),
        Series("", .rule(y: low), colour: .muted, isDashed: true),
        Series("", .rule(y: high), colour: .muted, isDashed: true),
      ], height: 300)
  }

  /// The share of values inside central intervals, against what the intervals claim.
  var coverage: Chart {
    let nominal = (1...19).map { Double($0) / 20 }
    let rows = calibration.coverage(nominal)
    let observed = rows.map(\.observed)
    return Chart(
      title: "Coverage of central intervals", subtitle: note,
      summary: "Share of values inside, by claim: "
        + zip(nominal, observed).map { "\(ChartNumber.text($0)): \(ChartNumber.text($1, digits: 3))" }.joined(
          separator: ", ") + ".",
      x: Axis("claimed probability", bounds: 0...1), y: Axis("share of values inside", bounds: 0...1),
      series: [
        .band(
          "95 %, if calibrated", x: nominal, lower: rows.map(\.expected.lowerBound),
          upper: rows.map(\.expected.upperBound), colour: .muted, opacity: 0.2),
        .law("", x: [0, 1], y: [0, 1]), .line("observed", x: nominal, y: observed, colour: .palette(0)),
      ], height: 300)
  }
}
