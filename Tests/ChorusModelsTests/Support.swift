import ChorusData
import ChorusHints
import ChorusLayers
import Foundation
import Testing

@testable import ChorusMemories
@testable import ChorusModels
@testable import ChorusTensors

/// A folder that goes when the test ends.
final class ScratchFolder {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "chorus-models-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A blueprint whose network runs in microseconds, and with no two sizes equal by accident.
func smallBlueprint(_ change: (inout Blueprint) -> Void = { _ in }) -> Blueprint {
  var blueprint = Blueprint()
  blueprint.width = 16
  blueprint.layers = 2
  blueprint.heads = 2
  blueprint.feedForward = 24
  blueprint.embedderHidden = 20
  blueprint.headHidden = 28
  blueprint.head = .mixture(components: 3)
  blueprint.inputDimensions = 2
  blueprint.frequencies = 2
  change(&blueprint)
  return blueprint
}

/// The forms of the network that the tests go through.
enum Variant: String, CaseIterable, Sendable {
  case pre, post, positions, postPositions, rotary, alibi, towerRotary, periods, neighbours, causal, tower,
    latents, postLatents

  var blueprint: Blueprint {
    smallBlueprint {
      $0.norm = [.post, .postPositions, .postLatents].contains(self) ? .post : .pre
      // Fewer than some tests commit, so that the last position is used again.
      switch self {
      case .positions, .postPositions: $0.bufferPositions = .learned(4)
      case .rotary, .towerRotary: $0.bufferPositions = .rotary
      case .alibi: $0.bufferPositions = .alibi
      default: break
      }
      if self == .periods { $0.hints = Hints([TrendAndWaves(waves: 2)]) }
      switch self {
      case .causal: $0.encoder = .causal
      case .tower, .towerRotary: $0.encoder = .tower(layers: 3)
      case .latents, .postLatents: $0.encoder = .latents(count: 3)
      default: break
      }
      if self == .neighbours {
        $0.hints = Hints(rows: [LocalSplines(neighbours: 9)])
        $0.head = .mixture(components: 3, around: 2)
      }
    }
  }
}

/// A network whose every parameter is random: gains are not 1, biases not 0, and everything matters.
func randomWeights(_ declared: Declaration, seed: UInt64 = 5, training: Bool = false) -> Weights {
  let weights = Weights(declared.table, training: training)
  declared.initialise(weights, seed: seed)
  for (index, p) in declared.table.all.enumerated() {
    var stream = RandomStream(seed: seed, 77, UInt64(index))
    for i in 0..<p.count { weights[p][i] += Float(0.2 * stream.normal()) }
  }
  weights.pack()
  return weights
}

/// The family that most tests are about.
typealias Network = SetNetwork<MixtureHead>

extension Declaration {
  func set(_ weights: Weights) throws -> Network { try #require(network(weights) as? Network) }
}

extension Model {
  var set: Network { get throws { try #require(network as? Network) } }
}

func randomNetwork(_ blueprint: Blueprint, seed: UInt64 = 5) throws -> Network {
  let declared = try Declaration(blueprint)
  return try declared.set(randomWeights(declared, seed: seed))
}

func randomBatch(
  tasks: Int = 1, context: Int, buffer: Int, targets: Int, dimensions: Int = 2, seed: UInt64 = 11
) throws -> TaskBatch {
  var batch = try TaskBatch(
    tasks: tasks, context: context, buffer: buffer, targets: targets, dimensions: dimensions)
  var stream = RandomStream(seed: seed, 3)
  for index in batch.x.indices { batch.x[index] = Float(2 * stream.uniform() - 1) }
  for index in batch.y.indices { batch.y[index] = Float(stream.normal()) }
  return batch
}

extension TaskBatch {
  /// One task of the batch, alone.
  func only(_ task: Int) throws -> TaskBatch {
    var batch = try TaskBatch(
      tasks: 1, context: context, buffer: buffer, targets: targets, dimensions: dimensions)
    batch.x = Array(x[task * rows * dimensions..<(task + 1) * rows * dimensions])
    batch.y = Array(y[task * rows..<(task + 1) * rows])
    return batch
  }

  /// The rows of the context of a batch of one task.
  var observed: NetworkRows {
    NetworkRows(x: Array(x[..<(context * dimensions)]), y: Array(y[..<context]), dimensions: dimensions)
  }

  /// The waves in the context of a batch of one task.
  func periods(_ count: Int) -> Periods {
    Periods(x: x[..<(context * dimensions)], y: y[..<context], dimensions: dimensions, count: count)
  }
}

extension SetNetwork {
  /// Head parameters of the training pass.
  func recorded(_ batch: TaskBatch, prefixes: [Int32]) -> [Float] {
    let tape = Tape(weights)
    let node = record(batch, tasks: 0..<batch.tasks, prefixes: prefixes, on: tape)
    return Array(UnsafeBufferPointer(start: tape.values(node), count: node.rows * node.columns))
  }

  /// The context of a batch of one task, encoded.
  func encoded(_ batch: TaskBatch, on pool: ThreadPool? = nil) -> Context {
    encode(batch.observed, fits(batch.observed), on: pool)
  }

  /// Everything after the context, embedded: buffer rows, then targets.
  func embeddedRest(_ batch: TaskBatch) -> Questions {
    embed(
      Array(batch.x[(batch.context * batch.dimensions)...]), dimensions: batch.dimensions,
      for: encoded(batch))
  }

  /// One call for a single path: commits to the next free slots, each row reading those up to its own; query q reads
  /// the first `limits[q]`.
  @discardableResult
  func advance(
    _ paths: Paths, _ context: Context, inputs: Questions, commit: [Int32] = [], y: [Float] = [],
    query: [Int32] = [], limits: [Int32] = []
  ) -> [Float] {
    var rows = RowBatch()
    rows.begin()
    for (place, (input, y)) in zip(commit, y).enumerated() {
      let slot = paths.slots[0] + place
      rows.commit(input: input, y: y, slot: Int32(slot), reads: .prefix(slot + 1))
    }
    for (input, limit) in zip(query, limits) { rows.query(input: input, reads: .prefix(Int(limit))) }
    return advance(paths, context, inputs: inputs, batch: rows)
  }

  /// The head's parameters of a batch's queries, copied.
  func advance(
    _ paths: Paths, _ context: Context, inputs: Questions, batch: RowBatch
  ) -> [Float] {
    let raw = predict(paths, context, inputs, batch).numbers
    return Array(UnsafeBufferPointer(start: raw, count: batch.queries * layers.head.map.outputs))
  }

  /// Head parameters by inference, in one call: all buffer rows committed, all targets queried.
  func advanced(_ batch: TaskBatch, prefixes: [Int32]) -> [Float] {
    let paths = branch(paths: 1, capacity: batch.buffer)
    return advance(
      paths, encoded(batch), inputs: embeddedRest(batch), commit: (0..<batch.buffer).map { Int32($0) },
      y: Array(batch.y[batch.bufferRows]), query: (0..<batch.targets).map { Int32(batch.buffer + $0) },
      limits: prefixes)
  }
}

extension SetNetwork.Context {
  /// Every number that the state holds.
  var numbers: [[Float]] {
    layers.compactMap { $0 as? SoftmaxMemory.Context }.flatMap { [$0.keys.array, $0.values.array] }
  }
}

/// The largest difference; infinite for different lengths or a value that is not a number.
func distance(_ a: [Float], _ b: [Float]) -> Double {
  guard a.count == b.count else { return .infinity }
  return zip(a, b).reduce(0) { worst, pair in
    let difference = abs(Double(pair.0) - Double(pair.1))
    return difference.isNaN ? .infinity : max(worst, difference)
  }
}

/// Bit by bit, so that a NaN or a negative zero is not passed over.
func same(_ a: [Float], _ b: [Float]) -> Bool { a.map(\.bitPattern) == b.map(\.bitPattern) }
