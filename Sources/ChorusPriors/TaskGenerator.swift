import ChorusData
import ChorusTensors

/// The tasks of a training run: a pure function of (seed, step, task index), so a run that resumes, or draws
/// its tasks in several threads, sees the same ones.
public struct TaskGenerator: Sendable {
  /// In which units a task reaches the network.
  public enum Units: Sendable, Hashable {
    /// As drawn.
    case raw
    /// Each task in units in which its own context has mean 0 and standard deviation 1; a task whose context
    /// has fewer than two rows stays as drawn.
    case context
    /// Inputs like `context`, outputs as what a fit of at most that many waves to the context leaves: `Scaling.residual`.
    case residual(waves: Int)
  }

  public let prior: any Prior
  public let seed: UInt64
  public let units: Units
  /// The domain of the streams, so that evaluation sets and training never share a task.
  public let domain: StreamDomain

  public init(_ prior: any Prior, seed: UInt64, units: Units = .raw, domain: StreamDomain = .tasks) {
    self.prior = prior
    self.seed = seed
    self.units = units
    self.domain = domain
  }

  /// Task `index` of `step`.
  public func task(_ index: Int, step: Int, shape: TaskShape) throws(PriorError) -> PriorTask {
    var stream = RandomStream(
      seed: seed, domain, UInt64(bitPattern: Int64(step)), UInt64(bitPattern: Int64(index)))
    return try prior.draw(shape, from: &stream)
  }

  /// The scale a task is shown in, after `units`.
  public func scaling(of task: PriorTask) throws(PriorError) -> Scaling {
    guard units != .raw, task.shape.context >= 2 else { return .identity }
    let (n, d) = (task.shape.context, task.shape.dimensions)
    let (x, y) = (task.x.prefix(n * d), task.y.prefix(n))
    do {
      guard case .residual(let waves) = units else {
        return try Scaling.standardising(x: x, y: y, dimensions: d)
      }
      return try Scaling.residual(x: x, y: y, dimensions: d, waves: waves)
    } catch { throw .data(error) }
  }

  /// Draws task `index` of `step` into the same place of `batch`, whose sizes say what to draw.
  public func fill(_ index: Int, step: Int, into batch: inout TaskBatch) throws(PriorError) {
    let shape = TaskShape(
      context: batch.context, buffer: batch.buffer, targets: batch.targets, dimensions: batch.dimensions)
    try store(task(index, step: step, shape: shape), index, into: &batch)
  }

  /// Packs a task drawn elsewhere (in another thread, say) as number `index` of `batch`.
  public func store(_ task: PriorTask, _ index: Int, into batch: inout TaskBatch) throws(PriorError) {
    let scaling = try scaling(of: task)
    do { try batch.store(index, x: task.x, y: task.y, scaling: scaling) } catch { throw .data(error) }
  }

  /// The `tasks` tasks of `step`, one after the other.
  public func batch(_ tasks: Int, step: Int, shape: TaskShape) throws(PriorError) -> TaskBatch {
    var batch = try Self.empty(tasks, shape)
    for index in 0..<tasks { try fill(index, step: step, into: &batch) }
    return batch
  }

  /// A batch of zeros of the given sizes, for `fill` and `store`.
  public static func empty(_ tasks: Int, _ shape: TaskShape) throws(PriorError) -> TaskBatch {
    do {
      return try TaskBatch(
        tasks: tasks, context: shape.context, buffer: shape.buffer, targets: shape.targets,
        dimensions: shape.dimensions)
    } catch { throw .data(error) }
  }
}
