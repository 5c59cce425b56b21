import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Foundation

/// What plans lose and cost on the same tasks, the loss split into what the plan assumes and what the network gets wrong.
///
/// All densities are nats a target, averaged over orders (a path is drawn in one), and all differences are paired by task.
/// The oracle runs the same visible sets with exact conditionals, so its loss is the plan's own, realised on the same
/// values; the rest is the network's error under that plan.
public struct PlanComparison: Sendable {
  /// What was found of a plan at one context size.
  public struct Row: Sendable {
    public let plan: PlanTemplate
    public let context: Int
    public let targets: Int
    public let functions: Int
    /// log-density of the sequential plan (random order) minus this plan's.
    public let toSequential: Interval
    /// log-density of re-encoding (random order) minus this plan's.
    public let toReencode: Interval
    /// The exact joint's log-density minus that of the plan with exact conditionals; nil without an oracle.
    public let scheduleLoss: Interval?
    /// `toSequential` minus `scheduleLoss`.
    public let networkError: Interval?
    /// Standard deviation between the orders of one task, averaged over tasks; NaN for a plan with an order of its own.
    public let betweenOrders: Double
    /// For one path. Of a plan that verifies drafts, the mean over `Self.paths` paths.
    public let calls: Double
    /// For `Self.paths` paths in lock step.
    public let lockStepCalls: Int
    public let encodes: Double
    public let reads: Double
    /// Wall time of drawing one path, and `Self.paths` paths, against the sequential plan: the median of paired runs with
    /// the least and the largest.
    public let time: Ratio?
    public let timeManyPaths: Ratio?

    /// How many paths count as many.
    public static let paths = 256
  }

  public struct Ratio: Sendable, Hashable {
    public let median: Double
    public let least: Double
    public let largest: Double

    init(_ values: [Double]) {
      let sorted = values.sorted()
      median = sorted.isEmpty ? .nan : sorted[sorted.count / 2]
      least = sorted.first ?? .nan
      largest = sorted.last ?? .nan
    }
  }

  /// A mean over tasks with a 95 % percentile bootstrap interval (Efron and Tibshirani 1993, section 13.3).
  public struct Interval: Sendable, Hashable {
    public let mean: Double
    public let low: Double
    public let high: Double

    public init(_ values: [Double], resamples: Int = 2000) {
      let count = values.count
      mean = values.reduce(0, +) / Double(max(count, 1))
      guard count > 1 else {
        (low, high) = (.nan, .nan)
        return
      }
      var stream = RandomStream(seed: 0, .evaluation, 1 << 40)
      let means = (0..<resamples).map { _ in
        (0..<count).reduce(0.0) { sum, _ in sum + values[stream.below(count)] } / Double(count)
      }.sorted()
      low = means[Int(0.025 * Double(resamples))]
      high = means[Int(0.975 * Double(resamples))]
    }
  }

  public let model: Model
  public let prior: any Prior
  public let targets: Int
  public let functions: Int
  public let orders: Int
  public let seed: UInt64
  /// Alternations of the timed runs; 0 times nothing.
  public let repetitions: Int

  public init(
    model: Model, prior: any Prior, targets: Int, functions: Int, orders: Int = 8, seed: UInt64 = 0,
    repetitions: Int = 3
  ) {
    self.model = model
    self.prior = prior
    self.targets = targets
    self.functions = functions
    self.orders = orders
    self.seed = seed
    self.repetitions = repetitions
  }

  /// A row for each context size and plan. The two references run whether they are among the plans or not.
  ///
  /// - Throws: `PlanError` for a plan that does not fit, `PriorError`, `OracleError`.
  public func rows(
    _ plans: [PlanTemplate], contexts: [Int], on pool: ThreadPool, report: (Row) throws -> Void = { _ in }
  ) throws -> [Row] {
    var rows: [Row] = []
    for context in contexts {
      let scores = try scores(plans, context: context, on: pool)
      let clock = try repetitions > 0 ? times(plans, context: context, on: pool) : [:]
      for (index, plan) in plans.enumerated() {
        let row = try row(plan, index, context, scores, clock[index])
        rows.append(row)
        try report(row)
      }
    }
    return rows
  }

  // MARK: Scores

  /// Scores of one task: of each plan, and of the two references.
  private struct Score: Sendable {
    var sequential = 0.0
    var reencode = 0.0
    var plans: [Double] = []
    var spreads: [Double] = []
    var losses: [Double?] = []
  }

  private func row(
    _ template: PlanTemplate, _ index: Int, _ context: Int, _ scores: [Score], _ clock: Clock?
  ) throws -> Row {
    let gaps = scores.map { $0.sequential - $0.plans[index] }
    let losses = scores.compactMap { $0.losses[index] }
    let exact = losses.count == scores.count && !losses.isEmpty
    let cost = try measured(template, context: context)
    return Row(
      plan: template, context: context, targets: targets, functions: functions, toSequential: Interval(gaps),
      toReencode: Interval(scores.map { $0.reencode - $0.plans[index] }),
      scheduleLoss: exact ? Interval(losses) : nil,
      networkError: exact ? Interval(zip(gaps, losses).map { $0 - $1 }) : nil,
      betweenOrders: scores.map { $0.spreads[index] }.reduce(0, +) / Double(max(scores.count, 1)),
      calls: cost.calls, lockStepCalls: cost.lockStep, encodes: cost.encodes, reads: cost.reads,
      time: clock?.one, timeManyPaths: clock?.many)
  }

  private func scores(_ plans: [PlanTemplate], context: Int, on pool: ThreadPool) throws -> [Score] {
    try pool.map(functions) { index in try score(plans, context: context, index: index) }
  }

  private func task(_ index: Int, context: Int) throws -> PriorTask {
    try TaskGenerator(prior, seed: seed, domain: .evaluation).task(
      index, step: context, shape: TaskShape(context: context, targets: targets, dimensions: 1))
  }

  private func score(_ plans: [PlanTemplate], context: Int, index: Int) throws -> Score {
    let task = try task(index, context: context)
    let asked = try task.dataset(task.targetRows)
    let posterior = try model.condition(on: task.dataset(task.contextRows))
    let orderSeed = seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
    let count = Double(targets)
    func densities(_ plan: PlanTemplate) throws -> Posterior.LogDensity {
      try posterior.logDensity(
        of: asked.y, at: asked.inputs, plan: plan, orders: orders, seed: orderSeed,
        unsupported: .reencode, flopLimit: .infinity)
    }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    var score = Score()
    score.sequential = mean(try densities(.sequential).orders) / count
    score.reencode = mean(try densities(.reencode).orders) / count
    let exact = try task.exactLaw()?.joint
    for template in plans {
      let result = try densities(template)
      let average = mean(result.orders)
      score.plans.append(average / count)
      let squares = result.orders.reduce(0) { $0 + ($1 - average) * ($1 - average) }
      let spread = (squares / Double(result.orders.count - 1)).squareRoot() / count
      score.spreads.append(result.orders.count > 1 ? spread : .nan)
      score.losses.append(
        try task.oracle.flatMap { oracle in
          try exact.map { exact in
            let losses = try (0..<result.orders.count).map { path in
              try exact
                - schedule(result.plan, oracle, task, order: result.plan.order(path: path, seed: orderSeed))
            }
            return mean(losses) / count
          }
        })
    }
    return score
  }

  /// log-density of a plan with exact conditionals: Σ log p(y_k | context, y of V_k) over the same visible sets.
  private func schedule(
    _ plan: Plan, _ oracle: any Oracle, _ task: PriorTask, order: [Int]
  ) throws -> Double {
    let context = Array(task.contextRows)
    func rows(_ positions: some Sequence<Int>) -> [Int] {
      positions.map { task.targetRows.lowerBound + order[$0] }
    }
    let visible = plan.visibility.direct.map(\.all)
    guard plan.exactness == .blockwiseIndependent || plan.exactness == .truncated else {
      return try oracle.density(of: rows(order.indices), given: context).joint
    }
    var sum = 0.0
    var first = 0
    while first < visible.count {
      let end = visible[first...].firstIndex { $0 != visible[first] } ?? visible.count
      let seen = rows(visible[first].ranges.joined())
      sum += try oracle.density(of: rows(first..<end), given: context + seen).independent
      first = end
    }
    return sum
  }

  // MARK: Cost and time

  private func posterior(context: Int, on pool: ThreadPool?) throws -> (Posterior, Inputs) {
    let task = try task(0, context: context)
    return (
      try model.condition(on: task.dataset(task.contextRows), pool: pool),
      try task.dataset(task.targetRows).inputs
    )
  }

  /// Counts of one path, and the calls of many in lock step; by the realised trace where the plan verifies drafts.
  private func measured(
    _ template: PlanTemplate, context: Int
  ) throws -> (calls: Double, lockStep: Int, encodes: Double, reads: Double) {
    let (posterior, inputs) = try posterior(context: context, on: nil)
    let plan = try posterior.plan(template, at: inputs, unsupported: .reencode)
    guard plan.goesByDraws else {
      let cost = try plan.cost()
      return (Double(cost.calls), cost.calls, Double(cost.encodes), Double(cost.reads))
    }
    let trace = try posterior.sample(Row.paths, at: inputs, plan: template, seed: seed).trace
    guard let trace else { return (.nan, 0, .nan, .nan) }
    var sums = (calls: 0.0, encodes: 0.0, reads: 0.0)
    for path in trace.paths.indices {
      let cost = try plan.cost(of: Trace(paths: [trace.paths[path]]))
      sums.calls += Double(cost.calls)
      sums.encodes += Double(cost.encodes)
      sums.reads += Double(cost.reads)
    }
    let count = Double(trace.paths.count)
    return (
      sums.calls / count, try plan.cost(of: trace).calls, sums.encodes / count, sums.reads / count
    )
  }

  private struct Clock {
    let one: Ratio
    let many: Ratio
  }

  /// Times each plan right after the sequential one, again and again.
  private func times(_ plans: [PlanTemplate], context: Int, on pool: ThreadPool) throws -> [Int: Clock] {
    let (posterior, inputs) = try posterior(context: context, on: pool)
    func seconds(_ plan: PlanTemplate, _ paths: Int, _ times: Int) throws -> Double {
      let clock = ContinuousClock()
      let start = clock.now
      for time in 0..<times {
        _ = try posterior.sample(
          paths, at: inputs, plan: plan, seed: seed &+ UInt64(time), unsupported: .reencode,
          flopLimit: .infinity)
      }
      return (clock.now - start) / .seconds(1)
    }
    func ratio(_ plan: PlanTemplate, _ paths: Int, _ times: Int) throws -> Ratio {
      _ = try seconds(plan, paths, 1)
      return Ratio(
        try (0..<repetitions).map { _ in
          let reference = try seconds(.sequential, paths, times)
          return try seconds(plan, paths, times) / max(reference, 1e-9)
        })
    }
    var clocks: [Int: Clock] = [:]
    for (index, plan) in plans.enumerated() {
      clocks[index] = Clock(one: try ratio(plan, 1, 4), many: try ratio(plan, Row.paths, 1))
    }
    return clocks
  }
}
