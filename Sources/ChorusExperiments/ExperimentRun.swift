import ChorusData
import ChorusEvaluation
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusStorage
import ChorusTensors
import ChorusTraining
import Foundation

/// A run of an experiment in a folder: a training run a network and seed, then `scores.jsonl`, a line a column, size, context
/// and seed. Everything done is kept: a run that was stopped goes on where it was, and ends with the same bytes.
public struct ExperimentRun: Sendable {
  public let experiment: Experiment
  public let folder: String
  /// Seeds of the weights and of the training tasks; the tasks that are asked about are the same for all.
  public let seeds: [UInt64]
  /// Tasks that every network is trained on.
  public let tasks: Int
  private let training: (any Prior)?
  private let evaluation: (any Prior)?
  let pool: ThreadPool
  private let scores: LineLog

  /// What a run was begun with.
  private struct Start: Codable, Equatable { var experiment: String, tasks: Int }

  /// Log densities of one column on tasks of one size, in nats a target.
  public struct Scores: Sendable, Codable {
    public var column: String
    public var targets: Int
    public var layout: StoredTasks.Split
    public var context: Int
    public var seed: UInt64
    /// Of the network that was asked; that of an oracle is empty.
    public var model: String
    public var orders: Int
    public var values: [Double]
    public var seconds: Double
  }

  /// Columns of the exact law of a task, where it has one.
  public static let oracle = "oracle"
  public static let oracleIndependent = "oracle, independent"

  /// Opens a folder.
  ///
  /// - Parameters:
  ///   - tasks: tasks of every network; nil for what the folder was begun with, or the experiment says.
  ///   - training: where training tasks come from; nil for the prior that a network's configuration names.
  ///   - evaluation: where the tasks that are asked about come from; nil for the prior that the experiment names.
  /// - Throws: `ExperimentError.run` for a folder that was begun otherwise; `PriorError`, `StorageError`.
  public init(
    _ experiment: Experiment, folder: String, seeds: Int = 1, tasks: Int? = nil,
    training: (any Prior)? = nil, evaluation: (any Prior)? = nil, on pool: ThreadPool
  ) throws {
    self.experiment = experiment
    self.folder = folder
    self.seeds = (1...UInt64(max(seeds, 1))).map { $0 }
    (self.training, self.evaluation) = (training, evaluation)
    self.pool = pool
    scores = LineLog(path: folder + "/scores.jsonl")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = folder + "/run.json"
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    if let kept = try? JSONDecoder().decode(Start.self, from: Data(RegularFile.read(path, limit: 1 << 16))) {
      guard kept.experiment == experiment.name, tasks ?? kept.tasks == kept.tasks else {
        throw ExperimentError.run(
          "\(folder) was begun with experiment '\(kept.experiment)' and \(kept.tasks) tasks a network; go on with those,"
            + " or name another folder")
      }
      self.tasks = kept.tasks
    } else {
      self.tasks = tasks ?? experiment.tasks
      try AtomicFile.write(
        encoder.encode(Start(experiment: experiment.name, tasks: self.tasks)), to: path)
    }
    try scores.keep { LineLog.value(Scores.self, of: $0) != nil }
  }

  /// Whether a folder holds a run.
  public static func isBegun(in folder: String) -> Bool {
    FileManager.default.fileExists(atPath: folder + "/run.json")
  }

  /// How many tasks each network can be trained on within `minutes` of this machine, by a few steps of each.
  public static func tasks(
    within minutes: Double, _ experiment: Experiment, seeds: Int, training: (any Prior)? = nil,
    on pool: ThreadPool
  ) throws -> Int {
    var seconds = 0.0
    for network in experiment.networks {
      let prior = try training ?? Priors.named(network.configuration.prior)
      // An adapter's steps take as long as its base's.
      guard network.base == nil else { continue }
      let trainer = try Trainer(network.configuration, prior: prior, on: pool)
      _ = try trainer.advance()
      let begin = Date()
      let steps = 12
      for _ in 0..<steps { _ = try trainer.advance() }
      seconds += Date().timeIntervalSince(begin) / Double(steps * network.configuration.batch)
    }
    guard seconds > 0 else { return experiment.tasks }
    let most = minutes * 60 / (seconds * Double(max(seeds, 1)))
    return max(1000, Int(most / 1000) * 1000)
  }

  // MARK: Training

  private func folder(of network: String, seed: UInt64) -> String { "\(folder)/\(network)-seed\(seed)" }

  /// A network that has been trained, with the first seed.
  func model(of network: String) throws -> Model {
    try Model(path: folder(of: network, seed: seeds[0]) + "/model.safetensors")
  }

  /// Trains what is not trained yet.
  ///
  /// - Parameters:
  ///   - stop: asked between steps; what is done is saved then, and false is returned.
  ///   - report: gets the network, its seed and a line of its log.
  public func train(
    stop: () -> Bool, report: (_ network: String, _ seed: UInt64, _ entry: Run.Entry) -> Void
  ) throws -> Bool {
    for seed in seeds {
      for network in experiment.networks {
        guard !stop() else { return false }
        let configuration = configuration(network, seed)
        let own = folder(of: network.name, seed: seed)
        if let model = try? Model(path: own + "/model.safetensors"),
          model.blueprint == configuration.blueprint,
          model.card["steps"] == String(configuration.steps)
        {
          continue
        }
        let prior = try training ?? Priors.named(configuration.prior)
        let base = try network.base.map { try Model(path: folder(of: $0, seed: seed) + "/model.safetensors") }
        let run = try Run(configuration, prior: prior, folder: own, resume: true, base: base, on: pool)
        try run.train(
          card: [
            "prior": configuration.prior, "seed": String(seed),
            "command": "chorus experiment run \(experiment.name)",
          ], stop: stop
        ) { report(network.name, seed, $0) }
        guard run.trainer.step == configuration.steps else { return false }
      }
    }
    return true
  }

  private func configuration(_ network: Experiment.Network, _ seed: UInt64) -> TrainingConfiguration {
    var configuration = network.configuration
    configuration.seed = seed
    configuration.steps = max(Int(Double(tasks) * network.share) / configuration.batch, 1)
    return configuration
  }

  /// What a network's training logged, and the hours it took.
  public func trainingLog(of network: String, seed: UInt64) -> (entries: [Run.Entry], hours: Double) {
    let log = Run.log(in: folder(of: network, seed: seed))
    return (log.entries, log.seconds / 3600)
  }

  // MARK: Scores

  /// Everything that has been scored.
  public func scored() -> [Scores] { scores.values() }

  /// Scores what is not scored yet with the networks as they are.
  ///
  /// - Parameter report: gets what was scored last, and how many there are of how many.
  /// - Returns: false where `stop` said so.
  public func score(stop: () -> Bool, report: (Scores, _ done: Int, _ of: Int) -> Void) throws -> Bool {
    let evaluation = try self.evaluation ?? Priors.named(experiment.evaluation.prior)
    let models = try askedModels()
    let known = Dictionary(scored().map { (key($0), $0) }, uniquingKeysWith: { $1 })
    let cells = experiment.evaluation.sizes.flatMap { size in
      experiment.evaluation.contexts.map { (size: size, context: $0) }
    }
    let total = cells.count * models.count
    var done = 0
    func keep(
      _ name: String, _ cell: (size: Experiment.Size, context: Int), _ seed: UInt64, _ model: String,
      orders: Int? = nil, _ body: () throws -> [Double]
    ) throws {
      // An oracle, whose seed is none, does not count: not every task has one.
      if seed > 0 { done += 1 }
      var scores = Scores(
        column: name, targets: cell.size.targets, layout: cell.size.layout, context: cell.context, seed: seed,
        model: model,
        orders: orders ?? cell.size.orders, values: [], seconds: 0)
      if let kept = known[key(scores)], kept.values.count == cell.size.functions { return }
      let begin = Date()
      scores.values = try body()
      scores.seconds = Date().timeIntervalSince(begin)
      try self.scores.append(json: scores)
      report(scores, done, total)
    }
    for cell in cells {
      guard !stop() else { return false }
      let exact = try pool.map(cell.size.functions) { index in try task(index, cell, evaluation).exactLaw() }
      if exact.allSatisfy({ $0 != nil }) {
        let laws = exact.compactMap { $0 }
        let count = Double(cell.size.targets)
        try keep(Self.oracle, cell, 0, "") { laws.map { $0.joint / count } }
        try keep(Self.oracleIndependent, cell, 0, "") { laws.map { $0.independent / count } }
      }
      for asked in models {
        guard !stop() else { return false }
        try keep(asked.column.name, cell, asked.seed, asked.fingerprint, orders: asked.column.orders) {
          try pool.map(cell.size.functions) { index in
            try value(of: asked.model, asked.column, cell.size, task(index, cell, evaluation), index)
          }
        }
      }
    }
    return true
  }

  private typealias Questioned = (column: Experiment.Column, seed: UInt64, model: Model, fingerprint: String)

  /// Who is asked, seed by seed and column by column: the networks as they are now, and with the first seed the models that were
  /// there before.
  private func askedModels() throws -> [Questioned] {
    var read: [String: (model: Model, fingerprint: String)] = [:]
    func model(_ path: String) throws -> (model: Model, fingerprint: String) {
      if let known = read[path] { return known }
      let model = try Model(path: path)
      read[path] = (model, try model.fingerprint)
      return (model, try model.fingerprint)
    }
    var asked: [Questioned] = []
    for (place, seed) in seeds.enumerated() {
      for column in experiment.columns {
        let path: String
        switch column.asked {
        case .network(let name): path = folder(of: name, seed: seed) + "/model.safetensors"
        case .model(let name):
          guard place == 0 else { continue }
          path = try ModelLocation.resolve(name)
        }
        let own = try model(path)
        asked.append((column, seed, own.model, own.fingerprint))
      }
    }
    return asked
  }

  private func key(_ scores: Scores) -> String {
    "\(scores.column) \(scores.targets) \(scores.layout) \(scores.context) \(scores.seed) \(scores.model) \(scores.orders)"
  }

  private func task(
    _ index: Int, _ cell: (size: Experiment.Size, context: Int), _ evaluation: any Prior
  ) throws -> PriorTask {
    let prior = (evaluation as? StoredTasks)?.splitting(cell.size.layout) ?? evaluation
    return try TaskGenerator(prior, seed: experiment.evaluation.seed, domain: .evaluation).task(
      index, step: cell.context,
      shape: TaskShape(
        context: cell.context, targets: cell.size.targets, dimensions: experiment.evaluation.dimensions))
  }

  /// The log density of a task's targets, in nats a target.
  private func value(
    of model: Model, _ column: Experiment.Column, _ size: Experiment.Size, _ task: PriorTask, _ index: Int
  ) throws -> Double {
    if case .plan(let plan) = column.law, model.blueprint.family == .sequence,
      model.blueprint.scaling == .none
    {
      // Values in their order, each of which reads what the plan shows it.
      let own = try model.network.logDensities(inOrder: task.y.map { Float($0) }, reading: plan)
        .suffix(size.targets)
      return own.reduce(0, +) / Double(size.targets)
    }
    let observed = try task.dataset(task.contextRows)
    let asked = try task.dataset(task.targetRows)
    let seed = experiment.evaluation.seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
    let orders = column.orders ?? size.orders
    func density(_ data: Dataset, _ plan: PlanTemplate, _ orders: Int) throws -> Double {
      try model.condition(on: data).logDensity(
        of: asked.y, at: asked.inputs, plan: plan, orders: orders, seed: seed, flopLimit: .infinity
      ).value
    }
    let value =
      switch column.law {
      case .copula: try GaussianCopula(model, observed, seed: seed).logDensity(of: asked.y, at: asked.inputs)
      case .plan(let plan): try density(observed, plan, orders)
      case .orderGap: try orderGap(observed, orders, seed) { try density($0, .independent, 1) }
      }
    return value / Double(size.targets)
  }

  /// The log of the mean density over orders of the context minus the mean of its logarithm.
  private func orderGap(
    _ observed: Dataset, _ orders: Int, _ seed: UInt64, _ density: (Dataset) throws -> Double
  ) throws -> Double {
    let logs = try (0..<orders).map { order in
      var stream = RandomStream(seed: seed, .evaluation, 1 << 42, UInt64(order))
      return try density(observed.rows(stream.permutation(observed.count)))
    }
    let top = logs.max() ?? 0
    return top + log(logs.reduce(0) { $0 + exp($1 - top) } / Double(orders)) - logs.reduce(0, +)
      / Double(orders)
  }
}
