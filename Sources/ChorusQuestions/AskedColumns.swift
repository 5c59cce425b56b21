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

  /// - Parameters:
  ///   - marks: further columns, to be kept as texts.
  ///   - covariates: columns known beside the one input.
  ///   - error: a column with the error of each target.
  ///   - several: whether `target` may name more than one column.
  package init(
    _ rows: RowsSource, input: String?, target: String?, group: String? = nil, marks: [String] = [],
    with covariates: [String] = [], error: String? = nil, several: Bool = false
  ) throws {
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
    var targets = target.map { !several || table.columns.contains($0) ? [$0] : Observations.names($0) } ?? []
    let groups = try group.map { try Groups(table, $0) }
    if isOpen {
      let choice = try ColumnChoice(
        table, inputs: names, targets: targets, groups: groups, besides: marks + covariates + errors)
      targets = choice.targets
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
    selections = try targets.map { target in
      isCounted
        ? try table.select(
          counting: ColumnChoice.counted, target: target, with: covariates, error: error)
        : try table.select(inputs: names, target: target, with: covariates, error: error)
    }
    (self.table, self.targets, self.groups) = (table, targets, groups)
    (self.isOpen, self.isCounted) = (isOpen, isCounted)
  }

  /// One line on what was found, as `'sales' by 'month'`; nil where all was named.
  package var found: String? {
    guard isOpen, let first = selections.first else { return nil }
    let input =
      isCounted
      ? "the number of the row"
      : first.inputs.dropLast(first.covariates).map { "'\($0)'" }.joined(separator: ", ")
    return "\(targets.map { "'\($0)'" }.joined(separator: ", ")) by \(input)"
  }
}
