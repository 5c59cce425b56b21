import ChorusFiles

/// Whole files, written so that no reader ever sees a part.
public enum AtomicFile {
  /// Writes `data` at `path`, whole or not at all; see `OutputFile`.
  ///
  /// - Throws: `StorageError` (`system`) with the system's words.
  public static func write(_ data: some Sequence<UInt8>, to path: String) throws(StorageError) {
    try Disk.pass(.write, path)
    do throws(FileError) {
      let file = try OutputFile(path)
      try file.write(data)
      try file.commit()
    } catch {
      throw StorageError(.system, file: error.path, error.detail)
    }
    try Disk.pass(.sync, path)
  }
}
