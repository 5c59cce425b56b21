import ChorusData

extension Posterior {
  /// A period that the network was shown along with the rows, in the data's units.
  public struct Period: Sendable, Hashable {
    /// The input column, counted from 0.
    public let column: Int
    /// The input from one wave to the next.
    public let length: Double
    /// The part of the variance beside the trend and stronger waves that it explains, 0...1.
    public let share: Double
    /// How far it stands out of noise: see `Periods.Wave.evidence`.
    public let evidence: Double

    /// What noise hardly ever has at any of the frequencies looked at.
    public static let clear = 25.0
  }

  /// The periods of the context, the strongest of each input first; none for a model that is not shown any
  /// (`Blueprint.periods`).
  public var periods: [Period] {
    conditioned.state.periods.lines.enumerated().flatMap { column, line in
      let scale = scaling.inputScales.isEmpty ? 1 : scaling.inputScales[column]
      return (line?.waves ?? []).map {
        Period(column: column, length: scale / $0.frequency, share: $0.share, evidence: $0.evidence)
      }
    }
  }
}
