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
  /// Whether the file gets its temporary name only when it is whole.
  private let isNameless: Bool
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
      (name, target, temporary, isNameless) = ("standard output", "", nil, false)
      handle = .standardOutput
    case .file(let path):
      name = path
      target = path
      var status = stat()
      let kind = stat(path, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG
      guard kind != S_IFDIR else { throw TableError(.system, path, "is a folder. Name a file in it.") }
      // A device or a pipe can not be replaced by a rename.
      // Not by NSString, whose deletingLastPathComponent traps on a path of one character.
      let start = path.utf8.lastIndex(of: 0x2F).map(path.utf8.index(after:)) ?? path.startIndex
      let folder = start == path.startIndex ? "." : String(path[..<start])
      temporary =
        kind != S_IFREG
        ? nil : folder + "/.\(path[start...]).\(UUID().uuidString).tmp"
      var descriptor = temporary == nil ? open(path, O_WRONLY | O_CLOEXEC) : Self.nameless(in: folder)
      isNameless = temporary != nil && descriptor >= 0
      if let temporary, !isNameless {
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      }
      guard descriptor >= 0 else {
        throw TableError(
          .system, path, "can not be made: \(String(cString: strerror(errno))). Check the folder.")
      }
      handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
    buffer.append(contentsOf: encoder.header.utf8)
  }

  deinit {
    if isOpen, !isNameless, let temporary { unlink(temporary) }
  }

  /// A file without a name, of which nothing is left where the process is ended; negative where the system has none.
  private static func nameless(in folder: String) -> Int32 {
    #if os(Linux)
      // O_TMPFILE, a macro that Swift does not import; a name is given through /proc.
      guard access("/proc/self/fd", X_OK) == 0 else { return -1 }
      return open(folder.isEmpty ? "." : folder, O_WRONLY | O_CLOEXEC | O_DIRECTORY | 0o20_000_000, 0o666)
    #else
      return -1
    #endif
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
    #if os(Linux)
      if isNameless, let temporary {
        let link = "/proc/self/fd/\(handle.fileDescriptor)"
        guard linkat(AT_FDCWD, link, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0 else {
          throw failure(String(cString: strerror(errno)))
        }
      }
    #endif
    do { try handle.close() } catch { throw failure(error.localizedDescription) }
    if let temporary, rename(temporary, target) != 0 {
      let failure = failure(String(cString: strerror(errno)))
      unlink(temporary)
      throw failure
    }
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
