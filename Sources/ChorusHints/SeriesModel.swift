import Foundation

/// Level and seasons of one series, chosen by their evidence, and what they say of any place (docs/series-hint.md).
///
/// A Gaussian process whose level is Markov and whose trend and seasons are a ridge regression.
struct SeriesModel: Sendable {
  static let rows = 8...1024
  /// Deviations beyond which a row is far from the others, before and after seasons are known.
  static let (far, outlier) = (6.0, 4.5)
  /// A range of more rows than this has gaps that leave nothing to be said of most of it.
  private static let longest = 1e9
  /// Rows before or after the first beyond which a place counts as this far.
  private static let farthest = 1e12

  /// What has been chosen: all that a saved fit has beside its rows.
  struct Choice: Sendable, Hashable, Codable {
    /// In rows.
    var periods: [Double]
    /// Variance of each row's noise beside that of most rows.
    var noise: [Double]
    var setting: SeriesSetting
    /// Of each row the known deviation of its error of measurement, in units of the outputs' deviation; nil where none is known.
    /// `noise` has them.
    var errors: [Double]?
  }

  /// Rows in order, of equal places the smaller value first, with places in rows and outputs in units of their deviation.
  struct Rows: Sendable {
    let x: [Double]
    let y: [Double]
    let times: [Double]
    let outputs: [Double]
    /// What counts time: months, or nil for x itself; a row in its unit, and in that of x.
    let clock: MonthClock?
    let step: Double
    let pace: Double
    /// The unit of `outputs`.
    let origin: Double
    let scale: Double

    /// nil where nothing can be said: too few or too many rows, no extent, nothing that changes.
    init?(x: [Double], y: [Double], clock: MonthClock? = nil) {
      guard x.count == y.count, SeriesModel.rows.contains(x.count), (x + y).allSatisfy(\.isFinite) else {
        return nil
      }
      let order = Self.order(x, y)
      let (x, y) = (order.map { x[$0] }, order.map { y[$0] })
      let counted = clock.map { clock in x.map(clock.months) } ?? x
      let apart = zip(counted.dropFirst(), counted).map { $0 - $1 }.filter { $0 > 0 }.sorted()
      guard !apart.isEmpty else { return nil }
      let step = apart[(apart.count - 1) / 2] / 2 + apart[apart.count / 2] / 2
      let times = counted.map { ($0 - counted[0]) / step }
      guard step > 0, let last = times.last, last <= SeriesModel.longest else { return nil }
      // By powers of two to about 1, so that squares neither overflow nor vanish.
      guard let largest = y.map(abs).max(), largest > 0 else { return nil }
      let exponent = largest.exponent
      func scaled(_ value: Double, by exponent: some BinaryInteger) -> Double {
        Double(sign: .plus, exponent: Int(exponent), significand: value)
      }
      let small = y.map { scaled($0, by: -exponent) }
      let rows = Double(small.count)
      let mean = small.reduce(0, +) / rows
      let deviation = (small.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / rows).squareRoot()
      guard deviation > 1e-9 * scaled(largest, by: -exponent) else { return nil }
      (self.x, self.y, self.times, self.step) = (x, y, times, step)
      (self.clock, pace) = (clock, clock.map { $0.month * step } ?? step)
      outputs = small.map { ($0 - mean) / deviation }
      (origin, scale) = (scaled(mean, by: exponent), scaled(deviation, by: exponent))
      guard scale > 0, scale.isFinite, origin.isFinite else { return nil }
    }

    /// Likely periods in rows, of those known in the unit of x.
    func periods(_ known: [Double]) -> [Double] {
      (clock == nil ? known : MonthClock.periods).map { $0 / step }
    }

    /// A place in rows after the first.
    func time(_ place: Double) -> Double {
      guard let clock else { return (place - x[0]) / step }
      return (clock.months(place) - clock.months(x[0])) / step
    }

    /// The numbers of rows by their places, of equal places the smaller value first.
    static func order(_ x: [Double], _ y: [Double]) -> [Int] {
      x.indices.sorted { (x[$0], y[$0]) < (x[$1], y[$1]) }
    }

    /// The place of the first row that is the same number as a `Float`, else the number.
    func place(of told: Float) -> Double {
      // Roundings keep the order.
      let (below, above) = (Double(told.nextDown), Double(told.nextUp))
      var row = x.partition(after: below)
      while row < x.count, x[row] < above {
        if Float(x[row]) == told { return x[row] }
        row += 1
      }
      return Double(told)
    }
  }

  /// What is foretold of an output, in the outputs' unit.
  struct Law: Sendable, Equatable {
    var mean: Double
    /// With the noise.
    var deviation: Double
  }

  /// What is said of the series as a whole; shares are of the variance of its rows.
  struct Summary: Sendable {
    struct Season: Sendable {
      /// In the unit of x.
      var period: Double
      var cycles: Double
      var fixed: Double
      var changing: Double
    }
    var slope: Double
    var seasons: [Season]
    var noise: Double
    /// Of rows foretold from the others.
    var skill: Double
    var far: Int
  }

  let rows: Rows
  let choice: Choice
  let summary: Summary
  /// log density of the outputs.
  let evidence: Double
  /// Of each row, from all the others.
  let leftOut: [Law]
  /// Of the noise, in the outputs' unit.
  let noise: Double
  private let answers: Answers

  /// Chooses and fits; nil where nothing can be said.
  ///
  /// - Parameters:
  ///   - errors: of each row the known deviation of its error of measurement, in the unit of y; empty for none.
  ///   - known: periods in the unit of x that are likelier than others; months have their own.
  ///   - clock: counts time in place of x.
  init?(
    x: [Double], y: [Double], errors: [Double] = [], known: [Double] = [], clock: MonthClock? = nil
  ) {
    guard let rows = Rows(x: x, y: y, clock: clock),
      let choice = Self.choose(
        rows, errors: errors.isEmpty ? [] : Rows.order(x, y).map { errors[$0] },
        known: rows.periods(known))
    else { return nil }
    self.init(rows: rows, choice: choice)
  }

  /// Fits what has been chosen; nil where no fit has chosen it.
  init?(rows: Rows, choice: Choice) {
    guard choice.noise.count == rows.times.count, choice.setting.isPossible,
      choice.noise.allSatisfy({ $0 >= 1 && $0.isFinite }),
      choice.errors.map({ $0.count == rows.times.count && $0.allSatisfy { $0 >= 0 && $0.isFinite } }) ?? true,
      choice.periods.count <= SeriesPeriods.most,
      choice.periods.allSatisfy({
        $0 >= 1.99 && rows.times[rows.times.count - 1] / $0 >= SeriesPeriods.fewestCycles
      }),
      choice.periods == choice.periods.sorted()
    else { return nil }
    let seasons = SeriesSeason.combs(choice.periods, rows: rows.times.count)
    guard seasons.count == choice.setting.seasons.count else { return nil }
    let design = SeriesDesign(
      times: rows.times, outputs: rows.outputs, noise: choice.noise, seasons: seasons, changes: true)
    guard let solution = design.solve(choice.setting) else { return nil }
    let filter = SeriesFilter(choice.setting.level, times: rows.times, noise: choice.noise)
    let smoothed = SeriesFilter.Smoothed(filter, columns: design.columns, width: design.width)
    (self.rows, self.choice) = (rows, choice)
    evidence = solution.evidence - Double(rows.times.count) * log(rows.scale)
    noise = rows.scale * solution.variance.squareRoot()
    let leftOut = design.leftOut(solution, smoothed)
    self.leftOut = leftOut.map {
      Law(mean: rows.origin + rows.scale * $0.mean, deviation: rows.scale * $0.deviation)
    }
    summary = Self.summary(rows, choice, design, solution, leftOut)
    answers = Answers(
      shape: design.shape, centre: design.centre, width: design.width, solution: solution, smoothed: smoothed)
  }

  /// What is said of an output at a place by all rows.
  func foretold(at x: Double) -> Law {
    // Further out nothing is left to tell apart, and every number stays finite.
    let time = min(max(-Self.farthest, rows.time(x)), Self.farthest)
    let found = answers.law(at: time)
    return Law(
      mean: rows.origin + rows.scale * found.mean,
      deviation: rows.scale * ((found.variance + 1) * answers.solution.variance).squareRoot())
  }

  /// What is not known of trend and seasons, as it moves an output at a time: a row of D, in units of the noise.
  func lost(at time: Double) -> [Double] {
    answers.lost(answers.shape.columns(at: time), answers.smoothed.level(at: time).columns)
  }

  /// What is said of an output at a place by the rows elsewhere.
  func elsewhere(at x: Double) -> Law {
    let end = rows.x.partition(after: x)
    guard end > 0, rows.x[end - 1] == x else { return foretold(at: x) }
    var start = end - 1
    while start > 0, rows.x[start - 1] == x { start -= 1 }
    let first = leftOut[start]
    guard end - start > 1 else { return first }
    // The other rows of the place are taken out of what all but the first say, as factors of its normal law.
    let (ratio, unit) = (first.deviation / noise, rows.scale)
    let variance = max(ratio * ratio - 1, 1e-12)
    var (precision, weighted) = (1 / variance, first.mean / unit / variance)
    for row in start + 1..<end {
      precision -= 1 / choice.noise[row]
      weighted -= rows.y[row] / unit / choice.noise[row]
    }
    guard precision > 1e-9 / variance else { return first }
    return Law(mean: weighted / precision * unit, deviation: noise * (1 / precision + 1).squareRoot())
  }

  /// How far a place is outside of the rows, in ranges of them.
  func outside(_ x: Double) -> Double {
    let (first, last) = (rows.x[0], rows.x[rows.x.count - 1])
    return max(first - x, x - last, 0) / (last - first)
  }

  /// What answers are made of.
  private struct Answers: Sendable {
    let shape: SeriesShape
    let centre: Double
    let width: Int
    let solution: SeriesDesign.Solution
    let smoothed: SeriesFilter.Smoothed

    /// Mean without noise and its variance, that of the noise being 1.
    func law(at time: Double) -> (mean: Double, variance: Double) {
      let columns = shape.columns(at: time)
      let level = smoothed.level(at: time)
      var (mean, variance) = (centre + level.columns[columns.count], level.variance)
      for (a, b) in zip(lost(columns, level.columns), solution.seen) {
        mean += a * b
        variance += a * a
      }
      return (mean, variance)
    }

    /// What is not known of the columns' factors, as it moves an output: C⁻¹ S (X* − k*ᵀ K⁻¹ X).
    func lost(_ columns: [Double], _ level: [Double]) -> [Double] {
      solution.solved(zip(solution.use, solution.scale).map { (columns[$0] - level[$0]) * $1 })
    }
  }
}

// MARK: - Choices

extension SeriesModel {
  private static func choose(_ rows: Rows, errors: [Double], known: [Double]) -> Choice? {
    guard !errors.isEmpty else {
      return choose(rows, noise: [Double](repeating: 1, count: rows.times.count), known: known)
    }
    return SeriesErrors(errors.map { $0 / rows.scale }, outputs: rows.outputs).choose(rows) {
      choose(rows, noise: $0, known: known)
    }
  }

  /// - Parameter base: variance of each row's noise beside that of rows without an error, before any is found to be far from the others.
  private static func choose(_ rows: Rows, noise base: [Double], known: [Double]) -> Choice? {
    let (times, outputs) = (rows.times, rows.outputs)
    guard let start = Start(rows, noise: base, known: known) else { return nil }
    var (noise, setting) = (start.noise, start.tuned.setting)
    let levels = start.sketch.kinds(setting, rounds: 6, from: start.near.map(\.setting.level))
      .map(\.setting.level)

    // All harmonics and how they change; once more if rows turn out to be far from the others.
    let seasons = SeriesSeason.combs(start.periods, rows: times.count)
    for last in [false, true] {
      let design = SeriesDesign(
        times: times, outputs: outputs, noise: noise, seasons: seasons, changes: true)
      guard let first = SeriesDesign.first(design.kinds(setting, rounds: 0, from: levels)) else { return nil }
      let tuned = design.tuneSeasons(first, changing: true)
      setting = design.tuneSlope(design.climb(tuned, rounds: 1)).setting
      guard !last,
        let far = design.far(setting, beside: base, limit: outlier, most: Double(times.count) / 10)
      else { break }
      noise = far
    }
    return Choice(periods: start.periods, noise: noise, setting: setting)
  }

  private static func summary(
    _ rows: Rows, _ choice: Choice, _ design: SeriesDesign, _ solution: SeriesDesign.Solution,
    _ leftOut: [(mean: Double, deviation: Double)]
  ) -> Summary {
    let factors = solution.factors(count: design.count)
    let count = Double(rows.times.count)
    let found = missed(rows, choice, design, solution, leftOut)
    /// The share of variance that some of the columns explain.
    func share(_ chosen: [Int]) -> Double {
      guard !chosen.isEmpty else { return 0 }
      let said = rows.times.indices.map { row in
        chosen.reduce(0) { $0 + design.columns[row * design.width + $1] * factors[$1] }
      }
      let mean = said.reduce(0, +) / count
      return said.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count / found.variance
    }
    return Summary(
      slope: share([1]),
      seasons: design.seasons.enumerated().map { place, season in
        Summary.Season(
          period: season.period * rows.pace, cycles: design.shape.span / season.period,
          fixed: share(design.members(of: place, changing: false)),
          changing: share(design.members(of: place, changing: true)))
      },
      noise: solution.variance / found.variance, skill: 1 - found.mean / found.variance, far: found.far)
  }

  /// The mean square that rows are foretold wrong by, the variance of the outputs, and the rows far from the others. Where errors of
  /// rows are known, what the outputs were without them is meant.
  private static func missed(
    _ rows: Rows, _ choice: Choice, _ design: SeriesDesign, _ solution: SeriesDesign.Solution,
    _ leftOut: [(mean: Double, deviation: Double)]
  ) -> (mean: Double, variance: Double, far: Int) {
    let count = Double(rows.times.count)
    guard let errors = choice.errors else {
      let sum = zip(rows.outputs, leftOut).reduce(0) { $0 + ($1.0 - $1.1.mean) * ($1.0 - $1.1.mean) }
      return (sum / count, design.spread, choice.noise.count { $0 > 1 })
    }
    let expected = leftOut.reduce(0) { $0 + $1.deviation * $1.deviation } / count
    let variance = max(KnownErrors(errors).moments(of: rows.outputs).variance, solution.variance)
    // Noise grows by the same part of each error's square, but for far rows.
    let squares = errors.map { $0 * $0 }
    let parts = rows.times.indices.filter { squares[$0] > 0 }.map { (choice.noise[$0] - 1) / squares[$0] }
    let part = parts.min() ?? 0
    let far = rows.times.indices.count { choice.noise[$0] > 1.01 * (1 + part * squares[$0]) }
    return (expected, variance, far)
  }
}
