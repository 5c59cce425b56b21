import ChorusData
import ChorusInference
import ChorusTables
import Foundation

/// The rows of a file to condition on, and what their columns are.
package struct Observations: Sendable {
  package let file: String
  package let selection: Selection
  package let data: Dataset
  /// Which of a file's series the rows are; nil where there is one.
  package let group: String?
  /// What a person should know about the rows, each by what it is about.
  package let words: [DataWord]
  /// Units of columns by their names in the file.
  private let units: [String: String]
  /// What further columns hold, as text: `[columns][rows]`.
  package private(set) var marks: [[String]] = []
  /// Which columns were taken, where that was found and not told.
  package private(set) var found: String?

  /// The rows of a file with one target. Columns that are not named are found.
  ///
  /// - Parameters:
  ///   - units: like `accel=g,times=ms`.
  ///   - marks: names of columns to keep in ``marks``.
  ///   - fewest: rows without which nothing can be done.
  package init(
    _ rows: RowsSource, input: String?, target: String?, units: String? = nil, marks: [String] = [],
    with covariates: [String] = [], error: String? = nil, fewest: Int = 2
  ) throws {
    let series = try Self.series(
      rows, input: input, target: target, units: units, marks: marks, with: covariates, error: error)
    guard let first = series.first else { throw InferenceError.input("\(rows.name): has no rows") }
    self = first
    if data.count < fewest, let refusal { throw InferenceError.input("\(rows.name): \(refusal)") }
  }

  /// The rows of each series of a file with one target; words about the file are those of the first.
  package static func series(
    _ rows: RowsSource, input: String?, target: String?, group: String? = nil, units: String? = nil,
    marks: [String] = [], with covariates: [String] = [], error: String? = nil, wide: WideFile = .no
  ) throws -> [Observations] {
    let columns = try AskedColumns(
      rows, input: input, target: target, group: group, marks: marks, with: covariates, error: error,
      wide: wide)
    let (table, selection) = (columns.table, columns.selections[0])
    let units = try Self.units(units, of: table)
    let words = DataWords(table, of: rows)
    if columns.isOpen, columns.groups == nil { try words.refusePooling(selection) }
    return try columns.series.enumerated().map { index, part in
      let label = part.label
      let read = words.apart(part.selections, group: label)
      let selection = read.selections[0]
      var own = try Observations(
        file: rows.name, selection: selection, group: label, units: units,
        words: (index == 0 ? words.fileWords : []) + read.words
          + words.words([selection], grouped: label != nil, group: label))
      own.found = columns.found
      own.marks = try marks.map { name in
        let texts = try table.texts(name)
        return selection.observed.indices.map { texts[$0] }
      }
      return own
    }
  }

  package init(
    file: String, selection: Selection, group: String? = nil, units: [String: String], words: [DataWord] = []
  ) throws {
    self.words = words
    self.file = file
    self.selection = selection
    self.group = group
    self.units = units
    let kinds = selection.kinds + [.number]
    let columns = zip(selection.inputs + [selection.target], kinds).map { name, kind in
      let unit = units[name] ?? Self.bracketed(name)?.unit ?? ""
      return Column(name, unit: unit, isDate: kind != .number)
    }
    data = try Dataset(
      inputs: Inputs(selection.observed.inputs, dimensions: selection.dimensions),
      y: selection.observed.targets, errors: selection.observed.errors,
      inputColumns: Array(columns.dropLast()),
      outputColumn: columns[columns.count - 1])
  }

  /// Why nothing can be predicted from these rows, or nil.
  package var refusal: String? {
    let (count, fewest) = (data.count, data.errors.isEmpty ? 2 : Posterior.fewestMeasured)
    guard count < fewest else { return nil }
    return
      "\(count) rows have both \(selection.inputs.joined(separator: ",")) and \(selection.target); at least \(fewest) are needed"
      + (data.errors.isEmpty ? "" : " where errors are known")
  }

  /// Names in an option, separated by commas.
  package static func names(_ option: String) -> [String] {
    option.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  package static func units(_ text: String?, of table: Table) throws -> [String: String] {
    var units: [String: String] = [:]
    for part in text?.split(separator: ",") ?? [] {
      let sides = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else {
        throw QuestionError("--units: '\(part)' is not like column=unit")
      }
      guard table.columns.contains(sides[0]) else {
        throw QuestionError("--units: \(table.source) has no column '\(sides[0])'")
      }
      units[sides[0]] = sides[1]
    }
    return units
  }

  /// A column's name and its unit: as given, or what the header has in brackets, like `accel (g)` or `level [m]`.
  package func named(_ column: String) -> (title: String, unit: String) {
    if let unit = units[column] { return (column, unit) }
    return Self.bracketed(column) ?? (column, "")
  }

  private static func bracketed(_ column: String) -> (title: String, unit: String)? {
    for (open, close) in [("(", ")"), ("[", "]")] as [(Character, Character)] {
      guard column.last == close, let start = column.lastIndex(of: open), start != column.startIndex else {
        continue
      }
      let title = column[..<start].trimmingCharacters(in: .whitespaces)
      let unit = column[column.index(after: start)...].dropLast()
      if !title.isEmpty, !unit.isEmpty { return (title, String(unit)) }
    }
    return nil
  }

  /// A row of inputs as it was read.
  package func inputCells(of inputs: Inputs, _ row: Int) -> [Cell] {
    zip(inputs[row], selection.kinds).enumerated().map { column, cell in
      selection.levels[column].map { .text($0[Int(cell.0)]) } ?? .value(cell.0, cell.1)
    }
  }

  /// The same rows without the columns beside time.
  package var timeAlone: Dataset {
    get throws {
      let kept = selection.dimensions - selection.covariates
      return try Dataset(
        inputs: Inputs((0..<data.count).flatMap { data.inputs[$0].prefix(kept) }, dimensions: kept),
        y: data.y, errors: data.errors,
        inputColumns: Array(data.inputColumns.prefix(kept)), outputColumn: data.outputColumn)
    }
  }

  /// What the columns beside time hold, in their order.
  package var covariates: [Covariate] {
    (selection.dimensions - selection.covariates..<selection.dimensions).map { column in
      selection.levels[column].map { .category(levels: $0.count) } ?? .number
    }
  }

  /// Refuses functionals that go along one input where there are several.
  package func check(_ functionals: [Functional]) throws {
    if let needy = functionals.first(where: \.needsOrder), selection.dimensions - selection.covariates > 1 {
      throw InferenceError.input(
        "\(file): '\(needy)' goes along one input column and there are \(selection.dimensions)")
    }
  }
}
