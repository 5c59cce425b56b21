import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Foundation

/// How a model's densities compare with the exact ones, on fresh tasks of a prior. All in nats a target.
public struct OracleComparison: Sendable {
  /// A mean with its standard error.
  public struct Estimate: Sendable, Hashable {
    public let mean: Double
    public let standardError: Double

    public init(mean: Double, standardError: Double) {
      (self.mean, self.standardError) = (mean, standardError)
    }

    public init(_ values: [Double]) {
      let n = Double(values.count)
      let mean = values.reduce(0, +) / max(n, 1)
      self.mean = mean
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      standardError = values.count > 1 ? (squares / (n - 1) / n).squareRoot() : .nan
    }
  }

  /// What was found at one context size, or over all of them (`context == nil`).
  public struct Row: Sendable, Hashable {
    public let context: Int?
    public let targets: Int
    public let functions: Int
    /// How many of the tasks have an exact answer; the oracle's columns are over those.
    public let oracleFunctions: Int
    /// Exact, with the true hyperparameters; nil when no task has an oracle.
    public let oracleJoint: Estimate?
    public let oracleIndependent: Estimate?
    public let independent: Estimate
    public let buffer: Estimate
    public let reencode: Estimate
    /// Paired over tasks, the same orders for both.
    public let reencodeMinusBuffer: Estimate
    public let bufferMinusIndependent: Estimate
    /// Distance of re-encoding to the oracle, paired over tasks.
    public let oracleMinusReencode: Estimate?
    /// With the prior alone, the hyperparameters unknown; nil when it was not asked for, or no task has it.
    public let attainableJoint: Estimate?
    /// Distance of re-encoding to that, paired over tasks: what more training can gain.
    public let attainableMinusReencode: Estimate?
    /// Standard error of a task's `oracleJoint` where the oracle simulates (root mean square over tasks); 0 where it
    /// is exact.
    public let oracleError: Double?
    /// Of all targets, each under its own distribution given the context.
    public let calibration: Calibration
  }

  /// Scores of one task.
  struct Score: Sendable {
    var oracleJoint: Double?
    var oracleIndependent: Double?
    var oracleError: Double?
    var attainable: Double?
    var levels: [Double] = []
    var independent = 0.0
    var buffer = 0.0
    var reencode = 0.0
  }

  public let model: Model
  public let prior: any Prior
  public let targets: Int
  public let functions: Int
  public let orders: Int
  public let seed: UInt64
  public let dimensions: Int
  /// The plan that `buffer` stands for.
  public let plan: PlanTemplate
  /// Whether to ask `PriorTask.attainable` too.
  public let attainable: Bool

  public init(
    model: Model, prior: any Prior, targets: Int, functions: Int, orders: Int = 8, seed: UInt64 = 0,
    dimensions: Int = 1, plan: PlanTemplate = .sequential, attainable: Bool = false
  ) {
    self.model = model
    self.prior = prior
    self.targets = targets
    self.functions = functions
    self.orders = orders
    self.seed = seed
    self.dimensions = dimensions
    self.plan = plan
    self.attainable = attainable
  }

  /// A row for each context size, then one over all of them.
  public func rows(
    contexts: [Int], on pool: ThreadPool, report: (Row) throws -> Void = { _ in }
  ) throws -> [Row] {
    var rows: [Row] = []
    var all: [Score] = []
    for context in contexts {
      let scores = try scores(context: context, on: pool)
      all += scores
      rows.append(row(context, scores))
      try report(rows[rows.count - 1])
    }
    rows.append(row(nil, all))
    try report(rows[rows.count - 1])
    return rows
  }

  private func row(_ context: Int?, _ scores: [Score]) -> Row {
    func estimate(_ value: (Score) -> Double?) -> Estimate? {
      let values = scores.compactMap(value)
      return values.isEmpty ? nil : Estimate(values)
    }
    let errors = scores.compactMap(\.oracleError)
    let square = errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)
    return Row(
      context: context, targets: targets, functions: scores.count,
      oracleFunctions: scores.count { $0.oracleJoint != nil }, oracleJoint: estimate(\.oracleJoint),
      oracleIndependent: estimate(\.oracleIndependent), independent: Estimate(scores.map(\.independent)),
      buffer: Estimate(scores.map(\.buffer)), reencode: Estimate(scores.map(\.reencode)),
      reencodeMinusBuffer: Estimate(scores.map { $0.reencode - $0.buffer }),
      bufferMinusIndependent: Estimate(scores.map { $0.buffer - $0.independent }),
      oracleMinusReencode: estimate { score in score.oracleJoint.map { $0 - score.reencode } },
      attainableJoint: estimate(\.attainable),
      attainableMinusReencode: estimate { score in score.attainable.map { $0 - score.reencode } },
      oracleError: errors.isEmpty ? nil : square.squareRoot(),
      calibration: Calibration(levels: scores.flatMap(\.levels)))
  }

  private func scores(context: Int, on pool: ThreadPool) throws -> [Score] {
    try pool.map(functions) { index in try score(context: context, index: index) }
  }

  private func score(context: Int, index: Int) throws -> Score {
    let generator = TaskGenerator(prior, seed: seed, domain: .evaluation)
    let shape = TaskShape(context: context, targets: targets, dimensions: dimensions)
    let task = try generator.task(index, step: context, shape: shape)
    let observed = try task.dataset(task.contextRows)
    let asked = try task.dataset(task.targetRows)
    let posterior = try model.condition(on: observed)
    let m = Double(targets)
    var score = Score()
    if let law = try task.exactLaw() {
      score.oracleJoint = law.joint / m
      score.oracleIndependent = law.independent / m
      score.oracleError = law.error / m
    }
    if attainable {
      score.attainable = try task.attainableLaw().map { $0.joint / m }
    }
    score.levels = zip(try posterior.marginals(at: asked.inputs, flopLimit: .infinity), asked.y).map {
      $0.cdf($1)
    }
    let orderSeed = seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
    func density(_ plan: PlanTemplate, _ orders: Int) throws -> Double {
      try posterior.logDensity(
        of: asked.y, at: asked.inputs, plan: plan, orders: orders, seed: orderSeed, flopLimit: .infinity
      ).value / m
    }
    score.independent = try density(.independent, 1)
    score.buffer = try density(plan, orders)
    score.reencode = try density(.reencode, orders)
    return score
  }
}
