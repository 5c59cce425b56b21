import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("Skewed functions and noise that changes")
struct SkewTests {
  private static let x = [-1.2, -0.4, 0.1, 0.9, 1.3]
  private static let z = [0.4, -0.9, 0.3, 1.1, 0.2]

  private static func latent(noise: [Double] = Array(repeating: 0.1, count: 5)) throws -> GaussianOracle {
    try GaussianOracle(
      kernel: Kernel([.init(.matern32, variance: 1.2, scales: [0.7])]), noise: noise, x: x, y: z)
  }

  @Test(
    "What is bent is straightened again, and a small rate changes nothing",
    arguments: [-0.8, -1e-9, 0.3, 1.0])
  func there(rate: Double) throws {
    let skew = Skew(rate: rate)
    for z in [-2.5, -0.1, 0, 0.7, 2] {
      let y = skew.bent(z)
      #expect(abs(try #require(skew.straight(y)) - z) < 1e-12)
      #expect((y - z) * rate >= 0, "convex upwards")
      if abs(rate) < 1e-6 { #expect(abs(y - z) < 1e-7) }
    }
    #expect(skew.straight(-2 / rate) == nil)
  }

  /// Simpson's rule over a fine grid, against nothing but the density itself.
  @Test("A marginal integrates to one and has the stated mean and variance", arguments: [-0.6, 0.4])
  func moments(rate: Double) throws {
    let oracle = try SkewedOracle(latent: Self.latent(), skew: Skew(rate: rate))
    var sums = [0.0, 0.0, 0.0]
    let (low, high, steps) = (-7.0, 7.0, 4000)
    var stated = (mean: 0.0, variance: 0.0)
    // Steps even in z: dy = exp(a z) dz.
    for step in 0...steps {
      let z = low + (high - low) * Double(step) / Double(steps)
      let y = oracle.skew.bent(z)
      var values = oracle.y
      values[3] = y
      let law = try oracle.density(of: [3], given: [0, 1, 2], values: values)
      stated = (law.means[0], law.variances[0])
      let weight = (step == 0 || step == steps ? 1 : step % 2 == 1 ? 4 : 2) * (high - low) / Double(3 * steps)
      let mass = weight * exp(law.marginal[0] + rate * z)
      for power in 0...2 { sums[power] += mass * pow(y, Double(power)) }
    }
    #expect(abs(sums[0] - 1) < 1e-9)
    #expect(abs(sums[1] - stated.mean) < 1e-8)
    #expect(abs(sums[2] - sums[1] * sums[1] - stated.variance) < 1e-7)
  }

  @Test("The joint density is that of the chain, and a value out of reach has none")
  func joint() throws {
    let oracle = try SkewedOracle(latent: Self.latent(), skew: Skew(rate: 0.5))
    let law = try oracle.density(of: [3, 4], given: [0, 1, 2])
    let first = try oracle.density(of: [3], given: [0, 1, 2]).joint
    let second = try oracle.density(of: [4], given: [0, 1, 2, 3]).joint
    #expect(abs(law.joint - first - second) < 1e-12 && law.error == 0)
    var values = oracle.y
    values[4] = -2.5
    #expect(try oracle.density(of: [3, 4], given: [0, 1, 2], values: values).sequential[1] == -.infinity)
    #expect(throws: OracleError.impossible(4)) { try oracle.density(of: [3], given: [4], values: values) }
    #expect(throws: OracleError.values(expected: 5, found: 4)) {
      try oracle.density(of: [3], given: [0], values: [1, 2, 3, 4])
    }
  }

  @Test("Noise of one row's own counts in that row alone")
  func noise() throws {
    let loud = try Self.latent(noise: [0.1, 0.1, 0.1, 2, 0.1])
    let even = try Self.latent()
    let (a, b) = try (loud.density(of: [3], given: [0, 1]), even.density(of: [3], given: [0, 1]))
    #expect(a.means == b.means && abs(a.variances[0] - b.variances[0] - 1.9) < 1e-12)
    // Given row 3 alone, row 4 is the two-row regression.
    let k = loud.kernel([0.9], [1.3])
    let law = try loud.density(of: [4], given: [3])
    #expect(abs(law.means[0] - k / 3.2 * Self.z[3]) < 1e-12)
    #expect(abs(law.variances[0] - (1.3 - k * k / 3.2)) < 1e-12)
    #expect(throws: OracleError.values(expected: 5, found: 4)) { try Self.latent(noise: [1, 1, 1, 1]) }
  }

  @Test("The functions prior draws both, as often as it says")
  func drawn() throws {
    let generator = TaskGenerator(FunctionsPrior(), seed: 4)
    var (tasks, skewed, varying) = (0.0, 0.0, 0.0)
    for index in 0..<2000 {
      let task = try generator.task(index, step: 0, shape: .init(context: 6, targets: 4))
      guard let oracle = task.oracle, !(oracle is SawtoothOracle) else { continue }
      let latent = (oracle as? SkewedOracle)?.latent ?? oracle as? GaussianOracle
      let noise = try #require(latent).noise
      tasks += 1
      if oracle is SkewedOracle { skewed += 1 }
      if noise.contains(where: { $0 != noise[0] }) { varying += 1 }
      #expect(noise.allSatisfy { $0 > 0 && $0 < 0.3 * 1.5 * 12.01 })
    }
    #expect(abs(skewed / tasks - 0.65 * 0.25) < 0.035)
    #expect(abs(varying / tasks - 0.15) < 0.035)
  }
}
