import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// Tokens one after another: what a step says is what the training pass says, whatever the memory and the head.
@Suite struct SequenceTests {
  static let memories = [
    "softmax", "linear-elu", "ridge", "delta", "retention", "gated-linear", "mamba-2", "gla", "gated-delta",
    "kimi-delta", "retention,softmax",
  ]

  private static func blueprint(_ memories: String, _ head: HeadChoice) throws -> Blueprint {
    let names = try memories.split(separator: ",").map { try MemoryRegistry.named(String($0)) }
    return smallBlueprint {
      $0.family = .sequence
      $0.memories = names
      $0.head = head
    }
  }

  private static func batch(_ count: Int, targets: Int, levels: Int?) throws -> TaskBatch {
    var batch = try randomBatch(context: 3, buffer: count - 3 - targets, targets: targets, dimensions: 1)
    if let levels { batch.y = batch.y.map { Float(Int(abs($0) * 7) % levels) } }
    return batch
  }

  private func check<H: Head>(_ network: SequenceNetwork<H>, _ batch: TaskBatch) {
    let tape = Tape(network.weights)
    let (_, recorded) = network.loss(
      batch, task: 0, prefixes: [Int32](repeating: 0, count: batch.targets), weight: 1, on: tape)
    // The first rows as a context, the others committed one by one on two paths side by side.
    let known = batch.rows - batch.targets
    let rows = NetworkRows(
      x: Array(batch.x[..<(known * batch.dimensions)]), y: Array(batch.y[..<known]),
      dimensions: batch.dimensions)
    let context = network.encode(rows, HintFits(), on: nil)
    let questions = network.embed(
      Array(batch.x[known * batch.dimensions..<batch.rows * batch.dimensions]),
      dimensions: batch.dimensions, for: context)
    let paths = network.branch(paths: 2, capacity: batch.targets)
    var stepped: [[Float]] = [[], []]
    for step in 0..<batch.targets {
      var call = RowBatch()
      for _ in 0..<2 {
        call.begin()
        if step > 0 {
          call.commit(
            input: Int32(step - 1), y: batch.y[known + step - 1], slot: Int32(step - 1), reads: .prefix(step))
        }
        call.query(input: Int32(step), reads: .prefix(step))
      }
      var path = 0
      network.advance(paths, context, questions, call) { answer in
        stepped[path].append(
          Float(answer.law.logDensity(H.Answer.Law.value(batch.y[known + step]))))
        path += 1
      }
    }
    #expect(stepped[0] == stepped[1])
    #expect(distance(stepped[0], recorded) < 2e-5)
  }

  @Test(arguments: memories) func stepsEqualTheTrainingPass(memories: String) throws {
    let categories = try Declaration(Self.blueprint(memories, .categorical(levels: 5)))
    let network = try #require(
      categories.network(randomWeights(categories)) as? SequenceNetwork<CategoricalHead>)
    for count in [7, 90] {
      check(network, try Self.batch(count, targets: 4, levels: 5))
    }
    let numbers = try Declaration(Self.blueprint(memories, .mixture(components: 3)))
    let other = try #require(numbers.network(randomWeights(numbers)) as? SequenceNetwork<MixtureHead>)
    check(other, try Self.batch(12, targets: 5, levels: nil))
  }

  private static let parts: [String: BlockParts] = {
    var (rotary, llama, grouped) = (BlockParts(), BlockParts(), BlockParts())
    rotary.rotary = Rotary(base: 100, pairing: .halves)
    (llama.norm, llama.epsilon, llama.feed, llama.biases) = (.rms, 1e-6, .gated, false)
    llama.rotary = Rotary(base: 1e5, pairing: .neighbours)
    llama.keyHeads = 1
    grouped.keyHeads = 1
    var gated = BlockParts()
    gated.gatedReads = true
    return ["rotary": rotary, "llama": llama, "grouped": grouped, "gated": gated]
  }()

  /// Blocks of other parts, memories that read rotated keys among them.
  @Test(arguments: ["rotary", "llama", "grouped", "gated"], ["softmax", "softmax-unit", "linear", "delta"])
  func partsOfBlocks(parts name: String, memory: String) throws {
    var blueprint = try Self.blueprint(memory, .categorical(levels: 5))
    blueprint.parts = Self.parts[name] ?? BlockParts()
    guard blueprint.parts.keyHeads == nil || memory.hasPrefix("softmax") else {
      let error = #expect(throws: ModelError.self) { try Declaration(blueprint) }
      #expect(error?.description.contains("grouped key heads") == true)
      return
    }
    let declared = try Declaration(blueprint)
    let network = try #require(
      declared.network(randomWeights(declared)) as? SequenceNetwork<CategoricalHead>)
    check(network, try Self.batch(70, targets: 4, levels: 5))
  }

  /// What a memory tells beside values has no place behind the norm of a read.
  @Test func gatedReadsAreOfValuesAlone() throws {
    var blueprint = try Self.blueprint("ridge", .categorical(levels: 5))
    _ = try Declaration(blueprint)
    blueprint.parts.gatedReads = true
    let error = #expect(throws: ModelError.self) { try Declaration(blueprint) }
    #expect(error?.description.contains("gatedReads") == true)
    blueprint.memories = [try MemoryRegistry.named("gated-delta")]
    let declared = try Declaration(blueprint)
    #expect(declared.table.all.contains { $0.path == "block.1.readgate.weight" && $0.columns == 16 })
    let coded = try JSONDecoder().decode(Blueprint.self, from: JSONEncoder().encode(blueprint))
    #expect(coded == blueprint)
  }

  private static let reads = ["sequential", "periods(r:4)", "window(sinks:1,span:3)", "log-sparse"]

  /// What rows leave out in training they leave out when densities are asked for, and nothing reaches a value by another way.
  @Test(arguments: reads) func whatIsReadInTrainingIsReadAfterwards(plan: String) throws {
    let template = try PlanTemplate(parsing: plan)
    var blueprint = try Self.blueprint("softmax", .categorical(levels: 5))
    blueprint.parts = Self.parts["rotary"] ?? BlockParts()
    blueprint.trainedReads = template
    let coded = try JSONDecoder().decode(Blueprint.self, from: JSONEncoder().encode(blueprint))
    #expect(coded == blueprint)
    let declared = try Declaration(blueprint)
    let network = try #require(
      declared.network(randomWeights(declared)) as? SequenceNetwork<CategoricalHead>)
    for targets in [4, 70] {
      let batch = try Self.batch(targets + 6, targets: targets, levels: 5)
      let tape = Tape(network.weights)
      let (_, recorded) = network.loss(
        batch, task: 0, prefixes: [Int32](repeating: 0, count: targets), weight: 1, on: tape)
      let asked = try network.logDensities(inOrder: batch.y, reading: template)
      #expect(asked.count == batch.y.count)
      #expect(distance(asked.suffix(targets).map { Float($0) }, recorded) < 2e-5)
    }
  }

  /// With one block a value that is not read changes nothing.
  @Test func whatIsNotReadSaysNothing() throws {
    var blueprint = try Self.blueprint("softmax", .categorical(levels: 5))
    blueprint.layers = 1
    blueprint.memories = []
    let declared = try Declaration(blueprint)
    let network = try declared.network(randomWeights(declared))
    let values = try Self.batch(30, targets: 4, levels: 5).y
    for plan in ["periods(r:4)", "window(sinks:1,span:3)"] {
      let template = try PlanTemplate(parsing: plan)
      let seen = try template.ordered(.given).resolve(context: 0, targets: 30).visibility.direct
      let before = try network.logDensities(inOrder: values, reading: template)
      for changed in [2, 9, 15] {
        var others = values
        others[changed] = Float((Int(values[changed]) + 1) % 5)
        let after = try network.logDensities(inOrder: others, reading: template)
        for value in 0..<30 where value != changed {
          #expect(
            (after[value] == before[value]) == !seen[value].buffer.contains(changed), "\(plan) \(value)")
        }
      }
    }
  }

  @Test func readsThatCannotBe() throws {
    var blueprint = try Self.blueprint("retention", .categorical(levels: 5))
    let declared = try Declaration(blueprint)
    let network = try declared.network(randomWeights(declared))
    let values = (0..<12).map { Float($0 % 5) }
    #expect(throws: ModelError.self) { try network.logDensities(inOrder: values, reading: .logSparse) }
    #expect(try network.logDensities(inOrder: values, reading: .sequential).count == 12)
    blueprint.trainedReads = .logSparse
    #expect(throws: ModelError.self) { try Declaration(blueprint) }
    blueprint.memories = []
    _ = try Declaration(blueprint)
    for template in [PlanTemplate.coarseToFine, .speculative(draft: 4), .reencode] {
      blueprint.trainedReads = template
      #expect(throws: ModelError.self) { try Declaration(blueprint) }
      #expect(throws: AccessError.self) {
        try network.logDensities(inOrder: values, reading: template)
      }
    }
    let set = try Declaration(smallBlueprint { _ in })
    let other = try set.network(randomWeights(set))
    #expect(throws: ModelError.self) { try other.logDensities(inOrder: [0, 1], reading: .sequential) }
  }

  /// A short convolution before memories of all kinds, with rotary positions and without.
  @Test(arguments: memories, [false, true])
  func aShortConvolution(memories: String, rotary: Bool) throws {
    var blueprint = try Self.blueprint(memories, .categorical(levels: 5))
    blueprint.parts.convolution = 3
    if rotary { blueprint.parts.rotary = Rotary(base: 100) }
    let declared = try Declaration(blueprint)
    #expect(declared.table.all.contains { $0.path == "block.1.convolution" && $0.rows == 3 })
    let network = try #require(
      declared.network(randomWeights(declared)) as? SequenceNetwork<CategoricalHead>)
    check(network, try Self.batch(90, targets: 4, levels: 5))
    // It is there: without it the answers are others.
    blueprint.parts.convolution = nil
    #expect(try Declaration(blueprint).table.all.allSatisfy { !$0.path.contains("convolution") })
    #expect(!network.memoryCapability.subsetReads)
  }

  /// Bytes of state by hand: heads·d² of retention, 2·N·d of softmax, and the rows that a convolution takes in.
  @Test func bytesOfStates() throws {
    var blueprint = try Self.blueprint("retention", .categorical(levels: 5))
    #expect(try blueprint.stateBytes(rows: 40) == 4 * 2 * 2 * 8 * 8)
    blueprint.parts.convolution = 4
    #expect(try blueprint.stateBytes(rows: 40) == 4 * 2 * (2 * 8 * 8 + 3 * 32))
    #expect(try blueprint.stateBytes(rows: 2) == 4 * 2 * (2 * 8 * 8 + 2 * 32))
    blueprint.parts.convolution = nil
    blueprint.memories = [.softmax]
    #expect(try blueprint.stateBytes(rows: 40) == 4 * 2 * 40 * 32)
  }

  /// Rows that are told the inputs of the value that they predict, fewer of them than there could be.
  @Test(arguments: ["softmax", "gated-delta", "gla", "retention,softmax"])
  func inputsAreTold(memories: String) throws {
    var blueprint = try Self.blueprint(memories, .mixture(components: 3))
    (blueprint.inputDimensions, blueprint.tellsInputs, blueprint.parts.convolution) = (3, true, 2)
    let declared = try Declaration(blueprint)
    let network = try #require(
      declared.network(randomWeights(declared)) as? SequenceNetwork<MixtureHead>)
    check(network, try randomBatch(context: 3, buffer: 9, targets: 5, dimensions: 2))
    check(network, try randomBatch(context: 0, buffer: 0, targets: 7, dimensions: 3))
    // They say something.
    func loss(_ batch: TaskBatch) -> Float {
      let tape = Tape(network.weights)
      return tape.values(
        network.loss(batch, task: 0, prefixes: [0, 0, 0], weight: 1, on: tape).loss)[0]
    }
    var batch = try randomBatch(context: 2, buffer: 0, targets: 3, dimensions: 3)
    let before = loss(batch)
    batch.x[batch.x.count - 1] += 1
    #expect(loss(batch) != before)
    blueprint.family = .set
    blueprint.parts.convolution = nil
    #expect(throws: ModelError.self) { try Declaration(blueprint) }
  }

  /// Rows that are pairs: steps are the training pass, the context's values are read and no other is told.
  @Test(arguments: ["softmax", "gated-delta", "gla", "retention,softmax"])
  func pairsAreTold(memories: String) throws {
    var blueprint = try Self.blueprint(memories, .mixture(components: 3))
    (blueprint.inputDimensions, blueprint.tellsInputs, blueprint.pairsValues) = (3, true, true)
    let declared = try Declaration(blueprint)
    let network = try #require(
      declared.network(randomWeights(declared)) as? SequenceNetwork<MixtureHead>)
    for (context, targets) in [(9, 5), (0, 4), (70, 6)] {
      check(network, try randomBatch(context: context, buffer: 0, targets: targets, dimensions: 2))
    }
    func densities(_ batch: TaskBatch) -> [Float] {
      let tape = Tape(network.weights)
      return network.loss(batch, task: 0, prefixes: [0, 0, 0], weight: 1, on: tape).logDensities
    }
    let batch = try randomBatch(context: 4, buffer: 0, targets: 3, dimensions: 3)
    let before = densities(batch)
    for (row, reaches) in [(1, true), (3, true), (4, false), (5, false)] {
      var other = batch
      other.y[row] += 1
      // A target's own density changes with its value; those behind it do not.
      let after = densities(other)
      #expect((after[2] != before[2]) == reaches, "\(row)")
      #expect((after[0] != before[0]) == (reaches || row == 4), "\(row)")
    }
    let coded = try JSONDecoder().decode(Blueprint.self, from: JSONEncoder().encode(blueprint))
    #expect(coded == blueprint)
    blueprint.tellsInputs = false
    let error = #expect(throws: ModelError.self) { try Declaration(blueprint) }
    #expect(error?.description.contains("pairsValues") == true)
  }

  /// Only what is asked counts: the loss is the mean over those rows, whatever the others are.
  @Test func onlyWhatIsAskedCounts() throws {
    let declared = try Declaration(Self.blueprint("gated-delta", .categorical(levels: 5)))
    let network = try #require(
      declared.network(randomWeights(declared)) as? SequenceNetwork<CategoricalHead>)
    var batch = try Self.batch(20, targets: 6, levels: 5)
    func loss() -> (Float, [Float]) {
      let tape = Tape(network.weights)
      let (loss, logp) = network.loss(
        batch, task: 0, prefixes: [0, 0, 0, 0, 0, 0], weight: 1 / 6, on: tape)
      return (tape.values(loss)[0], logp)
    }
    let all = loss().1
    batch.asked = [[false, true, false, false, true, false]]
    let (some, logp) = loss()
    #expect(distance(logp, [all[1], all[4]]) < 1e-6)
    #expect(abs(some + (all[1] + all[4]) / 2) < 1e-5)
  }

  @Test func memoriesOfSequencesHoldNoSet() throws {
    for name in ["retention", "delta", "gla"] {
      var blueprint = try Self.blueprint(name, .categorical(levels: 5))
      _ = try Declaration(blueprint)
      blueprint.family = .set
      let error = #expect(throws: ModelError.self) { try Declaration(blueprint) }
      #expect(error?.description.contains(name) == true && error?.description.contains("softmax") == true)
    }
    var told = try Self.blueprint("retention", .categorical(levels: 5))
    told.hints = Hints([TrendAndWaves(waves: 1)])
    #expect(throws: ModelError.self) { try Declaration(told) }
  }
}
