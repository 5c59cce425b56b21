import ChorusFiles

/// The OpenAPI 3.1 document of the service, made of its table of routes.
enum OpenAPI {
  static func document(_ settings: ServiceSettings) -> JSON {
    var paths: [String: [(String, JSON?)]] = [:]
    for route in Route.all {
      paths[route.path, default: []].append((route.method.lowercased(), operation(route, settings)))
    }
    return .members([
      "openapi": .string("3.1.0"),
      "info": .members([
        "title": .string("Chorus"), "version": .string("1"),
        "description": .string(
          "Contexts are rows that a model has read once. They are asked as often as wanted for coherent paths, joint densities and functions of whole paths. The same question gives the same bytes."
        ), "license": .members(["name": .string("Apache-2.0"), "identifier": .string("Apache-2.0")]),
      ]),
      "paths": .members(paths.sorted { $0.key < $1.key }.map { ($0.key, .members($0.value)) }),
      "components": .members([
        "securitySchemes": .members([
          "key": .members(["type": .string("http"), "scheme": .string("bearer")])
        ]),
        "schemas": .members([
          "Problem": problem, "InferenceError": inferenceError, "ForecastError": forecastError,
          "Context": context,
        ]),
      ]),
    ])
  }

  private static func operation(_ route: Route, _ settings: ServiceSettings) -> JSON {
    var parameters: [JSON] = []
    if let name = route.parameter {
      parameters.append(
        .members([
          "name": .string(name), "in": .string("path"), "required": .bool(true),
          "schema": .members([
            "type": .string("string"), "pattern": name == "id" ? .string("^[0-9a-f]{32}$") : nil,
          ]),
        ]))
    }
    for field in route.fields where !isTable(field) {
      parameters.append(
        .members([
          "name": .string(field.name), "in": .string("query"), "description": .string(field.words),
          "schema": schema(field, inQuery: true), "explode": isList(field) ? .bool(false) : nil,
        ]))
    }
    var responses: [(String, JSON?)] = [(String(route.success), success(route))]
    let statuses =
      route.access == .anybody ? (route.name.lowercased().hasSuffix("ready") ? [503] : []) : statuses(route)
    for status in statuses { responses.append((String(status), problemResponse(status, route))) }
    return .members([
      "operationId": .string(route.name), "summary": .string(route.words),
      "parameters": .array(parameters), "requestBody": body(route, settings),
      "responses": .members(responses),
      "security": route.access == .tenant ? .array([.members(["key": .array([])]), .members([:])]) : nil,
    ])
  }

  private static func statuses(_ route: Route) -> [Int] {
    var statuses = [401]
    if route.parameter != nil || route.name == "forecast" { statuses.append(404) }
    if route.name == "modelReady" { statuses.append(503) }
    if case .none = route.body, !route.fields.isEmpty {
      return statuses + [400, 409, 422, 429, 500, 503, 504, 507]
    }
    guard case .none = route.body else {
      return statuses + [400, 406, 409, 413, 415, 422, 429, 500, 503, 504, 507]
    }
    return statuses
  }

  private static func isTable(_ field: FieldSpec) -> Bool {
    switch field.kind {
    case .rows: true
    default: false
    }
  }

  private static func isList(_ field: FieldSpec) -> Bool {
    switch field.kind {
    case .texts, .numbers, .points: true
    default: false
    }
  }

  private static func schema(_ field: FieldSpec, inQuery: Bool) -> JSON {
    func list(_ items: JSON) -> JSON { .members(["type": .string("array"), "items": items]) }
    let text = JSON.members(["type": .string("string")])
    let number = JSON.members(["type": .string("number")])
    switch field.kind {
    case .text: return text
    case .choice(let words):
      return .members(["type": .string("string"), "enum": .array(words.map(JSON.string))])
    case .integer(let range):
      return .members([
        "type": .string("integer"), "minimum": .integer(range.lowerBound),
        "maximum": .integer(range.upperBound),
      ])
    case .seed:
      return .members([
        "type": .string("integer"), "minimum": .integer(0), "maximum": .number(String(UInt64.max)),
      ])
    case .number(let range):
      return .members([
        "type": .string("number"),
        "minimum": range.lowerBound.isFinite ? .double(range.lowerBound) : nil,
        "maximum": range.upperBound.isFinite ? .double(range.upperBound) : nil,
      ])
    case .boolean: return .members(["type": .string("boolean")])
    case .texts: return list(text)
    case .numbers: return list(number)
    case .rows: return list(.members(["type": .string("object")]))
    case .points:
      return inQuery
        ? list(text)
        : list(.members(["type": .array([.string("object"), .string("number"), .string("string")])]))
    }
  }

  private static func body(_ route: Route, _ settings: ServiceSettings) -> JSON? {
    let object = JSON.members([
      "type": .string("object"),
      "properties": .members(
        route.fields.map { field in
          guard case .object(var members) = schema(field, inQuery: false) else { return (field.name, nil) }
          members.append(JSON.Member(key: "description", value: .string(field.words)))
          return (field.name, .object(members))
        }),
      "additionalProperties": .bool(false),
    ])
    let json: (String, JSON?) = (MediaType.json, .members(["schema": object]))
    switch route.body {
    case .none: return nil
    case .fields: return .members(["required": .bool(true), "content": .members([json])])
    case .foreign:
      let any = JSON.members(["schema": .members(["type": .string("object")])])
      return .members(["required": .bool(true), "content": .members([(MediaType.json, any)])])
    case .table(let name, let isRequired):
      let text = JSON.members(["schema": .members(["type": .string("string")])])
      let binary = JSON.members(["schema": .members([:])])
      let form = JSON.members([
        "schema": .members([
          "type": .string("object"),
          "properties": .members([
            (
              name,
              .members(["type": .string("string"), "contentMediaType": .string("application/octet-stream")])
            )
          ]),
        ])
      ])
      return .members([
        "required": .bool(isRequired),
        "description": .string(
          "A table of at most \(settings.bodyBytes) bytes, or fields as JSON with the rows in '\(name)'."),
        "content": .members([
          json, (MediaType.csv, text), ("text/tab-separated-values", text), (MediaType.jsonLines, text),
          ("application/octet-stream", binary), ("multipart/form-data", form),
        ]),
      ])
    }
  }

  private static func success(_ route: Route) -> JSON {
    guard route.success != 204 else { return .members(["description": .string("Done.")]) }
    let isContext = ["makeContext", "context", "addRows", "forgetRows"].contains(route.name)
    let schema: JSON =
      isContext
      ? .members(["$ref": .string("#/components/schemas/Context")])
      : route.name == "forecastModels"
        ? .members(["type": .string("array")]) : .members(["type": .string("object")])
    if let text = route.text {
      return .members([
        "description": .string(route.words),
        "content": .members([(text, .members(["schema": .members(["type": .string("string")])]))]),
      ])
    }
    return .members([
      "description": .string(route.words),
      "content": .members(
        route.forms.map { form in
          (
            MediaType.name(form.mediaType),
            .members([
              "schema": form == .json
                ? schema : form == .npy ? .members([:]) : .members(["type": .string("string")])
            ])
          )
        }),
    ])
  }

  private static func problemResponse(_ status: Int, _ route: Route) -> JSON {
    let form = ServiceError.Form(path: route.path)
    let schema =
      switch form {
      case .problem: "Problem"
      case .inference: "InferenceError"
      case .forecast: "ForecastError"
      }
    let retry = JSON.members([
      "retry-after": .members([
        "description": .string("Seconds."), "schema": .members(["type": .string("integer")]),
      ])
    ])
    return .members([
      "description": .string(ServiceError.title(status) + "."),
      "headers": status == 429 ? retry : nil,
      "content": .members([
        form.mediaType: .members(["schema": .members(["$ref": .string("#/components/schemas/\(schema)")])])
      ]),
    ])
  }

  private static let problem: JSON = .members([
    "type": .string("object"),
    "properties": .members([
      "type": .members(["type": .string("string")]), "title": .members(["type": .string("string")]),
      "status": .members(["type": .string("integer")]), "detail": .members(["type": .string("string")]),
    ]),
    "required": .array(["type", "title", "status", "detail"].map(JSON.string)),
  ])

  private static let inferenceError = object(["error": .members(["type": .string("string")])])

  private static let forecastError: JSON = {
    let text = JSON.members(["type": .string("string")])
    return object(["error": object(["code": text, "message": text, "type": text])])
  }()

  /// An object that has all of these.
  private static func object(_ properties: KeyValuePairs<String, JSON>) -> JSON {
    .members([
      "type": .string("object"), "properties": .members(properties.map { ($0.key, Optional($0.value)) }),
      "required": .array(properties.map { JSON.string($0.key) }),
    ])
  }

  private static let context: JSON = {
    let text = JSON.members(["type": .string("string")])
    let integer = JSON.members(["type": .string("integer")])
    let texts = JSON.members(["type": .string("array"), "items": text])
    return .members([
      "type": .string("object"),
      "properties": .members([
        "id": text, "name": text, "model": text, "classes": text, "created": text, "expires": text,
        "kind": .members(["type": .string("string"), "enum": .array(["series", "table"].map(JSON.string))]),
        "version": integer,
        "rows": integer, "sent": integer, "inputs": texts, "targets": texts, "group": text, "series": integer,
        "bytes": integer,
        "notes": texts,
      ]),
      "required": .array(
        [
          "id", "model", "created", "kind", "version", "rows", "inputs", "targets", "series", "bytes",
          "notes",
        ].map(JSON.string)),
    ])
  }()
}
