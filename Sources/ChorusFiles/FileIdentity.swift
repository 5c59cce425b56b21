#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Which file a path names, whatever the path looks like: `./a`, `b/../a`, a link to it.
public enum FileIdentity: Hashable, Sendable {
  /// A file that is there.
  case file(device: UInt64, number: UInt64)
  /// A file yet to be made, by its folder.
  case absent(folder: String, name: String)

  /// Nil for what is no regular file: to write what is also read is harmless for a device or a pipe.
  public init?(_ path: String) {
    var status = stat()
    if stat(path, &status) == 0 {
      self.init(status)
      return
    }
    let target = OutputFile.resolved(path)
    let folder = target.folderOfPath.withoutLinks
    self = .absent(folder: folder, name: target.nameOfPath)
  }

  /// The file that standard output goes to; nil where it goes to a terminal, a device or a pipe.
  public static var standardOutput: FileIdentity? {
    var status = stat()
    return fstat(STDOUT_FILENO, &status) == 0 ? FileIdentity(status) : nil
  }

  /// The file that standard input comes from; nil where it comes from a terminal, a device or a pipe.
  public static var standardInput: FileIdentity? {
    var status = stat()
    return fstat(STDIN_FILENO, &status) == 0 ? FileIdentity(status) : nil
  }

  private init?(_ status: stat) {
    guard status.st_mode & S_IFMT == S_IFREG else { return nil }
    self = .file(device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(status.st_ino))
  }
}
