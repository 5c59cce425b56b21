import ChorusLayers
import Foundation
import Testing

@testable import ChorusEvaluation

/// Simple methods: smoothing beside statsmodels, the others by hand.
@Suite struct BaselineTests {
  /// 10 + 0.3t, a season of four, noise of 0.5: 24 values.
  static let values = [
    12.17, 9.71, 11.27, 8.75, 13.65, 10.72, 12.03, 10.89, 14.58, 11.85, 13.51, 12.07, 15.23, 12.82, 14.46,
    13.3, 16.82, 13.95, 15.51, 14.07, 18.0, 15.16, 17.75, 15.9,
  ]

  private func series(_ values: [Double?], season: Int = 4) throws -> PlacedSeries {
    let known = values.enumerated().compactMap { step, value in value.map { (step, $0) } }
    return try #require(
      PlacedSeries(
        places: known.map { PlacedSeries.Place(x: Double($0.0), step: $0.0) }, values: known.map(\.1),
        season: season))
  }

  /// By statsmodels 0.15, ETSModel(add, damped add, add) and (add, none, none) with known starts, smooth() and get_prediction().
  @Test func smoothingIsThatOfStatsmodels() {
    let full = Smoothing(
      Smoothing.Parameters(level: 0.4, trend: 0.05, season: 0.2, damping: 0.9),
      start: Smoothing.State(level: 9.5, slope: 0.4, season: [1.8, -0.9, 0.4, -1.3]), hasTrend: true,
      values: Self.values, first: 0, keeping: true)
    #expect(abs(full.squares - 6.11374528506397) < 1e-10)
    let laws = full.laws(at: Array(24..<31))
    let (means, deviations) = (
      [
        19.228194814348058, 16.43185963550971, 18.108303404488325, 16.374517850281077, 19.812949328027415,
        16.958138697821127, 18.5819545605686,
      ],
      [
        0.5047171355102434, 0.5524347508657609, 0.6043416571194613, 0.6592631863411786, 0.7614076059012158,
        0.8165201282006203, 0.872787761595777,
      ]
    )
    for (index, law) in laws.enumerated() {
      #expect(abs(law.means[0] - means[index]) < 1e-10)
      #expect(abs(law.deviations[0] - deviations[index]) < 1e-10)
    }
    let level = Smoothing(
      Smoothing.Parameters(level: 0.3, trend: 0, season: 0, damping: 0.9),
      start: Smoothing.State(level: 11, slope: 0, season: []), hasTrend: false, values: Self.values, first: 0,
      keeping: true)
    #expect(abs(level.squares - 76.46552963960103) < 1e-9)
    for (law, deviation) in zip(
      level.laws(at: [24, 25, 26, 27]),
      [1.7849548271548432, 1.8635475500056016, 1.9389572474091283, 2.0115419318097465])
    {
      #expect(abs(law.means[0] - 16.0573375079911) < 1e-10 && abs(law.deviations[0] - deviation) < 1e-10)
    }
  }

  @Test func theFormFollowsTheRows() throws {
    // Season and trend are found: the next four are near 10 + 0.3t and the season.
    let found = try #require(Smoothing(series(Self.values)))
    #expect(found.start.season.count == 4)
    for (law, truth) in zip(found.laws(at: [24, 25, 26, 27]), [19.2, 16.5, 18.3, 16.6]) {
      #expect(abs(law.means[0] - truth) < 1.6 && law.deviations[0] < 2)
    }
    // No season is told: none is used. Steps without a row are passed over.
    #expect(try #require(Smoothing(series(Self.values, season: 1))).start.season.isEmpty)
    var gaps: [Double?] = Self.values
    for step in [3, 9, 10, 17] { gaps[step] = nil }
    let law = try #require(Smoothing(series(gaps))).laws(at: [9, 24])
    #expect(abs(law[0].means[0] - 11.2) < 1.5 && abs(law[1].means[0] - 19.2) < 1.5)
    // A constant series is foretold exactly, and a few rows not at all.
    let constant = try #require(Smoothing(series([Double](repeating: 7, count: 12)))).laws(at: [12])
    #expect(abs(constant[0].means[0] - 7) < 1e-9 && constant[0].deviations[0] < 1e-9)
    #expect(try Smoothing(series([1, 2])) == nil)
    let far = PlacedSeries(
      places: [0, 1, 2, 1_000_000].map { PlacedSeries.Place(x: 0, step: $0) }, values: [1, 2, 3, 4], season: 4
    )
    #expect(try Smoothing(#require(far)) == nil)
  }

  @Test func naiveGoesBackASeason() throws {
    let rows = try series(Self.values)
    let differences = (4..<24).map { Self.values[$0] - Self.values[$0 - 4] }
    let variance = differences.reduce(0) { $0 + $1 * $1 } / 20
    #expect(abs(rows.naiveError - differences.reduce(0) { $0 + abs($1) } / 20) < 1e-12)
    let laws = try #require(
      Baseline.naive.laws(rows, at: [24, 27, 28, 35, 1_000_003].map { .init(x: Double($0), step: $0) }))
    #expect(laws.map { $0.means[0] } == [18, 15.9, 18, 15.9, 15.9])
    for (law, seasons) in zip(laws, [1.0, 1, 2, 3, 249_995]) {
      #expect(abs(law.deviations[0] - (variance * seasons).squareRoot()) < 1e-9 * seasons)
    }
    // In a gap the row a season before; before the first row the next one of its season.
    var gaps: [Double?] = Self.values
    for step in [0, 9, 10] { gaps[step] = nil }
    let inside = try #require(
      Baseline.naive.laws(series(gaps), at: [0, 9, 14].map { .init(x: Double($0), step: $0) }))
    #expect(inside.map { $0.means[0] } == [Self.values[4], Self.values[5], Self.values[6]])
    // Without a season the last value; with nothing to compare, nothing.
    #expect(
      try #require(Baseline.naive.laws(series(Self.values, season: 1), at: [.init(x: 30, step: 30)]))[0].means
        == [15.9])
    #expect(try Baseline.naive.laws(series([1, 2, 3]), at: [.init(x: 4, step: 4)]) == nil)
    // Values of one step count as one, whatever their order.
    let twice = [0, 1, 1, 2].map { PlacedSeries.Place(x: Double($0), step: $0) }
    let tied = try #require(PlacedSeries(places: twice, values: [1, 2, 4, 9], season: 1))
    #expect(tied.steps.map(\.value) == [1, 3, 9])
  }

  @Test func structuralKnowsTrendAndSeason() throws {
    let at = [24, 25, 26, 27].map { PlacedSeries.Place(x: Double($0), step: $0) }
    let laws = try #require(Baseline.structural.laws(series(Self.values), at: at))
    for (law, truth) in zip(laws, [19.2, 16.5, 18.3, 16.6]) { #expect(abs(law.means[0] - truth) < 1.5) }
    #expect(try Baseline.structural.laws(series([1, 2, 3]), at: at) == nil)
  }
}
