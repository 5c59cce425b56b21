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
  package func model(_ name: String?, precision: Precision = .f32) throws -> TableModel {
    if let saved { return TableModel(try saved.model(name, precision: precision)) }
    let categories = all.contains { $0.job.hasCategories }
    return try TableModel(name, categories: categories, precision: precision)
  }

  /// A saved table and the rows to predict.
  ///
  /// - Parameter only: the one group that is asked; nil for all.
  package init(_ saved: SavedTable, at further: Table, only: String? = nil) throws {
    let whole = try saved.job(at: further)
    groupColumn = saved.groups?.column
    all =
      try saved.groups.map { try Self.split(whole, $0, at: further, only: only) } ?? [(nil, whole)]
    self.saved = saved
    notes = []
  }

  /// - Parameters:
  ///   - error: the column with the known error of each row's target.
  ///   - group: the column that tells groups apart; nil for one table of all rows. Nothing is learned of one group from the others, but
  ///     what kind each column is and which levels it has.
  package init(
    _ table: Table, at further: Table?, targets: [String], inputs: [String]?, error: String? = nil,
    as told: [String: TableFrame.Told],
    group: String?
  ) throws {
    saved = nil
    groupColumn = group
    guard let group else {
      all = [
        (nil, try TableJob(table, at: further, targets: targets, inputs: inputs, error: error, as: told))
      ]
      notes = []
      return
    }
    let groups = try Groups(table, group, besides: targets + (inputs ?? []))
    let whole = try TableJob(
      table, at: further, targets: targets, inputs: inputs, error: error, as: told, aside: group)
    all = try Self.split(whole, groups, at: further)
    notes = groups.namelessWords.map { [$0] } ?? []
  }

  /// A table's questions, group by group.
  ///
  /// - Parameter further: rows after those of the groups; each goes to its own group, or to all where they have no such column.
  static func split(
    _ whole: TableJob, _ groups: Groups, at further: Table?, only: String? = nil
  ) throws -> [(group: String?, job: TableJob)] {
    let count = groups.ofRow.count
    let later = try further.flatMap {
      $0.columns.contains(groups.column) ? try groups.rows(of: $0) : nil
    }
    let rows = groups.rows
    return groups.labels.indices.filter { only == nil || groups.labels[$0] == only }.map { index in
      let label = groups.labels[index]
      let more = later.map { $0[label] ?? [] } ?? further.map { Array(0..<$0.rowCount) } ?? []
      return (label, whole.rows(rows[index] + more.map { $0 + count }, asked: further != nil))
    }
  }
}
