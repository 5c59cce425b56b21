import Foundation

/// The part of a series that wanders: a Markov process, all variances in units of the noise's.
///
/// Its state is the level and, for a trend, the slope; time is in rows.
struct SeriesLevel: Sendable, Hashable, Codable {
  enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    /// No level beside the intercept.
    case none
    /// A random walk, `ratio` a row.
    case walk
    /// The integral of a slope that reverts to 0: smooth at first, a walk of `ratio` a row far out.
    case trend
    /// A stationary level of variance `ratio`.
    case reverting
    /// A stationary level of variance `ratio` that swings: an oscillator that is pushed at random and loses its swing.
    case cycle
  }

  var kind: Kind
  var ratio: Double
  /// Rows after which a slope, a level or a swing has lost 63 % of itself; 0 for kinds without one.
  var length: Double
  /// Rows of a swing; 0 for other kinds.
  var period: Double

  init(_ kind: Kind, _ ratio: Double = 0, _ length: Double = 0, period: Double = 0) {
    (self.kind, self.ratio, self.length, self.period) = (kind, ratio, length, period)
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    kind = try fields.decode(Kind.self, forKey: .kind)
    ratio = try fields.decode(Double.self, forKey: .ratio)
    length = try fields.decode(Double.self, forKey: .length)
    // Contexts that were saved before there were cycles.
    period = try fields.decodeIfPresent(Double.self, forKey: .period) ?? 0
  }

  /// What a search starts from.
  static let starts = [
    SeriesLevel(.none), SeriesLevel(.walk, 0.02), SeriesLevel(.walk, 0.4), SeriesLevel(.walk, 20),
    SeriesLevel(.trend, 0.2, 4), SeriesLevel(.trend, 20, 4), SeriesLevel(.trend, 0.2, 24),
    SeriesLevel(.reverting, 2, 2), SeriesLevel(.reverting, 2, 8), SeriesLevel(.reverting, 2, 30),
    SeriesLevel(.reverting, 30, 30),
  ]
  static let ratios = 1e-4...300.0
  static let lengths = 1.0...100.0
  /// Of a swing, in rows; and its length in periods: what swings longer is a season.
  static let periods = 4.0...256.0
  static let swings = 0.2...5.0

  /// What a search for cycles starts from: periods a third apart, of which at least three fit into `span` rows.
  static func cycles(span: Double) -> [SeriesLevel] {
    var starts: [SeriesLevel] = []
    var period = 5.0
    while period <= min(span / 3, periods.upperBound) {
      starts.append(SeriesLevel(.cycle, 20, period / 2, period: period))
      period *= 4.0 / 3
    }
    return starts
  }

  /// Whether it comes back to the intercept.
  var isStationary: Bool { kind == .reverting || kind == .cycle }

  /// Nats: a cycle has a period more to choose, and few rows swing by chance.
  var price: Double { kind == .cycle ? 6 : 0 }

  /// Whether a search can end here.
  var isPossible: Bool {
    switch kind {
    case .none: ratio == 0 && length == 0 && period == 0
    case .walk: Self.ratios.contains(ratio) && length == 0 && period == 0
    case .trend, .reverting: Self.ratios.contains(ratio) && Self.lengths.contains(length) && period == 0
    case .cycle:
      Self.ratios.contains(ratio) && Self.periods.contains(period) && Self.swings.contains(length / period)
    }
  }

  /// By name, ratio and length: the order in which settings that are alike are tried.
  static func precedes(_ a: SeriesLevel, _ b: SeriesLevel) -> Bool {
    (a.kind.rawValue, a.ratio, a.length, a.period) < (b.kind.rawValue, b.ratio, b.length, b.period)
  }

  /// A symmetric matrix over level and slope.
  struct Spread: Sendable {
    var level = 0.0
    var both = 0.0
    var slope = 0.0
  }

  /// How the state goes on: level' = stay · level + drift · slope, slope' = turn · level + keep · slope, and the variance that is
  /// added.
  struct Step: Sendable {
    var stay = 0.0
    var drift = 0.0
    var turn = 0.0
    var keep = 0.0
    var added = Spread()

    /// The variance after the step.
    func spread(_ p: Spread) -> Spread {
      Spread(
        level: stay * (stay * p.level + 2 * drift * p.both) + drift * drift * p.slope + added.level,
        both: keep * (stay * p.both + drift * p.slope) + turn * (stay * p.level + drift * p.both)
          + added.both,
        slope: keep * keep * p.slope + turn * (turn * p.level + 2 * keep * p.both) + added.slope)
    }

    /// Tᵀ N T: what is known after the step, said of the state before it.
    func known(_ n: Spread) -> Spread {
      Spread(
        level: stay * stay * n.level + turn * (2 * stay * n.both + turn * n.slope),
        both: stay * (drift * n.level + keep * n.both) + turn * (drift * n.both + keep * n.slope),
        slope: drift * (drift * n.level + 2 * keep * n.both) + keep * keep * n.slope)
    }
  }

  /// The variance of the state one row before the first, where a walk and a trend have the level 0.
  var start: Spread {
    switch kind {
    case .none, .walk: Spread()
    case .trend: Spread(slope: ratio / (2 * length))
    case .reverting: Spread(level: ratio)
    case .cycle: Spread(level: ratio, slope: ratio)
    }
  }

  /// The step over a distance of that many rows.
  func step(_ distance: Double) -> Step {
    switch kind {
    case .none: return Step()
    case .walk: return Step(stay: 1, added: Spread(level: ratio * distance))
    case .reverting:
      let u = distance / length
      return Step(stay: exp(-u), added: Spread(level: ratio * -expm1(-2 * u)))
    case .cycle: return swing(distance)
    case .trend:
      let u = distance / length
      let lost = -expm1(-u)
      let added = Spread(
        level: ratio * length * Self.wandered(u), both: 0.5 * ratio * lost * lost,
        slope: ratio * -expm1(-2 * u) / (2 * length))
      return Step(stay: 1, drift: length * lost, keep: exp(-u), added: added)
    }
  }

  /// The step of a cycle: x'' + 2x'/ℓ + (ω² + 1/ℓ²)x is white noise (Foreman-Mackey et al. 2017, equation 20). The slope is in units
  /// in which its variance is the level's.
  private func swing(_ distance: Double) -> Step {
    let (u, angle) = (distance / length, 2 * .pi * distance / period)
    let k = period / (2 * .pi * length)
    let (fallen, cosine, sine) = (exp(-u), cos(angle), sin(angle))
    let (own, other) = (k * sine, (1 + k * k).squareRoot() * sine)
    // 1 − T Tᵀ, in which 1 − e⁻²ᵘ is taken together.
    let (lost, left) = (-expm1(-2 * u), 2 * fallen * fallen * own)
    return Step(
      stay: fallen * (cosine + own), drift: fallen * other, turn: -fallen * other,
      keep: fallen * (cosine - own),
      added: Spread(
        level: ratio * max(lost - left * (cosine + own), 0), both: ratio * left * other,
        slope: ratio * max(lost + left * (cosine - own), 0)))
  }

  /// u − 2(1 − e⁻ᵘ) + ½(1 − e⁻²ᵘ), by its series where the terms nearly cancel.
  private static func wandered(_ u: Double) -> Double {
    guard u < 0.5 else { return u + 2 * expm1(-u) - 0.5 * expm1(-2 * u) }
    var (sum, term, power) = (0.0, u * u / 2, 2.0)
    for k in 3...18 {
      term *= -u / Double(k)
      sum += term * (2 - 2 * power)
      power *= 2
    }
    return sum
  }
}
