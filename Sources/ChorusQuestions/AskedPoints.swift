import ChorusInference
import ChorusTables

/// Where to predict, if not at the rows without a target.
package struct AskedPoints: Sendable {
  /// A grid, as `0..60/5`.
  package var at: String?
  /// Rows with the points, in columns named as the inputs.
  package var rows: RowsSource?
  /// Steps after the last row that has a value.
  package var horizon: Int?
  /// The step of the horizon in place of the one found.
  package var every: String?

  package init(at: String? = nil, rows: RowsSource? = nil, horizon: Int? = nil, every: String? = nil)
    throws(QuestionError)
  {
    guard [at != nil, rows != nil, horizon != nil].count(where: { $0 }) <= 1 else {
      throw QuestionError("give one of --at, --at-file and --horizon")
    }
    if let horizon, !(1...100_000).contains(horizon) {
      throw QuestionError("--horizon must be within 1...100000")
    }
    if let every {
      guard horizon != nil else { throw QuestionError("--every goes with --horizon") }
      switch Step(every) {
      case .length(let length)? where length > 0: break
      case .months(let months)? where months > 0: break
      case .businessDays?: break
      default:
        throw QuestionError(
          "--every: '\(every)' is no step forward; give one like 1M, 1q, 1D, 30min or 0.5")
      }
    }
    (self.at, self.rows, self.horizon, self.every) = (at, rows, horizon, every)
  }

  /// The points; nil where none are given.
  ///
  /// - Parameters:
  ///   - file: what errors call the rows that are known.
  ///   - saved: of a context that was encoded before.
  package func given(
    for selection: Selection, groups: Groups? = nil, file: String, saved: ContextCard? = nil
  ) throws -> GivenPoints? {
    if let at { return try GivenPoints(grid: at, for: selection) }
    if let horizon {
      if let saved, saved.end == nil, selection.dimensions == 1 {
        throw InferenceError.input(
          "\(file): the context does not keep where its rows end; give --at, or make it anew with chorus condition"
        )
      }
      return try GivenPoints(horizon: horizon, every: every, for: selection, end: saved?.end)
    }
    return try rows.map { try GivenPoints($0, for: selection, groups: groups) }
  }

  /// - Parameter targets: their names, as an error has them.
  package static func nothing(_ file: String, _ targets: String) -> InferenceError {
    .input(
      "\(file): no row lacks a value of \(targets), so there is nothing to predict; pass --horizon STEPS, --at FIRST..LAST/STEP or --at-file FILE"
    )
  }
}
