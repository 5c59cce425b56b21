import ChorusEvaluation
import ChorusMemories
import ChorusModels
import ChorusPriors
import ChorusTensors
import ChorusTraining
import Foundation

/// Networks of sequences that differ in their layers' memory alone, trained on the same tasks and asked the same questions.
///
/// Every network and seed is a training run in a folder of its own, `FOLDER/MEMORY-SEED`: what is done is kept, and the same
/// trials go on with it.
public struct MemoryTrials: Sendable {
  /// What all networks share but their memory and seed.
  public let configuration: TrainingConfiguration
  /// Memories by their names in the registry.
  public let memories: [String]
  public let seeds: Int
  public let folder: String
  private let prior: any Prior
  private let validation: (any Prior)?
  private let origin: [String: String]
  private let pool: ThreadPool

  /// What one memory's networks have come to.
  public struct Row: Sendable {
    public let memory: String
    /// Bytes that it holds of a sequence as long as those trained on.
    public let stateBytes: Int
    public let parameters: Int
    /// Steps done, of the network that is behind where there are several.
    public let steps: Int
    /// Of each seed.
    public let scores: [SequenceScores]
    /// Seconds of training, of all seeds.
    public let seconds: Double

    /// The mean over seeds, and its standard error over tasks, those of all seeds counted.
    public func mean(_ of: (SequenceScores) -> OracleComparison.Estimate?) -> (value: Double, error: Double)?
    {
      let all = scores.compactMap(of)
      guard !all.isEmpty, all.count == scores.count else { return nil }
      let n = Double(all.count)
      let squares = all.reduce(0) { $0 + $1.standardError * $1.standardError }
      return (all.reduce(0) { $0 + $1.mean } / n, squares.squareRoot() / n)
    }

    /// The seeds' own means.
    public func means(_ of: (SequenceScores) -> OracleComparison.Estimate?) -> [Double] {
      scores.compactMap { of($0)?.mean }
    }
  }

  /// - Throws: `MemoryError` for a name that no memory has; `TrainingError`.
  public init(
    _ configuration: TrainingConfiguration, memories: [String], seeds: Int = 1, folder: String,
    prior: any Prior, validation: (any Prior)? = nil, origin: [String: String] = [:], on pool: ThreadPool
  ) throws {
    for name in memories { _ = try MemoryRegistry.named(name) }
    (self.configuration, self.memories, self.seeds) = (configuration, memories, seeds)
    (self.folder, self.prior, self.validation, self.origin) = (folder, prior, validation, origin)
    self.pool = pool
    for name in memories { try own(name, seed: 1).validate() }
  }

  private func place(_ memory: String, seed: Int) -> String { "\(folder)/\(memory)-\(seed)" }

  private func own(_ memory: String, seed: Int) throws -> TrainingConfiguration {
    var own = configuration
    own.blueprint.memories = [try MemoryRegistry.named(memory)]
    own.seed = UInt64(seed)
    return own
  }

  /// Trains what is not trained yet, one network after another and the first seed of all before the next.
  ///
  /// - Parameters:
  ///   - seconds: of training for each network, which decides its steps by the speed of this machine, once; nil for the
  ///     configuration's steps.
  ///   - stop: asked before every step; what is done then is kept.
  /// - Returns: whether all networks are trained.
  public func train(
    secondsEach seconds: Double? = nil, stop: () -> Bool,
    report: (_ memory: String, _ seed: Int, Run.Entry) -> Void
  ) throws -> Bool {
    for seed in 1...max(seeds, 1) {
      for memory in memories {
        let place = place(memory, seed: seed)
        var configuration = try own(memory, seed: seed)
        if let kept = try? Run.configuration(in: place) {
          if seconds != nil { configuration.steps = kept.steps }
        } else if let seconds {
          configuration.steps = try steps(configuration, seconds: seconds)
        }
        let run = try Run(
          configuration, prior: prior, validation: validation, folder: place, resume: true, origin: origin,
          on: pool)
        if run.trainer.step < configuration.steps {
          try run.train(
            card: ["prior": configuration.prior, "memory": memory, "seed": String(seed)], stop: stop,
            report: { report(memory, seed, $0) })
        }
        if run.trainer.step < configuration.steps { return false }
      }
    }
    return true
  }

  /// Steps that take so many seconds here, by a short trial that is thrown away. What counts is the processors' time, shared evenly
  /// among the threads: other work on the machine, which differs from trial to trial, would make the comparison unfair.
  private func steps(_ configuration: TrainingConfiguration, seconds: Double) throws -> Int {
    let trainer = try Trainer(configuration, prior: prior, validation: validation, on: pool)
    _ = try trainer.advance()
    let (start, threads) = (ProcessorTime.seconds, Double(pool.threads))
    var (count, spent) = (0, 0.0)
    while count < 5 || spent < 2 {
      _ = try trainer.advance()
      count += 1
      spent = (ProcessorTime.seconds - start) / threads
    }
    let each = spent / Double(count)
    return max(50, Int(seconds / each))
  }

  /// What somebody says of the same tasks who knows the law that they are drawn from; nil where nobody does.
  public func oracle(tasks: Int, of asked: TaskShape? = nil) throws -> SequenceScores? {
    try SequenceScores(oracleOf: generator, asked ?? shape, tasks: tasks, on: pool)
  }

  /// What somebody says of the same tasks whose law of a task's targets `law` gives, each target by itself.
  public func scores(
    tasks: Int, of asked: TaskShape? = nil, by law: @escaping @Sendable (PriorTask) throws -> OracleDensity
  ) throws -> SequenceScores {
    try SequenceScores(of: generator, asked ?? shape, tasks: tasks, on: pool, by: law)
  }

  private var generator: TaskGenerator {
    TaskGenerator(validation ?? prior, seed: 101, domain: .evaluation)
  }
  private var shape: TaskShape {
    TaskShape(
      context: configuration.context[1], buffer: configuration.buffers.max() ?? 0,
      targets: configuration.targets, dimensions: configuration.dimensions[0])
  }

  /// What the trained networks, and those that are not yet, say of `tasks` tasks that none has seen.
  ///
  /// - Parameter shape: of these tasks; nil for the one that is trained on.
  public func rows(tasks: Int, of asked: TaskShape? = nil) throws -> [Row] {
    let shape = asked ?? self.shape
    return try memories.compactMap { memory in
      var (scores, steps, seconds, parameters) = ([SequenceScores](), Int.max, 0.0, 0)
      for seed in 1...max(seeds, 1) {
        let place = place(memory, seed: seed)
        guard FileManager.default.fileExists(atPath: place + "/model.safetensors") else { continue }
        let model = try Model(path: place + "/model.safetensors")
        scores.append(try SequenceScores(model, generator, shape, tasks: tasks, on: pool))
        steps = min(steps, model.card["steps"].flatMap { Int($0) } ?? 0)
        seconds += Run.log(in: place).seconds
        parameters = model.parameterCount
      }
      guard !scores.isEmpty else { return nil }
      return Row(
        memory: memory, stateBytes: try own(memory, seed: 1).blueprint.stateBytes(rows: shape.rows),
        parameters: parameters, steps: steps, scores: scores, seconds: seconds)
    }
  }
}
