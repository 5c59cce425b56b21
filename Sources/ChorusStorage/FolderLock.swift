#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The right to write in a folder, which one process has at a time.
///
/// The file `lock` in it names its owner. What counts is the system's lock on that file, which ends with the process that
/// holds it: a file left behind by a killed process is taken over, whatever process has its number now. On a file system
/// without locks nothing is held.
public final class FolderLock: Sendable {
  private let path: String
  private let descriptor: Int32

  /// Takes the lock of `folder`, which has to be there.
  ///
  /// - Throws: `StorageError`: `busy` with the owner's words and the lock's age; `system`.
  public init(folder: String) throws(StorageError) {
    let path = folder + "/lock"
    var opened: Int32?
    while opened == nil {
      let descriptor = Disk.open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW)
      guard descriptor >= 0 else { throw Disk.failure("make", path) }
      if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
        defer { close(descriptor) }
        throw StorageError(
          .busy, file: folder,
          "\(Self.owner(descriptor)) writes in it (\(path)). Wait for it or end it, or name another folder.")
      }
      // The owner before may have removed the file between the two calls: then it is the lock of nobody else.
      var (held, named) = (stat(), stat())
      if fstat(descriptor, &held) == 0, stat(path, &named) == 0, held.st_ino == named.st_ino,
        held.st_dev == named.st_dev
      {
        opened = descriptor
      } else {
        close(descriptor)
      }
    }
    self.path = path
    descriptor = opened ?? -1
    // Only words for people: a disk that takes no more of them is told by the first file that matters.
    _ = ftruncate(descriptor, 0)
    _ = Disk.writeAll(descriptor, Array("process \(getpid()) on \(Self.host)\n".utf8), path: path)
  }

  deinit {
    Disk.remove(path)
    // A child that is just being started has the descriptor too, until it is its own program: closing would leave it the lock.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }

  private static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "this machine" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Who holds the lock, and for how long.
  private static func owner(_ descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 200)
    let count = max(0, pread(descriptor, &bytes, bytes.count, 0))
    let line = String(decoding: bytes[..<count].prefix { $0 >= 0x20 && $0 < 0x7F }, as: UTF8.self)
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return line.isEmpty ? "another process" : line }
    #if canImport(Darwin)
      let start = status.st_mtimespec.tv_sec
    #else
      let start = status.st_mtim.tv_sec
    #endif
    let seconds = max(0, time(nil) - start)
    let age =
      seconds < 120
      ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
    return "\(line.isEmpty ? "another process" : line), since \(age),"
  }
}
