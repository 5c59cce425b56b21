import ChorusInference
import ChorusStorage

/// What `chorus condition` has kept in a file, which is read and checked once.
package enum SavedFile: Sendable {
  case table(SavedTable)
  case contexts(SavedContexts)
  case series(SavedSeries)
  case context(SavedContext)

  /// Reads the file at `path`.
  ///
  /// - Throws: `StorageError` where it cannot be read, is not as it was written, or is none of these.
  package init(path: String) throws {
    let content = try Safetensors(path: path)
    self =
      if let table = try SavedTable(content) {
        .table(table)
      } else if let contexts = try SavedContexts(content) {
        .contexts(contexts)
      } else if let series = try SavedSeries(content) {
        .series(series)
      } else {
        .context(try SavedContext(content))
      }
  }
}
