import ChorusData
import ChorusInference
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusEvaluation

/// Numbers were worked out in float64 with numpy and scipy: the mixture's by integrating (F(t) − 1{t ≥ y})², the others
/// from their definitions.
@Suite struct ScoresTests {
  private func near(_ a: Double, _ b: Double, _ tolerance: Double = 1e-12) -> Bool {
    abs(a - b) <= tolerance * max(1, abs(b))
  }

  private let mixture = GaussianMixture(
    logWeights: [0.2, 0.5, 0.3].map { log($0) }, means: [-1, 0.4, 2], deviations: [0.3, 1.1, 0.05])
  private let draws = [0.3, -1.2, 2.5, 0.3, 4.0]
  private let paths = [[0.1, 2, -1], [0.7, -0.3, 0], [1.5, 1, 0.25], [-2, 0.6, 3]]
  private let y = [0.5, 0.2, -0.4]

  @Test func rankedProbability() {
    for (y, score) in [(-2.0, 1.92), (0.3, 0.22), (1, 0.36)] { #expect(near(Scores.crps(draws, y), score)) }
    #expect(Scores.crps([1], 2).isNaN)
    // Many draws of the mixture have its score.
    let many = (0..<200_000).map { index in
      mixture.quantile((Double(index) + 0.5) / 200_000)
    }
    #expect(near(Scores.crps(many, 0.25), mixture.crps(0.25), 1e-4))
  }

  @Test func energyAndVariogram() {
    #expect(near(Scores.energy(paths, y), 0.4391078675925735))
    for (p, score) in [(0.5, 0.22754415913996753), (1, 1.2342708333333334), (2, 19.752997135416667)] {
      #expect(near(Scores.variogram(paths, y, order: p), score))
    }
    // Of one value, the energy score is the ranked probability score, and there is no pair.
    #expect(near(Scores.energy(draws.map { [$0] }, [1]), Scores.crps(draws, 1)))
    #expect(Scores.variogram(draws.map { [$0] }, [1]) == 0)
    #expect(Scores.energy([[1, 2]], [1, 2]).isNaN && Scores.variogram([], [1, 2]).isNaN)
  }

  /// Among distributions with the same marginals, the variogram score tells the right coupling from the wrong one.
  @Test func properOnCoupledDraws() {
    var stream = RandomStream(seed: 3, .paths, 1)
    func pair(_ coupled: Bool) -> [Double] {
      let first = stream.normal()
      return [first, coupled ? 0.9 * first + 0.19.squareRoot() * stream.normal() : stream.normal()]
    }
    let (right, wrong) = ((0..<300).map { _ in pair(true) }, (0..<300).map { _ in pair(false) })
    let values = (0..<300).map { _ in pair(true) }
    func mean(_ score: ([Double]) -> Double) -> Double { values.reduce(0) { $0 + score($1) } / 300 }
    #expect(mean { Scores.variogram(right, $0) } < 0.8 * mean { Scores.variogram(wrong, $0) })
    #expect(mean { Scores.energy(right, $0) } < mean { Scores.energy(wrong, $0) })
  }

  @Test func levelsAmongDraws() {
    #expect(Scores.level(1, among: draws, uniform: 0.5) == 3.5 / 6)
    #expect(Scores.level(0.3, among: draws, uniform: 0) == 1.0 / 6)
    #expect(Scores.level(0.3, among: draws, uniform: 1) == 4.0 / 6)
    #expect(Scores.level(.infinity, among: [1, .infinity], uniform: 0.5) == 2.0 / 3)
  }

  @Test func intervals() {
    for (degrees, value) in [
      (1.0, 12.706204736174694), (2, 4.302652729749462), (9, 2.262157162798205), (30, 2.0422724563012378),
      (199, 1.9719565442517533),
    ] {
      #expect(near(StudentT.quantile(0.975, degrees: degrees), value, 1e-10), "\(degrees)")
    }
    let mean = RepeatedMean([0.2, 0.5, 0.1, 0.9], overlap: 0.25)
    #expect(near(mean.mean, 0.425) && near(mean.standardError, 0.25413251136628173))
    #expect(near(mean.high - 0.425, 0.8087630718500932, 1e-10) && near(0.425 - mean.low, mean.margin))
    #expect(RepeatedMean([1]).mean == 1 && RepeatedMean([1]).standardError.isNaN)
    let share = Calibration.interval(share: 0.8, of: 10)
    #expect(near(share.lowerBound, 0.4901624715366418) && near(share.upperBound, 0.9433178485456248))
    #expect(Calibration.interval(share: 0, of: 0) == 0...1)
    #expect(Calibration.interval(share: 1, of: 5).upperBound == 1)
  }

  // MARK: Splits

  /// Rows whose order in the file is not that of their input.
  private func rows(_ count: Int) throws -> Dataset {
    try Dataset(x: (0..<count).map { Double($0 * 7 % count) }, y: (0..<count).map(Double.init))
  }

  @Test func randomSplits() throws {
    let split = try #require(Split.random(50, share: 0.2, together: 4, seed: 1))
    #expect(split.held.count == 10 && split.context.count == 40 && split.joint.count == 4)
    #expect(Set(split.held + split.context) == Set(0..<50) && Set(split.joint).isSubset(of: split.held))
    #expect(try #require(Split.random(50, share: 0.2, together: 64, seed: 1)).joint == split.held)
    #expect(Split.random(50, share: 0.2, together: 4, seed: 1) == split)
    #expect(Split.random(50, share: 0.2, together: 4, repetition: 1, seed: 1) != split)
    #expect(Split.random(50, share: 0.001, together: 4, seed: 1) == nil)
    #expect(Split.random(5, share: 0.9, together: 4, seed: 1) == nil)
  }

  @Test func lastRows() throws {
    let data = try rows(20)
    func x(_ rows: [Int]) -> [Double] { rows.map { data.x[$0] } }
    for repetition in 0..<3 {
      let split = try #require(
        Split.last(data, count: 6, together: 4, repetition: repetition, seed: 0))
      let start = 20 - 6 * (repetition + 1)
      #expect(x(split.context) == (0..<start).map(Double.init))
      #expect(x(split.held) == (start..<start + 6).map(Double.init))
      #expect(split.joint.count == 4 && Set(split.joint).isSubset(of: split.held))
    }
    #expect(Split.last(data, count: 6, together: 4, repetition: 3, seed: 0) == nil)
    #expect(Split.last(data, count: Int.max, together: 4, repetition: 3, seed: 0) == nil)
  }

  @Test func windows() throws {
    let data = try rows(101)
    let windows = Split.windows(data, context: 10, held: 8, count: 5, seed: 2)
    #expect(windows.count == 5 && Set(windows.flatMap(\.held)).count == 40)
    for window in windows {
      let x = (window.context + window.held).map { data.x[$0] }
      #expect(x == (0..<18).map { x[0] + Double($0) } && window.joint == window.held)
    }
    #expect(Split.windows(data, context: 10, held: 8, count: 99, seed: 2).count == 11)
    #expect(Split.windows(data, context: 99, held: 8, count: 1, seed: 2).isEmpty)
    #expect(Split.windows(data, context: 10, held: 8, count: 5, seed: 3) != windows)
  }

  // MARK: A model's scores

  @Test func scoresOfAModel() throws {
    var blueprint = Blueprint()
    (blueprint.width, blueprint.layers, blueprint.heads, blueprint.feedForward) = (16, 1, 2, 16)
    (blueprint.embedderHidden, blueprint.headHidden, blueprint.head) = (16, 16, .mixture(components: 3))
    blueprint.scaling = .standardise
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 1)
    weights.pack()
    let model = Model(network: try declared.network(weights))
    let data = try Dataset(x: (0..<30).map(Double.init), y: (0..<30).map { 40 + 3 * sin(Double($0)) })
    let scoring = HeldOutScoring(model: model, rows: .function(data), orders: 2, samples: 20)
    let split = try #require(Split.random(30, share: 0.3, together: 5, seed: 0))
    let result = try scoring.result(split, drawing: true, reencoding: true)
    let posterior = try model.condition(on: data.rows(split.context))
    let held = data.rows(split.held)
    let marginals = try posterior.marginals(at: held.inputs)
    #expect(result.calibration.levels == zip(marginals, held.y).map { $0.cdf($1) })
    #expect(result.crps.count == 9 && result.scale == posterior.scaling.outputScale)
    let together = data.rows(split.joint)
    let alone = try posterior.marginals(at: together.inputs)
    let sum = zip(alone, together.y).reduce(0) { $0 + $1.0.logDensity($1.1) }
    #expect(abs(result.independent - sum / 5) < 1e-6)
    let joint = try posterior.logDensity(of: together.y, at: together.inputs, orders: 2).value / 5
    #expect(result.joint == joint && result.reencode.isFinite && result.reencode != joint)
    let paths = try posterior.sample(20, at: together.inputs).paths
    #expect(result.energy.joint == Scores.energy(paths, together.y))
    #expect(result.variogram.joint == Scores.variogram(paths, together.y))
    #expect(result.variogram.independent != result.variogram.joint)
    let brief = try scoring.result(split, drawing: false, reencoding: false)
    #expect(brief.joint == joint && brief.reencode.isNaN && brief.energy.joint.isNaN)
    let drawn = try scoring.result(split, drawing: true, reencoding: false)
    #expect(drawn.reencode.isNaN && drawn.energy.joint == result.energy.joint)
    let claim = try #require(try scoring.claims([.sum], split).first)
    let value = together.y.reduce(0, +)
    let sums = paths.map { $0.reduce(0, +) }
    #expect(claim.joint.crps == Scores.crps(sums, value) && claim.joint.crps != claim.independent?.crps)
    #expect((0...1).contains(claim.joint.level) && claim.joint.width > 0)
  }
}

@Suite struct ThreadPoolMapTests {
  struct Refused: Error, Equatable { let index: Int }

  @Test func orderAndErrors() throws {
    for threads in [1, 2, 5] {
      let pool = ThreadPool(threads: threads)
      for count in [0, 1, 3, 40] {
        #expect(try pool.map(count) { index, _ in index * index } == (0..<count).map { $0 * $0 })
        // A body that is given a pool may use it.
        _ = try pool.map(count) { index, inner in inner?.run(2) { _ in } }
      }
      let error = #expect(throws: Refused.self) {
        _ = try pool.map(20) { index, _ in if index > 6 { throw Refused(index: index) } }
      }
      #expect(error == Refused(index: 7))
    }
  }
}

@Suite struct AccuracyTests {
  private static func r2(_ means: [Double], _ held: [Double]) -> Double {
    HeldOutScoring.Accuracy(
      means: means, medians: means, crps: held.map { _ in 0 }, held, naiveError: 1
    ).r2
  }

  @Test("R² is 1 for what is hit, 0 for the values' mean, below 0 for worse, NaN for one value")
  func r2() {
    #expect(Self.r2([1, 2, 4], [1, 2, 4]) == 1)
    #expect(abs(Self.r2([2, 2, 2], [1, 2, 3])) < 1e-12)
    #expect(Self.r2([1, 2], [1, 3]) == 0.5)
    #expect(Self.r2([3, 2, 1], [1, 2, 3]) == -3)
    #expect(Self.r2([1], [1]).isNaN && Self.r2([1, 1], [2, 2]).isNaN)
  }
}
