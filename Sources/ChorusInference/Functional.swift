import Foundation

/// A number made of all values of a path: what a decision often asks for, and what marginals can not tell.
public enum Functional: Sendable, Hashable, CustomStringConvertible {
  case sum
  case mean
  case maximum
  case minimum
  /// The last value less the first, by the order of the input.
  case difference
  /// The smallest input at which the value is above a level; +∞ for a path that never is.
  case firstAbove(Double)

  /// The forms of ``init(parsing:)``.
  public static let forms = ["sum", "mean", "max", "min", "difference", "first-above:V"]

  /// Reads one of ``forms``; nil for anything else.
  public init?(parsing text: String) {
    switch text {
    case "sum": self = .sum
    case "mean": self = .mean
    case "max": self = .maximum
    case "min": self = .minimum
    case "difference": self = .difference
    default:
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == "first-above", let level = Double(parts[1]), level.isFinite else {
        return nil
      }
      self = .firstAbove(level)
    }
  }

  public var description: String {
    switch self {
    case .sum: "sum"
    case .mean: "mean"
    case .maximum: "max"
    case .minimum: "min"
    case .difference: "difference"
    case .firstAbove(let level): "first-above:\(level)"
    }
  }

  /// Whether the order of the targets along one input matters.
  public var needsOrder: Bool {
    switch self {
    case .difference, .firstAbove: true
    case .sum, .mean, .maximum, .minimum: false
    }
  }

  /// Whether the result is an input and not a value.
  public var isInput: Bool { if case .firstAbove = self { true } else { false } }

  /// The functional of every path.
  ///
  /// - Parameters:
  ///   - paths: `[paths][targets]`.
  ///   - inputs: the first input of each target, `[targets]`; of equal ones the earlier row counts as first.
  public func values(of paths: [[Double]], at inputs: [Double]) -> [Double] {
    let order = inputs.indices.sorted { inputs[$0] == inputs[$1] ? $0 < $1 : inputs[$0] < inputs[$1] }
    return paths.map { path in
      switch self {
      case .sum: path.reduce(0, +)
      case .mean: path.isEmpty ? .nan : path.reduce(0, +) / Double(path.count)
      case .maximum: path.max() ?? .nan
      case .minimum: path.min() ?? .nan
      case .difference:
        if let first = order.first, let last = order.last { path[last] - path[first] } else { .nan }
      case .firstAbove(let level): order.first { path[$0] > level }.map { inputs[$0] } ?? .infinity
      }
    }
  }
}

/// The distribution of a functional as independent draws show it, with the Monte-Carlo error of each number.
public struct FunctionalSummary: Sendable, Hashable {
  /// A number with its standard error; the error is NaN where the draws can not tell it.
  public struct Estimate: Sendable, Hashable {
    public let value: Double
    public let error: Double
  }

  /// Draws in all.
  public let count: Int
  /// The share of finite draws: less than 1 where some paths never reach a level.
  public let share: Estimate
  /// Of the finite draws; NaN where there is none.
  public let mean: Estimate
  /// Of the finite draws, with n - 1; NaN for fewer than two.
  public let deviation: Estimate
  /// Of all draws, at the levels asked for; infinite where the level lies among draws that never reach.
  public let quantiles: [Estimate]

  /// Errors: the mean's is s/√n; the standard deviation's √((m₄ − s⁴)/n)/(2s) (delta method); a share's
  /// √(p(1−p)/n); a quantile's half the distance of the order statistics √(n p(1−p)) places to each side
  /// (Woodruff 1952). Quantiles are type 7 of Hyndman & Fan (1996).
  public init(_ draws: [Double], levels: [Double]) {
    let sorted = draws.filter { !$0.isNaN }.sorted()
    let finite = sorted.filter(\.isFinite)
    count = sorted.count
    let n = Double(sorted.count)
    let p = Double(finite.count) / n
    share = Estimate(value: p, error: (p * (1 - p) / n).squareRoot())
    let m = Double(finite.count)
    let mean = finite.isEmpty ? .nan : finite.reduce(0, +) / m
    var (second, fourth) = (0.0, 0.0)
    for value in finite {
      let square = (value - mean) * (value - mean)
      second += square
      fourth += square * square
    }
    let variance = m > 1 ? second / (m - 1) : .nan
    let deviation = variance.squareRoot()
    self.mean = Estimate(value: mean, error: deviation / m.squareRoot())
    let spread = max(fourth / m - variance * variance, 0)
    self.deviation = Estimate(
      value: deviation, error: deviation == 0 ? 0 : (spread / m).squareRoot() / (2 * deviation))
    quantiles = levels.map { Self.quantile(sorted, $0) }
  }

  private static func quantile(_ sorted: [Double], _ level: Double) -> Estimate {
    guard sorted.count > 0, !level.isNaN else { return Estimate(value: .nan, error: .nan) }
    let last = Double(sorted.count - 1)
    func at(_ position: Double) -> Double {
      let place = min(max(position, 0), last)
      let (low, high) = (Int(place.rounded(.down)), Int(place.rounded(.up)))
      guard low != high, sorted[low] != sorted[high] else { return sorted[low] }
      return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
    }
    let position = min(max(level, 0), 1) * last
    let places = (Double(sorted.count) * level * (1 - level)).squareRoot()
    // At the ends, or where a neighbour is infinite, draws do not tell the error.
    let error = places > 0 ? (at(position + places) - at(position - places)) / 2 : .nan
    return Estimate(value: at(position), error: error.isFinite ? error : .nan)
  }
}
