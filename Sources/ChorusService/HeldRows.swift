import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

/// Rows with values that are sent to a kept context: to be scored, or to be read as well.
struct HeldRows: Sendable {
  struct Part: Sendable {
    let series: KeptSeries
    let selection: Selection
    let data: Dataset
  }

  /// Of the series that have rows.
  let parts: [Part]
  /// Rows without an input or a value.
  let leftOut: Int

  static let field = FieldSpec(
    "rows", .rows, "Rows as objects with the inputs and the target, if the body holds no table.")

  /// - Throws: `ServiceError` and `TableError` for rows that are not like those of the context.
  init(_ context: LoadedContext, _ incoming: Incoming) throws {
    let options = try TableOptions(incoming.fields)
    guard let source = try incoming.source("rows", options: options) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    let description = context.description
    let label = description.groupColumn.map { [$0] } ?? []
    let table = try source.table(numbers: description.inputs + description.targets, texts: label)
    let groups = context.groups
    var ofRow: [Int?] = []
    if let groups {
      ofRow = [Int?](repeating: nil, count: table.rowCount)
      let places = Dictionary(uniqueKeysWithValues: zip(groups.labels, groups.labels.indices))
      for (name, rows) in try groups.rows(of: table) { for row in rows { ofRow[row] = places[name] } }
    }
    var (parts, leftOut) = ([Part](), 0)
    for (place, target) in description.targets.enumerated() {
      let whole = try table.select(inputs: description.inputs, target: target)
      let selections = groups.map { whole.split(ofRow, into: $0.labels.count) } ?? [whole]
      leftOut += whole.incomplete.count + whole.missing.indices.count
      for (group, selection) in selections.enumerated() where !selection.observed.targets.isEmpty {
        let series = context.series[group * description.targets.count + place]
        let held = series.observations.selection
        for (name, kinds) in zip(selection.inputs, zip(selection.kinds, held.kinds)) {
          try PointKinds.check(kinds.0, of: name, holding: kinds.1, in: source.name, what: "rows")
        }
        let data = try Observations(file: source.name, selection: selection, units: [:]).data
        parts.append(Part(series: series, selection: selection, data: data))
      }
    }
    guard !parts.isEmpty else { throw ServiceError(422, "no row has all inputs and a value") }
    (self.parts, self.leftOut) = (parts, leftOut)
  }

  var count: Int { parts.reduce(0) { $0 + $1.data.count } }
}

/// How well rows are foretold by a context that has not read them.
struct HeldScore: Sendable {
  static let plan = Ask.plan
  static let samples = FieldSpec("samples", .integer(2...2_000), "Paths for scores by draws; 200 without.")
  static let orders = FieldSpec(
    "orders", .integer(1...1_000),
    "Random orders of the targets that a joint density is averaged over; 8 without.")

  let rows: HeldRows
  let template: PlanTemplate
  let samples: Int
  let orders: Int
  let seed: UInt64
  /// Whether the scores by draws and by laws are asked for, or the density alone.
  let isDensityAlone: Bool

  init(_ context: LoadedContext, _ incoming: Incoming, densityAlone: Bool) throws {
    rows = try HeldRows(context, incoming)
    let fields = incoming.fields
    template = try PlanTemplate(parsing: fields.text("plan") ?? "auto")
    samples = fields.integer("samples") ?? 200
    orders = fields.integer("orders") ?? 8
    seed = fields.seed("seed") ?? 0
    isDensityAlone = densityAlone
  }

  var values: Int { rows.count * (isDensityAlone ? orders : max(samples, orders)) }

  func flops() throws -> Double {
    try rows.parts.reduce(0) { sum, part in
      func work(_ plan: PlanTemplate, _ paths: Int) throws -> Double {
        try part.series.posterior.cost(at: part.data.inputs, plan: plan, paths: paths).work.total
      }
      var own = try work(template, orders)
      if !isDensityAlone { own += try work(.independent, 2) + work(template, samples) }
      return sum + own
    }
  }

  func body(_ description: ContextDescription, flopLimit: Double) throws -> AnswerBody {
    let keys = (description.groupColumn.map { [$0] } ?? []) + ["target"]
    let own =
      isDensityAlone
      ? ["rows", "log_density", "note"]
      : [
        "rows", "log_density", "log_density_independent", "crps", "rmse", "mae", "coverage_90", "energy",
        "variogram", "note",
      ]
    let rows = try self.rows.parts.map { part -> [Cell] in
      let observations = part.series.observations
      let keys: [Cell] =
        (description.groupColumn == nil ? [] : [.text(observations.group ?? "")])
        + [.text(observations.selection.target)]
      return keys + (try cells(part, flopLimit))
    }
    var beside = [
      JSON.Member(key: "plan", value: .string(template.description)),
      JSON.Member(key: "seed", value: .number(String(seed))),
    ]
    if self.rows.leftOut > 0 {
      beside.append(
        JSON.Member(
          key: "notes",
          value: .array([.string("\(self.rows.leftOut) rows lack an input or a value and were left out")])))
    }
    return AnswerBody(columns: keys + own, rows: rows, beside: beside)
  }

  private func cells(_ part: HeldRows.Part, _ flopLimit: Double) throws -> [Cell] {
    let (posterior, data) = (part.series.posterior, part.data)
    let joint = try posterior.logDensity(
      of: data.y, at: data.inputs, plan: template, orders: orders, seed: seed, flopLimit: flopLimit)
    let note = joint.notes.map(\.description).joined(separator: "; ")
    let noted: Cell = note.isEmpty ? .missing : .text(note)
    guard !isDensityAlone else { return [.integer(data.count), .number(joint.value), noted] }
    let paths = try posterior.sample(
      samples, at: data.inputs, plan: template, seed: seed, flopLimit: flopLimit
    ).paths
    // A model that predicts each value from those before it knows none on its own.
    guard !posterior.model.network.capability.inOrder else {
      let crps = mean(data.y.indices.map { target in Scores.crps(paths.map { $0[target] }, data.y[target]) })
      return [.integer(data.count), .number(joint.value), .missing, .number(crps)]
        + [Cell](repeating: .missing, count: 3)
        + [.number(Scores.energy(paths, data.y)), .number(Scores.variogram(paths, data.y)), noted]
    }
    let laws = try posterior.marginals(at: data.inputs, flopLimit: flopLimit)
    let pairs = Array(zip(laws, data.y))
    let squares = pairs.map { ($0.0.mean - $0.1) * ($0.0.mean - $0.1) }
    let inside = pairs.map { (0.05...0.95).contains($0.0.cdf($0.1)) ? 1.0 : 0.0 }
    return [
      .integer(data.count), .number(joint.value),
      .number(pairs.reduce(0) { $0 + $1.0.logDensity($1.1) }), .number(mean(pairs.map { $0.0.crps($0.1) })),
      .number(mean(squares).squareRoot()), .number(mean(pairs.map { abs($0.0.quantile(0.5) - $0.1) })),
      .number(mean(inside)), .number(Scores.energy(paths, data.y)), .number(Scores.variogram(paths, data.y)),
      noted,
    ]
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
}
