import Foundation

/// A column of inputs far from 0 that are whole steps apart, as a clock's readings are: counted in steps from the first of them.
///
/// A number far from 0 is rounded, a date in days by a third of a microsecond, and so is what is left of it once a mean is taken
/// off. Counted in whole steps readings are exact, and the same in every clock that shows them.
public struct InputSteps: Sendable, Hashable, Codable {
  /// The least input.
  public let origin: Double
  /// The largest step of which all inputs are whole multiples after the first.
  public let step: Double
  /// Mean and standard deviation of the inputs, in steps.
  public let mean: Double
  public let deviation: Double
  /// How far from a whole number of steps a reading may be by its rounding.
  public let slack: Double

  /// Steps to the largest input, from which on rounding is worth taking out.
  private static let far = Double(1 << 24)
  /// Roundings that a step has to be larger than.
  private static let clear = 64.0

  /// nil where inputs are near to 0, beside their steps, or no whole steps apart.
  init?(_ values: [Double]) {
    guard let low = values.min(), let high = values.max(), low.isFinite, high.isFinite else { return nil }
    let most = max(abs(low), abs(high))
    // Halves, since the range of finite numbers may be infinite. Far from 0 differences are exact.
    guard high > low, high / 2 - low / 2 < most / 4 else { return nil }
    // Whole numbers are as they were read.
    let rounding = most < 0x1p53 && values.allSatisfy { $0 == $0.rounded() } ? 0 : most.ulp
    let apart = values.map { $0 - low }.filter { $0 > 0 }
    guard let step = Self.commonStep(apart, rounding), most / step >= Self.far else { return nil }
    let slack = 2 * rounding / step
    let counts = values.map { (($0 - low) / step).rounded() }
    let (mean, deviation) = Scaling.moments(counts)
    guard deviation > 0 else { return nil }
    (origin, self.step, self.slack, self.mean, self.deviation) = (low, step, slack, mean, deviation)
  }

  /// Parts of a unit that readings are written in: decimals, and hours, minutes and seconds of a day with theirs.
  private static let parts =
    [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 24, 1440] + [1, 10, 100, 1e3, 1e4, 1e5, 1e6].map { 86_400 * $0 }

  /// The largest step of which all lengths are whole multiples but for their roundings; nil where there is none that stands out of these.
  ///
  /// - Parameter lengths: greater than 0.
  private static func commonStep(_ lengths: [Double], _ rounding: Double) -> Double? {
    for part in parts where clear * rounding * part <= 1 {
      let slack = 2 * rounding * part
      guard
        lengths.allSatisfy({ length in
          let count = length * part
          return count < 0x1p53 && abs(count - count.rounded()) <= slack
        })
      else { continue }
      var common = 0
      for length in lengths {
        var (a, b) = (Int((length * part).rounded()), common)
        while b > 0 { (a, b) = (b, a % b) }
        common = a
      }
      return common > 0 ? Double(common) / part : nil
    }
    return nil
  }

  func scaled(_ input: Double) -> Double {
    let count = (input - origin) / step
    let whole = count.rounded()
    return ((abs(count - whole) <= slack ? whole : count) - mean) / deviation
  }

  func raw(_ scaled: Double) -> Double { origin + step * (mean + deviation * scaled) }

  /// What all inputs are, in their own unit.
  var centre: Double { origin + step * mean }
  var scale: Double { step * deviation }

  private enum CodingKeys: CodingKey { case origin, step, mean, deviation, slack }

  /// Reads steps and refuses what no column has.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    origin = try values.decode(Double.self, forKey: .origin)
    step = try values.decode(Double.self, forKey: .step)
    mean = try values.decode(Double.self, forKey: .mean)
    deviation = try values.decode(Double.self, forKey: .deviation)
    slack = try values.decode(Double.self, forKey: .slack)
    guard step > 0, step.isFinite, deviation > 0, deviation.isFinite, mean.isFinite, origin.isFinite,
      (0..<0.5).contains(slack)
    else { throw DataError.badScale("steps of \(step) from \(origin)") }
  }
}
