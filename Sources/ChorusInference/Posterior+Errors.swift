import ChorusData
import ChorusHints

/// Known errors of measurement of the rows that a posterior has read.
struct MeasuredRows: Sendable, Codable {
  /// Of each row, in the network's units.
  let errors: [Double]
  /// Rows that were left out, since their errors hide what was measured.
  let hidden: Int
}

extension Posterior {
  /// Rows whose errors have this many times the variance that values have without them tell nothing that would be seen.
  private static let hiding = 1_000.0

  /// Rows that are needed where errors are known.
  package static var fewestMeasured: Int { SeriesLevelAndSeason.fewestRows }

  /// The rows that tell something: all where no errors are known, and as many as are needed in any case.
  static func telling(_ data: Dataset) -> Dataset {
    guard !data.errors.isEmpty else { return data }
    let most = hiding * Preparation.varianceBesideErrors(data)
    let order = data.errors.indices.sorted { (data.errors[$0], $0) < (data.errors[$1], $1) }
    let kept = order.count { data.errors[$0] * data.errors[$0] <= most }
    let count = max(kept, min(fewestMeasured, data.count))
    return count < data.count ? data.rows(order.prefix(count).sorted()) : data
  }

  /// Refuses known errors where what was found in the rows does not take them into account.
  static func refuseErrors(_ data: Dataset, _ preparation: Preparation) throws(InferenceError) {
    guard !data.errors.isEmpty else { return }
    guard data.dimensions == 1, let fit = preparation.fits.first(SeriesLevelAndSeason.Fit.self) else {
      throw .input(
        "known errors of rows are taken into account along one input column by model 'functions'; leave them out, and noise is judged by how the rows scatter"
      )
    }
    guard fit.isSaid else {
      throw .input(
        "\(data.count) rows tell too little beside their errors: at least \(fewestMeasured) different ones are needed, of which some have errors that do not hide them"
      )
    }
  }

  func refuseChanging(_ data: Dataset? = nil) throws(InferenceError) {
    guard measured == nil, data?.errors.isEmpty ?? true else {
      throw .input("rows with known errors are read together with all others; condition on all rows anew")
    }
  }
}
