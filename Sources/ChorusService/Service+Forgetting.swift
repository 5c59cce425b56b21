import ChorusInference
import ChorusModels
import ChorusQuestions

/// Which rows of a context are to be forgotten.
struct Forgotten: Sendable {
  static let fields = [
    FieldSpec(
      "oldest", .integer(1...1_000_000_000),
      "So many rows of each series or group, those first that were sent first."),
    FieldSpec(
      "from", .integer(1...Int.max), "The number of the first row; rows are counted from 1 as they were sent."
    ),
    FieldSpec("to", .integer(1...Int.max), "The number of the last row; that of 'from' without."),
    Ask.series, Ask.deadline,
  ]

  private enum Which {
    case oldest(Int)
    case numbers(ClosedRange<Int>)
  }

  private let which: Which
  private let series: String?

  init(_ fields: Fields) throws(ServiceError) {
    series = fields.text("series")
    switch (fields.integer("oldest"), fields.integer("from"), fields.integer("to")) {
    case (let count?, nil, nil): which = .oldest(count)
    case (nil, let first?, let last):
      guard first <= last ?? first else { throw ServiceError(422, "'from' must not be above 'to'") }
      which = .numbers(first...(last ?? first))
    default: throw ServiceError(422, "say which rows: 'oldest', or 'from' and 'to'")
    }
  }

  /// - Parameters:
  ///   - sent: the rows of one series, of all its targets.
  ///   - group: the series' name.
  func numbers(_ sent: [SentRows], of group: String?) -> Set<Int> {
    guard series == nil || series == group else { return [] }
    let all = Set(sent.flatMap(\.numbers))
    return switch which {
    case .oldest(let count): Set(all.sorted().prefix(count))
    case .numbers(let range): all.filter(range.contains)
    }
  }

  /// - Parameter groups: of a table's rows; nil where they are one table. A row without a group goes by its number alone.
  func numbers(_ sent: SentRows, _ groups: Groups?) -> Set<Int> {
    guard let groups else { return numbers([sent], of: nil) }
    var gone: Set<Int> = []
    for (label, rows) in zip(groups.labels, groups.rows) {
      gone.formUnion(numbers([sent.picking(rows)], of: label))
    }
    if case .numbers = which {
      let nameless = groups.ofRow.indices.filter { groups.ofRow[$0] == nil }
      gone.formUnion(numbers([sent.picking(nameless)], of: nil))
    }
    return gone
  }

  func check(_ description: ContextDescription) throws(ServiceError) {
    guard let series, !(description.groups?.contains(series) ?? false) else { return }
    throw ServiceError(422, "there is no series '\(series.prefix(60))' in it")
  }
}

extension Service {
  /// Forgets rows; those that stay are read anew, as if the others had never been sent.
  func forgetRows(_ call: Call) async throws -> ServiceResponse {
    let fields = try Fields(Forgotten.fields, query: call.request.query, json: nil)
    let forgotten = try Forgotten(fields)
    let context = try store.context(call.id, tenant: call.tenant)
    try forgotten.check(context.description)
    if let table = context.table {
      return try await forget(forgotten, of: table, context.description, call, fields)
    }
    guard let reading = context.description.reading, let model = context.series.first?.posterior.model else {
      throw Self.notKept
    }
    let rest = try remaining(context, without: forgotten)
    let cost = rest.reduce(0.0) { sum, one in
      guard let data = one.changed?.observations.data else { return sum }
      return sum + Posterior.flops(toRead: data.count, dimensions: data.dimensions, by: model)
    }
    let store = store
    let made = try await work(call, cost: cost, deadline: fields.number("deadline")) {
      var description = context.description.next
      let series = try rest.map { one in
        try one.changed.map { try reading.kept($0.observations, $0.sent, by: model) } ?? one.kept
      }
      description.rows = series.reduce(0) { $0 + $1.posterior.rows }
      description.bytes = LoadedContext.bytes(series)
      try store.put(LoadedContext(description: description, content: .series(series)))
      return description
    }
    return ServiceResponse(200, made.json)
  }

  private typealias Remaining = (
    kept: KeptSeries, changed: (observations: Observations, sent: SentRows)?
  )

  /// Each series, and what stays of it where something goes.
  private func remaining(_ context: LoadedContext, without forgotten: Forgotten) throws -> [Remaining] {
    let targets = context.description.targets.count
    var rest: [Remaining] = []
    for first in stride(from: 0, to: context.series.count, by: targets) {
      let own = context.series[first..<min(first + targets, context.series.count)]
      let sent = own.compactMap(\.sent)
      guard sent.count == own.count else { throw Self.notKept }
      let gone = forgotten.numbers(sent, of: own.first?.observations.group)
      for kept in own {
        guard let changed = try kept.remaining(without: gone), changed.sent != kept.sent else {
          rest.append((kept, nil))
          continue
        }
        if let refusal = changed.observations.refusal { throw Self.tooFew(refusal) }
        rest.append((kept, changed))
      }
    }
    guard rest.contains(where: { $0.changed != nil }) else { throw Self.nothing }
    return rest
  }

  private func forget(
    _ forgotten: Forgotten, of table: KeptTable, _ description: ContextDescription, _ call: Call,
    _ fields: Fields
  ) async throws -> ServiceResponse {
    guard let sent = table.sent else { throw Self.notKept }
    let gone = forgotten.numbers(sent, table.saved.groups)
    guard !gone.isEmpty else { throw Self.nothing }
    let saved = table.saved.rows(sent.places(without: gone))
    return try await keep(saved, sent.without(gone), of: table.model, description.next, call, fields)
  }

  /// Fits a table anew and keeps it in place of what it was.
  func keep(
    _ saved: SavedTable, _ sent: SentRows?, of model: Model, _ description: ContextDescription, _ call: Call,
    _ fields: Fields
  ) async throws -> ServiceResponse {
    let table = try KeptTable(saved, model, sent: sent)
    let store = store
    let made = try await work(call, cost: table.flops, deadline: fields.number("deadline")) {
      let context = try LoadedContext(table, description)
      try store.put(context)
      return context.description
    }
    return ServiceResponse(200, made.json)
  }

  private static let notKept = ServiceError(
    409, "the context was kept by an earlier version, without its rows as they were sent; make it anew")
  private static let nothing = ServiceError(422, "no row that is kept has such a number")

  private static func tooFew(_ refusal: String) -> ServiceError {
    ServiceError(422, "\(refusal); delete the context to forget all")
  }
}
