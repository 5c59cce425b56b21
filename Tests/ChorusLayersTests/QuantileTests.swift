import ChorusTensors
import Foundation
import Testing

@testable import ChorusLayers

/// A law that is told by its quantiles.
@Suite struct QuantileTests {
  private static let law = QuantileLaw([0.4, -1, 0.1, 2, 0.35, 3.5])

  /// The integral of a function over the law's density, its ends included.
  private static func integral(_ law: QuantileLaw, _ f: (Double) -> Double) -> Double {
    let (low, high, parts) = (law.quantiles[0] - 60, (law.quantiles.last ?? 0) + 60, 1_000_000)
    let step = (high - low) / Double(parts)
    return (0..<parts).reduce(0.0) { sum, part in
      let y = low + (Double(part) + 0.5) * step
      return sum + step * exp(law.logDensity(y)) * f(y)
    }
  }

  @Test func densityMeanAndVarianceBelongTogether() {
    #expect(Self.law.quantiles == [-1, 0.1, 0.35, 0.4, 2, 3.5])
    #expect(abs(Self.integral(Self.law) { _ in 1 } - 1) < 1e-3)
    #expect(abs(Self.integral(Self.law) { $0 } - Self.law.mean) < 1e-3)
    let mean = Self.law.mean
    #expect(abs(Self.integral(Self.law) { ($0 - mean) * ($0 - mean) } / Self.law.variance - 1) < 1e-3)
  }

  @Test func quantilesAreTheInverse() {
    for (place, value) in Self.law.quantiles.enumerated() {
      #expect(abs(Self.law.cdf(value) - Double(place + 1) / 7) < 1e-12)
    }
    for level in stride(from: 0.01, to: 1, by: 0.01) {
      #expect(abs(Self.law.cdf(Self.law.quantile(level)) - level) < 1e-12)
    }
    #expect(Self.law.quantile(0) == -.infinity && Self.law.quantile(1) == .infinity)
    #expect(Self.law.quantile(.nan).isNaN)
    var stream = RandomStream(seed: 2)
    let draws = (0..<20_000).map { _ in Self.law.draw(from: &stream) }
    let below = draws.filter { if case .number(let y) = $0 { y <= 0.35 } else { false } }.count
    #expect(abs(Double(below) / 20_000 - 3.0 / 7) < 0.015)
  }

  @Test(arguments: [-4.0, -1, 0.2, 0.37, 1.9, 3.5, 6]) func scoreIsTheIntegral(_ y: Double) {
    let (low, high, parts) = (-60.0, 60.0, 600_000)
    let step = (high - low) / Double(parts)
    let expected = (0..<parts).reduce(0.0) { sum, part in
      let x = low + (Double(part) + 0.5) * step
      let rest = Self.law.cdf(x) - (x >= y ? 1 : 0)
      return sum + step * rest * rest
    }
    #expect(abs(Self.law.crps(y) - expected) < 1e-3)
  }

  @Test(arguments: [-4.0, 0.2, 0.37, 1.9, 6]) func slopesAreThoseOfTheDensity(_ y: Double) {
    let own = Self.law.slopes(y)
    #expect(own.count == 2)
    for place in 0..<6 {
      func density(_ step: Double) -> Double {
        var quantiles = Self.law.quantiles
        quantiles[place] += step
        return QuantileLaw(quantiles).logDensity(y)
      }
      let numeric = (density(1e-6) - density(-1e-6)) / 2e-6
      let told = own.filter { $0.place == place }.reduce(0) { $0 + $1.value }
      #expect(abs(told - numeric) < 1e-4 * max(1, abs(numeric)), "quantile \(place)")
    }
  }

  @Test func equalQuantilesHaveADensity() {
    let law = QuantileLaw([1, 1, 1])
    #expect(law.logDensity(1).isFinite && law.cdf(2) <= 1 && law.crps(1).isFinite && law.variance.isFinite)
    #expect(law.slopes(1).allSatisfy { $0.value == 0 })
    #expect(law.scaled(by: 2, offset: 1).quantiles == [3, 3, 3])
  }
}
