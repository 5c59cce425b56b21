import ChorusTables

/// What the service answers to: the one table that requests are matched with and that its OpenAPI document is made of.
struct Route: Sendable {
  enum Body: Sendable {
    case none
    /// Fields as JSON.
    case fields
    /// JSON of another protocol.
    case foreign
    /// A table, or JSON with the rows in the field named.
    case table(String, isRequired: Bool)
  }

  enum Access: Sendable {
    case anybody
    case tenant
  }

  let method: String
  /// A part in braces stands for any one.
  let path: String
  let name: String
  let words: String
  var access = Access.tenant
  var body = Body.none
  var fields: [FieldSpec] = []
  var forms: [AnswerForm] = [.json]
  /// The media type of an answer that is a text of its own and no data.
  var text: String?
  let success: Int
  let answer: @Sendable (Service, Call) async throws -> ServiceResponse

  /// A request to it.
  struct Call: Sendable {
    let request: ServiceRequest
    let tenant: String
    /// What stands in the place of the part in braces.
    let id: String
    let arrival: ContinuousClock.Instant
  }

  /// The name of the part in braces.
  var parameter: String? {
    path.split(separator: "/").first { $0.first == "{" }.map { String($0.dropFirst().dropLast()) }
  }

  fileprivate func id(in path: [Substring]) -> String?? {
    let own = self.path.split(separator: "/")
    guard own.count == path.count else { return nil }
    var id: String?
    for (part, found) in zip(own, path) {
      if part.first == "{" { id = String(found) } else if part != found { return nil }
    }
    return .some(id)
  }

  /// The route of a request and what stands for its `{id}`.
  ///
  /// - Throws: `ServiceError` (404, 405).
  static func find(_ method: String, _ path: String) throws(ServiceError) -> (route: Route, id: String) {
    let parts = path.split(separator: "/")
    var methods: [String] = []
    for route in all {
      guard let id = route.id(in: parts) else { continue }
      if route.method == method { return (route, id ?? "") }
      methods.append(route.method)
    }
    guard methods.isEmpty else {
      var error = ServiceError(405, "\(path.prefix(80)) takes \(methods.joined(separator: ", "))")
      error.headers = [("allow", methods.joined(separator: ", "))]
      throw error
    }
    throw ServiceError(404, "there is nothing at \(path.prefix(80)); /openapi.json tells what there is")
  }

  private static let tables: [AnswerForm] = [.json, .csv, .jsonl, .npy]
  private static let rows: [AnswerForm] = [.json, .csv, .jsonl]

  static let all: [Route] = [
    Route(
      method: "GET", path: "/", name: "playground",
      words:
        "A page on which one draws points and sees paths; it runs in the browser and asks the service nothing.",
      access: .anybody, text: MediaType.html, success: 200
    ) { service, _ in try service.playgroundResponse() },
    Route(
      method: "GET", path: "/healthz", name: "health", words: "Whether the process lives.", access: .anybody,
      success: 200
    ) { _, _ in ServiceResponse(200, .members(["status": .string("ok")])) },
    Route(
      method: "GET", path: "/readyz", name: "ready",
      words: "Whether requests are taken: 503 while it goes down.",
      access: .anybody, success: 200
    ) { service, _ in try service.ready() },
    Route(
      method: "GET", path: "/openapi.json", name: "document", words: "This document.", access: .anybody,
      success: 200
    ) { service, _ in ServiceResponse(200, OpenAPI.document(service.settings)) },
    Route(
      method: "GET", path: "/metrics", name: "metrics", words: "Counts and times, as Prometheus reads them.",
      text: MediaType.plain, success: 200
    ) { service, _ in service.metricsResponse() },
    Route(
      method: "GET", path: "/v1/models", name: "models", words: "The models that contexts can be made with.",
      success: 200
    ) { service, _ in service.modelsResponse() },
    Route(
      method: "POST", path: "/v1/explain", name: "explainPlan",
      words: "What a plan would do and cost, before there is a context.", body: .fields,
      fields: PlanQuestion.fields, success: 200
    ) { service, call in try await service.explainPlan(call) },
    Route(
      method: "POST", path: "/v1/contexts", name: "makeContext",
      words: "Reads rows once and keeps what the model made of them.", body: .table("rows", isRequired: true),
      fields: NewContextFields.all, success: 201
    ) { service, call in try await service.makeContext(call) },
    Route(
      method: "GET", path: "/v1/contexts", name: "contexts", words: "The contexts that are kept.",
      success: 200
    ) { service, call in service.contextsResponse(call) },
    Route(
      method: "GET", path: "/v1/contexts/{id}", name: "context", words: "What is known of a context.",
      success: 200
    ) { service, call in try service.contextResponse(call) },
    Route(
      method: "DELETE", path: "/v1/contexts/{id}", name: "deleteContext",
      words: "Forgets a context and its rows.",
      success: 204
    ) { service, call in try service.deleteContext(call) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/rows", name: "addRows",
      words: "Adds rows to a context; those before are not read again.",
      body: .table("rows", isRequired: true),
      fields: [HeldRows.field] + TableOptions.fields + [Ask.deadline], success: 200
    ) { service, call in try await service.addRows(call) },
    Route(
      method: "DELETE", path: "/v1/contexts/{id}/rows", name: "forgetRows",
      words:
        "Forgets rows of a context; those that stay are read anew, as if the others had never been sent.",
      fields: Forgotten.fields, success: 200
    ) { service, call in try await service.forgetRows(call) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/sample", name: "sample",
      words: "Coherent paths: values that go together, drawn from the joint distribution.",
      body: .table("points", isRequired: false), fields: Ask.fields + TableOptions.fields, forms: tables,
      success: 200
    ) { service, call in try await service.ask(call, .paths) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/marginals", name: "marginals",
      words: "Mean and quantiles of each point, from paths as /sample draws them.",
      body: .table("points", isRequired: false), fields: Ask.fields + [Ask.quantiles] + TableOptions.fields,
      forms: tables, success: 200
    ) { service, call in try await service.ask(call, .summary) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/functionals", name: "functionals",
      words: "Distributions of numbers made of a whole path, joint and as independent values would claim.",
      body: .table("points", isRequired: false),
      fields: Ask.fields + [Ask.functionals, Ask.quantiles] + TableOptions.fields, forms: rows, success: 200
    ) { service, call in try await service.ask(call, .summary, needsFunctional: true) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/logdensity", name: "logdensity",
      words: "The joint log-density of rows, in nats and the data's units.",
      body: .table("rows", isRequired: true),
      fields: [HeldRows.field, Ask.plan, ScoreSettings.orders, Ask.seed, Ask.deadline] + TableOptions.fields,
      forms: rows, success: 200
    ) { service, call in try await service.score(call, densityAlone: true) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/score", name: "score",
      words: "How well rows are foretold that the context has not read.",
      body: .table("rows", isRequired: true),
      fields: [HeldRows.field, Ask.plan, ScoreSettings.samples, ScoreSettings.orders, Ask.seed, Ask.deadline]
        + TableOptions.fields, forms: rows, success: 200
    ) { service, call in try await service.score(call, densityAlone: false) },
    Route(
      method: "POST", path: "/v1/contexts/{id}/explain", name: "explain",
      words: "What a question to a context would cost, before it is asked.",
      body: .table("points", isRequired: false),
      fields: Ask.fields + [Ask.functionals, Ask.quantiles] + TableOptions.fields, success: 200
    ) { service, call in try service.explain(call) },
    Route(
      method: "GET", path: "/v2", name: "serverMetadata",
      words: "The server, as the Open Inference Protocol has it.",
      access: .anybody, success: 200
    ) { service, _ in service.serverMetadata() },
    Route(
      method: "GET", path: "/v2/health/live", name: "live", words: "Whether the process lives.",
      access: .anybody,
      success: 200
    ) { _, _ in ServiceResponse(200, .members(["live": .bool(true)])) },
    Route(
      method: "GET", path: "/v2/health/ready", name: "serverReady", words: "Whether requests are taken.",
      access: .anybody, success: 200
    ) { service, _ in
      _ = try service.ready()
      return ServiceResponse(200, .members(["ready": .bool(true)]))
    },
    Route(
      method: "GET", path: "/v2/models/{name}", name: "modelMetadata", words: "The tensors of a model.",
      success: 200
    ) { service, call in try service.modelMetadata(call) },
    Route(
      method: "GET", path: "/v2/models/{name}/ready", name: "modelReady", words: "Whether a model answers.",
      success: 200
    ) { service, call in try service.modelReady(call) },
    Route(
      method: "POST", path: "/v2/models/{name}/infer", name: "infer",
      words: "Paths through points from rows, as tensors: x, y and points in, paths, mean and quantiles out.",
      body: .foreign, success: 200
    ) { service, call in try await service.infer(call) },
    Route(
      method: "GET", path: "/v1/timeseries/models", name: "forecastModels",
      words: "The models, as KServe lists them.",
      success: 200
    ) { service, _ in service.forecastModels() },
    Route(
      method: "POST", path: "/v1/timeseries/forecast", name: "forecast",
      words: "Forecasts of series with a start and a frequency, as KServe asks for them.", body: .foreign,
      success: 200
    ) { service, call in try await service.forecast(call) },
  ]
}

typealias Call = Route.Call
