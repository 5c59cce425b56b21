import ChorusMemories
import ChorusPlans
import Testing

@testable import ChorusModels

/// What a plan is told that a network costs.
@Suite struct RatesTests {
  private static func rates(_ memory: String, family: Blueprint.Family = .set) throws -> WorkRates {
    let memory = try MemoryRegistry.named(memory)
    return try Declaration(
      smallBlueprint {
        $0.family = family
        $0.memories = [memory]
      }
    ).rates
  }

  /// One more target of a plan whose targets are asked for side by side, from contexts of two sizes.
  private static func query(_ rates: WorkRates, context: Int) throws -> Double {
    func work(_ targets: Int) throws -> Double {
      try PlanTemplate.independent.resolve(context: context, targets: targets).cost().work(rates).layers
    }
    return try work(2) - work(1)
  }

  @Test(arguments: ["linear", "linear-elu", "ridge", "ridge-cg", "ttt-linear", "hybrid"])
  func aReadOfAFixedStateDoesNotGrow(memory: String) throws {
    let rates = try Self.rates(memory)
    let few = try Self.query(rates, context: 20)
    #expect(try abs(Self.query(rates, context: 20_000) / few - 1) < 1e-6)
    // Encoding takes the same for every row more.
    let (one, two, three) = (rates.encoding(1000), rates.encoding(2000), rates.encoding(3000))
    #expect(abs((three - two) / (two - one) - 1) < 1e-9)
    // So does what is held of a context.
    func bytes(_ context: Int) throws -> Int {
      try PlanTemplate.independent.resolve(context: context, targets: 3).cost().bytes(rates)
    }
    #expect(try bytes(20) == bytes(20_000))
    let softmax = try Self.rates("softmax")
    #expect(try Self.query(softmax, context: 20_000) > 100 * Self.query(softmax, context: 20) / 2)
    #expect(try Self.query(softmax, context: 20_000) > Self.query(rates, context: 20_000))
  }

  /// Two targets one after the other beside a ridge of five rows, layer by layer by hand.
  @Test func aPlanBesideARidgeByHand() throws {
    let ridge = try MemoryRegistry.named("ridge")
    let blueprint = smallBlueprint { $0.memories = [ridge] }
    let rates = try Declaration(blueprint).rates
    let cost = try PlanTemplate.sequential.resolve(context: 5, targets: 2).cost()
    let (h, d) = (Double(blueprint.heads), Double(blueprint.width / blueprint.heads))
    // Two queries and one row that is committed, the second of which sees it, as it sees itself.
    let (read, append) = (h * 4 * d * d, h * 4 * d * d)
    let one =
      5 * h * 4 * d * d + h * (4 * d * d * d / 3 + 2 * d * d * d)  // moments, and the state
      + (5 + 3) * read + append + 2 * h * 4 * d
    let maps = 8 * rates.row
    #expect(abs(cost.work(rates).layers / (maps + Double(blueprint.layers) * one) - 1) < 1e-12)
    #expect((cost.contexts, cost.contextRows, cost.contextReads, cost.commitReads) == (1, 5, 25 + 15, 1))
  }

  /// A state of a sequence is a path's: no row more is held.
  @Test func aRecurrentStateIsHeldOnceAPath() throws {
    let rates = try Self.rates("gated-delta", family: .sequence)
    func cost(_ targets: Int, paths: Int) throws -> Plan.Cost {
      try PlanTemplate.sequential.resolve(context: 10, targets: targets).cost(paths: paths)
    }
    #expect(try cost(5, paths: 1).bytes(rates) == cost(500, paths: 1).bytes(rates))
    #expect(try cost(5, paths: 3).bytes(rates) == 3 * cost(5, paths: 1).bytes(rates))
    let steps = try [100, 200, 300].map { try cost($0, paths: 1).work(rates).total }
    #expect(abs((steps[2] - steps[1]) / (steps[1] - steps[0]) - 1) < 1e-9)
  }
}
