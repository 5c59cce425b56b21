import ChorusInference
import ChorusTables

/// The tables that answers are written as, one after another as they come: of quantiles or of functionals to stdout, of the paths
/// themselves to a file. A class, because it owns open files.
final class PredictionTable {
  private let asking: Asking
  private let levels: [Double]
  private let functionals: [Functional]
  private let output: RowWriter
  private let paths: RowWriter?
  /// That nobody reads stdout any more, where there is a file to be finished before that ends the command.
  private var unread: TableError?

  /// Opens what is written to.
  ///
  /// - Parameters:
  ///   - format: of stdout.
  ///   - path: of the file of paths.
  /// - Throws: where columns could not be told apart, a functional not be worked out, or the file not be made.
  init(
    asking: Asking, levels: [Double], functionals: [Functional], format: TableFormat, paths path: String?
  ) throws {
    self.asking = asking
    self.levels = levels
    self.functionals = functionals
    let (first, several) = (asking.questions[0], asking.targets.count > 1)
    let keys = (asking.groupColumn.map { [$0] } ?? []) + (several ? ["target"] : [])
    let inputs = first.selection.inputs
    let quantiles = ["mean"] + levels.map { "q\($0)" } + ["outside", "note"]
    let ofFunctionals = FunctionalTable(functionals: [], levels: levels, inputs: first.points, kinds: [])
      .columns
    let own = functionals.isEmpty ? quantiles : ofFunctionals
    try first.observations.check(functionals)
    if functionals.isEmpty {
      try first.observations.check(outputColumns: own + (several ? ["target"] : []))
    }
    if let group = asking.groupColumn,
      (own + (several && functionals.isEmpty ? ["target"] : []) + ["path", "row", "value"]).contains(group)
    {
      throw TableError(
        .unknownColumn, first.file,
        "the group column '\(group)' has the name of an output column; rename it.")
    }
    output = try RowWriter(
      columns: keys + (functionals.isEmpty ? inputs : []) + own, format: format, to: .standardOutput)
    paths = try path.map {
      try RowWriter(
        columns: keys + ["path", "row"] + inputs + [several ? "value" : first.selection.target],
        format: TableFormat(path: $0) ?? .csv, to: .file($0))
    }
  }

  /// Writes an answer's rows. Files first: whoever reads stdout may stop early, which ends the command.
  func write(_ answer: Answer) throws {
    try writePaths(answer)
    try whileRead {
      if functionals.isEmpty { try writeQuantiles(answer) } else { try writeFunctionals(answer) }
    }
  }

  /// Puts the file in its place and writes what is left.
  func finish() throws {
    try paths?.finish()
    try whileRead { try output.finish() }
    if let unread { throw unread }
  }

  private func whileRead(_ body: () throws -> Void) throws {
    guard unread == nil else { return }
    do { try body() } catch let error as TableError where error.reason == .unread && paths != nil {
      unread = error
    }
  }

  private func keyCells(_ question: Question) -> [Cell] {
    (asking.groupColumn == nil ? [] : [.text(question.observations.group ?? "")])
      + (asking.targets.count > 1 ? [.text(question.selection.target)] : [])
  }

  private func writeQuantiles(_ answer: Answer) throws {
    let (question, samples) = (answer.question, answer.samples)
    let (values, means) = (samples?.quantiles(levels), samples?.means)
    let note = answer.notes.joined(separator: "; ")
    for row in 0..<question.points.count {
      let outside = samples?.outside[row].description ?? ""
      var cells = keyCells(question) + question.inputCells(row)
      cells.append(means.map { .number($0[row]) } ?? .missing)
      cells += levels.indices.map { level in values.map { .number($0[row][level]) } ?? .missing }
      cells.append(outside.isEmpty ? .missing : .text(outside))
      cells.append(note.isEmpty ? .missing : .text(note))
      try output.write(cells)
    }
  }

  private func writeFunctionals(_ answer: Answer) throws {
    let question = answer.question
    let table = FunctionalTable(
      functionals: functionals, levels: levels, inputs: question.points, kinds: question.selection.kinds)
    // A series that was not predicted has a line for each, without numbers.
    let (joint, independent) = answer.samples.map { ($0.paths, answer.independent) } ?? ([], [])
    let note = answer.notes.joined(separator: "; ")
    for row in table.rows(joint: joint, independent: independent) {
      try output.write(keyCells(question) + table.cells(row) + [note.isEmpty ? .missing : .text(note)])
    }
  }

  private func writePaths(_ answer: Answer) throws {
    guard let paths else { return }
    let question = answer.question
    for (path, values) in (answer.samples?.paths ?? []).enumerated() {
      for row in 0..<question.points.count {
        try paths.write(
          keyCells(question) + [.integer(path), .integer(row)] + question.inputCells(row)
            + [.number(values[row])])
      }
    }
  }
}
