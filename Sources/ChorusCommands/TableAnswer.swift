import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusQuestions
import ChorusTables

/// What was drawn of a table's missing cells, and how it is written.
struct TableAnswer {
  let job: TableJob
  let steps: [TableChain.Step]
  let drawn: TableChain.Drawn
  let levels: [Double]
  /// The first row asked for, counted from 0: rows are numbered from it.
  let firstRow: Int

  private var columns: [TableFrame.Column] { steps.map { job.column($0) } }

  /// One row a cell. Of a single target: its mean and quantiles, or its likeliest level and the probabilities of all; of several the
  /// same in one form, with a column that tells which.
  func write(to output: (_ columns: [String]) throws -> RowWriter) throws {
    let note = drawn.notes.joined(separator: "; ")
    let noteCell: Cell = note.isEmpty ? .missing : .text(note)
    let quantiles = levels.map { "q\($0)" }
    if steps.count == 1, case .category(let names) = columns[0].kind {
      let writer = try output(
        ["row", columns[0].name, "probability"] + names.map { "p(\($0))" } + ["note"])
      for (place, cell) in drawn.cells.enumerated() {
        let law = drawn.expected[place]
        try writer.write(
          [rowCell(cell)] + likeliest(law, names) + law.map { .number($0) } + [noteCell])
      }
      return try writer.finish()
    }
    let several = steps.count > 1
    let writer = try output(
      ["row"] + (several ? ["target", "expected", "probability"] : ["mean"]) + quantiles + ["note"])
    for (place, cell) in drawn.cells.enumerated() {
      let column = columns[cell.step]
      var cells = [rowCell(cell)] + (several ? [.text(column.name)] : [])
      if case .category(let names) = column.kind {
        cells += likeliest(drawn.expected[place], names) + levels.map { _ in .missing }
      } else {
        cells.append(.number(drawn.expected[place][0]))
        if several { cells.append(.missing) }
        cells += quantileCells(place)
      }
      try writer.write(cells + [noteCell])
    }
    try writer.finish()
  }

  private func rowCell(_ cell: TableChain.Cell) -> ChorusTables.Cell { .integer(cell.row - firstRow + 1) }

  private func likeliest(_ law: [Double], _ names: [String]) -> [ChorusTables.Cell] {
    var best = 0
    for (level, probability) in law.enumerated() where probability > law[best] { best = level }
    return [.text(names[best]), .number(law[best])]
  }

  private func quantileCells(_ place: Int) -> [ChorusTables.Cell] {
    Posterior.Samples.quantiles(of: drawn.paths.map { $0[place] }, levels).map { .number($0) }
  }

  /// The paths, one row for each row of the table that was asked for: `path,row`, then the targets, those that were there as they are.
  func writePaths(to writer: RowWriter) throws {
    var places: [Int: [Int: Int]] = [:]
    for (place, cell) in drawn.cells.enumerated() { places[cell.row, default: [:]][cell.step] = place }
    let rows = places.keys.sorted()
    for (path, values) in drawn.paths.enumerated() {
      for row in rows {
        try writer.write(
          [.integer(path), .integer(row - firstRow + 1)]
            + steps.indices.map { step in
              let value =
                places[row]?[step].map { values[$0] } ?? job.cells[row, steps[step].column]
              return value.isNaN ? .missing : columns[step].cell(value)
            })
      }
    }
    try writer.finish()
  }

  /// Distributions of numbers made of all rows of a path of the one target; rows are numbered, in place of an input.
  func writeFunctionals(
    _ functionals: [Functional], independent: [[Double]], to output: (_ columns: [String]) throws -> RowWriter
  ) throws {
    let rows = drawn.cells.map { Double($0.row - firstRow + 1) }
    let table = FunctionalTable(
      functionals: functionals, levels: levels, inputs: try Inputs(rows), kinds: [.number])
    let writer = try output(FunctionalTable.columns(levels: levels))
    let note = drawn.notes.joined(separator: "; ")
    for row in table.rows(joint: drawn.paths, independent: independent) {
      try writer.write(table.cells(row) + [note.isEmpty ? .missing : .text(note)])
    }
    try writer.finish()
  }
}
