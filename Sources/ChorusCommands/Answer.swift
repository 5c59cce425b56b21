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
  let values: ValueScale.Choice
  let limits: ClosedRange<Double>?
  let template: PlanTemplate
  let samples: Int
  let seed: UInt64
  let latent: Bool
  let flopLimit: Double
  /// Whether values are drawn each on its own as well, to be compared with.
  let independent: Bool
  /// What is known of values that are not observed.
  let known: GivenOptions

  func answer(
    _ question: Question, on pool: ThreadPool?, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Answer {
    guard question.observations.refusal == nil else {
      return Answer(question: question, samples: nil, independent: nil, periods: [], values: .raw)
    }
    do {
      var posterior = try question.posterior(model, values: values, limits: limits, on: pool)
      let known = try known.known(
        of: question.selection, columns: posterior.inputColumns, target: posterior.outputColumn)
      if let rows = known?.rows { posterior = try posterior.given(rows) }
      let (asked, conditions) = (posterior, known?.conditions(at: question.points) ?? [])
      func draw(_ plan: PlanTemplate, _ progress: (@Sendable (Int) -> Void)?) throws -> Posterior.Samples {
        try asked.sample(
          samples, at: question.points, given: conditions, plan: plan, seed: seed, latent: latent,
          flopLimit: flopLimit, progress: progress)
      }
      return Answer(
        question: question, samples: try draw(template, progress),
        independent: independent ? try draw(.independent, nil).paths : nil, periods: posterior.periods,
        values: posterior.preparation.values)
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
  /// What the values were seen as.
  let values: ValueScale

  /// What was found in the rows, in words.
  var foundWords: [String] {
    periodWords
      + (values.words.map { ["'\(question.selection.target)' is seen \($0) (--scale raw: as it is)"] } ?? [])
  }

  /// The clearest period of each input, in words.
  private var periodWords: [String] {
    let selection = question.selection
    return selection.inputs.indices.compactMap { column in
      guard let period = periods.first(where: { $0.column == column && $0.isClear }) else { return nil }
      let length = Double(String(format: "%.4g", period.length)) ?? period.length
      let unit = selection.kinds[column] == .number ? "" : " days"
      return "'\(selection.inputs[column])' shows a period of \(length)\(unit):"
        + " \(Int((100 * period.share).rounded())) % of the variance beside the level"
    }
  }

  /// What to be careful about.
  var notes: [String] {
    samples?.notes.map(\.description) ?? question.observations.refusal.map { ["not predicted: \($0)"] } ?? []
  }
}

/// The notes of many answers, each once; where there are several answers, with how many have it.
struct NoteTally {
  private var order: [String] = []
  private var found: [String: (count: Int, group: String?)] = [:]
  private var answers = 0

  mutating func add(_ answer: Answer) {
    answers += 1
    for note in answer.notes {
      if found[note] == nil {
        order.append(note)
        found[note] = (0, answer.question.observations.group)
      }
      found[note]?.count += 1
    }
  }

  var notes: [String] {
    order.map { note in
      guard answers > 1, let (count, group) = found[note] else { return note }
      guard count == 1 else { return "\(note) (\(count) of \(answers) predictions)" }
      return (group.map { "group '\($0)': " } ?? "") + note
    }
  }
}
