import ChorusTables
import Foundation

/// The rows of a table by the cells of one column.
package struct Groups {
  package let column: String
  /// The file.
  package let source: String
  /// In the order of their first rows.
  package private(set) var labels: [String] = []
  /// The group of each row; nil where the cell is empty.
  package private(set) var ofRow: [Int?] = []
  private var places: [String: Int] = [:]
  /// Rows without a group.
  package var nameless: Int { ofRow.count { $0 == nil } }

  package init(_ table: Table, _ column: String) throws {
    self.column = column
    source = table.source
    for label in try Self.labels(table, column) {
      guard !label.isEmpty else {
        ofRow.append(nil)
        continue
      }
      if places[label] == nil {
        places[label] = labels.count
        labels.append(label)
      }
      ofRow.append(places[label])
    }
    guard !labels.isEmpty else {
      throw TableError(.missingValue, table.source, "column '\(column)' is empty; name another with --group.")
    }
  }

  /// Groups that are known by their names.
  package init(_ labels: [String], column: String, source: String) {
    (self.column, self.source, self.labels) = (column, source, labels)
    places = Dictionary(zip(labels, labels.indices), uniquingKeysWith: { first, _ in first })
  }

  /// The rows of another table by the groups of this one.
  ///
  /// - Throws: `TableError` for a row without a group, or with one that is not here.
  package func rows(of table: Table) throws(TableError) -> [String: [Int]] {
    var rows: [String: [Int]] = [:]
    for (row, label) in try Self.labels(table, column).enumerated() {
      guard !label.isEmpty else {
        throw TableError(
          .missingValue, table.source, line: table.line(ofRow: row),
          "no value (column '\(column)'); every row needs one: fill it in or leave the row out.")
      }
      guard places[label] != nil else {
        throw TableError(
          .missingValue, table.source, line: table.line(ofRow: row),
          "group '\(label)' has no row in \(source), so nothing is known of it; leave the row out.")
      }
      rows[label, default: []].append(row)
    }
    return rows
  }

  private static func labels(_ table: Table, _ column: String) throws(TableError) -> [String] {
    try table.texts(column).map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
