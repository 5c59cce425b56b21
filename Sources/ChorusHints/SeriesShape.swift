import ChorusTensors
import Foundation

/// A period in rows and its harmonics.
struct SeriesSeason: Sendable, Hashable {
  let period: Double
  let harmonics: [Int]

  /// Harmonics of all seasons together, of one, and those that change.
  private static let (columns, waves) = (64, 26)
  static let changing = 4

  /// Seasons of these periods, shortest first, none of whose harmonics is told twice: a longer one has not those of a shorter.
  static func combs(_ periods: [Double], rows: Int, most: Int = waves) -> [SeriesSeason] {
    var out = [SeriesSeason]()
    var room = max(2, min(columns, rows / 2)) / 2
    for (place, period) in periods.enumerated() {
      let count = min(most, place + 1 == periods.count ? room : (3 * room + 3) / 4)
      var harmonics = [Int]()
      var h = 0
      while harmonics.count < count {
        h += 1
        guard Double(h) <= period / 2 + 1e-6 else { break }
        let isNew = out.allSatisfy { other in
          let turns = Double(h) / period * other.period
          let whole = turns.rounded(.toNearestOrEven)
          return abs(turns - whole) > 1e-3 * turns || !other.harmonics.contains(Int(whole))
        }
        if isNew { harmonics.append(h) }
      }
      room -= harmonics.count
      if !harmonics.isEmpty { out.append(SeriesSeason(period: period, harmonics: harmonics)) }
    }
    return out
  }

  /// Appends cosine and sine of each harmonic; of a wave of exactly two rows only the cosine.
  func append(_ time: Double, to out: inout [Double]) {
    let turn = time / period
    let angle = 2 * Double.pi * (turn - turn.rounded())
    let (c, s) = (cos(angle), sin(angle))
    var (harmonic, wave) = (0, (1.0, 0.0))
    for h in harmonics {
      while harmonic < h {
        wave = (wave.0 * c - wave.1 * s, wave.1 * c + wave.0 * s)
        harmonic += 1
      }
      out.append(wave.0)
      if hasSine(h) { out.append(wave.1) }
    }
  }

  /// Waves of the harmonics that can change.
  var changingWaves: Int { harmonics.prefix(Self.changing).reduce(0) { $0 + (hasSine($1) ? 2 : 1) } }

  func hasSine(_ harmonic: Int) -> Bool { abs(period - 2 * Double(harmonic)) > 1e-6 }
}

/// The columns of trend and seasons at any time.
struct SeriesShape: Sendable {
  /// Knots of a changing season, the fewest cycles between two, and the periods after which they forget each other.
  private static let (knots, cyclesAKnot, memory) = (4, 2.0, 8.0)

  /// A hat for each knot, mixed so that their factors are independent.
  private struct Hats {
    let apart: Double
    let factor: [[Double]]
  }

  let seasons: [SeriesSeason]
  private let first: Double
  let span: Double
  private let hats: [Hats?]

  /// - Parameter changes: whether seasons may change.
  init(seasons: [SeriesSeason], first: Double, last: Double, changes: Bool) {
    (self.seasons, self.first, span) = (seasons, first, last - first)
    hats = seasons.map { changes ? Self.hats($0, span: last - first) : nil }
  }

  /// Knots of a season that changes; nil for one that does not.
  func knots(of season: Int) -> Int? { hats[season]?.factor.count }

  private static func hats(_ season: SeriesSeason, span: Double) -> Hats? {
    let cycles = min(span / season.period / cyclesAKnot, Double(knots))
    let count = min(knots, Int(cycles.rounded(.toNearestOrEven)) + 1)
    guard count >= 2 else { return nil }
    let apart = span / Double(count - 1)
    var alike = [Double]()
    for i in 0..<count {
      for j in 0..<count { alike.append(exp(-apart * Double(abs(i - j)) / (memory * season.period))) }
    }
    _ = alike.withUnsafeMutableBufferPointer {
      $0.baseAddress.map { DoubleKernels.cholesky(count, $0, count) }
    }
    return Hats(
      apart: apart,
      factor: (0..<count).map { i in (0..<count).map { $0 <= i ? alike[i * count + $0] : 0 } })
  }

  /// The columns at a time.
  func columns(at time: Double) -> [Double] {
    var out = [Double]()
    append(time, to: &out)
    return out
  }

  func append(_ time: Double, to out: inout [Double]) {
    // The slope goes on for one range of the rows beyond them.
    out.append(1)
    out.append(min(max((time - first) / span - 0.5, -1.5), 1.5))
    for (season, hats) in zip(seasons, hats) {
      let waves = out.count
      season.append(time, to: &out)
      guard let hats else { continue }
      let knots = hats.factor.count
      let place = min(max((time - first) / hats.apart, 0), Double(knots - 1))
      let below = min(Int(place), knots - 2)
      let part = place - Double(below)
      let (a, b) = (hats.factor[below], hats.factor[below + 1])
      for wave in waves..<waves + season.changingWaves {
        for knot in 0..<knots { out.append(out[wave] * ((1 - part) * a[knot] + part * b[knot])) }
      }
    }
  }
}
