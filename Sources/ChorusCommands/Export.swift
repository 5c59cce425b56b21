import ArgumentParser
import ChorusModels
import Foundation

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a model for others: 16-bit weights, with a card.",
    discussion: "Arithmetic stays 32-bit; only the file is half the size. --full keeps 32 bits.")

  @Argument(help: "functions, gp, or a path to a .safetensors file.")
  var model: String

  @Option(help: ArgumentHelp("Where to write it, whole or not at all.", valueName: "file.safetensors"))
  var output: String

  @Option(help: ArgumentHelp("A line for the model's card; may be repeated.", valueName: "key=value"))
  var card: [String] = []

  @Flag(help: "Keep 32-bit weights.")
  var full = false

  @OptionGroup var words: WordOptions

  func validate() throws { _ = try outputs() }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: [:], model: model)
    try outputs.add(tensors: "--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      try outputs().checkPlaces()
      let source = try Model(named: model)
      var lines = source.card
      for line in card {
        let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, !["format", "blueprint", "hash", "sha256"].contains(parts[0]) else {
          throw ValidationError("--card: '\(line)' is not key=value with a key of your own")
        }
        lines[parts[0]] = parts[1]
      }
      try Model(network: source.network, card: lines, source: output).write(to: output, half: !full)
      words.say("\(source.parameterCount) parameters written to \(output)")
    }
  }
}
