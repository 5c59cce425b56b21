import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTables
import ChorusTensors
import Foundation

/// What is done with each question.
struct Asker: Sendable {
  let model: Model
  let template: PlanTemplate
  let samples: Int
  let seed: UInt64
  let latent: Bool
  let flopLimit: Double
  /// Whether values are drawn each on its own as well, to be compared with.
  let independent: Bool

  func answer(
    _ question: Question, on pool: ThreadPool?, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Answer {
    guard question.observations.refusal == nil else {
      return Answer(question: question, samples: nil, independent: nil, periods: [])
    }
    do {
      let posterior = try question.posterior(model, on: pool)
      func draw(_ plan: PlanTemplate, _ progress: (@Sendable (Int) -> Void)?) throws -> Posterior.Samples {
        try posterior.sample(
          samples, at: question.points, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit,
          progress: progress)
      }
      return Answer(
        question: question, samples: try draw(template, progress),
        independent: independent ? try draw(.independent, nil).paths : nil, periods: posterior.periods)
    } catch {
      // One of many series: say which.
      guard let group = question.observations.group else { throw error }
      throw SeriesError(file: question.file, group: group, underlying: error)
    }
  }
}

/// What stopped the prediction of one of a file's series.
struct SeriesError: Error, CustomStringConvertible {
  let file: String
  let group: String
  let underlying: any Error

  var description: String { "\(file): group '\(group)': \(underlying)" }
}

/// What came of a question.
struct Answer: Sendable {
  let question: Question
  /// Nil where there are too few rows to predict from.
  let samples: Posterior.Samples?
  /// Paths of values drawn each on its own.
  let independent: [[Double]]?
  let periods: [Posterior.Period]

  /// The clearest period of each input, in words.
  var periodWords: [String] {
    let selection = question.selection
    return selection.inputs.indices.compactMap { column in
      guard let period = periods.first(where: { $0.column == column && $0.isClear }) else { return nil }
      let length = Double(String(format: "%.4g", period.length)) ?? period.length
      let unit = selection.kinds[column] == .number ? "" : " days"
      return "'\(selection.inputs[column])' shows a period of \(length)\(unit):"
        + " \(Int((100 * period.share).rounded())) % of the variance beside the trend"
    }
  }

  /// What to be careful about.
  var notes: [String] {
    samples?.notes.map(\.description) ?? question.observations.refusal.map { ["not predicted: \($0)"] } ?? []
  }

  /// The notes of all answers, each once; where there are several answers, with how many have it.
  static func notes(_ answers: [Answer]) -> [String] {
    var (order, counts): ([String], [String: Int]) = ([], [:])
    for note in answers.flatMap(\.notes) {
      if counts[note] == nil { order.append(note) }
      counts[note, default: 0] += 1
    }
    guard answers.count > 1 else { return order }
    return order.map { note in
      let first = answers.first { $0.notes.contains(note) }
      let place =
        counts[note] == 1
        ? first.map { $0.question.observations.group.map { "group '\($0)': " } ?? "" } ?? "" : ""
      return place + note
        + (counts[note] == 1 ? "" : " (\(counts[note] ?? 0) of \(answers.count) predictions)")
    }
  }
}

/// The tables that answers are written as: of quantiles, of functionals, of the paths themselves.
struct PredictionTable {
  let asking: Asking
  let levels: [Double]
  let functionals: [Functional]
  let format: TableFormat

  /// What tells the questions apart, before all other columns.
  private var keys: [String] {
    (asking.groupColumn.map { [$0] } ?? []) + (asking.targets.count > 1 ? ["target"] : [])
  }

  private func keyCells(_ question: Question) -> [Cell] {
    (asking.groupColumn == nil ? [] : [.text(question.observations.group ?? "")])
      + (asking.targets.count > 1 ? [.text(question.selection.target)] : [])
  }

  /// Columns of quantiles after the inputs.
  private var own: [String] { ["mean"] + levels.map { "q\($0)" } + ["outside", "note"] }

  /// Refuses what could not be told apart in the output, or not be worked out.
  func check() throws {
    let observations = asking.questions[0].observations
    try observations.check(functionals)
    let taken =
      functionals.isEmpty
      ? own + (asking.targets.count > 1 ? ["target"] : [])
      : FunctionalTable(functionals: [], levels: levels, inputs: asking.questions[0].points, kinds: [])
        .columns
    if functionals.isEmpty { try observations.check(outputColumns: taken) }
    if let group = asking.groupColumn, (taken + ["path", "row", "value"]).contains(group) {
      throw TableError(
        .unknownColumn, observations.file,
        "the group column '\(group)' has the name of an output column; rename it.")
    }
  }

  /// To stdout: functionals where there are any, else quantiles.
  func write(_ answers: [Answer]) throws {
    if functionals.isEmpty { try writeQuantiles(answers) } else { try writeFunctionals(answers) }
  }

  private func writeQuantiles(_ answers: [Answer]) throws {
    let inputs = asking.questions[0].selection.inputs
    let writer = try RowWriter(columns: keys + inputs + own, format: format, to: .standardOutput)
    for answer in answers {
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
        try writer.write(cells)
      }
    }
    try writer.finish()
  }

  private func writeFunctionals(_ answers: [Answer]) throws {
    func table(_ question: Question) -> FunctionalTable {
      FunctionalTable(
        functionals: functionals, levels: levels, inputs: question.points, kinds: question.selection.kinds)
    }
    let writer = try RowWriter(
      columns: keys + table(asking.questions[0]).columns, format: format, to: .standardOutput)
    for answer in answers {
      // A series that was not predicted has a line for each, without numbers.
      let joint = answer.samples?.paths ?? []
      let table = table(answer.question)
      let note = answer.notes.joined(separator: "; ")
      for row in table.rows(joint: joint, independent: answer.independent ?? []) {
        try writer.write(
          keyCells(answer.question) + table.cells(row) + [note.isEmpty ? .missing : .text(note)])
      }
    }
    try writer.finish()
  }

  /// The paths, to a file, whole or not at all.
  func write(_ answers: [Answer], to path: String) throws {
    let first = asking.questions[0].selection
    let value = asking.targets.count > 1 ? "value" : first.target
    let writer = try RowWriter(
      columns: keys + ["path", "row"] + first.inputs + [value],
      format: path.hasSuffix(".jsonl") ? .jsonl : .csv, to: .file(path))
    for answer in answers {
      for (path, values) in (answer.samples?.paths ?? []).enumerated() {
        for row in 0..<answer.question.points.count {
          try writer.write(
            keyCells(answer.question) + [.integer(path), .integer(row)] + answer.question.inputCells(row)
              + [.number(values[row])])
        }
      }
    }
    try writer.finish()
  }
}
