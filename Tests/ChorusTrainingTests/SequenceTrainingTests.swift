import ChorusData
import ChorusHints
import ChorusInference
import ChorusLayers
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusTraining

/// A next-token network learns, and what it has learned is drawn and scored through the same executor as a set's.
@Suite struct SequenceTrainingTests {
  /// A word of four letters out of six, over and over: whoever remembers one round knows the next.
  private struct Repeats: Prior {
    let name = "repeats"
    let dimensions = 1...1
    func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
      let word = (0..<4).map { _ in Double(stream.below(6)) }
      return PriorTask(
        shape: shape, x: (0..<shape.rows).map(Double.init), y: (0..<shape.rows).map { word[$0 % 4] },
        component: name)
    }
  }

  /// Retention tells rows apart by how long ago they were, so it needs no positions; softmax needs rotary ones.
  @Test(arguments: ["retention", "softmax"]) func aRepeatedWordIsRemembered(memory: String) throws {
    var configuration = TrainingConfiguration()
    configuration.blueprint.family = .sequence
    configuration.blueprint.width = 32
    configuration.blueprint.layers = 2
    configuration.blueprint.heads = 2
    configuration.blueprint.feedForward = 48
    configuration.blueprint.embedderHidden = 32
    configuration.blueprint.headHidden = 32
    configuration.blueprint.head = .categorical(levels: 6)
    configuration.blueprint.memories = [try MemoryRegistry.named(memory)]
    if memory == "softmax" {
      (configuration.blueprint.parts.norm, configuration.blueprint.parts.feed) = (.rms, .gated)
      configuration.blueprint.parts.keyHeads = 1
      configuration.blueprint.parts.rotary = Rotary(base: 100)
    }
    (configuration.context, configuration.buffers, configuration.targets) = ([4, 4], [4], 12)
    (configuration.batch, configuration.steps, configuration.rate) = (16, 400, 3e-3)
    configuration.validationTasks = 32
    let trainer = try Trainer(configuration, prior: Repeats(), on: ThreadPool(threads: 2))
    let before = try trainer.validate().mean
    for _ in 0..<configuration.steps { _ = try trainer.advance() }
    let after = try trainer.validate().mean
    // By chance log 6 = 1.79 nats a letter.
    #expect(before > 1.5 && after < 0.7, "\(memory): \(before) to \(after)")

    // The same through a posterior: the word goes on, and its density is that of the letters one by one.
    let model = try trainer.model(card: [:])
    let word = [3.0, 1, 4, 0]
    let seen = try Dataset(x: (0..<8).map(Double.init), y: (0..<8).map { word[$0 % 4] })
    let posterior = try model.condition(on: seen)
    let at = try Inputs((8..<14).map(Double.init))
    let plan = try PlanTemplate(parsing: "sequential(order:given)")
    let next = (8..<14).map { word[$0 % 4] }
    let drawn = try posterior.sample(300, at: at, plan: plan, seed: 1).paths
    #expect(drawn.allSatisfy { $0.allSatisfy { (0..<6).contains($0) && $0 == $0.rounded() } })
    let score = try posterior.logDensity(of: next, at: at, plan: plan, orders: 1).value
    let wrong = try posterior.logDensity(of: next.map { 5 - $0 }, at: at, plan: plan, orders: 1).value
    #expect(score > wrong + 3 && score < 0)
    let law = try #require(try posterior.laws(at: Inputs([8]))[0] as? Categorical)
    let one = try posterior.logDensity(of: [3], at: Inputs([8]), plan: plan, orders: 1).value
    #expect(abs(law.logDensity(.level(3)) - one) < 1e-6)
    // First letters are drawn by that law.
    for level in 0..<6 {
      let (p, share) = (law.probabilities[level], Double(drawn.count { $0[0] == Double(level) }) / 300)
      #expect(abs(share - p) < 0.01 + 4 * (p * (1 - p) / 300).squareRoot(), "letter \(level)")
    }
    // Any other order is no question to such a model.
    #expect(throws: PlanError.self) { try posterior.sample(1, at: at, plan: .sequential) }
    #expect(throws: PlanError.self) { try posterior.laws(at: at) }
    #expect(throws: InferenceError.self) { try posterior.sample(1, at: at, plan: plan, latent: true) }
    #expect(try posterior.sample(9, at: at, plan: .auto, seed: 1).paths == Array(drawn.prefix(9)))
    // And no plan that would leave rows out.
    #expect(throws: PlanError.self) {
      try posterior.sample(1, at: at, plan: .window(sinks: 1, span: 2).ordered(.given))
    }
    #expect(throws: InferenceError.self) { try posterior.marginals(at: Inputs([8])) }
  }
}
