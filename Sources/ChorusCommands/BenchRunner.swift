import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import ChorusTraining
import Foundation

/// One measurement.
struct BenchRow {
  let what: String
  let context: Int
  let targets: Int
  let paths: Int
  let repetitions: [BenchClock.Repetition]
  let flops: Double
  let nominal: Double
  let bytes: Int
  var measuredBytes: Int?
  var digest: UInt64?
}

/// Builds a fresh network and measures what is done with one.
struct BenchRunner {
  let blueprint: Blueprint
  let clock: BenchClock
  let seed: UInt64

  private var work: ExecutedWork { ExecutedWork(blueprint) }

  /// A network as it starts, standing for a trained one of its size.
  private func model(context: Int) throws -> Model {
    var blueprint = blueprint
    blueprint.trainedContext = max(context, 1)
    let network = try Network(blueprint)
    let weights = Weights(network.table)
    network.initialise(weights, seed: seed)
    return Model(trunk: Trunk(network, weights), source: "bench")
  }

  /// A wave at random inputs.
  private func data(_ count: Int) throws -> Dataset {
    var stream = RandomStream(seed: seed, .evaluation, UInt64(count))
    let x = (0..<count).map { _ in stream.uniform(in: -2...2) }
    return try Dataset(inputs: Inputs(x, dimensions: 1), y: x.map { sin(3 * $0) + 0.1 * stream.normal() })
  }

  private func grid(_ count: Int) throws -> Inputs {
    try Inputs((0..<count).map { -2 + 4 * (Double($0) + 0.5) / Double(count) }, dimensions: 1)
  }

  func encode(context: Int) throws -> BenchRow {
    let (model, data) = (try model(context: context), try data(context))
    let repetitions = try clock.measure { _ = try model.condition(on: data, pool: clock.pool) }
    return BenchRow(
      what: "encode", context: context, targets: 0, paths: 1, repetitions: repetitions,
      flops: work.encode(context), nominal: work.nominalEncode(context),
      bytes: model.trunk.weights.bytes + model.trunk.contextBytes(rows: context))
  }

  func sample(context: Int, targets: Int, paths: Int, plan template: PlanTemplate) throws -> BenchRow {
    let (data, grid) = (try data(context), try grid(targets))
    let before = ResidentMemory.now
    ResidentMemory.mark()
    let model = try model(context: context)
    let posterior = try model.condition(on: data, pool: clock.pool)
    var digest = Digest()
    let first = try posterior.sample(paths, at: grid, plan: template, seed: seed, flopLimit: .infinity)
    let peak = ResidentMemory.peak
    for path in first.paths { digest.add(path) }
    let repetitions = try clock.measure {
      _ = try posterior.sample(paths, at: grid, plan: template, seed: seed, flopLimit: .infinity)
    }
    let trunk = model.trunk
    // A plan that merges gives each path a context of its own.
    let merged = first.plan.calls.reduce(0) { max($0, $1.merged) }
    let buffers =
      paths * trunk.bufferBytes(capacity: first.plan.peakBufferRows)
      + (merged > 0 ? paths * trunk.contextBytes(rows: context + merged) : 0)
    return BenchRow(
      what: "sample", context: context, targets: targets, paths: paths, repetitions: repetitions,
      flops: work.sample(first.plan, paths: paths), nominal: try work.nominal(first.plan, paths: paths),
      bytes: trunk.weights.bytes + trunk.contextBytes(rows: context) + buffers,
      measuredBytes: peak.flatMap { peak in before.map { peak - $0 } }, digest: digest.value)
  }

  func density(context: Int, targets: Int, orders: Int, plan template: PlanTemplate) throws -> BenchRow {
    let (data, grid) = (try data(context), try grid(targets))
    let model = try model(context: context)
    let posterior = try model.condition(on: data, pool: clock.pool)
    let y = grid.values.map { sin(3 * $0) }
    func score() throws -> Posterior.LogDensity {
      try posterior.logDensity(
        of: y, at: grid, plan: template, orders: orders, seed: seed, flopLimit: .infinity)
    }
    let first = try score()
    var digest = Digest()
    digest.add(first.orders)
    let repetitions = try clock.measure { _ = try score() }
    let trunk = model.trunk
    return BenchRow(
      what: "density", context: context, targets: targets, paths: orders, repetitions: repetitions,
      flops: work.density(first.plan, orders: orders), nominal: try work.nominal(first.plan, paths: orders),
      bytes: trunk.weights.bytes + trunk.contextBytes(rows: context)
        + orders * trunk.bufferBytes(capacity: first.plan.peakBufferRows),
      digest: digest.value)
  }

  func train(_ configuration: TrainingConfiguration, prior: any Prior) throws -> BenchRow {
    let trainer = try Trainer(configuration, prior: prior, on: clock.pool)
    let (n, c, m) = (configuration.context[0], configuration.buffers[0], configuration.targets)
    // The weights after three steps: the number of steps that are timed depends on the machine.
    for _ in 0..<3 { _ = try trainer.advance() }
    var digest = Digest()
    digest.add(trainer.weights.values.array.map(Double.init))
    let repetitions = try clock.measure { _ = try trainer.advance() }
    let tasks = Double(configuration.batch)
    return BenchRow(
      what: "train", context: n, targets: m, paths: configuration.batch, repetitions: repetitions,
      flops: tasks * work.train(context: n, buffer: c, targets: m),
      nominal: tasks * work.nominalTrain(context: n, buffer: c, targets: m), bytes: trainer.weights.bytes,
      digest: digest.value)
  }

  /// FNV-1a over the bits of numbers, folded so that all of them reach the low end.
  private struct Digest {
    var value: UInt64 = 0xcbf2_9ce4_8422_2325
    mutating func add(_ values: [Double]) {
      for number in values {
        let bits = number.bitPattern
        value = (value ^ bits ^ bits >> 29) &* 0x0000_0100_0000_01b3
      }
    }
  }
}
