import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Values that are whole numbers: draws, probabilities and laws.
@Suite("Posteriors of whole numbers")
struct WholeNumberTests {
  private static func model() throws -> Model {
    try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
      $0.trainedContext = 200
    }
  }

  /// Counts with a season, zeros among them where `least` is 0.
  private static func counts(_ least: Double) throws -> Dataset {
    var stream = RandomStream(seed: 8)
    return try Dataset(
      x: (0..<40).map(Double.init),
      y: (0..<40).map { max(least, (3 + 3 * sin(Double($0) * .pi / 6) + stream.normal()).rounded()) })
  }

  @Test(
    "Draws are whole and within bounds, under every plan and for any threads",
    arguments: [PlanTemplate.sequential, .independent, .speculative(draft: 3), .blocks(of: 2)])
  func draws(plan: PlanTemplate) throws {
    let posterior = try Self.model().condition(on: Self.counts(0), limits: 0...9.5, whole: true)
    let at = try Inputs([40, 41, 42, 43, 44])
    let samples = try posterior.sample(60, at: at, plan: plan, seed: 2)
    #expect(samples.paths.joined().allSatisfy { $0 == $0.rounded() && (0...9).contains($0) })
    #expect(Set(samples.paths.joined()).count > 3)
    for (mean, target) in zip(samples.means, 0..<5) {
      #expect(abs(mean - samples.paths.reduce(0) { $0 + $1[target] } / 60) < 1e-9)
    }
    let pooled = try Self.model().condition(
      on: Self.counts(0), limits: 0...9.5, whole: true, pool: ThreadPool(threads: 3))
    #expect(try pooled.sample(60, at: at, plan: plan, seed: 2).paths == samples.paths)
  }

  @Test(
    "Probabilities of all numbers, alone and of two together, have the sum 1",
    arguments: [
      (ValueScale.Choice.raw, 0.0, 0...30.0), (.raw, 0, -20...30), (.root, 0, 0...40),
      (.logarithm, 1, 1...60),
    ])
  func probabilities(scale: ValueScale.Choice, least: Double, all: ClosedRange<Double>) throws {
    let limits = scale == .raw && all.lowerBound < 0 ? nil : all.lowerBound...Double.infinity
    let posterior = try Self.model().condition(
      on: Self.counts(least), values: scale, limits: limits, whole: true)
    let numbers = Array(stride(from: all.lowerBound, through: all.upperBound, by: 1))
    let one = try Inputs([42.0])
    let single = try numbers.map { exp(try posterior.logDensity(of: [$0], at: one, orders: 1).value) }
    #expect(abs(single.reduce(0, +) - 1) < 2e-3, "\(single.reduce(0, +))")
    let law = try posterior.marginals(at: one)[0]
    for (number, probability) in zip(numbers, single).prefix(8) where probability > 1e-9 {
      #expect(abs(exp(law.logDensity(number)) - probability) < 1e-5)
      #expect(abs(law.cdf(number) - law.cdf(number - 1) - probability) < 1e-5)
    }
    #expect(law.logDensity(2.5) == -.infinity && law.quantile(0.4) == law.quantile(0.4).rounded())
    // The chain rule, in an order of its own.
    let two = try Inputs([42.0, 43])
    let plan = try PlanTemplate(parsing: "sequential(order:left-to-right)")
    let few = numbers.filter { $0 >= 1 && $0 <= 3 }
    for first in few {
      let joint = try numbers.map {
        exp(try posterior.logDensity(of: [first, $0], at: two, plan: plan, orders: 1).value)
      }
      let alone = exp(try posterior.logDensity(of: [first], at: one, orders: 1).value)
      #expect(abs(joint.reduce(0, +) - alone) < 2e-3 * max(alone, 0.1))
    }
  }

  @Test("Draws follow the probabilities, and the score of a law is its sum")
  func laws() throws {
    let posterior = try Self.model().condition(on: Self.counts(0), limits: 0...Double.infinity, whole: true)
    let at = try Inputs([41.0])
    let paths = try posterior.sample(4000, at: at, seed: 5).paths.map { $0[0] }
    let law = try posterior.marginals(at: at)[0]
    for number in 0..<8 {
      let share = Double(paths.count { $0 == Double(number) }) / 4000
      #expect(abs(share - exp(law.logDensity(Double(number)))) < 0.035, "\(number)")
    }
    let brute = (0..<400).reduce(0.0) { sum, k in
      let part = law.cdf(Double(k)) - (k >= 4 ? 1 : 0)
      return sum + part * part
    }
    #expect(abs(law.crps(4) - brute) < 1e-6)
  }

  @Test("What is no whole number is refused, as is a curve without noise; a file keeps that values are whole")
  func refusals() throws {
    let model = try Self.model()
    let data = try Self.counts(0)
    #expect(throws: DataError.notWhole(value: 2.5)) {
      try model.condition(on: Dataset(x: data.x, y: data.y.dropLast() + [2.5]), whole: true)
    }
    let posterior = try model.condition(on: data, whole: true)
    let at = try Inputs([41.0, 42])
    #expect(throws: DataError.notWhole(value: 0.5)) { try posterior.logDensity(of: [1, 0.5], at: at) }
    #expect(throws: InferenceError.self) { try posterior.sample(2, at: at, latent: true) }
    let path = NSTemporaryDirectory() + "chorus-whole-" + UUID().uuidString + ".safetensors"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try posterior.write(to: path)
    let back = try Posterior(contentsOf: path, model: model)
    #expect(try back.sample(9, at: at).paths == posterior.sample(9, at: at).paths)
    let given = try posterior.given(Dataset(x: [41], y: [3]))
    #expect(try given.sample(9, at: at).paths.joined().allSatisfy { $0 == $0.rounded() })
  }

  @Test("A step of a table draws whole numbers")
  func tables() throws {
    let model = try smallModel {
      $0.family = .table
      $0.parts.coordinates = TableExperts.coordinates
      $0.width = 32
      $0.inputDimensions = TableExperts.width
      $0.scaling = .standardise
      $0.head = .mixture(components: 10, around: 8, units: TableExperts.count)
    }
    var stream = RandomStream(seed: 4)
    let rows = (0..<40).map { row -> [Double] in
      let a = stream.normal()
      return [a, row >= 35 ? .nan : max(0, (2 + a + 0.3 * stream.normal()).rounded())]
    }
    let steps = [TableChain.Step(column: 1, inputs: [0], limits: 0...Double.infinity, isWhole: true)]
    let drawn = try TableChain(model, Cells(rows, categories: [false, false]), steps: steps).sample(20)
    #expect(drawn.paths.joined().allSatisfy { $0 == $0.rounded() && $0 >= 0 })
    #expect(throws: DataError.notWhole(value: 0.25)) {
      try TableChain(
        model, Cells([[1, 2], [2, 0.25], [3, .nan]], categories: [false, false]), steps: steps)
    }
  }
}
