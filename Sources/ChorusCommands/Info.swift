import ArgumentParser
import ChorusModels
import ChorusQuestions
import ChorusTables
import ChorusTensors
import Foundation

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Say what a model is: its blueprint, size and card; or what this machine can do.")

  @Argument(help: "\(ModelLocation.shipped.joined(separator: ", ")), or a path to a .safetensors file.")
  var model: String?

  @Flag(
    help:
      "Say which instructions the kernels use here, how bf16 is computed, and how many times as fast as f32 a product of it is."
  )
  var machine = false

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  func validate() throws {
    guard (model == nil) == machine else {
      throw ValidationError(
        machine ? "--machine tells of no model; leave it out" : "name a model, or ask for --machine")
    }
  }

  func run() throws {
    try reporting {
      guard let name = model else { return try tellMachine() }
      let model = try Model(named: name)
      let blueprint = model.blueprint
      let writer = try RowWriter(columns: ["property", "value"], format: format, to: .standardOutput)
      func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
      }
      func row(_ name: String, _ value: String) throws { try writer.write([.text(name), .text(value)]) }
      try row("file", URL(fileURLWithPath: model.source).lastPathComponent)
      try row("parameters", String(model.parameterCount))
      try row("width", String(blueprint.width))
      try row("layers", String(blueprint.layers))
      try row("heads", String(blueprint.heads))
      try row("feed_forward", String(blueprint.feedForward))
      try row("input_dimensions", String(blueprint.inputDimensions))
      try row("frequencies", String(blueprint.frequencies))
      try row("hints", json(blueprint.hints))
      try row("head", json(blueprint.head))
      try row("norm", blueprint.norm.rawValue)
      try row("scaling", blueprint.scaling.rawValue)
      try row("trained_context", String(blueprint.trainedContext))
      try row("trained_buffer", String(blueprint.trainedBuffer))
      for (key, value) in model.card.sorted(by: { $0.key < $1.key }) { try row(key, value) }
      try writer.finish()
    }
  }
}

extension Info {
  private func tellMachine() throws {
    let writer = try RowWriter(columns: ["property", "value"], format: format, to: .standardOutput)
    for (name, value) in [
      ("instruction_set", Machine.instructionSet),
      ("bf16", Precision.bfloat16Path.rawValue),
      ("bf16_rate", String(format: "%.2f", Machine.bfloat16Rate())),
      ("cores", String(ProcessInfo.processInfo.activeProcessorCount)),
    ] {
      try writer.write([.text(name), .text(value)])
    }
    try writer.finish()
  }
}

extension TableFormat: ExpressibleByArgument {}
extension Digits: ExpressibleByArgument {}
