import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusTables

extension Service {
  /// Answers by draws from a kept context.
  func ask(_ call: Call, _ kind: AnswerKind, needsFunctional: Bool = false) async throws -> ServiceResponse {
    let route = try Route.find(call.request.method, call.request.path).route
    let form = try AnswerForm.accepted(call.request.headers["accept"], among: route.forms)
    let incoming = try Incoming(call.request, route.fields, rows: "points")
    let context = try store.context(call.id, tenant: call.tenant)
    let question = try question(context, incoming)
    if needsFunctional, question.functionals.isEmpty {
      throw ServiceError(422, "name in 'functional' the numbers that are asked for, as sum")
    }
    try question.check()
    let (flops, limit) = (try question.flops(), settings.requestFlops)
    let description = context.description
    let key = Sharing.Key(
      context: description.id, version: description.version, path: call.request.path,
      query: call.request.query, contentType: call.request.contentType, form: form, body: call.request.body)
    let (response, isShared) = try await sharing.answer(key) { [self] in
      try await work(
        call, cost: flops, deadline: incoming.fields.number("deadline"), isTypical: question.isTypical
      ) { try question.response(kind, form, flopLimit: limit) }
    }
    guard !isShared else {
      metrics.count(.shared)
      return response
    }
    metrics.count(.paths, Double(question.paths))
    return response
  }

  private func question(_ context: LoadedContext, _ incoming: Incoming) throws -> any ContextQuestion {
    let question: any ContextQuestion =
      if let table = context.table { try TableAsk(table, incoming, pointLimit: settings.requestPoints) } else
      { try Ask(context, incoming) }
    try check(points: question.points, values: question.values)
    return question
  }

  func check(points: Int, values: Int) throws(ServiceError) {
    guard points <= settings.requestPoints else {
      throw ServiceError(422, "\(points) points are asked for; a request may have \(settings.requestPoints)")
    }
    guard values <= settings.requestValues else {
      throw ServiceError(
        422,
        "\(values) values would be drawn; a request may draw \(settings.requestValues): ask for fewer samples or points"
      )
    }
  }

  func score(_ call: Call, densityAlone: Bool) async throws -> ServiceResponse {
    let route = try Route.find(call.request.method, call.request.path).route
    let accepted = try AnswerForm.accepted(call.request.headers["accept"], among: route.forms)
    let incoming = try Incoming(call.request, route.fields, rows: "rows")
    let context = try store.context(call.id, tenant: call.tenant)
    let settings = try ScoreSettings(
      incoming.fields, densityAlone: densityAlone, isTable: context.table != nil)
    let score: any ContextScore =
      if let table = context.table {
        try TableScore(table, incoming, settings)
      } else {
        try HeldScore(context, incoming, settings)
      }
    // Scores of pairs of rows and of draws grow by squares.
    try check(
      points: densityAlone ? score.rowCount : 20 * score.rowCount, values: settings.values(of: score.rowCount)
    )
    let limit = self.settings.requestFlops
    return try await work(call, cost: score.flops(), deadline: incoming.fields.number("deadline")) {
      try score.body(context.description, flopLimit: limit).response(accepted)
    }
  }

  /// What a question would cost; nothing is drawn.
  func explain(_ call: Call) throws -> ServiceResponse {
    let route = try Route.find(call.request.method, call.request.path).route
    let context = try store.context(call.id, tenant: call.tenant)
    let question = try question(context, Incoming(call.request, route.fields, rows: "points"))
    return ServiceResponse(
      200, .members(cost(try question.flops()) + [("plans", .array(try question.plans()))]))
  }

  /// What a plan would cost without a context.
  func explainPlan(_ call: Call) async throws -> ServiceResponse {
    let incoming = try Incoming(call.request, PlanQuestion.fields, rows: nil)
    let name = incoming.fields.text("model") ?? modelNames[0]
    let model = try served(name)
    let question = try PlanQuestion(incoming.fields)
    try check(points: question.targets, values: question.paths * question.targets)
    let plan = try question.template.resolve(
      context: max(question.context, 1), targets: question.targets, capability: model.network.capability)
    let flops =
      try plan.cost(paths: question.paths).work(model.network.rates).total
      + Posterior.flops(toRead: question.context, dimensions: 1, by: model)
    return ServiceResponse(
      200,
      .members(cost(flops) + [("plans", .array([.plan(plan, by: model, paths: question.paths, of: nil)]))]))
  }

  private func cost(_ flops: Double) -> [(String, JSON?)] {
    let load = queue.load
    return [
      ("flop", .double(flops)), ("flop_limit", .double(settings.requestFlops)),
      ("is_within_limits", .bool(flops <= settings.requestFlops)),
      ("seconds_expected", .double(flops / load.rate)), ("requests_waiting", .integer(load.waiting)),
    ]
  }
}

extension JSON {
  /// A plan and what it costs.
  ///
  /// - Parameter series: the one that it is for.
  static func plan(_ plan: Plan, by model: Model, paths: Int, of series: String?) -> JSON {
    guard let explained = try? plan.explained(rates: model.network.rates, paths: paths) else { return .null }
    let members = zip(Plan.Explanation.columns, explained.values).map { name, value in
      let json: JSON =
        switch value {
        case .text(let text): .string(text)
        case .integer(let integer): .integer(integer)
        case .number(let number): .double(number)
        case .missing: .null
        }
      return Member(key: name, value: json)
    }
    return .object((series.map { [Member(key: "series", value: .string($0))] } ?? []) + members)
  }
}

/// A plan without a context.
struct PlanQuestion: Sendable {
  static let fields = [
    FieldSpec("context", .integer(0...1_000_000), "Rows of the context."),
    FieldSpec("targets", .integer(1...1_000_000), "Points that are asked for together."),
    FieldSpec("paths", .integer(1...1_000_000), "Paths; 1 without."), Ask.plan,
    FieldSpec("model", .text, "The model; the first of /v1/models without."),
  ]

  let context: Int
  let targets: Int
  let paths: Int
  let template: PlanTemplate

  init(_ fields: Fields) throws {
    guard let context = fields.integer("context"), let targets = fields.integer("targets") else {
      throw ServiceError(422, "'context' and 'targets' are needed")
    }
    (self.context, self.targets, paths) = (context, targets, fields.integer("paths") ?? 1)
    template = try PlanTemplate(parsing: fields.text("plan") ?? "auto")
  }
}
