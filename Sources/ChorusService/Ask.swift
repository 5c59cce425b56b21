import ChorusData
import ChorusEvaluation
import ChorusFiles
import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

/// What is asked of kept series: of which, where, by which plan and how often.
struct Ask: ContextQuestion {
  static let points = [
    FieldSpec(
      "at", .text, "Points as a grid, FIRST..LAST/STEP; of several inputs one grid each, separated by commas."
    ),
    FieldSpec(
      "points", .points, "Points as objects with the inputs, or as plain values where there is one input."),
    FieldSpec("horizon", .integer(1...100_000), "So many steps after the last row."),
    FieldSpec("every", .text, "The step of the horizon: 1M, 1q, 1w, 1D, 1B, 30min, or a number."),
  ]
  static let series = FieldSpec("series", .text, "Of a context with groups, the one group that is asked.")
  static let plan = FieldSpec(
    "plan", .text, "How paths are drawn: \(PlanTemplate.forms.joined(separator: ", ")).")
  static let samples = FieldSpec("samples", .integer(1...1_000_000), "Paths to draw; 100 without.")
  static let seed = FieldSpec("seed", .seed, "The same seed gives the same bytes; 0 without.")
  static let latent = FieldSpec("latent", .boolean, "Draw the noiseless curve.")
  static let given = FieldSpec(
    "given", .texts,
    "What is known: 2026-03-01=120, 2026-06-01>100, sum<1000; a list, or separated by commas.")
  static let quantiles = FieldSpec(
    "quantiles", .numbers, "Levels between 0 and 1; 0.05, 0.5 and 0.95 without.")
  static let functionals = FieldSpec(
    "functional", .texts, "Numbers made of each path: \(Functional.forms.joined(separator: ", ")).")
  static let deadline = FieldSpec(
    "deadline", .number(0.001...3_600),
    "Seconds after which the answer is of no use; no more than the server's.")

  /// The fields of a question by draws.
  static let fields = points + [series, plan, samples, seed, latent, given, deadline]

  let context: LoadedContext
  let questions: [Question]
  let settings: DrawSettings
  let latent: Bool

  init(_ context: LoadedContext, _ incoming: Incoming) throws {
    let fields = incoming.fields
    self.context = context
    let asked = try Self.chosen(context, fields)
    let inputs = context.description.inputs
    let points = try AskedPoints(
      at: fields.text("at"),
      rows: incoming.source(
        "points", options: TableOptions(fields), input: inputs.count == 1 ? inputs.first : nil),
      horizon: fields.integer("horizon"), every: fields.text("every"))
    // Where a series ends is its own; all other points are the same for all.
    let shared =
      points.horizon == nil
      ? try points.given(for: asked[0].observations.selection, groups: context.groups, file: "context") : nil
    questions = try asked.map { series in
      try points.horizon == nil ? series.question(shared) : series.question(points)
    }.filter { $0.points.count > 0 }
    guard !questions.isEmpty else {
      throw ServiceError(422, "there is nothing to predict; give 'at', 'points' or 'horizon'")
    }
    settings = try DrawSettings(fields, plan: "auto")
    latent = fields.boolean("latent") ?? false
  }

  /// The series that are asked: all, or the one that is named.
  static func chosen(_ context: LoadedContext, _ fields: Fields) throws -> [KeptSeries] {
    guard let name = try name(fields, among: context.description.groups) else { return context.series }
    return context.series.filter { $0.observations.group == name }
  }

  /// The group that a question names; nil where it names none.
  static func name(_ fields: Fields, among groups: [String]?) throws(ServiceError) -> String? {
    guard let name = fields.text("series") else { return nil }
    guard let groups else { throw ServiceError(422, "the context has no groups; leave out 'series'") }
    guard groups.contains(name) else {
      throw ServiceError(422, "there is no series '\(name.prefix(60))' in it")
    }
    return name
  }

  var points: Int { questions.reduce(0) { $0 + $1.points.count } }
  var values: Int { settings.samples * points }
  var paths: Int { settings.samples * questions.count }
  var functionals: [Functional] { settings.functionals }
  var isTypical: Bool { true }

  func check() throws { _ = try table() }

  private var isIndependent: Bool {
    !functionals.isEmpty && !(context.series.first?.posterior.model.network.capability.inOrder ?? true)
  }

  func flops() throws -> Double {
    try questions.reduce(0) { sum, question in
      guard let posterior = question.kept else { return sum }
      func work(_ plan: PlanTemplate) throws -> Double {
        try posterior.cost(at: question.points, plan: plan, paths: settings.samples).work.total
      }
      var own = try work(settings.template) * (latent ? 2 : 1)
      if isIndependent { own += try work(.independent) }
      if !settings.known.isEmpty {
        own += Posterior.flops(
          toRead: posterior.rows + settings.known.count, dimensions: question.points.dimensions,
          by: posterior.model)
      }
      return sum + own
    }
  }

  func plans() throws -> [JSON] {
    try questions.map { question -> JSON in
      guard let posterior = question.kept else { return .null }
      return try .plan(
        posterior.plan(settings.template, at: question.points), by: posterior.model, paths: settings.samples,
        of: question.observations.group)
    }
  }

  private func answers(flopLimit: Double) throws -> [Answer] {
    try questions.map { question in
      guard let posterior = question.kept else {
        throw ServiceError(500, "a series lacks its encoded rows")
      }
      let asker = Asker(
        model: posterior.model, values: .automatic, limits: nil, template: settings.template,
        samples: settings.samples, seed: settings.seed, latent: latent, flopLimit: flopLimit,
        independent: isIndependent, known: settings.known)
      return try asker.answer(question, on: nil)
    }
  }

  func response(_ kind: AnswerKind, _ form: AnswerForm, flopLimit: Double) throws -> ServiceResponse {
    let answers = try answers(flopLimit: flopLimit)
    return switch kind {
    case .paths: try paths(answers, form)
    case .summary: try summary(answers, form)
    }
  }

  private func table() throws -> AnswerTable {
    let table = try AnswerTable(
      of: questions[0].observations, groupColumn: context.description.groupColumn,
      targets: context.description.targets, levels: settings.levels, functionals: functionals)
    try table.check(questions)
    return table
  }

  private func beside(_ answers: [Answer]) -> [JSON.Member] {
    var tally = NoteTally()
    for answer in answers { tally.add(answer) }
    return settings.beside(notes: tally.notes)
  }

  /// The paths themselves. In JSON a path is a list, with the points once.
  private func paths(_ answers: [Answer], _ form: AnswerForm) throws -> ServiceResponse {
    let table = try table()
    switch form {
    case .json:
      return ServiceResponse(
        200, .object([JSON.Member(key: "series", value: .array(answers.map(Self.json)))] + beside(answers)))
    case .npy:
      let matrix = answers.count == 1 ? answers[0].samples?.paths : nil
      return try AnswerBody(columns: [], rows: [], matrix: matrix).response(form)
    case .csv, .jsonl:
      var rows: [[Cell]] = []
      for answer in answers { table.forEachPathRow(answer) { (cells) throws(Never) in rows.append(cells) } }
      return try AnswerBody(columns: table.pathColumns, rows: rows).response(form)
    }
  }

  private static func json(_ answer: Answer) -> JSON {
    let question = answer.question
    let selection = question.selection
    let points = selection.inputs.indices.map { column in
      JSON.Member(
        key: selection.inputs[column],
        value: .array((0..<question.points.count).map { JSON(question.inputCells($0)[column]) }))
    }
    let samples = answer.samples
    return .members([
      "group": question.observations.group.map(JSON.string), "target": .string(selection.target),
      "points": .object(points),
      "paths": .array((samples?.paths ?? []).map { .array($0.map(JSON.double)) }),
      "means": .array((samples?.means ?? []).map(JSON.double)),
      "outside": .array((samples?.outside ?? []).map { .string($0.description) }),
    ])
  }

  /// Quantiles of the paths, point by point, or functionals where some are asked for.
  private func summary(_ answers: [Answer], _ form: AnswerForm) throws -> ServiceResponse {
    let table = try table()
    var body = AnswerBody(columns: table.columns, rows: answers.flatMap(table.rows), beside: beside(answers))
    if answers.count == 1, functionals.isEmpty, let samples = answers[0].samples {
      body.matrix = zip(samples.means, samples.quantiles(settings.levels)).map { [$0] + $1 }
    }
    return try body.response(form)
  }
}
