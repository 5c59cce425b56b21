import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("The exact law of a sawtooth")
struct SawtoothOracleTests {
  static func task(
    _ seed: UInt64, context: Int, targets: Int, _ prior: any Prior = SawtoothPrior()
  ) throws -> PriorTask {
    try TaskGenerator(prior, seed: seed).task(0, step: 0, shape: .init(context: context, targets: targets))
  }

  static let families = FunctionsPrior.parts.last { $0.family == "sawtooth" }

  /// Frequency and phase on a grid, as the prior draws them; nothing left out.
  static func reference(
    _ waves: SawtoothOracle.Waves, _ x: [Double], _ y: [Double], given: Int
  ) -> (joint: Double, marginal: [Double]) {
    let steps = 700
    let (low, high) = (waves.frequencies.lowerBound, waves.frequencies.upperBound)
    var evidence = [Double](repeating: 0, count: 2 + y.count - given)
    for deviation in waves.deviations {
      for sign in [-1.0, 1] {
        for row in 0..<steps {
          let part = (Double(row) + 0.5) / Double(steps)
          let frequency = waves.logUniform ? low * pow(high / low, part) : low + part * (high - low)
          for column in 0..<steps {
            let phase = (Double(column) + 0.5) / Double(steps)
            func likelihood(_ row: Int) -> Double {
              let turns = frequency * (sign * x[row] - phase)
              let mean = waves.height * (turns - turns.rounded(.down) - waves.offset)
              let z = (y[row] - mean) / deviation
              return exp(-0.5 * z * z) / deviation / (2 * .pi).squareRoot()
            }
            let before = (0..<given).reduce(1.0) { $0 * likelihood($1) }
            if before == 0 { continue }
            evidence[0] += before
            var all = before
            for target in given..<y.count {
              let own = likelihood(target)
              all *= own
              evidence[2 + target - given] += before * own
            }
            evidence[1] += all
          }
        }
      }
    }
    return (log(evidence[1] / evidence[0]), evidence.dropFirst(2).map { log($0 / evidence[0]) })
  }

  @Test("It agrees with a grid over frequency and phase")
  func grid() throws {
    for (n, seed) in [(0, 1), (2, 2), (5, 3), (9, 4)] as [(Int, UInt64)] {
      let task = try Self.task(seed, context: n, targets: 3)
      for oracle in [task.oracle, task.attainable] {
        let oracle = try #require(oracle as? SawtoothOracle)
        let law = try oracle.density(of: task.targetRows, given: task.contextRows)
        let other = Self.reference(oracle.waves, task.x, task.y, given: n)
        #expect(abs(law.joint - other.joint) < 0.03, "\(n) rows: \(law.joint) and \(other.joint)")
        for (a, b) in zip(law.marginal, other.marginal) {
          #expect(abs(a - b) < 0.03, "\(n) rows: \(a), \(b)")
        }
      }
    }
    // Frequencies below one turn, log-uniform, of another height.
    let waves = SawtoothOracle.Waves(
      frequencies: 0.25...4, logUniform: true, height: 3, offset: 0.5, deviations: [0.3])
    let x = [-1.5, -0.4, 0.3, 1.1, 0.8, -0.9]
    let y = [0.4, -0.6, 1.2, 0.1, 0.9, -1.0]
    let law = try SawtoothOracle(waves, x: x, y: y).density(of: 3..<6, given: 0..<3)
    let other = Self.reference(waves, x, y, given: 3)
    #expect(abs(law.joint - other.joint) < 0.03)
    for (a, b) in zip(law.marginal, other.marginal) { #expect(abs(a - b) < 0.03) }
  }

  @Test("The joint density is the sum of conditionals, each from its own question")
  func chain() throws {
    let task = try Self.task(5, context: 9, targets: 4)
    let oracle = try #require(task.oracle)
    let all = try oracle.density(of: task.targetRows, given: task.contextRows)
    for (position, target) in task.targetRows.enumerated() {
      let one = try oracle.density(of: [target], given: 0..<target)
      #expect(abs(one.joint - all.sequential[position]) < 0.02)
      let alone = try oracle.density(of: [target], given: task.contextRows)
      #expect(abs(alone.joint - all.marginal[position]) < 0.02)
    }
  }

  @Test("Its density integrates to one, and has the mean and the variance it tells")
  func density() throws {
    let task = try Self.task(6, context: 4, targets: 1, try #require(Self.families))
    let oracle = try #require(task.oracle)
    let law = try oracle.density(of: task.targetRows, given: task.contextRows)
    let deviation = law.variances[0].squareRoot()
    let noise = try #require(oracle as? SawtoothOracle).waves.deviations[0]
    let found = try Integral(
      of: oracle, task, law, step: min(deviation, noise) / 5, reach: 6 * deviation)
    #expect(abs(found.mass - 1) < 1e-3 && abs(found.mean - law.means[0]) < 1e-2 * deviation)
    #expect(abs(found.variance - law.variances[0]) < 0.01 * law.variances[0])
  }

  @Test("Finer cells say the same, whatever the noise", arguments: [8, 32, 128])
  func cells(context: Int) throws {
    for seed in 7..<11 as Range<UInt64> {
      let prior: any Prior = seed % 2 == 0 ? SawtoothPrior() : try #require(Self.families)
      let task = try Self.task(seed, context: context, targets: 8, prior)
      let oracle = try #require(task.oracle as? SawtoothOracle)
      let finer = SawtoothOracle(oracle.waves, x: task.x, y: task.y, fineness: oracle.fineness / 3)
      let (a, b) = try (
        oracle.density(of: task.targetRows, given: task.contextRows),
        finer.density(of: task.targetRows, given: task.contextRows)
      )
      #expect(abs(a.joint - b.joint) / 8 < 0.01, "\(context) rows: \(a.joint) and \(b.joint)")
    }
  }

  @Test("With many rows it comes near the ceiling, and never stays above it")
  func ceiling() throws {
    var gaps = [Double]()
    for seed in 0..<60 as Range<UInt64> {
      let task = try Self.task(100 + seed, context: 100, targets: 8)
      let law = try #require(try task.exactLaw())
      gaps.append(try #require(task.ceiling) - law.joint / 8)
    }
    let gap = Average(gaps)
    #expect(gap.mean > -2 * gap.error && gap.mean < 0.12, "\(gap.mean) ± \(gap.error)")
  }

  @Test("Where nearly everything is left, it says that it has no answer")
  func unresolved() throws {
    let waves = SawtoothOracle.Waves(frequencies: 0.25...10, logUniform: true, deviations: [1e-5])
    let oracle = SawtoothOracle(waves, x: [0.1, 1.4, -1.2], y: [0.2, 0.3, 0.4])
    #expect(throws: OracleError.unresolved(cells: SawtoothOracle.cells)) {
      try oracle.density(of: 0..<3, given: 0..<0)
    }
    let task = PriorTask(
      shape: .init(context: 0, targets: 3), x: oracle.x, y: oracle.y, oracle: oracle, component: "sawtooth")
    #expect(try task.exactLaw() == nil)
  }
}
