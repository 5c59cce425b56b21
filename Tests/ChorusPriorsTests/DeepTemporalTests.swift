import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("Deep temporal models") struct DeepTemporalTests {
  static let prior = DeepTemporalPrior(
    states: 3, period: 2, order: 0.7, start: 0.4, hold: 0.5, pull: 0.3, clarity: 0.6)

  /// p of the levels that are known, as a sum over all ways that slow and fast states can go.
  private static func enumerated(_ known: [Int?]) -> Double {
    let (laws, n) = (prior.laws, prior.states)
    var total = 0.0
    func go(_ step: Int, _ slow: Int, _ fast: Int, _ p: Double) {
      let p = p * (known[step].map { laws.levels[fast][$0] } ?? 1)
      guard step + 1 < known.count else {
        total += p
        return
      }
      for next in 0..<n {
        guard (step + 1).isMultiple(of: prior.period) else {
          go(step + 1, slow, next, p * laws.next[slow][fast][next])
          continue
        }
        for other in 0..<n { go(step + 1, other, next, p * laws.slow[slow][other] * laws.first[other][next]) }
      }
    }
    for slow in 0..<n { for fast in 0..<n { go(0, slow, fast, laws.first[slow][fast] / Double(n)) } }
    return total
  }

  @Test("The filter is the sum over all states, whatever is known") func enumeration() throws {
    var stream = RandomStream(seed: 3)
    for shape in [TaskShape(context: 3, targets: 2), .init(context: 0, targets: 5)] {
      let task = try Self.prior.draw(shape, from: &stream)
      let oracle = try #require(task.oracle as? DeepTemporalOracle)
      for known in [[nil, 1, nil, 2, 0], [nil, nil, nil, nil, 1], task.y.map { Int($0) }] as [[Int?]] {
        #expect(abs(oracle.logProbability(known) - log(Self.enumerated(known))) < 1e-12)
      }
      let law = try #require(try task.exactLaw())
      func p(_ rows: some Sequence<Int>) -> Double {
        var known = [Int?](repeating: nil, count: 5)
        for row in rows { known[row] = Int(task.y[row]) }
        return Self.enumerated(known)
      }
      #expect(abs(law.joint - log(p(0..<5) / p(task.contextRows))) < 1e-12)
      for (place, row) in task.targetRows.enumerated() {
        #expect(
          abs(law.marginal[place] - log(p(Array(task.contextRows) + [row]) / p(task.contextRows))) < 1e-12)
        #expect(abs(law.sequential[place] - log(p(0...row) / p(0..<row))) < 1e-12)
      }
      #expect(law.variances.allSatisfy { $0 > 0 && $0 < 1.5 })
    }
  }

  @Test("Levels come as often as the law says, and all that has been seen tells of the next one")
  func shares()
    throws
  {
    let prior = DeepTemporalPrior()
    var (gains, next): ([Double], [Double]) = ([], [])
    for index in 0..<120 {
      let task = try TaskGenerator(prior, seed: 4).task(
        index, step: 0, shape: TaskShape(context: 64, targets: 8))
      #expect(task.y.allSatisfy { (0..<5).contains($0) && $0 == $0.rounded() })
      let law = try #require(try task.exactLaw())
      let last = try #require(task.oracle).density(of: task.targetRows, given: 56..<64)
      gains.append((law.joint - last.joint) / 8)
      next.append(law.joint / 8 + log(5))
    }
    func mean(_ x: [Double]) -> Double { x.reduce(0, +) / Double(x.count) }
    // Over chance, and over the last period alone.
    #expect(mean(next) > 0.08 && mean(gains) > 0.01)
  }

  @Test("Values that no level has are impossible") func impossible() throws {
    var stream = RandomStream(seed: 3)
    let task = try Self.prior.draw(TaskShape(context: 2, targets: 2), from: &stream)
    let oracle = try #require(task.oracle)
    #expect(throws: OracleError.impossible(1)) {
      try oracle.density(of: [2], given: [0, 1], values: [0, 0.5, 1, 1])
    }
    let law = try oracle.density(of: [2, 3], given: [0, 1], values: [0, 1, 7, 1])
    #expect(law.joint == -.infinity && law.marginal[0] == -.infinity && law.marginal[1].isFinite)
    #expect(throws: PriorError.self) {
      try Self.prior.draw(TaskShape(context: 2, targets: 2, dimensions: 2), from: &stream)
    }
  }
}
