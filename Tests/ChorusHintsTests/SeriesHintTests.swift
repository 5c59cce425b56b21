import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusHints

@Suite("Level and season of a series as a hint")
struct SeriesHintTests {
  /// What the reference says of a series (tools/series_golden.py).
  private struct Golden: Decodable {
    struct Features: Decodable {
      struct Season: Decodable { let period, cycles, fixed, changing: Double }
      let level: SeriesLevel.Kind
      let ratio, length, cycle, slope, noise, skill: Double
      let seasons: [Season]
      let odd: Int
    }
    let name: String
    let clock: String?
    let x, y, asked, periods, mean, deviation, leftOutMean, leftOutDeviation: [Double]
    let power, slope, evidence, correlation: Double
    let seasons: [[Double]]
    let features: Features

    /// The series after the transform that the reference has chosen.
    var transformed: [Double] {
      y.map { (value: Double) -> Double in
        if power == 1 { return value }
        return power == 0 ? log(value) : (pow(value, power) - 1) / power
      }
    }
    /// Periods of the calendar, in the unit of x.
    var known: [Double] {
      switch clock {
      case "day": [365.2425, 7, 1, 1.0 / 24]
      case "month": [12]
      default: []
      }
    }
  }

  /// A series with a season and a wandering level; the noise is of no law.
  private static func season(_ count: Int, period: Double = 7) -> (x: [Double], y: [Double]) {
    let x = (0..<count).map { 0.5 * Double($0) }
    let y = x.indices.map { (row: Int) -> Double in
      let (t, turn) = (Double(row), 2 * Double.pi * Double(row) / period)
      let wave: Double = 3 * sin(turn) + cos(2 * turn)
      let noise: Double = 0.3 * sin(17 * t * t)
      return 20 + wave + noise + 2 * sin(t / 40)
    }
    return (x, y)
  }

  private static func rows(_ x: [Double], _ y: [Double], dimensions: Int = 1) -> ObservedRows {
    ObservedRows(x: x, y: y, unit: Scaling.Unit(origin: 0, scale: 1), dimensions: dimensions)
  }

  @Test("Choices are those of the reference, and what is foretold is to 10⁻¹⁰ of the series' deviation")
  func golden() throws {
    let file = try #require(
      Bundle.module.url(forResource: "series-hint", withExtension: "json", subdirectory: "Fixtures"))
    let cases = try JSONDecoder().decode([Golden].self, from: Data(contentsOf: file))
    #expect(cases.count == 10)
    for golden in cases {
      let name = Comment(rawValue: golden.name)
      let model = try #require(SeriesModel(x: golden.x, y: golden.transformed, known: golden.known), name)
      let (setting, features) = (model.choice.setting, golden.features)
      let scale = SeriesModel.valueScale(x: golden.x, y: golden.y, known: golden.known)
      #expect(
        scale == (golden.power == 1 ? .raw : golden.power == 0 ? .logarithm : .root(of: golden.y)), name)
      #expect(
        setting.level
          == SeriesLevel(features.level, features.ratio, features.length, period: features.cycle), name)
      #expect(setting.slope == golden.slope, name)
      #expect(setting.seasons.map { [$0.strength, $0.decay, $0.change] } == golden.seasons, name)
      #expect(model.summary.far == features.odd, name)
      func near(_ found: [Double], _ expected: [Double], _ unit: Double) {
        #expect(found.count == expected.count, name)
        for (a, b) in zip(found, expected) { #expect(abs(a - b) <= 1e-10 * unit, name) }
      }
      near(model.choice.periods, golden.periods, 10)
      near([model.evidence], [golden.evidence], 100)
      let laws = golden.asked.map { model.foretold(at: $0) }
      near(laws.map(\.mean) + laws.map(\.deviation), golden.mean + golden.deviation, model.rows.scale)
      // The correlation of the first two asked places, the noise of each included.
      if let joint = SeriesJoint(model, places: golden.asked), joint.laws.prefix(2).allSatisfy({ $0 != nil })
      {
        near([joint.correlation(0, 1)], [golden.correlation], 1)
        for (place, law) in joint.laws.enumerated() {
          guard let law else { continue }
          near([joint.variance(place) + 1], [pow(law.deviation / model.noise, 2)], 10)
        }
      }
      near(
        model.leftOut.map(\.mean) + model.leftOut.map(\.deviation),
        golden.leftOutMean + golden.leftOutDeviation,
        model.rows.scale)
      let summary = model.summary
      near(
        [summary.slope, summary.noise, summary.skill], [features.slope, features.noise, features.skill], 1)
      near(
        summary.seasons.flatMap { [$0.period, $0.cycles, $0.fixed, $0.changing] },
        features.seasons.flatMap { [$0.period, $0.cycles, $0.fixed, $0.changing] }, 10)
    }
  }

  @Test(
    "A value told by the joint law of two places is that of a fit with one more row",
    arguments: SeriesLevel.starts + SeriesLevel.cycles(span: 60))
  func joint(level: SeriesLevel) throws {
    let (x, y) = Self.season(70)
    let gap = x.indices.filter { !(20..<26).contains($0) && $0 != 40 }
    let rows = try #require(SeriesModel.Rows(x: gap.map { x[$0] }, y: gap.map { y[$0] }))
    let ridge = SeriesSetting.Ridge(strength: 10, decay: 1, change: 0.1)
    func choice(_ count: Int) -> SeriesModel.Choice {
      SeriesModel.Choice(
        periods: [7], noise: [Double](repeating: 1, count: count),
        setting: SeriesSetting(level: level, slope: 10, seasons: [ridge]))
    }
    let model = try #require(SeriesModel(rows: rows, choice: choice(gap.count)))
    let more = try #require(SeriesModel.Rows(x: rows.x + [x[22]], y: rows.y + [y[22]]))
    let after = try #require(SeriesModel(rows: more, choice: choice(gap.count + 1)))
    let places = [x[22], x[20], x[24], x[40], x[69] + 3, x[69] + 9]
    let joint = try #require(SeriesJoint(model, places: places))
    let first = try #require(joint.laws[0])
    let told = (y[22] - first.mean) / first.deviation
    for place in places.indices.dropFirst() {
      let (law, r) = (try #require(joint.laws[place]), joint.correlation(0, place))
      let expected = after.foretold(at: places[place])
      #expect(abs(law.mean + law.deviation * r * told - expected.mean) < 1e-8)
      // The fit with a row more judges its noise anew.
      let deviation = law.deviation / model.noise * (1 - r * r).squareRoot()
      #expect(abs(deviation - expected.deviation / after.noise) < 1e-8)
    }
    #expect(try #require(SeriesJoint(model, places: [x[0] - 1])).laws == [nil])
    #expect(SeriesJoint(model, places: [Double](repeating: 1, count: SeriesJoint.most + 1)) == nil)
  }

  @Test("Two steps are one of both distances, and a cycle's covariance is that of its oscillator")
  func cycles() throws {
    let level = SeriesLevel(.cycle, 20, 9, period: 11)
    func close(_ a: SeriesLevel.Spread, _ b: SeriesLevel.Spread) -> Bool {
      abs(a.level - b.level) < 1e-12 * 20 && abs(a.both - b.both) < 1e-12 * 20
        && abs(a.slope - b.slope) < 1e-12 * 20
    }
    let some = SeriesLevel.Spread(level: 3, both: -1, slope: 2)
    for (a, b) in [(0.3, 1.9), (2.0, 5.0), (1e-5, 1.0), (40.0, 0.5)] {
      #expect(close(level.step(b).spread(level.step(a).spread(some)), level.step(a + b).spread(some)))
      // What is known turns back by the same steps.
      #expect(close(level.step(a).known(level.step(b).known(some)), level.step(a + b).known(some)))
    }
    for distance in [0.0, 0.7, 4, 30, 1e9] {
      #expect(close(level.step(distance).spread(level.start), level.start))
      let (turn, k) = (2 * Double.pi * distance / 11, 11 / (2 * Double.pi * 9))
      #expect(abs(level.step(distance).stay - exp(-distance / 9) * (cos(turn) + k * sin(turn))) < 1e-12)
    }
    #expect(level.isPossible && !SeriesLevel(.cycle, 20, 900, period: 11).isPossible)
    #expect(!SeriesLevel(.reverting, 2, 9, period: 11).isPossible)
    let old = Data(#"{"kind":"trend","ratio":0.2,"length":4}"#.utf8)
    #expect(try JSONDecoder().decode(SeriesLevel.self, from: old) == SeriesLevel(.trend, 0.2, 4))
    #expect(SeriesLevel.cycles(span: 14).isEmpty && SeriesLevel.cycles(span: 1e9).count < 16)
  }

  @Test("A swing has a cycle and no season, a season no cycle")
  func swingOrSeason() throws {
    var stream = RandomStream(seed: 5)
    var (now, before) = (0.0, 0.0)
    let y = (0..<160).map { _ in
      (now, before) = (1.62 * now - 0.9 * before + stream.normal(), now)
      return now
    }
    let swing = SeriesLevelAndSeason().fit(Self.rows(y.indices.map { 2 * Double($0) }, y))
    let cycle = try #require(swing.cycle)
    // cos ω = 1.62/(2 √0.9) is a wave of 11.5 rows.
    #expect(abs(cycle.period / 2 - 11.5) < 1 && abs(cycle.cycles * cycle.period / 2 - 159) < 1e-9)
    #expect(swing.seasons?.isEmpty ?? false)
    let (x, wave) = Self.season(120)
    let season = SeriesLevelAndSeason().fit(Self.rows(x, wave))
    #expect(season.cycle == nil && season.seasons?.isEmpty == false)
  }

  @Test("Where the input is a date, the year is that of the calendar")
  func calendar() throws {
    var stream = RandomStream(seed: 6)
    let x = (0..<480).map { 10_000 + 7 * Double($0) }
    let y = x.map { 10 + 3 * sin(2 * .pi * $0 / 365.2425) + stream.normal() }
    let rule = Preparation.Rule(scaling: .standardise, hints: Hints([SeriesLevelAndSeason(subtracts: true)]))
    func year(dates: Bool) throws -> Double? {
      let preparation = try rule.prepare(x: x, y: y, dimensions: 1, dates: dates)
      let seasons = try #require(preparation.fits.first(SeriesLevelAndSeason.Fit.self)?.seasons)
      return seasons.first.map { $0.period * preparation.scaling.inputScales[0] }
    }
    let found = try #require(try year(dates: true))
    #expect(abs(found - 365.2425) < 1e-9)
    // Else it is a wave about as long, or a swing.
    #expect(try year(dates: false).map { abs($0 - 365.2425) > 1e-9 } ?? true)
  }

  @Test("The order of rows does not matter, of rows at one place neither")
  func order() throws {
    var (x, y) = Self.season(60)
    x += [3, 3, 12.5]
    y += [19, 25, 22]
    let hint = SeriesLevelAndSeason(subtracts: true)
    let fit = hint.fit(Self.rows(x, y))
    #expect(fit.said != nil)
    for step in [11, 19, 37] {
      let order = x.indices.map { ($0 * step + 5) % x.count }
      let other = hint.fit(Self.rows(order.map { x[$0] }, order.map { y[$0] }))
      #expect(other == fit)
      for place in [-3, 3, 3.2, 12.5, 40] { #expect(other.unit(at: [place]) == fit.unit(at: [place])) }
    }
  }

  @Test("Units of x and of outputs do not matter")
  func units() throws {
    let (x, y) = Self.season(60)
    let model = try #require(SeriesModel(x: x, y: y))
    #expect(model.choice.periods.count == 1)
    for scale in [1e-300, 1e-5, 1e300] {
      let other = try #require(SeriesModel(x: x, y: y.map { $0 * scale }))
      #expect(other.choice == model.choice)
      for place in [-1.0, 3, 3.3, 40] {
        let (a, b) = (model.elsewhere(at: place), other.elsewhere(at: place))
        #expect(abs(b.mean / scale - a.mean) < 1e-9 && abs(b.deviation / scale / a.deviation - 1) < 1e-9)
      }
    }
    for (origin, scale) in [(1e9, 1.0), (-1e9, 1), (0, 1e-200), (0, 1e200)] {
      let other = try #require(SeriesModel(x: x.map { origin + scale * $0 }, y: y.map { $0 - 1e4 }))
      #expect(other.choice == model.choice)
      for place in [-1.0, 3, 3.25, 40] {
        let (a, b) = (model.elsewhere(at: place), other.elsewhere(at: origin + scale * place))
        #expect(abs(b.mean + 1e4 - a.mean) < 1e-6 && abs(b.deviation / a.deviation - 1) < 1e-6)
      }
    }
  }

  @Test("At a row the unit is what the rows elsewhere say, and what is left has unit spread")
  func leftOut() throws {
    var (x, y) = Self.season(80)
    let fit = SeriesLevelAndSeason(subtracts: true).fit(Self.rows(x, y))
    let left = try zip(x, y).map { place, value in
      try #require(fit.unit(at: [place])).scaled(value)
    }
    let squares = left.reduce(0) { $0 + $1 * $1 } / Double(left.count)
    #expect(squares > 0.8 && squares < 1.25)
    let told = SeriesLevelAndSeason().fit(Self.rows(x, y))
    #expect(told.unit(at: [3]) == nil, "told, not subtracted")
    // Three rows at one place: the same choice without all of them says the same there.
    x += [20, 20]
    y += [y[40] + 0.3, y[40] - 0.9]
    let model = try #require(SeriesModel(x: x, y: y))
    let others = model.rows.x.indices.filter { model.rows.x[$0] != 20 }
    let rows = try #require(
      SeriesModel.Rows(x: others.map { model.rows.x[$0] }, y: others.map { model.rows.y[$0] }))
    var choice = model.choice
    choice.noise = others.map { choice.noise[$0] }
    let without = try #require(SeriesModel(rows: rows, choice: choice))
    let (a, b) = (model.elsewhere(at: 20), without.foretold(at: 20))
    #expect(abs(a.mean - b.mean) < 1e-9)
    #expect(abs(a.deviation / model.noise - b.deviation / without.noise) < 1e-9)
    #expect(abs(a.mean - model.foretold(at: 20).mean) > 1e-6)
  }

  @Test("Where nothing can be said nothing is told, and the unit is left alone")
  func nothing() throws {
    let hint = SeriesLevelAndSeason(subtracts: true)
    let (x, y) = Self.season(60)
    let long = (0..<1025).map(Double.init)
    func each(_ values: [Double], _ value: (Double) -> Double) -> [Double] { values.map(value) }
    let without: [ObservedRows] = [
      Self.rows([], []), Self.rows([1], [2]), Self.rows(Array(x.prefix(7)), Array(y.prefix(7))),
      Self.rows(x, each(x) { _ in 3 }), Self.rows(each(x) { _ in 3 }, y),
      Self.rows(x, each(y) { 1e12 + 1e-3 * $0 }),
      Self.rows(x, Array(y.prefix(30)), dimensions: 2), Self.rows(long, each(long) { sin($0) }),
      Self.rows(x, each(y) { $0 > 22 ? .nan : $0 }), Self.rows(each(x) { $0 < 20 ? $0 : 1e12 * $0 }, y),
    ]
    for rows in without {
      let fit = hint.fit(rows)
      var features = [Float](repeating: .nan, count: hint.features(dimensions: 2))
      let place: [Float] = [0.4, 0.1]
      fit.tell(place, dimensions: rows.dimensions, size: 2, into: &features)
      #expect(fit.said == nil && features.allSatisfy { $0 == 0 } && fit.unit(at: [0.4, 0.1]) == nil)
      #expect(fit.fits(dimensions: rows.dimensions))
    }
  }

  @Test("Of any rows all that is said is finite")
  func anything() throws {
    let hint = SeriesLevelAndSeason(subtracts: true)
    for count in [8, 9, 13, 30, 77] {
      let rows = (0..<count).map(Double.init)
      let steps = rows.map { sin(13 * $0 * $0) }
      func each(_ value: (Double) -> Double) -> [Double] { rows.map(value) }
      let places: [[Double]] = [
        rows, each { ($0 / 3).rounded() }, each { -$0 * $0 }, each { $0 < 5 ? $0 : 1e6 + $0 }, steps,
        each { $0 + 1e-9 * sin($0) }, each { $0 == 0 ? -1e8 : $0 },
      ]
      let outputs: [[Double]] = [
        steps, each { tan(7 * $0) }, each { $0 < 6 ? 0 : 1 }, each { $0 == 4 ? 1e200 : sin($0) },
        each { Double.leastNormalMagnitude / 64 * cos($0) }, each { $0 * $0 },
      ]
      for x in places {
        for y in outputs {
          let fit = hint.fit(Self.rows(x, y))
          guard fit.said != nil else { continue }
          let beyond: [Double] = [x[0] + 0.3, -1e9, 1e5, 1e300]
          for place in x.prefix(9) + beyond {
            let unit = try #require(fit.unit(at: [place]))
            #expect(unit.origin.isFinite && unit.scale > 0 && unit.scale.isFinite)
            var features = [Float](repeating: .nan, count: hint.features(dimensions: 1))
            let told = [Float(place)]
            fit.tell(told, dimensions: 1, size: 1, into: &features)
            #expect(features.allSatisfy { $0.isFinite })
          }
        }
      }
    }
  }

  @Test("What is told at a row's place as a Float is said from the rows elsewhere")
  func told() throws {
    let (even, y) = Self.season(60)
    let x = even.map { $0 / 30 - 0.9 }
    let hint = SeriesLevelAndSeason()
    let fit = hint.fit(
      ObservedRows(x: x, y: y, unit: Scaling.Unit(origin: 20, scale: 2), dimensions: 1))
    let model = try #require(fit.said?.model)
    var features = [Float](repeating: .nan, count: hint.features(dimensions: 1))
    for row in [0, 17, 59] {
      let place = [Float(x[row])]
      fit.tell(place, dimensions: 1, size: 1, into: &features)
      #expect(features[16] == Float((model.leftOut[row].mean - 20) / 2))
      #expect(features[17] == Float(log(model.leftOut[row].deviation / 2)))
    }
    let beyond = [Float(2)]
    fit.tell(beyond, dimensions: 1, size: 1, into: &features)
    let law = model.foretold(at: 2)
    #expect(features[0] == 1 && features[16] == Float((law.mean - 20) / 2))
    #expect(features[19] > 0.5, "the rows end near 0.1")
    #expect(fit.fits(dimensions: 1) && !fit.fits(dimensions: 2))
  }

  @Test("A fit goes through JSON; numbers that no fit has are refused")
  func kept() throws {
    let hints = Hints([SeriesLevelAndSeason(subtracts: true)])
    #expect(try JSONDecoder().decode(Hints.self, from: JSONEncoder().encode(hints)) == hints)
    #expect(throws: (any Error).self) {
      try JSONDecoder().decode(Hints.self, from: Data(#"[{"name": "series", "subtract": true}]"#.utf8))
    }
    var (x, y) = Self.season(60)
    y[30] += 40
    x[50] += 0.1
    let fit = SeriesLevelAndSeason(subtracts: true).fit(Self.rows(x, y))
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = String(decoding: try encoder.encode(fit), as: UTF8.self)
    let back = try JSONDecoder().decode(SeriesLevelAndSeason.Fit.self, from: Data(text.utf8))
    #expect(back == fit)
    for place in [-1.0, 15, 15.2, 60] { #expect(back.unit(at: [place]) == fit.unit(at: [place])) }
    for (good, bad) in [
      ("\"noise\":[1", "\"noise\":[0.5"), ("\"noise\":[1", "\"noise\":[1,1"),
      ("\"periods\":[", "\"periods\":[1,"),
      ("\"periods\":[", "\"periods\":[2,3,4,"), ("\"strength\":", "\"strength\":3"),
      ("\"slope\":", "\"slope\":-1"),
      ("\"ratio\":", "\"ratio\":77"), ("\"length\":", "\"length\":7e9"), ("\"decay\":", "\"decay\":7"),
      ("\"x\":[0,0.5", "\"x\":[0.5,0"), ("\"x\":[0,", "\"x\":["), ("\"y\":[", "\"y\":[1,"),
      ("\"scale\":1", "\"scale\":0"),
      ("\"kind\":\"", "\"kind\":\"un"),
    ] {
      #expect(text.contains(good), "\(good)")
      guard let place = text.range(of: good) else { continue }
      let wrong = Data(text.replacingCharacters(in: place, with: bad).utf8)
      #expect(throws: (any Error).self, "\(bad)") {
        try JSONDecoder().decode(SeriesLevelAndSeason.Fit.self, from: wrong)
      }
    }
    let none = SeriesLevelAndSeason().fit(Self.rows([0], [1]))
    #expect(try JSONDecoder().decode(SeriesLevelAndSeason.Fit.self, from: encoder.encode(none)) == none)
  }
}
