import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("What can be had without the hyperparameters")
struct AttainableOracleTests {
  static func task(_ seed: UInt64, context: Int, targets: Int, prior: GPPrior = .noisy) throws -> PriorTask {
    try TaskGenerator(prior, seed: seed).task(0, step: 0, shape: .init(context: context, targets: targets))
  }

  @Test("The joint density is the sum of conditionals, each from its own question")
  func chain() throws {
    let task = try Self.task(1, context: 9, targets: 4)
    let oracle = try #require(task.attainable)
    let all = try oracle.density(of: task.targetRows, given: task.contextRows)
    for (position, target) in task.targetRows.enumerated() {
      let one = try oracle.density(of: [target], given: 0..<target)
      #expect(abs(one.joint - all.sequential[position]) < 1e-9)
      let alone = try oracle.density(of: [target], given: task.contextRows)
      #expect(abs(alone.joint - all.marginal[position]) < 1e-9)
      #expect(abs(alone.means[0] - all.means[position]) < 1e-9)
      #expect(abs(alone.variances[0] - all.variances[position]) < 1e-9)
    }
  }

  @Test("Its density integrates to one, and has the mean and the variance it tells")
  func density() throws {
    let task = try Self.task(2, context: 5, targets: 1)
    let oracle = AttainableOracle(
      prior: .noisy, x: task.x, y: task.y, dimensions: 1, lengths: 6, variances: 3)
    let law = try oracle.density(of: task.targetRows, given: task.contextRows)
    let deviation = law.variances[0].squareRoot()
    let found = try Integral(of: oracle, task, law, step: deviation / 20, reach: 12 * deviation)
    #expect(abs(found.mass - 1) < 1e-3 && abs(found.mean - law.means[0]) < 1e-3 * deviation)
    #expect(abs(found.variance - law.variances[0]) < 0.01 * law.variances[0])
  }

  @Test("A finer rule says the same", arguments: [GPPrior.gp, .noisy])
  func rule(prior: GPPrior) throws {
    for (n, seed) in [(8, 3), (32, 4), (96, 5)] as [(Int, UInt64)] {
      let task = try Self.task(seed, context: n, targets: 8, prior: prior)
      let finer = AttainableOracle(
        prior: prior, x: task.x, y: task.y, dimensions: 1, lengths: 96, variances: 12)
      let (a, b) = try (
        #require(task.attainable).density(of: task.targetRows, given: task.contextRows),
        finer.density(of: task.targetRows, given: task.contextRows)
      )
      #expect(abs(a.joint - b.joint) / 8 < 0.01, "\(n) rows: \(a.joint) and \(b.joint)")
    }
  }

  @Test("On average it has less than who knows the hyperparameters, and more than who takes typical ones")
  func between() throws {
    var (lost, won) = ([Double](), [Double]())
    let typical = Kernel.Term(.matern52, variance: 1, scales: [0.5])
    for seed in 0..<150 as Range<UInt64> {
      let task = try Self.task(seed, context: 12, targets: 6)
      let attainable = AttainableOracle(
        prior: .noisy, x: task.x, y: task.y, dimensions: 1, lengths: 16, variances: 3)
      let own = try attainable.density(of: task.targetRows, given: task.contextRows).joint
      let told = try #require(task.oracle).density(of: task.targetRows, given: task.contextRows).joint
      let fixed = try GaussianOracle(kernel: Kernel([typical]), noise: 1e-2, x: task.x, y: task.y)
        .density(of: task.targetRows, given: task.contextRows).joint
      lost.append(told - own)
      won.append(own - fixed)
    }
    let (less, more) = (Average(lost), Average(won))
    #expect(less.mean > 3 * less.error && more.mean > 3 * more.error)
  }
}
