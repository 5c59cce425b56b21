import Foundation

/// The search for waves along one input.
struct WaveSearch {
  private typealias Block = SIMD8<Double>

  /// Frequencies go up by a fifth of a cycle over the range: a peak is about one cycle wide.
  private static let fineness = 5.0
  private static let limit = 2048
  /// Harmonics of a wave, the first being the wave itself: a second one would fit noise where rows are few.
  static func harmonics(rows: Int) -> Int { rows < 32 ? 1 : 2 }

  let x: [Double]
  /// What the waves found so far have left, and its sum of squares at the outset.
  private var rest: [Double]
  private let total: Double
  /// The columns of what is taken out, without any wave.
  let shape: Periods.Shape
  private let first: Double
  private let step: Double
  private let count: Int
  /// The waves, in the order found, and the sum of squares that each explained.
  private(set) var waves: [Periods.Wave] = []
  private(set) var explained: [Double] = []

  /// How many frequencies a search chooses from, counted as many as are independent.
  var choices: Double { Double(count) / Self.fineness }

  /// Finds up to `count` waves; nil where the rows have no extent, or are too few for a frequency between the bounds.
  init?(_ x: [Double], _ y: [Double], count: Int) {
    self.init(x, y)
    while waves.count < count, next() {}
  }

  private init?(_ x: [Double], _ y: [Double]) {
    guard let low = x.min(), let high = x.max(), high > low else { return nil }
    let range = high - low
    first = 1.5 / range
    step = 1 / (Self.fineness * range)
    let last = min(Periods.highest, Double(x.count) / (2 * range))
    guard step.isFinite, last >= first + 2 * step else { return nil }
    self.count = min(Self.limit, Int((last - first) / step) + 1)
    self.x = x
    rest = y
    total = Self.squares(y)
    shape = Periods.Shape(
      low: low, range: range, degree: min(3, (x.count - 2) / 4),
      harmonics: Self.harmonics(rows: x.count), frequencies: [])
    remove(x.map(shape.powers))
  }

  /// Takes the strongest wave out of what is left; false when nothing is left.
  private mutating func next() -> Bool {
    let left = Self.squares(rest)
    guard left > 1e-9 * total, left.isFinite else { return false }
    let power = explained(from: first, by: step, count: count)
    guard let best = power.indices.max(by: { power[$0] < power[$1] }), power[best] > 0 else { return false }
    let frequency = refined(first + step * Double(best))
    explained.append(min(explained(from: frequency, count: 1)[0], left))
    let share = explained[explained.count - 1] / left
    let wave = Periods.Shape(
      low: shape.low, range: shape.range, degree: 0, harmonics: shape.harmonics, frequencies: [frequency])
    remove(x.map(wave.turns))
    waves.append(
      Periods.Wave(
        frequency: frequency, share: share,
        evidence: share / max(1 - share, 1e-6) * Double(x.count - 3) / 2))
    return true
  }

  /// The top of the parabola through three frequencies around one, at ever smaller distances.
  private func refined(_ frequency: Double) -> Double {
    var best = frequency
    for scale in [1, 0.25, 0.0625] {
      let apart = scale * step
      let power = explained(from: best - apart, by: apart, count: 3)
      let bend = power[0] - 2 * power[1] + power[2]
      guard bend < 0 else { break }
      best += apart * max(-1, min(1, 0.5 * (power[0] - power[2]) / bend))
    }
    return best
  }

  /// The sum of squares that a sine and a cosine of each of `count` frequencies explain. Angles grow by the same amount
  /// from one frequency to the next, so each row turns a pair of numbers instead of asking for sines.
  private func explained(from first: Double, by step: Double = 0, count: Int) -> [Double] {
    let blocks = (x.count + 7) / 8
    func blocked(_ value: (Int) -> Double) -> [Block] {
      (0..<blocks).map { block in
        var out = Block()
        for lane in 0..<min(8, x.count - 8 * block) { out[lane] = value(8 * block + lane) }
        return out
      }
    }
    var cosines = blocked { cos(2 * .pi * first * x[$0]) }
    var sines = blocked { sin(2 * .pi * first * x[$0]) }
    let turnCosines = blocked { cos(2 * .pi * step * x[$0]) }
    let turnSines = blocked { sin(2 * .pi * step * x[$0]) }
    let y = blocked { rest[$0] }
    let rows = Double(x.count)
    return (0..<count).map { _ in
      var (cc, cs, yc, ys) = (Block(), Block(), Block(), Block())
      for b in 0..<blocks {
        let (c, s) = (cosines[b], sines[b])
        cc += c * c
        cs += c * s
        yc += y[b] * c
        ys += y[b] * s
        cosines[b] = c * turnCosines[b] - s * turnSines[b]
        sines[b] = s * turnCosines[b] + c * turnSines[b]
      }
      let (a, d, e, f) = (cc.sum(), cs.sum(), yc.sum(), ys.sum())
      let g = rows - a
      let determinant = a * g - d * d
      guard determinant > 1e-6 * rows * rows else { return 0 }
      return max(0, (g * e * e - 2 * d * e * f + a * f * f) / determinant)
    }
  }

  /// Takes the span of the columns of these rows out of `rest` (modified Gram-Schmidt).
  private mutating func remove(_ rows: [[Double]]) {
    var basis: [[Double]] = []
    for column in rows[0].indices {
      let whole = rows.map { $0[column] }
      var left = whole
      for unit in basis {
        let along = Self.product(left, unit)
        for row in left.indices { left[row] -= along * unit[row] }
      }
      let length = Self.squares(left).squareRoot()
      // A column that the others span (a wave of half a cycle a row) is left out.
      guard length > 1e-6 * Self.squares(whole).squareRoot() else { continue }
      for row in left.indices { left[row] /= length }
      let along = Self.product(rest, left)
      for row in rest.indices { rest[row] -= along * left[row] }
      basis.append(left)
    }
  }

  private static func squares(_ a: [Double]) -> Double { product(a, a) }

  private static func product(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for (a, b) in zip(a, b) { sum += a * b }
    return sum
  }
}
