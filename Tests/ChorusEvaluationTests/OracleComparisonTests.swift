import ChorusData
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Testing

@testable import ChorusEvaluation

@Suite struct OracleComparisonTests {
  typealias Estimate = OracleComparison.Estimate

  func model(_ change: (inout Blueprint) -> Void = { _ in }) throws -> Model {
    var blueprint = Blueprint()
    blueprint.width = 16
    blueprint.layers = 1
    blueprint.heads = 2
    blueprint.feedForward = 16
    blueprint.embedderHidden = 16
    blueprint.headHidden = 16
    blueprint.head = .mixture(components: 3)
    change(&blueprint)
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 1)
    return Model(network: try declared.network(weights))
  }

  @Test func estimate() {
    let four = Estimate([1, 2, 3, 6])
    #expect(four.mean == 3)
    #expect(abs(four.standardError - (14.0 / 3 / 4).squareRoot()) < 1e-15)
    #expect(Estimate([5]).mean == 5 && Estimate([5]).standardError.isNaN)
    #expect(Estimate([]).mean == 0 && Estimate([]).standardError.isNaN)
    #expect(Estimate([2, 2, 2]).standardError == 0)
  }

  @Test func columnsAgree() throws {
    let comparison = OracleComparison(
      model: try model(), prior: GPPrior.noisy, targets: 5, functions: 7, orders: 3, seed: 2)
    var reported: [OracleComparison.Row] = []
    let rows = try comparison.rows(contexts: [0, 4, 9], on: ThreadPool(threads: 1)) { reported.append($0) }
    #expect(reported == rows)
    #expect(rows.map(\.context) == [0, 4, 9, nil])
    for row in rows {
      let functions = row.context == nil ? 21 : 7
      #expect(row.targets == 5 && row.functions == functions && row.oracleFunctions == functions)
      let joint = try #require(row.oracleJoint)
      let independent = try #require(row.oracleIndependent)
      let gap = try #require(row.oracleMinusReencode)
      #expect(abs(row.reencodeMinusBuffer.mean - (row.reencode.mean - row.buffer.mean)) < 1e-12)
      #expect(abs(row.bufferMinusIndependent.mean - (row.buffer.mean - row.independent.mean)) < 1e-12)
      #expect(abs(gap.mean - (joint.mean - row.reencode.mean)) < 1e-12)
      #expect(row.oracleError == 0 && row.calibration.levels.count == 5 * functions)
      #expect(row.reencodeMinusBuffer.mean != 0 && row.reencodeMinusBuffer.standardError > 0)
      // An untrained network is no match for the law the tasks came from.
      #expect(joint.mean > row.reencode.mean && joint.mean > independent.mean)
    }
    // The last row is over all tasks; sizes have equally many.
    let mean = rows[..<3].reduce(0) { $0 + $1.buffer.mean } / 3
    #expect(abs(rows[3].buffer.mean - mean) < 1e-12)
    #expect(rows[3].buffer.standardError < rows[..<3].map(\.buffer.standardError).reduce(0, max))
  }

  @Test func sameForAnyThreadsAndItsOwnOnly() throws {
    func rows(threads: Int, seed: UInt64 = 2, contexts: [Int] = [6]) throws -> [OracleComparison.Row] {
      try OracleComparison(model: model(), prior: GPPrior.gp, targets: 4, functions: 5, orders: 2, seed: seed)
        .rows(contexts: contexts, on: ThreadPool(threads: threads))
    }
    let one = try rows(threads: 1)
    #expect(try rows(threads: 2) == one)
    #expect(try rows(threads: 3) == one)
    #expect(try rows(threads: 2, seed: 3) != one)
    // A size's tasks do not depend on the sizes beside it.
    #expect(try rows(threads: 2, contexts: [3, 6])[1] == one[0])
  }

  @Test func anyPlanInPlaceOfTheBuffer() throws {
    func row(_ plan: PlanTemplate) throws -> OracleComparison.Row {
      try OracleComparison(
        model: model(), prior: GPPrior.gp, targets: 4, functions: 3, orders: 2, plan: plan
      ).rows(contexts: [6], on: ThreadPool(threads: 2))[0]
    }
    #expect(try row(.reencode).reencodeMinusBuffer == OracleComparison.Estimate([0, 0, 0]))
    let independent = try row(.independent).bufferMinusIndependent
    #expect(abs(independent.mean) < 1e-9)
    #expect(try row(.sequential).reencode == row(.reencode).reencode)
  }

  @Test func priorsWithoutAnOracleAndOtherUnits() throws {
    let standardising = try model {
      $0.scaling = .standardise
      $0.inputDimensions = 2
    }
    let rows = try OracleComparison(
      model: standardising, prior: SawtoothPrior(), targets: 3, functions: 3, orders: 1, dimensions: 2
    ).rows(contexts: [5], on: ThreadPool(threads: 2))
    #expect(
      rows[0].oracleJoint == nil && rows[0].oracleIndependent == nil && rows[0].oracleMinusReencode == nil)
    #expect(rows[0].buffer.mean.isFinite && rows[0].oracleError == nil)
    #expect(rows[0].buffer == rows[1].buffer)
  }

  @Test func errorOfASimulatingOracle() throws {
    let rows = try OracleComparison(
      model: model(), prior: OutsidePrior(.student), targets: 3, functions: 3, orders: 1
    ).rows(contexts: [5], on: ThreadPool(threads: 2))
    let error = try #require(rows[0].oracleError)
    #expect(error > 0 && error < 0.2)
    #expect(rows[1].oracleError == error)
  }

  @Test func failuresSurface() throws {
    let pool = ThreadPool(threads: 2)
    #expect(throws: ModelError.self) {
      try OracleComparison(model: model(), prior: GPPrior.gp, targets: 3, functions: 3, dimensions: 2)
        .rows(contexts: [5], on: pool)
    }
    #expect(throws: (any Error).self) {
      try OracleComparison(
        model: model { $0.scaling = .standardise }, prior: GPPrior.gp, targets: 3, functions: 2
      ).rows(contexts: [1], on: pool)
    }
    #expect(throws: OracleError.self) {
      try OracleComparison(model: model(), prior: GPPrior.gp, targets: 3, functions: 1)
        .rows(contexts: [1500], on: pool)
    }
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      try OracleComparison(model: model(), prior: GPPrior.gp, targets: 2, functions: 1)
        .rows(contexts: [5], on: pool) { _ in throw Stop() }
    }
  }
}
