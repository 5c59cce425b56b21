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
  /// Whether the points are those of `--at` and not the rows without a target.
  let isGrid: Bool
  /// The context where it was encoded before.
  private let saved: Posterior?

  var file: String { observations.file }
  var selection: Selection { observations.selection }
  var data: Dataset { observations.data }

  /// - Parameter units: like `accel=g,times=ms`.
  init(file: String, input: String, target: String, at: String?, units: String? = nil) throws {
    try self.init(Observations(file: file, input: input, target: target, units: units), at: at)
    guard points.count > 0 else {
      throw InferenceError.input(
        "\(file): no row lacks a value of '\(target)', so there is nothing to predict; pass --at FIRST..LAST/STEP"
      )
    }
  }

  /// There are no points where nothing is asked: no `--at`, and no row without a target.
  init(_ observations: Observations, at: String?, saved: Posterior? = nil) throws {
    self.observations = observations
    self.saved = saved
    let selection = observations.selection
    points =
      try Self.grid(at, selection) ?? Inputs(selection.missing.inputs, dimensions: selection.dimensions)
    isGrid = at != nil
  }

  private static func grid(_ at: String?, _ selection: Selection) throws -> Inputs? {
    guard let at else { return nil }
    let grid = try GridSpecification.parse(at, dimensions: selection.dimensions)
    for (axis, (name, kind)) in zip(grid.axes, zip(selection.inputs, selection.kinds))
    where (axis.kind == .number) != (kind == .number) {
      throw TableError(
        .grid, "--at",
        "column '\(name)' holds \(kind == .number ? "numbers" : "dates") and the grid \(kind == .number ? "dates" : "numbers")."
      )
    }
    return try Inputs(grid.points, dimensions: selection.dimensions)
  }

  /// The rows read by the model: now, or when they were saved.
  func posterior(_ model: Model, on pool: ThreadPool?) throws -> Posterior {
    try saved ?? model.condition(on: data, pool: pool)
  }

  func named(_ column: String) -> (title: String, unit: String) { observations.named(column) }

  /// The inputs of a point as they were read.
  func inputCells(_ row: Int) -> [Cell] { observations.inputCells(of: points, row) }
}
