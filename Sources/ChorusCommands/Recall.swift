import ArgumentParser
import ChorusExperiments
import ChorusLayers
import ChorusMemories
import ChorusPriors
import ChorusReports
import ChorusTraining
import Foundation

struct Recall: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train small networks that differ in their memory to recall pairs, and compare what each can.",
    discussion: """
      Multi-query associative recall: keys with their values, then some of the keys again, each of which asks for its value. \
      Every memory gets a network of the same size, trained on the same sequences; the table tells the share of values \
      that were the likeliest token, and the bytes of the state that all of a sequence is told by. Between the questions \
      stands token 0, or with --fillers random any token, which may be a key with another value behind it.

      What is trained is kept in --out: Ctrl-C stops or --budget ends it, and the same command goes on.
      """)

  /// One of each kind of rule.
  static let memories = [
    "softmax", "linear", "retention", "mamba-2", "deltanet", "gated-delta", "mesa", "ttt-linear",
  ]

  @Option(help: ArgumentHelp("Folder of the trained networks.", valueName: "dir"))
  var out: String

  @Option(help: "Tokens of a sequence.")
  var length = 64

  @Option(help: "Pairs of a sequence.")
  var pairs = 4

  @Option(help: "Tokens that there are: one for nothing, and about half each for keys and values.")
  var vocabulary = 64

  @Option(help: "zeros or random.")
  var fillers = "zeros"

  @OptionGroup var trial: TrialOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    try Outputs.check(folder: out, "--out")
    guard ["zeros", "random"].contains(fillers) else {
      throw ValidationError("--fillers must be zeros or random")
    }
    guard (8...4096).contains(vocabulary) else {
      throw ValidationError("--vocabulary must be within 8...4096")
    }
    let most = RecallPrior(vocabulary: vocabulary).pairs
    guard (1...most).contains(pairs) else {
      throw ValidationError("--pairs must be within 1...\(most), the keys of a vocabulary of \(vocabulary)")
    }
    guard (4 * pairs...8192).contains(length) else {
      throw ValidationError("--length must be within \(4 * pairs)...8192, four tokens a pair and more")
    }
    if common.givenSeed != nil {
      throw ValidationError("--seed: seeds count from 1; say how many by --seeds")
    }
    var outputs = Outputs(reading: [:])
    try outputs.add("--plot", trial.plot)
  }

  func run() throws {
    try reporting {
      let prior = RecallPrior(
        fillers: fillers == "random" ? .random : .zeros, vocabulary: vocabulary)
      var configuration = try TrainingConfiguration.preset(prior.name)
      configuration.context = [2 * pairs, 2 * pairs]
      configuration.targets = length - 2 * pairs
      configuration.blueprint.trainedContext = length
      configuration.blueprint.head = .categorical(levels: vocabulary)
      trial.apply(to: &configuration)
      let trials = try MemoryTrials(
        configuration, memories: trial.names(default: Self.memories), seeds: trial.seeds, folder: out,
        prior: prior, on: common.pool)
      let title = "\(pairs) pairs in \(length) tokens, \(fillers) between"
      try trial.run(
        trials,
        TrialMeasure(
          columns: [("accuracy", 1, \.accuracy), ("nats", -1, \.logDensity)], title: "Recall: \(title)",
          axis: Axis("values told right", includesZero: true),
          caption:
            "Networks of width \(configuration.blueprint.width) and \(configuration.blueprint.layers) layers on the same"
            + " sequences. The state is what a memory holds of \(length) tokens, in all layers."),
        common)
    }
  }
}
