import ArgumentParser
import ChorusFiles
import ChorusMemories
import ChorusTables
import ChorusTensors
import Foundation

struct Memories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memories",
    abstract: "List the memories a layer can have, or compare models that differ in them.",
    subcommands: [
      ListMemories.self, CompareMemories.self, GoldenMemories.self, TextMemories.self,
      RegressionMemories.self, IdentificationMemories.self, BenchMemories.self,
    ])
}

struct ListMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Every memory with its choices, what it can do, and what its state takes.",
    discussion: """
      A memory is a regression from keys to values solved inside the forward pass: weights of the rows, a feature map, \
      a class of functions, a loss, an optimiser, a read-out; a buffer of its own where it has one. state and cost are a \
      head's: N context rows, k buffer rows, head width d, f features; bytes is what one layer's context really takes. \
      Give a name to `chorus train --memory`, or the choices as JSON in a configuration's blueprint.memories.
      """)

  @Option(help: "Width of a layer.")
  var width = 64

  @Option(help: "Heads of a layer.")
  var heads = 4

  @Option(help: "Context rows N that bytes is told for.")
  var context = 1024

  @Option(help: "csv, jsonl, markdown, or rules: a table in markdown of what each computes.")
  var format = "csv"

  static let columns = [
    "name", "weights", "features", "function", "loss", "optimiser", "read_out", "buffer", "set_context",
    "fixed_state", "merge", "state", "bytes", "cost", "source",
  ]

  func validate() throws {
    guard (1...1_000_000).contains(context) else { throw ValidationError("--context must be at least 1") }
    guard heads > 0, width > 0, width <= 4096, width % heads == 0 else {
      throw ValidationError("--width must be a multiple of --heads")
    }
    guard ["csv", "jsonl", "markdown", "rules"].contains(format) else {
      throw ValidationError("--format must be csv, jsonl, markdown or rules")
    }
  }

  func run() throws {
    try reporting {
      guard let format = TableFormat(rawValue: format) else {
        let table = try self.format == "rules" ? MemoryRegistry.rules() : markdown()
        return try StandardStreams.write((table + "\n").utf8)
      }
      let writer = try RowWriter(columns: Self.columns, format: format, to: .standardOutput)
      for entry in MemoryRegistry.all { try writer.write(try cells(entry).map(\.cell)) }
      try writer.finish()
    }
  }

  /// A cell and its text in a table for people.
  private struct Entry {
    let cell: Cell
    let text: String
    init(_ text: String) { (cell, self.text) = (.text(text), text) }
    init(_ number: Int) { (cell, text) = (.integer(number), String(number)) }
    init(_ flag: Bool) { (cell, text) = (.text(flag ? "yes" : "no"), flag ? "yes" : "no") }
  }

  private func cells(_ entry: MemoryRegistry.Entry) throws -> [Entry] {
    let spec = entry.layer.context
    let compiled = try CompiledMemory(
      entry.layer, AttentionSizes(heads: heads, width: width / heads), set: false)
    var table = ParameterTable()
    let handles = compiled.shape.parameters.map { table.declare($0.name, 1, $0.count) }
    let memory = compiled.memory(Weights(table), handles)
    let can = memory.capability
    return [
      Entry(entry.name), Entry(spec.weights.rawValue), Entry(spec.features), Entry(spec.function.rawValue),
      Entry(spec.loss.text), Entry(spec.optimiser.text), Entry(spec.readOut.rawValue),
      Entry(entry.layer.buffer.flatMap { MemoryRegistry.name(of: LayerMemory($0)) } ?? ""),
      Entry(can.holdsSet), Entry(can.fixedState), Entry(can.merge), Entry(entry.state),
      Entry(memory.contextBytes(rows: context)), Entry(entry.cost), Entry(entry.source),
    ]
  }

  /// The table of the README.
  func markdown() throws -> String {
    let shown = [
      "name", "weights", "features", "function", "optimiser", "read_out", "set_context", "fixed_state",
      "bytes",
      "source",
    ]
    let places = shown.compactMap { Self.columns.firstIndex(of: $0) }
    let lines = try MemoryRegistry.all.map { entry in
      let row = try cells(entry)
      return "| " + places.map { row[$0].text }.joined(separator: " | ") + " |"
    }
    return (["| " + shown.joined(separator: " | ") + " |", "|" + shown.map { _ in "---|" }.joined()] + lines)
      .joined(separator: "\n")
  }
}

struct GoldenMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "golden",
    abstract: "Three small experiments that tell memories apart before any training, beside known figures.",
    discussion: """
      Recall from correlated keys, regression inside one forward pass on maps that hold or change, and multi-query \
      associative recall of random tokens (the settings are in the source, GoldenTables.swift and RecallTable.swift). A row for each setting and memory: value as computed here, known as found by others \
      with other random numbers.
      """)

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  func run() throws {
    try reporting {
      let writer = try RowWriter(
        columns: ["table", "setting", "memory", "value", "known"], format: format, to: .standardOutput)
      for table in try GoldenTables.all() {
        for row in table.rows {
          for cell in row.cells {
            try writer.write([
              .text(table.title), .text(row.setting), .text(cell.memory), .number(cell.value),
              cell.known.map { .number($0) } ?? .missing,
            ])
          }
        }
      }
      try writer.finish()
    }
  }
}
