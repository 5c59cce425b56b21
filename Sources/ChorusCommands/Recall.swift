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
    commandName: "recall",
    abstract: "Train small networks that differ in their memory to recall pairs, and compare what each can.",
    discussion: """
      Multi-query associative recall: keys with their values, then some of the keys again, each of which asks for its value. \
      Every memory gets a network of the same size, trained on the same sequences; the table tells the share of values \
      that were the likeliest token, and the bytes of the state that all of a sequence is told by. Between the questions \
      stands token 0, or with --fillers random any token, which may be a key with another value behind it.

      With --keys vectors a pair is one row, of a random unit vector and a level, and a question a vector alone: nothing has to be \
      put together, so a memory alone is asked. Networks have one layer and are trained on 4 pairs up to --pairs; another number of \
      --pairs with --table-only asks those that are there.

      What is trained is kept in --out: Ctrl-C stops or --budget ends it, and the same command goes on.
      """)

  /// One of each kind of rule.
  static let memories = [
    "softmax", "linear", "retention", "mamba-2", "deltanet", "gated-delta", "mesa", "ttt-linear",
  ]

  @Option(help: "What keys are: tokens or vectors.")
  var keys = "tokens"

  @Option(help: "Tokens of a sequence (64).")
  var length: Int?

  @Option(help: "Pairs of a sequence (4); of vectors (64).")
  var pairs: Int?

  @Option(help: "Tokens that there are: one for nothing, and about half each for keys and values (64).")
  var vocabulary: Int?

  @Option(help: "What stands between the questions, zeros or random (zeros).")
  var fillers: String?

  @Option(help: "Coordinates of a key that is a vector (32).")
  var dimensions: Int?

  @OptionGroup var trial: TrialOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    try trial.check(common)
    guard ["tokens", "vectors"].contains(keys) else {
      throw ValidationError("--keys must be tokens or vectors")
    }
    if keys == "vectors" { try validateVectors() } else { try validateTokens() }
  }

  private func validateTokens() throws {
    guard ["zeros", "random"].contains(fillers ?? "zeros") else {
      throw ValidationError("--fillers must be zeros or random")
    }
    if dimensions != nil { throw ValidationError("--dimensions belongs to --keys vectors; leave it out") }
    let vocabulary = self.vocabulary ?? 64
    guard (8...4096).contains(vocabulary) else {
      throw ValidationError("--vocabulary must be within 8...4096")
    }
    let (pairs, most) = (self.pairs ?? 4, RecallPrior(vocabulary: vocabulary).pairs)
    guard (1...most).contains(pairs) else {
      throw ValidationError("--pairs must be within 1...\(most), the keys of a vocabulary of \(vocabulary)")
    }
    guard (4 * pairs...8192).contains(length ?? 64) else {
      throw ValidationError("--length must be within \(4 * pairs)...8192, four tokens a pair and more")
    }
  }

  private func validateVectors() throws {
    for (name, given) in [
      ("--length", length != nil), ("--fillers", fillers != nil), ("--vocabulary", vocabulary != nil),
    ] where given {
      throw ValidationError("\(name) belongs to --keys tokens; leave it out")
    }
    guard (4...1024).contains(pairs ?? 64) else { throw ValidationError("--pairs must be within 4...1024") }
    guard (2...64).contains(dimensions ?? 32) else {
      throw ValidationError("--dimensions must be within 2...64")
    }
  }

  func run() throws {
    try reporting {
      let prior: any Prior
      let (title, rows): (String, Int)
      var configuration: TrainingConfiguration
      if keys == "vectors" {
        let (pairs, dimensions) = (self.pairs ?? 64, self.dimensions ?? 32)
        prior = VectorRecallPrior()
        configuration = try TrainingConfiguration.preset(prior.name)
        (configuration.context, configuration.targets) = ([4, pairs], min(pairs, 32))
        (configuration.dimensions, configuration.blueprint.inputDimensions) = ([dimensions], dimensions)
        configuration.blueprint.trainedContext = pairs
        (title, rows) = ("\(pairs) pairs, keys of \(dimensions) numbers", pairs + configuration.targets)
      } else {
        let (pairs, length, vocabulary) = (self.pairs ?? 4, self.length ?? 64, self.vocabulary ?? 64)
        prior = RecallPrior(fillers: fillers == "random" ? .random : .zeros, vocabulary: vocabulary)
        configuration = try TrainingConfiguration.preset(prior.name)
        configuration.context = [2 * pairs, 2 * pairs]
        configuration.targets = length - 2 * pairs
        configuration.blueprint.trainedContext = length
        configuration.blueprint.head = .categorical(levels: vocabulary)
        (title, rows) = ("\(pairs) pairs in \(length) tokens, \(fillers ?? "zeros") between", length)
      }
      trial.apply(to: &configuration)
      let trials = try trial.trials(
        configuration, of: prior, default: Self.memories, common)
      try trial.run(
        trials,
        TrialMeasure(
          columns: [("accuracy", 1, \.accuracy), ("nats", -1, \.logDensity)], title: "Recall: \(title)",
          axis: Axis("values told right", includesZero: true),
          caption:
            "Networks of width \(configuration.blueprint.width) and \(configuration.blueprint.layers) layers on the same"
            + " sequences. The state is what a memory holds of \(rows) rows, in all layers."),
        common)
    }
  }
}
