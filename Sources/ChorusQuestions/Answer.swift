import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTables
import ChorusTensors
import Foundation

/// What is done with each question.
package struct Asker: Sendable {
  package let model: Model
  package let values: ValueScale.Choice
  package let limits: ClosedRange<Double>?
  package let whole: Bool
  package let template: PlanTemplate
  package let samples: Int
  package let seed: UInt64
  package let latent: Bool
  package let flopLimit: Double
  /// Whether values are drawn each on its own as well, to be compared with.
  package let independent: Bool
  /// What is known of values that are not observed.
  package let known: [KnownStatement]

  package init(
    model: Model, values: ValueScale.Choice, limits: ClosedRange<Double>?, whole: Bool = false,
    template: PlanTemplate, samples: Int, seed: UInt64, latent: Bool, flopLimit: Double, independent: Bool,
    known: [KnownStatement]
  ) {
    self.model = model
    self.values = values
    self.limits = limits
    self.whole = whole
    self.template = template
    self.samples = samples
    self.seed = seed
    self.latent = latent
    self.flopLimit = flopLimit
    self.independent = independent
    self.known = known
  }

  /// Paths at the points, and values each on its own where they are wanted.
  private func drawn(
    _ posterior: any Conditionable, _ question: Question, _ conditions: [PathEvent],
    _ progress: (@Sendable (Int) -> Void)?
  ) throws -> (samples: Posterior.Samples, independent: [[Double]]?) {
    func draw(_ plan: PlanTemplate, _ progress: (@Sendable (Int) -> Void)?) throws -> Posterior.Samples {
      try posterior.paths(
        samples, at: question.points, given: conditions, plan: plan, seed: seed, latent: latent,
        flopLimit: flopLimit, progress: progress)
    }
    return (try draw(template, progress), independent ? try draw(.independent, nil).paths : nil)
  }

  /// What has read the rows of a question and those that are given; of more rows than a model reads also what reads others.
  private func read(
    _ question: Question, _ given: Dataset?, on pool: ThreadPool?
  ) throws -> (main: Posterior, sections: SectionedPosterior<Posterior>?) {
    if let kept = question.kept { return (try given.map { try kept.given($0) } ?? kept, nil) }
    let sections = try question.sections(
      model, with: given, values: values, limits: limits, whole: whole, on: pool)
    if let sections { return (try sections.main(at: question.points), sections) }
    let posterior = try model.condition(
      on: question.data, values: values, limits: limits, whole: whole, pool: pool)
    return (try given.map { try posterior.given($0) } ?? posterior, nil)
  }

  /// The answer to a question with columns known beside time.
  private func answer(
    beside question: Question, on pool: ThreadPool?, _ progress: (@Sendable (Int) -> Void)?
  ) throws -> Answer {
    let known = try Known(
      known, of: question.selection, at: question.points, columns: question.data.inputColumns,
      target: question.data.outputColumn)
    // A known value is a row more.
    let data = try known?.rows.map { try question.data.appending($0) } ?? question.data
    let (kinds, asker) = (question.observations.covariates, self)
    let read: @Sendable (Dataset) throws -> CovariatePosterior = {
      try CovariatePosterior(
        asker.model, $0, kinds, values: asker.values, limits: asker.limits, whole: asker.whole, on: pool)
    }
    let sections = SectionedPosterior(model, data, covariates: kinds.count, read: read)
    let posterior = try sections?.main(at: question.points) ?? read(data)
    let (samples, independent) = try drawn(
      sections ?? posterior, question, known?.conditions(at: question.points) ?? [], progress)
    var answer = Answer(
      question: question, samples: samples, independent: independent, periods: posterior.rest.periods,
      values: posterior.values)
    answer.shares = posterior.shares
    answer.beyond = posterior.notes(
      at: question.points, names: Array(question.selection.inputs.suffix(question.selection.covariates)))
    return answer
  }

  package func answer(
    _ question: Question, on pool: ThreadPool?, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Answer {
    guard question.observations.refusal == nil else {
      return Answer(question: question, samples: nil, independent: nil, periods: [], values: .raw)
    }
    do {
      if question.selection.covariates > 0 { return try answer(beside: question, on: pool, progress) }
      let known = try Known(
        known, of: question.selection, at: question.points, columns: question.data.inputColumns,
        target: question.data.outputColumn)
      let (posterior, sections) = try read(question, known?.rows, on: pool)
      let (samples, independent) = try drawn(
        sections ?? posterior, question, known?.conditions(at: question.points) ?? [], progress)
      return Answer(
        question: question, samples: samples, independent: independent, periods: posterior.periods,
        values: posterior.preparation.values)
    } catch {
      // One of many series: say which.
      guard let group = question.observations.group else { throw error }
      throw SeriesError(file: question.file, group: group, underlying: error)
    }
  }
}

/// What stopped the prediction of one of a file's series.
package struct SeriesError: Error, CustomStringConvertible {
  package let file: String
  package let group: String
  package let underlying: any Error

  package init(file: String, group: String, underlying: any Error) {
    (self.file, self.group, self.underlying) = (file, group, underlying)
  }

  package var description: String { "\(file): group '\(group)': \(underlying)" }
}

/// What came of a question.
package struct Answer: Sendable {
  package let question: Question
  /// Nil where there are too few rows to predict from.
  package let samples: Posterior.Samples?
  /// Paths of values drawn each on its own.
  package let independent: [[Double]]?
  package let periods: [Posterior.Period]
  /// What the values were seen as.
  package let values: ValueScale
  /// The share of the values' variance that each column beside time moves.
  package internal(set) var shares: [Double] = []
  /// Points that have such columns outside of what was seen, in words.
  package internal(set) var beyond: [String] = []

  package init(
    question: Question, samples: Posterior.Samples?, independent: [[Double]]?, periods: [Posterior.Period],
    values: ValueScale
  ) {
    self.question = question
    self.samples = samples
    self.independent = independent
    self.periods = periods
    self.values = values
  }

  /// What was found in the rows, in words.
  package var foundWords: [String] {
    periodWords
      + (values.words.map { ["'\(question.selection.target)' is seen \($0) (--scale raw: as it is)"] } ?? [])
      + effectWords + errorWords
  }

  /// What is known of the rows' errors, in words.
  private var errorWords: [String] {
    let errors = question.data.errors.sorted()
    guard let least = errors.first, let most = errors.last else { return [] }
    func text(_ value: Double) -> String { String(format: "%.3g", value) }
    return [
      "errors of \(errors.count) rows are known (\(text(least)) to \(text(most)), half of them up to \(text(errors[(errors.count - 1) / 2]))): '\(question.selection.target)' is predicted as it would be measured without"
    ]
  }

  /// What columns beside time say, in words.
  private var effectWords: [String] {
    let selection = question.selection
    return zip(selection.inputs.suffix(selection.covariates), shares).map { name, share in
      share < 0.0005
        ? "'\(name)' tells nothing of '\(selection.target)' beside its level and seasons, and is left out"
        : "'\(name)' moves '\(selection.target)' by \(String(format: "%.1f", 100 * share)) % of its variance, beside level and seasons"
    }
  }

  /// The clearest period of each input, in words.
  private var periodWords: [String] {
    let selection = question.selection
    return selection.inputs.indices.compactMap { column in
      guard column < selection.dimensions - selection.covariates,
        let period = periods.first(where: { $0.column == column && $0.isClear })
      else { return nil }
      let length = Double(String(format: period.varies ? "%.2g" : "%.4g", period.length)) ?? period.length
      let unit = selection.kinds[column] == .number ? "" : " days"
      guard !period.varies else {
        return
          "'\(selection.inputs[column])' shows a cycle of about \(length)\(unit) whose waves differ, no season"
      }
      return "'\(selection.inputs[column])' shows a period of \(length)\(unit):"
        + " \(Int((100 * period.share).rounded())) % of the variance beside the level"
    }
  }

  /// What to be careful about.
  package var notes: [String] {
    samples.map { $0.notes.map(\.description) + question.pointWords + beyond }
      ?? question.observations.refusal.map { ["not predicted: \($0)"] } ?? []
  }
}

/// The notes of many answers, each once; where there are several answers, with how many have it.
package struct NoteTally {
  private var order: [String] = []
  private var found: [String: (count: Int, group: String?)] = [:]
  private var answers = 0

  package init() {}

  package mutating func add(_ answer: Answer) {
    answers += 1
    for note in answer.notes {
      if found[note] == nil {
        order.append(note)
        found[note] = (0, answer.question.observations.group)
      }
      found[note]?.count += 1
    }
  }

  package var notes: [String] {
    order.map { note in
      guard answers > 1, let (count, group) = found[note] else { return note }
      guard count == 1 else { return "\(note) (\(count) of \(answers) predictions)" }
      return (group.map { "group '\($0)': " } ?? "") + note
    }
  }
}
