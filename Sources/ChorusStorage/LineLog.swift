#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A text file that grows by whole lines and, after a crash, forgets those that what came later no longer knows of.
public struct LineLog: Sendable {
  private static let sizeLimit = 1 << 30

  public let path: String

  public init(path: String) { self.path = path }

  /// Adds a line and syncs the file; `line` is without its end.
  ///
  /// - Throws: `StorageError` (`system`). What has been written of the line then is dropped by ``keep(where:)``.
  public func append(_ line: some Sequence<UInt8>) throws(StorageError) {
    let descriptor = Disk.open(path, O_WRONLY | O_CREAT | O_APPEND)
    guard descriptor >= 0 else { throw Disk.failure("open", path) }
    defer { close(descriptor) }
    guard Disk.writeAll(descriptor, Array(line) + [0x0A], path: path) == 0 else {
      throw Disk.failure("write", path)
    }
    guard Disk.sync(descriptor, path: path) == 0 else { throw Disk.failure("sync", path) }
  }

  /// Keeps the lines that `wanted` says, and drops the others and a last line without its end.
  ///
  /// - Throws: `StorageError`: a file that is no regular one or can not be replaced.
  public func keep(where wanted: (ArraySlice<UInt8>) -> Bool) throws(StorageError) {
    let content: [UInt8]
    do throws(StorageError) { content = try RegularFile.read(path, limit: Self.sizeLimit) } catch {
      guard error.reason == .missing else { throw error }
      return
    }
    var kept: [UInt8] = []
    var rest = content[...]
    while let end = rest.firstIndex(of: 0x0A) {
      if wanted(rest[..<end]) { kept += rest[...end] }
      rest = rest[(end + 1)...]
    }
    if kept != content { try AtomicFile.write(kept, to: path) }
  }
}
