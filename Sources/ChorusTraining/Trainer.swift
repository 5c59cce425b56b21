import ChorusData
import ChorusHints
import ChorusModels
import ChorusPriors
import ChorusTensors
import Foundation

/// Trains one network on one prior. A step is a pure function of the weights, the configuration and its number, so
/// a run that was stopped and resumed gives the bytes of one that never stopped.
public final class Trainer: Sendable {
  public let configuration: TrainingConfiguration
  public let network: any Architecture
  let tasks: TaskSource
  let validation: TaskSource
  let optimiser: Optimiser
  /// Where what is learned changes a given model; nil where the network's own weights are learned.
  let adapter: Adapter?
  /// The network's weights, with their gradients, where they are not what is learned.
  private let composed: (weights: Weights, average: Weights, gradients: [FloatBuffer])?
  let pool: ThreadPool
  let exchange: any Exchange
  private let idle = Lock<[TapeBox]>([])
  private let turn = Lock(())
  let progress: Lock<Int>

  /// A tape that waits for a thread. There are as many as threads rather than one a shard, so that what a task
  /// leaves behind is overwritten while it is still in the cache.
  private struct TapeBox: @unchecked Sendable { let tape: Tape }

  /// Steps done so far.
  public var step: Int { progress.withLock { $0 } }
  /// Tasks seen so far.
  public var tasksSeen: Int { step * configuration.batch }

  /// - Parameters:
  ///   - validation: where tasks that are never trained on come from; nil for the same prior, from other streams.
  ///   - base: the model that an adapter changes, where `configuration.adapterRank` asks for one.
  ///   - exchange: the processes that train together, each with its part of a step's tasks.
  public init(
    _ configuration: TrainingConfiguration, prior: any Prior, validation other: (any Prior)? = nil,
    base: Model? = nil, on pool: ThreadPool, with exchange: any Exchange = Alone()
  ) throws {
    try configuration.validate()
    let shards = try Self.parts(configuration, among: exchange)
    self.configuration = configuration
    func source(_ prior: any Prior, _ domain: StreamDomain) -> TaskSource {
      TaskSource(TaskGenerator(prior, seed: configuration.seed, domain: domain), for: configuration.blueprint)
    }
    (tasks, validation) = (source(prior, .tasks), source(other ?? prior, .evaluation))
    self.pool = pool
    self.exchange = exchange
    let declared = try Declaration(configuration.blueprint)
    if let wrong = configuration.dimensions.first(where: { !prior.dimensions.contains($0) }) {
      throw TrainingError.configuration(
        "prior '\(prior.name)' draws \(prior.dimensions.lowerBound) to \(prior.dimensions.upperBound) inputs, not \(wrong)"
      )
    }
    guard !prior.isSequence || configuration.blueprint.family == .sequence else {
      throw TrainingError.configuration(
        "prior '\(prior.name)' draws sequences; give blueprint.family 'sequence'")
    }
    guard (base != nil) == (configuration.adapterRank > 0) else {
      throw TrainingError.configuration(
        base == nil
          ? "an adapter of rank \(configuration.adapterRank) changes a model; name it"
          : "adapterRank is 0: give the rank of the adapter that is to be trained")
    }
    let weights = Weights(declared.table, training: true, precision: configuration.precision)
    adapter = try base.map {
      try Adapter(of: $0, blueprint: configuration.blueprint, rank: configuration.adapterRank)
    }
    if let adapter {
      let values = Weights(adapter.table)
      adapter.initialise(values, seed: configuration.seed)
      optimiser = Optimiser(values, shards: shards, asTree: configuration.leaves > 0)
      adapter.compose(values, into: weights)
      composed = (
        weights, Weights(declared.table),
        (0..<shards).map { _ in FloatBuffer(count: declared.table.count) }
      )
    } else {
      declared.initialise(weights, seed: configuration.seed)
      optimiser = Optimiser(weights, shards: shards, asTree: configuration.leaves > 0)
      composed = nil
    }
    network = try declared.network(weights)
    progress = Lock(0)
  }

  /// What is learned, as trained, and its running average, which is what a finished model holds: the network's weights, or an
  /// adapter's.
  public var weights: Weights { optimiser.weights }
  public var averagedWeights: Weights { optimiser.average }

  /// Makes the network's weights those of what is learned.
  func compose() {
    if let adapter, let composed { adapter.compose(optimiser.weights, into: composed.weights, on: pool) }
  }

  /// The network's averaged weights, packed.
  private func average() -> Weights {
    guard let adapter, let composed else {
      optimiser.average.pack(on: pool)
      return optimiser.average
    }
    adapter.compose(optimiser.average, into: composed.average, on: pool)
    return composed.average
  }

  public struct StepReport: Sendable {
    public let step: Int
    public let loss: LossSums
    /// Norm of the gradient before clipping.
    public let gradientNorm: Double
  }

  /// The sizes of a step's tasks, a pure function of the stream.
  func shape(from stream: inout RandomStream) -> TaskShape {
    configuration.objective.shape(
      TaskShape(
        context: contextSize(from: &stream),
        buffer: configuration.buffers[stream.below(configuration.buffers.count)],
        targets: configuration.targets,
        dimensions: configuration.dimensions[stream.below(configuration.dimensions.count)]))
  }

  private func contextSize(from stream: inout RandomStream) -> Int {
    let (least, most) = (configuration.context[0], configuration.context[1])
    guard configuration.smallContexts > 0, stream.uniform() < configuration.smallContexts else {
      return stream.integer(in: least...most)
    }
    // Log-uniform over N + 1, so that an empty context has its turn too.
    let ratio = Double(most + 1) / Double(least + 1)
    return min(most, Int(Double(least + 1) * pow(ratio, stream.uniform())) - 1)
  }

  /// Weights and moments are for one caller at a time: whoever else asks waits until `body` is done.
  func exclusively<Value: Sendable>(_ body: () throws -> Value) throws -> Value {
    try turn.withLock { _ in try body() }
  }

  /// Draws the step's tasks, adds up gradients over a fixed number of parts and moves the weights.
  ///
  /// Callers on several threads take their steps one after another.
  public func advance() throws -> StepReport { try exclusively(takeStep) }

  private func takeStep() throws -> StepReport {
    let step = self.step
    var sizes = RandomStream(seed: configuration.seed, .shapes, UInt64(step))
    let shape = shape(from: &sizes)
    let (batch, parts) = (configuration.batch, optimiser.shards.count * exchange.ranks)
    let loss: LossSums
    do {
      loss = LossSums(
        adding: try together(parts) { [self] part, place in
          let members = batch * part / parts..<batch * (part + 1) / parts
          return try withTape { tape in
            var sums = LossSums()
            for task in members {
              try sums.add(
                accumulate(
                  task, step, shape, on: tape, into: (composed?.gradients ?? optimiser.shards)[place]))
            }
            return sums
          }
        })
      guard loss.mean.isFinite else { throw TrainingError.diverged(step: step) }
    } catch {
      optimiser.discard()  // what the other tasks have added up
      for buffer in composed?.gradients ?? [] { buffer.fill(0) }
      throw error
    }
    if let adapter, let composed {
      pool.run(optimiser.shards.count) { [self] shard in
        adapter.project(composed.gradients[shard], at: optimiser.weights, into: optimiser.shards[shard])
        composed.gradients[shard].fill(0)
      }
    }
    let norm = try optimiser.step(step, configuration, on: pool, with: exchange)
    guard norm.isFinite else { throw TrainingError.diverged(step: step) }
    compose()
    progress.withLock { $0 = step + 1 }
    return StepReport(step: step + 1, loss: loss, gradientNorm: norm)
  }

  private func withTape<R>(_ body: (Tape) throws -> R) rethrows -> R {
    let box = idle.withLock { $0.popLast() } ?? TapeBox(tape: Tape(network.weights))
    defer { idle.withLock { $0.append(box) } }
    return try body(box.tape)
  }

  private func accumulate(
    _ task: Int, _ step: Int, _ shape: TaskShape, on tape: Tape, into gradients: FloatBuffer
  ) throws -> LossSums {
    var stream = RandomStream(seed: configuration.seed, .shapes, UInt64(step), UInt64(task))
    let batch = try configuration.objective.batch(tasks, index: task, step: step, shape, &stream)
    let prefixes = configuration.objective.prefixes(
      targets: shape.targets, buffer: shape.buffer, from: &stream)
    tape.reset()
    let (loss, logDensities) = network.loss(
      batch, task: 0, prefixes: prefixes, weight: 1 / Float(shape.targets * configuration.batch), on: tape)
    tape.backward(from: loss, into: gradients)
    var sums = LossSums()
    sums.add(logDensities: logDensities, prefixes: prefixes)
    return sums
  }

  /// Loss of the averaged weights on tasks that are the same at every call and never trained on.
  public func validate() throws -> LossSums { try exclusively(validationLoss) }

  private func validationLoss() throws -> LossSums {
    let average = average()
    return LossSums(
      adding: try together(configuration.validationTasks) { [self] index, _ in
        var stream = RandomStream(seed: configuration.seed, .evaluation, UInt64(index))
        let shape = shape(from: &stream)
        let batch = try configuration.objective.batch(validation, index: index, step: 0, shape, &stream)
        let prefixes = configuration.objective.prefixes(
          targets: shape.targets, buffer: shape.buffer, from: &stream)
        let tape = Tape(average)
        let (_, logDensities) = network.loss(batch, task: 0, prefixes: prefixes, weight: 1, on: tape)
        var sums = LossSums()
        sums.add(logDensities: logDensities, prefixes: prefixes)
        return sums
      })
  }
}
