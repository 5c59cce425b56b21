import ChorusData
import ChorusInference
import ChorusTables

/// The rows that answers are written as: quantiles or functionals, and the paths themselves.
package struct AnswerTable: Sendable {
  private let groupColumn: String?
  private let levels: [Double]
  private let functionals: [Functional]
  /// Whether a column tells which target a row is of.
  private let several: Bool
  private let digits: Digits
  /// Of quantiles, or of functionals where there are some.
  package let columns: [String]
  package let pathColumns: [String]
  /// Columns of the output that go by another name, since the file has one of theirs, in words.
  package let renamed: [String]

  /// - Parameters:
  ///   - first: any of the series; all have the same columns.
  ///   - levels: of quantiles, of which the median comes first.
  /// - Throws: where a functional can not be worked out.
  package init(
    of first: Observations, groupColumn: String?, targets: [String], levels: [Double],
    functionals: [Functional], digits: Digits = .all
  ) throws {
    try first.check(functionals)
    self.functionals = try FunctionalTable.resolved(
      functionals, kind: first.selection.kinds[0], of: first.selection.inputs[0])
    let levels = functionals.isEmpty ? levels.medianFirst : levels
    (self.groupColumn, self.levels, self.digits) = (groupColumn, levels, digits)
    several = targets.count > 1
    let keys = (groupColumn.map { [OutputName.file($0)] } ?? []) + (several ? ["target"] : [])
    let inputs = first.selection.inputs.map(OutputName.file)
    let quantiles = levels.map { OutputName.own("q\($0)") }
    let answers =
      functionals.isEmpty
      ? keys + inputs + quantiles + ["mean", "outside", "note"]
      : keys + FunctionalTable.columns(levels: levels).map(OutputName.own)
    let paths = keys + ["path", "row"] + inputs + [several ? "value" : .file(first.selection.target)]
    (columns, pathColumns) = (answers.header, paths.header)
    renamed = answers.words + paths.words.filter { !answers.words.contains($0) }
  }

  /// Refuses functionals of points that are not asked for.
  package func check(_ questions: [Question]) throws {
    for question in questions where question.observations.refusal == nil {
      let points = question.points
      try FunctionalTable.check(
        functionals, at: (0..<points.count).map { points[$0].first ?? .nan },
        file: question.observations.group.map { "group '\($0)'" } ?? question.file)
    }
  }

  /// The rows of an answer under ``columns``.
  package func rows(_ answer: Answer) -> [[Cell]] {
    functionals.isEmpty ? quantileRows(answer) : functionalRows(answer)
  }

  /// The rows of an answer under ``pathColumns``, a path after the other.
  package func forEachPathRow<Failure: Error>(
    _ answer: Answer, _ body: ([Cell]) throws(Failure) -> Void
  ) throws(Failure) {
    let question = answer.question
    let keys = keyCells(question)
    for (path, values) in (answer.samples?.paths ?? []).enumerated() {
      for row in 0..<question.points.count {
        try body(
          keys + [.integer(path), .integer(row)] + question.inputCells(row) + [.number(values[row])])
      }
    }
  }

  private func keyCells(_ question: Question) -> [Cell] {
    (groupColumn == nil ? [] : [.text(question.observations.group ?? "")])
      + (several ? [.text(question.selection.target)] : [])
  }

  private func quantileRows(_ answer: Answer) -> [[Cell]] {
    let (question, samples) = (answer.question, answer.samples)
    let note = answer.notes.joined(separator: "; ")
    return (0..<question.points.count).map { row in
      let outside = samples?.outside[row].description ?? ""
      var cells = keyCells(question) + question.inputCells(row)
      if let samples, !samples.paths.isEmpty {
        let said = digits.written(samples.paths.map { $0[row] }, levels: levels, mean: samples.means[row])
        cells += (said.quantiles + [said.mean]).map { .number($0) }
      } else {
        cells += [Cell](repeating: .missing, count: levels.count + 1)
      }
      cells.append(outside.isEmpty ? .missing : .text(outside))
      cells.append(note.isEmpty ? .missing : .text(note))
      return cells
    }
  }

  private func functionalRows(_ answer: Answer) -> [[Cell]] {
    let question = answer.question
    let table = FunctionalTable(
      functionals: functionals, levels: levels, inputs: question.points, kinds: question.selection.kinds,
      digits: digits)
    // A series that was not predicted has a line for each, without numbers.
    let (joint, independent) = answer.samples.map { ($0.paths, answer.independent) } ?? ([], [])
    let note = answer.notes.joined(separator: "; ")
    return table.rows(joint: joint, independent: independent).map { row in
      keyCells(question) + table.cells(row) + [note.isEmpty ? .missing : .text(note)]
    }
  }
}
