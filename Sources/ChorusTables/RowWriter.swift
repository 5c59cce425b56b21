import ChorusFiles
import Foundation

/// Writes rows to standard output or to a file.
///
/// A file appears whole, when ``finish()`` returns; until then, and for good where the writer goes away without it, the path
/// holds what it held before. A class, because it owns an open file.
public final class RowWriter {
  /// Where rows go.
  public enum Destination: Equatable, Sendable {
    case standardOutput
    case file(String)
  }

  /// Bytes that are gathered before they are written.
  private static let chunk = 1 << 16

  private let encoder: RowEncoder
  /// Nil for standard output.
  private let file: OutputFile?
  private var buffer: [UInt8] = []
  private var isOpen = true
  /// Why writing stopped.
  private var broken: TableError?

  /// Opens the destination and writes the header. The path `-` is standard output.
  ///
  /// - Throws: `TableError` (`system`): the file can not be made.
  public init(columns: [String], format: TableFormat, to destination: Destination) throws(TableError) {
    encoder = RowEncoder(columns: columns, format: format)
    switch destination {
    case .standardOutput, .file("-"): file = nil
    case .file(let path):
      do throws(FileError) { file = try OutputFile(path) } catch { throw TableError(error) }
    }
    buffer.append(contentsOf: encoder.header.utf8)
  }

  /// Writes one row.
  ///
  /// - Throws: `TableError`: `row` for a wrong number of cells, `system` where the disk is full, `unread` where nobody reads.
  public func write(_ cells: [Cell]) throws(TableError) {
    if let broken { throw broken }
    guard isOpen else {
      throw TableError(
        .system, file?.path ?? "standard output", "a row comes after the end of the output.")
    }
    buffer.append(contentsOf: try encoder.row(cells).utf8)
    if buffer.count >= Self.chunk { try flush() }
  }

  /// Writes what is left and puts the file in its place. Later calls do nothing.
  ///
  /// - Throws: `TableError` (`system`, `unread`).
  public func finish() throws(TableError) {
    if let broken { throw broken }
    guard isOpen else { return }
    try flush()
    try system { () throws(FileError) in try file?.commit() }
    isOpen = false
  }

  /// Hands what was gathered on, for rows that come one a minute. A file still appears only when it is finished.
  ///
  /// - Throws: `TableError` (`system`, `unread`).
  public func flush() throws(TableError) {
    if let broken { throw broken }
    guard !buffer.isEmpty else { return }
    try system { () throws(FileError) in
      if let file { try file.write(buffer) } else { try StandardStreams.write(buffer) }
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private func system(_ body: () throws(FileError) -> Void) throws(TableError) {
    do throws(FileError) { try body() } catch {
      let failure = TableError(error)
      broken = failure
      throw failure
    }
  }
}

extension TableError {
  /// What a file or a stream that can not be written is to whoever writes tables.
  public init(_ error: FileError) {
    self.init(error.isReaderGone ? .unread : .system, error.path, error.detail)
  }
}
