import ChorusTensors
import Foundation

/// What an evidence is asked of: the level, and the prior variances of slope and seasons in units of the noise's.
struct SeriesSetting: Sendable, Hashable, Codable {
  struct Ridge: Sendable, Hashable, Codable {
    var strength: Double
    /// The power of the harmonic by which its variance falls.
    var decay: Double
    /// The share of it by which the season changes.
    var change: Double

    static let strengths = [0.01, 0.1, 1, 10, 100, 1e3, 1e4]
    static let decays = [0.0, 1, 2, 3]
    static let changes = [0, 0.01, 0.1, 1]
  }

  var level: SeriesLevel
  var slope: Double
  var seasons: [Ridge]

  static let slopes = [0.0, 1, 10, 100, 1e3, 1e4, 1e6]

  /// Whether a search can end here.
  var isPossible: Bool {
    level.isPossible && Self.slopes.contains(slope)
      && seasons.allSatisfy {
        Ridge.strengths.contains($0.strength) && Ridge.decays.contains($0.decay)
          && Ridge.changes.contains($0.change)
      }
  }
}

/// The columns of a model of a series at its rows, and the evidence of settings.
final class SeriesDesign {
  /// What a column has to do with a season.
  private struct Label {
    let season: Int
    let decays: [Double]
    let changes: Bool
  }
  let times: [Double]
  let noise: [Double]
  let shape: SeriesShape
  let centre: Double
  let spread: Double
  private let labels: [Label]
  /// Columns, outputs without their mean as the last of them, `[rows, width]`; padded to whole vectors.
  private(set) var columns: [Double] = []
  private(set) var width = 0
  private let constant: Double
  private var grams: [SeriesLevel: (logDeterminant: Double, products: [Double])] = [:]
  private var tried: [SeriesSetting: Double] = [:]

  var count: Int { 2 + labels.count }
  var seasons: [SeriesSeason] { shape.seasons }

  /// - Parameter changes: whether seasons may change.
  init(
    times: [Double], outputs: [Double], noise: [Double], seasons: [SeriesSeason] = [], changes: Bool = false
  ) {
    (self.times, self.noise) = (times, noise)
    let shape = SeriesShape(seasons: seasons, first: times[0], last: times[times.count - 1], changes: changes)
    self.shape = shape
    let rows = Double(times.count)
    let mean = outputs.reduce(0, +) / rows
    centre = mean
    let variance = outputs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / rows
    spread = variance > 0 ? variance : 1
    var labels = [Label]()
    for (place, season) in seasons.enumerated() {
      func add(_ h: Int, times: Int, changes: Bool) {
        let decays = SeriesSetting.Ridge.decays.map { pow(Double(h), -$0) }
        let label = Label(season: place, decays: decays, changes: changes)
        labels += Array(repeating: label, count: season.hasSine(h) ? 2 * times : times)
      }
      for h in season.harmonics { add(h, times: 1, changes: false) }
      guard let knots = shape.knots(of: place) else { continue }
      for h in season.harmonics.prefix(SeriesSeason.changing) { add(h, times: knots, changes: true) }
    }
    self.labels = labels
    constant = lgamma(rows / 2) - lgamma(0.5) - 0.5 * (rows - 1) * log(.pi)
    width = (count + 4) / 4 * 4
    columns.reserveCapacity(times.count * width)
    for (time, output) in zip(times, outputs) {
      shape.append(time, to: &columns)
      columns.append(output - centre)
      columns.append(contentsOf: repeatElement(0, count: width - count - 1))
    }
  }

  /// The outputs, without their mean, less what some of the columns say.
  func rest(without chosen: [Int], factors: [Double]) -> [Double] {
    times.indices.map { row in
      chosen.reduce(columns[row * width + count]) { $0 - columns[row * width + $1] * factors[$1] }
    }
  }

  /// The columns that belong to a season: those that stay, or those by which it changes.
  func members(of season: Int, changing: Bool) -> [Int] {
    labels.indices.filter { labels[$0].season == season && labels[$0].changes == changing }.map { $0 + 2 }
  }

  private func variance(_ label: Label, _ setting: SeriesSetting) -> Double {
    let ridge = setting.seasons[label.season]
    guard let place = SeriesSetting.Ridge.decays.firstIndex(of: ridge.decay) else { return 0 }
    return ridge.strength * label.decays[place] * (label.changes ? ridge.change : 1)
  }

  private func gram(_ level: SeriesLevel) -> (logDeterminant: Double, products: [Double]) {
    if let known = grams[level] { return known }
    let filter = SeriesFilter(level, times: times, noise: noise)
    let products = filter.products(columns, width: width)
    grams[level] = (filter.logDeterminant, products)
    return (filter.logDeterminant, products)
  }

  /// A ridge regression in whitened columns.
  struct Solution: Sendable {
    let evidence: Double
    /// The columns with a prior variance, and its root (1 for the intercept, which has none).
    let use: [Int]
    let scale: [Double]
    /// Cholesky factor of S G S + I, and what the outputs are in it.
    let factor: [Double]
    let seen: [Double]
    /// Of the noise.
    let variance: Double

    /// C⁻¹ of `count` columns `[use.count, count]`.
    func solved(_ columns: [Double], count: Int = 1, transposed: Bool = false) -> [Double] {
      var out = columns
      factor.withUnsafeBufferPointer { factor in
        out.withUnsafeMutableBufferPointer { out in
          guard let factor = factor.baseAddress, let out = out.baseAddress else { return }
          DoubleKernels.solveLower(use.count, factor, use.count, transposed, out, count, count)
        }
      }
      return out
    }

    /// The factor of each of `count` columns of the design.
    func factors(count: Int) -> [Double] {
      var out = [Double](repeating: 0, count: count)
      for (place, value) in solved(seen, transposed: true).enumerated() {
        out[use[place]] = value * scale[place]
      }
      return out
    }
  }

  /// Solves for the columns' factors; nil where rounding has left no solution.
  func solve(_ setting: SeriesSetting) -> Solution? {
    let (logDeterminant, products) = gram(setting.level)
    var (use, scale) = ([0], [1.0])
    if setting.slope > 0 {
      use.append(1)
      scale.append(setting.slope.squareRoot())
    }
    for (place, label) in labels.enumerated() {
      let variance = variance(label, setting)
      guard variance > 0 else { continue }
      use.append(place + 2)
      scale.append(variance.squareRoot())
    }
    let n = use.count
    var factor = [Double](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0...i { factor[i * n + j] = products[use[i] * width + use[j]] * scale[i] * scale[j] }
      if i > 0 { factor[i * n + i] += 1 }
    }
    let pivots = factor.withUnsafeMutableBufferPointer {
      $0.baseAddress.map { DoubleKernels.cholesky(n, $0, n) }
    }
    guard pivots == n else { return nil }
    let blank = Solution(evidence: 0, use: use, scale: scale, factor: factor, seen: [], variance: 0)
    let seen = blank.solved((0..<n).map { products[use[$0] * width + count] * scale[$0] })
    let rest = max(products[count * width + count] - seen.reduce(0) { $0 + $1 * $1 }, 0) + 1e-3 * spread
    let rows = Double(times.count)
    let logs = (0..<n).reduce(0) { $0 + log(factor[$1 * n + $1]) }
    let evidence = constant - 0.5 * (logDeterminant + 2 * logs + rows * log(rest) - log(1e-3))
    guard evidence.isFinite else { return nil }
    return Solution(
      evidence: evidence, use: use, scale: scale, factor: factor, seen: seen,
      variance: rest / max(rows - 2, 1))
  }

  /// log density of the outputs under a setting, less what the choice of its level costs.
  func evidence(_ setting: SeriesSetting) -> Double {
    if let known = tried[setting] { return known }
    let found = solve(setting).map { $0.evidence - setting.level.price } ?? -.infinity
    tried[setting] = found
    return found
  }

  /// Mean and deviation of each row foretold from all the others; a row far from them is foretold like any other.
  func leftOut(_ setting: SeriesSetting) -> [(mean: Double, deviation: Double)]? {
    guard let solution = solve(setting) else { return nil }
    let filter = SeriesFilter(setting.level, times: times, noise: noise)
    return leftOut(solution, SeriesFilter.Smoothed(filter, columns: columns, width: width))
  }

  func leftOut(_ solution: Solution, _ smoothed: SeriesFilter.Smoothed) -> [(mean: Double, deviation: Double)]
  {
    let (rows, inverse) = (times.count, smoothed.inverse)
    var lost = [Double](repeating: 0, count: solution.use.count * rows)
    for (place, column) in solution.use.enumerated() {
      let scale = solution.scale[place]
      for row in 0..<rows { lost[place * rows + row] = inverse[row * width + column] * scale }
    }
    lost = solution.solved(lost, count: rows)
    var (precisions, answers) = (smoothed.diagonal, (0..<rows).map { inverse[$0 * width + count] })
    for (place, seen) in solution.seen.enumerated() {
      for row in 0..<rows {
        let value = lost[place * rows + row]
        precisions[row] -= value * value
        answers[row] -= value * seen
      }
    }
    return (0..<rows).map { row in
      let precision = max(precisions[row], 1e-12)
      let output = columns[row * width + count] + centre
      return (
        output - answers[row] / precision,
        (solution.variance * max(1 / precision - (noise[row] - 1), 1e-12)).squareRoot()
      )
    }
  }
}
