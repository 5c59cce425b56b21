import ChorusInference
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
  /// How many rows have no group, in words; nil where all have one.
  package var namelessWords: String? {
    let count = ofRow.count { $0 == nil }
    return count > 0 ? "\(count) rows have no value of '\(column)' and were left out" : nil
  }

  package init(_ table: Table, _ column: String) throws {
    self.column = column
    source = table.source
    for label in try Self.labels(table, column) { add(label.isEmpty ? nil : label) }
    guard !labels.isEmpty else {
      throw TableError(.missingValue, table.source, "column '\(column)' is empty; name another with --group.")
    }
  }

  /// Groups that are known by their names.
  package init(_ labels: [String], column: String, source: String) {
    (self.column, self.source, self.labels) = (column, source, labels)
    places = Dictionary(zip(labels, labels.indices), uniquingKeysWith: { first, _ in first })
  }

  /// Groups of a table whose other columns these names are.
  package init(_ table: Table, _ column: String, besides others: [String]) throws {
    guard !others.contains(column) else {
      throw InferenceError.input(
        "\(table.source): '\(column)' tells groups apart, so it can be neither target nor input")
    }
    try self.init(table, column)
  }

  /// Groups by the label of each row; nil where a row has none.
  package init(ofRows labels: [String?], column: String, source: String) {
    (self.column, self.source) = (column, source)
    for label in labels { add(label) }
  }

  private mutating func add(_ label: String?) {
    guard let label else {
      ofRow.append(nil)
      return
    }
    if places[label] == nil {
      places[label] = labels.count
      labels.append(label)
    }
    ofRow.append(places[label])
  }

  /// Of each group its rows.
  package var rows: [[Int]] {
    var rows = [[Int]](repeating: [], count: labels.count)
    for (row, group) in ofRow.enumerated() { if let group { rows[group].append(row) } }
    return rows
  }

  /// The groups of these rows, then those of another table, which may have groups of its own.
  package func appending(_ table: Table) throws(TableError) -> Groups {
    var groups = self
    for label in try Self.labels(table, column) { groups.add(label.isEmpty ? nil : label) }
    return groups
  }

  /// The groups of some of the rows, in that order.
  package func picking(_ picked: [Int]) -> Groups {
    Groups(ofRows: picked.map { ofRow[$0].map { labels[$0] } }, column: column, source: source)
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
