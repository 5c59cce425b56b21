import ChorusData
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusTables

/// A context to be made.
protocol NewContext: Sendable {
  /// The arithmetic of reading the rows.
  func flops() -> Double
  func loaded(_ description: ContextDescription) throws -> LoadedContext
}

enum NewContextFields {
  static let all =
    [
      HeldRows.field,
      FieldSpec(
        "model", .text,
        "The model; without, the first of /v1/models, or for a table the first that reads them, with the first of categories beside it."
      ),
      FieldSpec("input", .texts, "Input columns; found without."),
      FieldSpec("target", .texts, "Columns to predict; found without, but of a table."),
      FieldSpec(
        "error", .text,
        "The column with the known error of each row's target, its standard deviation; of a series or a table of one target of numbers."
      ),
      FieldSpec("group", .text, "The column that tells series, or tables, apart."),
      FieldSpec(
        "wide", .boolean,
        "Whether every column of numbers, or of 'target', is a series of its own; found for three and more whose names differ in a number."
      ),
      FieldSpec("units", .texts, "Units of columns, as times=ms."),
      FieldSpec("as", .texts, "What columns of a table are: code=category, year=number, note=skip."),
      FieldSpec("scale", .choice(ValueScale.Choice.allCases.map(\.rawValue)), "What values are seen as."),
      FieldSpec("min", .number(-.infinity ... .infinity), "The least that a value can be."),
      FieldSpec("max", .number(-.infinity ... .infinity), "The largest that a value can be."),
      FieldSpec("integer", .boolean, "Whether values are whole numbers."),
      FieldSpec("name", .text, "What you call it; the server does not care."),
      FieldSpec("ttl", .number(1...1e9), "Seconds that it is kept."),
      Ask.deadline,
    ] + TableOptions.fields
}

/// What is known of values before they are read.
package struct ValueBounds: Codable, Sendable, Equatable {
  private var least: Double?
  private var most: Double?
  let isWhole: Bool

  var limits: ClosedRange<Double>? {
    least == nil && most == nil ? nil : (least ?? -.infinity)...(most ?? .infinity)
  }

  init(_ fields: Fields) throws(ServiceError) {
    (least, most) = (fields.number("min"), fields.number("max"))
    if let least, let most, least >= most { throw ServiceError(422, "'min' must be below 'max'") }
    isWhole = fields.boolean("integer") ?? false
  }
}

/// How a model reads series.
package struct SeriesReading: Codable, Sendable, Equatable {
  private let scale: String
  private let bounds: ValueBounds

  init(_ fields: Fields) throws(ServiceError) {
    scale = fields.text("scale") ?? ValueScale.Choice.automatic.rawValue
    bounds = try ValueBounds(fields)
  }

  /// - Parameter sent: the rows to the bit.
  func kept(_ observations: Observations, _ sent: SentRows, by model: Model) throws -> KeptSeries {
    let selection = observations.selection
    let posterior = try model.condition(
      on: observations.data, values: ValueScale.Choice(rawValue: scale) ?? .automatic, limits: bounds.limits,
      whole: bounds.isWhole, pool: nil)
    let card = try ContextCard(
      ContextCard.entries(selection), inputs: selection.dimensions, file: "context")
    return try KeptSeries(posterior, card, file: "context", group: observations.group, sent: sent)
  }
}

/// Series to be read.
struct NewSeries: NewContext {
  let series: AskedSeries
  let model: Model
  let reading: SeriesReading

  init(_ source: RowsSource, _ fields: Fields, _ model: Model) throws {
    self.model = model
    if fields.names.contains("as") {
      throw ServiceError(
        422, "'as' is of a table, and model '\(model.name)' reads series; leave out one of them")
    }
    reading = try SeriesReading(fields)
    series = try AskedSeries(
      source, input: fields.texts("input")?.joined(separator: ","),
      target: fields.texts("target")?.joined(separator: ","), group: fields.text("group"),
      units: fields.texts("units")?.joined(separator: ","), error: fields.text("error"),
      wide: fields.boolean("wide").map { $0 ? .told : .no } ?? .found)
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
        kept.append(try reading.kept(observations, SentRows(observations.selection), by: model))
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
    description.isWide = series.columns.wide == nil ? nil : true
    description.rows = kept.reduce(0) { $0 + $1.posterior.rows }
    description.sent = series.columns.table.rowCount
    description.reading = reading
    description.bytes = LoadedContext.bytes(kept)
    description.notes = notes.map(ServiceError.words)
    return LoadedContext(description: description, content: .series(kept))
  }
}

/// A table to be read.
struct NewTable: NewContext {
  private let kept: KeptTable
  private let words: [String]

  init(_ table: Table, _ fields: Fields, _ asked: TableModel) throws {
    let model = asked.model
    if fields.names.contains("units") {
      throw ServiceError(422, "'units' is of series, and the rows are read as a table; leave it out")
    }
    if let scale = fields.text("scale"), scale != ValueScale.Choice.raw.rawValue,
      scale != ValueScale.Choice.automatic.rawValue
    {
      throw ServiceError(422, "'scale' is of series, and the rows are read as a table; leave it out")
    }
    guard fields.boolean("wide") != true else {
      throw ServiceError(422, "'wide' is of series, and the rows are read as a table; leave it out")
    }
    let targets = TableJob.names(fields.texts("target")?.joined(separator: ","), in: table) ?? []
    let inputs = TableJob.names(fields.texts("input")?.joined(separator: ","), in: table)
    guard !targets.isEmpty else {
      let names = table.columns.prefix(20).joined(separator: ", ")
      throw ServiceError(422, "name the column to predict in 'target'; the table has: \(names)")
    }
    let bounds = try ValueBounds(fields)
    let groups = try fields.text("group").map { try Groups(table, $0, besides: targets + (inputs ?? [])) }
    let error = fields.text("error")
    let job = try TableJob(
      table, targets: targets, inputs: inputs, error: error,
      as: TableJob.told(fields.texts("as")?.joined(separator: ",")),
      aside: groups?.column)
    let saved = try SavedTable(
      job, model: model, targets: targets, inputs: inputs, error: error, groups: groups,
      limits: bounds.limits,
      whole: bounds.isWhole, name: "context")
    kept = try KeptTable(
      saved, model, sent: SentRows(rowsOfTable: Array(0..<saved.frame.rowCount).map { $0 + 1 }))
    let scarce = kept.scarce > 0 ? ["\(kept.scarce) groups have too few values to learn from"] : []
    let found = job.found(job.steps()) + (groups.map { ", each '\($0.column)' by itself" } ?? "")
    let lacking = job.hasCategories ? asked.note : nil
    words = [found] + job.words + [lacking, groups?.namelessWords].compactMap { $0 } + scarce
  }

  func flops() -> Double { kept.flops }

  func loaded(_ description: ContextDescription) throws -> LoadedContext {
    var description = description
    description.notes = words
    description.sent = kept.saved.frame.rowCount
    return try LoadedContext(kept, description)
  }
}

extension LoadedContext {
  /// Fits estimators to the table, so that the first question does not wait for it.
  init(_ table: KeptTable, _ description: ContextDescription) throws {
    try table.fit()
    var description = description
    description.isTable = true
    description.classes = table.saved.classesName
    description.inputs = table.inputs
    description.targets = table.saved.targets
    description.groupColumn = table.groupColumn
    description.groups = table.groups
    description.rows = table.rowCount
    description.bytes = table.bytes
    self.init(description: description, content: .table(table))
  }
}
