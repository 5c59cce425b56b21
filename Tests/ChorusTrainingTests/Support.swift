import ChorusLayers
import ChorusPriors
import ChorusTensors
import Foundation

@testable import ChorusModels
@testable import ChorusTraining

/// A folder that goes when the test ends.
final class ScratchFolder {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "chorus-training-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Straight lines with a little noise: a prior that costs nothing and is learned in a moment.
struct LinePrior: Prior {
  let name = "lines"
  let dimensions = 1...1
  /// Written in place of every output when it is set.
  var poison: Double?
  /// The first step that fails to draw, for tasks of index 0 alone.
  var fails = false

  func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    if fails, stream.uniform() < 0.2 { throw .stored("no task this time") }
    let (slope, offset) = (stream.normal(), stream.normal())
    let x = (0..<shape.rows).map { _ in 2 * stream.uniform() - 1 }
    let y = x.map { poison ?? (slope * $0 + offset + 0.05 * stream.normal()) }
    return PriorTask(shape: shape, x: x, y: y, component: name)
  }
}

/// A run whose steps take about a millisecond.
func tinyConfiguration(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
  var configuration = TrainingConfiguration()
  configuration.prior = "lines"
  configuration.blueprint.width = 16
  configuration.blueprint.layers = 1
  configuration.blueprint.heads = 2
  configuration.blueprint.feedForward = 16
  configuration.blueprint.embedderHidden = 16
  configuration.blueprint.headHidden = 16
  configuration.blueprint.head = .mixture(components: 3)
  configuration.steps = 12
  configuration.batch = 5
  configuration.context = [1, 8]
  configuration.buffers = [2, 4]
  configuration.targets = 8
  configuration.rate = 3e-3
  configuration.validateEvery = 6
  configuration.validationTasks = 8
  configuration.checkpointEvery = 4
  change(&configuration)
  return configuration
}

extension Trainer {
  /// Everything that a step changes.
  var state: [[UInt32]] {
    [weights.values, averagedWeights.values, optimiser.first, optimiser.second].map {
      $0.array.map(\.bitPattern)
    }
  }
}

func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
