import ArgumentParser
import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTables
import Foundation

struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Predict values of a column from the rows that have one.",
    discussion: """
      Rows with inputs and target are the context. Predicted are the rows whose target is missing, or the points of \
      --at. Quantiles of the drawn paths go to stdout, one row a point, in the file's units; with --output the paths \
      themselves go to a file (path,row,<inputs>,<target>). The note column says what to be careful about.

      Inputs are numbers, or ISO dates (counted in days). --at FIRST..LAST/STEP takes either; the step of a date \
      grid is like 1d, 1w or 12h. With several input columns give one grid for each, separated by commas.
      """)

  @Argument(help: "A CSV file with a header line, or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("Input columns, separated by commas.", valueName: "col[,col]"))
  var input: String

  @Option(help: ArgumentHelp("The column to predict.", valueName: "col"))
  var target: String

  @Option(help: ArgumentHelp("Points to predict at.", valueName: "first..last/step"))
  var at: String?

  @Option(help: "Paths to draw; quantiles are taken over them.")
  var samples = 100

  @Option(help: "Levels between 0 and 1.")
  var quantiles = "0.05,0.5,0.95"

  @Option(
    help: ArgumentHelp(
      "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")).", valueName: "plan"))
  var plan = "sequential"

  @Option(help: "functions, gp, or a path to a .safetensors file.")
  var model = "functions"

  @Option(help: ArgumentHelp("Write the paths to this file, whole or not at all.", valueName: "paths.csv"))
  var output: String?

  @Flag(help: "Draw the noiseless curve instead of values with noise.")
  var latent = false

  @Option(help: ArgumentHelp("Refuse plans that need more arithmetic than this.", valueName: "flop"))
  var flopLimit = Posterior.flopLimit

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (1...10_000_000).contains(samples) else {
      throw ValidationError("--samples must be within 1...10000000")
    }
    var levels: Set<Double> = []
    for level in try numberList(quantiles, option: "--quantiles") {
      guard (0...1).contains(level) else {
        throw ValidationError("--quantiles: \(level) is not between 0 and 1")
      }
      guard levels.insert(level).inserted else {
        throw ValidationError("--quantiles: \(level) is named twice")
      }
    }
    guard flopLimit > 0 else { throw ValidationError("--flop-limit must be positive") }
    if output == "-" { throw ValidationError("--output needs a file; stdout carries the quantiles") }
  }

  func run() throws {
    try reporting {
      let template = try PlanTemplate(parsing: plan)
      let table = try Table.read(path: file)
      let names = input.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      let selection = try table.select(inputs: names, target: target)
      _ = try columns(selection)
      let data = try dataset(selection)
      let points = try self.points(selection)
      let model = try Model(named: self.model)
      let pool = common.pool
      if let output { try checkFolder(of: output) }
      let posterior = try model.condition(on: data, pool: pool)
      let (cost, work) = try posterior.cost(at: points, plan: template, paths: samples)
      common.progress(
        "\(data.count) rows, \(points.count) points, \(samples) paths: \(cost.calls) network calls,"
          + " \((work.total / 1e9).rounded()) GFLOP")
      let count = samples
      let drawn = try posterior.sample(
        samples, at: points, plan: template, seed: common.seed, latent: latent, flopLimit: flopLimit
      ) { done in common.progress("\(done) of \(count) paths") }
      common.progress("")
      for note in drawn.notes { common.say("note: \(note)") }
      if !selection.incomplete.isEmpty {
        common.say("note: \(selection.incomplete.count) rows lack an input and were left out")
      }
      // The file first: whoever reads stdout may stop early, which ends this process.
      if let output { try write(drawn, points, selection, to: pathWriter(output, selection)) }
      try writeQuantiles(drawn, points, selection)
    }
  }

  /// Finds out before the work that nothing could be written after it.
  private func checkFolder(of path: String) throws {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw TableError(
        .system, path, "can not be made: its folder is not there or not writable. Check the folder.")
    }
  }

  private func dataset(_ selection: Selection) throws -> Dataset {
    guard selection.observed.indices.count >= 2 else {
      throw InferenceError.input(
        "\(file): \(selection.observed.indices.count) rows have both \(input) and \(target); at least 2 are needed"
      )
    }
    return try Dataset(
      inputs: Inputs(selection.observed.inputs, dimensions: selection.dimensions),
      y: selection.observed.targets)
  }

  private func points(_ selection: Selection) throws -> Inputs {
    if let at {
      let grid = try GridSpecification.parse(at, dimensions: selection.dimensions)
      for (axis, (name, kind)) in zip(grid.axes, zip(selection.inputs, selection.kinds))
      where (axis.kind == .number) != (kind == .number) {
        throw TableError(
          .grid, "--at",
          "column '\(name)' holds \(kind == .number ? "numbers" : "dates") and the grid \(kind == .number ? "dates" : "numbers")."
        )
      }
      return try Inputs(grid.points, dimensions: selection.dimensions)
    }
    guard !selection.missing.indices.isEmpty else {
      throw InferenceError.input(
        "\(file): no row lacks a value of '\(target)', so there is nothing to predict; pass --at FIRST..LAST/STEP"
      )
    }
    return try Inputs(selection.missing.inputs, dimensions: selection.dimensions)
  }

  private func inputCells(_ points: Inputs, _ row: Int, _ selection: Selection) -> [Cell] {
    zip(points[row], selection.kinds).map { value, kind in
      if case .number = kind { return .number(value) }
      // A date grid may step by hours.
      if kind == .date, value != value.rounded() { return .value(value, .dateTime(utc: false)) }
      return .value(value, kind)
    }
  }

  /// Columns of the table on stdout; an input that has the name of one of ours is refused, since a reader of the
  /// table could not tell them apart.
  private func columns(_ selection: Selection) throws -> [String] {
    let own = ["mean"] + (try numberList(quantiles, option: "--quantiles")).map { "q\($0)" } + ["note"]
    if let taken = selection.inputs.first(where: own.contains) {
      throw TableError(
        .unknownColumn, file, "the input column '\(taken)' has the name of an output column; rename it.")
    }
    return selection.inputs + own
  }

  private func writeQuantiles(_ drawn: Posterior.Samples, _ points: Inputs, _ selection: Selection) throws {
    let levels = try numberList(quantiles, option: "--quantiles")
    let writer = try RowWriter(
      columns: try columns(selection), format: format, to: .standardOutput)
    let values = drawn.quantiles(levels)
    let means = drawn.means
    let note = drawn.notes.map(\.description).joined(separator: "; ")
    for row in 0..<points.count {
      try writer.write(
        inputCells(points, row, selection) + [.number(means[row])] + values[row].map { .number($0) }
          + [note.isEmpty ? .missing : .text(note)])
    }
    try writer.finish()
  }

  private func pathWriter(_ path: String, _ selection: Selection) throws -> RowWriter {
    let columns = ["path", "row"] + selection.inputs + [selection.target]
    return try RowWriter(
      columns: columns, format: path.hasSuffix(".jsonl") ? .jsonl : .csv, to: .file(path))
  }

  private func write(
    _ drawn: Posterior.Samples, _ points: Inputs, _ selection: Selection, to writer: RowWriter
  ) throws {
    for (path, values) in drawn.paths.enumerated() {
      for row in 0..<points.count {
        try writer.write(
          [.integer(path), .integer(row)] + inputCells(points, row, selection) + [.number(values[row])])
      }
    }
    try writer.finish()
  }
}
