import ArgumentParser
import ChorusExperiments
import ChorusPriors
import ChorusReports
import ChorusTraining
import Foundation

struct RegressionMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "regression",
    abstract:
      "Train small networks that differ in their memory to fit linear functions in context, beside ridge regression.",
    discussion: """
      y = b + w·x + noise, drawn anew for every sequence; each value is foretold from its inputs and all pairs before it. The \
      table tells squared errors and log-densities, of the second half of a sequence; its last line is Bayesian ridge regression that \
      knows the law of the weights and the noise, which nobody can do better than. What is trained is kept in --out: Ctrl-C \
      stops or --budget ends it, and the same command goes on.
      """)

  @Option(help: "Inputs of a function.")
  var dimensions = 8

  @Option(help: "Pairs of a sequence.")
  var length = 32

  @OptionGroup var trial: TrialOptions
  @OptionGroup var common: CommonOptions

  static let memories = ["softmax", "linear", "gated-delta", "mesa", "rls"]

  func validate() throws {
    try trial.check(common)
    guard (1...16).contains(dimensions) else { throw ValidationError("--dimensions must be within 1...16") }
    guard (4...1024).contains(length) else { throw ValidationError("--length must be within 4...1024") }
  }

  func run() throws {
    try reporting {
      var configuration = try TrainingConfiguration.preset("linear-regression")
      configuration.prior = "linear-regression"
      (configuration.dimensions, configuration.blueprint.inputDimensions) = ([dimensions], dimensions)
      (configuration.targets, configuration.blueprint.trainedContext) = (length, length)
      trial.apply(to: &configuration)
      let trials = try trial.trials(
        configuration, of: LinearRegressionPrior(), default: Self.memories, common)
      try trial.run(
        trials,
        TrialMeasure(
          columns: [("squared_error", 1, \.squaredError), ("nats", -1, \.logDensity)],
          shape: .init(context: length / 2, targets: length - length / 2, dimensions: dimensions),
          oracle: "ridge", title: "Linear functions of \(dimensions) inputs, fitted in context",
          axis: Axis("squared error", includesZero: true),
          caption:
            "Networks of width \(configuration.blueprint.width) and \(configuration.blueprint.layers) layers on the same"
            + " sequences of \(length) pairs. The line is Bayesian ridge regression that knows the noise."),
        common)
    }
  }
}
