import ChorusData
import ChorusInference
import ChorusModels
import ChorusPriors
import ChorusTensors
import Foundation

/// What models that differ in their memories lose against the exact answers of a prior, on the same tasks. All in nats
/// a target.
public struct MemoryComparison: Sendable {
  /// What one task gave: the exact densities' lead, and the plain scores for pairs of models.
  struct Score: Sendable {
    let joint: Double
    let marginal: Double
    let oracleJoint: Double?
    let oracleMarginal: Double?
    /// The joint density when the last quarter of the rows was taken in afterwards; nil where memories cannot.
    let takenIn: Double?
  }

  public struct Row: Sendable {
    public let name: String
    public let context: Int
    public let tasks: Int
    /// Exact joint density less the model's, sequential in random orders; nil where no task has an oracle.
    public let jointGap: OracleComparison.Estimate?
    /// The same of the targets one by one.
    public let marginalGap: OracleComparison.Estimate?
    /// The first model's joint density less this one's, paired over the tasks.
    public let toFirst: OracleComparison.Estimate
    /// What is lost when the last quarter of the context is taken in by `Posterior.observing(more:)`.
    public let takenInLoss: OracleComparison.Estimate?
    public let stateBytes: Int
  }

  public let prior: any Prior
  public let targets: Int
  public let tasks: Int
  public let orders: Int
  public let seed: UInt64

  public init(prior: any Prior, targets: Int, tasks: Int, orders: Int, seed: UInt64) {
    self.prior = prior
    self.targets = targets
    self.tasks = tasks
    self.orders = orders
    self.seed = seed
  }

  /// A row for each context size and model, models in their order.
  public func rows(
    _ models: [(name: String, model: Model)], contexts: [Int], on pool: ThreadPool,
    report: (Row) throws -> Void
  ) throws {
    let models = try models.map { (name: $0.name, model: try $0.model.reading(contexts.max() ?? 0)) }
    for context in contexts {
      var first: [Score]?
      for (name, model) in models {
        let scores = try scores(model, context: context, on: pool)
        let peers = first ?? scores
        func estimate(_ gap: (Score) -> Double?) -> OracleComparison.Estimate? {
          let values = scores.compactMap(gap)
          return values.isEmpty ? nil : OracleComparison.Estimate(values)
        }
        try report(
          Row(
            name: name, context: context, tasks: scores.count,
            jointGap: estimate { score in score.oracleJoint.map { $0 - score.joint } },
            marginalGap: estimate { score in score.oracleMarginal.map { $0 - score.marginal } },
            toFirst: OracleComparison.Estimate(zip(peers, scores).map { $0.joint - $1.joint }),
            takenInLoss: estimate { score in score.takenIn.map { score.joint - $0 } },
            stateBytes: model.network.contextBytes(rows: context)))
        if first == nil { first = scores }
      }
    }
  }

  private func scores(_ model: Model, context: Int, on pool: ThreadPool) throws -> [Score] {
    try pool.map(tasks) { index in try score(model, context: context, index: index) }
  }

  private func score(_ model: Model, context: Int, index: Int) throws -> Score {
    let generator = TaskGenerator(prior, seed: seed, domain: .evaluation)
    let task = try generator.task(
      index, step: context, shape: TaskShape(context: context, targets: targets, dimensions: 1))
    let observed = try task.dataset(task.contextRows)
    let posterior = try model.condition(on: observed)
    let asked = try task.dataset(task.targetRows)
    let law = try task.exactLaw()
    let orderSeed = seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
    let m = Double(targets)
    func density(_ posterior: Posterior, independent: Bool = false) throws -> Double {
      try posterior.logDensity(
        of: asked.y, at: asked.inputs, plan: independent ? .independent : .sequential,
        orders: independent ? 1 : orders, seed: orderSeed, flopLimit: .infinity
      ).value / m
    }
    var takenIn: Double?
    if model.network.memoryCapability.merge {
      let first = context - context / 4
      let part = try model.condition(on: observed.rows(Array(0..<first)), preparation: posterior.preparation)
      takenIn = try density(part.observing(more: observed.rows(Array(first..<context))))
    }
    return Score(
      joint: try density(posterior), marginal: try density(posterior, independent: true),
      oracleJoint: law.map { $0.joint / m }, oracleMarginal: law.map { $0.independent / m }, takenIn: takenIn)
  }
}

extension Model {
  /// The same model, for which contexts of `rows` rows are not thinned.
  fileprivate func reading(_ rows: Int) throws -> Model {
    var blueprint = self.blueprint
    blueprint.trainedContext = max(blueprint.trainedContext, rows)
    return Model(network: try Declaration(blueprint).network(network.weights), card: card, source: source)
  }
}
