import ChorusData
import ChorusInference
import ChorusTables
import Foundation

/// A table as a command asks of it: its columns for what they are, the cells that estimators read, and the columns that are drawn.
package struct TableJob: Sendable {
  package let frame: TableFrame
  /// Columns that are drawn, as places in the frame.
  package let targets: [Int]
  /// Columns that tell of them, as places in the frame.
  package let inputs: [Int]
  /// The column with the known error of each row's target, as a place in the frame; nil for none.
  private let error: Int?
  /// All rows: those of the file, then those of a second one.
  package let cells: Cells
  /// Of each row its number in its file, from 1.
  package let numbers: [Int]
  /// The rows whose missing targets are asked for: those of the second file, or all.
  package let asked: Range<Int>
  /// What was found, in words.
  package let words: [String]
  /// The columns of `cells` that stand for each column of the frame, the column itself first.
  private let places: [[Int]]

  /// - Parameters:
  ///   - at: further rows whose targets are asked for.
  ///   - targets: names; empty for all columns with missing cells.
  ///   - inputs: names; nil for all other columns.
  ///   - error: the column with the known error of each row's target, which is one column of numbers.
  ///   - aside: a column that is neither, whatever it holds.
  package init(
    _ table: Table, at further: Table? = nil, targets: [String], inputs named: [String]? = nil,
    error: String? = nil, as told: [String: TableFrame.Told] = [:], aside: String? = nil
  ) throws {
    var told = told
    if let aside { told[aside] = .skip }
    if let error { told[error] = .number }
    if let error, let target = targets.first, table.columns.contains(target) {
      guard table.columns.contains(error) else {
        throw InferenceError.input("\(table.source): has no column '\(error)', which --error names")
      }
      try Self.check(error, of: targets, told, in: table)
    }
    try self.init(
      Self.framed(table, told), at: further, told, targets: targets, inputs: named, error: error,
      aside: aside)
  }

  /// The same of a further file, whose rows need errors where they have targets.
  static func check(
    further error: String, of targets: [String], _ told: [String: TableFrame.Told] = [:], in table: Table
  ) throws {
    guard let target = targets.first, table.columns.contains(target),
      try table.hasNumber(in: target)
    else { return }
    try check(error, of: targets, told, in: table)
  }

  /// Refuses known errors that a row with a target lacks, or that are none, by their lines; and targets that have none.
  static func check(
    _ error: String, of targets: [String], _ told: [String: TableFrame.Told] = [:], in table: Table
  ) throws {
    guard targets.count == 1, let target = targets.first else {
      throw InferenceError.input("\(table.source): --error is of one target; name one column of numbers")
    }
    guard told[target] != .category, try table.kind(of: target) == .number else {
      throw InferenceError.input(
        "\(table.source): --error is of a target of numbers, and '\(target)' is none")
    }
    try table.checkErrors(error, of: target)
  }

  static func framed(
    _ table: Table, _ told: [String: TableFrame.Told], like: TableFrame? = nil
  ) throws -> TableFrame {
    do { return try table.frame(as: told, like: like) } catch {
      guard error.reason == .notANumber, !error.description.contains("--as") else { throw error }
      throw InferenceError.input(
        "\(error) If the column is a category, say --as COLUMN=category; if the text stands for a missing cell, --missing TEXT."
      )
    }
  }

  /// The same of columns that are known for what they are.
  init(
    _ frame: TableFrame, at further: Table?, _ told: [String: TableFrame.Told] = [:], targets: [String],
    inputs named: [String]?, error: String? = nil, aside: String? = nil
  ) throws {
    var frame = frame
    let source = frame.source
    let known = frame.columns.map(\.name)
    for name in targets + (named ?? []) where !known.contains(name) {
      throw InferenceError.input(
        "\(source): has no column '\(name)'; it has: \(known.prefix(20).joined(separator: ", "))")
    }
    if let twice = targets.indices.first(where: { targets[..<$0].contains(targets[$0]) }) {
      throw InferenceError.input(
        "\(source): column '\(targets[twice])' is asked for twice; name each column once")
    }
    if let both = targets.first(where: { named?.contains($0) ?? false }) {
      throw InferenceError.input("\(source): '\(both)' is a target and an input; it can be one of them")
    }
    if let error, let both = (targets + (named ?? [])).first(where: { $0 == error }) {
      throw InferenceError.input("\(source): '\(both)' has the errors of a target; it can be nothing else")
    }
    let ownRows = frame.rowCount
    if let further {
      let names = further.columns
      if let lacking = (named ?? []).first(where: { !names.contains($0) }) {
        throw InferenceError.input("\(further.source): has no column '\(lacking)', which is an input")
      }
      if let error { try Self.check(further: error, of: targets, told, in: further) }
      frame = frame.appending(
        try Self.framed(further, told.filter { names.contains($0.key) }, like: frame))
    }
    let rows = frame.columns.map(\.values)
    var words: [String] = []
    var (unused, all): ([String], [Int]) = ([], [])
    for (index, column) in frame.columns.enumerated()
    where !targets.contains(column.name) && column.name != aside && column.name != error {
      if case .unused(let reason) = column.kind {
        if named?.contains(column.name) ?? true { unused.append("'\(column.name)': \(reason)") }
      } else if named == nil, Self.isCount(column) {
        unused.append("'\(column.name)': it counts the rows")
      } else if named?.contains(column.name) ?? true {
        all.append(index)
      }
    }
    let drawn =
      targets.isEmpty
      ? all.filter { column in rows[column].contains { $0.isNaN } }
      : try targets.map { name in
        guard let place = known.firstIndex(of: name) else {
          throw InferenceError.input("no column '\(name)'")
        }
        if case .unused(let reason) = frame.columns[place].kind {
          throw InferenceError.input("\(source): '\(name)' cannot be predicted: \(reason)")
        }
        return place
      }
    for place in drawn {
      if case .date = frame.columns[place].kind {
        guard targets.isEmpty else {
          throw InferenceError.input(
            "\(source): '\(frame.columns[place].name)' is a date, which cannot be predicted; name numbers or categories"
          )
        }
      }
    }
    let scarce = drawn.filter { targets.isEmpty && Self.present(frame.columns[$0]) < 2 }
    unused += scarce.map { "'\(frame.columns[$0].name)': not filled, it has one value" }
    self.targets = drawn.filter { place in
      if case .date = frame.columns[place].kind { return false }
      return !scarce.contains(place)
    }
    inputs = all.filter { targets.isEmpty || !drawn.contains($0) }
    guard !inputs.isEmpty else {
      throw InferenceError.input("\(source): no column is left to predict from")
    }
    let errors = error.flatMap { name in known.firstIndex(of: name) }
    if let error, let errors {
      let own = rows[errors].filter { !$0.isNaN }
      if case .unused = frame.columns[errors].kind {
        throw InferenceError.input("\(source): '\(error)' has no error of any row")
      }
      if own.allSatisfy({ $0 == 0 }) {
        words.append("all errors of '\(error)' are 0, so that rows are taken as exact")
      }
    }
    self.error = errors
    (cells, places) = try Self.cells(frame, rows, Set(inputs + self.targets + [errors].compactMap { $0 }))
    if !unused.isEmpty { words.append("left out: \(unused.joined(separator: "; "))") }
    self.words = words
    self.frame = frame
    numbers = (0..<frame.rowCount).map { $0 < ownRows ? $0 + 1 : $0 - ownRows + 1 }
    asked = further == nil ? 0..<frame.rowCount : ownRows..<frame.rowCount
  }

  /// The same questions to some of the rows, those of a second file after the others.
  ///
  /// - Parameter further: whether the rows of the second file are asked for, and not all.
  package func rows(_ picked: [Int], asked further: Bool) -> TableJob { TableJob(self, picked, further) }

  private init(_ all: TableJob, _ picked: [Int], _ further: Bool) {
    frame = all.frame.rows(picked)
    (targets, inputs, words, places) = (all.targets, all.inputs, all.words, all.places)
    error = all.error
    cells = all.cells.rows(picked)
    numbers = picked.map { all.numbers[$0] }
    asked = (further ? picked.count { !all.asked.contains($0) } : 0)..<picked.count
  }

  /// Whether a column only counts the rows, as a data frame writes them beside its columns.
  private static func isCount(_ column: TableFrame.Column) -> Bool {
    guard ["", "unnamed: 0", "index", "row", "rownames", "id"].contains(column.name.lowercased()) else {
      return false
    }
    return zip(column.values.dropFirst(), column.values).allSatisfy { $0 - $1 == 1 }
  }

  /// The cells of some columns and where each column's stand. A date is a number, its weekday a category, and its month and hour are
  /// numbers, where they differ.
  private static func cells(
    _ frame: TableFrame, _ rows: [[Double]], _ used: Set<Int>
  ) throws -> (cells: Cells, places: [[Int]]) {
    var (columns, categories): ([[Double]], [Bool]) = ([], [])
    var places: [[Int]] = []
    for (index, column) in frame.columns.enumerated() {
      guard used.contains(index) else {
        places.append([])
        continue
      }
      var own = [columns.count]
      columns.append(rows[index])
      if case .category = column.kind { categories.append(true) } else { categories.append(false) }
      if case .date = column.kind {
        for (values, isCategory) in CalendarParts.of(rows[index]) {
          own.append(columns.count)
          columns.append(values)
          categories.append(isCategory)
        }
      }
      places.append(own)
    }
    let count = columns.first?.count ?? 0
    var values: [Double] = []
    values.reserveCapacity(count * columns.count)
    for row in 0..<count { for column in columns { values.append(column[row]) } }
    return (try Cells(values, categories: categories), places)
  }

  // MARK: What is drawn

  /// Whether a target is a category.
  package var hasCategories: Bool {
    targets.contains { if case .category = frame.columns[$0].kind { true } else { false } }
  }

  /// One step for each target in their order, told by the inputs and the targets before it.
  package func steps(limits: ClosedRange<Double>? = nil, whole: Bool = false) -> [TableChain.Step] {
    targets.indices.map { step(targets[$0], by: inputs + targets[..<$0], limits: limits, whole: whole) }
  }

  /// One step for each target, those with fewer missing cells first, told by all other columns; numbers of which none is below 0
  /// stay there.
  ///
  /// - Parameter only: the names of the targets to fill; nil for all.
  /// - Throws: `InferenceError.input` for a name that nothing is missing of, and where no other column is left.
  package func fillSteps(only: [String]?) throws -> [TableChain.Step] {
    for name in only ?? [] where !targets.contains(where: { frame.columns[$0].name == name }) {
      throw InferenceError.input("\(frame.source): column '\(name)' has no missing cell that could be filled")
    }
    let asked = targets.filter { only?.contains(frame.columns[$0].name) ?? true }
    let ordered = asked.sorted { a, b in
      let (left, right) = (missing(a), missing(b))
      return left != right ? left < right : a < b
    }
    return try ordered.map { target in
      let others = Set(inputs + targets).subtracting([target]).sorted()
      guard !others.isEmpty else {
        throw InferenceError.input(
          "\(frame.source): no other column tells of '\(frame.columns[target].name)'"
            + (words.isEmpty ? "" : "; \(words.joined(separator: "; "))"))
      }
      let least = frame.columns[target].values.lazy.filter { !$0.isNaN }.min() ?? -1
      return step(target, by: others, limits: least >= 0 ? 0...Double.infinity : nil)
    }
  }

  private func step(
    _ target: Int, by others: [Int], limits: ClosedRange<Double>?, whole: Bool = false
  ) -> TableChain.Step {
    let levels: Int? =
      if case .category(let levels) = frame.columns[target].kind { levels.count } else { nil }
    return TableChain.Step(
      column: places[target][0], inputs: others.flatMap { places[$0] }, levels: levels,
      limits: levels == nil ? limits : nil, isWhole: levels == nil && whole,
      errors: error.map { places[$0][0] })
  }

  private static func present(_ column: TableFrame.Column) -> Int { column.values.count { !$0.isNaN } }

  /// Why nothing can be predicted: a step's column has too few values to learn from. Nil where it can.
  package func refusal(_ steps: [TableChain.Step]) -> String? {
    steps.lazy.map { column($0) }.first { Self.present($0) < 2 }.map {
      "column '\($0.name)' has \(Self.present($0)) values; at least 2 are needed"
    }
  }

  /// Whether a row that is asked for lacks the value of a step.
  package func lacks(_ steps: [TableChain.Step]) -> Bool {
    steps.contains { step in asked.contains { cells[$0, step.column].isNaN } }
  }

  private func missing(_ target: Int) -> Int { frame.columns[target].values.count { $0.isNaN } }

  /// The known errors of a step's values in some rows; empty for none.
  package func errors(of rows: [Int], _ step: TableChain.Step) -> [Double] {
    step.errors.map { column in rows.map { cells[$0, column] } } ?? []
  }

  /// The column of the frame behind a step.
  package func column(_ step: TableChain.Step) -> TableFrame.Column {
    frame.columns[places.firstIndex { $0.first == step.column } ?? 0]
  }

  /// Where a column's own numbers or levels stand in `cells`; nil where it is not used.
  func place(of column: String) -> Int? {
    frame.columns.firstIndex { $0.name == column }.flatMap { places[$0].first }
  }

  /// The names of all columns that tell or are told.
  package var usedColumns: [String] {
    frame.columns.indices.filter { !places[$0].isEmpty }.map { frame.columns[$0].name }
  }

  /// What was found of the columns, in a line.
  package func found(_ steps: [TableChain.Step]) -> String {
    let names = steps.map { "'\(column($0).name)' (\(column($0).words))" }
    let by = inputs.prefix(8).map { frame.columns[$0].name } + (inputs.count > 8 ? ["…"] : [])
    return "\(names.joined(separator: ", ")) by \(inputs.count) columns: \(by.joined(separator: ", "))"
  }

  /// Which columns tell most of a step's, each alone, in a line; nil where none tells anything.
  ///
  /// - Parameter relevance: of each input of the step (`TableFit.relevance`).
  package func importance(_ step: TableChain.Step, _ relevance: [Double]) -> String? {
    let told = relevant(step, relevance).filter { $0.relevance >= 0.01 }
    guard !told.isEmpty else { return nil }
    let shown = told.prefix(6).map {
      "\($0.name) \(String(format: "%.2f", $0.relevance))"
    }
    return
      "columns that alone explain most of '\(column(step).name)' (part of the variance of rows not seen): "
      + shown.joined(separator: ", ") + (told.count > 6 ? ", …" : "")
  }

  /// The columns that tell a step, those first that explain most alone, and where the cells of each stand among the step's inputs.
  ///
  /// - Parameter relevance: as above.
  package func relevant(
    _ step: TableChain.Step, _ relevance: [Double]
  ) -> [(name: String, places: [Int], relevance: Double)] {
    frame.columns.indices.compactMap { column in
      let own = step.inputs.indices.filter { places[column].contains(step.inputs[$0]) }
      guard let most = own.map({ relevance[$0] }).max() else { return nil }
      return (column, own, most)
    }.sorted { (a: (Int, [Int], Double), b: (Int, [Int], Double)) in a.2 != b.2 ? a.2 > b.2 : a.0 < b.0 }
      .map { (frame.columns[$0.0].name, $0.1, $0.2) }
  }

  /// What `--as` says, as `code=category,year=number`.
  package static func told(_ text: String?) throws(QuestionError) -> [String: TableFrame.Told] {
    var told: [String: TableFrame.Told] = [:]
    for part in text?.split(separator: ",") ?? [] {
      let sides = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard sides.count == 2, !sides[0].isEmpty, let kind = TableFrame.Told(rawValue: sides[1]) else {
        throw QuestionError(
          "--as: '\(part)' is not like column=\(TableFrame.Told.allCases.map(\.rawValue).joined(separator: "|"))"
        )
      }
      told[sides[0]] = kind
    }
    return told
  }
}
