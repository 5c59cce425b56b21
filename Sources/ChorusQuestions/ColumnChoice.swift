import ChorusTables

/// The input and the targets of a table, where they are left open.
///
/// What can be told is found: the one column of dates, else the first column of numbers if it orders the rows, and the
/// one other column of numbers. Whatever leaves a choice is refused with the names to choose from.
package struct ColumnChoice {
  /// Nil where rows are counted.
  package let input: String?
  package let targets: [String]
  /// Whether every target is a series of its own, of a file with a column for each.
  package let isWide: Bool

  /// What rows are called that no column tells apart.
  package static let counted = "index"

  /// - Parameters:
  ///   - inputs: as they were named; empty to find one.
  ///   - targets: as they were named; empty to find one.
  ///   - besides: columns that have another use.
  ///   - wide: whether every column may be, or is, a series of its own.
  package init(
    _ table: Table, inputs: [String], targets: [String], groups: Groups?, besides: [String] = [],
    wide: WideFile = .no
  ) throws(TableError) {
    let taken = Set(inputs + targets + besides + (groups.map { [$0.column] } ?? []))
    let free = table.columns.filter { !taken.contains($0) }
    var kinds: [String: ColumnKind] = [:]
    for column in free { kinds[column] = try table.kind(of: column) }
    let input: String?
    if let first = inputs.first {
      input = first
    } else {
      input = try Self.input(table, free, kinds, hasTarget: !targets.isEmpty, groups)
    }
    self.input = input
    guard targets.isEmpty else {
      (self.targets, isWide) = (targets, wide == .told)
      return
    }
    let rest = free.filter { $0 != input && kinds[$0] == .number }
    let candidates = rest.filter { !Self.isCount(table, $0) && !Self.isEmpty(table, $0) }
    isWide =
      wide == .told && !candidates.isEmpty
      || wide == .found && groups == nil && input != nil && WideFile.areAlike(candidates)
    guard candidates.count == 1 || isWide else {
      throw TableError(
        .choice, table.source,
        candidates.isEmpty
          ? "has no column of numbers to predict; name the column with --target."
          : "has several columns that could be predicted; name one with --target, or several, separated by commas: "
            + Self.list(candidates[...]) + ".")
    }
    self.targets = candidates
  }

  private static func input(
    _ table: Table, _ free: [String], _ kinds: [String: ColumnKind], hasTarget: Bool, _ groups: Groups?
  ) throws(TableError) -> String? {
    let dates = free.filter { kinds[$0]?.notation != nil }
    if dates.count == 1 { return dates[0] }
    guard dates.isEmpty else {
      throw TableError(
        .choice, table.source,
        "has several columns of dates; name the input with --input: \(list(dates[...])).")
    }
    let numbers = free.filter { kinds[$0] == .number }
    if free.count == (hasTarget ? 0 : 1) { return nil }
    // The first column may have values that repeat; any other would have to be all different.
    if let first = numbers.first, try order(table, first, groups) != .none { return first }
    var ordered: [String] = []
    for column in numbers where try order(table, column, groups) == .strict { ordered.append(column) }
    if ordered.count == 1 { return ordered[0] }
    throw TableError(
      .choice, table.source,
      "no column of dates and no first column of rising numbers tells the order of the rows; name the input with "
        + "--input: \(list((ordered.isEmpty ? numbers : ordered)[...])).")
  }

  private static func list(_ names: ArraySlice<String>) -> String {
    names.prefix(12).joined(separator: ", ") + (names.count > 12 ? ", …" : "")
  }

  private enum Order { case none, weak, strict }

  /// Whether every row has a value, which never falls or never rises from row to row of a series.
  private static func order(
    _ table: Table, _ column: String, _ groups: Groups?
  ) throws(TableError) -> Order {
    var last: [Int: Double] = [:]
    var (rises, falls, stays) = (false, false, false)
    for (row, value) in try table.numbers(column, missing: .allowed).enumerated() {
      guard let value else { return .none }
      guard let series = groups == nil ? 0 : groups?.ofRow[row] else { continue }
      if let before = last.updateValue(value, forKey: series) {
        rises = rises || value > before
        falls = falls || value < before
        stays = stays || value == before
      }
    }
    return rises == falls ? .none : stays ? .weak : .strict
  }

  /// Whether a column only counts the rows, as a data frame writes them beside its columns.
  private static func isCount(_ table: Table, _ column: String) -> Bool {
    guard ["", "unnamed: 0", "index", "row", "rownames", "id"].contains(column.lowercased()) else {
      return false
    }
    guard let values = try? table.numbers(column) else { return false }
    return zip(values.dropFirst(), values).allSatisfy { next, value in
      next.flatMap { next in value.map { next - $0 == 1 } } ?? false
    }
  }

  private static func isEmpty(_ table: Table, _ column: String) -> Bool {
    guard let values = try? table.numbers(column, missing: .allowed) else { return false }
    return values.allSatisfy { $0 == nil }
  }
}

/// Whether a file may have a column for each of several series, in place of one that tells them apart.
package enum WideFile: Sendable {
  /// It has not: several columns leave a choice, which is refused.
  case no
  /// It has where the names of the columns are alike but for their numbers.
  case found
  /// Somebody has said so.
  case told

  /// Fewer columns with names that are alike may be two things of one.
  private static let fewest = 3
  /// What the column that tells series apart is called in the output.
  package static let column = "series"

  /// Whether names are the same but for a number in each, as `shop_1`, `shop_2`, `shop_3`.
  static func areAlike(_ names: [String]) -> Bool {
    let stems = Set(names.map { $0.filter { !$0.isNumber } })
    return names.count >= fewest && stems.count == 1 && names.allSatisfy { $0.contains(where: \.isNumber) }
  }

  /// What values are called whose columns are the series.
  static func target(besides inputs: [String]) -> String {
    ["value", "y", "level"].first { !inputs.contains($0) } ?? "values"
  }
}
