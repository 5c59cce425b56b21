import ChorusData
import ChorusHints
import ChorusInference
import ChorusModels
import ChorusPlans
import Foundation

/// How probabilities of a category's levels came true for rows held out.
public struct ClassScores: Sendable, Hashable {
  /// The part of the rows whose likeliest level it was.
  public let accuracy: Double
  /// −log of the probability that the level had, in nats: less is better.
  public let logLoss: Double
  /// Σ_c (p_c − 1{c})², summed over levels (Brier 1950): less is better.
  public let brier: Double
  /// How far the likeliest levels' probabilities are from how often they came, over ten bins (Naeini et al. 2015).
  public let calibrationError: Double
  /// Rows by the probability of their likeliest level, in tenths.
  public let bins: [Bin]

  /// Rows whose likeliest level has about the same probability.
  public struct Bin: Sendable, Hashable {
    public fileprivate(set) var count = 0
    /// The sum of the probabilities.
    fileprivate var sure = 0.0
    fileprivate var right = 0
    /// The mean probability of the likeliest level.
    public var claimed: Double { sure / Double(count) }
    /// How often it came.
    public var observed: Double { Double(right) / Double(count) }
  }

  /// - Parameters:
  ///   - probabilities: `[rows][levels]`, at least one row.
  ///   - levels: what came.
  public init(_ probabilities: [[Double]], _ levels: [Int]) {
    let n = Double(max(levels.count, 1))
    var (right, loss, brier) = (0.0, 0.0, 0.0)
    var bins = [Bin](repeating: Bin(), count: 10)
    for (law, level) in zip(probabilities, levels) {
      let best = law.indices.max { law[$0] < law[$1] } ?? 0
      let isRight = best == level
      right += isRight ? 1 : 0
      loss -= log(max(law[level], 1e-12))
      for (c, p) in law.enumerated() {
        let part = p - (c == level ? 1 : 0)
        brier += part * part
      }
      let bin = min(Int(law[best] * 10), 9)
      bins[bin].count += 1
      bins[bin].sure += law[best]
      bins[bin].right += isRight ? 1 : 0
    }
    accuracy = right / n
    logLoss = loss / n
    self.brier = brier / n
    calibrationError = bins.reduce(0) { $0 + abs($1.sure - Double($1.right)) } / n
    self.bins = bins
  }
}

/// What a fit to some rows of a table says of the levels of rows held out, beside simple methods.
public struct ClassScoring: Sendable {
  public let split: Split
  /// What explains the context's levels.
  public let fit: ClassFit
  /// Nil where the estimators speak for themselves.
  private let network: ClassPosterior?
  private let categories: [Bool]
  /// The held-out rows that are looked at together, and their levels.
  private let joint: (rows: Cells, levels: [Int])
  /// What was left out, in words; nil where nothing was.
  public var note: String? { network?.note }
  public let model: ClassScores
  /// Every row has the shares of the context's levels.
  public let shares: ClassScores
  public let logistic: ClassScores
  public let forest: ClassScores

  /// - Parameter network: of the family `classes`, which judges what the estimators say; nil for the estimators alone.
  public init(
    _ cells: Cells, levels: [Int], of count: Int, _ split: Split, by network: Model? = nil
  ) throws {
    self.split = split
    categories = cells.categories
    joint = (cells.rows(split.joint), split.joint.map { levels[$0] })
    let (context, known) = (cells.rows(split.context), split.context.map { levels[$0] })
    // Where rows of one level are shown, a network has nothing to judge.
    let judge = Set(known).count > 1 ? network : nil
    let said = try judge.map { try ClassPosterior(context, levels: known, of: count, by: $0) }
    self.network = said
    let fit = try said?.fit ?? ClassFit(context, levels: known, of: count)
    self.fit = fit
    let rows = cells.rows(split.held)
    let held = split.held.map { levels[$0] }
    model = ClassScores(try said?.probabilities(at: rows) ?? fit.probabilities(rows), held)
    shares = ClassScores(held.map { _ in fit.shares }, held)
    logistic = ClassScores(fit.probabilities(rows, of: .logistic), held)
    forest = ClassScores(fit.probabilities(rows, of: .forest), held)
  }

  /// What the model says of rows, `[rows.count][levels]`.
  ///
  /// - Throws: `DataError.dimensions` for rows with other columns.
  public func probabilities(_ rows: Cells) throws -> [[Double]] {
    if let network { return try network.probabilities(at: rows) }
    guard rows.categories == categories else {
      throw DataError.dimensions(
        what: "the rows asked for", expected: categories.count, found: rows.columns)
    }
    return fit.probabilities(rows)
  }

  /// Log-losses of the rows that are looked at together (`Split.joint`), in nats a row: of each by itself, and of all by the chain rule.
  public struct Together: Sendable, Hashable {
    public let independent: Double
    public let joint: Double
  }

  /// Estimators alone say each row by itself, so that both losses are the same.
  ///
  /// - Throws: as `ClassPosterior.logProbability(of:at:)`.
  public func together(
    plan: PlanTemplate = .sequential, orders: Int = 8, seed: UInt64 = 0,
    flopLimit: Double = Posterior.flopLimit
  ) throws -> Together {
    let count = Double(joint.levels.count)
    let apart =
      -zip(try probabilities(joint.rows), joint.levels).reduce(0) { $0 + log(max($1.0[$1.1], 1e-12)) } / count
    guard let network else { return Together(independent: apart, joint: apart) }
    let all = try network.logProbability(
      of: joint.levels, at: joint.rows, plan: plan, orders: orders, seed: seed, flopLimit: flopLimit)
    return Together(independent: apart, joint: -all / count)
  }
}
