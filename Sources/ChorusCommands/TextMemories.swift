import ArgumentParser
import ChorusExperiments
import ChorusReports
import ChorusTraining
import Foundation

struct TextMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "text",
    abstract: "Train small models of a text that differ in their memory, and compare them in bits a byte.",
    discussion: """
      Every memory gets a network of the same size, as `chorus train text` trains one. They are asked about windows of the \
      text's last tenth, which none has seen: the second half of each window, so that every byte has as many before it. \
      What is trained is kept in --out: Ctrl-C stops or --budget ends it, and the same command goes on.
      """)

  @Argument(help: ArgumentHelp("The text.", valueName: "file"))
  var text: String

  @OptionGroup var trial: TrialOptions
  @OptionGroup var common: CommonOptions

  static let memories = [
    "softmax", "linear-elu", "retention", "mamba-2", "gated-delta", "mesa", "mlstm",
  ]

  func validate() throws {
    try trial.check(common, reading: ["the text": text])
  }

  func run() throws {
    try reporting {
      var configuration = try TrainingConfiguration.preset("text")
      trial.apply(to: &configuration)
      let text = try TrainingText(path: self.text, configuration)
      let trials = try trial.trials(
        configuration, of: text.training, validation: text.validation, origin: text.origin,
        default: Self.memories, common)
      let half = configuration.targets / 2
      try trial.run(
        trials,
        TrialMeasure(
          columns: [("bits_a_byte", -1 / log(2), \.logDensity), ("bytes_told_right", 1, \.accuracy)],
          shape: .init(context: half, targets: configuration.targets - half), title: "A text, by memory",
          axis: Axis("bits a byte"),
          caption:
            "Networks of width \(configuration.blueprint.width) and \(configuration.blueprint.layers) layers on the same"
            + " windows of \(configuration.targets) bytes. The state is what a memory holds of a window, in all layers."
        ),
        common)
    }
  }
}
