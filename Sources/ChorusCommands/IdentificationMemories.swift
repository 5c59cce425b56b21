import ArgumentParser
import ChorusExperiments
import ChorusPriors
import ChorusReports
import ChorusTraining
import Foundation

struct IdentificationMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identification",
    abstract:
      "Train small networks that differ in their memory to identify systems in context, beside fitted models.",
    discussion: """
      A system is a filter, a bent line and a filter (Wiener-Hammerstein), drawn anew for every sequence. A network is shown windows of a \
      white input with the output, and simulates the output of a new input, of which it is told no output. The table tells \
      squared errors and log-densities of what is simulated. Its last lines are fitted to the same pairs: a linear model \
      (a finite response, by ridge regression), and a system by who knows the law that systems are drawn from. What is \
      trained is kept in --out: Ctrl-C stops or --budget ends it, and the same command goes on.
      """)

  @Option(help: "Steps of each filter's response; a row is told twice as many inputs, less one.")
  var taps = 4

  @Option(help: "Pairs that are shown; in training a third of them or more.")
  var pairs = 48

  @Option(help: "Outputs that are simulated.")
  var simulated = 16

  @OptionGroup var trial: TrialOptions
  @OptionGroup var common: CommonOptions

  static let memories = ["softmax", "linear", "retention", "gated-delta", "mesa"]

  func validate() throws {
    try trial.check(common)
    guard (2...16).contains(taps) else { throw ValidationError("--taps must be within 2...16") }
    guard (3...1024).contains(pairs) else { throw ValidationError("--pairs must be within 3...1024") }
    guard (2...1024).contains(simulated) else {
      throw ValidationError("--simulated must be within 2...1024")
    }
  }

  func run() throws {
    try reporting {
      let prior = WienerHammersteinPrior()
      var configuration = try TrainingConfiguration.preset(prior.name)
      let inputs = 2 * taps - 1
      (configuration.dimensions, configuration.blueprint.inputDimensions) = ([inputs], inputs)
      (configuration.context, configuration.targets) = ([pairs / 3, pairs], simulated)
      configuration.blueprint.trainedContext = pairs
      trial.apply(to: &configuration)
      let trials = try trial.trials(
        configuration, of: prior, default: Self.memories, common)
      try trial.run(
        trials,
        TrialMeasure(
          columns: [("squared_error", 1, \.squaredError), ("nats", -1, \.logDensity)],
          fits: [
            ("fitted linear model", { try $0.linearLaw() }),
            ("fitted system of the law", { try $0.systemLaw() }),
          ], title: "Systems of two filters of \(taps) steps, identified in context",
          axis: Axis("squared error", includesZero: true),
          caption:
            "Networks of width \(configuration.blueprint.width) and \(configuration.blueprint.layers) layers on the same"
            + " sequences: \(pairs) pairs are shown, \(simulated) outputs simulated. The lines are fitted to the same pairs."
        ),
        common)
    }
  }
}
