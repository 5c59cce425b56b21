import Foundation

/// A least-squares periodogram of what plain levels leave of a series, beside what is usual around each frequency.
struct SeriesSpectrum {
  /// Frequencies looked at, and steps between them in a cycle of the whole.
  static let (most, fineness) = (4096, 4.0)

  private let times: [Double]
  /// What the rows add to those before them.
  private let innovations: [Double]
  let step: Double
  /// The power at step, 2 step, …: about 1 where all is noise.
  let excess: [Double]

  init?(_ plain: SeriesDesign.Plain) {
    let (design, times, setting) = (plain.design, plain.design.times, plain.best.setting)
    guard let solution = design.solve(setting) else { return nil }
    let rest = design.rest(without: solution.use, factors: solution.factors(count: design.count))
    self.times = times
    innovations = SeriesFilter(setting.level, times: times, noise: design.noise).whitened(rest)
    let span = times[times.count - 1]
    step = 1 / (Self.fineness * span)
    // A little beyond half a cycle a row, so that the shortest season has its own top.
    let count = Int(min(Double(Self.most), (0.5 / step).rounded(.down) + 2))
    // Hann's window: else the skirts of a strong line are taken for the lines of a long comb.
    let windowed = zip(innovations, times).map { e, t in
      let wave = sin(.pi * (t + 0.5) / (span + 1))
      return e * wave * wave
    }
    let power = Self.powers(times, windowed, step: step, count: count)
    // The usual: a mean of logarithms over half an octave or 16 frequencies on each side.
    let floor = 1e-12 * (power.max() ?? 0) + 1e-300
    var sums = [0.0]
    for value in power { sums.append(sums[sums.count - 1] + log(value + floor)) }
    excess = power.indices.map { k in
      let reach = max(16, (k + 1) / 2)
      let (low, high) = (max(0, k - reach), min(count, k + reach + 1))
      return power[k] / exp((sums[high] - sums[low]) / Double(high - low) + 0.5772)
    }
  }

  /// Half the sum of squares that a wave of each frequency explains (Lomb 1976; Scargle 1982).
  private static func powers(_ times: [Double], _ e: [Double], step: Double, count: Int) -> [Double] {
    typealias Vector = SIMD8<Double>
    let (rows, lanes) = (Double(times.count), Vector.scalarCount)
    let blocks = (times.count + lanes - 1) / lanes
    // The wave of each row turns on from frequency to frequency; rows that fill a vector up have a wave of 0.
    var (c, s) = ([Vector](repeating: .zero, count: blocks), [Vector](repeating: .zero, count: blocks))
    var (turnC, turnS, y) = (c, s, c)
    for (row, time) in times.enumerated() {
      let (block, lane, angle) = (row / lanes, row % lanes, 2 * Double.pi * step * time)
      c[block][lane] = 1
      turnC[block][lane] = cos(angle)
      turnS[block][lane] = sin(angle)
      y[block][lane] = e[row]
    }
    return (0..<count).map { _ in
      var (cc, cs, yc, ys) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
      for block in 0..<blocks {
        let (oldC, oldS) = (c[block], s[block])
        let newC = oldC * turnC[block] - oldS * turnS[block]
        let newS = oldS * turnC[block] + oldC * turnS[block]
        c[block] = newC
        s[block] = newS
        cc += newC * newC
        cs += newC * newS
        yc += y[block] * newC
        ys += y[block] * newS
      }
      let (cosines, both, a, b) = (cc.sum(), cs.sum(), yc.sum(), ys.sum())
      let sines = rows - cosines
      let determinant = cosines * sines - both * both
      guard determinant > 1e-6 * rows * rows else { return 0 }
      return (sines * a * a - 2 * both * a * b + cosines * b * b) / determinant / 2
    }
  }

  /// What a comb of waves gains over noise, harmonic by harmonic, at its best length. A comb `near` a top has few
  /// harmonics, each the larger of two neighbours, for its period is not exact.
  func comb(_ period: Double, near: Bool) -> Double {
    let harmonics = max(1, Int(period / 2 + 1e-6))
    var (sum, best) = (0.0, -Double.infinity)
    for h in 1...(near ? min(harmonics, 5) : harmonics) {
      let place = min(Double(h) / (period * step) - 1, Double(excess.count))
      let below = min(max(Int(place), 0), excess.count - 2)
      let part = min(max(place - Double(below), 0), 1)
      let (a, b) = (excess[below], excess[below + 1])
      sum += 10.0 / 11 * (near ? max(a, b) : (1 - part) * a + part * b) - Self.price
      best = max(best, sum)
    }
    return best
  }
  private static let price = log(11.0)

  /// What is gained where the innovations of a lag before are repeated: few cycles show it before a periodogram does.
  func repeats(upTo most: Int) -> [Double] {
    // Of rows at one place the last.
    var (places, values) = ([Int](), [Double]())
    for (time, value) in zip(times, innovations) {
      let place = Int(time.rounded(.toNearestOrEven))
      if places.last == place {
        values[values.count - 1] = value
      } else {
        places.append(place)
        values.append(value)
      }
    }
    let mean = innovations.reduce(0, +) / Double(innovations.count)
    let variance = innovations.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(innovations.count)
    return (2...max(2, most)).map { lag in
      var (before, pairs, squares) = (0, 0, 0.0)
      for (place, value) in zip(places, values) {
        while places[before] < place - lag { before += 1 }
        guard places[before] == place - lag else { continue }
        pairs += 1
        squares += (value - values[before]) * (value - values[before])
      }
      guard pairs > 2 else { return 0 }
      return -0.5 * Double(pairs) * log(max(squares / Double(pairs) / (2 * variance + 1e-300), 1e-6))
    }
  }

  /// Periods of tops of the periodogram, by the parabola through three frequencies.
  var tops: [Double] {
    (1..<max(1, excess.count - 1)).compactMap { k in
      let (a, b, c) = (excess[k - 1], excess[k], excess[k + 1])
      guard b >= a, b > c, b > 6 else { return nil }
      return 1 / (step * (Double(k + 1) + 0.5 * (a - c) / (a - 2 * b + c)))
    }
  }
}
