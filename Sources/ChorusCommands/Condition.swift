import ArgumentParser
import ChorusInference
import ChorusModels
import ChorusStorage
import Foundation

struct Condition: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read the rows of a file once and keep what the model made of them.",
    discussion: """
      The rows with inputs and target are encoded and written to a file, which chorus predict --context asks as often \
      as wanted: with the same answers as from the rows, bit for bit on the same machine. It belongs to one model, by \
      a checksum of its weights, and keeps columns, units and dates.

      A context reveals the data: the rows can be read back from it. Share it as you would share the file.
      """)

  @Argument(help: "A file of rows: CSV, TSV, JSON lines, .npy or .npz, each also as .gz; or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("Input columns, separated by commas.", valueName: "col[,col]"))
  var input: String

  @Option(help: ArgumentHelp("The column to predict.", valueName: "col"))
  var target: String

  @Option(
    help: ArgumentHelp("Where to write it, whole or not at all.", valueName: "context.safetensors"))
  var output: String

  @Option(help: "functions, gp, or a path to a .safetensors file.")
  var model = "functions"

  @Option(
    help: ArgumentHelp(
      "Units of columns; without, what a header like \"accel (g)\" has in brackets.",
      valueName: "col=unit[,col=unit]"))
  var units: String?

  @OptionGroup var scale: ScaleOption

  @OptionGroup var reading: ReadingOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    _ = try outputs()
  }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FILE": file], model: model)
    try outputs.add(tensors: "--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      let observations = try Observations(
        file: file, input: input, target: target, units: units, reading: reading)
      let model = try Model(named: self.model)
      try outputs().checkPlaces()
      let posterior = try model.condition(on: observations.data, values: scale.choice, pool: common.pool)
      for word in observations.words { common.say("note: \(word.text)") }
      for note in posterior.notes { common.say("note: \(note)") }
      let incomplete = observations.selection.incomplete.count
      if incomplete > 0 { common.say("note: \(incomplete) rows lack an input and were left out") }
      try posterior.write(to: output, card: ContextCard.entries(observations.selection))
      common.say(
        "\(posterior.rows) rows kept in \(output); it reveals them: share it as you would share the data")
    }
  }
}
