import ArgumentParser
import ChorusModels
import Foundation

/// `chorus import`: models of other projects, read into this program's form.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Read a model of another project into a file that Chorus works with.",
    subcommands: [ImportNanoACE.self, ImportTabICL.self])
}

struct ImportNanoACE: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nanoace",
    abstract: "Import nanoACE's arbuffer weights.",
    discussion: """
      FOLDER has the manifest.json and the blob of 16-bit weights that nanoACE's playground publishes for gp1d_arbuffer. \
      What the model says of values is taken over, number by number; what it says of latent variables is left behind. \
      Its inputs lie within ±1. The model was never shown an empty context.
      """)

  @Argument(help: "A folder with manifest.json and the weights that it names.")
  var folder: String

  @Option(help: ArgumentHelp("Where to write the model, whole or not at all.", valueName: "file.safetensors"))
  var output: String

  @Option(help: "Rows of the largest context the model was trained on; its files do not tell.")
  var trainedContext = 20

  @Option(help: "Rows of the largest buffer the model was trained on; its files do not tell.")
  var trainedBuffer = 64

  @OptionGroup var words: WordOptions

  func validate() throws {
    guard (1...1_000_000).contains(trainedContext), (1...1_000_000).contains(trainedBuffer) else {
      throw ValidationError("--trained-context and --trained-buffer must be within 1...1000000")
    }
    _ = try outputs()
  }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FOLDER": folder + "/manifest.json"])
    try outputs.add(tensors: "--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      try outputs().checkPlaces()
      let source = try NanoACE(folder: folder)
      let model = try source.model(context: trainedContext, buffer: trainedBuffer)
      try model.write(to: output, half: false)
      words.say("\(source.task): \(model.parameterCount) parameters written to \(output)")
    }
  }
}

struct ImportTabICL: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tabicl",
    abstract: "Import a checkpoint of TabICL's.",
    discussion: """
      FILE is what tools/convert_tabicl.py makes of a checkpoint, which is a pickle and never read by this program. The \
      network is taken over, number by number: a regressor tells quantiles, a classifier probabilities of the levels 0, 1, 2 … What \
      TabICL's package does around it (ensembles, trees for many classes, outliers) is not. Paths are joint only after \
      `chorus train … --adapt`: the buffer has seen no training.
      """)

  @Argument(help: "A checkpoint as tools/convert_tabicl.py writes it.")
  var file: String

  @Option(help: ArgumentHelp("Where to write the model, whole or not at all.", valueName: "file.safetensors"))
  var output: String

  @Option(help: "Rows of the largest context the model was trained on; its file does not tell.")
  var trainedContext = 1024

  @Option(help: "The most columns that the model takes.")
  var columns = 100

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (1...1_000_000).contains(trainedContext) else {
      throw ValidationError("--trained-context must be within 1...1000000")
    }
    guard (1...4096).contains(columns) else { throw ValidationError("--columns must be within 1...4096") }
    _ = try outputs()
  }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FILE": file])
    try outputs.add(tensors: "--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      try outputs().checkPlaces()
      let source = try TabICL(path: file)
      let model = try source.model(context: trainedContext, columns: columns)
      try model.write(to: output, half: false)
      let kind = source.isClassifier ? "classifier" : "regressor"
      common.say("TabICL \(kind): \(model.parameterCount) parameters written to \(output)")
    }
  }
}
