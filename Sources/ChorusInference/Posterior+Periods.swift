import ChorusData
import ChorusHints

extension Posterior {
  /// A period that the network was shown along with the rows, in the data's units.
  public struct Period: Sendable, Hashable {
    /// The input column, counted from 0.
    public let column: Int
    /// The input from one wave to the next.
    public let length: Double
    /// The part of the variance beside the trend (of a series, beside its level) and stronger waves that it explains, 0...1.
    public let share: Double
    /// How far it stands out of noise (`Periods.Wave.evidence`), or of a series the cycles seen.
    public let evidence: Double

    /// How well a fit with this wave foretells parts of the range that it has not seen, 0...1; 0 for a wave that does not
    /// help. See `Periods.skill`.
    public let skill: Double
    /// Whether it can be taken for a season: seen three times at least, out of reach of noise (no frequency of noise has this
    /// evidence), and more than half of the variance can be foretold with it.
    public let isClear: Bool
    /// Whether its waves differ in length, as those of a season do not.
    public var varies = false
  }

  /// The periods of the context, the strongest of each input first; none for a model that is not shown any
  /// (`SeriesLevelAndSeason`, `TrendAndWaves`).
  public var periods: [Period] {
    if let fit = conditioned.fits.first(SeriesLevelAndSeason.Fit.self), let seasons = fit.seasons {
      let scale = scaling.inputScales.first ?? 1
      if let cycle = fit.cycle {
        return [
          Period(
            column: 0, length: scale * cycle.period, share: cycle.share, evidence: cycle.cycles,
            skill: cycle.skill, isClear: cycle.skill > 0.5 && cycle.cycles >= 3, varies: true)
        ]
      }
      return seasons.map { season in
        Period(
          column: 0, length: scale * season.period, share: season.share, evidence: season.cycles,
          skill: season.skill, isClear: season.skill > 0.5 && season.share > 0.3 && season.cycles >= 2)
      }
    }
    guard let seen = conditioned.fits.first(TrendAndWaves.Fit.self)?.periods else { return [] }
    return seen.lines.enumerated().flatMap { column, line in
      let scale = scaling.inputScales.isEmpty ? 1 : scaling.inputScales[column]
      guard let line else { return [Period]() }
      return line.waves.enumerated().map { index, wave in
        let skill = index < line.kept ? seen.skill : 0
        // A saved context may hold any numbers.
        let sound = (0...1).contains(wave.share) && wave.frequency > 0
        return Period(
          column: column, length: scale / wave.frequency, share: wave.share, evidence: wave.evidence,
          skill: skill,
          isClear: sound && skill > 0.5 && wave.evidence > 25 && wave.frequency * line.range >= 3)
      }
    }
  }
}
