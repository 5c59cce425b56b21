import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// What a plan told is what happened: counters, densities and draws of every shipped plan.
@Suite struct ExecutionTests {
  static let plans = [
    "independent", "sequential", "sequential(capacity:3)", "sequential(order:left-to-right)", "reencode",
    "blocks(of:4)", "blocks(of:4,order:left-to-right)", "coarse-to-fine(r:2)", "coarse-to-fine(r:4)",
    "coarse-to-fine(r:4,capacity:5)", "lineage(r:2)", "lineage(r:4)", "lineage(r:4,strict)",
    "window(sinks:1,span:3)", "window(sinks:1,span:3,strict)", "log-sparse", "log-sparse(strict)",
    "random-sparse(reads:3)", "trusted(millinats:0)", "trusted(millinats:30)",
    "trusted(millinats:1000000,capacity:5)",
  ]
  static let verified = [
    "speculative(draft:1)", "speculative(draft:4)", "coarse-to-fine-verified(r:2)",
    "coarse-to-fine-verified(r:4)", "trusted(millinats:0)", "trusted(millinats:3)",
    "trusted(millinats:100000)",
    "trusted(millinats:100000,capacity:4)",
  ]

  private func sampler(
    _ plan: PlanTemplate, context: Int, targets: Int, seed: UInt64, hints: [any RowHint] = []
  ) throws -> (Sampler<CountingConditioner<NetworkConditioner<Network>>>, Counters) {
    let data = try wave(context)
    let model = try smallModel {
      $0.hints = Hints(rows: hints)
      $0.head = .mixture(components: 3, around: hints.isEmpty ? 0 : 2)
    }
    let conditioned = try model.condition(on: data).encoded
    let at = try places(targets)
    let base = NetworkConditioner(conditioned, x: at.values.map(Float.init))
    let counting = CountingConditioner(base, observedRows: context)
    let plan = try plan.resolve(
      context: context, targets: targets, geometry: Plan.Geometry(inputs: at.values, dimensions: 1))
    return (Sampler(counting, plan: plan, seed: seed), counting.counters)
  }

  static let rowHints: [[any RowHint]] = [
    [], [LocalSplines(neighbours: 5)], [LastValue(), LocalSplines(neighbours: 5)],
  ]

  @Test(arguments: plans, 0..<3) func densitiesAreThoseOfTheDraws(text: String, hints: Int) throws {
    let (sampler, counters) = try sampler(
      PlanTemplate(parsing: text), context: 9, targets: 23, seed: 4, hints: Self.rowHints[hints])
    let path = try sampler.sample(1).paths[0]
    let laws = counters.laws.withLock { $0 }
    let drawn = path.indices.reduce(0.0) { $0 + (laws[$1]?.logDensity(.number(Double(path[$1]))) ?? .nan) }
    let density = try sampler.logDensities(of: path, orders: 1)[0]
    #expect(abs(drawn - density) < 1e-4 * max(1, abs(drawn)))
    #expect(Set(path).count == 23)
  }

  @Test func explainedCountsAreTheCounters() throws {
    var stream = RandomStream(seed: 11, 1)
    var checked = 0
    for _ in 0..<120 {
      let context = 1 + stream.below(12)
      let targets = 1 + stream.below(30)
      let n = 1 + stream.below(6)
      let forms = [
        "independent", "sequential", "sequential(capacity:\(n))", "reencode", "blocks(of:\(n))",
        "blocks(of:\(n),capacity:\(n + 3),order:left-to-right)", "coarse-to-fine(r:\(n + 1))",
        "coarse-to-fine(r:2,capacity:\(2 * n + 8))", "lineage(r:\(n + 1))", "lineage(r:\(n + 1),strict)",
        "window(sinks:\(n),span:\(n))", "window(sinks:1,span:\(n),strict)", "log-sparse",
        "random-sparse(reads:\(n))", "random-sparse(reads:\(n),strict)", "sequential(order:coarse-to-fine)",
      ]
      let template = try PlanTemplate(parsing: forms[stream.below(forms.count)])
      let paths = 1 + stream.below(3)
      let (sampler, counters) = try sampler(template, context: context, targets: targets, seed: 1)
      let cost = try sampler.plan.cost(paths: paths)
      _ = try sampler.sample(paths)
      let counted = counters.value
      #expect(counted.encodes == cost.encodes, "\(template) \(context) \(targets) \(paths)")
      #expect(counted.reads == cost.reads, "\(template) \(context) \(targets) \(paths)")
      #expect(counted.queries == cost.queries)
      if paths == 1 {
        #expect(counted.calls == cost.calls, "\(template) \(context) \(targets)")
        #expect(counted.peak == cost.peakRows, "\(template) \(context) \(targets)")
      }
      checked += 1
    }
    #expect(checked == 120)
  }

  @Test(arguments: verified) func realisedTracesAreTheCounters(text: String) throws {
    let template = try PlanTemplate(parsing: text)
    for targets in [1, 2, 7, 30] {
      let (sampler, counters) = try sampler(template, context: 6, targets: targets, seed: 3)
      let trace = try sampler.sample(1).trace
      guard sampler.plan.goesByDraws else {
        #expect(trace == nil)  // drafts of one are plain draws
        continue
      }
      let realised = try #require(trace)
      let cost = try sampler.plan.cost(of: realised)
      #expect(counters.value.encodes == cost.encodes)
      #expect(counters.value.reads == cost.reads)
      #expect(counters.value.calls == cost.calls)
      let most = try sampler.plan.cost()
      #expect(counters.value.peak <= most.peakRows)
      let drafted = sampler.plan.instructions.reduce(0) { sum, instruction in
        if case .call = instruction { sum } else { sum + instruction.positions.count }
      }
      let drawn = realised.paths[0].reduce(0) { $0 + $1.drawn }
      #expect(drawn == drafted && drafted > targets / 2)
      #expect(cost.calls <= most.calls)
    }
  }

  /// In lock step a call has the rows that each path needs next, so many paths take as many calls as the slowest.
  @Test func pathsOfAVerifiedPlanDoNotDependOnEachOther() throws {
    let template = PlanTemplate.coarseToFineVerified
    let model = try smallModel()
    let (data, at) = (try wave(9), try places(30))
    let all = try model.condition(on: data).sample(25, at: at, plan: template, seed: 8)
    let few = try model.condition(on: data, pool: ThreadPool(threads: 2)).sample(
      7, at: at, plan: template, seed: 8)
    #expect(Array(all.paths[..<7]) == few.paths)
    let (long, short) = (try #require(all.trace), try #require(few.trace))
    #expect(Array(long.paths[..<7]) == short.paths)
    let single = try long.paths.map { try all.plan.cost(of: Trace(paths: [$0])).calls }
    let lockStep = try all.plan.cost(of: long).calls
    #expect(lockStep == single.max())
    #expect(Set(single).count > 1)
  }

  /// A buffer that is never trusted is a context for every value; one that always is, is trusted for twice as many each time.
  @Test func aTrustedBufferIsTrustedAsLongAsItIsRight() throws {
    let posterior = try smallModel().condition(on: wave(6))
    let at = try places(30)
    func paths(_ text: String) throws -> (paths: [[Float]], rounds: [[Int]]) {
      let (sampler, _) = try sampler(PlanTemplate(parsing: text), context: 6, targets: 30, seed: 3)
      let drawn = try sampler.sample(4)
      return (drawn.paths, drawn.trace?.paths.map { $0.map(\.drawn) } ?? [])
    }
    let never = try paths("trusted(millinats:0)")
    #expect(never.rounds == Array(repeating: Array(repeating: 1, count: 30), count: 4))
    let anew = try paths("reencode")
    for (a, b) in zip(never.paths.joined(), anew.paths.joined()) { #expect(abs(a - b) < 1e-5) }
    let always = try paths("trusted(millinats:1000000)")
    #expect(always.rounds == Array(repeating: [1, 2, 4, 8, 15], count: 4))
    #expect(
      try paths("trusted(millinats:1000000,capacity:5)").rounds[0] == [1, 2, 4, 5, 5, 5, 5, 3])
    // A path goes by what it has drawn, whoever is beside it.
    let some = try posterior.sample(
      9, at: at, plan: PlanTemplate(parsing: "trusted(millinats:4)"), seed: 8)
    let few = try posterior.sample(
      3, at: at, plan: PlanTemplate(parsing: "trusted(millinats:4)"), seed: 8)
    #expect(Array(some.paths[..<3]) == few.paths)
  }

  @Test func draftsThatNeedNoVerificationAreSequential() throws {
    let posterior = try smallModel().condition(on: wave(5))
    let at = try places(12)
    #expect(
      try posterior.sample(6, at: at, plan: .speculative(draft: 1), seed: 2).paths
        == posterior.sample(6, at: at, plan: .sequential, seed: 2).paths)
    let verified = try posterior.logDensity(of: at.values, at: at, plan: .speculative(draft: 5), orders: 3)
    let chain = try posterior.logDensity(of: at.values, at: at, plan: .sequential, orders: 3)
    #expect(verified.orders == chain.orders)
  }

  @Test func noiselessCurvesOfEveryPlan() throws {
    for text in Self.plans + Self.verified {
      let posterior = try smallModel().condition(on: wave(10))
      let plan = try PlanTemplate(parsing: text)
      let at = try places(11)
      let paths = try posterior.sample(3, at: at, plan: plan, seed: 1, latent: true).paths
      let finite = paths.joined().allSatisfy { $0.isFinite }
      #expect(finite)
      let noisy = try posterior.sample(3, at: at, plan: plan, seed: 1).paths
      #expect(paths != noisy)
    }
  }

  /// A plan whose last context is no prefix of the positions: all values are committed anew.
  @Test func noiselessCurveAfterAStrictWindow() throws {
    let model = try smallModel()
    let (data, at) = (try wave(8), try places(9))
    let posterior = try model.condition(on: data)
    let plan = try PlanTemplate(parsing: "window(sinks:1,span:2,strict)")
    let drawn = try posterior.sample(1, at: at, plan: plan, seed: 6).paths[0]
    let latent = try posterior.sample(1, at: at, plan: plan, seed: 6, latent: true).paths[0]
    let order = try posterior.plan(plan, at: at).order(path: 0, seed: 6)
    let encoded = try posterior.encoded
    let conditioner = NetworkConditioner(encoded, x: at.values.map(Float.init))
    let paths = conditioner.branch(paths: 1, capacity: 9)
    var batch = RowBatch()
    batch.begin()
    for (slot, target) in order.enumerated() {
      batch.commit(
        input: Int32(target), y: Float(drawn[target]), slot: Int32(slot), reads: .prefix(slot + 1))
    }
    for target in 0..<9 { batch.query(input: Int32(target), reads: .prefix(9)) }
    var means: [Double] = []
    conditioner.advance(paths, conditioner.observed, batch) { means.append($0.law.mean) }
    for target in 0..<9 { #expect(abs(means[target] - latent[target]) < 1e-5) }
  }

  /// Moments of 10⁴ verified paths against 10⁴ of the chain in the same order, standardised. Drafts that are always
  /// accepted (the plan without its verification) must be told apart by the same figures.
  @Test func verifiedPathsFollowTheChain() throws {
    let model = try Model(named: "gp-noisy")
    let data = try Dataset(x: [-1.6, 0.2, 1.7], y: [0.4, -0.8, 0.5])
    let at = try Inputs((0..<8).map { -1.5 + 0.2 * Double($0) })
    let posterior = try model.condition(on: data, pool: ThreadPool(threads: nil))
    func paths(_ text: String, seed: UInt64) throws -> [[Double]] {
      try posterior.sample(10_000, at: at, plan: PlanTemplate(parsing: text), seed: seed).paths
    }
    let chain = try paths("sequential(order:coarse-to-fine)", seed: 1)
    let verified = try largestDifference(chain, paths("coarse-to-fine-verified(r:2)", seed: 2))
    let accepted = try largestDifference(chain, paths("coarse-to-fine(r:2)", seed: 2))
    #expect(verified < 4.5)
    #expect(accepted > 7)
    let speculative = try largestDifference(
      paths("sequential(order:left-to-right)", seed: 3),
      paths("speculative(draft:6,order:left-to-right)", seed: 4))
    #expect(speculative < 4.5)
  }

  /// The largest |z| over means, squares, products of neighbours and squared second differences: 29 figures.
  private func largestDifference(_ a: [[Double]], _ b: [[Double]]) -> Double {
    let (first, second) = (moments(a), moments(b))
    var largest = 0.0
    for (one, other) in zip(first, second) {
      largest = max(largest, abs(one.mean - other.mean) / (one.variance + other.variance).squareRoot())
    }
    return largest
  }

  private func features(_ path: [Double]) -> [Double] {
    var features = path
    for value in path { features.append(value * value) }
    for index in 1..<path.count { features.append(path[index - 1] * path[index]) }
    for index in 1..<path.count - 1 {
      let bend: Double = path[index - 1] - 2 * path[index] + path[index + 1]
      features.append(bend * bend)
    }
    return features
  }

  /// The mean of each feature and the variance of that mean.
  private func moments(_ paths: [[Double]]) -> [(mean: Double, variance: Double)] {
    let rows = paths.map(features)
    let count = Double(rows.count)
    return rows[0].indices.map { index in
      var (sum, squares) = (0.0, 0.0)
      for row in rows {
        sum += row[index]
        squares += row[index] * row[index]
      }
      let mean = sum / count
      return (mean, (squares / count - mean * mean) / (count - 1))
    }
  }
}

@Suite struct CouplingTests {
  let p = GaussianMixture(logWeights: [log(0.3), log(0.7)], means: [-1, 0.5], deviations: [0.3, 0.6])
  let q = GaussianMixture(logWeights: [log(0.6), log(0.4)], means: [-0.8, 1], deviations: [0.5, 0.4])

  /// The accepted share is 1 - TV(p, q), and what comes out follows p.
  @Test func givesTheExactLaw() throws {
    let coupling = Coupling(exact: p, draft: q)
    let count = 200_000
    var (accepted, below) = (0, [Int](repeating: 0, count: 5))
    let levels = [-1.3, -0.8, 0.0, 0.6, 1.2]
    for index in 0..<count {
      var stream = RandomStream(seed: 3, 1, UInt64(index))
      var y = q.draw(from: &stream)
      if coupling.accepts(y, uniform: stream.uniform()) {
        accepted += 1
      } else {
        y = coupling.residual(from: &stream)
      }
      guard case .number(let number) = y else { continue }
      for (place, level) in levels.enumerated() where number <= level { below[place] += 1 }
    }
    for (place, level) in levels.enumerated() {
      let share = p.cdf(level)
      let error = (share * (1 - share) / Double(count)).squareRoot()
      #expect(abs(Double(below[place]) / Double(count) - share) < 4.5 * error)
    }
    let step = 1e-3
    let overlap = stride(from: -5.0, to: 5, by: step).reduce(0.0) {
      $0 + step * exp(min(p.logDensity($1), q.logDensity($1)))
    }
    #expect(abs(Double(accepted) / Double(count) - overlap) < 0.005)
  }

  @Test func equalLawsAlwaysAgree() {
    let coupling = Coupling(exact: p, draft: p)
    #expect(coupling.accepts(.number(0.3), uniform: 0.999_999_999))
    #expect(coupling.accepts(.number(-40), uniform: 0.5))
  }
}
