import ArgumentParser
import ChorusEvaluation
import ChorusFiles
import ChorusInference
import ChorusMemories
import ChorusModels
import ChorusPriors
import ChorusReports
import ChorusTables
import ChorusTensors
import ChorusTraining
import Foundation

struct CompareMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Train models that differ only in their memories, and tell what they lose, hold and cost.",
    discussion: """
      Each memory gets a network of the same width and layers, the same tasks, steps and seed, in its own folder below \
      --out; a run that is there already is used, or gone on with. Then, on fresh tasks of the prior: joint_gap and \
      marginal_gap (exact less model, nats a target), to_first (the first memory's joint density less this one's, \
      paired) and taken_in_loss (what is lost when the last quarter of the rows is taken in afterwards), for each context size, also beyond those trained on; and, alternating with the first memory, the time to encode and the \
      time of one decoding step of all paths. Tables are quality.csv and time.csv in --out, with pictures beside them; \
      the quality table also goes to stdout.
      """)

  @Option(help: "Memories, the first of them the peer of the others.")
  var memories = "softmax,linear-elu,ridge,hybrid,local-linear"

  @Option(help: "Prior: gp, gp-noisy, sawtooth, functions.")
  var prior: String

  @Option(help: "Steps of training each.")
  var steps = 6000

  @Option(help: "Layers of each network; it is 64 wide.")
  var layers = 3

  @Option(help: "Context sizes to score.")
  var context = "16,32,64,128,192,384,1000"

  @Option(help: "Tasks for each context size.")
  var functions = 64

  @Option(help: "Random target orders averaged.")
  var orders = 4

  @Option(help: "Context sizes to time.")
  var times = "64,256,1024,4096,8192"

  @Option(help: "Memories that are not timed above 1024 rows, where one call would take minutes.")
  var slow = "local-linear,kernel-ridge"

  @Option(help: ArgumentHelp("Folder of the runs, tables and pictures.", valueName: "dir"))
  var out: String

  @OptionGroup var common: CommonOptions

  static let trainedContext = 192
  static let quality = [
    "memory", "context", "tasks", "joint_gap", "joint_gap_se", "marginal_gap", "marginal_gap_se", "to_first",
    "to_first_se", "taken_in_loss", "taken_in_loss_se", "state_bytes",
  ]
  static let timing = [
    "memory", "context", "encode_ms", "encode_to_first", "step_ms", "step_to_first", "paths", "state_bytes",
  ]
  static let paths = 256
  static let stepTargets = 8

  private var names: [String] { memories.split(separator: ",").map(String.init) }

  func validate() throws {
    try Outputs.check(folder: out, "--out")
    _ = try sizeList(context, option: "--context")
    _ = try sizeList(times, option: "--times")
    guard (1...1_000_000).contains(functions), (1...4096).contains(orders), (1...64).contains(layers) else {
      throw ValidationError("--functions, --orders and --layers must be at least 1")
    }
    for name in names {
      do { _ = try MemoryRegistry.named(name) } catch { throw ValidationError("--memories: \(error)") }
    }
  }

  func run() throws {
    try reporting {
      try Folders.make(out)
      let models = try names.map { (name: $0, model: try trained($0)) }
      let quality = try scored(models)
      let timing = try timed()
      try pictures(quality, timing)
    }
  }

  // MARK: Training

  static func configuration(
    _ memory: String, prior: String, layers: Int, steps: Int, seed: UInt64
  ) throws -> TrainingConfiguration {
    var configuration = try TrainingConfiguration.preset(prior)
    configuration.blueprint.layers = layers
    configuration.blueprint.memories = [try MemoryRegistry.named(memory)]
    configuration.blueprint.trainedContext = trainedContext
    configuration.context = [min(4, configuration.context[0]), trainedContext]
    configuration.dimensions = [1]
    configuration.steps = steps
    configuration.seed = seed
    return configuration
  }

  private func trained(_ memory: String) throws -> Model {
    let folder = "\(out)/\(memory)"
    let configuration = try Self.configuration(
      memory, prior: prior, layers: layers, steps: steps, seed: common.seed)
    let run = try Run(
      configuration, prior: try Priors.named(prior), folder: folder, resume: true, on: common.pool)
    if run.trainer.step < steps {
      func report(_ entry: Run.Entry) {
        common.progress("\(memory): step \(entry.step)/\(steps), \(Int(entry.tasksPerSecond)) tasks/s")
        if let validation = entry.validation {
          common.say(
            "\(memory): step \(entry.step)/\(steps)  validation \((validation * 1e4).rounded() / 1e4)")
        }
      }
      try run.train(card: ["prior": prior, "memory": memory], stop: { false }, report: report)
      common.progress("")
    }
    return try Model(path: run.modelPath)
  }

  // MARK: Quality

  private func scored(_ models: [(name: String, model: Model)]) throws -> [MemoryComparison.Row] {
    let comparison = MemoryComparison(
      prior: try Priors.named(prior), targets: 16, tasks: functions, orders: orders, seed: common.seed)
    let output = try RowWriter(columns: Self.quality, format: .csv, to: .standardOutput)
    let file = try RowWriter(columns: Self.quality, format: .csv, to: .file("\(out)/quality.csv"))
    var rows: [MemoryComparison.Row] = []
    try comparison.rows(models, contexts: try sizeList(context, option: "--context"), on: common.pool) {
      row in
      func cells(_ estimate: OracleComparison.Estimate?) -> [Cell] {
        guard let estimate else { return [.missing, .missing] }
        return [.number(estimate.mean), .number(estimate.standardError)]
      }
      let line: [Cell] =
        [.text(row.name), .integer(row.context), .integer(row.tasks)] + cells(row.jointGap)
        + cells(row.marginalGap) + cells(row.toFirst) + cells(row.takenInLoss)
        + [.integer(row.stateBytes)]
      try output.write(line)
      try output.flush()
      try file.write(line)
      rows.append(row)
      common.progress("\(row.name) scored at \(row.context) rows")
    }
    common.progress("")
    try output.finish()
    try file.finish()
    return rows
  }

  // MARK: Time

  struct Timing {
    let name: String
    let context: Int
    /// Medians of milliseconds, and of ratios to the first memory's time beside them.
    let encode: (time: Double, ratio: Double)
    let step: (time: Double, ratio: Double)
    let bytes: Int
  }

  /// Alternates each memory with the first one: the clock of a machine moves, the ratio of neighbours less so.
  private func timed() throws -> [Timing] {
    guard let first = names.first else { return [] }
    let file = try RowWriter(columns: Self.timing, format: .csv, to: .file("\(out)/time.csv"))
    let exempt = Set(slow.split(separator: ",").map(String.init))
    var rows: [Timing] = []
    for size in try sizeList(times, option: "--times") {
      let peer = try work(first, size)
      for name in names where size <= 1024 || !exempt.contains(name) {
        common.progress("timing \(name) at \(size) rows")
        let own = try work(name, size)
        var encode: [(Double, Double)] = []
        var step: [(Double, Double)] = []
        for _ in 0..<3 {
          encode.append((Self.milliseconds(own.encode), Self.milliseconds(peer.encode)))
          step.append((Self.milliseconds(own.step), Self.milliseconds(peer.step)))
        }
        func summary(_ pairs: [(Double, Double)], _ calls: Double) -> (time: Double, ratio: Double) {
          (median(pairs.map { $0.0 / calls }), median(pairs.map { $0.0 / $0.1 }))
        }
        let row = Timing(
          name: name, context: size, encode: summary(encode, 1),
          step: summary(step, Double(Self.stepTargets)), bytes: own.bytes)
        try file.write([
          .text(name), .integer(size), .number(row.encode.time), .number(row.encode.ratio),
          .number(row.step.time), .number(row.step.ratio), .integer(Self.paths), .integer(row.bytes),
        ])
        rows.append(row)
      }
    }
    common.progress("")
    try file.finish()
    return rows
  }

  private struct Work {
    let encode: () -> Void
    let step: () -> Void
    let bytes: Int
  }

  /// Encoding a context and drawing a few values on many paths, with weights as they begin: time does not depend on them.
  private func work(_ memory: String, _ size: Int) throws -> Work {
    let blueprint = try Self.configuration(
      memory, prior: prior, layers: layers, steps: 1, seed: common.seed
    ).blueprint
    let model = try BenchData.model(blueprint, context: size, seed: common.seed)
    let (data, grid) = (try BenchData.observed(size, seed: common.seed), try BenchData.grid(Self.stepTargets))
    let posterior = try model.condition(on: data, pool: common.pool)
    return Work(
      encode: { _ = try? model.condition(on: data, pool: common.pool) },
      step: { _ = try? posterior.sample(Self.paths, at: grid, seed: 1, flopLimit: .infinity) },
      bytes: model.trunk.contextBytes(rows: size))
  }

  private static func milliseconds(_ body: () -> Void) -> Double { 1000 * BenchClock.time(body).wall }

  // MARK: Pictures

  private func pictures(_ quality: [MemoryComparison.Row], _ timing: [Timing]) throws {
    let caption =
      "64 wide, \(layers) layers, \(steps) steps of 8 tasks of \(prior), contexts of up to \(Self.trainedContext) rows in"
      + " training. \(functions) fresh tasks a point, the same for all."
    var sizes: [Series] = []
    var gaps: [Series] = []
    for (index, name) in names.enumerated() {
      let colour = Series.Colour.palette(index)
      let own = quality.filter { $0.name == name && $0.jointGap != nil }
      let x = own.map { Double($0.context) }
      gaps.append(.line(name, x: x, y: own.map { $0.jointGap?.mean ?? .nan }, colour: colour))
      sizes.append(
        Series(
          name, .points(own.map { .init(Double($0.stateBytes), $0.jointGap?.mean ?? .nan) }), colour: colour,
          labelling: .legend))
    }
    let context = Axis(
      "context rows N", scale: .log10, ticks: try sizeList(self.context, option: "--context").map(Double.init)
    )
    let gap = Axis("exact less model, joint", unit: "nats a target")
    try PictureFile.write(
      Figure(
        title: "What memories lose",
        charts: [
          Chart(title: "By context size", x: context, y: gap, series: gaps),
          Chart(
            title: "By bytes of state", x: Axis("context state", unit: "bytes", scale: .log10), y: gap,
            series: sizes),
        ], columns: 2, caption: caption), title: "Memories on \(prior)", to: "\(out)/quality.svg")
    func lines(_ value: (Timing) -> Double) -> [Series] {
      names.enumerated().map { index, name in
        let own = timing.filter { $0.name == name }
        return .line(name, x: own.map { Double($0.context) }, y: own.map(value), colour: .palette(index))
      }
    }
    let rows = Axis(
      "context rows N", scale: .log10, ticks: try sizeList(times, option: "--times").map(Double.init))
    try PictureFile.write(
      Figure(
        title: "What memories cost",
        charts: [
          Chart(
            title: "Encoding", x: rows, y: Axis("time", unit: "ms", scale: .log10),
            series: lines(\.encode.time)),
          Chart(
            title: "A step of \(Self.paths) paths", x: rows, y: Axis("time", unit: "ms", scale: .log10),
            series: lines(\.step.time)),
        ], columns: 2,
        caption: "64 wide, \(layers) layers; medians of 3, \(common.pool.threads) threads."),
      title: "Memories", to: "\(out)/time.svg")
  }
}
