import ChorusTensors
import Foundation

/// A value that was drawn or observed: a number, or one of the levels of a category.
public enum Value: Sendable, Hashable {
  case number(Double)
  case level(Int)

  /// As a network holds it: a number rounded to 32 bits, or the number of a level.
  public var stored: Float {
    switch self {
    case .number(let y): Float(y)
    case .level(let level): Float(level)
    }
  }
}

/// The predictive law of one value: what inference and evaluation know of a head.
///
/// ```swift
/// var stream = RandomStream(seed: 1)
/// let y = law.draw(from: &stream)       // .number(…) or .level(…)
/// let score = law.logDensity(y)         // nats
/// ```
public protocol Predictive: Sendable {
  func draw(from stream: inout RandomStream) -> Value
  /// log p(value), in nats; −∞ for a value that the law cannot have.
  func logDensity(_ value: Value) -> Double
  /// log P(value within `range`), in nats; −∞ for a law that is not of numbers.
  func logMass(in range: ClosedRange<Double>) -> Double
  /// What a number that a network holds stands for under such a law.
  static func value(_ stored: Float) -> Value
  /// The expected value; of a category that of its level's number.
  var mean: Double { get }
  /// The law without what lies outside of `range`, renormalised; nil where next to nothing of it lies inside, and for a
  /// law that is not of numbers.
  func within(_ range: ClosedRange<Double>) -> Self?
  /// The Kullback-Leibler divergence of this law, p, from another, ∫ p·log(p/q), in nats.
  func divergence(from other: Self) -> Double
  /// A draw from (p − q)₊ / ∫(p − q)₊, where this law is p: what a refused draft from q is replaced by, so that the result
  /// has the law p whatever q was (Leviathan et al. 2023, Alg. 1).
  func residual(beyond draft: Self, from stream: inout RandomStream) -> Value
}

extension Predictive {
  public func within(_ range: ClosedRange<Double>) -> Self? { nil }
  public func logMass(in range: ClosedRange<Double>) -> Double { -.infinity }

  /// Proposals from p are kept with probability 1 − q/p. Both densities are in closed form, so no network is asked.
  public func residual(beyond draft: Self, from stream: inout RandomStream) -> Value {
    var value = draw(from: &stream)
    // A refusal with probability r needs 1/r proposals on average, so stopping at n moves the law by at most
    // max r·(1-r)^n < 1/(e·n) = 4e-7 in total variation.
    for _ in 1..<1_000_000 {
      if stream.uniform() >= exp(draft.logDensity(value) - logDensity(value)) { break }
      value = draw(from: &stream)
    }
    return value
  }
}

/// The law of a number: it also has a distribution function.
public protocol ContinuousLaw: Predictive {
  var variance: Double { get }
  /// P(Y ≤ y).
  func cdf(_ y: Double) -> Double
  /// The value y with P(Y ≤ y) = `level`; NaN for NaN.
  func quantile(_ level: Double) -> Double
  /// The continuous ranked probability score of an outcome, in units of the value: smaller is better.
  func crps(_ y: Double) -> Double
  /// log p(y), in nats.
  func logDensity(_ y: Double) -> Double
  /// The law of offset + scale·Y, scale > 0.
  func scaled(by scale: Double, offset: Double) -> Self
}

extension ContinuousLaw {
  public func logDensity(_ value: Value) -> Double {
    switch value {
    case .number(let y): logDensity(y)
    case .level: -.infinity
    }
  }
  /// The mean of log(p/q) over 32 quantiles of p: what two laws differ by where values come to lie, without their tails.
  public func divergence(from other: Self) -> Double {
    let count = 32
    let sum = (0..<count).reduce(0.0) { sum, index in
      let y = quantile((Double(index) + 0.5) / Double(count))
      return sum + logDensity(y) - other.logDensity(y)
    }
    return max(sum / Double(count), 0)
  }
  public func logMass(in range: ClosedRange<Double>) -> Double {
    log(max(cdf(range.upperBound) - cdf(range.lowerBound), 0))
  }
  public static func value(_ stored: Float) -> Value { .number(Double(stored)) }
}

/// What a head says of one row, read where the network has left it and valid while it is handed over.
public protocol Answer {
  associatedtype Law: Predictive
  /// A draw from the law, bit for bit as `law` draws it, and the law's mean, without making the law.
  func drawn(from stream: inout RandomStream) -> (value: Value, mean: Double)
  /// The law, to be kept.
  var law: Law { get }
  /// The same of the law without what lies outside of `range`, where the law has something inside.
  func bounded(to range: ClosedRange<Double>) -> Self
}

extension Answer {
  public func bounded(to range: ClosedRange<Double>) -> Self { self }
  public func drawn(from stream: inout RandomStream) -> (value: Value, mean: Double) {
    let law = law
    return (law.draw(from: &stream), law.mean)
  }
}
