import ArgumentParser
import ChorusData
import ChorusMemories
import ChorusModels
import ChorusPriors
import ChorusStorage
import ChorusTables
import ChorusTensors
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

  @Option(
    help: ArgumentHelp(
      "The layers' memory by its name in `chorus memories list`, or one a layer, separated by commas.",
      valueName: "names"))
  var memory: String?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try Outputs.check(folder: out, "--out")
    var outputs = Outputs(reading: ["WHAT": resume ? nil : what, "--tasks": tasks, "--start": start])
    for name in ["configuration.json", "log.jsonl", "model.safetensors"] {
      try outputs.add("--out", out + "/" + name)
    }
  }

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
      // A second Ctrl-C ends the process at once; the newest checkpoint stays.
      signal(SIGINT) { _ in
        Train.interrupted.store(true, ordering: .relaxed)
        signal(SIGINT, SIG_DFL)
      }
      signal(SIGTERM) { _ in Train.interrupted.store(true, ordering: .relaxed) }
      try train(&run, configuration)
    }
  }

  private func train(_ run: inout Run, _ configuration: TrainingConfiguration) throws {
    let command =
      "chorus train \(what) --steps \(configuration.steps) --batch \(configuration.batch)"
      + " --seed \(configuration.seed)" + (tasks.map { " --tasks \($0)" } ?? "")
      + (start.map { " --start \($0)" } ?? "") + (memory.map { " --memory \($0)" } ?? "")
    try run.train(
      card: ["prior": configuration.prior, "command": command, "seed": String(configuration.seed)],
      stop: { Train.interrupted.load(ordering: .relaxed) },
      report: { report($0, of: configuration) })
    if run.trainer.step < configuration.steps {
      common.say("stopped at step \(run.trainer.step); --resume goes on")
    }
    common.say("model: \(run.modelPath)")
  }

  private func report(_ entry: Run.Entry, of configuration: TrainingConfiguration) {
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

  /// The configuration: the folder's when resuming, else a file's or a prior's defaults, then the flags.
  private func configured() throws -> TrainingConfiguration {
    var configuration: TrainingConfiguration
    if resume, FileManager.default.fileExists(atPath: out + "/configuration.json") {
      do { configuration = try Run.configuration(in: out) } catch let error as DecodingError {
        throw TrainingError.configuration("\(out)/configuration.json \(words(error))")
      }
    } else if what.hasSuffix(".json") {
      do {
        let data = try AtomicFile.read(what)
        configuration = try JSONDecoder().decode(TrainingConfiguration.self, from: data)
        try refuseUnknown(data)
      } catch let error as DecodingError {
        throw TrainingError.configuration("\(what) \(words(error))")
      }
      if let seed = common.givenSeed { configuration.seed = seed }
    } else {
      configuration = try TrainingConfiguration.preset(what)
      configuration.seed = common.seed
    }
    if let steps { configuration.steps = steps }
    if let batch { configuration.batch = batch }
    if tasks != nil { configuration.prior = "tasks" }
    if let memory {
      configuration.blueprint.memories = try memory.split(separator: ",").map {
        try MemoryRegistry.named(String($0))
      }
    }
    try configuration.validate()
    return configuration
  }

  private func prior(_ configuration: TrainingConfiguration) throws -> any Prior {
    if let tasks {
      let sets = try TaskFile(path: tasks).tasks.map { task in
        try Dataset(inputs: Inputs(task.x, dimensions: task.dimensions), y: task.y)
      }
      let most = configuration.context[1] + (configuration.buffers.max() ?? 0) + configuration.targets
      for dimensions in Set(configuration.dimensions).sorted()
      where !sets.contains(where: { $0.dimensions == dimensions && $0.count >= most }) {
        throw TrainingError.configuration(
          "a step takes up to \(most) rows (context \(configuration.context[1]), buffer"
            + " \(configuration.buffers.max() ?? 0), targets \(configuration.targets)) and no task of \(tasks)"
            + " has so many with \(dimensions) input\(dimensions == 1 ? "" : "s"); bring longer tasks, or a"
            + " configuration with smaller sizes")
      }
      return try StoredTasks(sets)
    }
    if configuration.prior == "tasks" {
      throw TrainingError.configuration("this run trains on tasks of a file; pass --tasks FILE.jsonl")
    }
    return try Priors.named(configuration.prior)
  }

  /// Refuses a setting that nothing reads: a mistyped name would train something else for hours.
  private func refuseUnknown(_ data: Data) throws {
    func check(_ given: [String: Any], _ known: [String: Any], _ prefix: String) throws {
      for name in given.keys.sorted() {
        guard let value = known[name] else {
          let names = known.keys.sorted()
          let near = Suggestion.nearest(to: name, among: names).map { " Did you mean '\($0)'?" } ?? ""
          throw TrainingError.configuration(
            "\(what): there is no setting '\(prefix)\(name)'; known are"
              + " \(names.joined(separator: ", ")).\(near)")
        }
        if let inner = given[name] as? [String: Any], let value = value as? [String: Any] {
          try check(inner, value, name + ".")
        }
      }
    }
    let all = try JSONSerialization.jsonObject(with: JSONEncoder().encode(TrainingConfiguration()))
    if let given = try JSONSerialization.jsonObject(with: data) as? [String: Any],
      let known = all as? [String: Any]
    {
      try check(given, known, "")
    }
  }

  /// The decoder's error in a few words.
  private func words(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
      context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    switch error {
    case .typeMismatch(_, let context) where context.codingPath.isEmpty:
      return "is no JSON object of settings"
    case .typeMismatch(let type, let context):
      return "has in '\(place(context))' something that is no \(type)"
    case .valueNotFound(_, let context): return "has no value in '\(place(context))'"
    case .dataCorrupted(let context):
      let at = context.codingPath.isEmpty ? "" : " in '\(place(context))'"
      return "cannot be read\(at): \(context.debugDescription)"
    default: return "is not JSON with an object of settings"
    }
  }

  private func rounded(_ value: Double) -> String { String((value * 1e4).rounded() / 1e4) }

  private func duration(_ seconds: Double) -> String {
    let total = Int(min(seconds, 1e8))
    return total >= 3600 ? "\(total / 3600) h \(total / 60 % 60) min" : "\(total / 60) min \(total % 60) s"
  }
}
