import ChorusModels
import ChorusTensors
import Foundation

/// A training run as data: prior, sizes, schedule and seed fix every byte of the result.
public struct TrainingConfiguration: Sendable, Hashable, Codable {
  /// Name of the prior the tasks come from.
  public var prior = "gp"
  public var blueprint = Blueprint()
  /// Rank of the changes to a given model that are learned in the place of a network's weights (`Adapter`); 0 for none.
  public var adapterRank = 0
  public var steps = 10_000
  /// Tasks a step.
  public var batch = 16
  /// The parts that a step's tasks are divided into where several processes train together: a power of two. Each part's gradient is a
  /// leaf of one binary tree of additions, so that the bytes depend on this number and not on that of the processes. 0: eight
  /// parts that are added one after another, by one process.
  public var leaves = 0
  /// What matrix products are rounded to while training; the weights that are learned are 32-bit floats.
  public var precision = Precision.f32
  public var seed: UInt64 = 0
  /// Context sizes, drawn uniformly, one a step.
  public var context = [4, 192]
  /// The share of steps whose context size is log-uniform instead, so that small contexts are not rare.
  public var smallContexts = 0.0
  /// Which buffer a target sees.
  public var objective = Objective.buffered
  /// Buffer sizes, one drawn a step; 0 for a network that is trained without a buffer. The autoregressive objective has
  /// as many rows as targets, whatever this says.
  public var buffers = [16, 64]
  /// Numbers of inputs, one drawn a step; repeat one to draw it more often.
  public var dimensions = [1]
  /// Scored targets of a task; half of them see no buffer.
  public var targets = 64
  /// Peak learning rate, reached after `warmUp`·steps and brought down to 0 by half a cosine.
  public var rate = 1e-3
  public var warmUp = 0.05
  public var beta1 = 0.9
  public var beta2 = 0.99
  public var epsilon = 1e-8
  /// Decoupled weight decay, on matrices only.
  public var decay = 0.01
  /// Largest norm of the gradient; longer ones are shortened to it.
  public var clip = 1.0
  /// Largest weight kept of the running average in a step.
  public var average = 0.999
  public var validateEvery = 500
  public var validationTasks = 64
  public var checkpointEvery = 500

  public init() {}

  enum CodingKeys: String, CodingKey, CaseIterable {
    case prior, blueprint, steps, batch, leaves, seed, context, smallContexts, buffers, dimensions, targets,
      rate,
      warmUp
    case objective, adapterRank, beta1, beta2, epsilon, decay, clip, average, validateEvery, validationTasks,
      checkpointEvery, precision
  }

  /// Fields that are absent take their defaults; unknown ones are refused by name.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<TrainingConfiguration, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
    try read(.prior, \.prior)
    try read(.blueprint, \.blueprint)
    try read(.adapterRank, \.adapterRank)
    try read(.steps, \.steps)
    try read(.batch, \.batch)
    try read(.leaves, \.leaves)
    try read(.precision, \.precision)
    try read(.seed, \.seed)
    try read(.context, \.context)
    try read(.smallContexts, \.smallContexts)
    try read(.objective, \.objective)
    try read(.buffers, \.buffers)
    try read(.dimensions, \.dimensions)
    try read(.targets, \.targets)
    try read(.rate, \.rate)
    try read(.warmUp, \.warmUp)
    try read(.beta1, \.beta1)
    try read(.beta2, \.beta2)
    try read(.epsilon, \.epsilon)
    try read(.decay, \.decay)
    try read(.clip, \.clip)
    try read(.average, \.average)
    try read(.validateEvery, \.validateEvery)
    try read(.validationTasks, \.validationTasks)
    try read(.checkpointEvery, \.checkpointEvery)
  }

  /// The settings that a resumed run may change: how long it goes on, and how often it validates and saves.
  public static let changeable: Set = ["steps", "validateEvery", "validationTasks", "checkpointEvery"]

  /// A setting that two configurations have different values of, as JSON; one inside the blueprint is `blueprint.NAME`.
  public struct Difference: Sendable, Hashable {
    public let name: String
    public let own: String
    public let other: String
  }

  /// The settings in which this configuration and another differ, by name.
  public func differences(from other: TrainingConfiguration) throws -> [Difference] {
    let (own, other) = (try settings(), try other.settings())
    return Set(own.keys).union(other.keys).sorted().compactMap { name in
      let (a, b) = (own[name] ?? "absent", other[name] ?? "absent")
      return a == b ? nil : Difference(name: name, own: a, other: b)
    }
  }

  /// Every setting by its name, as JSON.
  private func settings() throws -> [String: String] {
    func flat(_ values: [String: Any], _ prefix: String) throws -> [String: String] {
      try values.reduce(into: [:]) { result, entry in
        if let inner = entry.value as? [String: Any] {
          result.merge(try flat(inner, prefix + entry.key + ".")) { first, _ in first }
        } else {
          let json = try JSONSerialization.data(
            withJSONObject: entry.value, options: [.fragmentsAllowed, .sortedKeys])
          result[prefix + entry.key] = String(decoding: json, as: UTF8.self)
        }
      }
    }
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(self))
    return try flat(object as? [String: Any] ?? [:], "")
  }

  public func validate() throws(TrainingError) {
    func check(_ condition: Bool, _ text: String) throws(TrainingError) {
      if !condition { throw .configuration(text) }
    }
    do { _ = try Declaration(blueprint) } catch { throw .configuration(error.description) }
    try check(
      (0...blueprint.width).contains(adapterRank),
      "adapterRank must be within 0...blueprint.width (\(blueprint.width))")
    try check((1...99_999_999).contains(steps), "steps must be within 1...99999999")
    try check((1...65_536).contains(batch), "batch must be within 1...65536")
    try check(
      leaves == 0 || (1...4096).contains(leaves) && leaves & (leaves - 1) == 0,
      "leaves must be 0, or a power of two within 1...4096")
    try check(
      context.count == 2 && context[0] >= 0 && context[0] <= context[1] && context[1] <= 100_000,
      "context must be two sizes, the smaller first")
    try check((0...1).contains(smallContexts), "smallContexts is a share of the steps, 0...1")
    try check(
      !buffers.isEmpty && buffers.allSatisfy { (0...10_000).contains($0) },
      "buffers must be one or more sizes within 0...10000")
    try check(
      !dimensions.isEmpty && dimensions.allSatisfy { (1...blueprint.inputDimensions).contains($0) },
      "dimensions must be one or more numbers within 1...blueprint.inputDimensions (\(blueprint.inputDimensions))"
    )
    try check((2...100_000).contains(targets), "targets must be at least 2")
    try check(
      objective == .buffered || blueprint.family != .sequence,
      "objective 'autoregressive' is for networks of sets; a sequence is predicted in its order as it is")
    try check(rate > 0 && rate.isFinite, "rate must be positive")
    try check((0...1).contains(warmUp), "warmUp is a fraction of the steps, 0...1")
    try check((0..<1).contains(beta1) && (0..<1).contains(beta2), "betas must be in 0..<1")
    try check(Float(epsilon) > 0 && epsilon.isFinite, "epsilon must be positive")
    try check(decay >= 0 && decay.isFinite, "decay must be 0 or positive")
    try check((0..<1).contains(average), "average must be in 0..<1")
    try check(clip > 0, "clip must be positive")
    try check((1...1_000_000).contains(validationTasks), "validationTasks must be within 1...1000000")
    try check(
      validateEvery > 0 && checkpointEvery > 0, "validateEvery and checkpointEvery must be at least 1")
    if blueprint.scaling != .none {
      try check(context[0] >= 2, "a standardising model needs contexts of at least 2 rows")
    }
  }

  /// Learning rate of a step (Loshchilov & Hutter 2017, eq. 5, without restarts).
  public func rate(at step: Int) -> Double {
    let warm = max(1, warmUp * Double(steps))
    if Double(step) < warm { return rate * Double(step + 1) / warm }
    let progress = (Double(step) - warm) / max(1, Double(steps) - warm)
    return rate * 0.5 * (1 + cos(Double.pi * min(progress, 1)))
  }
}

public enum TrainingError: Error, Sendable, Equatable, CustomStringConvertible {
  case configuration(String)
  case checkpoint(String)
  case diverged(step: Int)
  /// Another process of the run does not do its part.
  case rank(String)

  public var description: String {
    switch self {
    case .configuration(let text): "configuration: \(text)"
    case .checkpoint(let text), .rank(let text): text
    case .diverged(let step):
      "the loss stopped being a number at step \(step); lower the rate, or resume from the last checkpoint"
    }
  }
}
