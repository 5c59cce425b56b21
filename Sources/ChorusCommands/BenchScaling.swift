import ChorusFiles
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusStorage
import ChorusTensors
import ChorusTraining
import Foundation

/// One size that grows while the others stay, for time and memory beside the law they should follow.
enum Sweep: String, CaseIterable {
  case context, targets, paths, orders, threads

  /// What the axis of the picture says.
  var axis: String {
    switch self {
    case .context: "context rows N"
    case .targets: "targets K"
    case .paths: "paths B"
    case .orders: "target orders"
    case .threads: "threads"
    }
  }

  var title: String {
    switch self {
    case .context: "A growing context"
    case .targets: "More targets, each reading all before it"
    case .paths: "More paths over one context"
    case .orders: "A density under more orders"
    case .threads: "More threads"
    }
  }

  var sizes: [Int] {
    func doublings(_ first: Int, _ last: Int) -> [Int] {
      Array(sequence(first: first) { $0 < last ? min(2 * $0, last) : nil })
    }
    return switch self {
    case .context: doublings(32, 8192)
    case .targets: doublings(8, 512)
    case .paths: doublings(1, 1024)
    case .orders: doublings(1, 512)
    case .threads: doublings(1, ProcessInfo.processInfo.activeProcessorCount)
    }
  }

  func size(of row: BenchRow) -> Int {
    switch self {
    case .context: row.context
    case .targets: row.targets
    case .paths, .orders: row.paths
    case .threads: row.threads
    }
  }
}

/// Runs sweeps on a network of default size and writes, for each, a table and a picture into a folder.
struct BenchScaling {
  let folder: String
  let repetitions: Int
  let common: CommonOptions

  private var blueprint: Blueprint { Blueprint() }

  func run(_ sweeps: [Sweep]) throws {
    try Folders.make(folder)
    for sweep in sweeps {
      let name = folder + "/scaling-\(sweep.rawValue)"
      let table = try BenchTable(format: .csv, to: .file(name + ".csv"))
      var rows: [BenchRow] = []
      for size in sweep.sizes {
        common.say("\(sweep.rawValue) \(size)")
        for row in try measure(sweep, size) {
          try table.write(row)
          rows.append(row)
        }
      }
      try table.finish()
      let picture = ScalingPicture(sweep: sweep, rows: rows).figure
      try AtomicFile.write(picture.svg(id: "scaling-\(sweep.rawValue)").utf8, to: name + ".svg")
    }
  }

  private func measure(_ sweep: Sweep, _ size: Int) throws -> [BenchRow] {
    let pool = sweep == .threads ? ThreadPool(threads: size) : common.pool
    let bench = try BenchRunner(
      blueprint: blueprint, clock: BenchClock(pool: pool, repetitions: repetitions), seed: common.seed)
    let plan = PlanTemplate.sequential
    switch sweep {
    case .context:
      return [
        try bench.encode(context: size),
        try bench.sample(context: size, targets: 16, paths: 32, plan: plan),
      ]
    case .targets:
      return [
        try bench.sample(context: 256, targets: size, paths: 32, plan: plan),
        try bench.density(context: 256, targets: size, orders: 8, plan: plan),
      ]
    case .paths: return [try bench.sample(context: 256, targets: 32, paths: size, plan: plan)]
    case .orders: return [try bench.density(context: 256, targets: 16, orders: size, plan: plan)]
    case .threads:
      var training = TrainingConfiguration()
      training.blueprint = blueprint
      (training.batch, training.context, training.buffers) = (16, [128, 128], [16])
      training.seed = common.seed
      return [
        try bench.encode(context: 256),
        try bench.sample(context: 256, targets: 32, paths: 128, plan: plan),
        try bench.density(context: 256, targets: 16, orders: 128, plan: plan),
        try bench.train(training, prior: Priors.named(training.prior)),
      ]
    }
  }
}
