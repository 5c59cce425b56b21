import ChorusData
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusTables
import Foundation

/// A context to be made.
struct NewContext: Sendable {
  static let fields =
    [
      HeldRows.field,
      FieldSpec("model", .text, "The model; the first of /v1/models without."),
      FieldSpec("input", .texts, "Input columns; found without."),
      FieldSpec("target", .texts, "Columns to predict; found without."),
      FieldSpec("group", .text, "The column that tells series apart."),
      FieldSpec("units", .texts, "Units of columns, as times=ms."),
      FieldSpec("scale", .choice(ValueScale.Choice.allCases.map(\.rawValue)), "What values are seen as."),
      FieldSpec("min", .number(-.infinity ... .infinity), "The least that a value can be."),
      FieldSpec("max", .number(-.infinity ... .infinity), "The largest that a value can be."),
      FieldSpec("name", .text, "What you call it; the server does not care."),
      FieldSpec("ttl", .number(1...1e9), "Seconds that it is kept."),
      Ask.deadline,
    ] + TableOptions.fields

  let series: AskedSeries
  let model: Model
  let scale: ValueScale.Choice
  let limits: ClosedRange<Double>?

  init(_ source: RowsSource, _ fields: Fields, _ model: Model) throws {
    self.model = model
    let least = fields.number("min")
    let most = fields.number("max")
    if let least, let most, least >= most { throw ServiceError(422, "'min' must be below 'max'") }
    limits = least == nil && most == nil ? nil : (least ?? -.infinity)...(most ?? .infinity)
    scale = fields.text("scale").flatMap(ValueScale.Choice.init) ?? .automatic
    series = try AskedSeries(
      source, input: fields.texts("input")?.joined(separator: ","),
      target: fields.texts("target")?.joined(separator: ","), group: fields.text("group"),
      units: fields.texts("units")?.joined(separator: ","))
  }

  func flops() -> Double {
    series.observations.reduce(0) {
      $0 + Posterior.flops(toRead: $1.data.count, dimensions: $1.data.dimensions, by: model)
    }
  }

  /// Reads the rows. Series with too few of them are left out, with a note.
  func loaded(_ description: ContextDescription) throws -> LoadedContext {
    var description = description
    let targets = series.columns.targets
    let labels = series.columns.groups?.labels
    var (kept, groups) = ([KeptSeries](), [String]())
    for group in 0..<(labels?.count ?? 1) {
      let own = series.observations[group * targets.count..<(group + 1) * targets.count]
      guard own.allSatisfy({ $0.refusal == nil }) else { continue }
      for observations in own {
        let selection = observations.selection
        let posterior = try model.condition(
          on: observations.data, values: scale, limits: limits, pool: nil)
        let card = try ContextCard(
          ContextCard.entries(selection), inputs: selection.dimensions, file: "context")
        kept.append(try KeptSeries(posterior, card, file: "context", group: observations.group))
      }
      if let labels { groups.append(labels[group]) }
    }
    guard let first = kept.first else {
      throw ServiceError(
        422, "no series has enough rows: \(series.observations.first?.refusal ?? "there is none")")
    }
    var notes = [series.columns.found.map { "found: \($0)" }].compactMap { $0 } + series.notes
    if let labels, groups.count < labels.count {
      notes.append(
        "\(labels.count - groups.count) of \(labels.count) series have too few rows and were left out")
    }
    notes += DataWord.said(series.words)
    for note in Set(kept.flatMap { $0.posterior.notes.map(\.description) }).sorted() { notes.append(note) }
    description.inputs = first.observations.selection.inputs
    description.targets = targets
    description.groupColumn = series.columns.groups?.column
    description.groups = labels == nil ? nil : groups
    description.rows = kept.reduce(0) { $0 + $1.posterior.rows }
    description.bytes = LoadedContext.bytes(kept)
    description.notes = notes.map(ServiceError.words)
    return LoadedContext(description: description, series: kept)
  }
}

extension Service {
  func makeContext(_ call: Call) async throws -> ServiceResponse {
    let incoming = try Incoming(call.request, NewContext.fields, rows: "rows")
    let fields = incoming.fields
    let options = try TableOptions(fields)
    guard let source = try incoming.source("rows", options: options) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    let name = fields.text("model") ?? modelNames[0]
    guard let model = models[name] else {
      throw ServiceError(
        422, "there is no model '\(name.prefix(60))'; there are: \(modelNames.joined(separator: ", "))")
    }
    let deadline = fields.number("deadline")
    // Reading a table is work too; what it costs follows from its bytes.
    let bytes = Double(call.request.body.count)
    let new = try await work(call, cost: 100 * bytes, deadline: deadline) {
      try NewContext(source, fields, model)
    }
    let now = Date().timeIntervalSince1970
    let description = ContextDescription(
      id: ContextDescription.newID(), tenant: call.tenant, name: fields.text("name"), model: name,
      created: now,
      expires: (fields.number("ttl") ?? settings.ttl).map { now + $0 }, rows: 0, inputs: [], targets: [],
      bytes: 0, notes: [])
    let store = store
    let made = try await work(call, cost: new.flops(), deadline: deadline) {
      let loaded = try new.loaded(description)
      try store.put(loaded)
      return loaded.description
    }
    var response = ServiceResponse(201, made.json)
    response.headers.append(("location", "/v1/contexts/\(made.id)"))
    return response
  }

  func addRows(_ call: Call) async throws -> ServiceResponse {
    let context = try store.context(call.id, tenant: call.tenant)
    let specs = [HeldRows.field] + TableOptions.fields + [Ask.deadline]
    let rows = try HeldRows(context, Incoming(call.request, specs, rows: "rows"))
    let store = store
    let cost = rows.parts.reduce(0.0) {
      $0
        + Posterior.flops(
          toRead: $1.data.count, dimensions: $1.data.dimensions, by: $1.series.posterior.model)
    }
    let made = try await work(call, cost: cost, deadline: nil) {
      var description = context.description
      let series = try context.series.map { kept -> KeptSeries in
        guard
          let part = rows.parts.first(where: {
            $0.series.observations.group == kept.observations.group
              && $0.selection.target == kept.observations.selection.target
          })
        else { return kept }
        // What earlier rows were is kept rounded; where they end is not.
        let entries = ContextCard.entries(part.selection, after: kept.card.end)
        return try KeptSeries(
          kept.posterior.observing(more: part.data),
          ContextCard(entries, inputs: part.selection.dimensions, file: "context"), file: "context",
          group: kept.observations.group)
      }
      description.version += 1
      description.rows = series.reduce(0) { $0 + $1.posterior.rows }
      description.bytes = LoadedContext.bytes(series)
      try store.put(LoadedContext(description: description, series: series))
      return description
    }
    return ServiceResponse(200, made.json)
  }

  func contextsResponse(_ call: Call) -> ServiceResponse {
    ServiceResponse(
      200, .members(["contexts": .array(store.descriptions(tenant: call.tenant).map(\.json))]))
  }

  func contextResponse(_ call: Call) throws -> ServiceResponse {
    ServiceResponse(200, try store.description(call.id, tenant: call.tenant).json)
  }

  func deleteContext(_ call: Call) throws -> ServiceResponse {
    try store.remove(call.id, tenant: call.tenant)
    return ServiceResponse(204)
  }

  /// The default first.
  var modelNames: [String] {
    models.keys.sorted { ($0 != "functions" ? 1 : 0, $0) < ($1 != "functions" ? 1 : 0, $1) }
  }

  func modelsResponse() -> ServiceResponse {
    let list = modelNames.compactMap { name in
      models[name].map { model in
        JSON.members([
          "name": .string(name), "inputs": .integer(model.blueprint.inputDimensions),
          "parameters": .integer(model.parameterCount),
          "trained_context": .integer(model.blueprint.trainedContext),
          "trained_buffer": .integer(model.blueprint.trainedBuffer),
          "fingerprint": (try? model.fingerprint).map(JSON.string),
        ])
      }
    }
    return ServiceResponse(200, .members(["models": .array(list)]))
  }

  func ready() throws -> ServiceResponse {
    guard !queue.isDraining else { throw WorkQueue.Refusal.draining }
    return ServiceResponse(200, .members(["status": .string("ready")]))
  }

  func metricsResponse() -> ServiceResponse {
    let (load, sizes) = (queue.load, store.sizes)
    let text = metrics.text([
      ("chorus_queue_running", "Requests being worked on.", Double(load.running)),
      ("chorus_queue_waiting", "Requests that wait for their turn.", Double(load.waiting)),
      ("chorus_work_flop_per_second", "Arithmetic of one worker in a second, of late.", load.rate),
      ("chorus_contexts", "Contexts that are kept.", Double(sizes.contexts)),
      ("chorus_contexts_in_memory", "Of them in memory.", Double(sizes.loaded)),
      ("chorus_context_bytes", "Bytes of contexts in memory.", Double(sizes.bytes)),
    ])
    return ServiceResponse(200, "text/plain; version=0.0.4; charset=utf-8", Array(text.utf8))
  }
}
