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
  /// All rows that came.
  let sent: Int

  static let field = FieldSpec(
    "rows", .rows, "Rows as objects with the inputs and the target, if the body holds no table.")

  /// - Throws: `ServiceError` and `TableError` for rows that are not like those of the context.
  init(_ context: LoadedContext, _ incoming: Incoming) throws {
    let options = try TableOptions(incoming.fields)
    guard let source = try incoming.source("rows", options: options) else {
      throw ServiceError(422, "there are no rows; send a table, or 'rows'")
    }
    let (rows, leftOut, sent) =
      try Self.wide(context, source) ?? Self.selections(context, source)
    var parts: [Part] = []
    for (series, selection) in rows where !selection.observed.targets.isEmpty {
      let held = series.observations.selection
      for (name, kinds) in zip(selection.inputs, zip(selection.kinds, held.kinds)) {
        try PointKinds.check(kinds.0, of: name, holding: kinds.1, in: source.name, what: "rows")
      }
      let data = try Observations(file: source.name, selection: selection, units: [:]).data
      parts.append(Part(series: series, selection: selection, data: data))
    }
    guard !parts.isEmpty else { throw ServiceError(422, "no row has all inputs and a value") }
    (self.parts, self.leftOut, self.sent) = (parts, leftOut, sent)
  }

  /// Rows of each series, by the column that tells them apart, and how many lack something of all.
  private typealias Selections = (
    rows: [(series: KeptSeries, selection: Selection)], leftOut: Int, sent: Int
  )

  private static func selections(_ context: LoadedContext, _ source: RowsSource) throws -> Selections {
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
    var found: Selections = ([], 0, table.rowCount)
    for (place, target) in description.targets.enumerated() {
      let whole = try table.select(inputs: description.inputs, target: target)
      let selections = groups.map { whole.split(ofRow, into: $0.labels.count) } ?? [whole]
      found.leftOut += whole.incomplete.count + whole.missing.indices.count
      for (group, selection) in selections.enumerated() {
        found.rows.append((context.series[group * description.targets.count + place], selection))
      }
    }
    return found
  }

  /// The same of rows with a column for each series, as those had that the context was made of; nil where these have one column that
  /// tells series apart. Not every series has to be there.
  private static func wide(_ context: LoadedContext, _ source: RowsSource) throws -> Selections? {
    let description = context.description
    guard description.isWide == true, let labels = description.groups, let target = description.targets.first,
      let column = description.groupColumn
    else { return nil }
    let table = try source.table(
      numbers: description.inputs + labels + [target], texts: [column], optional: labels + [target, column])
    guard !table.columns.contains(column) else { return nil }
    var found: Selections = ([], 0, table.rowCount)
    for (label, series) in zip(labels, context.series) where table.columns.contains(label) {
      let selection = try table.select(inputs: description.inputs, target: label)
      found.leftOut += selection.incomplete.count + selection.missing.indices.count
      found.rows.append((series, selection.renaming(target: target)))
    }
    guard !found.rows.isEmpty else {
      throw ServiceError(
        422, "the rows have no column of a series that is kept: \(labels.prefix(20).joined(separator: ", "))")
    }
    return found
  }

  var count: Int { parts.reduce(0) { $0 + $1.data.count } }
}
