import ChorusData
import ChorusHints
import ChorusModels
import ChorusPriors
import ChorusTensors

/// What a training step asks of a network: −log p(y_m | x_m, context, first v_m buffer rows), averaged over targets, with one
/// rule for the buffer and for v.
public enum Objective: String, Sendable, Codable, CaseIterable {
  /// The buffer has rows of its own (Hassan et al. 2026, sec. 3 and A.2). Half of the targets see none of them; the prefixes
  /// of the others cover 1...C evenly, one drawn in each of M/2 equal strata: the same law as independent draws, with less
  /// variance. With a buffer of no rows it is the independent objective of a conditional neural process (TNP-D).
  case buffered
  /// The targets themselves are the buffer, and each sees those before it (TNP-A, Nguyen and Grover 2022).
  case autoregressive

  /// How many buffer rows each target sees.
  func prefixes(targets: Int, buffer: Int, from stream: inout RandomStream) -> [Int32] {
    guard self == .buffered else { return (0..<Int32(targets)).map { min($0, Int32(buffer)) } }
    let free = targets - targets / 2
    let reading = targets / 2
    guard buffer > 0 else { return [Int32](repeating: 0, count: targets) }
    return [Int32](repeating: 0, count: free)
      + (0..<reading).map { index in
        let position = (Double(index) + stream.uniform()) * Double(buffer) / Double(reading)
        return 1 + Int32(min(Int(position), buffer - 1))
      }
  }

  /// The sizes of the tasks of a step whose buffer would have `shape.buffer` rows.
  func shape(_ shape: TaskShape) -> TaskShape {
    guard self == .autoregressive else { return shape }
    var own = shape
    own.buffer = shape.targets
    return own
  }

  /// Task `index` of `step` in the network's units, as a batch of one, its inputs in random order unless the prior keeps them:
  /// which column is which is then no knowledge a model should have.
  func batch(
    _ source: TaskSource, index: Int, step: Int, _ shape: TaskShape, _ stream: inout RandomStream
  ) throws -> TaskBatch {
    var drawn = shape
    if self == .autoregressive { drawn.buffer = 0 }
    var task = try source.generator.task(index, step: step, shape: drawn)
    // Before anything is fitted to the columns, so that what is found along one belongs to it.
    if shape.dimensions > 1, !source.generator.prior.keepsColumns {
      task = task.withColumns(in: stream.permutation(shape.dimensions))
    }
    if self == .autoregressive { task = task.withTargetsAsBuffer() }
    return try source.batch(of: task)
  }
}

/// Sums of a pass over some tasks: losses of targets without and with buffer, kept apart.
public struct LossSums: Sendable, Hashable {
  public var free = 0.0
  public var buffered = 0.0
  /// Over all targets of a task, whatever they see.
  private var all = 0.0
  /// Whether half of the targets see no buffer, in every task.
  private var isHalved = true
  public var tasks = 0

  init() {}

  /// In the order of the parts.
  init(adding parts: [LossSums]) {
    for part in parts { add(part) }
  }

  /// As numbers, `width` of them, which other processes read.
  var numbers: [Double] { [free, buffered, all, isHalved ? 1 : 0, Double(tasks)] }
  static let width = 5

  init(_ numbers: ArraySlice<Double>) {
    let first = numbers.startIndex
    (free, buffered, all) = (numbers[first], numbers[first + 1], numbers[first + 2])
    (isHalved, tasks) = (numbers[first + 3] != 0, Int(exactly: numbers[first + 4]) ?? 0)
  }

  mutating func add(_ other: LossSums) {
    free += other.free
    buffered += other.buffered
    all += other.all
    isHalved = isHalved && other.isHalved
    tasks += other.tasks
  }

  mutating func add(logDensities: [Float], prefixes: [Int32]) {
    var sums = (free: 0.0, buffered: 0.0)
    var counts = (free: 0, buffered: 0)
    for (logp, prefix) in zip(logDensities, prefixes) {
      if prefix == 0 {
        sums.free -= Double(logp)
        counts.free += 1
      } else {
        sums.buffered -= Double(logp)
        counts.buffered += 1
      }
    }
    free += sums.free / Double(max(counts.free, 1))
    buffered += sums.buffered / Double(max(counts.buffered, 1))
    isHalved = isHalved && counts.buffered > 0 && counts.free - counts.buffered == logDensities.count % 2
    all += (sums.free + sums.buffered) / Double(max(logDensities.count, 1))
    tasks += 1
  }

  /// Mean loss in nats a target, in the network's units.
  public var mean: Double {
    tasks == 0 ? 0 : (isHalved ? (free + buffered) / 2 : all) / Double(tasks)
  }
  public var meanFree: Double { tasks == 0 ? 0 : free / Double(tasks) }
  public var meanBuffered: Double { tasks == 0 ? 0 : buffered / Double(tasks) }
}
