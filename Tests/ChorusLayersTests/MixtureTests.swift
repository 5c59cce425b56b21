import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLayers

@Suite struct MixtureTests {
  let mixture = GaussianMixture(
    logWeights: [log(0.2), log(0.5), log(0.3)], means: [-2, 0.5, 3], deviations: [0.1, 1, 0.4])

  @Test func readsTheHead() throws {
    let raw: [Float] = [0, Float(log(3.0)), -1, 2, 0, 100]
    let unit = [10.0, 2]
    func head(around: Int, floor: Float = 0.25) -> MixtureHead {
      var scope = ParameterScope()
      return MixtureHead(4, hidden: 4, components: 2, around: around, floor: floor, &scope)
    }
    let read = head(around: 2).answer(raw, units: unit).law
    #expect(abs(exp(read.logWeights[0]) - 0.25) < 1e-7)
    #expect(abs(exp(read.logWeights[1]) - 0.75) < 1e-7)
    #expect(read.means == [8, 14])
    #expect(abs(read.deviations[0] - 2 * (log(2) + 0.25)) < 1e-12)
    #expect(read.deviations[1] == 200.5)
    let half = head(around: 1).answer(raw, units: unit).law
    #expect(half.means == [8, 2] && half.deviations == [read.deviations[0], 100.25])
    let loud: [Float] = [3e38, -3e38, 0, 0, -3e38, 3e38]
    let extreme = head(around: 0, floor: 1e-3).answer(loud, units: nil).law
    #expect(extreme.logWeights[0] == 0 && extreme.deviations[0] == Double(Float(1e-3)))
    #expect(extreme.logDensity(0.1).isFinite)
    // The raw numbers are drawn from as the law they make.
    for range in [-1e9...1e9, -20...60, 0...3] {
      let answer = head(around: 1).answer(raw, units: unit).bounded(to: range)
      let law = try #require(half.within(range))
      #expect(answer.law == law && (law.bounds == nil) == (range.upperBound == 1e9))
      for seed in 0..<40 {
        var (one, other) = (RandomStream(seed: UInt64(seed)), RandomStream(seed: UInt64(seed)))
        let drawn = answer.drawn(from: &one)
        #expect(drawn.value == law.draw(from: &other) && one == other)
        #expect(abs(drawn.mean - law.mean) < 1e-12 * max(1, abs(law.mean)))
      }
    }
  }

  /// A draw that leaves out what a bound does not touch has the bytes of one from the whole law.
  @Test func boundedDrawsAreThoseOfTheLaw() {
    var scope = ParameterScope()
    let head = MixtureHead(4, hidden: 4, components: 7, around: 3, floor: 1e-3, &scope)
    var stream = RandomStream(seed: 11)
    var kinds = Set<String>()
    for trial in 0..<3000 {
      let raw = (0..<21).map { place in
        Float(stream.normal() * (place < 7 ? 2 : place < 14 ? 3 : 4) - (place < 14 ? 0 : 2))
      }
      let unit = [stream.normal(), exp(2 * stream.normal())]
      let low = 6 * stream.normal()
      let range = low...low + exp(3 * stream.uniform() + 1)
      let answer = head.answer(raw, units: unit).bounded(to: range)
      let law = answer.law
      var (one, other) = (RandomStream(seed: UInt64(trial)), RandomStream(seed: UInt64(trial)))
      let drawn = answer.drawn(from: &one)
      #expect(drawn.value == law.draw(from: &other) && one == other)
      if law.bounds != nil { #expect(drawn.mean.bitPattern == law.mean.bitPattern) }
      let inside = head.answer(raw, units: unit).bounded(to: -1e6...1e6).law
      kinds.insert(law.bounds != nil ? "cut" : inside.within(range) == nil ? "outside" : "whole")
    }
    #expect(kinds == ["cut", "outside", "whole"])
  }

  @Test func densityIntegratesToTheDistribution() {
    var integral = 0.0
    let step = 1e-4
    var y = -6.0
    while y < 7 {
      integral += step * exp(mixture.logDensity(y + step / 2))
      y += step
      if Int((y * 1e4).rounded()) % 5000 == 0 { #expect(abs(integral - mixture.cdf(y)) < 1e-6) }
    }
    #expect(abs(integral - 1) < 1e-6)
    #expect(mixture.cdf(-.infinity) == 0 && mixture.cdf(.infinity) == 1)
  }

  /// Of Gaussian laws (m²+s²−1)/2 − log s by the closed form; of categories the sum; of a law from itself nothing.
  @Test func divergenceOfLaws() {
    func normal(_ mean: Double, _ deviation: Double) -> GaussianMixture {
      GaussianMixture(mean: mean, deviation: deviation)
    }
    let one = normal(0, 1)
    #expect(mixture.divergence(from: mixture) == 0)
    #expect(abs(one.divergence(from: normal(0.3, 1)) - 0.045) < 1e-9)
    // Quantiles leave out the tails: a little less than the integral.
    for deviation in [0.7, 1.5] {
      let exact = log(deviation) + 0.5 / (deviation * deviation) - 0.5
      #expect(abs(one.divergence(from: normal(0, deviation)) - exact) < 0.15 * exact)
    }
    let (p, q) = (Categorical(logits: [0, 1, 2]), Categorical(logits: [1, 1, 0]))
    let sum = (0..<3).reduce(0) {
      $0 + p.probabilities[$1] * log(p.probabilities[$1] / q.probabilities[$1])
    }
    #expect(abs(p.divergence(from: q) - sum) < 1e-12 && p.divergence(from: p) == 0)
  }

  @Test func quantilesInvertTheDistribution() {
    for level in [1e-12, 1e-3, 0.05, 0.2, 0.5, 0.7, 0.95, 0.999_999] {
      let value = mixture.quantile(level)
      #expect(abs(mixture.cdf(value) - level) < 1e-9 + 1e-6 * level)
    }
    #expect(mixture.quantile(0) == -.infinity && mixture.quantile(1) == .infinity)
    #expect(mixture.quantile(-1) == -.infinity && mixture.quantile(2) == .infinity)
    #expect(mixture.quantile(.nan).isNaN)
    #expect(mixture.quantile(0.3) < mixture.quantile(0.300001))
  }

  @Test func momentsAreThoseOfTheDraws() {
    var stream = RandomStream(seed: 4, 1)
    let draws = (0..<40_000).map { _ in
      guard case .number(let y) = mixture.draw(from: &stream) else { return Double.nan }
      return y
    }
    let mean = draws.reduce(0, +) / 40_000
    let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 40_000
    #expect(abs(mixture.mean - 0.75) < 1e-12)
    #expect(abs(mixture.variance - (0.2 * 4.01 + 0.5 * 1.25 + 0.3 * 9.16 - 0.5625)) < 1e-12)
    #expect(abs(mean - mixture.mean) < 0.04)
    #expect(abs(variance - mixture.variance) < 0.08)
    for y in [-1.9, 0.5, 2.5] {
      let below = Double(draws.count { $0 <= y }) / 40_000
      #expect(abs(below - mixture.cdf(y)) < 0.012)
    }
  }

  @Test func changeOfUnits() {
    let scaled = mixture.scaled(by: 4, offset: -1)
    #expect(abs(scaled.logDensity(4 * 0.3 - 1) - (mixture.logDensity(0.3) - log(4))) < 1e-12)
    #expect(abs(scaled.mean - (4 * mixture.mean - 1)) < 1e-12)
    #expect(abs(scaled.quantile(0.3) - (4 * mixture.quantile(0.3) - 1)) < 1e-9)
  }

  @Test func farValues() {
    #expect(mixture.logDensity(1e150) < -1e290)
    #expect(mixture.logDensity(1e300) == -.infinity)
    #expect(mixture.logDensity(-.infinity) == -.infinity)
  }

  /// Numbers by integrating (F(t) − 1{t ≥ y})² in float64 with scipy.
  @Test func rankedProbability() {
    let mixture = GaussianMixture(
      logWeights: [0.2, 0.5, 0.3].map { log($0) }, means: [-1, 0.4, 2], deviations: [0.3, 1.1, 0.05])
    for (y, score) in [
      (-1.7, 1.5649681472119281), (0.25, 0.4706049201194686), (2.01, 0.7069067468766995),
      (9, 7.652694226479686),
    ] {
      #expect(abs(mixture.crps(y) - score) < 1e-12 * max(1, score), "\(y)")
    }
  }
}
