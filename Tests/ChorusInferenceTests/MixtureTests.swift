import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

@Suite struct MixtureTests {
  let mixture = GaussianMixture(
    logWeights: [log(0.2), log(0.5), log(0.3)], means: [-2, 0.5, 3], deviations: [0.1, 1, 0.4])

  @Test func readsTheHead() {
    let raw: [Float] = [0, Float(log(3.0)), -1, 2, 0, 100]
    let unit = Scaling.Unit(origin: 10, scale: 2)
    let read = GaussianMixture(raw, GaussianMixture.Head(components: 2, local: 2, floor: 0.25), unit: unit)
    #expect(abs(exp(read.logWeights[0]) - 0.25) < 1e-7)
    #expect(abs(exp(read.logWeights[1]) - 0.75) < 1e-7)
    #expect(read.means == [8, 14])
    #expect(abs(read.deviations[0] - 2 * (log(2) + 0.25)) < 1e-12)
    #expect(read.deviations[1] == 200.5)
    let half = GaussianMixture(raw, GaussianMixture.Head(components: 2, local: 1, floor: 0.25), unit: unit)
    #expect(half.means == [8, 2] && half.deviations == [read.deviations[0], 100.25])
    let loud: [Float] = [3e38, -3e38, 0, 0, -3e38, 3e38]
    let extreme = GaussianMixture(
      loud, GaussianMixture.Head(components: 2, local: 0, floor: 1e-3),
      unit: Scaling.Unit(origin: 0, scale: 1))
    #expect(extreme.logWeights[0] == 0 && extreme.deviations[0] == Double(Float(1e-3)))
    #expect(extreme.logDensity(0.1).isFinite)
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
      let uniform = stream.uniform()
      return mixture.draw(component: uniform, normal: stream.normal())
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
    // A uniform so close to 1 that no weight is left still has a component.
    #expect(mixture.draw(component: 1, normal: 0) == 3)
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

  @Test func quantilesOfDraws() throws {
    let plan = try everyPlan[0].resolve(context: 1, targets: 2)
    let samples = Posterior.Samples(paths: [[1, 10], [3, 30], [2, 20], [4, 40]], plan: plan, notes: [])
    #expect(samples.quantiles([0, 0.5, 1, 0.25]) == [[1, 2.5, 4, 1.75], [10, 25, 40, 17.5]])
    #expect(samples.quantiles([-1, 7])[0] == [1, 4])
    #expect(samples.quantiles([.nan])[0][0].isNaN)
    #expect(samples.means == [2.5, 25])
    let none = Posterior.Samples(paths: [], plan: plan, notes: [])
    #expect(none.quantiles([0.5]).isEmpty && none.means.isEmpty)
  }
}
