import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusHints

/// Known errors of a series' rows, beside exact Gaussian processes.
@Suite("Known errors of a series' rows")
struct SeriesErrorTests {
  /// A process with noise of its own, its rows, what is measured of them, and what is to be foretold.
  private struct Task {
    let x: [Double]
    let y: [Double]
    let errors: [Double]
    let asked: [Double]
    let truth: [Double]
    /// Mean and deviation of each by the process itself.
    let exact: [SeriesModel.Law]

    /// - Parameter level: a typical error, in deviations of the process; half of the rows have a tenth of it, half three times it.
    init(seed: UInt64, level: Double, sigma: Double, _ covariance: (Double) -> Double) {
      var stream = RandomStream(seed: seed, .evaluation, 3)
      let asked = [7.0, 21, 22, 33, 50, 60, 61, 63, 66]
      let x = (0..<60).map(Double.init).filter { !asked.contains($0) }
      let all = x + asked
      let own = all.map { a in
        all.map { b in covariance(abs(a - b)) + (a == b ? sigma * sigma : 0) }
      }
      let factor = Self.factor(own)
      let normal = all.map { _ in stream.normal() }
      let z = all.indices.map { row in (0...row).reduce(0) { $0 + factor[row][$1] * normal[$1] } }
      let errors = x.map { _ in level * (stream.below(2) == 0 ? 0.1 : 3) }
      let y = x.indices.map { z[$0] + errors[$0] * stream.normal() }
      let seen = Self.factor(
        all.indices.map { i in
          all.indices.map { j in own[i][j] + (i == j && i < x.count ? errors[i] * errors[i] : 0) }
        })
      var white = [Double]()
      for row in x.indices {
        white.append(
          (y[row] - (0..<row).reduce(0) { $0 + seen[row][$1] * white[$1] }) / seen[row][row])
      }
      exact = (x.count..<all.count).map { row in
        let mean = x.indices.reduce(0) { $0 + seen[row][$1] * white[$1] }
        let known = x.indices.reduce(0) { $0 + seen[row][$1] * seen[row][$1] }
        return SeriesModel.Law(mean: mean, deviation: (own[row][row] - known).squareRoot())
      }
      (self.x, self.y, self.errors, self.asked, truth) = (x, y, errors, asked, Array(z[x.count...]))
    }

    private static func factor(_ a: [[Double]]) -> [[Double]] {
      var lower = a.map { $0.map { _ in 0.0 } }
      for i in a.indices {
        for j in 0...i {
          let rest = a[i][j] - (0..<j).reduce(0) { $0 + lower[i][$1] * lower[j][$1] }
          lower[i][j] = i == j ? max(rest, 1e-12).squareRoot() : rest / lower[j][j]
        }
      }
      return lower
    }

    /// log densities of what is asked less those of the process, a value.
    func loss(_ laws: [SeriesModel.Law]) -> Double {
      func density(_ law: SeriesModel.Law, _ y: Double) -> Double {
        let distance = (y - law.mean) / law.deviation
        return -0.5 * distance * distance - log(law.deviation)
      }
      return zip(zip(exact, laws), truth).reduce(0) {
        $0 + density($1.0.0, $1.1) - density($1.0.1, $1.1)
      } / Double(truth.count)
    }
  }

  @Test(
    "What is foretold is near to exact Gaussian conditioning, and far from what is foretold without them",
    arguments: [(0.3, 0.2, 0), (1, 0.35, 0.3), (3, 0.35, 0.8)])
  func exact(level: Double, most: Double, gain: Double) throws {
    var (with, without) = (0.0, 0.0)
    for seed in 0..<12 {
      let task = Task(seed: UInt64(seed), level: level, sigma: 0.3) { exp(-$0 / 8) }
      let model = try #require(SeriesModel(x: task.x, y: task.y, errors: task.errors))
      let plain = try #require(SeriesModel(x: task.x, y: task.y))
      with += task.loss(task.asked.map { model.foretold(at: $0) }) / 12
      without += task.loss(task.asked.map { plain.foretold(at: $0) }) / 12
    }
    #expect(with < most, "\(with) nats a value")
    #expect(without > with + gain, "\(without) and \(with)")
  }

  @Test("Small errors change little, and without any all is as it was")
  func small() throws {
    let task = Task(seed: 5, level: 0, sigma: 0.3) { exp(-$0 / 8) }
    let plain = try #require(SeriesModel(x: task.x, y: task.y))
    let none = try #require(SeriesModel(x: task.x, y: task.y, errors: []))
    #expect(none.choice == plain.choice && none.choice.errors == nil)
    let tiny = try #require(
      SeriesModel(x: task.x, y: task.y, errors: task.x.map { _ in 1e-7 }))
    for place in task.asked {
      let (a, b) = (plain.foretold(at: place), tiny.foretold(at: place))
      #expect(abs(a.mean - b.mean) < 1e-4 && abs(a.deviation / b.deviation - 1) < 1e-4)
    }
  }

  @Test(
    "A row with a huge error says nothing, whatever its value is; rows of one place keep their own errors")
  func huge() throws {
    let task = Task(seed: 8, level: 0, sigma: 0.3) { exp(-$0 / 8) }
    var laws: [[SeriesModel.Law]] = []
    for value in [-2.0, 2] {
      // Two rows at a place, the smaller value first: one exact and one that says nothing.
      let (x, y) = (task.x + [task.x[20], 21], task.y + [value, 3 * value])
      let errors = task.x.map { _ in 0.0 } + [100, 100]
      let model = try #require(SeriesModel(x: x, y: y, errors: errors))
      laws.append(task.asked.map { model.foretold(at: $0) })
      let again = SeriesModel.Rows(x: model.rows.x, y: model.rows.y).flatMap {
        SeriesModel(rows: $0, choice: model.choice)
      }
      #expect(again?.leftOut == model.leftOut)
    }
    for (a, b) in zip(laws[0], laws[1]) {
      #expect(abs(a.mean - b.mean) < 0.1 * a.deviation && abs(a.deviation / b.deviation - 1) < 0.1)
    }
  }

  @Test("Units are those that outputs have without their errors")
  func moments() {
    var stream = RandomStream(seed: 2)
    let errors = (0..<400).map { $0 % 2 == 0 ? 0.1 : 20.0 }
    let y = errors.map { 5 + 2 * stream.normal() + $0 * stream.normal() }
    let found = KnownErrors(errors).moments(of: y)
    #expect(abs(found.mean - 5) < 0.5 && abs(found.variance.squareRoot() - 2) < 0.4)
    #expect(KnownErrors([3, 3, 3, 3]).moments(of: [1, 2, 1, 2]).variance == 0)
  }

  @Test("A prepared data set comes back with its errors")
  func prepared() throws {
    let task = Task(seed: 3, level: 1, sigma: 0.3) { exp(-$0 / 8) }
    let data = try Dataset(x: task.x, y: task.y, errors: task.errors)
    let rule = Preparation.Rule(
      scaling: .standardise, hints: Hints([SeriesLevelAndSeason(subtracts: true)]))
    let preparation = try rule.prepare(
      x: data.x, y: data.y, errors: data.errors, dimensions: 1, values: .automatic)
    #expect(preparation.values == .raw)
    let told = try preparation.apply(data)
    let back = try preparation.invert(told)
    for row in 0..<data.count {
      #expect(abs(back.y[row] - data.y[row]) < 1e-9 && abs(back.errors[row] - data.errors[row]) < 1e-9)
    }
    // What is told of a row scatters as what it tells of does: here by the process's own deviation.
    let square = told.y.reduce(0) { $0 + $1 * $1 } / Double(data.count)
    #expect(square > 0.5 && square < 2, "\(square)")
  }
}
