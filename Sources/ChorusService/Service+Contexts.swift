import ChorusData
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusTables
import Foundation

extension Service {
  func makeContext(_ call: Call) async throws -> ServiceResponse {
    let incoming = try Incoming(call.request, NewContextFields.all, rows: "rows")
    let fields = incoming.fields
    let options = try TableOptions(fields)
    guard let source = try incoming.source("rows", options: options) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    if let name = fields.text("model") { _ = try served(name) }
    let deadline = fields.number("deadline")
    // Reading a table is work too; what it costs follows from its bytes.
    let bytes = Double(call.request.body.count)
    let (new, name) = try await work(call, cost: 100 * bytes, deadline: deadline) { [self] in
      try newContext(source, fields)
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

  /// What rows are read as, and the name of the model that reads them: a table where the model or `as` says so, or the rows are none
  /// of a series, as `chorus predict` has it.
  private func newContext(
    _ source: RowsSource, _ fields: Fields
  ) throws -> (context: any NewContext, model: String) {
    if let name = fields.text("model") {
      let model = try served(name)
      guard model.blueprint.readsTables else { return (try NewSeries(source, fields, model), name) }
      return (try NewTable(source.table(), fields, TableModel(model)), name)
    }
    let (input, target) = (
      fields.texts("input")?.joined(separator: ","), fields.texts("target")?.joined(separator: ",")
    )
    var rows = source
    let isTold = fields.names.contains("as")
    if isTold || target != nil,
      let (name, model) = try tableModel(), try isTold || TableJob.mayBe(input: input, target: target, source)
    {
      let table = try source.table()
      let (targets, inputs) = (TableJob.names(target, in: table) ?? [], TableJob.names(input, in: table))
      if try isTold
        || TableJob.isTable(
          table, targets, inputs, error: fields.text("error"), group: fields.text("group"))
      {
        return (try NewTable(table, fields, model), name)
      }
      rows = RowsSource(read: table)
    }
    return (try NewSeries(rows, fields, served(modelNames[0])), modelNames[0])
  }

  /// What a table is asked by where nobody says: the first model of numbers, with the first of categories beside it.
  private func tableModel() throws -> (name: String, model: TableModel)? {
    func first(_ family: Blueprint.Family) -> String? {
      modelNames.first { models[$0]?.blueprint.family == family }
    }
    guard let name = first(.table), let model = models[name] else { return nil }
    return (name, try TableModel(model, beside: first(.classes).flatMap { models[$0] }))
  }

  func served(_ name: String) throws(ServiceError) -> Model {
    guard let model = models[name] else {
      throw ServiceError(
        422, "there is no model '\(name.prefix(60))'; there are: \(modelNames.joined(separator: ", "))")
    }
    return model
  }

  func addRows(_ call: Call) async throws -> ServiceResponse {
    let context = try store.context(call.id, tenant: call.tenant)
    let specs = [HeldRows.field] + TableOptions.fields + [Ask.deadline]
    let incoming = try Incoming(call.request, specs, rows: "rows")
    if let table = context.table { return try await addRows(call, incoming, to: table, context.description) }
    let rows = try HeldRows(context, incoming)
    let store = store
    let cost = rows.parts.reduce(0.0) {
      $0
        + Posterior.flops(
          toRead: $1.data.count, dimensions: $1.data.dimensions, by: $1.series.posterior.model)
    }
    let made = try await work(call, cost: cost, deadline: incoming.fields.number("deadline")) {
      var description = context.description.next
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
          group: kept.observations.group,
          sent: kept.sent?.appending(SentRows(part.selection, after: context.description.sent ?? 0)))
      }
      description.rows = series.reduce(0) { $0 + $1.posterior.rows }
      description.sent = description.sent.map { $0 + rows.sent }
      description.bytes = LoadedContext.bytes(series)
      try store.put(LoadedContext(description: description, content: .series(series)))
      return description
    }
    return ServiceResponse(200, made.json)
  }

  private func addRows(
    _ call: Call, _ incoming: Incoming, to table: KeptTable, _ description: ContextDescription
  ) async throws -> ServiceResponse {
    guard let source = try incoming.source("rows", options: TableOptions(incoming.fields)) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    let saved = try table.saved.appending(source.table())
    var next = description.next
    let more = saved.frame.rowCount - table.saved.frame.rowCount
    let sent = description.sent.map { before in
      next.sent = before + more
      return table.sent?.appending(SentRows(rowsOfTable: (0..<more).map { before + $0 + 1 }))
    }
    return try await keep(saved, sent ?? nil, of: table.model, next, call, incoming.fields)
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
          "name": .string(name),
          "reads": .string(model.blueprint.readsTables ? "tables" : "series"),
          "inputs": .integer(model.blueprint.inputDimensions),
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
