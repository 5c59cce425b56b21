import ChorusMemories
import ChorusPriors
import ChorusTensors
import ChorusTraining
import Foundation
import Testing

@testable import ChorusExperiments

/// Networks that differ in their memory, trained side by side.
@Suite struct MemoryTrialTests {
  private final class Scratch {
    let path = NSTemporaryDirectory() + "chorus-trials-" + UUID().uuidString
    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  /// Two pairs in twelve tokens: learned in a second.
  private static func configuration(steps: Int) throws -> TrainingConfiguration {
    var configuration = try TrainingConfiguration.preset("recall")
    (configuration.blueprint.width, configuration.blueprint.layers) = (32, 1)
    configuration.blueprint.heads = 1
    (configuration.context, configuration.targets, configuration.steps) = ([4, 4], 8, steps)
    configuration.blueprint.trainedContext = 12
    (configuration.validateEvery, configuration.checkpointEvery, configuration.validationTasks) = (50, 10, 16)
    return configuration
  }

  private static func trials(
    _ folder: String, _ memories: [String], steps: Int, threads: Int = 2
  ) throws -> MemoryTrials {
    try MemoryTrials(
      configuration(steps: steps), memories: memories, folder: folder, prior: RecallPrior(),
      on: ThreadPool(threads: threads))
  }

  @Test func pairsAreRecalledBetterThanByChance() throws {
    let folder = Scratch()
    let trials = try Self.trials(folder.path, ["softmax", "retention"], steps: 300)
    #expect(try trials.train(stop: { false }, report: { _, _, _ in }))
    let rows = try trials.rows(tasks: 200)
    #expect(rows.map(\.memory) == ["softmax", "retention"] && rows.allSatisfy { $0.steps == 300 })
    // A conv of 4 rows beside 32 keys and values; softmax holds 12 rows.
    #expect(rows.map(\.stateBytes) == [4 * (12 * 64 + 3 * 64), 4 * (32 * 32 + 3 * 64)])
    for row in rows {
      // By chance 1/32 of the values; softmax is slower to learn it.
      let accuracy = try #require(row.mean(\.accuracy))
      #expect(
        accuracy.value > (row.memory == "softmax" ? 0.15 : 0.7) && accuracy.error < 0.05,
        "\(row.memory): \(accuracy)")
      #expect(row.means(\.logDensity).count == 1 && row.seconds > 0)
      #expect(row.mean(\.squaredError) == nil)
    }
  }

  /// Stopped in the middle of the second network, with other threads: the bytes of trials that never stopped.
  @Test func stoppedTrialsGoOn() throws {
    let (straight, broken) = (Scratch(), Scratch())
    let memories = ["retention", "deltanet"]
    #expect(
      try Self.trials(straight.path, memories, steps: 30).train(stop: { false }, report: { _, _, _ in }))
    var calls = 0
    let first = try Self.trials(broken.path, memories, steps: 30, threads: 1).train(
      stop: {
        calls += 1
        return calls > 45
      }, report: { _, _, _ in })
    #expect(!first)
    #expect(try Self.trials(broken.path, memories, steps: 30).rows(tasks: 4).map(\.steps) == [30, 15])
    #expect(
      try Self.trials(broken.path, memories, steps: 30).train(stop: { false }, report: { _, _, _ in }))
    for memory in memories {
      let path = "/\(memory)-1/model.safetensors"
      let (a, b) = (
        FileManager.default.contents(atPath: straight.path + path),
        FileManager.default.contents(atPath: broken.path + path)
      )
      #expect(a != nil && a == b, "\(memory)")
    }
    // Another configuration does not go on with it.
    var other = try Self.configuration(steps: 30)
    other.rate = 1e-3
    let trials = try MemoryTrials(
      other, memories: memories, folder: broken.path, prior: RecallPrior(),
      on: ThreadPool(threads: 1))
    #expect(throws: TrainingError.self) {
      _ = try trials.train(stop: { false }, report: { _, _, _ in })
    }
  }

  /// Linear functions of two inputs: a network does better than who knows nothing, and no better than ridge regression that
  /// knows the law.
  @Test func linearFunctionsAreFittedInContext() throws {
    var configuration = try TrainingConfiguration.preset("linear-regression")
    (configuration.blueprint.width, configuration.blueprint.layers) = (32, 1)
    (configuration.blueprint.heads, configuration.blueprint.feedForward) = (1, 32)
    (configuration.blueprint.embedderHidden, configuration.blueprint.headHidden) = (32, 32)
    (configuration.blueprint.inputDimensions, configuration.dimensions) = (2, [2])
    (configuration.targets, configuration.batch, configuration.steps) = (12, 16, 250)
    (configuration.rate, configuration.validateEvery, configuration.checkpointEvery) = (1e-2, 250, 250)
    let folder = Scratch()
    let trials = try MemoryTrials(
      configuration, memories: ["softmax"], folder: folder.path, prior: LinearRegressionPrior(),
      on: ThreadPool(threads: 2))
    #expect(try trials.train(stop: { false }, report: { _, _, _ in }))
    let shape = TaskShape(context: 6, targets: 6, dimensions: 2)
    let row = try #require(try trials.rows(tasks: 200, of: shape).first)
    let oracle = try #require(try trials.oracle(tasks: 200, of: shape))
    let (own, exact) = (try #require(row.mean(\.squaredError)), try #require(oracle.squaredError))
    // The values' own variance is 1/4 + 1 and the noise's.
    #expect(own.value < 0.8 && own.value > exact.mean && exact.mean < 0.2)
    #expect(try #require(row.mean(\.logDensity)).value < oracle.logDensity.mean)
    #expect(oracle.accuracy == nil && row.mean(\.accuracy) == nil)
    // Where no oracle is there is none.
    let recall = try Self.trials(folder.path, ["softmax"], steps: 1)
    #expect(try recall.oracle(tasks: 3) == nil)
  }

  /// Keys that are vectors: one layer finds most of four levels, which by chance is one in 32.
  @Test func vectorsAreRecalled() throws {
    var configuration = try TrainingConfiguration.preset("recall-vectors")
    (configuration.blueprint.width, configuration.blueprint.heads) = (32, 1)
    (configuration.blueprint.feedForward, configuration.blueprint.embedderHidden) = (32, 32)
    (configuration.blueprint.inputDimensions, configuration.dimensions) = (16, [16])
    (configuration.context, configuration.targets, configuration.steps) = ([4, 4], 4, 400)
    (configuration.validateEvery, configuration.checkpointEvery) = (400, 400)
    let folder = Scratch()
    let trials = try MemoryTrials(
      configuration, memories: ["softmax"], folder: folder.path, prior: VectorRecallPrior(),
      on: ThreadPool(threads: 2))
    #expect(try trials.train(stop: { false }, report: { _, _, _ in }))
    let row = try #require(try trials.rows(tasks: 200).first)
    let accuracy = try #require(row.mean(\.accuracy))
    #expect(accuracy.value > 0.3 && accuracy.error < 0.05, "\(accuracy)")
    // Of another number of pairs, the same networks.
    let more = try trials.rows(tasks: 200, of: TaskShape(context: 12, targets: 12, dimensions: 16))
    #expect(try #require(more.first?.mean(\.accuracy)).value < accuracy.value)
  }

  /// Systems: a network foretells a new output better than who knows nothing, and those who fit are scored on the same tasks.
  @Test func systemsAreIdentified() throws {
    var configuration = try TrainingConfiguration.preset("wiener-hammerstein")
    (configuration.blueprint.width, configuration.blueprint.layers) = (32, 1)
    (configuration.blueprint.heads, configuration.blueprint.feedForward) = (1, 32)
    (configuration.blueprint.embedderHidden, configuration.blueprint.headHidden) = (32, 32)
    (configuration.blueprint.inputDimensions, configuration.dimensions) = (3, [3])
    (configuration.context, configuration.targets, configuration.steps) = ([20, 30], 10, 400)
    (configuration.rate, configuration.validateEvery, configuration.checkpointEvery) = (5e-3, 400, 400)
    let folder = Scratch()
    let trials = try MemoryTrials(
      configuration, memories: ["mesa"], folder: folder.path, prior: WienerHammersteinPrior(),
      on: ThreadPool(threads: 2))
    #expect(try trials.train(stop: { false }, report: { _, _, _ in }))
    let row = try #require(try trials.rows(tasks: 200).first)
    let line = try trials.scores(tasks: 200) { try $0.linearLaw() }
    let law = try trials.scores(tasks: 40) { try $0.systemLaw() }
    let (own, fitted) = (try #require(row.mean(\.squaredError)), try #require(line.squaredError))
    #expect(own.value < 0.85 && fitted.mean < own.value + 0.2, "\(own), \(fitted)")
    #expect(try #require(law.squaredError).mean < fitted.mean)
    #expect(line.tasks == 200 && line.accuracy == nil && line.logDensity.standardError > 0)
    #expect(try trials.oracle(tasks: 3) == nil)
  }

  @Test func whatCannotBeTriedIsRefused() throws {
    let error = #expect(throws: MemoryError.self) { try Self.trials("none", ["gated-dleta"], steps: 5) }
    #expect(error?.description.contains("'gated-delta' is near") == true)
    var set = try Self.configuration(steps: 5)
    set.blueprint.family = .set
    set.blueprint.parts.convolution = nil
    set.blueprint.trainedBuffer = 8
    let folder = Scratch()
    let trials = try MemoryTrials(
      set, memories: ["softmax"], folder: folder.path, prior: RecallPrior(),
      on: ThreadPool(threads: 1))
    let refused = #expect(throws: TrainingError.self) {
      _ = try trials.train(stop: { false }, report: { _, _, _ in })
    }
    #expect(refused?.description.contains("draws sequences") == true)
  }
}
