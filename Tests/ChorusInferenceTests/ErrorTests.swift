import ChorusData
import ChorusHints
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Rows whose errors of measurement are known.
@Suite("Rows with known errors")
struct ErrorTests {
  private static func model() throws -> Model {
    try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints(
        [SeriesLevelAndSeason(subtracts: true, joins: true)], rows: [LocalSplines(neighbours: 4)])
      $0.head = .mixture(components: 3, around: 1)
      $0.trainedContext = 50
    }
  }

  private static func rows(_ count: Int, errors: (Int) -> Double) throws -> Dataset {
    var stream = RandomStream(seed: 12)
    let x = (0..<count).map { 3 + 0.5 * Double($0) }
    let own = (0..<count).map(errors)
    return try Dataset(
      x: x, y: x.indices.map { 20 + 5 * sin(Double($0) / 4) + (0.3 + own[$0]) * stream.normal() }, errors: own
    )
  }

  private static let next = [20.1, 33, 33.5, 35]

  @Test("Errors of 0 give the bytes of none")
  func none() throws {
    let data = try Self.rows(60) { _ in 0 }
    #expect(data.errors.isEmpty)
    let model = try Self.model()
    let (one, other) = try (
      model.condition(on: data), model.condition(on: Dataset(x: data.x, y: data.y))
    )
    let at = try Inputs(Self.next)
    #expect(try one.sample(4, at: at, seed: 1).paths == other.sample(4, at: at, seed: 1).paths)
  }

  @Test("A kept context has them: the same answers, the same rows, the same further conditions")
  func kept() throws {
    let path = FileManager.default.temporaryDirectory.path + "/chorus-errors-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let model = try Self.model()
    // One row of which nothing can be seen.
    let data = try Self.rows(60) { $0 == 9 ? 1e6 : $0 % 3 == 0 ? 4 : 0.1 }
    let posterior = try model.condition(on: data)
    #expect(posterior.notes == [.contextBeyondTraining(rows: 59, trained: 50), .hiddenByErrors(1)])
    try posterior.write(to: path)
    let back = try Posterior(contentsOf: path, model: model)
    let at = try Inputs(Self.next)
    #expect(try back.sample(5, at: at, seed: 2).paths == posterior.sample(5, at: at, seed: 2).paths)
    #expect(back.notes == posterior.notes)
    let (seen, kept) = (try back.observed, data.rows((0..<60).filter { $0 != 9 }))
    #expect(zip(seen.y, kept.y).allSatisfy { abs($0 - $1) < 1e-4 })
    #expect(zip(seen.errors, kept.errors).allSatisfy { abs($0 - $1) < 1e-9 })
    // A pinned value is one without an error.
    let pin = try Dataset(x: [34], y: [27])
    let given = try back.given(pin)
    let exact = try model.condition(on: kept.appending(pin))
    for (a, b) in zip(try given.marginals(at: at), try exact.marginals(at: at)) {
      #expect(abs(a.mean - b.mean) < 1e-2 * b.variance.squareRoot())
    }
    #expect(throws: InferenceError.self) { try back.observing(more: pin) }
    #expect(throws: InferenceError.self) { try back.forgetting([3]) }
  }

  @Test("The order of rows does not matter, and the values of rows with large errors hardly do")
  func rows() throws {
    let model = try Self.model()
    let data = try Self.rows(48) { $0 % 4 == 1 ? 60 : 0 }
    let at = try Inputs(Self.next)
    let laws = try model.condition(on: data).marginals(at: at)
    let turned = try model.condition(on: data.rows((0..<48).reversed())).marginals(at: at)
    for (a, b) in zip(laws, turned) { #expect(abs(a.mean - b.mean) < 1e-3 * a.variance.squareRoot()) }
    // Ten errors off: without them this would be the end of the forecast.
    let moved = try Dataset(
      x: data.x, y: zip(data.y, data.errors).map { $1 > 0 ? 40 - $0 : $0 }, errors: data.errors)
    let other = try model.condition(on: moved)
    for x in Self.next {
      let fit = other.preparation.fits.first(SeriesLevelAndSeason.Fit.self)
      let place = other.scaling.scaled(input: x, column: 0)
      let law = try #require(fit?.law(at: place))
      #expect(abs(law.mean - (20 + 5 * sin((x - 3) / 2))) < 4 * law.deviation)
      #expect(law.deviation < 5)
    }
  }

  @Test("Columns beside time are taken with them")
  func covariates() throws {
    var stream = RandomStream(seed: 4)
    let shops = try (0..<3).map { seed -> Double in
      var (x, y, errors) = ([[Double]](), [Double](), [Double]())
      for row in 0..<60 {
        let promo = Double(stream.below(2))
        errors.append(row % 2 == 0 ? 0.1 : 30)
        x.append([Double(row), promo])
        y.append(20 + 6 * promo + 0.5 * stream.normal() + errors[row] * stream.normal() + Double(seed))
      }
      let with = try CovariatePosterior(
        Self.model(), Dataset(x: x, y: y, errors: errors), [.number], values: .raw)
      let laws = try with.marginals(at: Inputs([[60, 0], [60, 1]]))
      return laws[1].mean - laws[0].mean
    }
    for effect in shops { #expect(abs(effect - 6) < 1.5, "\(effect)") }
  }

  @Test("What cannot take them says so")
  func refusals() throws {
    let data = try Self.rows(30) { _ in 1 }
    let plain = try smallModel { $0.scaling = .standardise }
    #expect(throws: InferenceError.self) { try plain.condition(on: data) }
    #expect(throws: InferenceError.self) { try Self.model().condition(on: data.rows(0..<6)) }
    let two = try Dataset(
      inputs: Inputs(data.x.flatMap { [$0, 0] }, dimensions: 2), y: data.y, errors: data.errors)
    #expect(throws: (any Error).self) { try Self.model().condition(on: two) }
    #expect(throws: DataError.badError(row: 1, value: -1)) {
      try Dataset(x: [0, 1], y: [0, 1], errors: [0, -1])
    }
    #expect(throws: DataError.rowCount(what: "errors of the outputs", expected: 2, found: 1)) {
      try Dataset(x: [0, 1], y: [0, 1], errors: [1])
    }
  }
}
