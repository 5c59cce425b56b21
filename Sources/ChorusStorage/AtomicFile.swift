import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Whole files, written so that no reader ever sees a part.
public enum AtomicFile {
  /// Writes `data` at `path`: a temporary file in the same folder, sync, rename, sync of the folder.
  ///
  /// Whatever fails, `path` holds what it held before and no temporary file stays. A device or a pipe can not
  /// be replaced by a rename; it is written to directly.
  ///
  /// - Throws: `StorageError` (`system`) with the system's words.
  public static func write(_ data: Data, to path: String) throws(StorageError) {
    try Disk.pass(.write, path)
    var status = stat()
    let kind = stat(path, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG
    guard kind != S_IFDIR else {
      throw StorageError(.system, file: path, "is a folder. Name a file in it.")
    }
    guard kind == S_IFREG else {
      let descriptor = open(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw failure("open", path) }
      defer { close(descriptor) }
      return try put(data, descriptor, path)
    }
    // Not by NSString, whose deletingLastPathComponent traps on a path of one character.
    let name = path.utf8.lastIndex(of: 0x2F).map(path.utf8.index(after:)) ?? path.startIndex
    let folder = name == path.startIndex ? "." : String(path[..<name])
    let temporary = folder + "/.\(path[name...]).\(UUID().uuidString).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure("create a file beside", path) }
    do throws(StorageError) {
      defer { close(descriptor) }
      try put(data, descriptor, path)
      guard flush(descriptor) == 0 else { throw failure("sync", path) }
      guard rename(temporary, path) == 0 else { throw failure("rename a file to", path) }
    } catch {
      unlink(temporary)
      throw error
    }
    try syncFolder(folder)
    try Disk.pass(.sync, path)
  }

  /// Makes the names in a folder durable. A file system that can not sync folders is left alone.
  static func syncFolder(_ folder: String) throws(StorageError) {
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
      throw failure("sync the folder", folder)
    }
  }

  private static func put(_ data: Data, _ descriptor: Int32, _ path: String) throws(StorageError) {
    var offset = 0
    while offset < data.count {
      let written = data.withUnsafeBytes { bytes in
        Foundation.write(descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
      }
      if written > 0 {
        offset += written
      } else if written < 0 && errno != EINTR {
        throw failure("write", path)
      }
    }
  }

  private static func flush(_ descriptor: Int32) -> Int32 {
    #if canImport(Darwin)
      // fsync leaves the data in the drive's cache there.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
    #endif
    return fsync(descriptor)
  }

  private static func failure(_ action: String, _ path: String) -> StorageError {
    let words = String(cString: strerror(errno))
    return StorageError(.system, file: path, "could not \(action) it: \(words). Check folder and disk.")
  }
}
