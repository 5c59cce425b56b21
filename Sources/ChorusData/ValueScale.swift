import Foundation

/// What a value is seen as before it has a unit: itself, its logarithm, or its root.
///
/// A density of what is seen becomes one of the value by the slope: log p(y) = log p(z) + log |dz/dy|.
///
/// ```swift
/// let scale = ValueScale.logarithm
/// let z = scale.seen(20)               // 2.9957…
/// let y = scale.value(z)               // 20
/// let jacobian = scale.logSlope(20)    // -2.9957…
/// ```
public enum ValueScale: Sendable, Hashable {
  case raw
  /// log y, of values above 0.
  case logarithm
  /// √(y + shift), of values from 0 on. The shift keeps the slope finite at 0.
  case root(shift: Double)

  /// How a value scale is come by.
  public enum Choice: String, Sendable, Hashable, CaseIterable {
    /// By what explains the context best, where a hint of the model can tell; else the values themselves.
    case automatic = "auto"
    case raw
    case logarithm = "log"
    case root
  }

  /// How it is asked for.
  public var choice: Choice {
    switch self {
    case .raw: .raw
    case .logarithm: .logarithm
    case .root: .root
    }
  }

  /// The root for some values, of which none is below 0: shifted by a quarter of the smallest that is not 0.
  public static func root(of values: some Collection<Double>) -> ValueScale {
    .root(shift: (values.lazy.filter { $0 > 0 }.min() ?? 1) / 4)
  }

  /// What a value is seen as; nil for one that this scale has no place for.
  public func seen(_ value: Double) -> Double? {
    switch self {
    case .raw: value
    case .logarithm: value > 0 ? log(value) : nil
    case .root(let shift): value >= 0 ? (value + shift).squareRoot() : nil
    }
  }

  /// The value that is seen as `z`. What is below the root of the smallest value stands for that.
  public func value(_ z: Double) -> Double {
    switch self {
    case .raw: z
    case .logarithm: exp(min(z, 700))  // finite, and far beyond anything that is seen
    case .root(let shift): z > shift.squareRoot() ? max(0, z * z - shift) : 0
    }
  }

  /// Where values lie, as they are seen, that go beyond those observed by no more than two of their ranges and stay where the
  /// scale has a place: an exponential turns a tail that means nothing into numbers that rule every mean. `.raw` sets no bounds.
  public func range(of seen: [Double]) -> ClosedRange<Double>? {
    guard self != .raw, let least = seen.min(), let most = seen.max() else { return nil }
    let beyond = 2 * max(most - least, 1e-3 * max(abs(most), abs(least)))
    // Where rows are 0, what lies below is 0 too (`value`), so that zeros keep their probability.
    if case .root(let shift) = self, least > shift.squareRoot() { return shift.squareRoot()...most + beyond }
    return least - beyond...most + beyond
  }

  /// log |dz/dy| at a value that has a place.
  public func logSlope(_ value: Double) -> Double {
    switch self {
    case .raw: 0
    case .logarithm: -log(value)
    case .root(let shift): -0.5 * log(value + shift) - log(2)
    }
  }

  /// The deviation of an error of a value, as it is seen; to first order where the scale bends.
  public func seen(error: Double, of value: Double) -> Double {
    error > 0 ? error * exp(logSlope(value)) : 0
  }

  /// In words, for a person: nil where values are seen as they are.
  public var words: String? {
    switch self {
    case .raw: nil
    case .logarithm: "on a logarithmic scale"
    case .root: "on a square-root scale"
    }
  }
}

extension ValueScale: Codable {
  private enum Key: CodingKey { case name, shift }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    switch try fields.decode(String.self, forKey: .name) {
    case "raw": self = .raw
    case "log": self = .logarithm
    case "root":
      let shift = try fields.decode(Double.self, forKey: .shift)
      guard shift > 0, shift.isFinite else { throw DataError.badScale("shift \(shift) of a root") }
      self = .root(shift: shift)
    case let name: throw DataError.badScale("scale '\(name)' of the values")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    switch self {
    case .raw: try fields.encode("raw", forKey: .name)
    case .logarithm: try fields.encode("log", forKey: .name)
    case .root(let shift):
      try fields.encode("root", forKey: .name)
      try fields.encode(shift, forKey: .shift)
    }
  }
}
