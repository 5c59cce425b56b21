import ChorusData
import ChorusHints
import Foundation
import Testing

@Suite("Periods")
struct PeriodsTests {
  /// A splitmix64 generator, so that the rows are the same everywhere.
  private struct Numbers {
    var state: UInt64
    mutating func next() -> Double {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return Double((z ^ (z >> 31)) >> 11) / Double(1 << 53)
    }
    /// Twelve uniform numbers in place of a normal one.
    mutating func noise() -> Double { (0..<12).reduce(-6) { sum, _ in sum + next() } }
  }

  /// Rows at random places of [-1.7, 1.7]: `signal` and noise of the given size.
  private static func rows(
    _ count: Int, noise: Double, seed: UInt64 = 1, _ signal: (Double) -> Double
  ) -> (x: [Float], y: [Float]) {
    var numbers = Numbers(state: seed)
    let x = (0..<count).map { _ in Float(3.4 * numbers.next() - 1.7) }
    return (x, x.map { Float(signal(Double($0)) + noise * numbers.noise()) })
  }

  private static func periods(_ rows: (x: [Float], y: [Float]), _ count: Int = 3) -> Periods {
    Periods(x: rows.x, y: rows.y, dimensions: 1, count: count)
  }

  private static func line(_ rows: (x: [Float], y: [Float]), _ count: Int = 3) -> Periods.Line? {
    periods(rows, count).lines.first.flatMap { $0 }
  }

  private static func waves(_ rows: (x: [Float], y: [Float]), _ count: Int = 3) -> [Periods.Wave] {
    line(rows, count)?.waves ?? []
  }

  @Test("A wave under a trend is found, at any places of the rows", arguments: [1.1, 2.6, 7.3, 19.0])
  func found(frequency: Double) {
    let signal = { (x: Double) in 3 * x * x - x + sin(2 * .pi * frequency * x + 0.4) }
    for count in [160, 400] {
      let random = Self.waves(Self.rows(count, noise: 0.3, signal))
      let x = (0..<count).map { Float(3.4 * Double($0) / Double(count) - 1.7) }
      let even = Self.waves((x, x.map { Float(signal(Double($0))) }))
      for waves in [random, even] {
        // A hundredth of a cycle over the range is 0.003. The trend that is taken out shifts a slow wave a little.
        #expect(abs((waves.first?.frequency ?? 0) - frequency) < (frequency < 2 ? 0.02 : 0.01))
        #expect((waves.first?.share ?? 0) > 0.75 && (waves.first?.evidence ?? 0) > 100)
      }
    }
  }

  @Test("Two waves are found one after the other, the stronger first")
  func two() {
    let waves = Self.waves(
      Self.rows(200, noise: 0.1) { 2 * sin(2 * .pi * 3.2 * $0) + cos(2 * .pi * 8.1 * $0) }, 2)
    #expect(waves.count == 2)
    #expect(abs(waves[0].frequency - 3.2) < 0.02 && abs(waves[1].frequency - 8.1) < 0.02)
    // Of two thirds noise-free variance the first has four fifths, the second nearly all of the rest.
    #expect(abs(waves[0].share - 0.8) < 0.06 && waves[1].share > 0.85)
  }

  @Test("Noise alone has little evidence")
  func noise() {
    for seed in 0..<40 as Range<UInt64> {
      for wave in Self.waves(Self.rows(60, noise: 1, seed: seed) { _ in 0 }) {
        #expect((0...1).contains(wave.share) && wave.evidence < 25)
      }
    }
  }

  /// The explained part at the frequency found and beside it, by least squares with cosine and sine written out.
  @Test("The share is that of a least-squares fit, and no frequency nearby explains more")
  func leastSquares() {
    // Symmetric places and a wave that no cubic can explain: its trend is 0 and the fit is one with two columns.
    let half = (0..<50).map { 0.03 + 0.031 * Double($0) + 0.002 * sin(Double(5 * $0)) }
    let x = (half.map { -$0 } + half).map(Float.init)
    let y = x.map { Float(cos(2 * .pi * 6.02 * Double($0))) }
    func explained(_ f: Double) -> Double {
      let c = x.map { cos(2 * .pi * f * Double($0)) }
      let along = zip(c, y).reduce(0) { $0 + $1.0 * Double($1.1) }
      return along * along / c.reduce(0) { $0 + $1 * $1 }
        / y.reduce(0) { $0 + Double($1) * Double($1) }
    }
    let wave = Self.waves((x, y), 1)[0]
    #expect(abs(wave.frequency - 6.02) < 0.004)
    // The trend takes a little of the wave, and the share is that of the nearest grid frequency.
    #expect(abs(wave.share - explained(wave.frequency)) < 0.03)
    #expect(abs(wave.evidence - wave.share / (1 - wave.share) * 97 / 2) < 1e-6 * wave.evidence)
  }

  @Test("Trend and waves together give the rows back where there is nothing else")
  func fit() throws {
    let signal = { (x: Double) in
      1 - 2 * x + 0.5 * x * x + cos(2 * .pi * 5 * x) + 0.5 * sin(4 * .pi * 5 * x)
    }
    let periods = Self.periods(Self.rows(300, noise: 0, signal))
    let line = try #require(periods.lines[0])
    for x in [-1.5, -0.37, 0.2, 1.6] {
      let fit = periods.constant + line.trend(at: x) + line.season(at: x)
      #expect(abs(fit - signal(x)) < 0.01 && periods.foretold(at: [x]) == periods.skill * fit)
    }
    #expect(periods.skill > 0.999 && periods.skill <= 1)
    // Waves go on, and so does the slope; the bend stays what it is an eighth of the range beyond the rows.
    let slope = line.trend(at: 5) - line.trend(at: 4)
    #expect(abs(line.trend(at: 9) - line.trend(at: 4) - 5 * slope) < 1e-9 && abs(slope + 2) < 0.2)
    #expect(abs(line.season(at: 3.1) - (cos(2 * .pi * 5 * 3.1) + 0.5 * sin(4 * .pi * 5 * 3.1))) < 0.02)
  }

  /// The fit by normal equations is the least-squares fit up to its small ridge: what it leaves is orthogonal to its columns.
  @Test("What the fit leaves is orthogonal to the powers and the waves")
  func orthogonal() throws {
    let rows = Self.rows(150, noise: 0.5) { sin(2 * .pi * 4 * $0) + $0 }
    let periods = Self.periods(rows)
    let line = try #require(periods.lines[0])
    let left = zip(rows.x, rows.y).map { x, y in
      Double(y) - periods.constant - line.trend(at: Double(x)) - line.season(at: Double(x))
    }
    let frequency = line.waves[0].frequency
    for column in [{ _ in 1 }, { $0 }, { $0 * $0 }, { cos(2 * .pi * frequency * $0) }] as [(Double) -> Double]
    {
      let sum = zip(rows.x, left).reduce(0) { $0 + column(Double($1.0)) * $1.1 }
      #expect(abs(sum) < 0.02)
    }
  }

  @Test("Skill is near one for a season, and near nothing for what cannot be foretold")
  func skill() throws {
    for seed in 0..<20 as Range<UInt64> {
      let season = Self.periods(Self.rows(120, noise: 0.2, seed: seed) { 2 * sin(2 * .pi * 3.3 * $0) })
      #expect(season.skill > 0.9)
      let noise = Self.periods(Self.rows(120, noise: 1, seed: seed) { _ in 0 })
      #expect(noise.skill < 0.15)
      // A level of its own on each of 24 parts of the range is no season, whatever waves are read into it.
      var levels = Numbers(state: seed + 100)
      let steps = (0..<24).map { _ in levels.noise() }
      let jumps = Self.periods(
        Self.rows(120, noise: 0.1, seed: seed) { steps[min(23, Int(($0 + 1.7) / 3.4 * 24))] })
      #expect(jumps.skill < 0.8)
    }
  }

  @Test("A fit has a quarter as many columns as there are rows, and follows a straight line from eight on")
  func fewRows() throws {
    for (count, degree) in [(8, 1), (11, 1), (12, 2), (16, 2)] {
      let bent = Self.periods(Self.rows(count, noise: 0) { 1 + 2 * $0 - $0 * $0 })
      #expect(try #require(bent.lines[0]).kept == 0)
      #expect(bent.skill > 0 && (bent.skill > 0.99) == (degree == 2), "\(count) rows: \(bent.skill)")
      let straight = Self.periods(Self.rows(count, noise: 0) { 5 * $0 - 1 })
      #expect(straight.skill > 0.99 && abs(straight.foretold(at: [0.3]) - 0.5) < 0.1)
    }
    let wave = { (x: Double) in sin(2 * .pi * 1.7 * x) }
    #expect(Self.periods(Self.rows(19, noise: 0, wave)).lines[0]?.waves.isEmpty == true)
    #expect(Self.periods(Self.rows(28, noise: 0, wave)).lines[0]?.kept == 1)
  }

  @Test("Trends and waves of several inputs add up, and parts are left out along each of them")
  func additive() throws {
    var numbers = Numbers(state: 3)
    let rows = (0..<240).map { _ in (0..<3).map { _ in 3.4 * numbers.next() - 1.7 } }
    let signal = { (x: [Double]) in 2 + x[0] - 0.5 * x[1] * x[1] + sin(2 * .pi * 2.3 * x[2]) }
    let y = rows.map { Float(signal($0) + 0.1 * numbers.noise()) }
    let periods = Periods(x: rows.joined().map { Float($0) }, y: y, dimensions: 3, count: 2)
    #expect(periods.skill > 0.97 && periods.lines.map { $0?.kept } == [0, 0, 1])
    for x in [[0.5, -1, 0.2], [-1.5, 1.5, 1]] { #expect(abs(periods.foretold(at: x) - signal(x)) < 0.2) }
    // A column that never changes is left out, and the others are fitted as if it were not there.
    let padded: [[Float]] = rows.map { [Float($0[0]), 4, Float($0[1]), Float($0[2])] }
    let without = Periods(x: Array(padded.joined()), y: y, dimensions: 4, count: 2)
    #expect(without.lines[1] == nil && without.skill == periods.skill)
    #expect(without.foretold(at: [0.5, 4, -1, 0.2]) == periods.foretold(at: [0.5, -1, 0.2]))
  }

  @Test("How rough the rest is, and how wrong the fit where it has not seen rows, beside the rest")
  func errors() throws {
    var numbers = Numbers(state: 5)
    let noise = Self.periods(Self.rows(400, noise: 1) { _ in 0 })
    #expect(abs(noise.roughness - 1) < 0.15 && abs(noise.inside - 1) < 0.1)
    let smooth = Self.periods(Self.rows(400, noise: 0) { sin(3 * $0 * $0) })
    #expect(smooth.roughness < 0.05)
    // By hand, on rows too few for any fit but a straight line that does not help.
    let (x, y): ([Float], [Float]) = ([0, 1, 2, 4, 5, 6, 7, 9], [1, -1, 2, -2, 2, -1, 1, -1])
    let hand = (1..<7).map { i in
      let weight = Double((x[i + 1] - x[i]) / (x[i + 1] - x[i - 1]))
      let miss = weight * Double(y[i - 1]) + (1 - weight) * Double(y[i + 1]) - Double(y[i])
      return miss * miss / (weight * weight + (1 - weight) * (1 - weight) + 1)
    }
    let square = y.reduce(0) { $0 + Double($1 * $1) } / 8
    let few = Self.periods((x, y))
    #expect(few.skill == 0)
    #expect(abs(few.roughness - (hand.reduce(0, +) / 6 / square).squareRoot()) < 1e-6)
    // Each of eight rows is a part; without a fit nothing is foretold of any.
    let ends = (Double(y[0] * y[0] + y[7] * y[7]) / 2 / square).squareRoot()
    #expect(abs(few.beyond - ends) < 1e-6)
    // A bend that is only seen at one end is no part of what the others foretell of it.
    let bent = Self.periods(
      Self.rows(200, noise: 0.05) { $0 + ($0 > 1.2 ? 20 * ($0 - 1.2) * ($0 - 1.2) : 0) })
    #expect(bent.beyond > 1.5 && bent.beyond > 2 * bent.inside, "\(bent.beyond), \(bent.inside)")
    let two = Periods(
      x: (0..<50).flatMap { [Float($0 % 7), Float($0 / 7)] }, y: (0..<50).map { _ in Float(numbers.noise()) },
      dimensions: 2, count: 1)
    #expect(abs(two.roughness - 1) < 0.3)
  }

  @Test("The order of the rows does not matter, nor the units of y")
  func order() {
    let rows = Self.rows(90, noise: 0.5) { sin(9 * $0) }
    let waves = Self.waves(rows)
    let turned = Self.waves((rows.x.reversed(), rows.y.reversed().map { 1000 * $0 }))
    #expect(waves.count == 3 && turned.count == 3)
    for (a, b) in zip(waves, turned) {
      #expect(abs(a.frequency - b.frequency) < 1e-5 && abs(a.share - b.share) < 1e-5)
    }
  }

  @Test("Each input is looked at on its own")
  func inputs() {
    let (one, other) = (Self.rows(120, noise: 0) { $0 }, Self.rows(120, noise: 0, seed: 9) { $0 })
    let x = zip(one.x, other.x).flatMap { [$0, $1] }
    let y = other.x.map { Float(sin(2 * .pi * 4 * Double($0))) }
    let periods = Periods(x: x, y: y, dimensions: 2, count: 1)
    let waves = periods.lines.compactMap { $0?.waves.first }
    #expect(waves.count == 2)
    #expect(waves[0].evidence < 25)
    #expect(abs(waves[1].frequency - 4) < 0.01 && waves[1].evidence > 1000)
  }

  @Test("Rows that cannot tell a period have none, and nothing is not a number")
  func nothing() {
    let few: [Float] = [0, 1, 2, 3, 4, 5, 6]
    #expect(Periods(x: few, y: few, dimensions: 1, count: 3) == .none)
    #expect(Periods(x: few + [7], y: few + [7], dimensions: 1, count: 0) == .none)
    let same = [Float](repeating: 2, count: 40)
    #expect(Self.waves((same, (0..<40).map { Float($0 % 3) })).isEmpty)
    let line = (0..<40).map { Float($0) / 10 }
    #expect(Self.waves((line, same)).isEmpty, "a constant")
    #expect(Self.waves((line, line.map { $0 * $0 * $0 - 2 * $0 })).allSatisfy { $0.share.isFinite })
    let huge = line.map { $0 * 1e9 }
    #expect(
      Self.waves((huge, huge.map { sin($0) * 1e9 })).allSatisfy { $0.frequency.isFinite && $0.share <= 1 })
    // One row far away: the others are hardly a cycle of any frequency that is looked at.
    let far = Self.waves((line + [1e8], line.map { sin(9 * $0) } + [0]))
    #expect(far.allSatisfy { $0.frequency.isFinite && $0.evidence.isFinite })
  }
}
