import ArgumentParser
import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTables
import ChorusTensors
import ChorusTraining
import Foundation

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure speed on this machine as shares of its peak.",
    discussion: """
      Runs a freshly initialised network of the given size; no weights are needed. Between all repetitions the peak \
      of fused multiply-adds is probed with one thread and with all. Absolute times move with the machine's clock \
      and its neighbours: quote shares of the peak, with their spread, and never a single time. The column share is \
      by wall clock; share_processor divides by processor seconds instead and says what a busy neighbour did.

      gflop counts what the code multiplies: matrix products as called and the visible query-key pairs, not norms, \
      activations, exponentials, draws, packing or the optimiser. gflop_nominal is the plan's cost, which counts \
      all layers for all rows. bytes are the weights, one context state and all buffers (and each \
      path's own context under a plan that merges); bytes_measured is what \
      residence grew by at the most, from before the model was made to the end of the first call. digest is a \
      hash of the result; it does not depend on --threads.

      paths are drawn paths, orders of a density, or tasks of a training step.
      """)

  @Option(help: "What to measure: encode, sample, density, train; separated by commas.")
  var what = "encode,sample,density,train"

  @Option(help: "Context rows N, one or more numbers.")
  var context = "256"

  @Option(help: "Targets K, one or more numbers.")
  var targets = "32"

  @Option(help: "Paths B, one or more numbers.")
  var paths = "128"

  @Option(help: "Target orders of a density.")
  var orders = 8

  @Option(help: "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")).")
  var plan = "sequential"

  @Option(help: "Width d of the network.")
  var width = 128

  @Option(help: "Layers of the network.")
  var layers = 6

  @Option(help: "Attention heads.")
  var heads = 4

  @Option(help: "Hidden width of the feed-forward maps.")
  var feedForward = 256

  @Option(help: "Hidden width of the embedders and of the prediction head.")
  var hidden = 256

  @Option(help: "Tasks of a training step.")
  var batch = 16

  @Option(help: "Context, buffer and target rows of a training task.")
  var task = "128,16,64"

  @Option(help: "The prior that the training step draws its tasks from; drawing them is part of the step.")
  var prior = "gp"

  @Option(help: "Repetitions, each between two probes.")
  var repetitions = 5

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: CommonOptions

  static let columns = [
    "what", "threads", "context", "targets", "paths", "ms_min", "ms_median", "ms_max", "gflop",
    "gflop_nominal", "gflop_per_s", "peak_one_thread", "peak", "share", "share_min", "share_max",
    "share_processor", "bytes", "bytes_measured", "digest",
  ]

  static let kinds = ["encode", "sample", "density", "train"]

  private var chosen: [String] { what.split(separator: ",").map { String($0) } }

  func validate() throws {
    if let wrong = chosen.first(where: { !Self.kinds.contains($0) }) {
      throw ValidationError("--what: '\(wrong)' is none of \(Self.kinds.joined(separator: ", "))")
    }
    _ = try sizeList(context, option: "--context")
    for (text, name) in [(targets, "--targets"), (paths, "--paths")] {
      guard try sizeList(text, option: name).allSatisfy({ $0 > 0 }) else {
        throw ValidationError("\(name) must be at least 1")
      }
    }
    guard try sizeList(task, option: "--task").count == 3 else {
      throw ValidationError("--task takes three numbers: context, buffer and target rows")
    }
    guard (1...4096).contains(orders) else { throw ValidationError("--orders must be within 1...4096") }
    guard (1...1000).contains(repetitions) else {
      throw ValidationError("--repetitions must be within 1...1000")
    }
  }

  func run() throws {
    try reporting {
      let template = try PlanTemplate(parsing: plan)
      let clock = BenchClock(pool: common.pool, repetitions: repetitions)
      let bench = BenchRunner(blueprint: blueprint, clock: clock, seed: common.seed)
      try bench.blueprint.validate()
      common.say(
        "\(ProcessInfo.processInfo.activeProcessorCount) cores, \(Machine.instructionSet),"
          + " \(bench.clock.pool.threads) threads; quote shares, absolute figures move")
      let writer = try RowWriter(columns: Self.columns, format: format, to: .standardOutput)
      func write(_ row: BenchRow) throws { try writer.write(cells(row, threads: bench.clock.pool.threads)) }
      for n in try sizeList(context, option: "--context") {
        // Sampling comes first, since its memory is measured in a process that has held nothing yet.
        for k in try sizeList(targets, option: "--targets") where chosen.contains("sample") {
          for b in try sizeList(paths, option: "--paths") {
            try write(try bench.sample(context: n, targets: k, paths: b, plan: template))
          }
        }
        if chosen.contains("encode") { try write(try bench.encode(context: n)) }
        for k in try sizeList(targets, option: "--targets") where chosen.contains("density") {
          try write(try bench.density(context: n, targets: k, orders: orders, plan: template))
        }
      }
      if chosen.contains("train") {
        try write(try bench.train(trainingConfiguration(), prior: try Priors.named(prior)))
      }
      try writer.finish()
    }
  }

  private var blueprint: Blueprint {
    var blueprint = Blueprint()
    blueprint.width = width
    blueprint.layers = layers
    blueprint.heads = heads
    blueprint.feedForward = feedForward
    blueprint.embedderHidden = hidden
    blueprint.headHidden = hidden
    return blueprint
  }

  private func trainingConfiguration() throws -> TrainingConfiguration {
    let sizes = try sizeList(task, option: "--task")
    var configuration = TrainingConfiguration()
    configuration.blueprint = blueprint
    configuration.prior = prior
    configuration.batch = batch
    configuration.context = [sizes[0], sizes[0]]
    configuration.buffers = [sizes[1]]
    configuration.targets = sizes[2]
    configuration.seed = common.seed
    return configuration
  }

  private func cells(_ row: BenchRow, threads: Int) -> [Cell] {
    let times = row.repetitions.map { $0.seconds * 1e3 }
    let shares = row.repetitions.map { row.flops / $0.seconds / $0.peak }
    let byProcessor = row.repetitions.map { row.flops / $0.processorSeconds / $0.peakByProcessor }
    func number(_ value: Double, _ digits: Int) -> Cell {
      let scale = pow(10, Double(digits))
      return .number((value * scale).rounded() / scale)
    }
    return [
      .text(row.what), .integer(threads), .integer(row.context), .integer(row.targets), .integer(row.paths),
      number(times.min() ?? .nan, 3), number(median(times), 3), number(times.max() ?? .nan, 3),
      number(row.flops / 1e9, 4), number(row.nominal / 1e9, 4), number(row.flops / median(times) / 1e6, 2),
      number(median(row.repetitions.map(\.single)) / 1e9, 2),
      number(median(row.repetitions.map(\.peak)) / 1e9, 2),
      number(median(shares), 4), number(shares.min() ?? .nan, 4), number(shares.max() ?? .nan, 4),
      number(median(byProcessor), 4), .integer(row.bytes), row.measuredBytes.map { .integer($0) } ?? .missing,
      row.digest.map { .text(String($0, radix: 16)) } ?? .missing,
    ]
  }

  private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let half = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
  }
}
