import ArgumentParser
import ChorusData
import ChorusMPI
import ChorusMemories
import ChorusModels
import ChorusPriors
import ChorusStorage
import ChorusTables
import ChorusTensors
import ChorusTraining
import Foundation

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a model on a prior, on tasks of your own, or on a text.",
    discussion: """
      WHAT is a prior (\(Priors.names.joined(separator: ", "))) or a configuration as JSON; its fields are those \
      that a run writes into configuration.json. `chorus train text FILE` trains a model that foretells the next byte of a \
      text; its last tenth is held out and judges it (validation, in bits a byte), and chorus generate goes on with it. The run's folder gets checkpoints, log.jsonl (one line a \
      validation) and model.safetensors (the weights averaged so far). Ctrl-C saves and stops; --resume goes on.
      """)

  @Argument(help: "A prior's name, text, or a configuration file.")
  var what: String

  @Argument(help: ArgumentHelp("The text, where WHAT is text.", valueName: "file"))
  var text: String?

  @Option(help: "Steps of the whole run; the learning rate comes down over them.")
  var steps: Int?

  @Option(help: "Tasks a step.")
  var batch: Int?

  @Option(
    help:
      "Parts that a step's tasks are divided into, a power of two: their gradients are added as a tree, and the bytes depend on this number, not on that of processes. (with --ranks: \(TrainingConfiguration.usualLeaves))"
  )
  var leaves: Int?

  @Flag(help: "Train with the other processes that mpirun has started; a build has it with --traits MPI.")
  var ranks = false

  @Option(help: ArgumentHelp("Folder of the run.", valueName: "dir"))
  var out: String

  @Flag(help: "Go on from the newest checkpoint in the folder.")
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Train on tasks from a file, one JSON object a line: {\"x\": …, \"y\": …}; a first line {\"columns\": [names]} keeps inputs in their places.",
      valueName: "file.jsonl"))
  var tasks: String?

  @Option(help: ArgumentHelp("Begin with the weights of this model.", valueName: "path"))
  var start: String?

  @Option(
    help: ArgumentHelp(
      "Learn changes of low rank to this model and leave its weights as they are. The folder gets adapter.safetensors, a small file that is read beside its base, and model.safetensors with both.",
      valueName: "model"))
  var adapt: String?

  @Option(help: "Rank of the changes that --adapt learns. (default: 8)")
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      "The layers' memory by its name in `chorus memories list`, or one a layer, separated by commas.",
      valueName: "names"))
  var memory: String?

  @Option(
    help: ArgumentHelp(
      "Round matrix products to bf16 while training (chorus info --machine tells whether it is faster here); what is learned is kept in 32 bits. (default: f32, or what the configuration says)",
      valueName: "f32|bf16"))
  var precision: Precision?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try Outputs.check(folder: out, "--out")
    var outputs = Outputs(reading: [
      "WHAT": resume ? nil : what, "the text": text, "--tasks": tasks, "--start": start, "--adapt": adapt,
    ])
    if what == "text", text == nil {
      throw ValidationError("name the text to train on: chorus train text FILE --out DIR")
    }
    if text != nil, tasks != nil || adapt != nil {
      throw ValidationError("a text is what is trained on; leave --tasks and --adapt out")
    }
    if rank != nil, adapt == nil {
      throw ValidationError("--rank belongs to --adapt; name the model to change")
    }
    if let rank, rank < 1 { throw ValidationError("--rank must be at least 1") }
    let started = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].compactMap { ProcessInfo.processInfo.environment[$0] }
    if !ranks, let count = started.compactMap({ Int($0) }).max(), count > 1 {
      throw ValidationError(
        "\(count) processes were started by mpirun; pass --ranks, so that they train together")
    }
    if adapt != nil, start != nil || memory != nil {
      throw ValidationError("--adapt changes a model as it is; leave --start and --memory out")
    }
    for name in ["configuration.json", "log.jsonl", "model.safetensors", "adapter.safetensors"] {
      try outputs.add("--out", out + "/" + name)
    }
  }

  func run() throws {
    try reporting {
      let exchange = try exchange()
      let configuration = try TrainingConfiguration.shared(
        exchange.rank == 0 ? try configured() : nil, over: exchange)
      let stored = try tasks.map { try self.stored($0, configuration) }
      let text = try self.text(configuration)
      let prior = try text?.training ?? self.prior(configuration, stored)
      let base = try adapt.map { try Model(named: $0) }
      if let words = PrecisionOption.warning(configuration.precision) { common.say(words) }
      Interruption.watch()  // after a second Ctrl-C the newest checkpoint stays
      guard exchange.rank == 0 else {
        let trainer = try Trainer(
          configuration, prior: prior, validation: text?.validation, base: base, on: common.pool,
          with: exchange)
        try trainer.follow { Interruption.wanted }
        return try leave(exchange, trainer)
      }
      let from = try start.map { try Model(named: $0) }
      let run = try Run(
        configuration, prior: prior, validation: text?.validation, folder: out, resume: resume, start: from,
        base: base,
        origin: try text?.origin
          ?? stored.map { ["tasks": try Self.checksum($0.sets, keepsColumns: $0.keepsColumns)] } ?? [:],
        on: common.pool, with: exchange)
      for text in run.skipped { common.say("skipped a checkpoint: \(text)") }
      if run.trainer.step > 0 {
        common.say("going on from step \(run.trainer.step) of \(configuration.steps)")
      }
      if let later = run.laterModel {
        common.say("the model there is of step \(later); it stays until the run has come as far again")
      }
      try train(run, configuration)
      try leave(exchange, run.trainer)
    }
  }

  /// The processes that train together.
  private func exchange() throws -> any Exchange {
    guard ranks else { return Alone() }
    #if MPI
      Interruption.watch()
      let common = common
      return try Processes(isEnding: { Interruption.wanted }, say: { words in common.say(words) })
    #else
      throw ValidationError(
        "--ranks needs MPI, which this build is without; swift build -c release --traits MPI has it (docs/install.md)"
      )
    #endif
  }

  private func leave(_ exchange: any Exchange, _ trainer: Trainer) throws {
    #if MPI
      (exchange as? Processes)?.end()
    #endif
    if trainer.step < trainer.configuration.steps { throw ExitCode(Exit.interrupted) }
  }

  private func train(_ run: Run, _ configuration: TrainingConfiguration) throws {
    let command =
      "chorus train \(what)" + (text.map { " \($0)" } ?? "")
      + " --steps \(configuration.steps) --batch \(configuration.batch)"
      + " --seed \(configuration.seed)"
      + (configuration.leaves > 0 ? " --leaves \(configuration.leaves)" : "")
      + (tasks.map { " --tasks \($0)" } ?? "")
      + (start.map { " --start \($0)" } ?? "")
      + (adapt.map { " --adapt \($0) --rank \(configuration.adapterRank)" } ?? "")
      + (memory.map { " --memory \($0)" } ?? "")
      + (configuration.precision == .f32 ? "" : " --precision \(configuration.precision.rawValue)")
    try run.train(
      card: ["prior": configuration.prior, "command": command, "seed": String(configuration.seed)],
      stop: { Interruption.wanted },
      report: { report($0, of: configuration) })
    common.say("model: \(run.modelPath)")
    if run.trainer.step < configuration.steps {
      common.say("stopped at step \(run.trainer.step); --resume goes on")
    }
  }

  private func report(_ entry: Run.Entry, of configuration: TrainingConfiguration) {
    let left =
      Double(configuration.steps - entry.step) * Double(configuration.batch)
      / max(entry.tasksPerSecond, 1e-9)
    let isText = configuration.prior == "text"
    let line =
      "step \(entry.step)/\(configuration.steps)  loss \(rounded(isText ? entry.loss / log(2) : entry.loss))"
      + (entry.validation.map {
        isText ? "  validation \(rounded($0 / log(2))) bits a byte" : "  validation \(rounded($0))"
      } ?? "")
      + "  \(Int(entry.tasksPerSecond)) tasks/s  \(duration(left)) left"
    if entry.validation != nil {
      common.progress("")
      common.say(line)
    } else {
      common.progress(line)
    }
  }

  /// The configuration: a file's or a prior's defaults, then the flags; when resuming, the folder's, which what is given
  /// must not contradict.
  private func configured() throws -> TrainingConfiguration {
    let own = out + "/configuration.json"
    if resume, FileManager.default.fileExists(atPath: own) {
      var configuration = try ConfigurationFile(own).configuration
      try check(configuration)
      if let steps { configuration.steps = steps }
      try configuration.validate()
      return configuration
    }
    var configuration =
      try what.hasSuffix(".json")
      ? ConfigurationFile(what).configuration : TrainingConfiguration.preset(what)
    try applyFlags(&configuration)
    try configuration.validate()
    return configuration
  }

  private func applyFlags(_ configuration: inout TrainingConfiguration) throws {
    if let steps { configuration.steps = steps }
    if let batch { configuration.batch = batch }
    if let leaves { configuration.leaves = leaves }
    if let precision { configuration.precision = precision }
    if ranks, configuration.leaves == 0 { configuration.leaves = TrainingConfiguration.usualLeaves }
    if let seed = common.givenSeed { configuration.seed = seed }
    if tasks != nil { configuration.prior = "tasks" }
    if let adapt {
      // The network is the base's; buffer and context are as large as the tasks of this run.
      var blueprint = try Model(named: adapt).blueprint
      blueprint.trainedBuffer = max(configuration.buffers.max() ?? 0, blueprint.trainedBuffer)
      blueprint.trainedContext = max(configuration.context.last ?? 0, blueprint.trainedContext)
      configuration.blueprint = blueprint
      configuration.adapterRank = rank ?? (configuration.adapterRank > 0 ? configuration.adapterRank : 8)
    }
    if let memory {
      configuration.blueprint.memories = try memory.split(separator: ",").map {
        try MemoryRegistry.named(String($0))
      }
    }
  }

  /// Refuses a setting of the command line or of the file that contradicts the run's own.
  private func check(_ run: TrainingConfiguration) throws {
    var given = run
    var settings: Set<String> = []
    if what.hasSuffix(".json") {
      let file = try ConfigurationFile(what)
      given = file.configuration
      settings = file.given
    } else {
      // A preset's other settings may have been changed by flags that are not repeated now.
      given.prior = try TrainingConfiguration.preset(what).prior
      settings = ["prior"]
    }
    var flagged = given
    try applyFlags(&flagged)
    let flags = Set(try flagged.differences(from: given).map(\.name))
    settings.formUnion(flags)
    for kept in try run.differences(from: given)
    where settings.contains(kept.name) && TrainingConfiguration.changeable.contains(kept.name)
      && !flags.contains(kept.name)
    {
      common.say("\(kept.name) stays \(kept.own), as the run began; \(what) says \(kept.other)")
    }
    settings.subtract(TrainingConfiguration.changeable)
    // Tasks of a file take the place of the prior; without them, the prior is asked for by name below.
    if run.prior == "tasks" { settings.remove("prior") }
    guard let first = try run.differences(from: flagged).first(where: { settings.contains($0.name) }) else {
      return
    }
    let setting = first.name.replacingOccurrences(of: "blueprint.memories", with: "memory")
    let option = "--" + (setting == "prior" ? "tasks" : setting)
    throw TrainingError.configuration(
      "\(out) was begun with \(setting) \(first.own), and \(flags.contains(first.name) ? option : what)"
        + " says \(first.other); resume with the same, or train in another folder")
  }

  /// The tasks of a file, of which some have to be long enough for a step.
  private func stored(
    _ path: String, _ configuration: TrainingConfiguration
  ) throws -> (sets: [Dataset], keepsColumns: Bool) {
    let file = try TaskFile(path: path)
    let sets = try file.datasets
    let most = configuration.context[1] + (configuration.buffers.max() ?? 0) + configuration.targets
    for dimensions in Set(configuration.dimensions).sorted()
    where !sets.contains(where: { $0.dimensions == dimensions && $0.count >= most }) {
      throw TrainingError.configuration(
        "a step takes up to \(most) rows (context \(configuration.context[1]), buffer"
          + " \(configuration.buffers.max() ?? 0), targets \(configuration.targets)) and no task of \(path)"
          + " has so many with \(dimensions) input\(dimensions == 1 ? "" : "s"); bring longer tasks, or a"
          + " configuration with smaller sizes")
    }
    return (sets, file.columns != nil)
  }

  /// What tells the tasks of a run from those of another.
  private static func checksum(_ sets: [Dataset], keepsColumns: Bool) throws -> String {
    var writer = SafetensorsWriter()
    try writer.add(
      "sizes", shape: [sets.count, 2], integers: sets.flatMap { [Int64($0.count), Int64($0.dimensions)] })
    let (x, y) = (sets.flatMap(\.x), sets.flatMap(\.y))
    try writer.add("x", shape: [x.count], doubles: x)
    try writer.add("y", shape: [y.count], doubles: y)
    // Written where it says something, so that tasks without it are those of versions that did not know it.
    if keepsColumns { try writer.add("columns", shape: [1], integers: [Int64(1)]) }
    return writer.sha256
  }

  private func prior(
    _ configuration: TrainingConfiguration, _ stored: (sets: [Dataset], keepsColumns: Bool)?
  ) throws -> any Prior {
    if let stored { return try StoredTasks(stored.sets, keepsColumns: stored.keepsColumns) }
    if configuration.prior == "tasks" {
      throw TrainingError.configuration("this run trains on tasks of a file; pass --tasks FILE.jsonl")
    }
    return try Priors.named(configuration.prior)
  }

  /// The text, cut into what is trained on and what judges it; nil where something else is trained on.
  private func text(_ configuration: TrainingConfiguration) throws -> TrainingText? {
    guard configuration.prior == "text" else {
      guard text == nil else {
        throw TrainingError.configuration(
          "\(what) trains on prior '\(configuration.prior)'; leave the text out, or give a configuration of prior 'text'"
        )
      }
      return nil
    }
    guard let text else {
      throw TrainingError.configuration("this run trains on a text; name it: chorus train \(what) FILE")
    }
    return try TrainingText(path: text, configuration)
  }

  private func rounded(_ value: Double) -> String { String((value * 1e4).rounded() / 1e4) }

  private func duration(_ seconds: Double) -> String {
    let total = Int(min(seconds, 1e8))
    return total >= 3600 ? "\(total / 3600) h \(total / 60 % 60) min" : "\(total / 60) min \(total % 60) s"
  }
}

extension TaskFile {
  /// Its tasks as data sets.
  var datasets: [Dataset] {
    get throws {
      try tasks.map { try Dataset(inputs: Inputs($0.x, dimensions: $0.dimensions), y: $0.y) }
    }
  }
}
