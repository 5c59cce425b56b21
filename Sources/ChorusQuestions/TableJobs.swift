import ChorusInference
import ChorusModels
import ChorusTables
import ChorusTensors

/// The tables that a file holds: one, or one for each group of its rows.
package struct TableJobs {
  /// The column that tells the groups apart.
  package let groupColumn: String?
  package let all: [(group: String?, job: TableJob)]
  /// Settings that a saved table was kept with; nil for those of the command line.
  package let saved: SavedTable?
  /// What a person should know about the file.
  package let notes: [String]

  /// The model to ask: the one named, that of the saved table, or the shipped one.
  package func model(_ name: String?, precision: Precision = .f32) throws -> Model {
    if let saved { return try saved.model(name, precision: precision) }
    return try Model(named: name ?? "tables", precision: precision)
  }

  /// A saved table and the rows to predict.
  package init(_ saved: SavedTable, at further: Table) throws {
    self.init(try saved.job(at: further), of: saved)
  }

  /// A question to a saved table.
  package init(_ job: TableJob, of saved: SavedTable) {
    groupColumn = nil
    all = [(nil, job)]
    self.saved = saved
    notes = []
  }

  /// - Parameter group: the column that tells groups apart; nil for one table of all rows. Nothing is learned of one group from the
  ///   others, but what kind each column is and which levels it has.
  package init(
    _ table: Table, at further: Table?, targets: [String], inputs: [String]?,
    as told: [String: TableFrame.Told],
    group: String?
  ) throws {
    saved = nil
    groupColumn = group
    if let group, targets.contains(group) || inputs?.contains(group) ?? false {
      throw InferenceError.input(
        "\(table.source): '\(group)' tells groups apart, so it can be neither target nor input")
    }
    guard let group else {
      all = [
        (nil, try TableJob(table, at: further, targets: targets, inputs: inputs, as: told))
      ]
      notes = []
      return
    }
    let groups = try Groups(table, group)
    let hasGroups = further?.columns.contains(group) ?? false
    let later = try further.flatMap { hasGroups ? try groups.rows(of: $0) : nil }
    let whole = try TableJob(
      table, at: further, targets: targets, inputs: inputs, as: told, aside: group)
    all = groups.labels.enumerated().map { index, label in
      let own = (0..<table.rowCount).filter { groups.ofRow[$0] == index }
      let more = later.map { $0[label] ?? [] } ?? further.map { Array(0..<$0.rowCount) } ?? []
      return (label, whole.rows(own + more.map { $0 + table.rowCount }, asked: further != nil))
    }
    notes =
      groups.nameless > 0 ? ["\(groups.nameless) rows have no value of '\(group)' and were left out"] : []
  }
}
