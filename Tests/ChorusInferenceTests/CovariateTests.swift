import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Columns known beside time.
@Suite("Series with columns known beside time")
struct CovariateTests {
  private static func model() throws -> Model {
    try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
      $0.trainedContext = 200
    }
  }

  /// A season, a wandering number that moves values by 4 a unit, a level of three, and noise: time, number, level.
  private static func rows(_ count: Int, noise: Double = 0.3) throws -> Dataset {
    var stream = RandomStream(seed: 12)
    var (x, y) = ([[Double]](), [Double]())
    for row in 0..<count {
      let (z, level) = (stream.normal(), Double(stream.below(3)))
      x.append([Double(row), z, level])
      y.append(20 + 5 * sin(Double(row) * .pi / 6) + 4 * z + (level == 2 ? 3 : 0) + noise * stream.normal())
    }
    return try Dataset(x: x, y: y)
  }

  private static let kinds: [Covariate] = [.number, .category(levels: 3)]

  @Test("What moves a series is found, foretold, and drawn with how surely it is known")
  func effects() throws {
    let model = try Self.model()
    let data = try Self.rows(84)
    let (known, next) = (data.rows(0..<72), data.rows(72..<84))
    let with = try CovariatePosterior(model, known, Self.kinds)
    #expect(with.values == .raw && with.shares[0] > 0.3 && with.shares[1] > 0.02)
    let drawn = try with.sample(80, at: next.inputs, seed: 1)
    let without = try model.condition(
      on: Dataset(x: known.x.enumerated().filter { $0.offset % 3 == 0 }.map(\.element), y: known.y)
    )
    .sample(80, at: Inputs(next.x.enumerated().filter { $0.offset % 3 == 0 }.map(\.element)), seed: 1)
    func error(_ means: [Double]) -> Double {
      zip(means, next.y).reduce(0) { $0 + abs($1.0 - $1.1) } / 12
    }
    #expect(
      error(drawn.means) < 0.5 * error(without.means), "\(error(drawn.means)) of \(error(without.means))")
    // The same for any number of paths.
    #expect(try with.sample(17, at: next.inputs, seed: 1).paths == Array(drawn.paths.prefix(17)))
  }

  @Test("A column that never changes changes no byte; one that tells nothing is left out")
  func nothing() throws {
    let model = try Self.model()
    let data = try Self.rows(60)
    let times = (0..<60).map(Double.init)
    let plain = try model.condition(on: Dataset(x: times, y: data.y), values: .raw)
    let same = try CovariatePosterior(
      model, Dataset(x: times.map { [$0, 7] }, y: data.y), [.number], values: .raw)
    let at = [60.0, 61, 62]
    #expect(
      try same.sample(9, at: Inputs(at.map { [$0, 7] }), seed: 3).paths
        == plain.sample(9, at: Inputs(at), seed: 3).paths)
    #expect(same.shares == [0])
    #expect(
      same.notes(at: try Inputs([[60, 7], [61, 8]]), names: ["promo"]).first?.hasPrefix("1 point has 'promo'")
        == true)
  }

  @Test(
    "Densities integrate to 1, on a bent scale too, and their laws are those of single rows",
    arguments: [ValueScale.Choice.raw, .logarithm])
  func densities(choice: ValueScale.Choice) throws {
    let with = try CovariatePosterior(Self.model(), Self.rows(48), Self.kinds, values: choice)
    let at = try Inputs([[48, 0.5, 1]])
    let step = 0.05
    let grid = stride(from: choice == .raw ? -60 : step / 2, through: 120, by: step)
    let law = try with.marginals(at: at)[0]
    var (sum, worst) = (0.0, 0.0)
    for (index, y) in grid.enumerated() {
      let density = exp(law.logDensity(y))
      sum += step * density
      if index % 97 == 0, density > 1e-6 {
        let joint = exp(try with.logDensity(of: [y], at: at, orders: 1).value)
        worst = max(worst, abs(joint - density) / density)
      }
    }
    #expect(abs(sum - 1) < 0.01, "\(sum)")
    #expect(worst < 1e-3)
  }

  @Test(
    "Bounds and whole numbers hold on paths, and densities are of laws cut there",
    arguments: [ValueScale.Choice.raw, .root], [false, true])
  func bounded(choice: ValueScale.Choice, whole: Bool) throws {
    let data = try Self.rows(48)
    let rows = try Dataset(inputs: data.inputs, y: data.y.map { $0.rounded() })
    let (least, most) = (rows.y.min() ?? 0, rows.y.max() ?? 0)
    let with = try CovariatePosterior(
      Self.model(), rows, Self.kinds, values: choice, limits: least...most, whole: whole)
    let at = try Inputs([[48, 2, 1], [49, -2, 2]])
    let paths = try with.sample(60, at: at, seed: 4).paths
    let all = paths.flatMap { $0 }
    #expect(all.allSatisfy { (least...most).contains($0) && (!whole || $0 == $0.rounded()) })
    // The same for any number of paths.
    #expect(try with.sample(11, at: at, seed: 4).paths == Array(paths.prefix(11)))
    let law = try with.marginals(at: at)[0]
    let step = whole ? 1.0 : (most - least) / 400
    var (sum, worst) = (0.0, 0.0)
    for (index, y) in stride(from: least + (whole ? 0 : step / 2), through: most, by: step).enumerated() {
      let density = exp(law.logDensity(y))
      sum += step * density
      if index % (whole ? 4 : 97) == 0, density > 1e-6 {
        let joint = exp(try with.logDensity(of: [y], at: at.rows([0]), orders: 1).value)
        worst = max(worst, abs(joint - density) / density)
      }
    }
    #expect(abs(sum - 1) < 0.02, "\(sum)")
    #expect(worst < 1e-3)
    #expect(law.cdf(least - 1) < 1e-6 && law.cdf(most) > 1 - 1e-6)
    let median = law.quantile(0.5)
    #expect(law.crps(median) > 0 && law.crps(median) < law.crps(most) + law.crps(least))
    let low = try CovariatePosterior(Self.model(), rows, Self.kinds, values: choice, whole: whole)
    #expect(try low.sample(5, at: at, seed: 4).paths.count == 5)
  }

  @Test("Conditions on paths hold; what cannot be is refused")
  func conditions() throws {
    let model = try Self.model()
    let data = try Self.rows(60)
    let with = try CovariatePosterior(model, data.rows(0..<50), Self.kinds)
    let next = data.rows(50..<56).inputs
    let sums = try with.sample(400, at: next, seed: 2).paths.map { $0.reduce(0, +) }.sorted()
    let given = try with.sample(
      40, at: next, given: [.path(in: sums[200] ... .infinity) { $0.reduce(0, +) }], seed: 2)
    #expect(given.paths.count == 40 && given.paths.allSatisfy { $0.reduce(0, +) >= sums[200] })
    #expect(throws: InferenceError.self) { try with.sample(3, at: Inputs([1.0])) }
    #expect(throws: InferenceError.self) { try CovariatePosterior(model, data.rows(0..<4), Self.kinds) }
    #expect(throws: InferenceError.self) {
      try CovariatePosterior(model, data, [.number, .category(levels: 3), .number])
    }
    #expect(throws: DataError.self) {
      try CovariatePosterior(
        model, Dataset(inputs: data.inputs, y: data.y.map { $0 - 100 }), Self.kinds, values: .logarithm)
    }
  }
}
