import ChorusInference
import ChorusTables

/// The columns that a command asks for: named, or found where the command line leaves them open.
struct AskedColumns {
  let table: Table
  let targets: [String]
  let groups: Groups?
  /// Of each target, the same inputs with it.
  let selections: [Selection]
  /// Whether something was found and not told.
  let isOpen: Bool
  /// Whether no column tells the rows apart and they are counted.
  let isCounted: Bool

  /// - Parameters:
  ///   - marks: further columns, to be kept as texts.
  ///   - table: the file, where it was read whole already.
  ///   - several: whether `target` may name more than one column.
  init(
    file: String, input: String?, target: String?, group: String? = nil, marks: [String] = [],
    several: Bool = false, reading: ReadingOptions, table read: Table? = nil
  ) throws {
    var names = input.map(Observations.names) ?? []
    // Which of these the file has, its header tells; columns that are not there are refused by their selection.
    let candidates = target.map { several ? Set([$0] + Observations.names($0)).sorted() : [$0] } ?? []
    let isOpen = input == nil || target == nil
    let table =
      try read
      ?? reading.table(
        file, numbers: isOpen ? nil : names + candidates, texts: (group.map { [$0] } ?? []) + marks,
        optional: candidates.count > 1 ? candidates : [])
    // A single column may have a comma in its name.
    var targets = target.map { !several || table.columns.contains($0) ? [$0] : Observations.names($0) } ?? []
    let groups = try group.map { try Groups(table, $0) }
    if isOpen {
      let choice = try ColumnChoice(table, inputs: names, targets: targets, groups: groups, besides: marks)
      targets = choice.targets
      if names.isEmpty { names = choice.input.map { [$0] } ?? [] }
    }
    let named = names + targets + (group.map { [$0] } ?? [])
    if let twice = named.indices.first(where: { named[..<$0].contains(named[$0]) }) {
      throw TableError(
        .unknownColumn, file, "column '\(named[twice])' is asked for twice; name each column once.")
    }
    let isCounted = isOpen && names.isEmpty
    selections = try targets.map { target in
      isCounted
        ? try table.select(counting: ColumnChoice.counted, target: target)
        : try table.select(inputs: names, target: target)
    }
    (self.table, self.targets, self.groups) = (table, targets, groups)
    (self.isOpen, self.isCounted) = (isOpen, isCounted)
  }

  /// One line on what was found, as `'sales' by 'month'`; nil where all was named.
  var found: String? {
    guard isOpen, let first = selections.first else { return nil }
    let input =
      isCounted ? "the number of the row" : first.inputs.map { "'\($0)'" }.joined(separator: ", ")
    return "\(targets.map { "'\($0)'" }.joined(separator: ", ")) by \(input)"
  }
}
