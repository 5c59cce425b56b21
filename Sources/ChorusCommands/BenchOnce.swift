import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import ChorusTraining

/// A small fixed workload that runs once: no clock, no probe, nothing that differs from run to run. For tools that
/// count instructions (.ci/callgrind).
struct BenchOnce {
  let pool: ThreadPool

  private var blueprint: Blueprint {
    var blueprint = Blueprint()
    (blueprint.width, blueprint.layers, blueprint.heads) = (64, 2, 4)
    (blueprint.feedForward, blueprint.embedderHidden, blueprint.headHidden) = (128, 128, 128)
    blueprint.frequencies = 6
    return blueprint
  }

  /// Each kind runs once before it is counted: what the runtime looks up at the first use of a type, some two million
  /// instructions, is no part of the work.
  func run(_ kinds: [String]) throws {
    let model = try BenchData.model(blueprint, context: 128, seed: 1)
    let data = try BenchData.observed(128, seed: 1)
    let grid = try BenchData.grid(16)
    let posterior = try model.condition(on: data, pool: pool)
    func warmAndCounted(_ body: () throws -> Void) throws {
      try body()
      try counted(body)
    }
    for kind in kinds {
      switch kind {
      case "encode": try warmAndCounted { _ = try model.condition(on: data, pool: pool) }
      case "sample": try warmAndCounted { _ = try posterior.sample(24, at: grid, seed: 1) }
      case "density":
        let y = BenchData.wave(at: grid)
        try warmAndCounted { _ = try posterior.logDensity(of: y, at: grid, orders: 8, seed: 1) }
      default:
        var configuration = TrainingConfiguration()
        configuration.blueprint = blueprint
        (configuration.batch, configuration.context, configuration.buffers) = (4, [48, 48], [16])
        configuration.targets = 24
        let trainer = try Trainer(configuration, prior: Priors.named("gp"), on: pool)
        try warmAndCounted { _ = try trainer.advance() }
      }
    }
  }

  /// What a tool is told to count by this function's name.
  @inline(never)
  private func counted(_ body: () throws -> Void) throws { try body() }
}
