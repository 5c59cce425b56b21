import Foundation

/// A number made of all values of a path: what a decision often asks for, and what marginals can not tell.
public enum Functional: Sendable, Hashable, CustomStringConvertible {
  case sum
  case mean
  case maximum
  case minimum
  /// The last value less the first, by the order of the input.
  case difference
  /// The value at one input less that at another, both among those asked for.
  case between(first: Place, last: Place)
  /// The smallest input at which the value is above a level; +∞ for a path that never is.
  case firstAbove(Double)
  /// The smallest input at which the value is below a level; +∞ for a path that never is.
  case firstBelow(Double)

  /// An input, and how it was written.
  public struct Place: Sendable, Hashable {
    /// NaN where the text has still to be read as what its column holds.
    public let value: Double
    public let text: String

    public init(_ value: Double, text: String? = nil) {
      (self.value, self.text) = (value, text ?? "\(value)")
    }
  }

  /// The forms of ``init(parsing:)``.
  public static let forms = [
    "sum", "mean", "max", "min", "difference", "difference:A..B", "first-above:V", "first-below:V",
  ]

  /// Reads one of ``forms``; nil for anything else, and for inputs A and B that are no numbers.
  public init?(parsing text: String) {
    guard let found = Functional(written: text) else { return nil }
    if case .between(let first, let last) = found, !first.value.isFinite || !last.value.isFinite {
      return nil
    }
    self = found
  }

  /// Reads one of ``forms``, whose A and B may be of any column: their values are NaN where they are no numbers.
  package init?(written text: String) {
    switch text {
    case "sum": self = .sum
    case "mean": self = .mean
    case "max": self = .maximum
    case "min": self = .minimum
    case "difference": self = .difference
    default:
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { return nil }
      if parts[0] == "difference" {
        guard let dots = Self.dots(parts[1]) else { return nil }
        let (first, last) = (parts[1][..<dots], parts[1][dots...].dropFirst(2))
        guard Self.dots(last) == nil, let first = Self.place(first), let last = Self.place(last) else {
          return nil
        }
        self = .between(first: first, last: last)
        return
      }
      guard let level = Double(parts[1]), level.isFinite else { return nil }
      switch parts[0] {
      case "first-above": self = .firstAbove(level)
      case "first-below": self = .firstBelow(level)
      default: return nil
      }
    }
  }

  /// Where two points stand in a text first.
  private static func dots(_ text: Substring) -> String.Index? {
    text.indices.first { text[$0...].prefix(2) == ".." }
  }

  /// An input as it is written, without the spaces around it; nil where there is none.
  private static func place(_ text: Substring) -> Place? {
    var own = text.drop { $0.isWhitespace }
    while own.last?.isWhitespace == true { own.removeLast() }
    guard !own.isEmpty else { return nil }
    return Place(Double(own).flatMap { $0.isFinite ? $0 : nil } ?? .nan, text: String(own))
  }

  public var description: String {
    switch self {
    case .sum: "sum"
    case .mean: "mean"
    case .maximum: "max"
    case .minimum: "min"
    case .difference: "difference"
    case .between(let first, let last): "difference:\(first.text)..\(last.text)"
    case .firstAbove(let level): "first-above:\(level)"
    case .firstBelow(let level): "first-below:\(level)"
    }
  }

  /// Whether the places of the targets along one input matter.
  public var needsOrder: Bool {
    switch self {
    case .difference, .between, .firstAbove, .firstBelow: true
    case .sum, .mean, .maximum, .minimum: false
    }
  }

  /// Whether the result is an input and not a value.
  public var isInput: Bool {
    switch self {
    case .firstAbove, .firstBelow: true
    case .sum, .mean, .maximum, .minimum, .difference, .between: false
    }
  }

  /// Whether it is of two inputs that are named.
  public var isBetween: Bool { if case .between = self { true } else { false } }

  /// An input that the functional is of and that is none of those asked for; nil where it can be worked out.
  ///
  /// - Parameter inputs: the first input of each target.
  public func missing(from inputs: [Double]) -> Place? {
    guard case .between(let first, let last) = self else { return nil }
    return [first, last].first { !inputs.contains($0.value) }
  }

  /// The functional of every path; NaN where it is of an input that is ``missing(from:)`` those asked for.
  ///
  /// - Parameters:
  ///   - paths: `[paths][targets]`.
  ///   - inputs: the first input of each target, `[targets]`; of equal ones the earlier row counts as first.
  public func values(of paths: [[Double]], at inputs: [Double]) -> [Double] {
    let order = inputs.indices.sorted { inputs[$0] == inputs[$1] ? $0 < $1 : inputs[$0] < inputs[$1] }
    var places: (first: Int, last: Int)? = order.first.flatMap { first in order.last.map { (first, $0) } }
    if case .between(let first, let last) = self {
      places = inputs.firstIndex(of: first.value).flatMap { first in
        inputs.firstIndex(of: last.value).map { (first, $0) }
      }
    }
    return paths.map { path in
      switch self {
      case .sum: path.reduce(0, +)
      case .mean: path.isEmpty ? .nan : path.reduce(0, +) / Double(path.count)
      case .maximum: path.max() ?? .nan
      case .minimum: path.min() ?? .nan
      case .difference, .between: places.map { path[$0.last] - path[$0.first] } ?? .nan
      case .firstAbove(let level): order.first { path[$0] > level }.map { inputs[$0] } ?? .infinity
      case .firstBelow(let level): order.first { path[$0] < level }.map { inputs[$0] } ?? .infinity
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
