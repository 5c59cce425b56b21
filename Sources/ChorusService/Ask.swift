import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

/// What is asked of a kept context: of which series, where, by which plan and how often.
struct Ask: Sendable {
  static let points = [
    FieldSpec(
      "at", .text, "Points as a grid, FIRST..LAST/STEP; of several inputs one grid each, separated by commas."
    ),
    FieldSpec(
      "points", .points, "Points as objects with the inputs, or as plain values where there is one input."),
    FieldSpec("horizon", .integer(1...100_000), "So many steps after the last row."),
    FieldSpec("every", .text, "The step of the horizon: 1M, 1q, 1w, 1D, 1B, 30min, or a number."),
  ]
  static let series = FieldSpec("series", .text, "Of a context with groups, the one series that is asked.")
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
  let template: PlanTemplate
  let samples: Int
  let seed: UInt64
  let latent: Bool
  let levels: [Double]
  let functionals: [Functional]
  let known: [KnownStatement]

  init(_ context: LoadedContext, _ incoming: Incoming) throws {
    let fields = incoming.fields
    self.context = context
    let asked = try Self.chosen(context, fields)
    let inputs = context.description.inputs
    let points = try AskedPoints(
      at: fields.text("at"),
      rows: incoming.source("points", input: inputs.count == 1 ? inputs.first : nil),
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
    template = try PlanTemplate(parsing: fields.text("plan") ?? "auto")
    samples = fields.integer("samples") ?? 100
    seed = fields.seed("seed") ?? 0
    latent = fields.boolean("latent") ?? false
    known = try (fields.texts("given") ?? []).map(KnownStatement.init)
    functionals = try FunctionalTable.functionals(fields.texts("functional")?.joined(separator: ","))
    levels = fields.numbers("quantiles") ?? [0.05, 0.5, 0.95]
    guard levels.allSatisfy({ (0...1).contains($0) }), Set(levels).count == levels.count else {
      throw ServiceError(422, "'quantiles' must be different levels between 0 and 1")
    }
  }

  /// The series that are asked: all, or the one that is named.
  static func chosen(_ context: LoadedContext, _ fields: Fields) throws -> [KeptSeries] {
    guard let name = fields.text("series") else { return context.series }
    let chosen = context.series.filter { $0.observations.group == name }
    guard !chosen.isEmpty else {
      throw ServiceError(
        422,
        context.groups == nil
          ? "the context has one series and no groups; leave out 'series'"
          : "there is no series '\(name)' in it")
    }
    return chosen
  }

  /// Values that are drawn.
  var values: Int { samples * questions.reduce(0) { $0 + $1.points.count } }

  private var isIndependent: Bool {
    !functionals.isEmpty && !(context.series.first?.posterior.model.network.capability.inOrder ?? true)
  }

  /// The arithmetic of the answer. With bounds as conditions paths are drawn until enough meet them, which is not counted.
  func flops() throws -> Double {
    try questions.reduce(0) { sum, question in
      guard let posterior = question.kept else { return sum }
      func work(_ plan: PlanTemplate) throws -> Double {
        try posterior.cost(at: question.points, plan: plan, paths: samples).work.total
      }
      var own = try work(template) * (latent ? 2 : 1)
      if isIndependent { own += try work(.independent) }
      if !known.isEmpty {
        own += Posterior.flops(
          toRead: posterior.rows + known.count, dimensions: question.points.dimensions, by: posterior.model)
      }
      return sum + own
    }
  }

  /// Draws. The same question to the command line gives the same numbers.
  func answers(flopLimit: Double) throws -> [Answer] {
    try questions.map { question in
      guard let posterior = question.kept else {
        throw ServiceError(500, "a series lacks its encoded rows")
      }
      let asker = Asker(
        model: posterior.model, values: .automatic, limits: nil, template: template, samples: samples,
        seed: seed,
        latent: latent, flopLimit: flopLimit, independent: isIndependent, known: known)
      return try asker.answer(question, on: nil)
    }
  }

  func table() throws -> AnswerTable {
    try AnswerTable(
      of: questions[0].observations, groupColumn: context.description.groupColumn,
      targets: context.description.targets, levels: levels, functionals: functionals)
  }
}
