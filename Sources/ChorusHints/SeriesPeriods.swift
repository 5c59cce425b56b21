import Foundation

/// The search for at most two periods of a series, in rows: each is kept if the evidence grows by more than its choice costs.
enum SeriesPeriods {
  static let (most, fewestCycles) = (2, 1.5)
  /// Harmonics while periods are compared.
  static let sketch = 12
  /// Nats that a known period is given, and that a whole lag or a top of the periodogram costs beside their number.
  private static let (told, lag, top) = (2.0, 4.0, 7.0)
  /// Whole lags that are looked at: none longer with as many rows as a hint takes, but for wide gaps.
  private static let longestLag = 1024

  private struct Candidate {
    let period: Double
    /// In nats; negative for a known period.
    let price: Double
  }

  private struct Trial {
    let gain: Double
    let candidate: Candidate
    let design: SeriesDesign
    let setting: SeriesSetting

    /// Whether this period says all that another says.
    func holds(_ other: Trial, span: Double) -> Bool {
      let (own, its) = (candidate.period, other.candidate.period)
      return gain > (candidate.price < 0 ? told + 3 : 0.8 * other.gain) && its > 1.5 * own
        && abs(span / own - span / its * (its / own).rounded(.toNearestOrEven)) < 0.5
    }
  }

  /// - Parameter known: periods in rows that are likelier than others.
  /// - Returns: periods in rows, and what their choice costs in nats.
  static func find(
    _ plain: SeriesDesign.Plain, outputs: [Double], known: [Double]
  ) -> (periods: [Double], price: Double) {
    let (times, noise) = (plain.design.times, plain.design.noise)
    let span = times[times.count - 1]
    guard span >= 2 * fewestCycles else { return ([], 0) }
    let levels = Set([plain.best.setting.level, SeriesLevel.starts[1]]).sorted(by: SeriesLevel.precedes)
    var (best, chosen, price, left) = (plain.best.evidence, [Double](), 0.0, plain)
    for _ in 0..<most {
      var trials = [Trial]()
      for candidate in candidates(left, known) {
        let seasons = SeriesSeason.combs(
          (chosen + [candidate.period]).sorted(), rows: times.count, most: sketch)
        guard seasons.count > chosen.count,
          !chosen.contains(where: { isBeside(candidate.period, $0, span: span) })
        else { continue }
        let design = SeriesDesign(times: times, outputs: outputs, noise: noise, seasons: seasons)
        let settings = levels.flatMap { level in
          [0.0, 100].flatMap { slope in
            [1.0, 10, 100, 1e3].map { strength in
              let ridge = SeriesSetting.Ridge(strength: strength, decay: 1, change: 0)
              return SeriesSetting(level: level, slope: slope, seasons: seasons.map { _ in ridge })
            }
          }
        }
        guard let found = design.best(of: settings) else { continue }
        trials.append(
          Trial(
            gain: found.evidence - candidate.price - best, candidate: candidate, design: design,
            setting: found.setting))
      }
      // A multiple of a period says all that the period says; it waits for the second turn.
      let kept = trials.filter { trial in
        trial.gain > 0 && !trials.contains { $0.holds(trial, span: span) }
      }
      guard let first = kept.first else { break }
      let won = kept.dropFirst().reduce(first) { $1.gain > $0.gain ? $1 : $0 }
      best += won.gain
      chosen.append(won.candidate.period)
      price += won.candidate.price
      guard chosen.count < most, let solution = won.design.solve(won.setting) else { break }
      let rest = won.design.rest(
        without: solution.use.filter { $0 > 1 }, factors: solution.factors(count: won.design.count))
      guard let next = SeriesDesign.Plain(times: times, outputs: rest, noise: noise) else { break }
      left = next
    }
    return (chosen.sorted(), price)
  }

  /// Whether a period is a harmonic of another, or a wave that changes that one.
  private static func isBeside(_ period: Double, _ other: Double, span: Double) -> Bool {
    let harmonic = max(1, (other / period).rounded(.toNearestOrEven))
    return abs(1 / period - harmonic / other) < 2 / span && period < 1.5 * other
  }

  /// Periods worth a fit: all that are known, few whole lags, few tops.
  private static func candidates(_ left: SeriesDesign.Plain, _ known: [Double]) -> [Candidate] {
    let times = left.design.times
    let span = times[times.count - 1]
    func fits(_ period: Double) -> Bool { span / period >= fewestCycles && period >= 1.99 }
    var out = known.filter { fits($0) && $0 >= 2.5 }.map { Candidate(period: $0, price: -told) }
    guard let spectrum = SeriesSpectrum(left) else { return out }
    let choices = log(max(1, Double(spectrum.excess.count) / SeriesSpectrum.fineness))
    let likely = out.map(\.period)

    func add(_ periods: [Double], _ scores: [Double], most: Int, price: Double, apart: [Double]) {
      var (most, near) = (most, apart)
      let order = scores.indices.sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
      for place in order where scores[place] > 0 && most > 0 {
        let period = periods[place]
        guard !out.contains(where: { $0.period == period && $0.price == price + choices }),
          near.allSatisfy({ abs(1 / period - 1 / $0) > 0.5 / span })
        else { continue }
        near.append(period)
        out.append(Candidate(period: period, price: price + choices))
        most -= 1
      }
    }

    let onGrid = times.count { abs($0 - $0.rounded(.toNearestOrEven)) < 0.02 }
    let longest = Int(min(span / fewestCycles, Double(longestLag)))
    if Double(onGrid) > 0.95 * Double(times.count), longest >= 2 {
      let lags = (2...longest).map(Double.init)
      add(lags, lags.map { spectrum.comb($0, near: false) }, most: 3, price: lag, apart: likely)
      add(lags, spectrum.repeats(upTo: longest), most: 2, price: lag, apart: likely)
    }
    let tops = spectrum.tops.filter(fits)
    add(tops, tops.map { spectrum.comb($0, near: true) }, most: 2, price: top, apart: [])
    return out
  }
}
