import ChorusEvaluation
import ChorusQuestions
import ChorusTables
import Foundation

/// Where a user stands: how far forecasts are off, beside simple methods, in words.
struct Standing {
  let table: ScoreTable
  /// Rows in a season, and what it is called.
  let season: (rows: Int, name: String?)

  private var results: [HeldOutScoring.Result] { table.results }

  private func name(_ baseline: Baseline) -> String {
    guard baseline == .naive, season.rows > 1 else { return Self.name(baseline) }
    return "seasonal naive (the value of \(season.rows) rows before\(season.name.map { ", a \($0)" } ?? ""))"
  }

  static func name(_ baseline: Baseline) -> String {
    switch baseline {
    case .naive: "naive (the last value)"
    case .smoothing: "exponential smoothing"
    case .structural: "structural (level, trend and seasons)"
    case .mean: "the mean"
    case .ridge: "ridge regression"
    case .processes: "Gaussian processes"
    case .forest: "a forest"
    case .stack: "the stack of these"
    }
  }

  /// Methods that say something of every repetition, with their CRPS beside that of the model as a ratio, series by series.
  private var rivals: [(baseline: Baseline, ratios: [Double])] {
    table.baselines.compactMap { baseline in
      let ratios = table.series.compactMap { series -> Double? in
        let own = series.results.map(\.accuracy.crps).reduce(0, +)
        let other = series.results.reduce(0) { $0 + ($1.baselines[baseline]?.crps ?? .nan) }
        return own.isFinite && other > 0 ? own / other : nil
      }
      return ratios.count == table.series.count && !ratios.isEmpty ? (baseline, ratios) : nil
    }
  }

  private static func mean(_ ratios: [Double]) -> Double {
    exp(ratios.reduce(0) { $0 + log($1) } / Double(ratios.count))
  }

  /// Lines for stderr, the last of them a verdict; none where no simple method says anything.
  var words: [String] {
    let rivals = rivals
    guard let best = rivals.max(by: { Self.mean($0.ratios) < Self.mean($1.ratios) }) else { return [] }
    var lines: [String] = []
    func number(_ value: Double) -> String { String(format: "%.4g", value) }
    if table.series.count == 1 {
      func mean(_ value: (HeldOutScoring.Result) -> Double) -> Double {
        RepeatedMean(results.map(value)).mean
      }
      let mase = mean(\.accuracy.mase)
      lines.append(
        "forecasts are off by \(number(mean(\.accuracy.mae))) on average (RMSE \(number(mean(\.accuracy.rmse))))"
          + (mase.isFinite
            ? "; MASE \(number(mase)): 1 is what the \(season.rows > 1 ? "seasonal " : "")naive forecast misses by within the rows seen"
            : ""))
      let others = rivals.map { rival in
        "\(name(rival.baseline)) \(number(mean { $0.baselines[rival.baseline]?.crps ?? .nan }))"
      }
      lines.append(
        "CRPS \(number(mean(\.accuracy.crps))), less is better; " + others.joined(separator: ", "))
    } else {
      let others = rivals.map { rival in
        "\(name(rival.baseline)) \(number(Self.mean(rival.ratios)))"
      }
      lines.append(
        "CRPS beside that of simple methods, below 1 is better (geometric mean of \(table.series.count) series): "
          + others.joined(separator: ", "))
    }
    lines.append(verdict(best.baseline, best.ratios))
    return lines
  }

  private func verdict(_ baseline: Baseline, _ ratios: [Double]) -> String {
    let ratio = Self.mean(ratios)
    let percent = "\(String(format: "%.0f", abs(100 * (1 - ratio)))) % \(ratio <= 1 ? "lower" : "higher")"
    let best = "the best simple method here, \(name(baseline))"
    if ratios.count > 1 {
      let better = ratios.count { $0 < 1 }
      return
        "verdict: CRPS \(percent) than \(best); better in \(better) of \(ratios.count) series"
        + (ratio > 1.02 ? ". That method is the better choice for these series" : "")
    }
    let less = RepeatedMean(
      results.map { $0.accuracy.crps - ($0.baselines[baseline]?.crps ?? .nan) }, overlap: table.overlap)
    guard less.margin.isFinite else {
      return
        "verdict: CRPS \(percent) than \(best), in one repetition; more of them (--repetitions, --windows) tell more"
    }
    let side =
      less.high < 0
      ? "verdict: ahead of \(best)"
      : less.low > 0
        ? "verdict: behind \(best), which is the better choice for these rows"
        : "verdict: no difference shown from \(best)"
    return side + ": CRPS \(percent), over \(results.count) \(table.lines ? "repetitions" : "windows")"
  }
}

extension Observations {
  /// The rows of one series on an even grid, and its season as the calendar has it; nil for several inputs.
  ///
  /// - Parameter season: in place of the one found.
  func grid(season told: Int?) -> (places: [PlacedSeries.Place], season: (rows: Int, name: String?))? {
    guard selection.dimensions - selection.covariates == 1 else { return nil }
    let x = (0..<data.count).map { data.inputs[$0].first ?? .nan }
    let spacing = Spacing(of: x, kind: selection.kinds[0])
    let places = zip(x, Spacing.steps(of: x, spacing)).map { PlacedSeries.Place(x: $0, step: $1) }
    if let told { return (places, (told, nil)) }
    return (places, spacing?.season.map { ($0.rows, $0.name) } ?? (1, nil))
  }
}
