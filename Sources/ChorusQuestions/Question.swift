import ChorusData
import ChorusInference
import ChorusModels
import ChorusTables
import ChorusTensors
import Foundation

/// What is asked: the rows to condition on, and the points to predict at.
package struct Question: Sendable {
  package let observations: Observations
  package let points: Inputs
  /// Whether the points are those of `--at`, `--at-file` or `--horizon` and not the rows without a target.
  package let isGrid: Bool
  /// How the points of `--horizon` follow the rows, in words.
  package let horizonWords: String?
  /// The rows as they were encoded before, where they were.
  package let kept: Posterior?

  package var file: String { observations.file }
  package var selection: Selection { observations.selection }
  package var data: Dataset { observations.data }

  /// - Parameter units: like `accel=g,times=ms`.
  package init(
    _ rows: RowsSource, input: String?, target: String?, points: AskedPoints, units: String? = nil,
    error: String? = nil
  ) throws {
    let observations = try Observations(rows, input: input, target: target, units: units, error: error)
    try self.init(
      observations, given: points.given(for: observations.selection, file: rows.name))
    guard self.points.count > 0 else {
      throw AskedPoints.nothing(rows.name, "'\(observations.selection.target)'")
    }
  }

  /// There are no points where nothing is asked: none are given, and no row lacks a target.
  package init(_ observations: Observations, given: GivenPoints?, saved: Posterior? = nil) throws {
    self.observations = observations
    kept = saved
    let selection = observations.selection
    (points, horizonWords) =
      try given?.points(of: observations)
      ?? (Inputs(selection.missing.inputs, dimensions: selection.dimensions), nil)
    isGrid = given != nil
  }

  /// The rows where there are more than the model reads at once; nil where there are not.
  ///
  /// - Parameter given: rows that are known beside those of the file.
  package func sections(
    _ model: Model, with given: Dataset? = nil, values: ValueScale.Choice, limits: ClosedRange<Double>?,
    whole: Bool, on pool: ThreadPool?
  ) throws -> SectionedPosterior<Posterior>? {
    let data = try given.map { try self.data.appending($0) } ?? self.data
    return SectionedPosterior(model, data) {
      try model.condition(on: $0, values: values, limits: limits, whole: whole, pool: pool)
    }
  }

  package func named(_ column: String) -> (title: String, unit: String) { observations.named(column) }

  /// The inputs of a point as they were read.
  package func inputCells(_ row: Int) -> [Cell] { observations.inputCells(of: points, row) }
}
