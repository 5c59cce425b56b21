import ChorusData
import ChorusHints
import ChorusModels
import Foundation
import Testing

@testable import ChorusInference

/// The waves that a network is shown are those of the rows observed at first, whatever is read later.
@Suite struct PosteriorPeriodsTests {
  private static func week(_ days: Range<Int>) throws -> Dataset {
    let x = days.map { 20_000 + Double($0) }
    return try Dataset(x: x, y: x.map { 5 + 0.01 * $0 + (Int($0) % 7 < 5 ? 2 : -1) })
  }

  @Test func periodsAreInTheUnitsOfTheData() throws {
    let model = try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([TrendAndWaves(waves: 2)])
      $0.trainedContext = 100
    }
    let posterior = try model.condition(on: Self.week(0..<90))
    let first = try #require(posterior.periods.first)
    #expect(posterior.periods.count == 2 && first.column == 0)
    #expect(abs(first.length - 7) < 0.05 && first.share > 0.5)
    #expect(first.isClear && first.skill > 0.8 && first.evidence > 25)
    // One bump is no season, however well a wave may fit it.
    let x = (0..<90).map(Double.init)
    let bump = try Dataset(x: x, y: x.map { exp(-($0 - 40) * ($0 - 40) / 200) })
    #expect(try model.condition(on: bump).periods.allSatisfy { !$0.isClear })
    let plain = try smallModel { $0.scaling = .standardise }
    #expect(try plain.condition(on: Self.week(0..<90)).periods.isEmpty)
  }

  /// The fit is subtracted before the network and added after it, in marginals, paths and densities alike.
  @Test func residualsComeBackInTheUnitsOfTheData() throws {
    let model = try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([TrendAndWaves(waves: 2, subtracts: true)])
      $0.trainedContext = 100
    }
    let posterior = try model.condition(on: Self.week(0..<90))
    let at = try Inputs((90..<97).map { 20_000 + Double($0) })
    let units = try posterior.preparation.units(posterior.scaling.apply(at))
    for (row, origin) in units.map(\.unit.origin).enumerated() {
      let value = 5 + 0.01 * at[row].reduce(0, +) + (Int(at[row].reduce(0, +)) % 7 < 5 ? 2 : -1)
      #expect(abs(origin - value) < 1.5, "the fit goes on into the next week")
    }
    let marginals = try posterior.marginals(at: at)
    let paths = try posterior.sample(4, at: at, plan: .independent, seed: 1).paths
    let alone = try NetworkConditioner(
      posterior.encoded, x: posterior.scaling.apply(at).values.map { Float($0) }
    )
    .marginals(at.count, on: nil)
    let known = try posterior.preparation.units(posterior.scaling.apply(Inputs([20_050])))[0]
    #expect(units.allSatisfy { $0.unit.scale > known.unit.scale }, "the week ahead is less well known")
    for row in 0..<at.count {
      #expect(abs(marginals[row].mean - units[row].raw(alone[row].mean)) < 1e-4)
      for path in paths { #expect(abs(path[row] - units[row].unit.origin) < 100 * units[row].unit.scale) }
      let density = try posterior.logDensity(
        of: [paths[0][row]], at: Inputs(Array(at[row])), plan: .independent, orders: 1)
      #expect(abs(density.value - marginals[row].logDensity(paths[0][row])) < 1e-3)
    }
    let seen = try posterior.observed
    let given = try Self.week(0..<90)
    for (a, b) in zip(seen.y, given.y) { #expect(abs(a - b) < 1e-4) }
    let more = try posterior.observing(more: Self.week(90..<95))
    #expect(more.preparation == posterior.preparation)
  }

  @Test func laterRowsAreReadWithTheSameWaves() throws {
    let model = try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([TrendAndWaves(waves: 2)])
    }
    let posterior = try model.condition(on: Self.week(0..<60))
    let more = try posterior.observing(more: Self.week(60..<75))
    #expect(more.periods == posterior.periods && more.rows == 75)
    let own = try posterior.encoded
    let conditioner = NetworkConditioner(own, x: [3, 4])
    let encoded = conditioner.encode(with: [(target: 1, value: 0.5), (target: 0, value: -2)])
    #expect(encoded.rows == 62 && own.network.fits(of: encoded) == own.fits)
    // They would be others if they were looked for anew.
    let rows = own.rows.appending(NetworkRows(x: [4, 3], y: [0.5, -2], dimensions: 1))
    #expect(own.network.fits(rows) != own.fits)
  }
}
