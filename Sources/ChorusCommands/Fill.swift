import ArgumentParser
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusTables
import ChorusTensors
import Foundation

struct Fill: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fill",
    abstract: "Fill the missing cells of a table, jointly.",
    discussion: """
      Every missing cell of a column of numbers or categories is drawn --samples times, given all other columns: columns \
      with fewer missing cells first, what is drawn of one being a feature of the next, and the rows of a column of \
      numbers together. Cells that are there stay as they are.

      stdout has the table with each missing cell filled by its mean or its likeliest level: one good guess. For an \
      analysis that has to know how sure they are, --output writes one whole table a path (path, then the columns), \
      which is what multiple imputation takes. --report writes a row for each filled cell: row, column, its mean or \
      likeliest level with its probability, its standard deviation, and quantiles.

      A category is asked of the model classes, numbers of the model tables; --model tables leaves categories to estimators, \
      each row by itself.

      Numbers are written with as many decimals as the column has, and are not below 0 where none of the column is. Dates, \
      and texts of which nearly each is another, are not filled, and said to be left out.
      """)

  @Argument(help: "A file of rows: CSV, TSV or JSON lines, each also as .gz; or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("Fill these columns only.", valueName: "col[,col]"))
  var target: String?

  @Option(help: "Tables to draw.")
  var samples = 100

  @Option(help: "Levels of --report's quantiles, between 0 and 1.")
  var quantiles = "0.05,0.5,0.95"

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp(
      "What columns are, where that is not found right: number, category, or skip.",
      valueName: "col=kind[,col=kind]"))
  var asOption: String?

  @Option(help: ArgumentHelp("Write one whole table a path to this file.", valueName: "tables.csv"))
  var output: String?

  @Option(
    help: ArgumentHelp("Write what was filled and how sure it is to this file.", valueName: "report.csv"))
  var report: String?

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "tables, or a path to a .safetensors file of a model of tables. (default: tables, and classes for categories)",
      valueName: "model"))
  var givenModel: String?

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var reading: ReadingOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (2...100_000).contains(samples) else {
      throw ValidationError("--samples must be within 2...100000")
    }
    for level in try numberList(quantiles, option: "--quantiles") where !(0...1).contains(level) {
      throw ValidationError("--quantiles: \(level) is not between 0 and 1")
    }
    try TableJob.checkTold(asOption)
    _ = try outputs()
  }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FILE": file], model: givenModel)
    try outputs.add(table: "--output", output)
    try outputs.add(table: "--report", report)
    return outputs
  }

  func run() throws {
    try reporting {
      let table = try reading.rows(file).table()
      let job = try TableJob(
        table, targets: [], as: TableJob.told(asOption))
      let only = target.map { table.columns.contains($0) ? [$0] : Observations.names($0) }
      let steps = try job.fillSteps(only: only)
      guard !steps.isEmpty else {
        for words in job.words { common.say("note: \(words)") }
        throw InferenceError.input("\(file): no cell that could be filled is missing")
      }
      let asked = try TableModel(givenModel, categories: steps.contains { $0.levels != nil })
      try outputs().checkPlaces()
      if let words = asked.note { common.say("note: \(words)") }
      let chain = try TableChain(asked.model, job.cells, steps: steps, on: common.pool)
      let drawn = try chain.sample(samples, seed: common.seed) { common.progress("\($0) paths") }
      common.progress("")
      let filled = FilledTable(
        table: table, job: job, steps: steps, drawn: drawn,
        levels: try numberList(quantiles, option: "--quantiles"))
      try filled.write(report: report, tables: output, format: format)
      common.say(filled.words)
      for words in job.words + drawn.notes { common.say("note: \(words)") }
    }
  }
}

/// A table with its missing cells drawn.
private struct FilledTable {
  let table: Table
  let job: TableJob
  let steps: [TableChain.Step]
  let drawn: TableChain.Drawn
  let levels: [Double]
  private let columns: [TableFrame.Column]
  /// Decimals that the cells of each step's column have.
  private let decimals: [Int]

  init(table: Table, job: TableJob, steps: [TableChain.Step], drawn: TableChain.Drawn, levels: [Double]) {
    (self.table, self.job, self.steps, self.drawn, self.levels) = (table, job, steps, drawn, levels)
    let columns = steps.map { job.column($0) }
    self.columns = columns
    decimals = columns.map { Self.decimals($0.values) }
  }

  /// How many decimals tell all values of a column, six at most.
  private static func decimals(_ values: [Double]) -> Int {
    let present = values.filter { !$0.isNaN }
    return (0..<6).first { places in
      let unit = pow(10, Double(places))
      return present.allSatisfy { abs($0 * unit - ($0 * unit).rounded()) <= 1e-9 * max(abs($0 * unit), 1) }
    } ?? 6
  }

  private func cell(_ value: Double, _ step: Int) -> ChorusTables.Cell {
    guard columns[step].kind == .number else { return columns[step].cell(value) }
    let unit = pow(10, Double(decimals[step]))
    return .number((value * unit).rounded() / unit)
  }

  /// The mean, or the likeliest level with its probability.
  private func guess(_ place: Int) -> (value: Double, probability: Double?) {
    let said = drawn.expected[place]
    guard steps[drawn.cells[place].step].levels != nil else { return (said[0], nil) }
    var best = 0
    for (level, probability) in said.enumerated() where probability > said[best] { best = level }
    return (Double(best), said[best])
  }

  var words: String {
    let counts = steps.indices.map { step in
      "\(drawn.cells.count { $0.step == step }) of '\(columns[step].name)'"
    }
    return "filled \(drawn.cells.count) cells: \(counts.joined(separator: ", "))"
  }

  func write(report: String?, tables: String?, format: TableFormat) throws {
    // Files first: whoever reads stdout may stop early.
    if let report { try writeReport(report) }
    if let tables {
      let writer = try RowWriter(
        columns: (["path"] + table.columns.map(OutputName.file)).header,
        format: TableFormat(path: tables) ?? .csv, to: .file(tables))
      for (path, values) in drawn.paths.enumerated() {
        try write(to: writer, TableFormat(path: tables) ?? .csv, first: [.integer(path)]) { values[$0] }
      }
      try writer.finish()
    }
    let writer = try RowWriter(columns: table.columns, format: format, to: .standardOutput)
    try write(to: writer, format, first: []) { guess($0).value }
    try writer.finish()
  }

  /// The rows of the table, missing cells by `value` of their place among those drawn. Cells that were there are as they were; in JSON
  /// numbers are numbers.
  private func write(
    to writer: RowWriter, _ format: TableFormat, first: [ChorusTables.Cell], value: (Int) -> Double
  ) throws {
    var filled: [Int: [String: ChorusTables.Cell]] = [:]
    for (place, drawn) in drawn.cells.enumerated() {
      filled[drawn.row, default: [:]][columns[drawn.step].name] = cell(value(place), drawn.step)
    }
    let texts = try table.columns.map { try table.hasTexts($0) ? table.texts($0) : nil }
    for row in 0..<table.rowCount {
      try writer.write(
        first
          + table.columns.indices.map { column in
            if let cell = filled[row]?[table.columns[column]] { return cell }
            let isNumber = format == .jsonl && job.frame.columns[column].kind == .number
            if !isNumber, let text = texts[column] { return .text(text[row]) }
            let value = job.frame.columns[column].values[row]
            return value.isNaN ? .missing : .number(value)
          })
    }
  }

  private func writeReport(_ path: String) throws {
    let writer = try RowWriter(
      columns: ["row", "column", "value", "probability", "sd"] + levels.map { "q\($0)" },
      format: TableFormat(path: path) ?? .csv, to: .file(path))
    for (place, drawn) in drawn.cells.enumerated() {
      let (value, probability) = guess(place)
      var cells: [ChorusTables.Cell] = [
        .integer(drawn.row + 1), .text(columns[drawn.step].name), cell(value, drawn.step),
        probability.map { .number($0) } ?? .missing,
      ]
      if probability == nil {
        let draws = self.drawn.paths.map { $0[place] }
        let mean = draws.reduce(0, +) / Double(draws.count)
        let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(draws.count - 1)
        cells.append(.number(variance.squareRoot()))
        cells += Posterior.Samples.quantiles(of: draws, levels).map { .number($0) }
      } else {
        cells += [ChorusTables.Cell](repeating: .missing, count: 1 + levels.count)
      }
      try writer.write(cells)
    }
    try writer.finish()
  }
}
