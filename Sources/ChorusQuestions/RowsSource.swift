import ChorusTables
import Foundation

/// Rows in a file, or in bytes that a file would have, and how they are read.
package struct RowsSource: Sendable {
  private enum Content: Sendable {
    case path(String)
    case bytes([UInt8])
    case table(Table)
  }

  /// What errors call it.
  package let name: String
  private let content: Content
  private let options: TableOptions

  /// The file at `path`, or standard input where that is `-`.
  package init(path: String, options: TableOptions = TableOptions()) {
    (name, content, self.options) = (path, .path(path), options)
  }

  package init(bytes: [UInt8], name: String, options: TableOptions = TableOptions()) {
    (self.name, content, self.options) = (name, .bytes(bytes), options)
  }

  /// Rows of which all columns were read already.
  package init(read table: Table) {
    (name, content, options) = (table.source, .table(table), TableOptions())
  }

  /// Whether it can be read more than once: standard input and pipes cannot.
  package var isReadAgain: Bool {
    guard case .path(let path) = content else { return true }
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return attributes?[.type] as? FileAttributeType == .typeRegular
  }

  /// The table, of whose columns only the named ones are kept; without `numbers`, or where it was read already, all.
  ///
  /// - Parameter optional: those of them that may be absent.
  package func table(
    numbers: [String]? = nil, texts: [String] = [], optional: [String] = []
  ) throws(TableError) -> Table {
    var options = options
    options.numbers = numbers
    options.texts = texts
    options.optional = optional
    switch content {
    case .path(let path): return try Table.read(path: path, options: options)
    case .bytes(let bytes): return try Table(bytes: bytes, source: name, options: options)
    case .table(let table): return table
    }
  }
}
