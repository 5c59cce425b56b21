import ChorusData
import ChorusHints
import Foundation
import Testing

@Suite("Trend and waves as a hint")
struct TrendAndWavesTests {
  private static func rule(_ waves: Int) -> Preparation.Rule {
    Preparation.Rule(scaling: .standardise, hints: Hints([TrendAndWaves(waves: waves, subtracts: true)]))
  }

  @Test("Of a season with noise, the noise is left: zero mean, unit spread, and back again")
  func residual() throws {
    let x = (0..<120).map { 3000 + 0.5 * Double($0) }
    let y = x.enumerated().map {
      40 + 0.1 * $1 + 5 * sin(2 * .pi * $1 / 7.3) + 0.2 * sin(Double(13 * $0 * $0))
    }
    let data = try Dataset(x: x, y: y)
    let rule = Self.rule(3)
    let preparation = try rule.prepare(x: x, y: y, dimensions: 1)
    let scaling = preparation.scaling
    func units(_ raw: [Double]) throws -> [Scaling.Unit] {
      try preparation.units(scaling.apply(Inputs(raw))).map(\.unit)
    }
    let scaled = try preparation.apply(data)
    let (mean, squares) = (scaled.y.reduce(0, +) / 120, scaled.y.reduce(0) { $0 + $1 * $1 } / 120)
    #expect(abs(mean) < 1e-6 && abs(squares - 1) < 1e-6)
    // The noise has a standard deviation of 0.14; the fit has taken little of it.
    let inside = try units([3030])[0].scale
    #expect(inside > 0.1 && inside < 0.2)
    // Between the rows the unit is the same everywhere; beyond them it is what the fit missed beyond parts of them.
    let scales = try units([3000, 3030, 3059.5, 3062, 3080, 4000]).map(\.scale)
    let beyond = try #require(preparation.fits.first(TrendAndWaves.Fit.self)).periods.beyond
    #expect(beyond > 1 && scales.prefix(3).allSatisfy { abs($0 / inside - 1) < 1e-6 })
    #expect(scales[3] > scales[0] && scales[3] < scales[4] && scales[4] < scales[5])
    // 59.5 is the range; 3066.9375 is an eighth of it beyond the last row.
    let eighth = try units([3066.9375])[0].scale
    #expect(abs(eighth - beyond * inside) < 1e-6 * eighth)
    let back = try preparation.invert(scaled)
    for (a, b) in zip(back.x + back.y, x + y) { #expect(abs(a - b) < 1e-9) }
    // The season goes on where nothing was seen.
    let ahead = 3000 + 0.5 * 130.0
    let origin = try units([ahead])[0].origin
    #expect(abs(origin - (40 + 0.1 * ahead + 5 * sin(2 * .pi * ahead / 7.3))) < 0.5)
    let fit = try #require(preparation.fits.first(TrendAndWaves.Fit.self))
    #expect(try JSONDecoder().decode(TrendAndWaves.Fit.self, from: JSONEncoder().encode(fit)) == fit)
  }

  @Test("Where nothing can be foretold, the unit is the plain one, whatever the rows")
  func residualOfNothing() throws {
    for (x, y) in [
      ([1.0, 2], [5.0, 9]), ([1, 1, 1], [5, 9, 2]),
      (Array(stride(from: 0.0, to: 20, by: 1)), [Double](repeating: 3, count: 20)),
    ] {
      let data = try Dataset(x: x, y: y)
      let plain = try Scaling.standardising(x: x, y: y, dimensions: 1)
      let (a, b) = try (plain.apply(data), Self.rule(2).prepare(x: x, y: y, dimensions: 1).apply(data))
      for (a, b) in zip(a.y, b.y) { #expect(abs(a - b) < 1e-9) }
    }
    // A fit that a file made up is refused and does not stop the process.
    let preparation = try Self.rule(1).prepare(
      x: (0..<60).map(Double.init), y: (0..<60).map { sin(Double($0)) }, dimensions: 1)
    let fit = try #require(preparation.fits.first(TrendAndWaves.Fit.self))
    let text = String(decoding: try JSONEncoder().encode(fit), as: UTF8.self)
    for (good, bad) in [
      ("\"degree\":2", "\"degree\":-2"), ("\"harmonics\":2", "\"harmonics\":0"),
      ("\"fitScale\":", "\"fitScale\":-"),
    ] {
      #expect(text.contains(good))
      let data = Data(text.replacingOccurrences(of: good, with: bad).utf8)
      #expect(throws: (any Error).self) { try JSONDecoder().decode(TrendAndWaves.Fit.self, from: data) }
    }
  }

  @Test("What is told of an input is padded and ends with what is known of the rest")
  func told() throws {
    let hint = TrendAndWaves(waves: 1)
    let x = (0..<60).map { Double($0) / 30 - 1 }
    let rows = ObservedRows(
      x: x, y: x.map { sin(20 * $0) }, unit: Scaling.Unit(origin: 0, scale: 1), dimensions: 1)
    let fit = hint.fit(rows)
    #expect(hint.features(dimensions: 3) == 12 && fit.fits(dimensions: 1) && !fit.fits(dimensions: 0))
    var features = [Float](repeating: .nan, count: 12)
    let place: [Float] = [0.4]
    fit.tell(place, dimensions: 1, size: 3, into: &features)
    let line = try #require(fit.periods.lines[0])
    #expect(features[0] == Float(fit.periods.skill) && features[0] > 0.9)
    #expect(features[2] == Float(fit.periods.skill * line.season(at: Double(place[0]))))
    #expect(features[3..<9].allSatisfy { $0 == 0 })
    #expect(features[11] == Float(log(fit.periods.roughness)))
    #expect(fit.unit(at: [0.4]) == nil, "told, not subtracted")
  }

  @Test("Hints go through JSON, and a fit is kept under its hint's name")
  func kept() throws {
    let hints = Hints([TrendAndWaves(waves: 2, subtracts: true)], rows: [LocalSplines(neighbours: 7)])
    #expect(try JSONDecoder().decode(Hints.self, from: JSONEncoder().encode(hints)) == hints)
    struct Kept: Codable {
      static let hints = Hints([TrendAndWaves(waves: 2, subtracts: true)])
      let fits: HintFits
      init(_ fits: HintFits) { self.fits = fits }
      init(from decoder: any Decoder) throws { fits = try HintFits(from: decoder, of: Self.hints) }
      func encode(to encoder: any Encoder) throws { try fits.encode(to: encoder, of: Self.hints) }
    }
    let x = (0..<40).map(Double.init)
    let preparation = try Self.rule(2).prepare(x: x, y: x.map { sin($0) }, dimensions: 1)
    let json = try JSONEncoder().encode(Kept(preparation.fits))
    #expect(String(decoding: json, as: UTF8.self).hasPrefix("{\"trend-and-waves\":{"))
    #expect(try JSONDecoder().decode(Kept.self, from: json).fits == preparation.fits)
  }
}
