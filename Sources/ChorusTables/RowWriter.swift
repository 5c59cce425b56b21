import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Writes rows to standard output or to a file.
///
/// A file appears whole, by a rename, when ``finish()`` returns; until then, and for good where the writer goes
/// away without it, the path holds what it held before. A class, because it owns an open file.
public final class RowWriter {
  /// Where rows go.
  public enum Destination: Equatable, Sendable {
    case standardOutput
    case file(String)
  }

  /// Bytes that are gathered before they are written.
  private static let chunk = 1 << 16

  private let encoder: RowEncoder
  private let name: String
  private let handle: FileHandle
  private let temporary: String?
  private let target: String
  private var buffer: [UInt8] = []
  private var isOpen = true
  /// Why writing stopped; a file of which a part is lost is never put in its place.
  private var broken: TableError?

  /// Opens the destination and writes the header. The path `-` is standard output.
  ///
  /// - Throws: `TableError` (`system`): the file can not be made.
  public init(columns: [String], format: TableFormat, to destination: Destination) throws(TableError) {
    encoder = RowEncoder(columns: columns, format: format)
    switch destination {
    case .standardOutput, .file("-"):
      (name, target, temporary) = ("standard output", "", nil)
      handle = .standardOutput
    case .file(let path):
      name = path
      target = path
      var status = stat()
      let kind = stat(path, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG
      guard kind != S_IFDIR else { throw TableError(.system, path, "is a folder. Name a file in it.") }
      // A device or a pipe can not be replaced by a rename.
      let location = NSString(string: path)
      let folder = location.deletingLastPathComponent
      temporary =
        kind != S_IFREG
        ? nil : (folder.isEmpty ? "." : folder) + "/.\(location.lastPathComponent).\(UUID().uuidString).tmp"
      let flags = temporary == nil ? O_WRONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
      let descriptor = open(temporary ?? path, flags, 0o666)
      guard descriptor >= 0 else {
        throw TableError(
          .system, path, "can not be made: \(String(cString: strerror(errno))). Check the folder.")
      }
      handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
    buffer.append(contentsOf: encoder.header.utf8)
  }

  deinit {
    if isOpen, let temporary { unlink(temporary) }
  }

  /// Writes one row.
  ///
  /// - Throws: `TableError`: `row` for a wrong number of cells, `system` where the disk is full or nobody reads.
  public func write(_ cells: [Cell]) throws(TableError) {
    if let broken { throw broken }
    guard isOpen else { throw TableError(.system, name, "a row comes after the end of the output.") }
    buffer.append(contentsOf: try encoder.row(cells).utf8)
    if buffer.count >= Self.chunk { try flush() }
  }

  /// Writes what is left and puts the file in its place. Later calls do nothing.
  ///
  /// - Throws: `TableError` (`system`).
  public func finish() throws(TableError) {
    if let broken { throw broken }
    guard isOpen else { return }
    try flush()
    guard target.isEmpty == false else {
      isOpen = false
      return
    }
    do { try handle.close() } catch { throw failure(error.localizedDescription) }
    if let temporary, rename(temporary, target) != 0 { throw failure(String(cString: strerror(errno))) }
    isOpen = false
  }

  /// Hands what was gathered on, for rows that come one a minute. A file still appears only when it is finished.
  ///
  /// - Throws: `TableError` (`system`).
  public func flush() throws(TableError) {
    if let broken { throw broken }
    guard !buffer.isEmpty else { return }
    do { try handle.write(contentsOf: Data(buffer)) } catch {
      let failure = failure(error.localizedDescription)
      broken = failure
      throw failure
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private func failure(_ words: String) -> TableError {
    TableError(.system, name, "can not be written: \(words). Check the folder and the disk.")
  }
}
