import ChorusData
import ChorusTensors
import Foundation

/// What a `ClassFit` says of rows as a network reads it: level after level, what each estimator says of that level against all others.
///
/// Each level that the context has is a pass of the network, in which a row's value is 1 where it has the level and 0 where not. Beyond
/// `mostPasses` levels the rarest share the last pass. A row is `passes.count` times `ToldRow.level.width` numbers, then the
/// probability of levels that the context does not have.
///
/// A pass tells a row as `TableExperts` tells one whose value is that 0 or 1 in units of the context's, with logistic ridge in the place
/// of ridge and the pool in that of the stack; behind it come the logarithms of the probabilities: of logistic ridge, processes, forest, the pool, and the level's share.
/// Estimators that have seen n rows are cut at 1/2(n + 2). The pool, which may be surer than any of them, is so in what tells how it did,
/// and is as sure as it says in its logarithm, which a head is around.
public struct ToldClasses: Sendable {
  /// Logistic ridge, processes, forest, the pool, and the share.
  public static let estimators = 5
  public static let mostPasses = 12

  public let fit: ClassFit
  /// The levels of each pass, ascending.
  public let passes: [[Int]]
  /// The pass of each level; `passes.count` for one that the context does not have.
  public let pass: [Int]
  /// Rows of the context without themselves, in the canonical order, and the pass of each one's level.
  public let observed: TableFit.NetworkInputs
  /// Numbers of a row.
  public var width: Int { passes.count * ToldRow.level.width + 1 }

  private let distance: TableDistance
  /// What is the same of all rows, pass by pass.
  private let overall: [[Double]]

  /// How many passes rows of so many numbers have.
  public static func passes(width: Int) -> Int { width / ToldRow.level.width }

  /// The share of the context that has a pass's level, read back from what was told of a row in that pass.
  public static func share(_ row: UnsafePointer<Float>) -> Double {
    min(exp(Double(row[TableExperts.features + estimators - 1])), 1 - 1e-6)
  }

  /// What 0 and 1 are: whether a row has the level, less the share, in deviations.
  public static func value(_ hasLevel: Bool, _ row: UnsafePointer<Float>) -> Float {
    let share = share(row)
    return Float(((hasLevel ? 1 : 0) - share) / (share * (1 - share)).squareRoot())
  }

  public init(_ fit: ClassFit) {
    self.fit = fit
    let seen = (0..<fit.levels).filter { fit.counts[$0] > 0 }
    var own = seen
    if seen.count > Self.mostPasses {
      // Of equally frequent levels the first ones have passes of their own.
      own = seen.sorted { fit.counts[$0] != fit.counts[$1] ? fit.counts[$0] > fit.counts[$1] : $0 < $1 }
      own = own.prefix(Self.mostPasses - 1).sorted()
    }
    let rare = seen.filter { !own.contains($0) }
    let passes = own.map { [$0] } + (rare.isEmpty ? [] : [rare])
    self.passes = passes
    var pass = [Int](repeating: passes.count, count: fit.levels)
    for (index, members) in passes.enumerated() { for level in members { pass[level] = index } }
    self.pass = pass
    distance = TableDistance(relevance: fit.designRelevance)
    let y = fit.observedLevels.map { Double(pass[$0]) }
    let said = fit.observedSaid.map { Self.passed($0, passes) }
    let rows = Double(fit.rows)
    let columns = Double(fit.columns)
    let common = [
      log(rows) / 3 - 1.3, log(columns) / 1.5 - 1, 3 * fit.missing, fit.categoryShare,
    ]
    // The pool's share, then logistic ridge, processes, forest.
    let weights = [fit.weights[3], fit.weights[2], fit.weights[0], fit.weights[1]]
    overall = passes.indices.map { pass in
      let share = Self.share(of: passes[pass], fit)
      let deviation = (share * (1 - share)).squareRoot()
      let errors = (0..<4).map { estimator in
        let squares = zip(said, y).map { row, own in
          let off = (Int(own) == pass ? 1 : 0) - row.probabilities[pass][estimator]
          return off * off
        }
        return log((squares.reduce(0, +) / Double(max(squares.count, 1))).squareRoot() / deviation + 1e-3)
      }
      return errors + weights + common
    }
    let design = fit.observedDesign
    let width = fit.designRelevance.count
    observed = TableFit.NetworkInputs(
      x: Self.written(
        said, fit.observedDisagreement, passes, fit, overall,
        distance.places(fit.observedRows.flatMap { design[$0 * width..<($0 + 1) * width] }, count: y.count)),
      y: y)
  }

  /// What is told of rows that are not the context's, `[count, width]`.
  ///
  /// - Precondition: the rows have the columns of the context.
  public func tell(_ rows: Cells) -> [Double] {
    // In parts, whose covariances with the context are held at once; a row's bytes do not depend on the others.
    stride(from: 0, to: rows.count, by: Self.together).flatMap { first -> [Double] in
      let end = min(first + Self.together, rows.count)
      let part = first == 0 && end == rows.count ? rows : rows.rows(first..<end)
      let (said, disagreement, design) = fit.said(part)
      return Self.written(
        said.map { Self.passed($0, passes) }, disagreement, passes, fit, overall,
        distance.places(design, count: part.count))
    }
  }

  private static let together = 512

  /// Of a row, what each estimator gives each pass, and what is left for levels not seen.
  private struct Passed {
    /// Of each pass: logistic ridge, processes, forest, the pool.
    let probabilities: [[Double]]
    /// Of each pass, the logarithm of what the pool says.
    let pooled: [Double]
    let unseen: Double
  }

  private static func share(of members: [Int], _ fit: ClassFit) -> Double {
    members.reduce(0) { $0 + fit.shares[$1] }
  }

  private static func passed(_ said: ClassFit.Said, _ passes: [[Int]]) -> Passed {
    let all = [said.logistic, said.processes, said.forest, said.pool]
    let sums = all.map { law in passes.map { $0.reduce(0) { $0 + law[$1] } } }
    let totals = sums.map { $0.reduce(0, +) }
    return Passed(
      probabilities: passes.indices.map { pass in
        sums.indices.map { min(max(sums[$0][pass] / totals[$0], said.least), 1 - said.least) }
      }, pooled: passes.indices.map { log(max(sums[3][$0] / totals[3], leastPooled)) },
      unseen: max(1 - totals[3], 0))
  }

  /// A logarithm is of no less, so that no level is impossible.
  private static let leastPooled = 1e-9

  private static func written(
    _ said: [Passed], _ disagreement: [[Double]], _ passes: [[Int]], _ fit: ClassFit, _ overall: [[Double]],
    _ places: [[Double]]
  ) -> [Double] {
    var out: [Double] = []
    out.reserveCapacity(said.count * (passes.count * ToldRow.level.width + 1))
    for (row, own) in said.enumerated() {
      for (pass, members) in passes.enumerated() {
        let share = share(of: members, fit)
        let deviation = (share * (1 - share)).squareRoot()
        let probabilities = own.probabilities[pass]
        let estimates = probabilities.map {
          Estimate(value: ($0 - share) / deviation, deviation: ($0 * (1 - $0)).squareRoot() / deviation)
        }
        let best = estimates[3]
        for estimate in estimates { out.append(estimate.value) }
        for estimate in estimates { out.append(log(estimate.deviation)) }
        out.append(members.map { disagreement[$0][row] }.max() ?? 0)
        for estimate in estimates {
          out.append(min(max((estimate.value - best.value) / best.deviation, -8), 8))
        }
        out += overall[pass]
        for probability in probabilities.prefix(3) { out.append(log(probability)) }
        out.append(own.pooled[pass])
        out.append(log(share))
        out += places[row]
      }
      out.append(own.unseen)
    }
    return out
  }
}
