import ChorusData
import ChorusHints
import Foundation
import Testing

@testable import ChorusMemories
@testable import ChorusModels
@testable import ChorusTensors

/// Networks whose layers hold each memory of the registry, and several at once: what a memory owes holds for the whole.
@Suite struct MemoryModelTests {
  private static let stride = 9  // 3 · components
  private static let sets = MemoryRegistry.all.map(\.name).filter { name in
    (try? CompiledMemory(MemoryRegistry.named(name), AttentionSizes(heads: 2, width: 8))) != nil
  }
  /// A memory for all layers, or one for each.
  static let blueprints =
    sets + ["ridge/softmax", "hybrid/local-linear", "linear-taylor/hybrid/kernel-ridge"]

  private static func blueprint(_ names: String) throws -> Blueprint {
    let layers = try names.split(separator: "/").map { try MemoryRegistry.named(String($0)) }
    return smallBlueprint {
      $0.memories = layers
      $0.layers = max(2, layers.count)
    }
  }
  private static func network(_ names: String) throws -> Network { try randomNetwork(blueprint(names)) }

  private static func row(_ values: [Float], _ index: Int) -> [Float] {
    Array(values[index * stride..<(index + 1) * stride])
  }

  @Test func everyMemoryOfASetIsTried() {
    let sizes = AttentionSizes(heads: 2, width: 8)
    let able = MemoryRegistry.all.filter {
      (try? CompiledMemory($0.layer, sizes, set: false))?.capability.holdsSet == true
    }
    #expect(Self.sets == able.map(\.name))
    #expect(Self.sets.contains("softmax") && !Self.sets.contains("delta"))
  }

  @Test(arguments: blueprints, [0, 40])
  func rowByRowEqualsOnePassEqualsTraining(names: String, context: Int) throws {
    let network = try Self.network(names)
    let steps = 12
    let batch = try randomBatch(context: context, buffer: steps, targets: 1)
    let (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    let y = Array(batch.y[batch.bufferRows])
    let indices = (0..<steps).map { Int32($0) }
    let paths = network.branch(paths: 1, capacity: steps)
    var stepped: [Float] = []
    for step in 0..<steps {
      let last = max(0, step - 1)..<step
      let index = Int32(step)
      stepped += network.advance(
        paths, state, inputs: inputs, commit: Array(indices[last]), y: Array(y[last]), query: [index],
        limits: [index])
    }
    let onePass = network.advance(
      network.branch(paths: 1, capacity: steps), state, inputs: inputs, commit: indices, y: y, query: indices,
      limits: indices)
    #expect(same(stepped, onePass), "\(names)")
    var packed = try TaskBatch(tasks: 1, context: context, buffer: steps, targets: steps, dimensions: 2)
    let rows = 2 * (context + steps)
    packed.x = Array(batch.x[0..<rows] + batch.x[2 * context..<rows])
    packed.y = Array(batch.y[0..<context + steps] + batch.y[context..<context + steps])
    let recorded = network.recorded(packed, prefixes: indices)
    #expect(distance(recorded, onePass) < 2e-5 * Self.size(onePass), "\(names)")
  }

  /// Every memory inside a network, in both its forms, against the network whose memories are their definitions in Double.
  @Test(arguments: blueprints, [0, 9])
  func bothPassesEqualTheReference(names: String, context: Int) throws {
    let network = try Self.network(names)
    let batch = try randomBatch(context: context, buffer: 3, targets: 3)
    let prefixes: [Int32] = [0, 2, 3]
    let reference = ReferenceNetwork(network)
    let expected = reference.predict(ReferenceNetwork.tokens(batch, task: 0, prefixes: prefixes))
      .flatMap { $0.map { Float($0) } }
    let allowed = 2e-5 * Self.size(expected)
    #expect(distance(network.advanced(batch, prefixes: prefixes), expected) < allowed, "\(names)")
    #expect(distance(network.recorded(batch, prefixes: prefixes), expected) < allowed, "\(names)")
  }

  private static func size(_ values: [Float]) -> Double { values.reduce(1) { max($0, abs(Double($1))) } }

  @Test(arguments: blueprints)
  func theOrderOfTheContextDoesNotMatter(names: String) throws {
    let network = try Self.network(names)
    let batch = try randomBatch(context: 50, buffer: 3, targets: 4)
    var stream = RandomStream(seed: 4)
    var turned = batch
    for (place, row) in stream.permutation(50).enumerated() {
      turned.y[place] = batch.y[row]
      turned.x[2 * place] = batch.x[2 * row]
      turned.x[2 * place + 1] = batch.x[2 * row + 1]
    }
    let prefixes: [Int32] = [0, 1, 2, 3]
    let (one, other) = (
      network.advanced(batch, prefixes: prefixes), network.advanced(turned, prefixes: prefixes)
    )
    // 1e-5 for two layers; every further one adds its own rounding.
    let allowed = 5e-6 * Double(network.blueprint.layers)
    #expect(distance(one, other) < allowed * Self.size(one), "\(names)")
  }

  @Test(arguments: blueprints)
  func anEmptyBufferIsThePlainSetModel(names: String) throws {
    let network = try Self.network(names)
    let batch = try randomBatch(context: 8, buffer: 3, targets: 3)
    var plain = try TaskBatch(tasks: 1, context: 8, buffer: 0, targets: 3, dimensions: 2)
    plain.x = Array(batch.x[0..<16] + batch.x[22...])
    plain.y = Array(batch.y[0..<8] + batch.y[11...])
    let none: [Int32] = [0, 0, 0]
    #expect(
      same(network.advanced(batch, prefixes: none), network.advanced(plain, prefixes: none)), "\(names)")
    #expect(
      same(network.recorded(batch, prefixes: none), network.recorded(plain, prefixes: none)), "\(names)")
  }

  @Test(arguments: blueprints)
  func aBufferRowIsReadOnlyFromItsPlaceOn(names: String) throws {
    let network = try Self.network(names)
    let batch = try randomBatch(context: 5, buffer: 3, targets: 4)
    let prefixes: [Int32] = [0, 1, 2, 3]
    for answer in [network.recorded, network.advanced] as [(TaskBatch, [Int32]) -> [Float]] {
      let one = answer(batch, prefixes)
      for j in 0..<3 {
        var changed = batch
        changed.y[batch.context + j] -= 2
        changed.x[2 * (batch.context + j) + 1] += 0.5
        let other = answer(changed, prefixes)
        for target in 0..<4 {
          #expect(
            same(Self.row(one, target), Self.row(other, target)) == (target <= j),
            "\(names): \(target), row \(j)")
        }
      }
    }
  }

  @Test(arguments: blueprints)
  func pathsSideBySideEqualPathsAlone(names: String) throws {
    let network = try Self.network(names)
    let (count, steps) = (4, 5)
    let batch = try randomBatch(context: 9, buffer: steps, targets: 1)
    let (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    var stream = RandomStream(seed: 21)
    let orders = (0..<count).map { _ in stream.permutation(steps) }
    let y = (0..<count * steps).map { _ in Float(stream.normal()) }
    func run(_ members: [Int]) -> [[Float]] {
      let paths = network.branch(paths: members.count, capacity: steps)
      var rows = RowBatch()
      return (0..<steps).map { step in
        rows.clear()
        for path in members {
          rows.begin()
          if step > 0 {
            rows.commit(
              input: Int32(orders[path][step - 1]), y: y[step * count + path], slot: Int32(step - 1),
              reads: .prefix(step))
          }
          rows.query(input: Int32(orders[path][step]), reads: .prefix(step))
        }
        return network.advance(paths, state, inputs: inputs, batch: rows)
      }
    }
    let together = run(Array(0..<count))
    for path in 0..<count {
      let alone = run([path])
      for step in 0..<steps {
        #expect(same(alone[step], Self.row(together[step], path)), "\(names): path \(path), step \(step)")
      }
    }
  }

  @Test(arguments: blueprints)
  func threadsAndRewindingDoNotChangeABit(names: String) throws {
    let network = try Self.network(names)
    let batch = try randomBatch(context: 100, buffer: 6, targets: 1)
    let inputs = network.embeddedRest(batch)
    let state = network.encoded(batch)
    func answer(_ state: Network.Context, detour: Bool) -> [Float] {
      let paths = network.branch(paths: 1, capacity: 6)
      network.advance(paths, state, inputs: inputs, commit: [0, 1], y: [1, -1])
      if detour {
        network.advance(paths, state, inputs: inputs, commit: [2, 3, 4], y: [9, -9, 9])
        paths.rewind(path: 0, to: 2)
      }
      return network.advance(
        paths, state, inputs: inputs, commit: [5], y: [0.5], query: [6, 6], limits: [3, 1])
    }
    let wanted = answer(state, detour: false)
    #expect(same(answer(state, detour: true), wanted), "\(names)")
    #expect(
      same(answer(network.encoded(batch, on: ThreadPool(threads: 3)), detour: false), wanted), "\(names)")
  }

  // MARK: The gate

  /// Before training opens it, the gate keeps the buffer's read out: what stands in the buffer changes nothing, and the
  /// answers are those of a network with the context's memory alone.
  @Test func aFreshGateKeepsTheMarginals() throws {
    let (joined, single) = (
      try Declaration(Self.blueprint("hybrid")), try Declaration(Self.blueprint("ridge"))
    )
    let weights = randomWeights(single)
    let gated = Weights(joined.table)
    joined.initialise(gated, seed: 3)
    for p in joined.table.all {
      let source = p.path.replacingOccurrences(of: ".memory.context.", with: ".memory.")
      guard let known = single.table[source] else { continue }
      // An output map has further rows for the buffer's read: they stay zeros.
      gated[p].update(from: weights[known], count: known.count)
    }
    gated.pack()
    let batch = try randomBatch(context: 20, buffer: 4, targets: 3)
    let (network, plain) = (try joined.set(gated), try single.set(weights))
    let wanted = plain.advanced(batch, prefixes: [0, 0, 0])
    #expect(same(network.advanced(batch, prefixes: [0, 0, 0]), wanted))
    #expect(same(network.advanced(batch, prefixes: [4, 2, 0]), wanted))
    #expect(
      same(network.recorded(batch, prefixes: [4, 2, 0]), plain.recorded(batch, prefixes: [0, 0, 0])))
    // An open gate lets it in.
    let open = randomWeights(joined)
    let opened = try joined.set(open)
    #expect(
      distance(opened.advanced(batch, prefixes: [4, 2, 0]), opened.advanced(batch, prefixes: [0, 0, 0]))
        > 1e-3)
  }

  // MARK: Starts and files

  @Test(arguments: blueprints)
  func aStartIsAFunctionOfItsSeed(names: String) throws {
    let declared = try Declaration(Self.blueprint(names))
    func start(_ seed: UInt64) -> [Float] {
      let weights = Weights(declared.table)
      weights.values.fill(.nan)
      declared.initialise(weights, seed: seed)
      return declared.table.all.flatMap { p in (0..<p.count).map { weights[p][$0] } }
    }
    #expect(same(start(1), start(1)))
    #expect(!same(start(1), start(2)))
    #expect(start(1).allSatisfy { $0.isFinite })
  }

  @Test(arguments: blueprints)
  func aModelFileKeepsItsMemories(names: String) throws {
    let folder = try ScratchFolder()
    let model = Model(network: try Self.network(names), card: ["prior": "gp"])
    let path = folder.path + "/m.safetensors"
    try model.write(to: path, half: false)
    let read = try Model(path: path)
    #expect(read.blueprint == model.blueprint)
    #expect(!read.blueprint.memories.isEmpty)
    let batch = try randomBatch(context: 9, buffer: 3, targets: 3)
    let prefixes: [Int32] = [0, 3, 2]
    #expect(
      same(
        (try read.set).advanced(batch, prefixes: prefixes),
        (try model.set).advanced(batch, prefixes: prefixes)))
  }

  @Test func anOrderDependentMemoryIsRefusedWithItsReason() throws {
    for memories in [["delta"], ["softmax", "delta"]] {
      let blueprint = smallBlueprint {
        $0.memories = memories.compactMap { try? MemoryRegistry.named($0) }
      }
      let refusal = #expect(throws: ModelError.self) { try Declaration(blueprint) }
      let text = refusal.map { "\($0)" } ?? ""
      #expect(text.contains("delta") && text.contains("order") && text.contains("ridge"), "\(text)")
      #expect(text.contains("layer \(memories.count - 1)"), "\(text)")
    }
  }
}
