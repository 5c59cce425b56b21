import ChorusData
import ChorusLayers
import ChorusTensors
import Foundation

/// The law of a value whose scale bends: of T⁻¹(Z), where Z has a law and z = T(y) is what y is seen as (`ValueScale`).
///
/// Density, distribution function and quantiles are exact by change of variables. Mean, variance and score are those of
/// equally likely quantiles: the exact mean of an exponential of a heavy tail need not exist.
struct SeenLaw: ContinuousLaw {
  let seen: any ContinuousLaw
  let values: ValueScale
  /// An affine change after it: offset + scale · T⁻¹(Z).
  private var (scale, offset) = (1.0, 0.0)
  /// Equally likely values, in order.
  private let points: [Double]

  private static let count = 512

  init(_ seen: any ContinuousLaw, on values: ValueScale) {
    (self.seen, self.values) = (seen, values)
    points = (0..<Self.count).map {
      values.value(seen.quantile((Double($0) + 0.5) / Double(Self.count)))
    }
  }

  /// z of a value; below and above everything for one that has none.
  private func seen(_ y: Double) -> Double { values.seen((y - offset) / scale) ?? -.infinity }

  var mean: Double { offset + scale * points.reduce(0, +) / Double(points.count) }
  var variance: Double {
    let centre = points.reduce(0, +) / Double(points.count)
    return scale * scale * points.reduce(0) { $0 + ($1 - centre) * ($1 - centre) } / Double(points.count)
  }

  func draw(from stream: inout RandomStream) -> Value {
    guard case .number(let z) = seen.draw(from: &stream) else { return .number(.nan) }
    return .number(offset + scale * values.value(z))
  }

  func cdf(_ y: Double) -> Double {
    let z = seen(y)
    return z == -.infinity ? 0 : seen.cdf(z)
  }

  func quantile(_ level: Double) -> Double { offset + scale * values.value(seen.quantile(level)) }

  func logDensity(_ y: Double) -> Double {
    let z = seen(y)
    guard z > -.infinity else { return -.infinity }
    return seen.logDensity(z) + values.logSlope((y - offset) / scale) - log(scale)
  }

  func logMass(in range: ClosedRange<Double>) -> Double {
    let low = seen(range.lowerBound)
    return seen.logMass(
      in: low...max(low, range.upperBound == .infinity ? .infinity : seen(range.upperBound)))
  }

  /// By equally likely values: mean |X − y| − ½ mean |X − X'| (Gneiting and Raftery 2007, eq. 21).
  func crps(_ y: Double) -> Double {
    let own = (y - offset) / scale
    let count = Double(points.count)
    var (far, spread) = (0.0, 0.0)
    for (place, point) in points.enumerated() {
      far += abs(point - own)
      // Of sorted points the sum over all pairs is Σ (2i − n + 1) xᵢ.
      spread += (2 * Double(place) - count + 1) * point
    }
    return scale * (far / count - spread / (count * count))
  }

  func scaled(by scale: Double, offset: Double) -> SeenLaw {
    var law = self
    law.scale = scale * self.scale
    law.offset = offset + scale * self.offset
    return law
  }
}
