import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Values that are seen on another scale come back on their own, in paths, densities, marginals and files.
@Suite("Posteriors of values on another scale")
struct ValueScaleTests {
  /// Sales whose season and errors grow with their level.
  private static func sales(_ months: Range<Int>) throws -> Dataset {
    var stream = RandomStream(seed: 3)
    let y = (0..<months.upperBound).map { (month: Int) -> Double in
      exp(3 + 0.02 * Double(month) + 0.5 * sin(Double(month) * .pi / 6) + 0.1 * stream.normal())
    }
    return try Dataset(x: months.map(Double.init), y: Array(y[months]))
  }

  private static func model() throws -> Model {
    try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
      $0.trainedContext = 200
    }
  }

  @Test("The scale is found where it is told by the rows, and only there")
  func found() throws {
    let model = try Self.model()
    #expect(try model.condition(on: Self.sales(0..<96)).preparation.values == .logarithm)
    #expect(try model.condition(on: Self.sales(0..<96), values: .raw).preparation.values == .raw)
    // The same season around a level far from 0 has nothing to gain.
    let sales = try Self.sales(0..<96)
    let high = try Dataset(x: sales.x, y: sales.y.map { log($0) + 10 })
    #expect(try model.condition(on: high).preparation.values == .raw)
    let negative = try Dataset(x: sales.x, y: sales.y.map { $0 - 100 })
    #expect(try model.condition(on: negative).preparation.values == .raw)
    let plain = try smallModel { $0.scaling = .standardise }
    #expect(try plain.condition(on: sales).preparation.values == .raw, "no hint can tell")
  }

  @Test(
    "A density of values is that of what they are seen as, with the slope",
    arguments: [ValueScale.Choice.logarithm, .root])
  func densities(choice: ValueScale.Choice) throws {
    let model = try Self.model()
    let (data, next) = (try Self.sales(0..<72), try Self.sales(72..<76))
    let posterior = try model.condition(on: data, values: choice)
    let scale = posterior.preparation.values
    func seen(_ data: Dataset) throws -> Dataset {
      try Dataset(inputs: data.inputs, y: data.y.map { try #require(scale.seen($0)) })
    }
    let straight = try model.condition(on: seen(data), values: .raw, limits: posterior.preparation.range)
    let own = try posterior.logDensity(of: next.y, at: next.inputs, orders: 2).value
    let other = try straight.logDensity(of: seen(next).y, at: next.inputs, orders: 2).value
    let slopes = next.y.reduce(0) { $0 + scale.logSlope($1) }
    #expect(abs(own - other - slopes) < 1e-4)
    let paths = try posterior.sample(3, at: next.inputs, seed: 2).paths
    let others = try straight.sample(3, at: next.inputs, seed: 2).paths
    for (a, b) in zip(paths.joined(), others.joined()) {
      #expect(abs(a - scale.value(b)) < 1e-9 * max(1, abs(a)))
    }
    // The file says the same, and so do rows taken back.
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try posterior.write(to: folder.path + "/context.safetensors")
    let back = try Posterior(contentsOf: folder.path + "/context.safetensors", model: model)
    #expect(back.preparation == posterior.preparation)
    #expect(try back.sample(3, at: next.inputs, seed: 2).paths == paths)
    for (a, b) in zip(try posterior.observed.y, data.y) { #expect(abs(a - b) < 1e-4 * b) }
  }

  @Test("A marginal's density integrates to its distribution function, and its score is that of its draws")
  func marginals() throws {
    let posterior = try Self.model().condition(on: Self.sales(0..<72), values: .logarithm)
    let law = try #require(try posterior.marginals(at: Inputs([75])).first)
    let (low, high) = (law.quantile(0.1), law.quantile(0.9))
    #expect(low > 0 && high > low)
    let steps = 4000
    let width = (high - low) / Double(steps)
    let mass = (0..<steps).reduce(0) {
      $0 + width * exp(law.logDensity(low + (Double($1) + 0.5) * width))
    }
    #expect(abs(mass - 0.8) < 1e-3)
    #expect(
      abs(law.cdf(law.quantile(0.3)) - 0.3) < 1e-6 && law.cdf(0) == 0 && law.logDensity(-1) == -.infinity)
    let levels = (0..<20_000).map { (Double($0) + 0.5) / 20_000 }
    let draws = levels.map { law.quantile($0) }
    let mean = draws.reduce(0, +) / Double(draws.count)
    // By equally likely values in place of pairs: twice the mean pinball loss.
    let value = law.quantile(0.8)
    let pinball = zip(levels, draws).reduce(0) { $0 + ($1.1 - value) * ((value < $1.1 ? 1 : 0) - $1.0) }
    #expect(abs(law.crps(value) - 2 * pinball / Double(draws.count)) < 0.01 * law.crps(value))
    let scaled = law.scaled(by: 3, offset: -2)
    #expect(abs(scaled.quantile(0.4) - (3 * law.quantile(0.4) - 2)) < 1e-9)
    #expect(abs(scaled.logDensity(3 * value - 2) - (law.logDensity(value) - log(3))) < 1e-9)
    #expect(abs(scaled.mean - (3 * law.mean - 2)) < 1e-9 && abs(law.mean - mean) < 0.05 * mean)
  }

  @Test("A row that the scale has no place for is refused in words, and such a value has no density")
  func refused() throws {
    let model = try Self.model()
    let data = try Self.sales(0..<40)
    let none = try Dataset(x: data.x, y: [0] + data.y.dropFirst())
    #expect(throws: DataError.noPlace(value: 0, scale: .logarithm)) {
      try model.condition(on: none, values: .logarithm)
    }
    let posterior = try model.condition(on: data, values: .logarithm)
    // What no path can be has density 0, with any plan, and is no error: it is what a held-out value may be.
    for plan: PlanTemplate in [.sequential, .independent] {
      let none = try posterior.logDensity(of: [3, -1], at: Inputs([50, 51]), plan: plan, orders: 2)
      #expect(none.value == -.infinity && none.notes.contains(.valuesBeyondReach(1)))
      #expect(none.orders.allSatisfy { $0 == -.infinity })
    }
    #expect(throws: DataError.noPlace(value: -1, scale: .logarithm)) {
      try posterior.observing(more: Dataset(x: [50], y: [-1]))
    }
    #expect(DataError.noPlace(value: 0, scale: .logarithm).description.contains("--scale raw"))
  }

  @Test(
    "What is drawn lies within the bounds given, and densities are those of laws cut there",
    arguments: [ValueScale.Choice.raw, .logarithm])
  func limits(choice: ValueScale.Choice) throws {
    let (model, data) = (try Self.model(), try Self.sales(0..<72))
    let (least, most) = (try #require(data.y.min()) - 0.5, try #require(data.y.max()) + 0.5)
    let posterior = try model.condition(on: data, values: choice, limits: least...most)
    let at = try Inputs([72, 73, 80, 30.5])
    for plan in [PlanTemplate.sequential, .independent, .speculative(draft: 3)] {
      let samples = try posterior.sample(200, at: at, plan: plan, seed: 1)
      #expect(samples.paths.joined().allSatisfy { (least...most).contains($0) }, "\(plan)")
      #expect(samples.means.allSatisfy { (least...most).contains($0) })
    }
    // A law that has nearly nothing within the bounds keeps its tails; what is drawn from it is moved to the nearer one.
    let laws = try posterior.marginals(at: at).filter { $0.cdf(most) - $0.cdf(least) > 0.999 }
    #expect(!laws.isEmpty)
    for law in laws {
      // One that lies inside by nine deviations is left whole.
      #expect(law.cdf(least - 1e-4) < 1e-15 && law.cdf(most + 1e-4) > 1 - 1e-12)
      #expect(law.logDensity(most + 1) < -30)
      let steps = 4000
      let width = (most - least) / Double(steps)
      let mass = (0..<steps).reduce(0) {
        $0 + width * exp(law.logDensity(least + (Double($1) + 0.5) * width))
      }
      #expect(abs(mass - 1) < 2e-3)
    }
    let beyond = try posterior.logDensity(of: [most + 1], at: Inputs([72]), orders: 1)
    #expect(beyond.value == -.infinity && beyond.notes.contains(.valuesBeyondReach(1)))
    #expect(throws: DataError.self) { try model.condition(on: data, values: choice, limits: 0...10) }
    // Pinned values are within them too.
    #expect(throws: DataError.self) { try posterior.given(Dataset(x: [90], y: [most + 3])) }
  }

  @Test("A value on an end of the bounds has a density", arguments: [ValueScale.Choice.raw, .root])
  func ends(choice: ValueScale.Choice) throws {
    let (model, sales) = (try Self.model(), try Self.sales(0..<72))
    // A strike: nothing is sold for some months.
    let data = try Dataset(x: sales.x, y: sales.y.enumerated().map { (30..<34).contains($0) ? 0 : $1 })
    let posterior = try model.condition(on: data, values: choice, limits: 0 ... .infinity)
    for place in [30.5, 31.5, 33.5, 72] {
      let law = try #require(try posterior.marginals(at: Inputs([place])).first)
      // Where the law has something there at all.
      guard law.cdf(1) > 1e-3 else { continue }
      #expect(law.logDensity(0).isFinite)
      #expect(try posterior.logDensity(of: [0], at: Inputs([place]), orders: 1).value.isFinite, "\(place)")
    }
  }

  @Test("One side alone is bounded, and a file keeps it")
  func oneSide() throws {
    let (model, data) = (try Self.model(), try Self.sales(0..<72))
    let posterior = try model.condition(on: data, values: .raw, limits: 0 ... .infinity)
    let at = try Inputs([72, 90])
    let paths = try posterior.sample(100, at: at, seed: 5).paths
    #expect(paths.joined().allSatisfy { $0 >= 0 })
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try posterior.write(to: folder.path + "/context.safetensors")
    let back = try Posterior(contentsOf: folder.path + "/context.safetensors", model: model)
    #expect(try back.preparation == posterior.preparation && back.sample(100, at: at, seed: 5).paths == paths)
  }
}
