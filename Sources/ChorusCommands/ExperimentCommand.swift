import ArgumentParser
import ChorusData
import ChorusExperiments
import ChorusPriors
import ChorusReports
import ChorusStorage
import ChorusTables
import ChorusTensors
import Foundation

struct ExperimentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "experiment",
    abstract: "Train networks on equal terms and compare their joint densities: the paper's tables.",
    subcommands: [
      ExperimentRunCommand.self, ExperimentEvidence.self, ExperimentList.self, ExperimentLML.self,
    ])
}

/// Where experiments are found and runs are kept.
enum ExperimentPlaces {
  /// A path, or a name in the folder `Experiments`.
  static func file(_ what: String) -> String { what.hasSuffix(".json") ? what : "Experiments/\(what).json" }

  static func read(_ what: String) throws -> Experiment {
    let path = file(what)
    return try Experiment(Data(RegularFile.read(path, limit: Experiment.fileLimit)), path: path)
  }

  /// The folder of an experiment's runs.
  static func folder(_ name: String) -> String {
    let root = ProcessInfo.processInfo.environment["CHORUS_RUNS"].flatMap { $0.isEmpty ? nil : $0 }
    return (root ?? NSHomeDirectory() + "/.cache/chorus/runs") + "/experiments/" + name
  }
}

struct ExperimentList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "The experiments in the folder Experiments: name, networks, title.")

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  func run() throws {
    try reporting {
      let names = try FileManager.default.contentsOfDirectory(atPath: "Experiments")
        .filter { $0.hasSuffix(".json") }.sorted()
      let writer = try RowWriter(
        columns: ["name", "networks", "columns", "tasks", "title"], format: format, to: .standardOutput)
      for name in names {
        let experiment = try ExperimentPlaces.read("Experiments/" + name)
        try writer.write([
          .text(experiment.name), .integer(experiment.networks.count), .integer(experiment.columns.count),
          .integer(experiment.tasks), .text(experiment.title),
        ])
      }
      try writer.finish()
    }
  }
}

struct ExperimentRunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Train an experiment's networks, score them, and print the table.",
    discussion: """
      NAME is a file, or a name in the folder Experiments. Every network is trained on as many tasks of one prior; then \
      all, and the models that the experiment names, are asked for the joint log-density of the same tasks, which none has seen, in nats a target. Errors are \
      standard errors over tasks; with several seeds the spread between their means is in a column of its own. \
      What is done is kept in the run's folder ($CHORUS_RUNS/experiments/NAME, by default under \
      ~/.cache/chorus/runs): Ctrl-C stops, and the same command goes on. The folder also gets table.csv.
      """)

  @Argument(help: ArgumentHelp("A name in the folder Experiments, or a file.", valueName: "name"))
  var what: String

  @Option(
    help: ArgumentHelp(
      "Minutes of training for all networks and seeds together; it decides the number of tasks by the speed of this machine.",
      valueName: "minutes"))
  var budget: Double?

  @Option(help: "Tasks that each network is trained on. (default: what the experiment says)")
  var tasks: Int?

  @Option(help: "How many times each network is trained.")
  var seeds = 1

  @Option(
    help: ArgumentHelp(
      "Train on tasks from a file, as `chorus train --tasks` takes it.", valueName: "file.jsonl"))
  var trainingTasks: String?

  @Option(help: ArgumentHelp("Ask about tasks from a file.", valueName: "file.jsonl"))
  var testTasks: String?

  @Option(help: ArgumentHelp("Folder of the run.", valueName: "dir"))
  var out: String?

  @Option(
    help: ArgumentHelp("Draw the networks' losses while they were trained.", valueName: "picture.svg"))
  var curves: String?

  @Flag(help: "Train nothing and score nothing; print the table of what has been scored.")
  var tableOnly = false

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let budget, !(budget > 0 && budget <= 100_000) {
      throw ValidationError("--budget must be a number of minutes above 0")
    }
    if let tasks, !(1...1_000_000_000).contains(tasks) { throw ValidationError("--tasks must be at least 1") }
    if tasks != nil, budget != nil { throw ValidationError("give --tasks or --budget, not both") }
    guard (1...64).contains(seeds) else { throw ValidationError("--seeds must be within 1...64") }
    if common.givenSeed != nil {
      throw ValidationError("--seed: an experiment's seeds count from 1; say how many by --seeds")
    }
    if let out { try Outputs.check(folder: out, "--out") }
    if let curves { try PictureFile.check(curves, option: "--curves") }
    var outputs = Outputs(reading: ["--training-tasks": trainingTasks, "--test-tasks": testTasks])
    try outputs.add("--curves", curves)
  }

  func run() throws {
    try reporting {
      let experiment = try ExperimentPlaces.read(what)
      let training = try trainingTasks.map { try stored($0) }
      let test = try testTasks.map { try stored($0) }
      try check(experiment)
      let folder = out ?? ExperimentPlaces.folder(experiment.name)
      Interruption.watch()
      var tasks = self.tasks
      if let budget, !ExperimentRun.isBegun(in: folder) {
        tasks = try ExperimentRun.tasks(
          within: budget, experiment, seeds: seeds, training: training, on: common.pool)
        common.say("\(budget) minutes are \(tasks ?? 0) tasks for each network here")
      }
      let run = try ExperimentRun(
        experiment, folder: folder, seeds: seeds, tasks: tasks, training: training, evaluation: test,
        on: common.pool)
      if !tableOnly { try work(run) }
      let table = ExperimentTable(experiment, run.scored())
      try write(table, run)
      common.sayDensityZero(
        table.rows.filter { $0.logDensity.mean == -.infinity }.map {
          "\($0.column), M = \($0.size.key), N = \($0.context.map(String.init) ?? "all")"
        })
      if let curves { try draw(run, to: curves) }
    }
  }

  private func check(_ experiment: Experiment) throws {
    let ofTraining = [
      ("--budget", budget != nil), ("--tasks", tasks != nil), ("--seeds", seeds != 1),
      ("--training-tasks", trainingTasks != nil), ("--curves", curves != nil),
    ]
    if experiment.networks.isEmpty, let given = ofTraining.first(where: \.1) {
      throw ValidationError("\(given.0): \(experiment.name) trains no network")
    }
    for (name, option, given) in [
      (experiment.networks.first?.configuration.prior, "--training-tasks", trainingTasks),
      (experiment.evaluation.prior, "--test-tasks", testTasks),
    ] where !tableOnly {
      if name == "tasks", given == nil {
        throw ValidationError("\(experiment.name) works on tasks of a file; give \(option) FILE.jsonl")
      }
      if name != "tasks", given != nil {
        throw ValidationError("\(option): \(experiment.name) draws its tasks from prior '\(name ?? "")'")
      }
    }
  }

  private func stored(_ path: String) throws -> StoredTasks {
    let file = try TaskFile(path: path)
    return try StoredTasks(file.datasets, keepsColumns: file.columns != nil)
  }

  private func work(_ run: ExperimentRun) throws {
    let trained = try run.train(
      stop: { Interruption.wanted },
      report: { network, seed, entry in
        let line =
          "\(network), seed \(seed): \(entry.tasks) of \(run.tasks) tasks, loss \(rounded(entry.loss))"
        if let validation = entry.validation {
          common.progress("")
          common.say(line + ", validation \(rounded(validation))")
        } else {
          common.progress(line + ", \(Int(entry.tasksPerSecond)) tasks/s")
        }
      })
    let scored =
      try trained
      && run.score(
        stop: { Interruption.wanted },
        report: { scores, done, total in
          common.progress("")
          let mean = scores.values.reduce(0, +) / Double(max(scores.values.count, 1))
          common.say(
            "\(done) of \(total): \(scores.column), N = \(scores.context), M = \(scores.targets): \(rounded(mean))"
          )
        })
    guard scored else {
      throw common.stopped(run.folder)
    }
  }

  private static let columns = [
    "targets", "layout", "column", "context", "seeds", "functions", "log_density", "log_density_se",
    "between_seeds",
    "to_oracle", "to_oracle_se", "paper", "paper_se", "training_tasks", "training_hours", "scoring_seconds",
  ]

  private func write(_ table: ExperimentTable, _ run: ExperimentRun) throws {
    // Of the networks that the run has trained; what other models were trained on is theirs to tell.
    var (hours, tasks): ([String: Double], [String: Int]) = ([:], [:])
    for column in run.experiment.columns {
      guard case .network(let network) = column.asked else { continue }
      hours[column.name] = run.seeds.reduce(0) { $0 + run.trainingLog(of: network, seed: $1).hours }
      tasks[column.name] =
        run.trainingLog(of: network, seed: run.seeds.last ?? 1).entries.last?.tasks ?? 0
    }
    for destination in [RowWriter.Destination.standardOutput, .file(run.folder + "/table.csv")] {
      let writer = try RowWriter(
        columns: Self.columns, format: destination == .standardOutput ? format : .csv, to: destination)
      for row in table.rows {
        func cell(_ value: Double?) -> Cell { value.map { $0.isNaN ? .missing : .number($0) } ?? .missing }
        try writer.write([
          .integer(row.size.targets), .text(row.size.layout.rawValue), .text(row.column),
          row.context.map { .integer($0) } ?? .text("all"),
          .integer(row.seeds), .integer(row.functions), cell(row.logDensity.mean),
          cell(row.logDensity.standardError), cell(row.betweenSeeds), cell(row.toOracle?.mean),
          cell(row.toOracle?.standardError), cell(row.paper?.mean), cell(row.paper?.standardError),
          tasks[row.column].map { .integer($0) } ?? .missing, cell(hours[row.column]),
          .number(row.seconds),
        ])
      }
      try writer.finish()
    }
  }

  /// Validation losses against tasks, one line a network; of the last seed.
  private func draw(_ run: ExperimentRun, to path: String) throws {
    let seed = run.seeds.last ?? 1
    // Adapters go on from a network that has its line.
    let own = run.experiment.networks.filter { $0.base == nil }
    let series = own.enumerated().compactMap { index, network -> Series? in
      let entries = run.trainingLog(of: network.name, seed: seed).entries.filter { $0.validation != nil }
      guard !entries.isEmpty else { return nil }
      return .line(
        network.name, x: entries.map { Double($0.tasks) / 1000 }, y: entries.map { -($0.validation ?? 0) },
        colour: .palette(index))
    }
    let title = run.experiment.title
    let chart = Chart(
      title: "While training", x: Axis("thousand tasks"),
      y: Axis("validation log-density", unit: "nats a target"),
      series: series)
    let figure = Figure(
      title: title, charts: [chart], columns: 1,
      caption:
        "Each network's own objective: without a buffer, beside one, or after the other targets. Lines are to compare a network with its past.",
      width: 720)
    try PictureFile.write(figure, title: title, to: path)
  }

  private func rounded(_ value: Double) -> String { String((value * 1e4).rounded() / 1e4) }
}
