import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// A network beside a process: one joint law of both, whatever it is asked for.
@Suite struct MixedContextTests {
  private static let count = 40

  private static func table() throws -> (TablePosterior, asked: Cells, y: [Double]) {
    var stream = RandomStream(seed: 4, 9)
    let x = (0..<count + 6).flatMap { [Double($0) / 8, stream.normal()] }
    let y = (0..<count + 6).map { sin(x[2 * $0]) + 0.1 * x[2 * $0 + 1] }
    let cells = try Cells(x, categories: [false, false])
    let posterior = try Model(named: "tables").condition(on: cells.rows(0..<count), y: Array(y[..<count]))
    return (posterior, cells.rows(count..<count + 6), Array(y[count...]))
  }

  private static func parts(_ table: TablePosterior) throws -> MixedContext {
    try #require(table.posterior.conditioned as? MixedContext)
  }

  @Test func theJointDensityIsThatOfTheMixture() throws {
    let (table, asked, y) = try Self.table()
    let mixed = try Self.parts(table)
    #expect((0.1...0.6).contains(table.share))
    let inputs = try table.told(asked)
    let own = mixed.network.rows.dimensions
    let told = try Inputs(
      (0..<inputs.count).flatMap { Array(inputs[$0].prefix(own)) }, dimensions: own)
    let network = table.posterior.replacing(mixed.network)
    let alone = try network.logDensity(of: y, at: told, orders: 3, seed: 2)
    var laws: [JointProcess.Law] = []
    mixed.process.laws(
      (0..<inputs.count).flatMap { inputs[$0].dropFirst(own).map { Double(Float($0)) } }
    ) { laws.append($1) }
    let law = laws[0]
    let unit = try #require(table.fit).unit
    // L z = y − μ, and then each scale's density in closed form.
    var z: [Double] = []
    for row in y.indices {
      let mean = (0..<row).reduce(law.means[row]) { $0 + law.factor[row * y.count + $1] * z[$1] }
      z.append((Double(Float(unit.scaled(y[row]))) - mean) / law.factor[row * y.count + row])
    }
    let square = z.reduce(0) { $0 + $1 * $1 }
    let logDeterminant = y.indices.reduce(0) { $0 + log(law.factor[$1 * y.count + $1] * unit.scale) }
    let count = Double(y.count)
    let process = JointProcess.scales.reduce(0.0) { sum, scale in
      sum
        + exp(
          scale.logWeight - 0.5 * (square / scale.factor + count * log(2 * .pi * scale.factor))
            - logDeterminant)
    }
    let found = try table.logDensity(of: y, at: asked, orders: 3, seed: 2)
    for (order, score) in found.orders.enumerated() {
      let expected = log(
        (1 - table.share) * exp(alone.orders[order]) + table.share * process)
      #expect(abs(score - expected) < 1e-6)
    }
  }

  /// Of more rows than the process ties to each other it is said.
  @Test func rowsBeyondWhatIsTiedAreSaid() throws {
    let mixed = try Self.parts(Self.table().0)
    #expect(mixed.notes(targets: JointProcess.together).isEmpty)
    let note = try #require(mixed.notes(targets: JointProcess.together + 1).first)
    #expect(note.description.contains("tie only \(JointProcess.together)"))
  }

  /// Target by target, the density is that of the marginal laws.
  @Test func independentTargetsHaveTheMarginalLaws() throws {
    let (table, asked, y) = try Self.table()
    let laws = try table.marginals(at: asked)
    let sum = zip(laws, y).reduce(0.0) { $0 + $1.0.logDensity($1.1) }
    let found = try table.logDensity(of: y, at: asked, plan: .independent, orders: 1)
    #expect(abs(found.value - sum) < 1e-6)
    for plan in [PlanTemplate.independent, .sequential] {
      let samples = try table.sample(3000, at: asked, plan: plan, seed: 3)
      for (target, law) in laws.enumerated() {
        let below = samples.paths.count { $0[target] <= law.quantile(0.3) }
        #expect(abs(Double(below) / 3000 - 0.3) < 0.045, "\(plan) \(target)")
        let mean = samples.paths.reduce(0) { $0 + $1[target] } / 3000
        #expect(abs(samples.means[target] - mean) < 5 * (law.variance / 3000).squareRoot() + 0.01)
      }
    }
  }

  /// A path has the bytes that it has among fewer, on any number of threads.
  @Test func pathsDoNotDependOnTheirNumber() throws {
    let (table, asked, _) = try Self.table()
    let many = try table.using(ThreadPool(threads: 2)).sample(40, at: asked, seed: 8).paths
    let few = try table.sample(7, at: asked, seed: 8).paths
    #expect(few == Array(many.prefix(7)))
  }

  @Test func boundsHoldForBoth() throws {
    var stream = RandomStream(seed: 5, 9)
    let x = (0..<30).map { _ in stream.normal() }
    let y = x.map { max(0, $0) }
    let table = try Model(named: "tables").condition(
      on: Cells(x, categories: [false]), y: y, limits: 0...10)
    let asked = try Cells([-1.5, -0.2, 0.3, 2], categories: [false])
    let samples = try table.sample(300, at: asked, seed: 1)
    #expect(samples.paths.allSatisfy { $0.allSatisfy { (0...10).contains($0) } })
    for law in try table.marginals(at: asked) {
      #expect(law.cdf(-1e-4) == 0 && law.cdf(10 + 1e-4) == 1)
      #expect(law.logDensity(-0.1) == -.infinity)
    }
    #expect(try table.logDensity(of: [-1, 0.1, 0.3, 2], at: asked).value == -.infinity)
  }

  /// A value that is known of a row is known to both.
  @Test func aRowThatIsObservedIsKnownToBoth() throws {
    let (table, asked, y) = try Self.table()
    let inputs = try table.told(asked)
    let more = try table.posterior.observing(
      more: Dataset(inputs: Inputs(Array(inputs[0]), dimensions: inputs.dimensions), y: [y[0]]))
    let mixed = try #require(more.conditioned as? MixedContext)
    #expect(mixed.rows.count == Self.count + 1 && mixed.processRows.count == Self.count + 1)
    let next = try Inputs(Array(inputs[1]), dimensions: inputs.dimensions)
    let (before, after) = (try table.posterior.marginals(at: next)[0], try more.marginals(at: next)[0])
    #expect(before.mean != after.mean)
    // Pinned, the row is read anew with all others.
    let pinned = try table.posterior.given(
      Dataset(inputs: Inputs(Array(inputs[0]), dimensions: inputs.dimensions), y: [y[0]]))
    let known = try #require(pinned.conditioned as? MixedContext)
    #expect(known.rows.count == Self.count + 1 && known.processRows.y == mixed.processRows.y)
    #expect(try pinned.marginals(at: next)[0].mean != before.mean)
  }

  /// A process beside a small network whose head is no mixture.
  private static func beside(_ head: HeadChoice) throws -> (MixedContext, x: [Float], y: [Float]) {
    var stream = RandomStream(seed: 7, 1)
    let x = (0..<24).map { _ in Float(stream.normal()) }
    let y = x.map { head.name == "categorical" ? ($0 > 0 ? 1 : 0) : Float(sin(Double($0))) }
    let model = try smallModel { $0.head = head }
    let rows = NetworkRows(x: x, y: y, dimensions: 1)
    let process = try #require(JointProcess(x: x.map(Double.init), y: y.map(Double.init), columns: 1))
    let network = model.network.condition(rows, nil, on: nil)
    let mixed = MixedContext(network, design: x, process: process, of: rows, share: 0.3)
    return (mixed, [0.4, 0.4, -1.1, -1.1], [0.3, -0.9])
  }

  /// Any law of numbers keeps its share of the process: drawn, scored and told alike.
  @Test func aHeadThatIsNoMixtureIsMixed() throws {
    let (mixed, x, y) = try Self.beside(.quantiles(9))
    let told: [Float] = [0.4, -1.1]
    let own = try mixed.network.laws(at: told, within: nil, on: nil)
    let laws = try mixed.laws(at: x, within: nil, on: nil)
    var process: [GaussianMixture] = []
    mixed.process.laws(told.map(Double.init)) { _, law in
      for (mean, variance) in zip(law.means, law.variances) {
        process.append(
          GaussianMixture(
            logWeights: JointProcess.scales.map(\.logWeight), means: JointProcess.scales.map { _ in mean },
            deviations: JointProcess.scales.map { ($0.factor * variance).squareRoot() }))
      }
    }
    for target in y.indices {
      let law = try #require(laws[target] as? any ContinuousLaw)
      let network = try #require(own[target] as? QuantileLaw)
      for value in [-1.0, Double(y[target]), 0.2, 1.4] {
        let expected = 0.7 * network.cdf(value) + 0.3 * process[target].cdf(value)
        #expect(abs(law.cdf(value) - expected) < 1e-12)
        let density = 0.7 * exp(network.logDensity(value)) + 0.3 * exp(process[target].logDensity(value))
        #expect(abs(exp(law.logDensity(value)) - density) < 1e-12)
      }
      #expect(abs(law.mean - 0.7 * network.mean - 0.3 * process[target].mean) < 1e-12)
      #expect(abs(law.cdf(law.quantile(0.2)) - 0.2) < 1e-9)
    }
    let plan = try PlanTemplate.independent.resolve(context: 24, targets: 2)
    let request = Request(plan: plan, seed: 1, pool: nil)
    let scored = try mixed.logDensities(of: y, at: x, request, orders: 1)[0]
    let sum = zip(laws, y).reduce(0.0) { $0 + $1.0.logDensity(.number(Double($1.1))) }
    #expect(abs(scored - sum) < 1e-9)
    let paths = try mixed.sample(4000, at: x, request, latent: false).paths
    for target in y.indices {
      let law = try #require(laws[target] as? any ContinuousLaw)
      let below = Double(paths.count { Double($0[target]) <= law.quantile(0.7) }) / 4000
      #expect(abs(below - 0.7) < 0.04, "\(target)")
    }
    var stream = RandomStream(seed: 3, 1)
    let law = try #require(laws[0] as? any ContinuousLaw)
    let drawn = (0..<4000).count { _ in Double(law.draw(from: &stream).stored) <= law.quantile(0.7) }
    #expect(abs(Double(drawn) / 4000 - 0.7) < 0.04)
  }

  /// A process of numbers has no levels to say.
  @Test func aHeadOfLevelsIsRefusedByName() throws {
    let (mixed, x, _) = try Self.beside(.categorical(levels: 2))
    let error = #expect(throws: InferenceError.self) { try mixed.laws(at: x, within: nil, on: nil) }
    #expect(error?.description.contains("levels cannot share") == true)
  }

  /// Groups of three rows, more of them than a category has columns: the process tells them apart, draws most paths, and goes on doing
  /// so with further rows.
  @Test func groupsAreKnownByName() throws {
    var stream = RandomStream(seed: 12, 9)
    let effects = stream.normals(40)
    let groups = (0..<160).map { $0 % 40 }
    let cells = try Cells(
      groups.flatMap { [Double($0), stream.normal()] }, categories: [true, false])
    let y = groups.map { effects[$0] + 0.1 * stream.normal() }
    let table = try Model(named: "tables").condition(on: cells.rows(0..<120), y: Array(y[..<120]))
    #expect(table.share > 0.6)
    let asked = cells.rows(120..<160)
    let means = try table.marginals(at: asked).map(\.mean)
    let error = zip(means, y[120...]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 40
    #expect(error < 0.15, "\(error)")
    // A group that nothing was known of, by one row of it.
    let other = try Cells([50, 0, 50, 1], categories: [true, false])
    let given = try table.posterior.given(
      Dataset(inputs: table.told(other.rows([0])), y: [3]))
    let told = try table.told(other.rows([1]))
    let (before, after) = (try table.posterior.marginals(at: told), try given.marginals(at: told))
    #expect(after[0].mean > before[0].mean + 1)
  }
}
