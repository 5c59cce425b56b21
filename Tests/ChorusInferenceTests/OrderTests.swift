import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// The order in which rows came changes nothing but the last bits, also where inputs tie and where rows are left out.
@Suite struct OrderTests {
  private static func data(_ count: Int, dimensions: Int, _ order: [Int]? = nil) throws -> Dataset {
    var stream = RandomStream(seed: 5, UInt64(dimensions))
    // On a grid, so that most rows share their inputs with others.
    let x = (0..<count).map { _ in (0..<dimensions).map { _ in Double(stream.below(6)) } }
    let y = x.map { $0.reduce(0, +) + sin(3 * $0[0]) + stream.normal() }
    let order = order ?? Array(0..<count)
    return try Dataset(x: order.map { x[$0] }, y: order.map { y[$0] })
  }

  private static func model(_ name: String) throws -> Model {
    guard name == "small" else { return try Model(named: name) }
    return try smallModel {
      $0.scaling = .standardise
      $0.inputDimensions = 2
      $0.trainedContext = 20  // 150 rows are thinned
      $0.hints = Hints([TrendAndWaves(waves: 2, subtracts: true)], rows: [LocalSplines(neighbours: 4)])
      $0.head = .mixture(components: 3, around: 1)
    }
  }

  @Test(arguments: ["functions", "small"], [[30, 1], [150, 1], [30, 2], [150, 2]]) func ties(
    name: String, sizes: [Int]
  ) throws {
    let (model, rows, dimensions) = (try Self.model(name), sizes[0], sizes[1])
    let at = try Inputs((0..<5 * dimensions).map { 0.5 + Double($0) }, dimensions: dimensions)
    let posterior = try model.condition(on: Self.data(rows, dimensions: dimensions))
    let first = try numbers(posterior.marginals(at: at))
    var stream = RandomStream(seed: 6)
    for _ in 0..<3 {
      let order = stream.permutation(rows)
      let turned = try model.condition(on: Self.data(rows, dimensions: dimensions, order))
      #expect(turned.preparation == posterior.preparation)
      for (a, b) in zip(first, try numbers(turned.marginals(at: at))) {
        for (a, b) in zip(a, b) { #expect(abs(a - b) < 1e-3 * max(1, abs(a))) }
      }
    }
  }

  /// A column that was always the same and now is not is outside of what was seen.
  @Test func aConstantInputThatChangesIsOutside() throws {
    let model = try Model(named: "functions")
    let data = try Dataset(x: (0..<20).map { [Double($0), 7] }, y: (0..<20).map { sin(Double($0) / 3) })
    let posterior = try model.condition(on: data)
    let drawn = try posterior.sample(3, at: Inputs([4, 7, 4, 5, 4, 9], dimensions: 2))
    #expect(drawn.outside.map { $0.contains(.inputs) } == [false, true, true])
    #expect(drawn.notes.contains { if case .inputsBeyondTraining(2, _) = $0 { true } else { false } })
  }
}
