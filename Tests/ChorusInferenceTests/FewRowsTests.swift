import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// With few rows laws have long tails: paths stay within reach of the data, and expected values do not jump.
@Suite struct FewRowsTests {
  /// Two to four rows, like those of people's reports.
  static let rows: [(x: [Double], y: [Double])] = [
    ([20, 20, 140, 140], [742, 684, 1256, 1204]), ([0, 1], [3, 3.5]), ([0, 1, 5], [1, 2, -1]),
    ([1, 2, 3, 4, 5], [0, 0, 0, 0, 1e6]),
  ]

  @Test(arguments: rows.indices) func pathsStayWithinReach(index: Int) throws {
    let own = Self.rows[index]
    let model = try Model(named: "functions")
    let posterior = try model.condition(on: Dataset(x: own.x, y: own.y), pool: ThreadPool(threads: 2))
    let (low, high) = (own.y.min() ?? 0, own.y.max() ?? 0)
    let at = try Inputs.grid((own.x.min() ?? 0)...(2 * (own.x.max() ?? 0)), count: 9)
    let units = try posterior.preparation.units(posterior.scaling.apply(at))
    let reach = posterior.conditioned.rows.reach
    for plan in [
      "sequential", "coarse-to-fine(r:2)", "coarse-to-fine-verified(r:2)", "sequential(capacity:3)",
    ] {
      let samples = try posterior.sample(120, at: at, plan: PlanTemplate(parsing: plan), seed: 2)
      for path in samples.paths {
        for (value, unit) in zip(path, units) {
          let own = unit.scaled(value)
          #expect(own >= reach.lowerBound - 1e-3 && own <= reach.upperBound + 1e-3, "\(plan): \(value)")
        }
      }
      if own.y.count == 4 {
        let all = samples.paths.flatMap { $0 }
        #expect(all.allSatisfy { $0 > low - 11 * (high - low) && $0 < high + 11 * (high - low) }, "\(plan)")
      }
      // A path that was drawn has a density by the same plan.
      let density = try posterior.logDensity(
        of: samples.paths[0], at: at, plan: PlanTemplate(parsing: plan), orders: 4)
      #expect(density.value.isFinite && density.notes == samples.notes)
      #expect(samples.means.allSatisfy { $0 > low - 3 * (high - low) && $0 < high + 3 * (high - low) })
    }
    // A density is that of the marginals' law, which is bounded too.
    let far = Array(repeating: units[4].raw(1.01 * reach.upperBound), count: 1)
    let one = try Inputs([at.values[4]])
    let none = try posterior.logDensity(of: far, at: one, plan: .independent)
    let marginal = try posterior.marginals(at: one)[0]
    #expect(
      marginal.logDensity(far[0]) == none.value || abs(marginal.logDensity(far[0]) / none.value - 1) < 1e-5)
    if none.value == -.infinity { #expect(none.notes.contains(.valuesBeyondReach(1))) }
  }

  @Test func theReachIsThatOfTheRows() throws {
    func reach(_ y: [Float]) -> ClosedRange<Double> {
      NetworkRows(x: y, y: y, dimensions: 1).reach
    }
    #expect(reach([-1, 1, 0, 0.5]) == -21...21 && reach([0.25, 0.5, 0.25, 0]) == -20...20.5)
    #expect(reach([500, 501, 502, 503]) == -30...533)
    #expect(reach([-1, 1]).upperBound == 2001 && abs(reach([-1, 1, 0]).upperBound - 64.2) < 0.1)
    #expect(reach([Float](repeating: 0, count: 50)) == -20...20)
    #expect(reach([]) == -Double.infinity ... .infinity)
  }

  /// The mean of the laws along the paths is the mean of the values, and varies less from seed to seed.
  @Test(arguments: ["sequential", "blocks(of:3)", "independent", "coarse-to-fine-verified(r:2)"])
  func meansAreOfTheLaws(plan: String) throws {
    // Random weights make mixtures of many shapes; the loud head makes them skewed and wide.
    let posterior = try smallModel(seed: 3) { $0.head = .mixture(components: 5) }.condition(on: wave(4))
    let (template, at) = (try PlanTemplate(parsing: plan), try places(6))
    let many = try posterior.sample(2400, at: at, plan: template, seed: 1, flopLimit: .infinity)
    var (drawn, told) = ([[Double]](), [[Double]]())
    for seed in 2..<32 {
      let samples = try posterior.sample(40, at: at, plan: template, seed: UInt64(seed))
      told.append(samples.means)
      drawn.append(at.values.indices.map { target in samples.paths.reduce(0) { $0 + $1[target] } / 40 })
    }
    func spread(_ values: [Double]) -> Double {
      let mean = values.reduce(0, +) / Double(values.count)
      return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
    }
    var (of, against) = (0.0, 0.0)
    for target in 0..<6 {
      let values = many.paths.map { $0[target] }
      let (mean, error) = (values.reduce(0, +) / 2400, (spread(values) / 2400).squareRoot())
      #expect(abs(many.means[target] - mean) < 5 * error, "\(many.means[target]) \(mean) ± \(error)")
      of += spread(told.map { $0[target] }) / spread(values)
      against += spread(drawn.map { $0[target] }) / spread(values)
    }
    #expect(of < 0.8 * against, "\(of) \(against)")
    if plan == "independent" { #expect(of < 1e-12) }
    // Of the noiseless curve the mean is that of the curves.
    let curves = try posterior.sample(9, at: at, plan: template, latent: true)
    for target in 0..<6 {
      let mean = curves.paths.reduce(0) { $0 + $1[target] } / 9
      #expect(abs(curves.means[target] - mean) < 1e-5 * max(1, abs(mean)))
    }
  }
}
