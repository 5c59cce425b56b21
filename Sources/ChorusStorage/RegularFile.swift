#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A regular file of bounded size, read from its beginning on.
///
/// Models, contexts, checkpoints and configurations are opened by this alone. A pipe would hang its reader, and a device
/// like `/dev/zero` has no end; both are refused by what they are, before a byte is read.
public final class RegularFile {
  /// The path as the caller gave it.
  public let path: String
  /// The file's size when it was opened.
  public let size: Int
  let descriptor: Int32

  /// Opens the file at `path`.
  ///
  /// - Throws: `StorageError`: `missing`; `system` for a folder, a pipe or a device, and for what the system refuses;
  ///   `tooLarge` for more than `limit` bytes.
  public init(_ path: String, limit: Int) throws(StorageError) {
    // An open that blocks would wait for a pipe's writer.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else {
      guard errno != ENOENT else {
        throw StorageError(.missing, file: path, "no such file. Check the path.")
      }
      throw Self.unreadable(path)
    }
    do throws(StorageError) { size = try Self.size(descriptor, path, limit: limit) } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }

  private static func size(_ descriptor: Int32, _ path: String, limit: Int) throws(StorageError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw unreadable(path) }
    let kind = status.st_mode & S_IFMT
    guard kind != S_IFDIR else {
      throw StorageError(.system, file: path, "is a folder. Name a file in it.")
    }
    guard kind == S_IFREG else {
      let words = kind == S_IFIFO ? "a pipe" : kind == S_IFSOCK ? "a socket" : "a device"
      throw StorageError(
        .system, file: path, "is \(words), not a regular file. Copy what it holds to a file.")
    }
    let size = Int(status.st_size)
    guard size <= limit else {
      throw StorageError(
        .tooLarge, file: path, "has \(size) bytes; at most \(limit) are read. Name another file.")
    }
    return size
  }

  private static func unreadable(_ path: String) -> StorageError {
    StorageError(.system, file: path, "can not be read: \(String(cString: strerror(errno))).")
  }

  deinit { close(descriptor) }

  /// The next `count` bytes; fewer where the file ends before.
  ///
  /// Bytes are read and not mapped: a mapped file that shrinks under its reader ends the process.
  public func read(_ count: Int) throws(StorageError) -> [UInt8] {
    var isRead = true
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count, let start = buffer.baseAddress {
        let got = systemRead(descriptor, start + filled, count - filled)
        if got < 0, errno == EINTR { continue }
        isRead = got >= 0
        guard got > 0 else { return }
        filled += got
      }
    }
    guard isRead else { throw Self.unreadable(path) }
    return bytes
  }

  /// The whole content of the file at `path`.
  ///
  /// - Throws: `StorageError` as ``init(_:limit:)``.
  public static func read(_ path: String, limit: Int) throws(StorageError) -> [UInt8] {
    let file = try RegularFile(path, limit: limit)
    return try file.read(file.size)
  }
}
