import ChorusInference
import ChorusTables

/// The columns that are asked for: named, or found where that is left open.
package struct AskedColumns {
  package let table: Table
  package let targets: [String]
  package let groups: Groups?
  /// Of each target, the same inputs with it.
  package let selections: [Selection]
  /// Whether something was found and not told.
  package let isOpen: Bool
  /// Whether no column tells the rows apart and they are counted.
  package let isCounted: Bool
  /// Of a file with a column for each series their names, in the order of the file; nil for any other.
  package let wide: [String]?

  /// The rows of each series, of each its targets in turn.
  package var series: [(label: String?, selections: [Selection])] {
    if let wide { return zip(wide, selections).map { ($0, [$1]) } }
    guard let groups else { return [(nil, selections)] }
    let split = selections.map { $0.split(groups.ofRow, into: groups.labels.count) }
    return groups.labels.enumerated().map { index, label in (label, split.map { $0[index] }) }
  }

  /// - Parameters:
  ///   - marks: further columns, to be kept as texts.
  ///   - covariates: columns known beside the one input.
  ///   - error: a column with the error of each target.
  ///   - several: whether `target` may name more than one column.
  ///   - wide: whether every column may be, or is, a series of its own.
  package init(
    _ rows: RowsSource, input: String?, target: String?, group: String? = nil, marks: [String] = [],
    with covariates: [String] = [], error: String? = nil, several: Bool = false,
    wide: WideFile = .no
  ) throws {
    let several = several || wide == .told
    var names = input.map(Observations.names) ?? []
    // Which of these the file has, its header tells; columns that are not there are refused by their selection.
    let candidates = target.map { several ? Set([$0] + Observations.names($0)).sorted() : [$0] } ?? []
    let isOpen = input == nil || target == nil
    let errors = error.map { [$0] } ?? []
    let table = try rows.table(
      numbers: isOpen ? nil : names + candidates + covariates + errors,
      texts: (group.map { [$0] } ?? []) + marks + covariates,
      optional: candidates.count > 1 ? candidates : [])
    // A single column may have a comma in its name.
    if wide == .told, group != nil {
      throw QuestionError(
        "--wide has a column for each series and --group one that tells them apart; leave one out")
    }
    if wide == .told, error != nil {
      throw QuestionError("--error is of one column of values; leave out --wide, or name it with --target")
    }
    var isWide = wide == .told
    var targets = target.map { !several || table.columns.contains($0) ? [$0] : Observations.names($0) } ?? []
    let groups = try group.map { try Groups(table, $0) }
    if isOpen {
      let choice = try ColumnChoice(
        table, inputs: names, targets: targets, groups: groups, besides: marks + covariates + errors,
        wide: error == nil ? wide : .no)
      (targets, isWide) = (choice.targets, choice.isWide)
      if names.isEmpty { names = choice.input.map { [$0] } ?? [] }
    }
    if !covariates.isEmpty, names.count > 1 {
      throw QuestionError(
        "--with goes along one input column, and there are \(names.count); name the time alone as --input")
    }
    if error != nil, names.count > 1 {
      throw QuestionError(
        "--error goes along one input column, and there are \(names.count); name the time alone as --input")
    }
    let named = names + targets + covariates + errors + (group.map { [$0] } ?? [])
    if let twice = named.indices.first(where: { named[..<$0].contains(named[$0]) }) {
      throw TableError(
        .unknownColumn, rows.name, "column '\(named[twice])' is asked for twice; name each column once.")
    }
    let isCounted = isOpen && names.isEmpty
    let selections = try targets.map { target in
      isCounted
        ? try table.select(
          counting: ColumnChoice.counted, target: target, with: covariates, error: error)
        : try table.select(inputs: names, target: target, with: covariates, error: error)
    }
    if isWide {
      let name = WideFile.target(besides: names + covariates)
      self.selections = selections.map { $0.renaming(target: name) }
      self.wide = targets
      (self.targets, self.groups) = ([name], Groups(targets, column: WideFile.column, source: rows.name))
    } else {
      (self.selections, self.wide, self.targets, self.groups) = (selections, nil, targets, groups)
    }
    self.table = table
    (self.isOpen, self.isCounted) = (isOpen, isCounted)
  }

  /// One line on what was found, as `'sales' by 'month'`; nil where all was named.
  package var found: String? {
    guard isOpen || wide != nil, let first = selections.first else { return nil }
    let input =
      isCounted
      ? "the number of the row"
      : first.inputs.dropLast(first.covariates).map { "'\($0)'" }.joined(separator: ", ")
    if let wide {
      let names = wide.prefix(3).map { "'\($0)'" }.joined(separator: ", ")
      return "\(wide.count) series, a column for each (\(names)\(wide.count > 3 ? ", …" : "")), by \(input)"
    }
    return "\(targets.map { "'\($0)'" }.joined(separator: ", ")) by \(input)"
  }
}
