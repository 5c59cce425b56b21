import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// A model that predicts around splines through the nearest rows: every way to its answers is the same way.
@Suite struct PosteriorNeighboursTests {
  private func model() throws -> Model {
    try smallModel {
      $0.hints = Hints(rows: [LocalSplines(neighbours: 5)])
      $0.head = .mixture(components: 3, around: 2)
    }
  }

  /// Every conditional of a plan made by hand: rows merged into the context and rows in the buffer are near alike.
  @Test(arguments: everyPlan) func densitiesAreProductsOfConditionals(template: PlanTemplate) throws {
    let (model, data, at) = (try model(), try wave(9), try places(11))
    let y = (0..<11).map { sin(Double($0)) }
    let posterior = try model.condition(on: data)
    let density = try posterior.logDensity(of: y, at: at, plan: template, orders: 1, seed: 3)
    let order = density.plan.order(path: 0, seed: 3)
    let chain = Chain(model, data, at.values, template)
    let expected = order.indices.reduce(0) {
      $0 + chain.conditional($1, order: order, values: y).logDensity(y[order[$1]])
    }
    #expect(abs(density.value - expected) < 1e-3 * max(1, abs(expected)))
  }

  /// Drawn without the mixture being made, and with it.
  @Test func drawsAreThoseOfTheMixtures() throws {
    let posterior = try model().condition(on: wave(9))
    let at = try places(7)
    let marginals = try posterior.marginals(at: at)
    let paths = try posterior.sample(3, at: at, plan: .independent, seed: 8).paths
    for (path, values) in paths.enumerated() {
      for (target, value) in values.enumerated() {
        var stream = RandomStream(seed: 8, .paths, UInt64(path), UInt64(target))
        let drawn = number(marginals[target].draw(from: &stream))
        #expect(Float(drawn) == Float(value))
      }
    }
  }

  /// A drawn value stays near, so that the value beside it follows.
  @Test func neighboursInTheBufferAreNear() throws {
    let posterior = try model().condition(on: wave(9))
    let conditioner = NetworkConditioner(try posterior.encoded, x: [3, 3.001])
    func centre(_ y: Float) -> Double {
      let paths = conditioner.branch(paths: 1, capacity: 1)
      var batch = RowBatch()
      batch.begin()
      batch.commit(input: 0, y: y, slot: 0, reads: .prefix(1))
      batch.query(input: 1, reads: .prefix(1))
      var unit = 0.0
      conditioner.advance(paths, conditioner.observed, batch) { unit = $0.unit(0).origin }
      return unit
    }
    #expect(centre(2) - centre(-2) > 1)
  }

  @Test func paths() throws {
    let posterior = try model().condition(on: wave(30))
    let at = try places(12)
    let pool = ThreadPool(threads: 2)
    let threaded = try Posterior(model(), wave(30), on: pool)
    for plan in everyPlan {
      let all = try posterior.sample(14, at: at, plan: plan, seed: 2).paths
      #expect(try posterior.sample(3, at: at, plan: plan, seed: 2).paths == Array(all[..<3]))
      #expect(try threaded.sample(14, at: at, plan: plan, seed: 2).paths == all)
    }
  }
}
