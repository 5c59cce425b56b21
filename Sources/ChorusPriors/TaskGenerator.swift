import ChorusTensors

/// The tasks of a training run: a pure function of (seed, step, task index), so a run that resumes, or draws
/// its tasks in several threads, sees the same ones.
public struct TaskGenerator: Sendable {
  public let prior: any Prior
  public let seed: UInt64
  /// The domain of the streams, so that evaluation sets and training never share a task.
  public let domain: StreamDomain

  public init(_ prior: any Prior, seed: UInt64, domain: StreamDomain = .tasks) {
    self.prior = prior
    self.seed = seed
    self.domain = domain
  }

  /// Task `index` of `step`.
  public func task(_ index: Int, step: Int, shape: TaskShape) throws(PriorError) -> PriorTask {
    var stream = RandomStream(
      seed: seed, domain, UInt64(bitPattern: Int64(step)), UInt64(bitPattern: Int64(index)))
    return try prior.draw(shape, from: &stream)
  }
}
