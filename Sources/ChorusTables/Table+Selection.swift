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
  }

  public let inputs: [String]
  public let target: String
  /// What the input columns hold, so that output can write dates back.
  public let kinds: [ColumnKind]
  public let targetKind: ColumnKind
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
    targets: [Double] = []
  ) {
    self.inputs = inputs
    self.target = target
    self.kinds = kinds
    self.targetKind = targetKind
    self.observed = Rows(indices: Array(targets.indices), inputs: observed, targets: targets)
  }

  /// The rows by the group of each row of the table, in `count` parts; rows without a group are in none.
  public func split(_ group: [Int?], into count: Int) -> [Selection] {
    let empty = Selection(inputs: inputs, target: target, kinds: kinds, targetKind: targetKind)
    var parts = [Selection](repeating: empty, count: count)
    let d = dimensions
    for (place, row) in observed.indices.enumerated() {
      guard let part = group[row] else { continue }
      parts[part].observed.indices.append(row)
      parts[part].observed.inputs += observed.inputs[place * d..<(place + 1) * d]
      parts[part].observed.targets.append(observed.targets[place])
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
  public func select(counting name: String, target: String) throws(TableError) -> Selection {
    let targets = try checked(target, missing: .allowed)
    var result = Selection(inputs: [name], target: target, kinds: [.number], targetKind: targets.kind)
    for row in 0..<rowCount {
      if targets.values[row].isNaN {
        result.missing.indices.append(row)
        result.missing.inputs.append(Double(row + 1))
      } else {
        result.observed.indices.append(row)
        result.observed.inputs.append(Double(row + 1))
        result.observed.targets.append(targets.values[row])
      }
    }
    return result
  }

  /// Splits the rows into those with a target and those without.
  ///
  /// - Throws: `TableError`: an unknown column, a column that is named twice, a cell that is no number or date,
  ///   or `NaN` as an input.
  public func select(inputs: [String], target: String) throws(TableError) -> Selection {
    let named = inputs + [target]
    if let twice = named.indices.first(where: { named[..<$0].contains(named[$0]) }) {
      throw TableError(
        .unknownColumn, source, "column '\(named[twice])' is asked for twice; name each column once.")
    }
    guard !inputs.isEmpty else {
      throw TableError(.unknownColumn, source, "no input column is named; name at least one.")
    }
    var columns: [(values: [Double], kind: ColumnKind)] = []
    for input in inputs { columns.append(try checked(input, missing: .allowedExceptNaN)) }
    let targets = try checked(target, missing: .allowed)
    var result = Selection(
      inputs: inputs, target: target, kinds: columns.map(\.kind), targetKind: targets.kind)
    for row in 0..<rowCount {
      if columns.contains(where: { $0.values[row].isNaN }) {
        result.incomplete.append(row)
      } else if !targets.values[row].isNaN {
        result.observed.indices.append(row)
        for column in columns { result.observed.inputs.append(column.values[row]) }
        result.observed.targets.append(targets.values[row])
      } else {
        result.missing.indices.append(row)
        for column in columns { result.missing.inputs.append(column.values[row]) }
      }
    }
    return result
  }
}
