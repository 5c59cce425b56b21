import ChorusData
import ChorusInference
import ChorusTables

/// What was drawn of a table's missing cells, and how it is written: rows of quantiles and probabilities, of paths, of functionals.
package struct TableAnswer: Sendable {
  package let job: TableJob
  package let steps: [TableChain.Step]
  /// Nil where nothing could be predicted.
  package let drawn: TableChain.Drawn?
  package let levels: [Double]
  /// The group that the table is of, where the file has several.
  package let group: String?
  /// What to be careful about.
  package let notes: [String]
  private let digits: Digits

  package init(
    job: TableJob, steps: [TableChain.Step], drawn: TableChain.Drawn?, levels: [Double], group: String? = nil,
    digits: Digits = .all, refusal: String? = nil
  ) {
    (self.job, self.steps, self.drawn, self.levels, self.group) = (job, steps, drawn, levels, group)
    self.digits = digits
    notes = drawn?.notes ?? refusal.map { ["not predicted: \($0)"] } ?? []
  }

  private var columns: [TableFrame.Column] { steps.map { job.column($0) } }
  private var key: [ChorusTables.Cell] { group.map { [.text($0)] } ?? [] }
  private var noteCell: ChorusTables.Cell {
    notes.isEmpty ? .missing : .text(notes.joined(separator: "; "))
  }
  /// The one target's levels, where it is a category and there is no other.
  private var onlyLevels: [String]? {
    if steps.count == 1, case .category(let names) = columns[0].kind { names } else { nil }
  }

  // MARK: Quantiles and probabilities

  /// The columns of ``rows``: of a single target its quantiles, the median first, and its mean, or its likeliest level and the probabilities of all; of several
  /// the same in one form, with a column that tells which.
  package func names(groupColumn: String?) -> [OutputName] {
    let key = groupColumn.map { [OutputName.file($0)] } ?? []
    if let names = onlyLevels {
      return key + ["row", .file(columns[0].name), "probability"] + names.map { .own("p(\($0))") } + ["note"]
    }
    let (isSeveral, quantiles) = (steps.count > 1, levels.medianFirst.map { OutputName.own("q\($0)") })
    return key + ["row"] + (isSeveral ? ["target", "expected", "probability"] : []) + quantiles
      + (isSeveral ? ["note"] : ["mean", "note"])
  }

  /// One row a cell.
  package var rows: [[ChorusTables.Cell]] {
    asked.map { cell, place in
      if let names = onlyLevels {
        let law = place.flatMap { drawn?.expected[$0] }
        let all =
          law.map { $0.map { ChorusTables.Cell.number(digits.probability($0)) } }
          ?? names.map { _ in .missing }
        return key + [number(cell.row)] + likeliest(law, names) + all + [noteCell]
      }
      let (column, isSeveral) = (columns[cell.step], steps.count > 1)
      let law = place.flatMap { drawn?.expected[$0] }
      var cells = key + [number(cell.row)] + (isSeveral ? [.text(column.name)] : [])
      if case .category(let names) = column.kind {
        cells += likeliest(law, names) + levels.map { _ in .missing }
      } else {
        let (quantiles, mean) = self.quantiles(place, mean: law?[0])
        cells += isSeveral ? [mean, .missing] + quantiles : quantiles + [mean]
      }
      return cells + [noteCell]
    }
  }

  /// The cells asked for, and their places among those drawn; step by step.
  private var asked: [(cell: TableChain.Cell, place: Int?)] {
    if let drawn { return drawn.cells.enumerated().map { ($1, $0) } }
    return steps.enumerated().flatMap { index, step in
      job.asked.filter { job.cells[$0, step.column].isNaN }
        .map { (TableChain.Cell(row: $0, step: index), nil) }
    }
  }

  private func number(_ row: Int) -> ChorusTables.Cell { .integer(job.numbers[row]) }

  private func likeliest(_ law: [Double]?, _ names: [String]) -> [ChorusTables.Cell] {
    guard let law else { return [.missing, .missing] }
    var best = 0
    for (level, probability) in law.enumerated() where probability > law[best] { best = level }
    return [.text(names[best]), .number(digits.probability(law[best]))]
  }

  private func quantiles(_ place: Int?, mean: Double?) -> (
    quantiles: [ChorusTables.Cell], mean: ChorusTables.Cell
  ) {
    let levels = levels.medianFirst
    guard let place, let drawn, let mean else { return (levels.map { _ in .missing }, .missing) }
    let said = digits.written(drawn.paths.map { $0[place] }, levels: levels, mean: mean)
    return (said.quantiles.map { .number($0) }, .number(said.mean))
  }

  // MARK: Paths

  package func pathNames(groupColumn: String?) -> [OutputName] {
    (groupColumn.map { [.file($0)] } ?? []) + ["path", "row"] + columns.map { .file($0.name) }
  }

  /// The paths, one row for each row of the table that was asked for: `path,row`, then the targets, those that were there as they are.
  package func forEachPathRow<Failure: Error>(
    _ body: ([ChorusTables.Cell]) throws(Failure) -> Void
  ) throws(Failure) {
    guard let drawn else { return }
    var places: [Int: [Int: Int]] = [:]
    for (place, cell) in drawn.cells.enumerated() { places[cell.row, default: [:]][cell.step] = place }
    let rows = places.keys.sorted()
    let columns = columns
    for (path, values) in drawn.paths.enumerated() {
      for row in rows {
        try body(
          key + [.integer(path), number(row)]
            + steps.indices.map { step in
              let value =
                places[row]?[step].map { values[$0] } ?? job.cells[row, steps[step].column]
              return value.isNaN ? .missing : columns[step].cell(value)
            })
      }
    }
  }

  // MARK: Functionals

  package func functionalNames(groupColumn: String?) -> [OutputName] {
    (groupColumn.map { [.file($0)] } ?? []) + FunctionalTable.columns(levels: levels).map(OutputName.own)
  }

  /// Distributions of numbers made of all rows of a path of the one target; rows are numbered, in place of an input.
  package func functionalRows(_ functionals: [Functional], independent: [[Double]]) throws -> [[ChorusTables
    .Cell]]
  {
    let rows = asked.map { Double(job.numbers[$0.cell.row]) }
    let functionals = try FunctionalTable.resolved(functionals, kind: .number, of: "row")
    if drawn != nil { try FunctionalTable.check(functionals, at: rows, file: job.frame.source) }
    let table = FunctionalTable(
      functionals: functionals, levels: levels, inputs: try Inputs(rows), kinds: [.number], digits: digits)
    return table.rows(joint: drawn?.paths ?? [], independent: independent).map {
      key + table.cells($0) + [noteCell]
    }
  }
}
