import ChorusLayers
import Foundation

/// Exponential smoothing in state-space form with additive errors: a level, with or without a damped trend and a season, chosen
/// by AICc (Hyndman, Koehler, Ord & Snyder 2008).
///
/// With the forecast μ = l + φb + s(t − m) and its error e: l ← l + φb + αe, b ← φb + βe, s ← s(t − m) + γe. A step without a row
/// goes on without an error. It reads what is before a place alone.
struct Smoothing: Sendable {
  struct Parameters: Sendable, Hashable {
    var level: Double
    var trend: Double
    var season: Double
    var damping: Double
  }

  /// Level, slope and the season of the last m steps.
  struct State: Sendable, Hashable {
    var level: Double
    var slope: Double
    var season: [Double]
    /// Where the oldest step of the season stands, which is the one that comes back next.
    private var oldest = 0

    init(level: Double, slope: Double, season: [Double]) {
      (self.level, self.slope, self.season) = (level, slope, season)
    }

    /// What the next step is expected to have.
    func next(_ p: Parameters) -> Double {
      level + p.damping * slope + (season.isEmpty ? 0 : season[oldest])
    }

    mutating func advance(_ p: Parameters, error: Double) {
      level += p.damping * slope + p.level * error
      slope = p.damping * slope + p.trend * error
      guard !season.isEmpty else { return }
      season[oldest] += p.season * error
      oldest = oldest + 1 == season.count ? 0 : oldest + 1
    }
  }

  let parameters: Parameters
  let start: State
  let hasTrend: Bool
  /// Sum of squared errors of the forecasts of one step.
  private(set) var squares = 0.0
  private(set) var errors = 0
  private let first: Int
  /// The state before each step, from the first to the one behind the last.
  private var states: [State] = []

  /// With parameters and a start that are given.
  ///
  /// - Parameter values: from the first step on; nil where a step has no row.
  init(_ parameters: Parameters, start: State, hasTrend: Bool, values: [Double?], first: Int, keeping: Bool) {
    (self.parameters, self.start, self.hasTrend, self.first) = (parameters, start, hasTrend, first)
    var state = start
    for value in values {
      if keeping { states.append(state) }
      let error = value.map { $0 - state.next(parameters) }
      if let error {
        squares += error * error
        errors += 1
      }
      state.advance(parameters, error: error ?? 0)
    }
    if keeping { states.append(state) }
  }

  /// The variance of errors, those of the fit.
  var variance: Double { squares / Double(max(errors, 1)) }

  /// The law of a step that is `ahead` behind the last one read: its mean, and the variance of what has come between.
  func law(_ ahead: Int, from state: State) -> GaussianMixture {
    var state = state
    var (sum, damped, spread) = (1.0, 0.0, 0.0)
    let most = 20_000
    for step in 1..<max(min(ahead, most), 1) {
      state.advance(parameters, error: 0)
      damped += pow(parameters.damping, Double(step))
      let isSeason = !state.season.isEmpty && step % state.season.count == 0
      spread = parameters.level + parameters.trend * damped + (isSeason ? parameters.season : 0)
      sum += spread * spread
    }
    return GaussianMixture(mean: state.next(parameters), deviation: (variance * sum).squareRoot())
  }

  /// Of each step, by what is before it.
  func laws(at steps: [Int]) -> [GaussianMixture] {
    steps.map { step in
      // Before the first row nothing is known but the start.
      let place = max(step - first, 0)
      let known = min(place, states.count - 1)
      return law(place - known + 1, from: states[known])
    }
  }
}

// MARK: - Choosing

extension Smoothing {
  /// A grid of more steps than this has too few rows on it.
  private static let longest = 5_000

  /// The form with the least AICc; nil for fewer than three rows, or rows too far apart for a grid.
  init?(_ series: PlacedSeries) {
    let steps = series.steps
    guard steps.count >= 3, let first = steps.first?.step, let last = steps.last?.step,
      last - first < Self.longest
    else { return nil }
    var values = [Double?](repeating: nil, count: last - first + 1)
    for (step, value) in steps { values[step - first] = value }
    let season = series.season
    let forms: [(trend: Bool, season: Int)] = [
      (false, 0), (true, 0), (false, season), (true, season),
    ].filter { $0.1 == 0 || season > 1 && season <= 366 && values.count >= 2 * season }
    var best: (criterion: Double, fit: Smoothing)?
    for form in forms {
      guard let start = Self.start(values, trend: form.trend, season: form.season) else { continue }
      let fit = Self.fitted(values, first: first, start: start, trend: form.trend)
      let count = Double(steps.count)
      // Parameters and states: level, slope and damping, and the season whose sum is free.
      let own: Int = form.trend ? 6 : 3
      let k = Double(own + form.season)
      guard count - k - 1 > 0, fit.squares.isFinite else { continue }
      let misfit: Double = count * log(max(fit.squares / count, .leastNormalMagnitude))
      let correction: Double = 2 * k * (k + 1) / (count - k - 1)
      let criterion = misfit + 2 * k + correction
      if best.map({ criterion < $0.criterion }) ?? true { best = (criterion, fit) }
    }
    guard let best else { return nil }
    self.init(
      best.fit.parameters, start: best.fit.start, hasTrend: best.fit.hasTrend, values: values, first: first,
      keeping: true)
  }

  /// A start from the first seasons: the season as means of what a running mean of one season leaves, level and slope by a line
  /// through the first steps.
  private static func start(_ values: [Double?], trend: Bool, season: Int) -> State? {
    var pattern = [Double](repeating: 0, count: season)
    if season > 0 {
      var counts = pattern
      let all = values.prefix(4 * season)
      for (step, value) in all.enumerated() {
        guard let value else { continue }
        let around = values[max(0, step - season / 2)..<min(values.count, step + (season + 1) / 2)].compactMap
        { $0 }
        pattern[step % season] += value - around.reduce(0, +) / Double(around.count)
        counts[step % season] += 1
      }
      guard counts.allSatisfy({ $0 > 0 }) else { return nil }
      pattern = zip(pattern, counts).map { $0 / $1 }
      let mean = pattern.reduce(0, +) / Double(season)
      pattern = pattern.map { $0 - mean }
    }
    let early = values.prefix(max(10, 2 * season)).enumerated().compactMap { step, value in
      value.map { (Double(step), $0 - (season > 0 ? pattern[step % season] : 0)) }
    }
    let count = Double(early.count)
    guard count >= 1 else { return nil }
    let (x, y) = (early.reduce(0) { $0 + $1.0 } / count, early.reduce(0) { $0 + $1.1 } / count)
    guard trend else {
      let few = early.prefix(max(season, 3))
      return State(level: few.reduce(0) { $0 + $1.1 } / Double(few.count), slope: 0, season: pattern)
    }
    let spread = early.reduce(0) { $0 + ($1.0 - x) * ($1.0 - x) }
    let slope = spread > 0 ? early.reduce(0) { $0 + ($1.0 - x) * ($1.1 - y) } / spread : 0
    // The level before the first step.
    return State(level: y - slope * (x + 1), slope: slope, season: pattern)
  }

  /// Least squares by a search along the coordinates, with ever smaller steps.
  private static func fitted(_ values: [Double?], first: Int, start: State, trend: Bool) -> Smoothing {
    func fit(_ p: Parameters) -> Smoothing {
      Smoothing(p, start: start, hasTrend: trend, values: values, first: first, keeping: false)
    }
    let hasSeason = !start.season.isEmpty
    func allowed(_ p: Parameters) -> Bool {
      (1e-4...0.9999).contains(p.level) && (p.trend == 0 || (1e-4...p.level).contains(p.trend))
        && (p.season == 0 || (1e-4...1 - p.level).contains(p.season)) && (0.8...0.98).contains(p.damping)
    }
    var best: Smoothing?
    for level in [0.1, 0.5, 0.9] {
      var own = fit(
        Parameters(
          level: level, trend: trend ? level / 10 : 0, season: hasSeason ? min(0.1, (1 - level) / 2) : 0,
          damping: trend ? 0.95 : 0.9))
      var step = 0.2
      while step > 1e-3 {
        var moved = false
        for path in [\Parameters.level, \.trend, \.season, \.damping] {
          guard path != \.trend && path != \.damping || trend, path != \.season || hasSeason else { continue }
          for sign in [-1.0, 1] {
            var next = own.parameters
            next[keyPath: path] += sign * step * (path == \.damping ? 0.3 : 1)
            guard allowed(next) else { continue }
            let other = fit(next)
            if other.squares < own.squares { (own, moved) = (other, true) }
          }
        }
        if !moved { step /= 2 }
      }
      if best.map({ own.squares < $0.squares }) ?? true { best = own }
    }
    return best ?? fit(Parameters(level: 0.5, trend: 0, season: 0, damping: 0.9))
  }
}
