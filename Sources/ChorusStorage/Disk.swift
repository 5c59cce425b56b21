import ChorusTensors

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The system calls that change a file or a folder.
///
/// Tests let the n-th of them fail, or let it be the last that a process makes: a run has to survive both at every call.
/// Only code of this module can ask for a fault; nothing outside a program, like its environment, reaches it.
enum Disk {
  enum Call: String, Sendable, CaseIterable { case create, write, sync, rename, remove }

  /// Returns the error number with which a call fails, or nil to let it happen.
  typealias Fault = @Sendable (Call) -> Int32?

  private static let faults = Lock<[String: Fault]>([:])

  /// Runs `body` while calls on paths in `folder` ask `fault` first.
  static func withFault<Result>(in folder: String, _ fault: @escaping Fault, _ body: () throws -> Result)
    rethrows
    -> Result
  {
    faults.withLock { $0[folder] = fault }
    defer { faults.withLock { $0[folder] = nil } }
    return try body()
  }

  /// Fails where a test says so: what stands before and after the calls of one that writes a whole file.
  static func pass(_ call: Call, _ path: String) throws(StorageError) {
    if fails(call, path) { throw failure("write", path) }
  }

  static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o666) -> Int32 {
    if flags & O_CREAT != 0, fails(.create, path) { return -1 }
    return systemOpen(path, flags | O_CLOEXEC, mode)
  }

  static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, path: String) -> Int {
    if fails(.write, path) { return -1 }
    return systemWrite(descriptor, bytes.baseAddress, bytes.count)
  }

  static func sync(_ descriptor: Int32, path: String) -> Int32 {
    if fails(.sync, path) { return -1 }
    #if canImport(Darwin)
      // fsync leaves the data in the drive's cache there.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
    #endif
    return fsync(descriptor)
  }

  static func rename(_ old: String, to new: String) -> Int32 {
    fails(.rename, new) ? -1 : systemRename(old, new)
  }

  @discardableResult
  static func remove(_ path: String) -> Int32 { fails(.remove, path) ? -1 : unlink(path) }

  /// Writes all of `data` at the descriptor's place; -1, with the error number set, where a part could not be written.
  static func writeAll(_ descriptor: Int32, _ data: [UInt8], path: String) -> Int32 {
    data.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let written = write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[offset...]), path: path)
        if written < 0, errno == EINTR { continue }
        guard written > 0 else { return -1 }
        offset += written
      }
      return 0
    }
  }

  /// The names in a folder, in no order.
  static func names(in folder: String) throws(StorageError) -> [String] {
    guard let entries = opendir(folder) else { throw failure("list", folder) }
    defer { closedir(entries) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(entries) else { break }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw failure("list", folder) }
    return names
  }

  /// The error of the last call: what was tried, the system's words, and what to look at.
  static func failure(_ action: String, _ path: String) -> StorageError {
    let words = String(cString: strerror(errno))
    return StorageError(.system, file: path, "could not \(action) it: \(words). Check folder and disk.")
  }

  private static func fails(_ call: Call, _ path: String) -> Bool {
    let fault = faults.withLock { all in all.first { path.hasPrefix($0.key) }?.value }
    guard let number = fault?(call) else { return false }
    errno = number
    return true
  }
}
