import ChorusData
import ChorusPlans
import ChorusTensors
import Testing

@testable import ChorusInference

@Suite struct PathTests {
  @Test(arguments: everyPlan) func sameBytesForAnyThreadsAndPaths(plan: PlanTemplate) throws {
    let model = try smallModel()
    let (data, at) = (try wave(37), try places(11))
    let few = try model.condition(on: data).sample(10, at: at, plan: plan, seed: 3).paths
    #expect(few.count == 10 && few.allSatisfy { $0.count == 11 && $0.allSatisfy(\.isFinite) })
    #expect(Set(few.flatMap { $0 }).count == 110)
    for threads in 1...3 {
      let pool = ThreadPool(threads: threads)
      let posterior = try model.condition(on: data, pool: pool)
      #expect(try posterior.sample(10, at: at, plan: plan, seed: 3).paths == few)
      let many = try posterior.sample(threads == 2 ? 100 : 17, at: at, plan: plan, seed: 3).paths
      #expect(Array(many[..<10]) == few)
    }
    #expect(try model.condition(on: data).sample(10, at: at, plan: plan, seed: 4).paths != few)
  }

  @Test func plansThatMeanTheSameGiveTheSameBytes() throws {
    let posterior = try smallModel().condition(on: wave(9))
    let at = try places(7)
    func paths(_ plan: PlanTemplate) throws -> [[Double]] {
      try posterior.sample(5, at: at, plan: plan).paths
    }
    #expect(try paths(.sequential(capacity: 1)) == paths(.reencode))
    #expect(try paths(.sequential(capacity: 7)) == paths(.sequential))
    #expect(try paths(.blocks(of: 1)) == paths(.sequential))
    #expect(try paths(.blocks(of: 7)) == paths(.independent))
    #expect(try paths(.reencode) != paths(.sequential))
    #expect(try paths(.independent) != paths(.sequential))
    let y = try posterior.sample(1, at: at).paths[0]
    func density(_ plan: PlanTemplate) throws -> [Double] {
      try posterior.logDensity(of: y, at: at, plan: plan, orders: 3).orders
    }
    #expect(try density(.sequential(capacity: 1)) == density(.reencode))
    #expect(try density(.blocks(of: 1)) == density(.sequential))
    #expect(try density(.blocks(of: 9)) == density(.independent))
    #expect(try density(.reencode) != density(.sequential))
  }

  /// Stepwise equals one pass, and a merge equals a context made by hand.
  @Test(arguments: everyPlan) func drawsAndDensitiesFollowTheChain(plan: PlanTemplate) throws {
    let model = try smallModel()
    let (data, at) = (try wave(8), try places(12))
    let posterior = try model.condition(on: data)
    let chain = Chain(model, data, at.values, plan)
    let path = try posterior.sample(3, at: at, plan: plan, seed: 5).paths[0]
    let order = try posterior.plan(plan, at: at).order(path: 0, seed: 5)
    var sum = 0.0
    for position in order.indices {
      let target = order[position]
      let mixture = chain.conditional(position, order: order, values: path)
      var stream = RandomStream(seed: 5, .paths, 0, UInt64(target))
      #expect(abs(number(mixture.draw(from: &stream)) - path[target]) < 1e-5)
      sum += mixture.logDensity(path[target])
    }
    let density = try posterior.logDensity(of: path, at: at, plan: plan, orders: 1, seed: 5)
    #expect(abs(density.value - sum) < 1e-5)
  }

  @Test func densityOfAnOrderDoesNotDependOnTheOthers() throws {
    let model = try smallModel()
    let (data, at) = (try wave(12), try places(100))  // 10 orders a tile
    let y = at.values.map { 0.3 * $0 }
    for plan in [PlanTemplate.sequential, .sequential(capacity: 40), .blocks(of: 30)] {
      let all = try model.condition(on: data, pool: ThreadPool(threads: 2)).logDensity(
        of: y, at: at, plan: plan, orders: 40, seed: 2)
      let posterior = try model.condition(on: data)
      #expect(
        try posterior.logDensity(of: y, at: at, plan: plan, orders: 1, seed: 2).orders == [all.orders[0]])
      #expect(
        try posterior.logDensity(of: y, at: at, plan: plan, orders: 13, seed: 2).orders
          == Array(all.orders[..<13]))
      #expect(Set(all.orders).count == 40)
      #expect(abs(all.value - Posterior.logMeanExp(all.orders)) < 1e-12)
      #expect(all.value > all.orders.reduce(0, +) / 40)
    }
  }

  @Test func logMeanExp() {
    #expect(Posterior.logMeanExp([-1000, -1000]) == -1000)
    #expect(abs(Posterior.logMeanExp([0, -.infinity]) + 0.6931471805599453) < 1e-15)
    #expect(Posterior.logMeanExp([-.infinity, -.infinity]) == -.infinity)
    #expect(Posterior.logMeanExp([]) == -.infinity)
    #expect(Posterior.logMeanExp([3]) == 3)
  }

  @Test func marginalsAreTheIndependentPlan() throws {
    let posterior = try smallModel { $0.scaling = .standardise }.condition(
      on: wave(20), pool: ThreadPool(threads: 2))
    let at = try places(130)  // three tiles
    let y = at.values.map { 0.5 - $0 }
    let marginals = try posterior.marginals(at: at)
    let sum = zip(marginals, y).reduce(0) { $0 + $1.0.logDensity($1.1) }
    let density = try posterior.logDensity(of: y, at: at, plan: .independent, orders: 2)
    #expect(abs(density.value - sum) < 1e-4)
    #expect(density.orders[0] == density.orders[1] || abs(density.orders[0] - density.orders[1]) < 1e-9)
    // A path of the independent plan is each marginal's own draw, from the stream of (seed, path, target).
    let path = try posterior.sample(2, at: at, plan: .independent, seed: 9).paths[1]
    for (target, marginal) in marginals.enumerated() {
      var stream = RandomStream(seed: 9, .paths, 1, UInt64(target))
      #expect(abs(number(marginal.draw(from: &stream)) - path[target]) < 1e-5)
    }
  }

  /// A call of many rows goes through the network in pieces; nothing may show of it.
  @Test func piecesDoNotShow() throws {
    let posterior = try smallModel().condition(on: wave(6))
    let (at, part) = (try places(700), try places(70))
    let paths = try posterior.sample(16, at: at, plan: .independent).paths
    #expect(16 * 700 > 2 * Tile<NetworkConditioner<Network>>.piece)
    #expect(try posterior.sample(16, at: part, plan: .independent).paths == paths.map { Array($0[..<70]) })
    let blocks = PlanTemplate.blocks(of: 350)
    let all = try posterior.sample(16, at: at, plan: blocks).paths
    #expect(try posterior.sample(2, at: at, plan: blocks).paths == Array(all[..<2]))
    let latent = try posterior.sample(16, at: at, plan: .independent, latent: true).paths
    #expect(try posterior.sample(1, at: at, plan: .independent, latent: true).paths == [latent[0]])
  }

  /// Streams belong to (path, target's index in the request) and the order to (path, number of targets): asking for
  /// the same places in another order keeps the law and not the draws, and densities to the spread between orders.
  @Test func orderOfTheRequest() throws {
    let posterior = try smallModel().condition(on: wave(9))
    let at = try places(6)
    let turned = at.rows((0..<6).reversed())
    let (y, yTurned) = (at.values, turned.values)
    let independent = try posterior.logDensity(of: y, at: at, plan: .independent, orders: 1).value
    #expect(
      abs(
        try posterior.logDensity(of: yTurned, at: turned, plan: .independent, orders: 1).value - independent)
        < 1e-6)
    let one = try posterior.marginals(at: at)
    let other = try posterior.marginals(at: turned)
    for (a, b) in zip(one, other.reversed()) { #expect(abs(a.mean - b.mean) < 1e-6) }
    // All 720 orders are equally likely whatever the request's order, so many of them agree.
    let many = try posterior.logDensity(of: y, at: at, orders: 2000).value
    let manyTurned = try posterior.logDensity(of: yTurned, at: turned, orders: 2000).value
    #expect(abs(many - manyTurned) < 0.1)
  }

  @Test func latentPaths() throws {
    let model = try smallModel()
    let at = try places(9)
    for plan in everyPlan {
      let posterior = try model.condition(on: wave(10))
      let latent = try posterior.sample(20, at: at, plan: plan, seed: 1, latent: true).paths
      let drawn = try posterior.sample(20, at: at, plan: plan, seed: 1).paths
      let finite = latent.joined().allSatisfy(\.isFinite)
      #expect(finite)
      #expect(latent != drawn)
      let pooled = try model.condition(on: wave(10), pool: ThreadPool(threads: 3))
      #expect(
        try pooled.sample(40, at: at, plan: plan, seed: 1, latent: true).paths.prefix(20) == latent[...])
      // The mean of each value given all of its path spreads less than the values.
      func spread(_ paths: [[Double]]) -> Double {
        at.values.indices.reduce(0) { sum, target in
          let values = paths.map { $0[target] }
          let mean = values.reduce(0, +) / 20
          return sum + values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        }
      }
      #expect(spread(latent) < spread(drawn))
    }
  }
}
