import ChorusInference
import ChorusTables

/// Whether rows are read as a table, where nobody says so.
extension TableJob {
  /// Whether a file is a table and no series: it has a target or an input of texts, more inputs than a function, or no column that
  /// orders its rows.
  ///
  /// - Parameters:
  ///   - inputs: as they were named; nil for all other columns.
  ///   - error: a column with the known errors of a target.
  ///   - group: a column that tells series, or tables, apart.
  package static func isTable(
    _ table: Table, _ targets: [String], _ inputs: [String]?, error: String? = nil, group: String? = nil
  ) throws -> Bool {
    let known = (targets + (inputs ?? [])).filter { table.columns.contains($0) }
    for name in known where try table.kind(of: name) == .text { return true }
    if let inputs { return inputs.count > 3 }
    guard targets.allSatisfy({ table.columns.contains($0) }),
      table.columns.count(where: { $0 != group && $0 != error }) > 2
    else { return false }
    let groups = try group.flatMap { table.columns.contains($0) ? try Groups(table, $0) : nil }
    do {
      _ = try ColumnChoice(
        table, inputs: [], targets: targets, groups: groups, besides: error.map { [$0] } ?? [])
    } catch { return error.reason == .choice }
    return false
  }

  /// Whether inputs that are named may make rows a table; of a few, by a look at their columns alone.
  package static func mayBe(input: String?, target: String?, _ rows: RowsSource) throws -> Bool {
    guard let inputs = input.map(Observations.names), inputs.count <= 3 else { return true }
    guard rows.isReadAgain else { return false }
    let names = inputs + (target.map(Observations.names) ?? [])
    guard let table = try? rows.table(numbers: names, optional: names) else { return false }
    return try names.contains { try table.columns.contains($0) && table.kind(of: $0) == .text }
  }

  /// Why columns known beside time are not ones that the rows of a series tell apart, in words; nil where they are.
  ///
  /// - Parameter asked: the columns of the series, these among none of them.
  package static func exceedsSeries(_ asked: AskedColumns, _ covariates: [String]) throws -> String? {
    let table = asked.table
    for name in covariates {
      switch try table.kind(of: name) {
      case .text:
        let levels = Set(try table.texts(name).filter { !$0.isEmpty }).count
        if levels > Table.mostCovariateLevels { return "'\(name)' has \(levels) levels" }
      case .calendar: return "'\(name)' holds dates"
      case .number: break
      }
    }
    let series = try AskedColumns(
      RowsSource(read: table),
      input: asked.isCounted ? nil : asked.selections[0].inputs.joined(separator: ","),
      target: asked.targets[0], group: asked.groups?.column, with: covariates)
    let selection = series.selections[0]
    let parts = series.groups.map { selection.split($0.ofRow, into: $0.labels.count) } ?? [selection]
    for part in parts where part.observed.targets.count >= 2 {
      let observations = try Observations(file: table.source, selection: part, units: [:])
      let (terms, most) = CovariatePosterior.terms(observations.data, observations.covariates)
      if terms > most {
        return
          "the columns beside time make \(terms) terms, and \(part.observed.targets.count) rows tell \(most) apart"
      }
    }
    return nil
  }

  /// Names in an option; a single column may have a comma in its name.
  package static func names(_ option: String?, in table: Table) -> [String]? {
    option.map { table.columns.contains($0) ? [$0] : Observations.names($0) }
  }
}
