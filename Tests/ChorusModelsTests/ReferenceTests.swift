import ChorusData
import ChorusHints
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// Training pass, inference pass and the float64 network tell the same.
@Suite struct ReferenceTests {
  static let shapes = [[5, 3, 4], [0, 3, 4], [7, 0, 3], [1, 6, 6], [40, 5, 5], [0, 0, 2]]

  private static func prefixes(_ batch: TaskBatch) -> [Int32] {
    (0..<batch.targets).map { Int32($0 % (batch.buffer + 1)) }
  }

  /// Float32 through two layers against float64: relative to the largest output.
  @Test(arguments: Variant.allCases, shapes)
  func bothPassesEqualTheReference(_ variant: Variant, _ shape: [Int]) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: shape[0], buffer: shape[1], targets: shape[2])
    let prefixes = Self.prefixes(batch)
    var reference = ReferenceNetwork(network)
    reference.periods = batch.periods(network.blueprint.hints.first(TrendAndWaves.self)?.waves ?? 0)
    let expected = reference.predict(ReferenceNetwork.tokens(batch, task: 0, prefixes: prefixes))
      .flatMap { $0.map { Float($0) } }
    let scale = expected.reduce(1) { max($0, Double(abs($1))) }
    let (recorded, advanced) = (
      network.recorded(batch, prefixes: prefixes), network.advanced(batch, prefixes: prefixes)
    )
    #expect(distance(recorded, expected) < 1e-5 * scale)
    #expect(distance(advanced, expected) < 1e-5 * scale)
    #expect(distance(advanced, recorded) < 1e-5)
  }

  /// Fewer inputs than the network has: padded, and told apart by the mask.
  @Test func fewerInputsThanTheNetworkHas() throws {
    let network = try randomNetwork(smallBlueprint { $0.inputDimensions = 3 })
    let batch = try randomBatch(context: 4, buffer: 2, targets: 3, dimensions: 1)
    let reference = ReferenceNetwork(network)
    let expected = reference.predict(ReferenceNetwork.tokens(batch, task: 0, prefixes: [0, 1, 2]))
      .flatMap { $0.map { Float($0) } }
    #expect(distance(network.recorded(batch, prefixes: [0, 1, 2]), expected) < 1e-4)
    #expect(distance(network.advanced(batch, prefixes: [0, 1, 2]), expected) < 1e-4)
    // A column of zeros is not an absent column.
    var padded = try randomBatch(context: 4, buffer: 2, targets: 3, dimensions: 2)
    for row in 0..<batch.rows {
      padded.x[2 * row] = batch.x[row]
      padded.x[2 * row + 1] = 0
      padded.y[row] = batch.y[row]
    }
    #expect(distance(network.advanced(padded, prefixes: [0, 1, 2]), expected) > 1e-3)
  }

  /// Tasks recorded side by side give the bytes that each gives alone.
  @Test(arguments: Variant.allCases, [0, 5])
  func tasksOfABatchDoNotTouchEachOther(_ variant: Variant, context: Int) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(tasks: 3, context: context, buffer: 3, targets: 4)
    let prefixes: [Int32] = [0, 1, 2, 3, 3, 0, 0, 1, 2, 2, 0, 3]
    let together = network.recorded(batch, prefixes: prefixes)
    let alone = try (0..<3).flatMap { task in
      network.recorded(try batch.only(task), prefixes: Array(prefixes[task * 4..<task * 4 + 4]))
    }
    #expect(same(together, alone))
  }

  /// The reference itself: with no buffer it is a plain set model, whose rows have no order.
  @Test func theReferenceIgnoresTheOrderOfTheContext() throws {
    let network = try randomNetwork(Variant.pre.blueprint)
    let reference = ReferenceNetwork(network)
    let batch = try randomBatch(context: 6, buffer: 0, targets: 2)
    let tokens = ReferenceNetwork.tokens(batch, task: 0, prefixes: [0, 0])
    let turned = Array(tokens[0..<6].reversed()) + tokens[6...]
    for (a, b) in zip(reference.predict(tokens), reference.predict(turned)) {
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 })
    }
  }
}
