import ChorusData
import Foundation

extension SeriesModel {
  /// Nats that another scale than the values' own has to gain.
  private static let margin = 2.0
  /// Values whose largest is less than this many times the smallest look alike on every scale.
  private static let narrow = 2.0
  /// A smallest value below this part of the largest is too near 0 for a logarithm to mean anything.
  private static let least = 1e-3

  /// The scale on which values are most likely, by the evidence of a short fit and its Jacobian (docs/series-hint.md, 3).
  static func valueScale(
    x: [Double], y: [Double], known: [Double] = [], clock: MonthClock? = nil
  ) -> ValueScale {
    guard let smallest = y.min(), let largest = y.max(), smallest >= 0, largest > narrow * smallest,
      let rows = Rows(x: x, y: y, clock: clock),
      let start = Start(
        rows, noise: [Double](repeating: 1, count: y.count), known: rows.periods(known))
    else { return .raw }
    let count = Double(y.count)
    var best = (worth: start.tuned.evidence - count * log(rows.scale), scale: ValueScale.raw)
    let others: [ValueScale] = (smallest > least * largest ? [.logarithm] : []) + [.root(of: y)]
    for scale in others {
      let seen = rows.y.compactMap(scale.seen)
      guard seen.count == y.count, let own = Rows(x: rows.x, y: seen, clock: clock) else { continue }
      let design = SeriesDesign(
        times: own.times, outputs: own.outputs, noise: start.noise, seasons: start.seasons)
      let first = design.tuneSeasons(design.found(start.tuned.setting))
      let kinds = design.kinds(first.setting, rounds: 0, from: start.near.map(\.setting.level))
      guard let level = SeriesDesign.first(kinds) else { continue }
      let slopes = rows.y.reduce(0) { $0 + scale.logSlope($1) }
      let worth =
        design.tuneSeasons(level).evidence - count * log(own.scale) + slopes - margin
      if worth > best.worth { best = (worth, scale) }
    }
    return best.scale
  }

  /// The first steps of a choice: rows far from the others, periods, and the level with few harmonics.
  struct Start {
    var noise: [Double]
    let periods: [Double]
    let seasons: [SeriesSeason]
    let sketch: SeriesDesign
    let near: [SeriesDesign.Found]
    /// The best of `near`, its seasons tuned.
    let tuned: SeriesDesign.Found

    /// - Parameter base: variance of each row's noise before any is found to be far from the others.
    init?(_ rows: Rows, noise base: [Double], known: [Double]) {
      let (times, outputs) = (rows.times, rows.outputs)
      guard var plain = SeriesDesign.Plain(times: times, outputs: outputs, noise: base) else { return nil }
      noise = base
      let few = Double(max(1, times.count / 50))
      if let odd = plain.design.far(plain.best.setting, beside: base, limit: SeriesModel.far, most: few) {
        noise = odd
        guard let without = SeriesDesign.Plain(times: times, outputs: outputs, noise: odd) else { return nil }
        plain = without
      }
      let found = SeriesPeriods.find(plain, outputs: outputs, known: known)
      let seasons = SeriesSeason.combs(found.periods, rows: times.count, most: SeriesPeriods.sketch)
      let sketch = SeriesDesign(times: times, outputs: outputs, noise: noise, seasons: seasons)
      let ridge = SeriesSetting.Ridge(strength: 1, decay: 1, change: 0)
      let start = SeriesSetting(
        level: SeriesLevel(.walk, 0.4), slope: 10, seasons: seasons.map { _ in ridge })
      let first = sketch.tuneSeasons(sketch.found(start))
      let cycle = plain.cycle()
      let near = sketch.kinds(
        first.setting, rounds: 0,
        from: SeriesLevel.starts + (cycle.map { [$0.setting.level] } ?? []))
      guard let nearest = SeriesDesign.first(near) else { return nil }
      let tuned = sketch.tuneSeasons(nearest)
      guard let cycle, cycle.evidence > tuned.evidence - found.price else {
        (periods, self.seasons, self.sketch) = (found.periods, seasons, sketch)
        (self.near, self.tuned) = (near, tuned)
        return
      }
      // A swing without a clock: it says more than the seasons that it was taken for.
      (periods, self.seasons, self.sketch, self.tuned) = ([], [], plain.design, cycle)
      self.near = plain.design.kinds(cycle.setting, rounds: 0, from: SeriesLevel.starts) + [cycle]
    }
  }
}
