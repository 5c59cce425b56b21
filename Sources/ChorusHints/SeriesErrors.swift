import Foundation

/// Known errors of measurement of a series' rows, and how its noise is told from them.
///
/// A row's variance beside level, trend and seasons is σ² + e², with σ² that of the noise that all rows share and e the row's known
/// error. A model is chosen in units of σ² (docs/series-hint.md), so it is chosen for each of some σ², and then for their mean,
/// each as likely as it makes the outputs with σ² held to it. Where errors hide how large σ² is, the mean is on the safe side of the
/// likeliest.
struct SeriesErrors: Sendable {
  /// In the unit of the outputs.
  private let errors: [Double]
  private let known: KnownErrors
  private let outputs: [Double]

  /// σ² that are tried, as steps of 4 down from the outputs' variance: levels that revert can be no more than 300 times it.
  private static let steps = 6
  /// The least σ² beside what errors vary by: less is told by no row.
  private static let least = 0.01

  init(_ errors: [Double], outputs: [Double]) {
    (self.errors, self.outputs, known) = (errors, outputs, KnownErrors(errors))
  }

  /// The best of the choices that `search` makes for the noise of each row, that of rows without an error being 1.
  func choose(
    _ rows: SeriesModel.Rows, _ search: ([Double]) -> SeriesModel.Choice?
  ) -> SeriesModel.Choice? {
    let (typical, moments) = (known.typical, known.moments(of: outputs))
    // A variance is known to √(2/n) of itself.
    let told = (2 / Double(errors.count)).squareRoot() * (typical + moments.variance)
    func look(_ noise: Double) -> (noise: Double, worth: Double, choice: SeriesModel.Choice)? {
      guard var choice = search(errors.map { 1 + $0 * $0 / noise }),
        let worth = worth(choice, rows, noise: noise)
      else { return nil }
      choice.errors = errors
      return (noise, worth, choice)
    }
    var (found, noise) = ([look(max(moments.variance, told))], max(moments.variance, told) / 4)
    while found.count < Self.steps, noise > Self.least * typical {
      found.append(look(noise))
      noise /= 4
    }
    let all = found.compactMap { $0 }
    guard let top = all.map(\.worth).max(), let best = all.first(where: { $0.worth == top }) else {
      return nil
    }
    let weights = all.map { exp($0.worth - top) }
    let mean = zip(all, weights).reduce(0) { $0 + $1.0.noise * $1.1 } / weights.reduce(0, +)
    return abs(mean - best.noise) < 0.1 * best.noise ? best.choice : look(mean)?.choice ?? best.choice
  }

  /// The log density of the outputs, but for a constant, with the noise's variance given.
  private func worth(
    _ choice: SeriesModel.Choice, _ rows: SeriesModel.Rows, noise: Double
  ) -> Double? {
    let design = SeriesDesign(
      times: rows.times, outputs: rows.outputs, noise: choice.noise,
      seasons: SeriesSeason.combs(choice.periods, rows: rows.times.count), changes: true)
    return design.solve(choice.setting).map { solution in
      let count = Double(rows.times.count)
      let rest = solution.variance * max(count - 2, 1)
      return solution.evidence - choice.setting.level.price
        + 0.5 * (count * log(rest / noise) - rest / noise)
    }
  }
}
