import ArgumentParser
import ChorusEvaluation
import ChorusExperiments
import ChorusFiles
import ChorusMemories
import ChorusPriors
import ChorusReports
import ChorusTables
import ChorusTraining
import Foundation

/// Networks of sequences that differ in their memory: how long they are trained, and how the table is told.
struct TrialOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Folder of the trained networks.", valueName: "dir"))
  var out: String

  @Option(help: ArgumentHelp("Memories to compare, by their names, separated by commas.", valueName: "names"))
  var memories: String?

  @Option(help: "Steps of each network's training.")
  var steps: Int?

  @Option(
    help: ArgumentHelp(
      "Minutes of training for each network, which decide its steps by the speed of this machine, in the place of --steps.",
      valueName: "minutes"))
  var minutesEach: Double?

  @Option(
    help: ArgumentHelp(
      "Minutes after which training stops; the same command goes on.", valueName: "minutes"))
  var budget: Double?

  @Option(help: "Sequences of a step.")
  var batch: Int?

  @Option(help: "Peak learning rate.")
  var rate: Double?

  @Option(help: "How many times each network is trained.")
  var seeds = 1

  @Option(help: "Sequences that every network is asked about.")
  var questions = 256

  @Option(help: "Width of the networks.")
  var width: Int?

  @Option(help: "Layers of the networks.")
  var layers: Int?

  @Option(help: "Heads of a layer.")
  var heads: Int?

  @Option(
    help: ArgumentHelp(
      "Rows whose keys and values each row takes in by a short convolution; 1 for none.", valueName: "rows"))
  var convolution: Int?

  @Flag(help: "Norm every head's read and gate it by the row that asks, as gated recurrent layers do.")
  var gatedReads = false

  @Flag(help: "Train nothing; print the table of what has been trained.")
  var tableOnly = false

  @Option(help: ArgumentHelp("Draw what each memory comes to against its bytes.", valueName: "picture.svg"))
  var plot: String?

  @Option(help: "csv, jsonl or markdown.")
  var format = "csv"

  func validate() throws {
    if let steps, !(1...99_999_999).contains(steps) { throw ValidationError("--steps must be at least 1") }
    for (name, minutes) in [("--minutes-each", minutesEach), ("--budget", budget)] {
      if let minutes, !(minutes > 0 && minutes <= 100_000) {
        throw ValidationError("\(name) must be a number of minutes above 0")
      }
    }
    if steps != nil, minutesEach != nil { throw ValidationError("give --steps or --minutes-each, not both") }
    guard (1...64).contains(seeds) else { throw ValidationError("--seeds must be within 1...64") }
    guard (2...1_000_000).contains(questions) else {
      throw ValidationError("--questions must be within 2...1000000")
    }
    if let convolution, !(1...16).contains(convolution) {
      throw ValidationError("--convolution must be within 1...16")
    }
    guard ["csv", "jsonl", "markdown"].contains(format) else {
      throw ValidationError("--format must be csv, jsonl or markdown")
    }
    if let plot { try PictureFile.check(plot, option: "--plot") }
  }

  /// What no command of these has: a seed of its own, and files that would be written over each other.
  ///
  /// - Parameter reading: files that are read, by what they are called.
  func check(_ common: CommonOptions, reading: KeyValuePairs<String, String?> = [:]) throws {
    try Outputs.check(folder: out, "--out")
    if common.givenSeed != nil {
      throw ValidationError("--seed: seeds count from 1; say how many by --seeds")
    }
    var outputs = Outputs(reading: reading)
    try outputs.add("--plot", plot)
  }

  /// The networks to train, one for each memory and seed.
  func trials(
    _ configuration: TrainingConfiguration, of prior: any Prior, validation: (any Prior)? = nil,
    origin: [String: String] = [:], default memories: [String], _ common: CommonOptions
  ) throws -> MemoryTrials {
    try MemoryTrials(
      configuration, memories: names(default: memories), seeds: seeds, folder: out, prior: prior,
      validation: validation, origin: origin, on: common.pool)
  }

  /// The names, each of which is a memory's.
  func names(default known: [String]) throws -> [String] {
    guard let memories else { return known }
    let names = memories.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    guard !names.isEmpty else { throw ValidationError("--memories: name at least one") }
    guard Set(names).count == names.count else { throw ValidationError("--memories: a name is there twice") }
    for name in names { _ = try MemoryRegistry.named(name) }
    return names
  }

  func apply(to configuration: inout TrainingConfiguration) {
    if let steps { configuration.steps = steps }
    if let batch { configuration.batch = batch }
    if let rate { configuration.rate = rate }
    if let width { configuration.blueprint.width = width }
    if let layers { configuration.blueprint.layers = layers }
    if let heads { configuration.blueprint.heads = heads }
    if gatedReads { configuration.blueprint.parts.gatedReads = true }
    if let convolution { configuration.blueprint.parts.convolution = convolution > 1 ? convolution : nil }
  }

  /// Trains and tells what has come of it.
  func run(_ trials: MemoryTrials, _ measure: TrialMeasure, _ common: CommonOptions) throws {
    Interruption.watch()
    let clock = ContinuousClock()
    let start = clock.now
    var finished = tableOnly
    if !tableOnly {
      finished = try trials.train(
        secondsEach: minutesEach.map { 60 * $0 },
        stop: {
          Interruption.wanted
            || budget.map { start.duration(to: clock.now) > .seconds(60 * $0) } ?? false
        },
        report: { memory, seed, entry in
          let line = "\(memory), seed \(seed): step \(entry.step), loss \(rounded(entry.loss))"
          guard let validation = entry.validation else { return common.progress(line) }
          common.progress("")
          common.say(line + ", validation \(rounded(validation))")
        })
      common.progress("")
    }
    let oracle = try measure.oracle.flatMap { name in
      try trials.oracle(tasks: questions, of: measure.shape).map { (name, $0) }
    }
    let fitted = try measure.fits.map {
      ($0.name, try trials.scores(tasks: questions, of: measure.shape, by: $0.law))
    }
    try TrialTable(
      rows: try trials.rows(tasks: questions, of: measure.shape),
      others: fitted + (oracle.map { [$0] } ?? []),
      measure: measure
    ).write(format, plot: plot)
    if !finished {
      throw common.stopped(trials.folder)
    }
  }

  private func rounded(_ value: Double) -> String { String((value * 1e4).rounded() / 1e4) }
}

/// What a table of trials tells of each network, and how it is drawn.
struct TrialMeasure {
  /// A column's name, what it tells, and by which factor it is told.
  var columns: [(name: String, factor: Double, of: (SequenceScores) -> OracleComparison.Estimate?)]
  /// What is asked; nil for tasks as those trained on.
  var shape: TaskShape?
  /// What somebody is called who knows the law of the tasks; nil for none.
  var oracle: String?
  /// Who else is held beside the networks, with their laws of a task's targets.
  var fits: [(name: String, law: @Sendable (PriorTask) throws -> OracleDensity)] = []
  /// Of the picture.
  var title: String
  var axis: Axis
  var caption: String
}

/// One line a memory: bytes of its state, and what its networks have come to.
struct TrialTable {
  let rows: [MemoryTrials.Row]
  /// Those that are no networks.
  let others: [(name: String, scores: SequenceScores)]
  let measure: TrialMeasure

  private var names: [String] {
    ["memory", "state_bytes", "parameters", "steps", "seeds", "training_seconds"]
      + measure.columns.flatMap { [$0.name, $0.name + "_se", $0.name + "_between_seeds"] }
  }

  private func cells(_ row: MemoryTrials.Row) -> [Cell] {
    var cells: [Cell] = [
      .text(row.memory), .integer(row.stateBytes), .integer(row.parameters), .integer(row.steps),
      .integer(row.scores.count), .number((row.seconds * 10).rounded() / 10),
    ]
    for column in measure.columns {
      let (mean, seeds) = (row.mean(column.of), row.means(column.of))
      cells.append(mean.map { .number($0.value * column.factor) } ?? .missing)
      cells.append(mean.map { .number(abs($0.error * column.factor)) } ?? .missing)
      cells.append(
        seeds.count > 1 ? .number(abs(column.factor) * ((seeds.max() ?? 0) - (seeds.min() ?? 0))) : .missing)
    }
    return cells
  }

  func write(_ format: String, plot: String?) throws {
    if format == "markdown" {
      try StandardStreams.write(markdown.utf8)
    } else {
      let writer = try RowWriter(
        columns: names, format: TableFormat(rawValue: format) ?? .csv, to: .standardOutput)
      for row in rows { try writer.write(cells(row)) }
      for other in others {
        try writer.write(
          [.text(other.name)] + [Cell](repeating: .missing, count: 5)
            + measure.columns.flatMap { column -> [Cell] in
              guard let told = column.of(other.scores) else { return [.missing, .missing, .missing] }
              return [
                .number(told.mean * column.factor), .number(abs(told.standardError * column.factor)),
                .missing,
              ]
            })
      }
      try writer.finish()
    }
    if let plot { try PictureFile.write(figure, title: measure.title, to: plot) }
  }

  private var markdown: String {
    let heads =
      ["memory", "state, bytes", "parameters", "steps", "seconds"]
      + measure.columns.map { $0.name.replacing("_", with: " ") }
    var lines = rows.map { row in
      let figures = measure.columns.map { column -> String in
        guard let mean = row.mean(column.of) else { return "" }
        return String(
          format: "%.3f ± %.3f", mean.value * column.factor, abs(mean.error * column.factor))
      }
      return
        "| \(row.memory) | \(row.stateBytes) | \(row.parameters) | \(row.steps) | \(Int(row.seconds.rounded())) | "
        + figures.joined(separator: " | ") + " |"
    }
    for other in others {
      let figures = measure.columns.map { column in
        column.of(other.scores).map {
          String(format: "%.3f ± %.3f", $0.mean * column.factor, abs($0.standardError * column.factor))
        } ?? ""
      }
      lines.append("| \(other.name) | | | | | " + figures.joined(separator: " | ") + " |")
    }
    let rule = "|" + heads.map { _ in "---|" }.joined()
    return (["| " + heads.joined(separator: " | ") + " |", rule] + lines).joined(separator: "\n") + "\n"
  }

  private var figure: Figure {
    let first = measure.columns[0]
    let series = rows.enumerated().compactMap { index, row -> Series? in
      guard let mean = row.mean(first.of) else { return nil }
      return .points(
        row.memory, x: [Double(row.stateBytes) / 1024], y: [mean.value * first.factor],
        colour: .palette(index))
    }
    let lines = others.compactMap { other in
      first.of(other.scores).map {
        Series(other.name, .rule(y: $0.mean * first.factor), colour: .muted, isDashed: true)
      }
    }
    return Figure(
      title: measure.title,
      charts: [
        Chart(
          x: Axis("state of a sequence", unit: "KiB", scale: .log10), y: measure.axis,
          series: series + lines,
          height: 380)
      ], columns: 1, caption: measure.caption, width: 760)
  }
}
