import ArgumentParser
import ChorusModels
import ChorusTables
import Foundation

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a model is: its blueprint, size and card.")

  @Argument(help: "functions, gp, or a path to a .safetensors file.")
  var model: String

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  func run() throws {
    try reporting {
      let model = try Model(named: self.model)
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

extension TableFormat: ExpressibleByArgument {}
