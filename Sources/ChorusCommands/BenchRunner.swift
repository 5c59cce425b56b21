import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import ChorusTraining
import Foundation

/// Builds fresh networks and measures what is done with one.
struct BenchRunner {
  let blueprint: Blueprint
  let clock: BenchClock
  let seed: UInt64
  let precision: Precision

  private let work: ExecutedWork

  init(blueprint: Blueprint, clock: BenchClock, seed: UInt64, precision: Precision = .f32) throws {
    self.precision = precision
    self.blueprint = blueprint
    self.clock = clock
    self.seed = seed
    work = ExecutedWork(try Declaration(blueprint).rates)
  }

  func encode(context: Int) throws -> BenchRow {
    let data = try BenchData.observed(context, seed: seed)
    let memory = MemoryGrowth()
    let model = try BenchData.model(blueprint, context: context, seed: seed, precision: precision)
    func encode() throws { _ = try model.condition(on: data, pool: clock.pool) }
    try encode()
    let grown = memory.bytes
    return row(
      "encode", context, 0, 1, try clock.measure(encode), flops: work.encode(context),
      nominal: work.nominalEncode(context),
      bytes: model.network.weights.bytes + model.network.contextBytes(rows: context), measured: grown)
  }

  func sample(context: Int, targets: Int, paths: Int, plan template: PlanTemplate) throws -> BenchRow {
    let (data, grid) = (try BenchData.observed(context, seed: seed), try BenchData.grid(targets))
    let memory = MemoryGrowth()
    let model = try BenchData.model(blueprint, context: context, seed: seed, precision: precision)
    let posterior = try model.condition(on: data, pool: clock.pool)
    func draw() throws -> Posterior.Samples {
      try posterior.sample(paths, at: grid, plan: template, seed: seed, flopLimit: .infinity)
    }
    let first = try draw()
    let grown = memory.bytes
    var digest = Digest()
    for path in first.paths { digest.add(path) }
    let repetitions = try clock.measure { _ = try draw() }
    return row(
      "sample", context, targets, paths, repetitions, flops: work.sample(first.plan, paths: paths),
      nominal: try work.nominal(first.plan, paths: paths),
      bytes: model.network.weights.bytes + work.stateBytes(model.network, first.plan, paths: paths),
      measured: grown, digest: digest)
  }

  func density(context: Int, targets: Int, orders: Int, plan template: PlanTemplate) throws -> BenchRow {
    let (data, grid) = (try BenchData.observed(context, seed: seed), try BenchData.grid(targets))
    let memory = MemoryGrowth()
    let model = try BenchData.model(blueprint, context: context, seed: seed, precision: precision)
    let posterior = try model.condition(on: data, pool: clock.pool)
    let y = BenchData.wave(at: grid)
    func score() throws -> Posterior.LogDensity {
      try posterior.logDensity(
        of: y, at: grid, plan: template, orders: orders, seed: seed, flopLimit: .infinity)
    }
    let first = try score()
    let grown = memory.bytes
    var digest = Digest()
    digest.add(first.orders)
    let repetitions = try clock.measure { _ = try score() }
    return row(
      "density", context, targets, orders, repetitions, flops: work.density(first.plan, orders: orders),
      nominal: try work.nominal(first.plan, paths: orders),
      bytes: model.network.weights.bytes + work.stateBytes(model.network, first.plan, paths: orders),
      measured: grown, digest: digest)
  }

  func train(_ configuration: TrainingConfiguration, prior: any Prior) throws -> BenchRow {
    let memory = MemoryGrowth()
    let trainer = try Trainer(configuration, prior: prior, on: clock.pool)
    let (n, c, m) = (configuration.context[0], configuration.buffers[0], configuration.targets)
    // The weights after three steps: the number of steps that are timed depends on the machine.
    for _ in 0..<3 { _ = try trainer.advance() }
    let grown = memory.bytes
    var digest = Digest()
    digest.add(trainer.weights.values.array.map(Double.init))
    let repetitions = try clock.measure { _ = try trainer.advance() }
    let tasks = Double(configuration.batch)
    return row(
      "train", n, m, configuration.batch, repetitions,
      flops: tasks * work.train(context: n, buffer: c, targets: m),
      nominal: tasks * work.nominalTrain(context: n, buffer: c, targets: m), bytes: trainer.weights.bytes,
      measured: grown, digest: digest)
  }

  private func row(
    _ what: String, _ context: Int, _ targets: Int, _ paths: Int, _ repetitions: [BenchClock.Repetition],
    flops: Double, nominal: Double, bytes: Int, measured: Int?, digest: Digest? = nil
  ) -> BenchRow {
    BenchRow(
      what: what, blueprint: blueprint, threads: clock.pool.threads, context: context, targets: targets,
      paths: paths, repetitions: repetitions, bandwidth: clock.bandwidth(), flops: flops, nominal: nominal,
      bytes: bytes, measuredBytes: measured, digest: digest?.value)
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

/// What is measured on: networks as they start, standing for trained ones of their size, and a noisy wave.
enum BenchData {
  static func model(
    _ blueprint: Blueprint, context: Int, seed: UInt64, precision: Precision = .f32
  ) throws -> Model {
    var blueprint = blueprint
    blueprint.trainedContext = max(context, 1)
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table, precision: precision)
    declared.initialise(weights, seed: seed)
    return Model(network: try declared.network(weights), source: "bench")
  }

  static func observed(_ count: Int, seed: UInt64) throws -> Dataset {
    var stream = RandomStream(seed: seed, .evaluation, UInt64(count))
    let x = (0..<count).map { _ in stream.uniform(in: -2...2) }
    return try Dataset(inputs: Inputs(x, dimensions: 1), y: x.map { sin(3 * $0) + 0.1 * stream.normal() })
  }

  static func grid(_ count: Int) throws -> Inputs {
    let size = Double(count)
    // With its types told: the compiler takes two seconds to find them.
    let places = (0..<count).map { (index: Int) -> Double in -2 + 4 * (Double(index) + 0.5) / size }
    return try Inputs(places, dimensions: 1)
  }

  static func wave(at grid: Inputs) -> [Double] { grid.values.map { sin(3 * $0) } }
}
