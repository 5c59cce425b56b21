import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// A conditioner whose values are whole numbers: what is drawn is rounded before anything reads it, and a density is the mass of the
/// interval that rounds to the value.
///
/// The law of what is drawn is then discrete, so that plans that verify drafts stay exact: they ask laws and nothing else.
struct WholeConditioner<Base: Conditioner>: Conditioner {
  let base: Base
  /// Of each target, how its values are whole.
  let units: [Preparation.OutputUnit]

  var capability: Plan.Capability { base.capability }
  var observed: Base.Context { base.observed }
  func encode(with rows: [(target: Int, value: Float)]) -> Base.Context { base.encode(with: rows) }
  func branch(paths: Int, capacity: Int) -> Base.Paths { base.branch(paths: paths, capacity: capacity) }
  func rewind(_ paths: Base.Paths, path: Int, to count: Int) { base.rewind(paths, path: path, to: count) }

  func advance(
    _ paths: Base.Paths, _ context: Base.Context, _ rows: RowBatch,
    _ body: (WholeLaw<Base.Answer.Law>) -> Void
  ) {
    var row = -1
    base.advance(paths, context, rows) { answer in
      repeat { row += 1 } while rows.slots[row] >= 0
      body(WholeLaw(base: answer.law, unit: units[Int(rows.inputs[row])]))
    }
  }
}

/// The law of the whole number next to a value, in the network's units.
struct WholeLaw<Base: Predictive>: Predictive, Answer {
  let base: Base
  let unit: Preparation.OutputUnit

  var law: Self { self }
  var mean: Double { base.mean }
  static func value(_ stored: Float) -> Value { Base.value(stored) }

  func draw(from stream: inout RandomStream) -> Value {
    guard case .number(let z) = base.draw(from: &stream) else { return .number(.nan) }
    // As the network holds it, so that a density finds the same number.
    return .number(Double(Float(unit.whole(z).value)))
  }

  func logDensity(_ value: Value) -> Double {
    guard case .number(let z) = value else { return -.infinity }
    return base.logMass(in: unit.whole(z).range)
  }

  /// That of the values before they are made whole, which is not less.
  func divergence(from other: Self) -> Double { base.divergence(from: other.base) }
}

/// The law of the whole number next to Y, in the data's units: P(k) = P(k − ½ < Y ≤ k + ½).
struct WholeNumbers: ContinuousLaw {
  let base: any ContinuousLaw
  /// The least and the largest that there is.
  let range: ClosedRange<Double>
  /// An affine change after it.
  private var (scale, offset) = (1.0, 0.0)

  /// A score is summed number by number over no more than this; wider laws have that of the base, which then is the same to 1e-6.
  private static let most = 2048.0

  init(_ base: any ContinuousLaw, within range: ClosedRange<Double>) {
    (self.base, self.range) = (base, range)
  }

  private func clamped(_ k: Double) -> Double { min(max(k, range.lowerBound), range.upperBound) }
  /// P(K ≤ k) of a whole number.
  private func below(_ k: Double) -> Double {
    k < range.lowerBound ? 0 : k >= range.upperBound ? 1 : base.cdf(k + 0.5)
  }

  var mean: Double { offset + scale * base.mean }
  var variance: Double { scale * scale * (base.variance + 1.0 / 12) }
  func cdf(_ y: Double) -> Double { below(((y - offset) / scale).rounded(.down)) }

  func quantile(_ level: Double) -> Double {
    offset + scale * clamped(base.quantile(level).rounded())
  }

  func draw(from stream: inout RandomStream) -> Value {
    guard case .number(let y) = base.draw(from: &stream) else { return .number(.nan) }
    return .number(offset + scale * clamped(y.rounded()))
  }

  /// The logarithm of the probability of a whole number; −∞ for any other.
  func logDensity(_ y: Double) -> Double {
    let k = (y - offset) / scale
    guard k == k.rounded(), range.contains(k) else { return -.infinity }
    let low = k == range.lowerBound ? -Double.infinity : k - 0.5
    return base.logMass(in: low...(k == range.upperBound ? .infinity : k + 0.5))
  }

  /// Σ (F(k) − 1{y ≤ k})².
  func crps(_ y: Double) -> Double {
    let k = (y - offset) / scale
    let (low, high) = (
      min(base.quantile(1e-9), k).rounded(.down), max(base.quantile(1 - 1e-9), k).rounded(.up)
    )
    guard high - low <= Self.most else { return scale * base.crps(k) }
    var (sum, at) = (0.0, low)
    while at <= high {
      let part = below(at) - (at >= k ? 1 : 0)
      sum += part * part
      at += 1
    }
    return scale * sum
  }

  func scaled(by scale: Double, offset: Double) -> WholeNumbers {
    var law = self
    law.scale = scale * self.scale
    law.offset = offset + scale * self.offset
    return law
  }
}
