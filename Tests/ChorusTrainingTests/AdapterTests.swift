import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusTraining

/// Low-rank changes of a model: they begin as none, their gradients are right, and their files are read beside the base.
@Suite struct AdapterTests {
  private static var configuration: TrainingConfiguration {
    var configuration = tinyConfiguration()
    configuration.buffers = [0]
    configuration.blueprint.trainedBuffer = 0
    configuration.steps = 12
    return configuration
  }

  private static func adapting(_ rank: Int = 3) -> TrainingConfiguration {
    var configuration = configuration
    configuration.adapterRank = rank
    configuration.buffers = [4]
    configuration.blueprint.trainedBuffer = 4
    return configuration
  }

  private static func base(seed: UInt64 = 0) throws -> Model {
    var configuration = configuration
    configuration.seed = seed
    let trainer = try Trainer(configuration, prior: LinePrior(), on: ThreadPool(threads: 2))
    for _ in 0..<12 { _ = try trainer.advance() }
    return try trainer.model(card: [:])
  }

  private static func density(_ model: Model, _ plan: PlanTemplate) throws -> Double {
    let task = try TaskGenerator(LinePrior(), seed: 9).task(
      0, step: 0, shape: TaskShape(context: 6, targets: 4))
    let asked = try task.dataset(task.targetRows)
    return try model.condition(on: try task.dataset(task.contextRows)).logDensity(
      of: asked.y, at: asked.inputs, plan: plan, orders: 2
    ).value
  }

  @Test func itBeginsAsItsBaseAndLearnsTheBuffer() throws {
    let base = try Self.base()
    let trainer = try Trainer(Self.adapting(), prior: LinePrior(), base: base, on: ThreadPool(threads: 2))
    let before = try trainer.model(card: [:])
    #expect(try Self.density(before, .independent) == Self.density(base, .independent))
    let kept = base.network.weights.values.array
    for _ in 0..<12 { _ = try trainer.advance() }
    #expect(base.network.weights.values.array == kept, "the base stays as it is")
    let after = try trainer.model(card: [:])
    #expect(try Self.density(after, .sequential) != Self.density(before, .sequential))
    // Embedders and head are the base's still.
    for parameter in base.network.weights.table.all
    where !parameter.path.hasPrefix("block.") && parameter.path != "role.buffer" {
      let (old, new) = (base.network.weights[parameter], after.network.weights[parameter])
      #expect((0..<parameter.count).allSatisfy { old[$0] == new[$0] }, "\(parameter.path)")
    }
    #expect(trainer.averagedWeights.table.count < base.network.weights.table.count)
  }

  /// Of a random function of the whole network's weights, the gradient by the learned values against differences.
  @Test func gradientsOfTheLearnedValues() throws {
    let base = try Self.base()
    let adapter = try Adapter(of: base, blueprint: Self.adapting().blueprint, rank: 3)
    let (values, whole) = (Weights(adapter.table), Weights(base.network.weights.table))
    var stream = RandomStream(seed: 4)
    for i in 0..<adapter.table.count { values.values.pointer[i] = Float(0.1 * stream.normal()) }
    let slopes = FloatBuffer(count: whole.table.count)
    for i in 0..<whole.table.count { slopes.pointer[i] = Float(stream.normal()) }
    func value() -> Double {
      adapter.compose(values, into: whole)
      return (0..<whole.table.count).reduce(0) {
        $0 + Double(whole.values.pointer[$1]) * Double(slopes.pointer[$1])
      }
    }
    let gradient = FloatBuffer(count: adapter.table.count)
    adapter.project(slopes, at: values, into: gradient)
    for parameter in adapter.table.all {
      let place = parameter.offset + stream.below(parameter.count)
      let kept = values.values.pointer[place]
      values.values.pointer[place] = kept + 0.25
      let above = value()
      values.values.pointer[place] = kept - 0.25
      let below = value()
      values.values.pointer[place] = kept
      // Linear in each value: differences are exact up to rounding.
      let expected = (above - below) / 0.5
      #expect(
        abs(Double(gradient.pointer[place]) - expected) < 2e-3 * max(1, abs(expected)), "\(parameter.path)")
    }
  }

  @Test func aRunWritesASmallFileThatIsReadBesideItsBase() throws {
    let folder = try ScratchFolder()
    let base = try Self.base()
    try base.write(to: folder.path + "/base.safetensors", half: false)
    let read = try Model(path: folder.path + "/base.safetensors")
    let pool = ThreadPool(threads: 1)
    let own = folder.path + "/run"
    var stops = 0
    let run = try Run(Self.adapting(), prior: LinePrior(), folder: own, resume: false, base: read, on: pool)
    try run.train(
      card: [:],
      stop: {
        stops += 1
        return stops > 5
      }, report: { _ in })
    // Another base is not the one that the run began with.
    let other = try Self.base(seed: 1)
    #expect(throws: (any Error).self) {
      try Run(Self.adapting(), prior: LinePrior(), folder: own, resume: true, base: other, on: pool)
    }
    let again = try Run(Self.adapting(), prior: LinePrior(), folder: own, resume: true, base: read, on: pool)
    try again.train(card: [:], stop: { false }, report: { _ in })
    let straight = try Run(
      Self.adapting(), prior: LinePrior(), folder: folder.path + "/straight", resume: false, base: read,
      on: pool)
    try straight.train(card: [:], stop: { false }, report: { _ in })
    let small = own + "/adapter.safetensors"
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: small))
        == Data(contentsOf: URL(fileURLWithPath: folder.path + "/straight/adapter.safetensors")))
    // Its base is not beside it yet.
    #expect(throws: ModelError.self) { try Model(path: small) }
    try read.write(to: own + "/base.safetensors", half: false)
    let whole = try Model(path: own + "/model.safetensors")
    #expect(try Model(path: small).fingerprint == whole.fingerprint)
    try other.write(to: own + "/base.safetensors")
    #expect(throws: ModelError.self) { try Model(path: small) }
    // A file that names itself, or another adapter, would be read for ever.
    try FileManager.default.removeItem(atPath: own + "/base.safetensors")
    try FileManager.default.copyItem(atPath: small, toPath: own + "/base.safetensors")
    #expect(throws: ModelError.self) { try Model(path: small) }
  }

  @Test func rankAndBaseBelongToEachOther() throws {
    let pool = ThreadPool(threads: 1)
    #expect(throws: TrainingError.self) { try Trainer(Self.adapting(), prior: LinePrior(), on: pool) }
    let base = try Self.base()
    #expect(throws: TrainingError.self) {
      try Trainer(Self.configuration, prior: LinePrior(), base: base, on: pool)
    }
    var wider = Self.adapting()
    wider.blueprint.layers += 1
    #expect(throws: ModelError.self) { try Trainer(wider, prior: LinePrior(), base: base, on: pool) }
  }
}
