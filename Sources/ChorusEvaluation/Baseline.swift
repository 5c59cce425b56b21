import ChorusData
import ChorusHints
import ChorusLayers
import Foundation

/// A simple method that a forecast should not be behind.
public enum Baseline: String, Sendable, CaseIterable {
  /// The last value of the same season; without a season the last value.
  case naive
  /// Exponential smoothing of level, damped trend and season (`Smoothing`).
  case smoothing
  /// Level and at most two seasons as a Gaussian process chosen by its evidence: what the hint `series` says by itself.
  case structural
  /// Of a table: mean and deviation of the context, and what its estimators say (`TableFit`).
  case mean, ridge, processes, forest, stack

  /// Those that take one series.
  public static let ofSeries: [Baseline] = [.naive, .smoothing, .structural]
  /// Those of a table.
  public static let ofTables: [Baseline] = [.mean, .ridge, .processes, .forest, .stack]

  /// Rows that a method looks at, the latest ones: more cost much and say little.
  static let rows = 1024

  /// What it says of values at places of a series, each with a normal law; nil where it says nothing.
  public func laws(_ series: PlacedSeries, at rows: [PlacedSeries.Place]) -> [GaussianMixture]? {
    let laws: [GaussianMixture]?
    switch self {
    case .naive: laws = series.naive(rows)
    case .smoothing: laws = Smoothing(series)?.laws(at: rows.map(\.step))
    case .structural: laws = series.structural(rows)
    case .mean, .ridge, .processes, .forest, .stack: laws = nil
    }
    return laws.flatMap { $0.allSatisfy { $0.means[0].isFinite && $0.deviations[0].isFinite } ? $0 : nil }
  }
}

/// Rows of one series with their places on an even grid, in order.
public struct PlacedSeries: Sendable {
  /// Where a row stands: its input, and the number of its step.
  public struct Place: Sendable, Hashable {
    public let x: Double
    public let step: Int
    public init(x: Double, step: Int) { (self.x, self.step) = (x, step) }
  }

  public let places: [Place]
  public let values: [Double]
  /// Known errors of the values, which the structural method takes into account; empty for none.
  public let errors: [Double]
  /// Steps of a season; 1 for none.
  public let season: Int

  /// Nil for no rows. Of many the latest are kept.
  public init?(places: [Place], values: [Double], errors: [Double] = [], season: Int) {
    guard !places.isEmpty, places.count == values.count, season >= 1,
      errors.isEmpty || errors.count == values.count
    else { return nil }
    let order = places.indices.sorted {
      (places[$0].step, places[$0].x, values[$0]) < (places[$1].step, places[$1].x, values[$1])
    }.suffix(Baseline.rows)
    self.places = order.map { places[$0] }
    self.values = order.map { values[$0] }
    self.errors = errors.isEmpty ? [] : order.map { errors[$0] }
    self.season = season
  }

  /// The mean of the values at each step that has some, by step.
  var steps: [(step: Int, value: Double)] {
    var found: [(step: Int, sum: Double, count: Double)] = []
    for (place, value) in zip(places, values) {
      if let last = found.last, last.step == place.step {
        found[found.count - 1] = (last.step, last.sum + value, last.count + 1)
      } else {
        found.append((place.step, value, 1))
      }
    }
    return found.map { ($0.step, $0.sum / $0.count) }
  }

  /// What rows differ by from those a season before: y(t) − y(t − m), where both are there.
  private var differences: [Double] {
    let steps = steps
    let known = Dictionary(steps.map { ($0.step, $0.value) }) { first, _ in first }
    return steps.compactMap { step, value in known[step - season].map { value - $0 } }
  }

  /// The mean absolute error of the seasonal naive forecast within the rows: what MASE divides by (Hyndman & Koehler 2006). NaN
  /// where there is none.
  public var naiveError: Double {
    let differences = differences
    let mean = differences.reduce(0) { $0 + abs($1) } / Double(differences.count)
    return mean > 0 ? mean : .nan
  }

  /// The latest row of the same season before a place, else the first one after it; its variance grows with every season
  /// between them, as that of a seasonal random walk.
  fileprivate func naive(_ rows: [Place]) -> [GaussianMixture]? {
    let (steps, differences) = (steps, differences)
    guard let first = steps.first?.step, let last = steps.last?.step, !differences.isEmpty else { return nil }
    let known = Dictionary(steps.map { ($0.step, $0.value) }) { first, _ in first }
    let variance = differences.reduce(0) { $0 + $1 * $1 } / Double(differences.count)
    return rows.map { row in
      let back = stride(from: row.step - season, through: first, by: -season)
      // Straight to where rows begin: a place may be far from them.
      let skip = max(row.step - last - 1, 0) / season
      let found =
        back.dropFirst(skip).first { known[$0] != nil }
        ?? stride(from: row.step + season, through: last, by: season).first { known[$0] != nil }
      guard let found, let value = known[found] else {
        let nearest = steps.min { abs($0.step - row.step) < abs($1.step - row.step) }
        return GaussianMixture(mean: nearest?.value ?? .nan, deviation: variance.squareRoot())
      }
      let seasons = Double(abs(row.step - found) / season)
      return GaussianMixture(mean: value, deviation: (variance * seasons).squareRoot())
    }
  }

  fileprivate func structural(_ rows: [Place]) -> [GaussianMixture]? {
    let observed = ObservedRows(
      x: places.map(\.x), y: values, errors: errors, unit: Scaling.Unit(origin: 0, scale: 1),
      dimensions: 1)
    let fit = SeriesLevelAndSeason().fit(observed)
    let laws = rows.compactMap { fit.law(at: $0.x) }
    return laws.count == rows.count
      ? laws.map { GaussianMixture(mean: $0.mean, deviation: $0.deviation) } : nil
  }
}
