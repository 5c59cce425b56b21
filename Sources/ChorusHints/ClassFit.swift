import ChorusData
import ChorusTensors
import Foundation

/// The probabilities of a category's levels, by classical estimators fitted to a context: processes, forest and logistic ridge, each of one
/// level against the others, in a logarithmic pool, log p_c = Σ_e w_e log p_e,c + w₀ log π_c + constant (Genest & Zidek 1986).
///
/// The weights, the same for all levels, are those of the best leave-one-out probabilities, with a prior around a third each.
///
/// ```swift
/// let fit = try ClassFit(cells, levels: species, of: 3)
/// let probabilities = fit.probabilities(others)     // [others.count][3]
/// ```
public struct ClassFit: Sendable {
  /// Levels that there may be.
  public let levels: Int
  public let relevance: [Double]
  /// What is said of rows of the context without them, with their numbers in the order they came: of all, or of the thousand that
  /// processes read.
  let left: [(row: Int, law: [Double])]
  /// Of processes, forest, logistic ridge and the levels' shares.
  public let weights: [Double]

  private let reading: TableReading
  /// How many rows have each level.
  let counts: [Int]
  /// The levels' shares of the context, with one more row spread over all.
  public let shares: [Double]
  /// Of each level; nil for one that the context does not have.
  private let experts: [Experts?]
  /// What the processes of all levels share.
  private let basis: ProcessBasis?
  private let categories: [Bool]
  /// Rows fitted to, and the share of their cells that is missing.
  let rows: Int
  let missing: Double
  /// Rows that processes read, by their numbers in the canonical order, and their levels.
  let observedRows: [Int]
  let observedLevels: [Int]

  private struct Experts: Sendable {
    let process: ProcessExpert
    let forest: ForestExpert
    let logistic: LogisticExpert
    let unit: Scaling.Unit

    /// What each estimator gives the level, and how far trees are from each other.
    func laws(
      _ rows: TableRows, _ shown: ProcessBasis.Shown, _ least: Double
    ) -> (said: [[Double]], disagreement: [Double]) {
      let forested = forest.laws(rows)
      let said = [
        process.estimates(shown).map { unit.raw($0.value) }, forested.map { unit.raw($0.estimate.value) },
        logistic.probabilities(rows),
      ]
      return (said.map { $0.map { min(max($0, least), 1 - least) } }, forested.map(\.disagreement))
    }

    func observed(_ read: [Int], _ least: Double) -> [[Double]] {
      let (forest, logistic) = (forest.observed, logistic.observed)
      return [
        process.observed.map { unit.raw($0.value) }, read.map { unit.raw(forest[$0].value) },
        read.map { logistic[$0] },
      ].map { $0.map { min(max($0, least), 1 - least) } }
    }
  }

  /// - Parameters:
  ///   - levels: of each row, its level, from 0.
  ///   - count: how many levels there may be.
  /// Throws `DataError.rowCount`, `.size` for a level that is none, `.tooFewRowsToScale` for fewer than two rows.
  public init(_ cells: Cells, levels: [Int], of count: Int) throws(DataError) {
    guard cells.count == levels.count else {
      throw .rowCount(what: "levels for the rows", expected: cells.count, found: levels.count)
    }
    guard levels.count >= 2 else { throw .tooFewRowsToScale(found: levels.count) }
    if let bad = levels.first(where: { !(0..<count).contains($0) }) {
      throw .size(what: "a level (of \(count))", found: bad)
    }
    self.levels = count
    categories = cells.categories
    rows = cells.count
    missing = Double(cells.values.count { $0.isNaN }) / Double(max(cells.values.count, 1))
    let order = TableOrder(cells, levels.map(Double.init))
    let sorted = order.rows.map { levels[$0] }
    let n = Double(levels.count)
    let counts = (0..<count).map { level in sorted.count { $0 == level } }
    // One more row, spread over all levels: none is impossible because it was not seen.
    let shares = counts.map { (Double($0) + 1 / Double(count)) / (n + 1) }
    (self.counts, self.shares) = (counts, shares)
    func unit(_ level: Int) -> Scaling.Unit {
      let share = Double(counts[level]) / n
      return Scaling.Unit(origin: share, scale: (share * (1 - share)).squareRoot())
    }
    func outputs(_ level: Int) -> [Double] {
      let unit = unit(level)
      return sorted.map { unit.scaled($0 == level ? 1 : 0) }
    }
    let seen = (0..<count).filter { counts[$0] > 0 && counts[$0] < sorted.count }
    let reading = TableReading(cells, order: order, outputs: seen.map(outputs))
    self.reading = reading
    relevance = reading.relevance
    let basis = seen.first.map { ProcessBasis(reading.context(outputs($0))) }
    let experts = (0..<count).map { level -> Experts? in
      guard let basis, seen.contains(level) else { return nil }
      let context = reading.context(outputs(level))
      return Experts(
        process: ProcessExpert(context, basis), forest: ForestExpert(context),
        logistic: LogisticExpert(context, isClass: sorted.map { $0 == level }), unit: unit(level))
    }
    self.experts = experts
    self.basis = basis?.keeping(experts.reduce(into: []) { $0.formUnion($1?.process.parts ?? []) })
    least = 0.5 / Double(levels.count + 2)
    let (least, read) = (least, ProcessExpert.read(sorted.count))
    let said = Self.logs(experts.map { $0?.observed(read, least) }, rows: read.count, shares: shares)
    weights = Self.weights(said, read.map { sorted[$0] })
    let weights = weights
    (observedRows, observedLevels) = (read, read.map { sorted[$0] })
    left = read.indices.map { (order.rows[read[$0]], Self.pooled(said[$0], weights)) }
  }

  /// Estimates of probabilities are cut here: an estimator that has seen n rows is no surer.
  private let least: Double

  // MARK: What a network is told

  /// Of one row what each estimator gives the levels, normalised.
  struct Said: Sendable {
    let processes, forest, logistic, pool: [Double]
    /// No estimator is surer than this.
    let least: Double

    /// - Parameter logs: of each level what each estimator says, and its share.
    init(_ logs: [[Double]], _ weights: [Double], least: Double) {
      func law(_ estimator: Int) -> [Double] {
        ClassFit.pooled(logs, (0..<4).map { $0 == estimator ? 1 : 0 })
      }
      (processes, forest, logistic) = (law(0), law(1), law(2))
      pool = ClassFit.pooled(logs, weights)
      self.least = least
    }
  }

  var columns: Int { categories.count }
  var categoryShare: Double { Double(categories.count { $0 }) / Double(max(categories.count, 1)) }
  var designRelevance: [Double] { reading.designRelevance }
  var observedDesign: [Double] { reading.rows.design }

  /// Of the rows that processes read, each without itself.
  var observedSaid: [Said] {
    Self.logs(experts.map { $0?.observed(observedRows, least) }, rows: observedRows.count, shares: shares)
      .map { Said($0, weights, least: least) }
  }

  /// How far trees are from each other, level by level, of the rows that processes read.
  var observedDisagreement: [[Double]] {
    experts.map { expert in
      guard let all = expert?.forest.disagreement else { return observedRows.map { _ in 0 } }
      return observedRows.map { all[$0] }
    }
  }

  /// Of other rows, with the disagreement of trees, level by level, and the design.
  func said(_ rows: Cells) -> (said: [Said], disagreement: [[Double]], design: [Double]) {
    precondition(rows.categories == categories, "rows have the columns of the context")
    let shown = reading.shown(rows)
    let laws = laws(shown)
    return (
      Self.logs(laws.map { $0?.said }, rows: rows.count, shares: shares).map {
        Said($0, weights, least: least)
      }, laws.map { $0?.disagreement ?? [Double](repeating: 0, count: rows.count) }, shown.design
    )
  }

  // MARK: What the estimators say

  /// Level by level what each estimator says of rows; processes look at them once for all levels.
  private func laws(_ rows: TableRows) -> [(said: [[Double]], disagreement: [Double])?] {
    guard let shown = basis?.shown(rows) else { return experts.map { _ in nil } }
    return experts.map { $0?.laws(rows, shown, least) }
  }

  /// What each row's levels have probability of, `[rows.count][levels]`.
  ///
  /// - Precondition: the rows have the columns of the context.
  public func probabilities(_ rows: Cells) -> [[Double]] {
    precondition(rows.categories == categories, "rows have the columns of the context")
    guard rows.count > 0 else { return [] }
    let shown = reading.shown(rows)
    return Self.logs(laws(shown).map { $0?.said }, rows: rows.count, shares: shares).map {
      Self.pooled($0, weights)
    }
  }

  /// What one estimator alone says, normalised.
  public func probabilities(_ rows: Cells, of estimator: Estimator) -> [[Double]] {
    precondition(rows.categories == categories, "rows have the columns of the context")
    guard rows.count > 0 else { return [] }
    let shown = reading.shown(rows)
    let place = Estimator.allCases.firstIndex(of: estimator) ?? 0
    let said = laws(shown).map { $0?.said[place] }
    return (0..<rows.count).map { row in
      let own = said.indices.map { said[$0]?[row] ?? shares[$0] }
      let total = own.reduce(0, +)
      return own.map { $0 / total }
    }
  }

  /// The estimators, in the order of their weights.
  public enum Estimator: Sendable, CaseIterable { case processes, forest, logistic }

  /// Logarithms of what each estimator says of each level, and of its share: `[rows][levels][4]`.
  private static func logs(_ said: [[[Double]]?], rows: Int, shares: [Double]) -> [[[Double]]] {
    (0..<rows).map { row in
      said.indices.map { level in
        let share = log(shares[level])
        guard let own = said[level] else { return [share, share, share, share] }
        return own.map { log($0[row]) } + [share]
      }
    }
  }

  private static func pooled(_ logs: [[Double]], _ weights: [Double]) -> [Double] {
    let scores = logs.map { zip($0, weights).reduce(0) { $0 + $1.0 * $1.1 } }
    let top = scores.max() ?? 0
    let parts = scores.map { exp($0 - top) }
    let total = parts.reduce(0, +)
    return parts.map { $0 / total }
  }

  private static let prior = [1.0 / 3, 1.0 / 3, 1.0 / 3, 0]

  /// The precision of the prior: how sharp the pool is, the sum of the estimators' weights, may well differ from 1; which estimator
  /// is better than the others a few rows cannot tell.
  private static let precision: [Double] = {
    let (sum, apart) = (2.0, 48.0)
    var matrix = [Double](repeating: 0, count: 16)
    for i in 0..<3 {
      for j in 0..<3 { matrix[i * 4 + j] = sum - apart / 3 + (i == j ? apart : 0) }
    }
    matrix[15] = apart
    return matrix
  }()

  /// The weights of least loss, −Σ log p + ½(w − prior)ᵀP(w − prior), by Newton's method: the loss is convex.
  private static func weights(_ logs: [[[Double]]], _ levels: [Int]) -> [Double] {
    let k = prior.count
    var weights = prior
    func away(_ weights: [Double]) -> [Double] {
      let apart = zip(weights, prior).map { $0 - $1 }
      return (0..<k).map { i in (0..<k).reduce(0) { $0 + precision[i * k + $1] * apart[$1] } }
    }
    func loss(_ weights: [Double]) -> Double {
      zip(logs, levels).reduce(0) { $0 - log(max(pooled($1.0, weights)[$1.1], 1e-300)) }
        + 0.5 * zip(away(weights), zip(weights, prior)).reduce(0) { $0 + $1.0 * ($1.1.0 - $1.1.1) }
    }
    var current = loss(weights)
    for _ in 0..<20 {
      var gradient = away(weights)
      var hessian = precision
      for (own, level) in zip(logs, levels) {
        let p = pooled(own, weights)
        let means = (0..<k).map { e in zip(p, own).reduce(0) { $0 + $1.0 * $1.1[e] } }
        for e in 0..<k {
          gradient[e] += means[e] - own[level][e]
          for f in 0...e {
            var sum = -means[e] * means[f]
            for c in p.indices { sum += p[c] * own[c][e] * own[c][f] }
            hessian[e * k + f] += sum
          }
        }
      }
      guard let factor = try? CholeskyFactor(lower: hessian, count: k), let step = try? factor.solve(gradient)
      else { break }
      var shrink = 1.0
      var moved = zip(weights, step).map { $0 - $1 }
      while loss(moved) > current, shrink > 1e-3 {
        shrink /= 2
        moved = zip(weights, step).map { $0 - shrink * $1 }
      }
      let next = loss(moved)
      guard next < current - 1e-9 else { break }
      (weights, current) = (moved, next)
    }
    return weights
  }
}
