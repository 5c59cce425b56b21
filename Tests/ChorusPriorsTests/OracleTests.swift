import ChorusPriors
import ChorusTensors
import Testing

@Suite("Oracles")
struct OracleTests {
  static func task(_ seed: UInt64 = 1, context: Int = 12, targets: Int = 6) throws -> PriorTask {
    try TaskGenerator(GPPrior.noisy, seed: seed).task(
      0, step: 0, shape: .init(context: context, targets: targets))
  }

  @Test("The joint density is the sum of conditionals, each from its own question")
  func chain() throws {
    let task = try Self.task()
    let oracle = try #require(task.oracle)
    let all = try oracle.density(of: task.targetRows, given: task.contextRows)
    var sum = 0.0
    for (position, target) in task.targetRows.enumerated() {
      let one = try oracle.density(of: [target], given: 0..<target)
      #expect(abs(one.joint - all.sequential[position]) < 1e-9)
      #expect(abs(one.joint - one.independent) < 1e-9)
      let alone = try oracle.density(of: [target], given: task.contextRows)
      #expect(abs(alone.joint - all.marginal[position]) < 1e-9)
      #expect(abs(alone.means[0] - all.means[position]) < 1e-9)
      #expect(abs(alone.variances[0] - all.variances[position]) < 1e-9)
      sum += one.joint
    }
    #expect(abs(sum - all.joint) < 1e-8)
    let reversed = try oracle.density(of: task.targetRows.reversed(), given: task.contextRows.reversed())
    #expect(abs(reversed.joint - all.joint) < 1e-8)
    #expect(abs(reversed.independent - all.independent) < 1e-8)
  }

  @Test("Other outputs are judged by the same law: those of its own means are likelier")
  func values() throws {
    let task = try Self.task()
    let oracle = try #require(task.oracle)
    let targets = Array(task.targetRows)
    let own = try oracle.density(of: targets, given: task.contextRows)
    let means = Array(task.y[task.contextRows]) + own.means
    let best = try oracle.density(of: targets, given: Array(task.contextRows), values: means)
    #expect(best.joint > own.joint && best.independent > own.independent)
    #expect(best.variances == own.variances)
  }

  @Test("Nobody with other hyperparameters has more on average")
  func wrong() throws {
    var gains = [[Double]](repeating: [], count: 3)
    for seed in 0..<300 as Range<UInt64> {
      let task = try Self.task(seed)
      let oracle = try #require(task.oracle as? GaussianOracle)
      let truth = try oracle.density(of: task.targetRows, given: task.contextRows)
      let term = oracle.kernel.terms[0]
      let others = [
        (Kernel.Term(.matern12, variance: term.variance, scales: term.scales), oracle.noise),
        (Kernel.Term(term.form, variance: term.variance, scales: term.scales.map { 2 * $0 }), oracle.noise),
        (term, oracle.noise.map { 3 * $0 }),
      ]
      for (index, (term, noise)) in others.enumerated() {
        let other = try GaussianOracle(kernel: Kernel([term]), noise: noise, x: task.x, y: task.y)
        gains[index].append(
          truth.joint - (try other.density(of: task.targetRows, given: task.contextRows).joint))
      }
    }
    for gain in gains.map(Average.init) { #expect(gain.mean > 3 * gain.error) }
  }

  @Test("The targets' squared residuals follow their stated variances, at every context length")
  func calibration() throws {
    for n in [0, 1, 8] {
      var squares = [Double]()
      for seed in 0..<2000 as Range<UInt64> {
        let task = try Self.task(seed, context: 8, targets: 1)
        let law = try #require(task.oracle).density(of: [8], given: 0..<n)
        let residual = task.y[8] - law.means[0]
        squares.append(residual * residual / law.variances[0])
      }
      let mean = Average(squares)
      #expect(abs(mean.mean - 1) < 4 * mean.error)
    }
  }

  @Test("Bad questions are refused")
  func refusals() throws {
    let task = try Self.task()
    let oracle = try #require(task.oracle)
    #expect(throws: OracleError.row(18, rows: 18)) { try oracle.density(of: [18], given: [0]) }
    #expect(throws: OracleError.row(-1, rows: 18)) { try oracle.density(of: [1], given: [-1]) }
    #expect(throws: OracleError.repeated(3)) { try oracle.density(of: [3], given: [2, 3]) }
    #expect(throws: OracleError.values(expected: 18, found: 1)) {
      try oracle.density(of: [3], given: [2], values: [1])
    }
    #expect(throws: OracleError.tooManyRows(asked: 1025, limit: 1024)) {
      try oracle.density(of: Array(repeating: 0, count: 1025), given: [], values: nil)
    }
  }
}
