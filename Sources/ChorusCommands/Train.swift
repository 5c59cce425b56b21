import ArgumentParser
import ChorusData
import ChorusModels
import ChorusPriors
import ChorusStorage
import ChorusTables
import ChorusTraining
import Foundation
import Synchronization

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model on a prior, or on tasks of your own.",
    discussion: """
      WHAT is a prior (\(["gp", "gp-noisy", "sawtooth", "functions"].joined(separator: ", "))) or a configuration as JSON; its fields are those \
      that a run writes into configuration.json. The run's folder gets checkpoints, log.jsonl (one line a \
      validation) and model.safetensors (the weights averaged so far). Ctrl-C saves and stops; --resume goes on.
      """)

  @Argument(help: "A prior's name or a configuration file.")
  var what: String

  @Option(help: "Steps of the whole run; the learning rate comes down over them.")
  var steps: Int?

  @Option(help: "Tasks a step.")
  var batch: Int?

  @Option(help: ArgumentHelp("Folder of the run.", valueName: "dir"))
  var out: String

  @Flag(help: "Go on from the newest checkpoint in the folder.")
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Train on tasks from a file, one JSON object a line: {\"x\": …, \"y\": …}.", valueName: "file.jsonl"))
  var tasks: String?

  @Option(help: ArgumentHelp("Begin with the weights of this model.", valueName: "path"))
  var start: String?

  @OptionGroup var common: CommonOptions

  static let interrupted = Atomic<Bool>(false)

  func run() throws {
    try reporting {
      let configuration = try configured()
      let prior = try self.prior(configuration)
      let from = try start.map { try Model(named: $0) }
      var run = try Run(
        configuration, prior: prior, folder: out, resume: resume, start: from, on: common.pool)
      for text in run.skipped { common.say("skipped a checkpoint: \(text)") }
      if run.trainer.step > 0 {
        common.say("going on from step \(run.trainer.step) of \(configuration.steps)")
      }
      signal(SIGINT) { _ in Train.interrupted.store(true, ordering: .relaxed) }
      signal(SIGTERM) { _ in Train.interrupted.store(true, ordering: .relaxed) }
      try train(&run, configuration)
    }
  }

  private func train(_ run: inout Run, _ configuration: TrainingConfiguration) throws {
    let command =
      "chorus train \(what) --steps \(configuration.steps) --batch \(configuration.batch)"
      + " --seed \(configuration.seed)"
    try run.train(
      card: ["prior": configuration.prior, "command": command, "seed": String(configuration.seed)],
      stop: { Train.interrupted.load(ordering: .relaxed) }
    ) { entry in
      let left =
        Double(configuration.steps - entry.step) * Double(configuration.batch)
        / max(entry.tasksPerSecond, 1e-9)
      let line =
        "step \(entry.step)/\(configuration.steps)  loss \(rounded(entry.loss))"
        + (entry.validation.map { "  validation \(rounded($0))" } ?? "")
        + "  \(Int(entry.tasksPerSecond)) tasks/s  \(duration(left)) left"
      if entry.validation != nil {
        common.progress("")
        common.say(line)
      } else {
        common.progress(line)
      }
    }
    if run.trainer.step < configuration.steps {
      common.say("stopped at step \(run.trainer.step); --resume goes on")
    }
    common.say("model: \(run.modelPath)")
  }

  /// The configuration: the folder's when resuming, else a file's or a prior's defaults, then the flags.
  private func configured() throws -> TrainingConfiguration {
    var configuration: TrainingConfiguration
    if resume, FileManager.default.fileExists(atPath: out + "/configuration.json") {
      configuration = try Run.configuration(in: out)
    } else if what.hasSuffix(".json") {
      do {
        configuration = try JSONDecoder().decode(TrainingConfiguration.self, from: try AtomicFile.read(what))
      } catch let error as DecodingError {
        throw TrainingError.configuration("\(what): \(error)")
      }
      configuration.seed = common.seed
    } else {
      configuration = try TrainingConfiguration.preset(what)
      configuration.seed = common.seed
    }
    if let steps { configuration.steps = steps }
    if let batch { configuration.batch = batch }
    if tasks != nil { configuration.prior = "tasks" }
    try configuration.validate()
    return configuration
  }

  private func prior(_ configuration: TrainingConfiguration) throws -> any Prior {
    if let tasks {
      let sets = try TaskFile(path: tasks).tasks.map { task in
        try Dataset(inputs: Inputs(task.x, dimensions: task.dimensions), y: task.y)
      }
      return try StoredTasks(sets)
    }
    return try Priors.named(configuration.prior)
  }

  private func rounded(_ value: Double) -> String { String((value * 1e4).rounded() / 1e4) }

  private func duration(_ seconds: Double) -> String {
    let total = Int(min(seconds, 1e8))
    return total >= 3600 ? "\(total / 3600) h \(total / 60 % 60) min" : "\(total / 60) min \(total % 60) s"
  }
}
