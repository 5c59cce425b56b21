import Foundation

/// Steps through settings of a design, each kept where its evidence is higher by more than rounding.
extension SeriesDesign {
  typealias Found = (evidence: Double, setting: SeriesSetting)

  func found(_ setting: SeriesSetting) -> Found { (evidence(setting), setting) }

  /// The first of the best settings.
  func best(of settings: [SeriesSetting]) -> Found? { Self.first(settings.map { found($0) }) }

  static func first(_ found: [Found]) -> Found? {
    found.dropFirst().reduce(found.first) { best, next in
      guard let best, next.evidence <= best.evidence else { return next }
      return best
    }
  }

  private func better(_ best: Found, _ settings: [SeriesSetting]) -> Found {
    var best = best
    for setting in settings {
      let next = found(setting)
      if next.evidence > best.evidence + 1e-9 { best = next }
    }
    return best
  }

  /// Strength, decay and change of each season, one at a time.
  func tuneSeasons(_ start: Found, changing: Bool = false) -> Found {
    typealias Ridge = SeriesSetting.Ridge
    var best = start
    for season in seasons.indices {
      func with(_ part: WritableKeyPath<Ridge, Double>, _ values: [Double]) {
        let settings = values.map { value in
          var setting = best.setting
          setting.seasons[season][keyPath: part] = value
          return setting
        }
        best = better(best, settings)
      }
      with(\.strength, Ridge.strengths)
      with(\.decay, Ridge.decays)
      if changing { with(\.change, Ridge.changes) }
      with(\.strength, Ridge.strengths)
    }
    return best
  }

  func tuneSlope(_ best: Found) -> Found {
    better(
      best,
      SeriesSetting.slopes.map {
        var setting = best.setting
        setting.slope = $0
        return setting
      })
  }

  /// Steps of 4 in the level's ratio, of 2 in its length, and of a few percent in its period while they gain.
  func climb(_ start: Found, rounds: Int) -> Found {
    var best = start
    for _ in 0..<rounds {
      let level = best.setting.level
      guard level.kind != .none else { break }
      let (ratio, length) = (level.ratio, level.length)
      let period = level.period
      var near = [0.25, 4].map { SeriesLevel(level.kind, ratio * $0, length, period: period) }
      if level.kind != .walk {
        near += [0.5, 2].map { SeriesLevel(level.kind, ratio, length * $0, period: period) }
      }
      if level.kind == .cycle {
        near += [1 / 1.16, 1 / 1.04, 1.04, 1.16].map {
          SeriesLevel(level.kind, ratio, length, period: period * $0)
        }
      }
      let next = better(
        best,
        near.filter(\.isPossible).map {
          var setting = best.setting
          setting.level = $0
          return setting
        })
      guard next.evidence > best.evidence else { break }
      best = next
    }
    return best
  }

  /// The best of each kind of level, each with a slope of its own.
  func kinds(_ setting: SeriesSetting, rounds: Int, from starts: [SeriesLevel]) -> [Found] {
    var kinds = [SeriesLevel.Kind: Found]()
    for level in starts {
      var trial = setting
      trial.level = level
      let next = found(trial)
      if let known = kinds[level.kind], next.evidence <= known.evidence { continue }
      kinds[level.kind] = next
    }
    return SeriesLevel.Kind.allCases.compactMap { kinds[$0].map { tuneSlope(climb($0, rounds: rounds)) } }
  }

  /// A series without seasons, and the best of the plain levels for it.
  struct Plain {
    let design: SeriesDesign
    let best: Found

    /// nil where no level has a solution.
    init?(times: [Double], outputs: [Double], noise: [Double]) {
      design = SeriesDesign(times: times, outputs: outputs, noise: noise)
      let settings = SeriesLevel.starts.prefix(5).flatMap { level in
        [0.0, 100].map { SeriesSetting(level: level, slope: $0, seasons: []) }
      }
      guard let best = design.best(of: settings), best.evidence.isFinite else { return nil }
      self.best = best
    }

    /// The best of the levels that swing; nil for rows too few to show a swing.
    func cycle() -> Found? {
      let settings = SeriesLevel.cycles(span: design.shape.span).map {
        SeriesSetting(level: $0, slope: 0, seasons: [])
      }
      return design.best(of: settings).map { design.tuneSlope(design.climb($0, rounds: 12)) }
    }
  }

  /// The noise of each row, that of `base` but for those further than `limit` deviations from what the others say, if they are at most
  /// `most`; nil where there are none or too many.
  func far(_ setting: SeriesSetting, beside base: [Double], limit: Double, most: Double) -> [Double]? {
    guard let leftOut = leftOut(setting) else { return nil }
    let unit = base.contains { $0 > 1 } ? solve(setting)?.variance ?? 0 : 0
    let odd = leftOut.enumerated().map { row, law in
      // Of the row itself, which has an error beside the noise.
      let deviation =
        base[row] > 1
        ? (law.deviation * law.deviation + unit * (base[row] - 1)).squareRoot() : law.deviation
      return abs(columns[row * width + count] + centre - law.mean) / deviation
    }
    let far = odd.count { $0 > limit }
    guard far > 0, Double(far) <= most else { return nil }
    return zip(odd, base).map { $0 > limit ? $0 * $0 * $1 : $1 }
  }
}
