import ChorusTensors
import Foundation
import Testing

@testable import ChorusLayers

/// A law within bounds is one law: draws, density, distribution function, moments and score belong together.
@Suite struct BoundedTests {
  static let mixture = GaussianMixture(
    logWeights: [log(0.2), log(0.5), log(0.3)], means: [-2, 0.5, 3], deviations: [0.1, 1, 40])
  /// The middle; both tails cut; one side; a sliver of one tail.
  static let ranges: [ClosedRange<Double>] = [-20...20, -2...1, 0...35, 90...130]

  /// ∫ f over a range, by the trapezoidal rule.
  private func integral(_ range: ClosedRange<Double>, _ f: (Double) -> Double) -> Double {
    let (count, width) = (200_000, range.upperBound - range.lowerBound)
    var sum = 0.0
    for step in 0...count {
      let weight = step == 0 || step == count ? 0.5 : 1
      sum += weight * f(range.lowerBound + width * Double(step) / Double(count))
    }
    return sum * width / Double(count)
  }

  @Test(arguments: ranges) func densityAndMoments(range: ClosedRange<Double>) throws {
    let law = try #require(Self.mixture.within(range))
    #expect(law.bounds != nil)
    func moment(_ f: @escaping (Double) -> Double) -> Double {
      integral(range) { exp(law.logDensity($0)) * f($0) }
    }
    #expect(abs(moment { _ in 1 } - 1) < 1e-7)
    let mean = moment { $0 }
    #expect(abs(law.mean - mean) < 1e-6 * max(1, abs(mean)))
    let variance = moment { ($0 - mean) * ($0 - mean) }
    #expect(abs(law.variance - variance) < 1e-6 * variance)
    for share in [0.1, 0.35, 0.8] {
      let y = range.lowerBound + share * (range.upperBound - range.lowerBound)
      let below = integral(range.lowerBound...y) { exp(law.logDensity($0)) }
      #expect(abs(law.cdf(y) - below) < 1e-6)
      #expect(abs(law.quantile(law.cdf(y)) - y) < 1e-6 * max(1, abs(y)))
      let score = integral(range) { pow(law.cdf($0) - ($0 >= y ? 1 : 0), 2) }
      #expect(abs(law.crps(y) - score) < 2e-4 * max(1, score), "\(law.crps(y)) \(score)")
    }
    // What lies beyond has no density, and the bounds are the ends of the law.
    for (y, level) in [(range.lowerBound - 0.1, 0.0), (range.upperBound + 0.1, 1)] {
      #expect(law.logDensity(y) == -.infinity && law.cdf(y) == level)
      #expect(abs(law.crps(y) - law.crps(law.quantile(level)) - 0.1) < 1e-9)
    }
    #expect(law.quantile(0) == range.lowerBound && law.quantile(1) == range.upperBound)
    // And the same in other units.
    let scaled = law.scaled(by: 4, offset: -1)
    #expect(abs(scaled.mean - (4 * law.mean - 1)) < 1e-9 && abs(scaled.variance - 16 * law.variance) < 1e-9)
    #expect(
      abs(scaled.crps(4 * mean - 1) - 4 * law.crps(mean)) < 1e-9 && scaled.cdf(4 * mean - 1) == law.cdf(mean))
  }

  @Test(arguments: ranges) func drawsFollowTheLaw(range: ClosedRange<Double>) throws {
    let law = try #require(Self.mixture.within(range))
    var stream = RandomStream(seed: 3, 9)
    let count = range.lowerBound == 90 ? 1000 : 4000
    let draws = (0..<count).compactMap { _ in
      if case .number(let y) = law.draw(from: &stream) { y } else { nil }
    }.sorted()
    #expect(draws.allSatisfy { range.contains($0) })
    // Kolmogorov's distance; 1.95/√n is passed by chance once in a thousand.
    let gap = draws.enumerated().map { abs(law.cdf($0.element) - (Double($0.offset) + 0.5) / Double(count)) }
    #expect((gap.max() ?? 1) < 1.95 / Double(count).squareRoot())
  }

  @Test func wideBoundsChangeNothing() throws {
    let wide = try #require(Self.mixture.within(-400...500))
    #expect(wide == Self.mixture && wide.bounds == nil)
    // Bounds that take all but nothing: formulas of both kinds agree.
    let near = try #require(Self.mixture.within(-280...280))
    #expect(near.bounds != nil && abs(near.mean - Self.mixture.mean) < 1e-9)
    for y in [-3.0, 0.4, 17] { #expect(abs(near.crps(y) - Self.mixture.crps(y)) < 1e-7) }
    let half = try #require(Self.mixture.within(0 ... .infinity))
    #expect(half.mean > Self.mixture.mean && half.mean.isFinite && half.variance.isFinite && half.cdf(0) == 0)
  }

  @Test func aLawWithNextToNothingInsideKeepsItsTails() {
    #expect(GaussianMixture(mean: 0, deviation: 1).within(6...9) == nil)
    #expect(Categorical(logits: [0, 1]).within(0...1) == nil)
  }

  /// Drafts from one bounded law, kept or replaced by what lies beyond it, have the other's law.
  @Test func draftsAreVerified() throws {
    let p = try #require(Self.mixture.within(-20...20))
    let q = try #require(GaussianMixture(mean: 4, deviation: 15).within(-20...20))
    var (stream, draws) = (RandomStream(seed: 5, 2), [Double]())
    for _ in 0..<4000 {
      var value = q.draw(from: &stream)
      if log(stream.uniform()) >= p.logDensity(value) - q.logDensity(value) {
        value = p.residual(beyond: q, from: &stream)
      }
      if case .number(let y) = value { draws.append(y) }
    }
    draws.sort()
    let gap = draws.enumerated().map { abs(p.cdf($0.element) - (Double($0.offset) + 0.5) / 4000) }
    #expect((gap.max() ?? 1) < 1.95 / 4000.0.squareRoot())
  }
}
