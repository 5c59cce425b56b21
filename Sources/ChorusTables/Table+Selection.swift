/// The rows of a table, split by what they hold of some input columns and a target column.
public struct Selection: Equatable, Sendable {
  /// Rows by their index in the table, with their inputs and targets.
  public struct Rows: Equatable, Sendable {
    /// Indices of the table's rows, ascending.
    public fileprivate(set) var indices: [Int] = []
    /// The inputs, row after row.
    public fileprivate(set) var inputs: [Double] = []
    /// The targets; empty where they are missing.
    public fileprivate(set) var targets: [Double] = []
    /// Standard deviations of the targets' errors of measurement; empty where no column has them.
    public fileprivate(set) var errors: [Double] = []
  }

  public let inputs: [String]
  public let target: String
  /// What the input columns hold, so that output can write dates back.
  public let kinds: [ColumnKind]
  public let targetKind: ColumnKind
  /// How many of the input columns, the last ones, are known beside time.
  public private(set) var covariates = 0
  /// The levels of input columns that are categories, by their places; values are places among these.
  public private(set) var levels: [Int: [String]] = [:]
  /// Rows with all inputs and the target.
  public fileprivate(set) var observed = Rows()
  /// Rows with all inputs and no target: what is to be predicted.
  public fileprivate(set) var missing = Rows()
  /// Indices of rows that lack an input and can be used for nothing.
  public fileprivate(set) var incomplete: [Int] = []

  public var dimensions: Int { inputs.count }

  /// Rows that are not from a table, row after row.
  public init(
    inputs: [String], target: String, kinds: [ColumnKind], targetKind: ColumnKind, observed: [Double] = [],
    targets: [Double] = [], errors: [Double] = [], covariates: Int = 0, levels: [Int: [String]] = [:]
  ) {
    self.covariates = covariates
    self.levels = levels
    self.inputs = inputs
    self.target = target
    self.kinds = kinds
    self.targetKind = targetKind
    self.observed = Rows(
      indices: Array(targets.indices), inputs: observed, targets: targets, errors: errors)
  }

  /// The same rows of a target that goes by another name.
  public func renaming(target: String) -> Selection {
    var selection = Selection(
      inputs: inputs, target: target, kinds: kinds, targetKind: targetKind, covariates: covariates,
      levels: levels)
    (selection.observed, selection.missing, selection.incomplete) = (observed, missing, incomplete)
    return selection
  }

  /// The same without some of the observed rows.
  ///
  /// - Parameter places: among the observed rows, from 0.
  public func leavingOut(_ places: Set<Int>) -> Selection {
    let kept = observed.indices.indices.filter { !places.contains($0) }
    var rows = Rows()
    rows.indices = kept.map { observed.indices[$0] }
    rows.inputs = kept.flatMap { observed.inputs[$0 * dimensions..<($0 + 1) * dimensions] }
    rows.targets = kept.map { observed.targets[$0] }
    if !observed.errors.isEmpty { rows.errors = kept.map { observed.errors[$0] } }
    var selection = self
    selection.observed = rows
    return selection
  }

  /// The rows by the group of each row of the table, in `count` parts; rows without a group are in none.
  public func split(_ group: [Int?], into count: Int) -> [Selection] {
    let empty = Selection(
      inputs: inputs, target: target, kinds: kinds, targetKind: targetKind, covariates: covariates,
      levels: levels)
    var parts = [Selection](repeating: empty, count: count)
    let d = dimensions
    for (place, row) in observed.indices.enumerated() {
      guard let part = group[row] else { continue }
      parts[part].observed.indices.append(row)
      parts[part].observed.inputs += observed.inputs[place * d..<(place + 1) * d]
      parts[part].observed.targets.append(observed.targets[place])
      if !observed.errors.isEmpty { parts[part].observed.errors.append(observed.errors[place]) }
    }
    for (place, row) in missing.indices.enumerated() {
      guard let part = group[row] else { continue }
      parts[part].missing.indices.append(row)
      parts[part].missing.inputs += missing.inputs[place * d..<(place + 1) * d]
    }
    for row in incomplete { if let part = group[row] { parts[part].incomplete.append(row) } }
    return parts
  }
}

extension Table {
  /// Splits the rows into those with a target and those without; their input is their number, from 1.
  ///
  /// - Throws: `TableError`: an unknown column, or a cell that is no number or date.
  public func select(
    counting name: String, target: String, with covariates: [String] = [], error: String? = nil
  ) throws(TableError) -> Selection {
    let counted = (values: (0..<rowCount).map { Double($0 + 1) }, kind: ColumnKind.number)
    return try select([name], [counted], target, covariates, error)
  }

  /// Splits the rows into those with a target and those without.
  ///
  /// - Parameters:
  ///   - covariates: further columns, of numbers or of texts with few levels, that are known beside the inputs.
  ///   - error: a column with the standard deviation of each target's error of measurement.
  /// - Throws: `TableError`: an unknown column, a column that is named twice, a cell that is no number or date,
  ///   `NaN` as an input, or a row with a target whose error is missing or negative.
  public func select(
    inputs: [String], target: String, with covariates: [String] = [], error: String? = nil
  ) throws(TableError) -> Selection {
    let named = inputs + covariates + [target] + (error.map { [$0] } ?? [])
    if let twice = named.indices.first(where: { named[..<$0].contains(named[$0]) }) {
      throw TableError(
        .unknownColumn, source, "column '\(named[twice])' is asked for twice; name each column once.")
    }
    guard !inputs.isEmpty else {
      throw TableError(.unknownColumn, source, "no input column is named; name at least one.")
    }
    var columns: [(values: [Double], kind: ColumnKind)] = []
    for input in inputs { columns.append(try checked(input, missing: .allowedExceptNaN)) }
    return try select(inputs, columns, target, covariates, error)
  }

  private func select(
    _ inputs: [String], _ inputColumns: [(values: [Double], kind: ColumnKind)], _ target: String,
    _ covariates: [String], _ error: String?
  ) throws(TableError) -> Selection {
    var (columns, levels) = (inputColumns, [Int: [String]]())
    for covariate in covariates {
      let (column, own) = try self.covariate(covariate)
      levels[columns.count] = own
      columns.append(column)
    }
    let targets = try checked(target, missing: .allowed)
    var errors: [Double]?
    if let error { errors = try self.errors(error) }
    var result = Selection(
      inputs: inputs + covariates, target: target, kinds: columns.map(\.kind), targetKind: targets.kind,
      covariates: covariates.count, levels: levels)
    for row in 0..<rowCount {
      if columns.contains(where: { $0.values[row].isNaN }) {
        result.incomplete.append(row)
      } else if !targets.values[row].isNaN {
        result.observed.indices.append(row)
        for column in columns { result.observed.inputs.append(column.values[row]) }
        result.observed.targets.append(targets.values[row])
        if let error, let errors {
          result.observed.errors.append(try self.error(errors[row], of: row, column: error))
        }
      } else {
        result.missing.indices.append(row)
        for column in columns { result.missing.inputs.append(column.values[row]) }
      }
    }
    return result
  }

  /// Looks at the known errors of a column of numbers, row by row.
  ///
  /// - Throws: `TableError` for a row with a value whose error is missing, negative or no number, by its line.
  public func checkErrors(_ name: String, of target: String) throws(TableError) {
    let (values, errors) = (try checked(target, missing: .allowed).values, try errors(name))
    for row in 0..<rowCount where !values[row].isNaN {
      _ = try error(errors[row], of: row, column: name)
    }
  }

  /// Whether some cell of a column of numbers is there.
  public func hasNumber(in column: String) throws(TableError) -> Bool {
    try checked(column, missing: .allowed).values.contains { !$0.isNaN }
  }

  /// A column of standard deviations, NaN where a cell is missing.
  private func errors(_ name: String) throws(TableError) -> [Double] {
    let column = try checked(name, missing: .allowed)
    guard column.kind == .number else {
      throw TableError(
        .notANumber, source,
        "column '\(name)' holds dates, and --error takes numbers: the standard deviation of each row's error."
      )
    }
    return column.values
  }

  /// The error of a row that has a target.
  private func error(_ value: Double, of row: Int, column: String) throws(TableError) -> Double {
    guard !value.isNaN else {
      throw TableError(
        .missingValue, source, line: line(ofRow: row),
        "no value (column '\(column)'); every row that has a target needs its error: the standard deviation, or 0 for none."
      )
    }
    guard value >= 0 else {
      throw TableError(
        .notANumber, source, line: line(ofRow: row),
        "\(RowEncoder.written(value, .number)) is no error (column '\(column)'); give its standard deviation, 0 or more."
      )
    }
    return value
  }

  /// The levels that a column beside time may have.
  public static let mostCovariateLevels = 24

  /// A column of numbers, or of texts with few levels, NaN where a cell is missing.
  ///
  /// - Parameter like: the levels that it has to have; nil to find them.
  public func covariate(
    _ name: String, like known: [String]? = nil
  ) throws(TableError) -> (column: (values: [Double], kind: ColumnKind), levels: [String]?) {
    let kind = try kind(of: name)
    guard known != nil || kind == .text else {
      let column = try checked(name, missing: .allowed)
      guard column.kind == .number else {
        throw TableError(
          .notANumber, source, "column '\(name)' holds dates, and --with takes numbers and categories.")
      }
      return (column, nil)
    }
    let column = try category(name, told: true, known ?? [])
    guard case .category(let levels) = column.kind else { return ((column.values, .number), known ?? []) }
    if let known, levels.count > known.count,
      let row = column.values.firstIndex(where: { $0 >= Double(known.count) })
    {
      throw TableError(
        .notANumber, source, line: line(ofRow: row),
        "'\(levels[Int(column.values[row])])' is no level that the rows read have (column '\(name)'), so nothing is known of it; they have: \(known.prefix(20).joined(separator: ", "))."
      )
    }
    guard levels.count <= Self.mostCovariateLevels else {
      throw TableError(
        .notANumber, source,
        "column '\(name)' has \(levels.count) levels and at most \(Self.mostCovariateLevels) can be told apart by --with."
      )
    }
    return ((column.values, .number), levels)
  }
}
