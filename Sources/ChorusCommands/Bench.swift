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
    commandName: "bench",
    abstract: "Measure speed on this machine as shares of its peak.",
    discussion: """
      Runs freshly initialised networks over a grid of sizes; no weights are needed. Between all repetitions the \
      peak of fused multiply-adds is probed with one thread and with all, and before each line the bandwidth of \
      memory. Absolute times move with the machine's clock and its neighbours: quote shares of the peak, with \
      their spread, and never a single time. The column share is by wall clock; share_processor divides by \
      processor seconds instead and says what a busy neighbour did.

      gflop counts what the code multiplies: matrix products as called and the visible query-key pairs, not norms, \
      activations, exponentials, draws, packing or the optimiser. gflop_nominal is the plan's cost, which counts \
      all layers for all rows. bytes are the weights, one context state and all buffers (and each \
      path's own context under a plan that merges); bytes_measured is what residence grew by at the most, from \
      before the model was made to the end of the first call. digest is a hash of the result; it does not depend \
      on --threads.

      paths are drawn paths, orders of a density, or tasks of a training step. Options that take several numbers \
      take them separated by commas; every combination is measured.
      """)

  @Option(help: "What to measure: encode, sample, density, train; separated by commas.")
  var what = "encode,sample,density,train"

  @Option(help: ArgumentHelp("Context rows N, one or more numbers.", valueName: "n,…"))
  var context = "256"

  @Option(help: ArgumentHelp("Targets K, one or more numbers.", valueName: "n,…"))
  var targets = "32"

  @Option(help: ArgumentHelp("Paths B, one or more numbers.", valueName: "n,…"))
  var paths = "128"

  @Option(help: ArgumentHelp("Target orders of a density, one or more numbers.", valueName: "n,…"))
  var orders = "8"

  @Option(help: "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")).")
  var plan = "sequential"

  @Option(help: ArgumentHelp("Width d of the network, one or more numbers.", valueName: "n,…"))
  var width = "128"

  @Option(help: ArgumentHelp("Layers of the network, one or more numbers.", valueName: "n,…"))
  var layers = "6"

  @Option(help: ArgumentHelp("Attention heads, one or more numbers.", valueName: "n,…"))
  var heads = "4"

  @Option(
    help: ArgumentHelp(
      "Hidden width of the feed-forward maps. (default: twice the width)", valueName: "n"))
  var feedForward: Int?

  @Option(
    help: ArgumentHelp(
      "Hidden width of the embedders and of the prediction head. (default: twice the width)", valueName: "n"))
  var hidden: Int?

  @Option(help: ArgumentHelp("Tasks of a training step, one or more numbers.", valueName: "n,…"))
  var batch = "16"

  @Option(help: "Context, buffer and target rows of a training task.")
  var task = "128,16,64"

  @Option(help: "The prior that the training step draws its tasks from; drawing them is part of the step.")
  var prior = "gp"

  @Option(help: "Repetitions, each between two probes.")
  var repetitions = 5

  @Option(
    help: ArgumentHelp(
      "Measure single kernels on one thread instead, over the shapes at which they are tested; list names them.",
      valueName: "name,…|all|list"))
  var op: String?

  @Option(
    help: ArgumentHelp("Measure how fast this table is read instead, --columns of it.", valueName: "file"))
  var read: String?

  @Option(help: ArgumentHelp("The columns that --read keeps. (default: all)", valueName: "col,…"))
  var columns: String?

  @Flag(
    help: """
      Run a small fixed workload of each --what once, without clocks and probes, for tools that count \
      instructions.
      """)
  var once = false

  @Flag(
    help: """
      Answer requests from stdin, one JSON object a line, each with its seconds: for tools/duel.py, which \
      measures in turn with others and must not measure the start of a process.
      """)
  var requests = false

  @Option(
    help: ArgumentHelp(
      "Write tables and pictures of time and memory against growing sizes into this folder instead.",
      valueName: "folder"))
  var scaling: String?

  @Option(
    help: ArgumentHelp(
      "The sizes that grow with --scaling: \(Sweep.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)",
      valueName: "name,…"))
  var sweep: String?

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var precise: PrecisionOption

  @OptionGroup var common: CommonOptions

  static let kinds = ["encode", "sample", "density", "train"]

  private var chosen: [String] { what.split(separator: ",").map { String($0) } }

  func validate() throws {
    if let scaling { try Outputs.check(folder: scaling, "--scaling") }
    if let wrong = chosen.first(where: { !Self.kinds.contains($0) }) {
      throw ValidationError("--what: '\(wrong)' is none of \(Self.kinds.joined(separator: ", "))")
    }
    _ = try sizeList(context, option: "--context")
    for (text, name) in [
      (targets, "--targets"), (paths, "--paths"), (orders, "--orders"), (width, "--width"),
      (layers, "--layers"),
      (heads, "--heads"), (batch, "--batch"),
    ] {
      guard try sizeList(text, option: name).allSatisfy({ $0 > 0 }) else {
        throw ValidationError("\(name) must be at least 1")
      }
    }
    guard try sizeList(task, option: "--task").count == 3 else {
      throw ValidationError("--task takes three numbers: context, buffer and target rows")
    }
    guard try sizeList(orders, option: "--orders").allSatisfy({ $0 <= 4096 }) else {
      throw ValidationError("--orders must be within 1...4096")
    }
    guard (1...1000).contains(repetitions) else {
      throw ValidationError("--repetitions must be within 1...1000")
    }
    guard [op != nil, once, requests, scaling != nil, read != nil].count(where: { $0 }) <= 1 else {
      throw ValidationError(
        "--op, --once, --requests, --scaling and --read are different things to do; pass one")
    }
    guard precise.precision == .f32 || (op == nil && !once && !requests && scaling == nil && read == nil)
    else {
      throw ValidationError(
        "--precision goes with --what; leave --op, --once, --requests, --scaling and --read out")
    }
    guard columns == nil || read != nil else { throw ValidationError("--columns goes with --read") }
    if let op { _ = try KernelBench.operations(op) }
    guard sweep == nil || scaling != nil else { throw ValidationError("--sweep goes with --scaling") }
    _ = try sweeps()
  }

  func run() throws {
    try reporting {
      if let op { return try KernelBench.run(op, repetitions: repetitions, format: format, common) }
      if let read {
        return try BenchReading.run(read, kept: columns, repetitions: repetitions, format: format)
      }
      if once { return try BenchOnce(pool: common.pool).run(chosen) }
      if requests { return try BenchWorker(pool: common.pool).run() }
      if let scaling {
        let runner = BenchScaling(folder: scaling, repetitions: repetitions, common: common)
        return try runner.run(sweeps())
      }
      try runGrid()
    }
  }

  private func sweeps() throws -> [Sweep] {
    guard let sweep else { return Sweep.allCases }
    return try sweep.split(separator: ",").map { name in
      guard let sweep = Sweep(rawValue: String(name)) else {
        throw ValidationError(
          "--sweep: '\(name)' is none of \(Sweep.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return sweep
    }
  }

  private func runGrid() throws {
    let template = try PlanTemplate(parsing: plan)
    precise.warn(common)
    let clock = BenchClock(pool: common.pool, repetitions: repetitions)
    common.say(
      "\(ProcessInfo.processInfo.activeProcessorCount) cores, \(Machine.instructionSet),"
        + " \(clock.pool.threads) threads; quote shares, absolute figures move")
    let table = try BenchTable(format: format)
    let blueprints = try blueprints()
    for blueprint in blueprints {
      let bench = try BenchRunner(
        blueprint: blueprint, clock: clock, seed: common.seed, precision: precise.precision)
      for n in try sizeList(context, option: "--context") {
        for k in try sizeList(targets, option: "--targets") where chosen.contains("sample") {
          for b in try sizeList(paths, option: "--paths") {
            try table.write(bench.sample(context: n, targets: k, paths: b, plan: template))
          }
        }
        if chosen.contains("encode") { try table.write(bench.encode(context: n)) }
        for k in try sizeList(targets, option: "--targets") where chosen.contains("density") {
          for r in try sizeList(orders, option: "--orders") {
            try table.write(bench.density(context: n, targets: k, orders: r, plan: template))
          }
        }
      }
      for tasks in try sizeList(batch, option: "--batch") where chosen.contains("train") {
        try table.write(
          bench.train(
            trainingConfiguration(blueprint, batch: tasks), prior: try Priors.named(prior)))
      }
    }
    try table.finish()
  }

  /// The networks of the grid, all checked before the first is measured.
  private func blueprints() throws -> [Blueprint] {
    var blueprints: [Blueprint] = []
    for width in try sizeList(width, option: "--width") {
      for layers in try sizeList(layers, option: "--layers") {
        for heads in try sizeList(heads, option: "--heads") {
          var blueprint = Blueprint()
          (blueprint.width, blueprint.layers, blueprint.heads) = (width, layers, heads)
          blueprint.feedForward = feedForward ?? 2 * width
          blueprint.embedderHidden = hidden ?? 2 * width
          blueprint.headHidden = hidden ?? 2 * width
          try blueprint.validate()
          blueprints.append(blueprint)
        }
      }
    }
    return blueprints
  }

  private func trainingConfiguration(_ blueprint: Blueprint, batch: Int) throws -> TrainingConfiguration {
    let sizes = try sizeList(task, option: "--task")
    var configuration = TrainingConfiguration()
    configuration.blueprint = blueprint
    configuration.prior = prior
    configuration.batch = batch
    configuration.precision = precise.precision
    configuration.context = [sizes[0], sizes[0]]
    configuration.buffers = [sizes[1]]
    configuration.targets = sizes[2]
    configuration.seed = common.seed
    return configuration
  }
}
