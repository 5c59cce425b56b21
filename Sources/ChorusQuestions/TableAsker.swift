import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTables
import ChorusTensors

/// What is done with each table of a file.
package struct TableAsker: Sendable {
  package let model: Model
  package let template: PlanTemplate
  package let samples: Int
  package let seed: UInt64
  package let levels: [Double]
  package let functionals: [Functional]
  package let flopLimit: Double
  package let limits: ClosedRange<Double>?
  package let whole: Bool
  package let known: [KnownStatement]
  /// Whether the paths themselves are wanted, and not only what is said of each row.
  package let needsPaths: Bool
  private let digits: Digits

  package init(
    model: Model, template: PlanTemplate, samples: Int, seed: UInt64, levels: [Double],
    functionals: [Functional], flopLimit: Double, limits: ClosedRange<Double>?, whole: Bool,
    known: [KnownStatement], needsPaths: Bool = true, digits: Digits = .all
  ) {
    self.model = model
    self.template = template
    self.samples = samples
    self.seed = seed
    self.levels = levels
    self.functionals = functionals
    self.flopLimit = flopLimit
    self.limits = limits
    self.whole = whole
    self.known = known
    self.needsPaths = needsPaths
    self.digits = digits
  }

  package func steps(_ job: TableJob) -> [TableChain.Step] { job.steps(limits: limits, whole: whole) }

  /// The tables that lack something, after what cannot be asked is refused.
  package func asked(_ jobs: TableJobs) throws -> [(group: String?, job: TableJob)] {
    let (first, steps) = (jobs.all[0].job, steps(jobs.all[0].job))
    let columns = steps.map { first.column($0) }
    if !functionals.isEmpty {
      guard steps.count == 1, columns[0].kind == .number else {
        throw QuestionError("--functional is of one column of numbers; name one target")
      }
      if let needy = functionals.first(where: { $0.needsOrder && !$0.isBetween }) {
        throw QuestionError(
          "--functional: '\(needy)' goes along an input, and rows of a table have no order")
      }
    }
    let asked = jobs.all.filter { $0.job.lacks(steps) }
    guard !asked.isEmpty else {
      throw InferenceError.input(
        "\(first.frame.source): no row lacks a value of '\(columns.map(\.name).joined(separator: "' or '"))', so there is nothing to predict; "
          + "leave the cells empty that you want, or give rows with --at-file FILE")
    }
    if asked.allSatisfy({ $0.job.refusal(steps) != nil }), let refusal = asked[0].job.refusal(steps) {
      let place = asked[0].group.map { "no group has enough rows; group '\($0)': " } ?? ""
      throw InferenceError.input("\(first.frame.source): \(place)\(refusal)")
    }
    try TableKnown.check(known, asked.map(\.job))
    return asked
  }

  /// How many tables, of some, are answered side by side: their drawn values are held at once, half a gigabyte of them at most.
  package func atOnce(_ asked: ArraySlice<(group: String?, job: TableJob)>) -> Int {
    var values = 0.0
    for (index, one) in asked.prefix(64).enumerated() {
      values += Double(samples) * Double(one.job.asked.count)
      if index > 0, values > 5e7 { return index }
    }
    return min(asked.count, 64)
  }

  /// The answer to a table, and the rows that it is written as.
  ///
  /// - Parameter fitted: a chain of the table's rows alone, which saves fitting one where it says the same.
  package func answer(
    _ asked: (group: String?, job: TableJob), fitted: TableChain? = nil, on pool: ThreadPool?,
    say: ((String) -> Void)? = nil,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> (answer: TableAnswer, rows: [[ChorusTables.Cell]]) {
    let (group, job) = asked
    let steps = steps(job)
    if let refusal = job.refusal(steps) {
      let answer = TableAnswer(
        job: job, steps: steps, drawn: nil, levels: levels, group: group, digits: digits, refusal: refusal)
      return (
        answer, try functionals.isEmpty ? answer.rows : answer.functionalRows(functionals, independent: [])
      )
    }
    do {
      let given = try TableKnown(known, of: job, steps)
      let chain =
        try given.pins.isEmpty
        ? fitted?.asking(job.cells, steps: steps)
          ?? TableChain(model, job.cells, steps: steps, rows: Set(job.asked), on: pool)
        : TableChain(model, job.cells, steps: steps, rows: Set(job.asked), pins: given.pins, on: pool)
      if let say {
        for (index, step) in steps.enumerated() {
          if let words = chain.relevance(index).flatMap({ job.importance(step, $0) }) { say(words) }
        }
      }
      func draw(_ plan: PlanTemplate, _ progress: (@Sendable (Int) -> Void)?) throws -> TableChain.Drawn {
        // What is said of the rows of one category follows from no draw.
        let isSaid = !needsPaths && steps.count == 1 && steps[0].levels != nil && given.conditions.isEmpty
        return try chain.sample(
          isSaid ? 0 : samples, given: given.conditions, seed: seed, plan: plan, flopLimit: flopLimit,
          progress: progress)
      }
      let answer = TableAnswer(
        job: job, steps: steps, drawn: try draw(template, progress), levels: levels, group: group,
        digits: digits)
      guard functionals.isEmpty else {
        return (
          answer, try answer.functionalRows(functionals, independent: draw(.independent, nil).paths)
        )
      }
      return (answer, answer.rows)
    } catch {
      // One of many: say which.
      guard let group else { throw error }
      throw SeriesError(file: job.frame.source, group: group, underlying: error)
    }
  }
}
