import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

extension Service {
  /// Answers by draws from a kept context.
  func ask(
    _ call: Call, needsFunctional: Bool = false,
    _ form: @escaping @Sendable (Ask, [Answer], AnswerForm) throws -> ServiceResponse
  ) async throws -> ServiceResponse {
    let route = try Route.find(call.request.method, call.request.path).route
    let accepted = try AnswerForm.accepted(call.request.headers["accept"], among: route.forms)
    let incoming = try Incoming(call.request, route.fields, rows: "points")
    let ask = try question(call, incoming)
    if needsFunctional, ask.functionals.isEmpty {
      throw ServiceError(422, "name in 'functional' the numbers that are asked for, as sum")
    }
    _ = try ask.table()
    let (flops, limit) = (try ask.flops(), settings.requestFlops)
    let description = ask.context.description
    let key = Sharing.Key(
      context: description.id, version: description.version, path: call.request.path,
      query: call.request.query, contentType: call.request.contentType, form: accepted,
      body: call.request.body)
    let (response, isShared) = try await sharing.answer(key) { [self] in
      try await work(
        call, cost: flops, deadline: incoming.fields.number("deadline"), isTypical: true
      ) { try form(ask, ask.answers(flopLimit: limit), accepted) }
    }
    guard !isShared else {
      metrics.count(.shared)
      return response
    }
    metrics.count(.paths, Double(ask.samples * ask.questions.count))
    return response
  }

  private func question(_ call: Call, _ incoming: Incoming) throws -> Ask {
    let ask = try Ask(store.context(call.id, tenant: call.tenant), incoming)
    try check(points: ask.questions.reduce(0) { $0 + $1.points.count }, values: ask.values)
    return ask
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
    let score = try HeldScore(context, incoming, densityAlone: densityAlone)
    // Scores of pairs of rows and of draws grow by squares.
    try check(points: densityAlone ? score.rows.count : 20 * score.rows.count, values: score.values)
    let limit = settings.requestFlops
    return try await work(call, cost: score.flops(), deadline: incoming.fields.number("deadline")) {
      try score.body(context.description, flopLimit: limit).response(accepted)
    }
  }

  /// What a question would cost; nothing is drawn.
  func explain(_ call: Call) throws -> ServiceResponse {
    let route = try Route.find(call.request.method, call.request.path).route
    let ask = try question(call, Incoming(call.request, route.fields, rows: "points"))
    let flops = try ask.flops()
    let plans = try ask.questions.map { question -> JSON in
      guard let posterior = question.kept else { return .null }
      return Self.json(
        try posterior.plan(ask.template, at: question.points), posterior, paths: ask.samples,
        group: question.observations.group)
    }
    return ServiceResponse(200, .members(cost(flops) + [("plans", .array(plans))]))
  }

  /// What a plan would cost without a context.
  func explainPlan(_ call: Call) async throws -> ServiceResponse {
    let incoming = try Incoming(call.request, PlanQuestion.fields, rows: nil)
    let name = incoming.fields.text("model") ?? modelNames[0]
    guard let model = models[name] else {
      throw ServiceError(
        422, "there is no model '\(name.prefix(60))'; there are: \(modelNames.joined(separator: ", "))")
    }
    let question = try PlanQuestion(incoming.fields)
    try check(points: question.targets, values: question.paths * question.targets)
    let plan = try question.template.resolve(
      context: max(question.context, 1), targets: question.targets, capability: model.network.capability)
    let rates = model.network.rates
    let flops =
      try plan.cost(paths: question.paths).work(rates).total
      + Posterior.flops(toRead: question.context, dimensions: 1, by: model)
    let explained = try plan.explained(rates: rates, paths: question.paths)
    return ServiceResponse(200, .members(cost(flops) + [("plans", .array([Self.json(explained)]))]))
  }

  private func cost(_ flops: Double) -> [(String, JSON?)] {
    let load = queue.load
    return [
      ("flop", .double(flops)), ("flop_limit", .double(settings.requestFlops)),
      ("is_within_limits", .bool(flops <= settings.requestFlops)),
      ("seconds_expected", .double(flops / load.rate)), ("requests_waiting", .integer(load.waiting)),
    ]
  }

  private static func json(
    _ plan: Plan, _ posterior: Posterior, paths: Int, group: String?
  ) -> JSON {
    guard let explained = try? plan.explained(rates: posterior.model.network.rates, paths: paths) else {
      return .null
    }
    return json(explained, group: group)
  }

  private static func json(_ explained: Plan.Explanation, group: String? = nil) -> JSON {
    let members = zip(Plan.Explanation.columns, explained.values).map { name, value in
      let json: JSON =
        switch value {
        case .text(let text): .string(text)
        case .integer(let integer): .integer(integer)
        case .number(let number): .double(number)
        case .missing: .null
        }
      return JSON.Member(key: name, value: json)
    }
    return .object((group.map { [JSON.Member(key: "series", value: .string($0))] } ?? []) + members)
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
