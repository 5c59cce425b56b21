import ChorusTensors
import Foundation

/// Sequences of a deep temporal model (Friston et al. 2017) of two levels, small enough for exact filtering.
///
/// A slow state s holds for `period` steps; then it goes to s + 1 (mod n) with probability `order`, else anywhere. In each period
/// the fast state begins at s with probability `start`, else anywhere; then it stays with probability `hold`, goes to s with
/// probability `pull`, else anywhere. What is seen is the fast state with probability `clarity`, else any level.
///
/// A period tells little of its slow state; since slow states follow each other nearly in order, all periods before tell of the
/// present one. Values are levels 0 ..< n, as numbers.
public struct DeepTemporalPrior: Prior {
  public let name = "deep-temporal"
  public let dimensions = 1...1
  /// Slow states, fast states and levels.
  public let states: Int
  /// Steps for which a slow state holds.
  public let period: Int
  public let order: Double
  public let start: Double
  public let hold: Double
  public let pull: Double
  public let clarity: Double

  public init(
    states: Int = 5, period: Int = 8, order: Double = 0.98, start: Double = 0.5, hold: Double = 0.5,
    pull: Double = 0.25, clarity: Double = 0.6
  ) {
    (self.states, self.period, self.order) = (max(states, 1), max(period, 1), order)
    (self.start, self.hold, self.pull, self.clarity) = (start, hold, pull, clarity)
  }

  /// Probabilities, `[from][to]`.
  struct Laws: Sendable {
    let slow: [[Double]]
    /// Of the first fast state by the slow one.
    let first: [[Double]]
    /// Of the next fast state by the slow one.
    let next: [[[Double]]]
    /// Of a level by the fast state.
    let levels: [[Double]]
  }

  var laws: Laws {
    func law(_ likely: [(state: Int, p: Double)]) -> [Double] {
      let rest = 1 - likely.reduce(0) { $0 + $1.p }
      var law = [Double](repeating: rest / Double(states), count: states)
      for (state, p) in likely { law[state % states] += p }
      return law
    }
    let all = 0..<states
    return Laws(
      slow: all.map { law([($0 + 1, order)]) }, first: all.map { law([($0, start)]) },
      next: all.map { slow in all.map { law([($0, hold), (slow, pull)]) } },
      levels: all.map { law([($0, clarity)]) })
  }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions)
    let laws = laws
    func choose(_ law: [Double]) -> Int {
      var rest = stream.uniform()
      for (state, p) in law.enumerated() {
        rest -= p
        if rest < 0 { return state }
      }
      return law.count - 1
    }
    let anywhere = [Double](repeating: 1 / Double(states), count: states)
    var (slow, fast, y) = (choose(anywhere), 0, [Double]())
    for step in 0..<shape.rows {
      if step.isMultiple(of: period) {
        if step > 0 { slow = choose(laws.slow[slow]) }
        fast = choose(laws.first[slow])
      } else {
        fast = choose(laws.next[slow][fast])
      }
      y.append(Double(choose(laws.levels[fast])))
    }
    return PriorTask(
      shape: shape, x: (0..<shape.rows).map(Double.init), y: y,
      oracle: DeepTemporalOracle(laws: laws, period: period, y: y), component: name)
  }
}

/// The exact law of a deep temporal model's values: all pairs of a slow and a fast state are filtered, step by step
/// (Rabiner 1989, sec. III A, the forward recursion), and steps whose values are not given are summed over.
public struct DeepTemporalOracle: Oracle {
  let laws: DeepTemporalPrior.Laws
  let period: Int
  let y: [Double]
  public var rows: Int { y.count }

  public func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity {
    let outputs = values ?? y
    _ = try question(targets, given: context, outputs: outputs.count, limit: 1024)
    var known = [Int?](repeating: nil, count: rows)
    func level(_ row: Int) -> Int? {
      let level = Int(exactly: outputs[row]) ?? -1
      return laws.levels.indices.contains(level) ? level : nil
    }
    for row in context {
      guard let level = level(row) else { throw .impossible(row) }
      known[row] = level
    }
    let (begin, given) = (logProbability(known), known)
    var (sequential, marginal, means, variances): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
    for row in targets {
      var law = given
      let logs = laws.levels.indices.map { level in
        law[row] = level
        return logProbability(law) - begin
      }
      marginal.append(level(row).map { logs[$0] } ?? -.infinity)
      let mean = logs.enumerated().reduce(0) { $0 + Double($1.offset) * exp($1.element) }
      means.append(mean)
      variances.append(
        logs.enumerated().reduce(0) {
          $0 + (Double($1.offset) - mean) * (Double($1.offset) - mean) * exp($1.element)
        })
    }
    var last = begin
    for row in targets {
      guard let level = level(row), last.isFinite else {
        sequential.append(-.infinity)
        last = -.infinity
        continue
      }
      known[row] = level
      let next = logProbability(known)
      sequential.append(next - last)
      last = next
    }
    return OracleDensity(sequential: sequential, marginal: marginal, means: means, variances: variances)
  }

  /// log p of the levels that are known.
  func logProbability(_ known: [Int?]) -> Double {
    let n = laws.levels.count
    // [slow][fast], normalised; what it was before is in `total`.
    var state = laws.first.flatMap { $0.map { $0 / Double(n) } }
    var total = 0.0
    for (step, level) in known.enumerated() {
      if step > 0 { state = step.isMultiple(of: period) ? newPeriod(state) : moved(state) }
      guard let level else { continue }
      var sum = 0.0
      for index in state.indices {
        state[index] *= laws.levels[index % n][level]
        sum += state[index]
      }
      total += log(sum)
      for index in state.indices { state[index] /= sum }
    }
    return total
  }

  private func newPeriod(_ state: [Double]) -> [Double] {
    let n = laws.levels.count
    var slow = [Double](repeating: 0, count: n)
    for from in 0..<n {
      let held = state[from * n..<(from + 1) * n].reduce(0, +)
      for to in 0..<n { slow[to] += held * laws.slow[from][to] }
    }
    return zip(slow, laws.first).flatMap { p, first in first.map { p * $0 } }
  }

  private func moved(_ state: [Double]) -> [Double] {
    let n = laws.levels.count
    var next = [Double](repeating: 0, count: n * n)
    for slow in 0..<n {
      for from in 0..<n {
        for to in 0..<n { next[slow * n + to] += state[slow * n + from] * laws.next[slow][from][to] }
      }
    }
    return next
  }
}
