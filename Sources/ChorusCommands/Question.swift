import ArgumentParser
import ChorusData
import ChorusInference
import ChorusModels
import ChorusTables
import ChorusTensors
import Foundation

/// What a command asks: the rows to condition on, and the points to predict at.
struct Question {
  let observations: Observations
  let points: Inputs
  /// Whether the points are those of `--at`, `--at-file` or `--horizon` and not the rows without a target.
  let isGrid: Bool
  /// How the points of `--horizon` follow the rows, in words.
  let horizonWords: String?
  /// The context where it was encoded before.
  private let saved: Posterior?

  var file: String { observations.file }
  var selection: Selection { observations.selection }
  var data: Dataset { observations.data }

  /// - Parameter units: like `accel=g,times=ms`.
  init(
    file: String, input: String?, target: String?, points: PointOptions, units: String? = nil,
    reading: ReadingOptions
  ) throws {
    let observations = try Observations(
      file: file, input: input, target: target, units: units, reading: reading)
    try self.init(
      observations, given: points.given(for: observations.selection, reading: reading, file: file))
    guard self.points.count > 0 else {
      throw PointOptions.nothing(file, "'\(observations.selection.target)'")
    }
  }

  /// There are no points where nothing is asked: none are given, and no row lacks a target.
  init(_ observations: Observations, given: GivenPoints?, saved: Posterior? = nil) throws {
    self.observations = observations
    self.saved = saved
    let selection = observations.selection
    (points, horizonWords) =
      try given?.points(of: observations)
      ?? (Inputs(selection.missing.inputs, dimensions: selection.dimensions), nil)
    isGrid = given != nil
  }

  /// The rows read by the model: now, or when they were saved.
  func posterior(
    _ model: Model, values: ValueScale.Choice, limits: ClosedRange<Double>?, on pool: ThreadPool?
  ) throws -> Posterior {
    try saved ?? model.condition(on: data, values: values, limits: limits, asked: points, pool: pool)
  }

  func named(_ column: String) -> (title: String, unit: String) { observations.named(column) }

  /// The inputs of a point as they were read.
  func inputCells(_ row: Int) -> [Cell] { observations.inputCells(of: points, row) }
}
