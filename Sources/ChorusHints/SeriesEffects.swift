import ChorusTensors
import Foundation

/// What columns known beside time do to a series: a ridge regression on them whose errors are the series' level, trend, seasons and
/// noise (generalised least squares; docs/series.md).
///
/// z = Φβ + s, where s has the covariance σ²C that `SeriesModel` finds and β_j the variance σ²v_g of its group of columns. With
/// M = [Φ z]ᵀ C⁻¹ [Φ z]: β = (M_ΦΦ + V⁻¹)⁻¹ M_Φz, its covariance σ²(M_ΦΦ + V⁻¹)⁻¹. The v of each group is the one of most evidence,
/// 0 among them, so that a column that says nothing is left out. The series is chosen anew of what the columns leave.
public struct SeriesEffects: Sendable {
  /// Of each column.
  public let factors: [Double]
  /// The share of the outputs' variance that each group of columns moves.
  public let shares: [Double]

  private let steps: Steps
  /// S L⁻ᵀ of the columns that are used, in the outputs' unit: a standard normal vector times it is an error of the factors.
  private let spread: [[Double]]
  private let rows: SeriesModel.Rows

  /// Variances of a group's factors, in units of the noise's.
  private static let strengths = [0, 1e-3, 1e-2, 0.1, 1, 10, 100, 1e3, 1e4]

  /// - Parameters:
  ///   - x: of each row its place in time.
  ///   - y: outputs, as they are seen.
  ///   - columns: `[columns][rows]`, of mean 0 and deviation 1.
  ///   - groups: of each column the group that it belongs to, from 0.
  ///   - errors: of each row the known deviation of its error of measurement, in the unit of y; empty for none.
  ///   - known: periods in the unit of x that are likelier than others; months have their own.
  ///   - clock: counts time in place of x.
  /// Nil where nothing can be said: too few or too many rows, no extent, nothing that changes.
  public init?(
    x: [Double], y: [Double], columns: [[Double]], groups: [Int], errors: [Double] = [],
    known: [Double] = [], clock: MonthClock? = nil
  ) {
    let order = x.indices.sorted { (x[$0], y[$0]) < (x[$1], y[$1]) }
    let errors = errors.isEmpty ? [] : order.map { errors[$0] }
    let (x, y) = (order.map { x[$0] }, order.map { y[$0] })
    let columns = columns.map { column in order.map { column[$0] } }
    guard let plain = SeriesModel.Rows(x: x, y: y, clock: clock) else { return nil }
    var factors = [Double](repeating: 0, count: columns.count)
    var found: (steps: Steps, spread: [[Double]])?
    for _ in 0..<Self.rounds {
      let rest = Self.rest(y, columns, factors)
      guard let model = SeriesModel(x: x, y: rest, errors: errors, known: known, clock: clock) else {
        break
      }
      // Rows of a place are in order of what is left of them.
      var noise = model.choice.noise
      for (place, row) in SeriesModel.Rows.order(x, rest).enumerated() {
        noise[row] = model.choice.noise[place]
      }
      guard let steps = Steps(model.choice, noise, times: plain.times, outputs: y, columns: columns) else {
        break
      }
      let solved = steps.solve(groups, Self.strengths)
      factors = solved.factors
      found = (steps, solved.spread)
    }
    guard let found else { return nil }
    (self.factors, steps, spread) = (factors, found.steps, found.spread)
    rows = plain
    let variance = plain.scale * plain.scale
    shares = (0..<((groups.max() ?? -1) + 1)).map { group in
      let own = groups.indices.filter { groups[$0] == group }
      let moved = y.indices.map { row in own.reduce(0) { $0 + factors[$1] * columns[$1][row] } }
      return moved.reduce(0) { $0 + $1 * $1 } / Double(moved.count) / variance
    }
  }

  /// The series is chosen of the outputs, then of what the columns leave of them.
  private static let rounds = 2

  private static func rest(_ y: [Double], _ columns: [[Double]], _ factors: [Double]) -> [Double] {
    y.indices.map { row in zip(columns, factors).reduce(y[row]) { $0 - $1.0[row] * $1.1 } }
  }

  /// How `count` likely factors differ from `factors`: pairs of a draw and its mirror, so that their mean is 0.
  public func draws(_ count: Int) -> [[Double]] {
    // A stream of its own: draws are part of the law, and the same for every request.
    var stream = RandomStream(seed: 0x5EED, .paths, UInt64(spread.count))
    var draws: [[Double]] = []
    while draws.count < count {
      let normal = (spread.first?.indices ?? 0..<0).map { _ in stream.normal() }
      let one = spread.map { row in zip(row, normal).reduce(0) { $0 + $1.0 * $1.1 } }
      draws += [one, one.map { -$0 }]
    }
    return Array(draws.prefix(count))
  }

  /// What the series makes of each column at a place in time, as if the column were outputs: what a change of its factor moves a
  /// forecast back by.
  public func carried(at x: Double) -> [Double] { steps.carried(at: rows.time(x)) }

  /// The regression given level and seasons.
  private struct Steps: Sendable {
    let count: Int
    let outputs: Double
    let rows: Double
    /// M, `[columns + 1][columns + 1]`; outputs last.
    let products: [[Double]]
    private let shape: SeriesShape
    private let solution: SeriesDesign.Solution
    private let smoothed: SeriesFilter.Smoothed
    /// C⁻¹ S Xᵀ K⁻¹ of each column.
    private let seen: [[Double]]
    private let own: Int

    init?(
      _ choice: SeriesModel.Choice, _ noise: [Double], times: [Double], outputs y: [Double],
      columns: [[Double]]
    ) {
      let seasons = SeriesSeason.combs(choice.periods, rows: times.count)
      let design = SeriesDesign(
        times: times, outputs: y, noise: noise, seasons: seasons, changes: true)
      guard seasons.count == choice.setting.seasons.count, let solution = design.solve(choice.setting) else {
        return nil
      }
      count = columns.count
      rows = Double(times.count)
      outputs = design.spread
      own = design.count
      let width = (design.count + columns.count + 1 + 3) / 4 * 4
      var all: [Double] = []
      all.reserveCapacity(times.count * width)
      for row in times.indices {
        // The design's columns and its outputs, with the others between them.
        all += design.columns[row * design.width..<row * design.width + design.count]
        all += columns.map { $0[row] }
        all.append(y[row] - design.centre)
        all += repeatElement(0, count: width - design.count - columns.count - 1)
      }
      let filter = SeriesFilter(choice.setting.level, times: times, noise: noise)
      let gram = filter.products(all, width: width)
      let first = design.count
      let seen = (0...columns.count).map { column in
        solution.solved(
          zip(solution.use, solution.scale).map { gram[$0 * width + first + column] * $1 })
      }
      products = (0...columns.count).map { i in
        (0...columns.count).map { j in
          gram[(first + i) * width + first + j] - zip(seen[i], seen[j]).reduce(0) { $0 + $1.0 * $1.1 }
        }
      }
      self.seen = Array(seen.dropLast())
      (shape, self.solution) = (design.shape, solution)
      smoothed = SeriesFilter.Smoothed(filter, columns: all, width: width)
    }

    /// Factors, and what a standard normal vector is to be multiplied by for their errors.
    func solve(_ groups: [Int], _ strengths: [Double]) -> (factors: [Double], spread: [[Double]]) {
      var chosen = [Double](repeating: 0, count: (groups.max() ?? -1) + 1)
      var best = evidence(chosen, groups)
      for _ in 0..<3 {
        let before = best
        for group in chosen.indices {
          for strength in strengths {
            var trial = chosen
            trial[group] = strength
            let next = evidence(trial, groups)
            if next > best + 1e-9 { (best, chosen) = (next, trial) }
          }
        }
        if best == before { break }
      }
      guard let fit = fit(chosen, groups) else {
        return (
          [Double](repeating: 0, count: count), [[Double]](repeating: [], count: count)
        )
      }
      // Solving Lᵀ b = u and, for each unit vector, Lᵀ b = e.
      let n = fit.use.count
      func turned(_ right: [Double]) -> [Double] {
        var out = right
        for i in (0..<n).reversed() {
          for j in i + 1..<max(n, i + 1) { out[i] -= fit.lower[j][i] * out[j] }
          out[i] /= fit.lower[i][i]
        }
        return out
      }
      var factors = [Double](repeating: 0, count: count)
      for (place, value) in turned(fit.seen).enumerated() {
        factors[fit.use[place]] = value * fit.scale[place]
      }
      let deviation = (fit.rest / max(rows - 2, 1)).squareRoot()
      var spread = [[Double]](repeating: [Double](repeating: 0, count: n), count: count)
      for unit in 0..<n {
        let column = turned((0..<n).map { $0 == unit ? 1 : 0 })
        for (place, value) in column.enumerated() {
          spread[fit.use[place]][unit] = deviation * value * fit.scale[place]
        }
      }
      return (factors, spread)
    }

    private struct Fit {
      let use: [Int]
      let scale: [Double]
      let lower: [[Double]]
      let seen: [Double]
      let rest: Double
    }

    private func fit(_ strengths: [Double], _ groups: [Int]) -> Fit? {
      let use = groups.indices.filter { strengths[groups[$0]] > 0 }
      let scale = use.map { strengths[groups[$0]].squareRoot() }
      let n = use.count
      var lower = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
      var seen = [Double](repeating: 0, count: n)
      for i in 0..<n {
        for j in 0...i {
          var value = products[use[i]][use[j]] * scale[i] * scale[j] + (i == j ? 1 : 0)
          for k in 0..<j { value -= lower[i][k] * lower[j][k] }
          if i == j {
            guard value > 0 else { return nil }
            lower[i][i] = value.squareRoot()
          } else {
            lower[i][j] = value / lower[j][j]
          }
        }
        var value = products[use[i]][count] * scale[i]
        for k in 0..<i { value -= lower[i][k] * seen[k] }
        seen[i] = value / lower[i][i]
      }
      let rest = max(products[count][count] - seen.reduce(0) { $0 + $1 * $1 }, 0) + 1e-3 * outputs
      return Fit(use: use, scale: scale, lower: lower, seen: seen, rest: rest)
    }

    /// log density of the outputs, but for what all strengths share.
    private func evidence(_ strengths: [Double], _ groups: [Int]) -> Double {
      guard let fit = fit(strengths, groups) else { return -.infinity }
      return -fit.use.indices.reduce(0) { $0 + log(fit.lower[$1][$1]) } - 0.5 * rows * log(fit.rest)
    }

    func carried(at time: Double) -> [Double] {
      let level = smoothed.level(at: time).columns
      let columns = shape.columns(at: time)
      let lost = solution.solved(zip(solution.use, solution.scale).map { (columns[$0] - level[$0]) * $1 })
      return (0..<count).map { column in
        zip(lost, seen[column]).reduce(level[own + column]) { $0 + $1.0 * $1.1 }
      }
    }
  }
}
