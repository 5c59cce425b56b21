import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPriors
import ChorusStorage
import Foundation

extension ExperimentRun {
  /// A log marginal likelihood of one data set, in nats, answers in degrees.
  public struct EvidenceScore: Sendable, Codable {
    /// A column of the block `evidence`, or `integral`.
    public var column: String
    /// Two an observer.
    public var dataSet: Int
    /// Index in `Experiment.Evidence.priors`.
    public var prior: Int
    public var trials: Int
    public var seed: UInt64
    /// Of the network that was asked; that of the integral is empty.
    public var model: String
    public var orders: Int
    public var value: Double
    /// Of the integral.
    public var standardError: Double?
    public var seconds: Double
  }

  /// The column of the integral over observers.
  public static let integral = "integral"

  private var evidenceLog: LineLog { LineLog(path: folder + "/evidence.jsonl") }

  /// Every log marginal likelihood that is known.
  public func evidence() -> [EvidenceScore] { evidenceLog.values() }

  /// Works out what is not known yet, with the first seed's networks as they are: the integral over observers, and what each
  /// column's two networks say with an empty context.
  ///
  /// - Parameter report: gets what was found last, and how many there are of how many.
  /// - Returns: false where `stop` said so.
  /// - Throws: `ExperimentError.run` for an experiment without a block `evidence`; `LinearAlgebraError` where an integral cannot be
  ///   had.
  public func scoreEvidence(
    stop: () -> Bool, report: (EvidenceScore, _ done: Int, _ of: Int) -> Void
  ) throws -> Bool {
    guard let evidence = experiment.evidence else {
      throw ExperimentError.run(
        "experiment '\(experiment.name)' has no block evidence: it compares no models of observers")
    }
    let log = evidenceLog
    try log.keep { LineLog.value(EvidenceScore.self, of: $0) != nil }
    func key(_ score: EvidenceScore) -> String {
      "\(score.column) \(score.dataSet) \(score.prior) \(score.trials) \(score.seed) \(score.model) \(score.orders)"
    }
    let known = Set(self.evidence().map(key))
    let sets = CausalInference.dataSets(
      observers: evidence.observers, trials: evidence.trials, seed: evidence.seed)
    var models: [String: (model: Model, fingerprint: String)] = [:]
    for name in Set(evidence.columns.flatMap(\.networks)).sorted() {
      let model = try model(of: name)
      models[name] = (model, try model.fingerprint)
    }
    let total = sets.count * Experiment.Evidence.priors.count * (evidence.columns.count + 1)
    var done = 0
    for (index, set) in sets.enumerated() {
      for (place, prior) in Experiment.Evidence.priors.enumerated() {
        func keep(
          _ column: String, _ model: String, _ orders: Int, _ body: () throws -> (Double, Double?)
        ) throws {
          done += 1
          var score = EvidenceScore(
            column: column, dataSet: index, prior: place, trials: set.trials.count, seed: evidence.seed,
            model: model, orders: orders, value: 0, standardError: nil, seconds: 0)
          guard !known.contains(key(score)) else { return }
          let begin = Date()
          (score.value, score.standardError) = try body()
          score.seconds = Date().timeIntervalSince(begin)
          try log.append(json: score)
          report(score, done, total)
        }
        guard !stop() else { return false }
        try keep(Self.integral, "", 0) {
          let found = try CausalInference.logMarginalLikelihood(
            of: set.trials, stretch: prior.stretch, seed: evidence.seed, on: pool)
          return (found.value, found.standardError)
        }
        for column in evidence.columns {
          guard !stop() else { return false }
          guard let asked = models[column.networks[place]] else { continue }
          try keep(column.name, asked.fingerprint, column.orders ?? evidence.orders) {
            (try logDensity(of: set, by: asked.model, column, evidence), nil)
          }
        }
      }
    }
    return true
  }

  /// What a network says of a whole data set, answers in degrees.
  private func logDensity(
    of set: CausalInference.DataSet, by model: Model, _ column: Experiment.Evidence.Column,
    _ evidence: Experiment.Evidence
  ) throws -> Double {
    let prior = CausalPrior.plain
    let task = PriorTask(
      shape: TaskShape(context: 0, targets: set.trials.count, dimensions: prior.dimensions.upperBound),
      x: set.trials.flatMap(CausalPrior.input), y: set.trials.map { $0.answer / CausalPrior.degrees },
      component: prior.name)
    let asked = try task.dataset(task.targetRows)
    let said = try model.condition(on: task.dataset(task.contextRows)).logDensity(
      of: asked.y, at: asked.inputs, plan: column.plan, orders: column.orders ?? evidence.orders,
      seed: evidence.seed, flopLimit: .infinity)
    return said.value - Double(set.trials.count) * log(CausalPrior.degrees)
  }
}
