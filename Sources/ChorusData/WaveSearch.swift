import Foundation

/// The search for waves along one input.
struct WaveSearch {
  private typealias Block = SIMD8<Double>

  /// Frequencies go up by a fifth of a cycle over the range: a peak is about one cycle wide.
  private static let fineness = 5.0
  private static let limit = 2048
  /// Rows below which a harmonic would fit noise.
  private static let fewForHarmonics = 24

  private let x: [Double]
  /// What the waves found so far have left, and its sum of squares at the outset.
  private var rest: [Double]
  private let total: Double
  /// The columns of what is taken out, without any wave.
  let shape: Periods.Shape
  private let first: Double
  private let step: Double
  private let count: Int

  /// nil where the rows have no extent, or are too few for a frequency between the bounds.
  init?(_ x: [Double], _ y: [Double]) {
    guard let low = x.min(), let high = x.max(), high > low else { return nil }
    let range = high - low
    first = 1.5 / range
    step = 1 / (Self.fineness * range)
    let last = min(Periods.highest, Double(x.count) / (2 * range))
    guard step.isFinite, last >= first + 2 * step else { return nil }
    count = min(Self.limit, Int((last - first) / step) + 1)
    self.x = x
    rest = y
    total = Self.squares(y)
    shape = Periods.Shape(
      low: low, range: range, degree: min(3, (x.count - 2) / 4),
      harmonics: x.count < Self.fewForHarmonics ? 1 : 2, frequencies: [])
    remove(x.map(shape.powers))
  }

  /// The strongest wave in what is left, which is then without it; nil when nothing is left.
  mutating func next() -> Periods.Wave? {
    let left = Self.squares(rest)
    guard left > 1e-9 * total, left.isFinite else { return nil }
    let power = explained()
    guard let best = power.indices.max(by: { power[$0] < power[$1] }), power[best] > 0 else { return nil }
    let frequency = refined(first + step * Double(best))
    let share = min(explained(from: frequency, count: 1)[0] / left, 1)
    let wave = Periods.Shape(
      low: shape.low, range: shape.range, degree: 0, harmonics: shape.harmonics, frequencies: [frequency])
    remove(x.map(wave.turns))
    return Periods.Wave(
      frequency: frequency, share: share,
      evidence: share / max(1 - share, 1e-6) * Double(x.count - 3) / 2)
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

  private func explained() -> [Double] { explained(from: first, by: step, count: count) }

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

/// Trend and waves fitted together, and judged by parts of the range that the fit has not seen.
struct JointFit {
  let line: Periods.Line

  /// Parts of the range, each foretold from the others.
  private static let parts = 8
  /// Added to the squares of every factor: enough to keep a fit of few rows in bounds.
  private static let ridge = 1e-3

  init(_ x: [Double], _ y: [Double], _ shape: Periods.Shape, _ waves: [Periods.Wave]) {
    func with(_ count: Int) -> Periods.Shape {
      Periods.Shape(
        low: shape.low, range: shape.range, degree: shape.degree, harmonics: shape.harmonics,
        frequencies: waves.prefix(count).map(\.frequency))
    }
    let full = with(waves.count)
    let rows = zip(x, y).map { x, y in full.powers(of: x) + full.turns(at: x) + [y] }
    let order = x.indices.sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] < x[$1] }
    let sums = (0..<Self.parts).map { part in
      let members = order[part * x.count / Self.parts..<(part + 1) * x.count / Self.parts]
      return (members, Products(members.map { rows[$0] }, columns: rows[0].count))
    }
    let all = sums.dropFirst().reduce(sums[0].1) { $0.plus($1.1, 1) }
    let mean = y.reduce(0, +) / Double(y.count)
    let spread = y.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    var best = (skill: 0.0, waves: 0, factors: [Double]())
    for count in 0...waves.count {
      let columns = shape.degree + 1 + 2 * shape.harmonics * count
      var missed = 0.0
      for (members, own) in sums {
        let factors = all.plus(own, -1).solved(columns, ridge: Self.ridge)
        for row in members {
          let foretold = zip(rows[row], factors).reduce(0) { $0 + $1.0 * $1.1 }
          missed += (y[row] - foretold) * (y[row] - foretold)
        }
      }
      let skill = 1 - missed / spread
      if skill > best.skill { best = (skill, count, all.solved(columns, ridge: Self.ridge)) }
    }
    line = Periods.Line(
      waves: waves, skill: best.skill, shape: with(best.waves), factors: best.factors)
  }

  /// Sums of products of columns, the last of which is y.
  private struct Products {
    let columns: Int
    var values: [Double]

    init(_ rows: [[Double]], columns: Int) {
      self.columns = columns
      values = [Double](repeating: 0, count: columns * columns)
      for row in rows {
        for i in 0..<columns {
          for j in 0...i { values[i * columns + j] += row[i] * row[j] }
        }
      }
    }

    func plus(_ other: Products, _ sign: Double) -> Products {
      var out = self
      for index in values.indices { out.values[index] += sign * other.values[index] }
      return out
    }

    /// The factors of the first `count` columns that fit y best, by a Cholesky factor.
    func solved(_ count: Int, ridge: Double) -> [Double] {
      var l = [Double](repeating: 0, count: count * count)
      var z = [Double](repeating: 0, count: count)
      for i in 0..<count {
        for j in 0...i {
          var sum = values[i * columns + j] + (i == j ? ridge : 0)
          for k in 0..<j { sum -= l[i * count + k] * l[j * count + k] }
          l[i * count + j] = i == j ? max(sum, ridge).squareRoot() : sum / l[j * count + j]
        }
        z[i] = values[(columns - 1) * columns + i]
        for k in 0..<i { z[i] -= l[i * count + k] * z[k] }
        z[i] /= l[i * count + i]
      }
      for i in (0..<count).reversed() {
        for k in i + 1..<count { z[i] -= l[k * count + i] * z[k] }
        z[i] /= l[i * count + i]
      }
      return z
    }
  }
}
