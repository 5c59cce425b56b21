#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file that appears whole, or not at all: the one way in which files are written.
///
/// Bytes go to a file beside the path, which takes its place when ``commit()`` returns; until then, and for good where that is
/// never called, the path holds what it held before. On Linux the new file has no name until it is whole, so a process
/// that is killed leaves nothing. A file that is replaced keeps its permissions, and a symbolic link to it stays one. A device
/// or a pipe can not be replaced; it is written to directly. A class, because it owns an open file.
public final class OutputFile {
  /// The path as the caller gave it.
  public let path: String
  /// The path behind symbolic links.
  private let target: String
  private let descriptor: Int32
  private let form: Form
  /// What the path held before.
  private let replaces: Bool
  private var isOpen = true
  /// Why writing stopped. A file of which a part is lost is never put in its place.
  private var broken: FileError?

  private enum Form: Equatable {
    /// A device or a pipe.
    case direct
    /// A file without a name.
    case nameless
    case temporary(String)
  }

  /// Opens a file to be written.
  ///
  /// - Throws: `FileError` for a path that names no file, a folder, a file that is not writable, and a folder in which no file
  ///   can be made.
  public init(_ path: String) throws(FileError) {
    self.path = path
    guard !path.isEmpty else { throw FileError("(no name)", "the path is empty. Name a file.") }
    var status = stat()
    replaces = stat(path, &status) == 0
    guard replaces || errno != ELOOP else { throw FileError(path, "opened", ELOOP) }
    let kind = replaces ? status.st_mode & S_IFMT : S_IFREG
    guard kind != S_IFDIR, !path.hasSuffix("/") else {
      throw FileError(path, "is a folder. Name a file in it.")
    }
    let target = Self.resolved(path)
    var behind = stat()
    // What /dev/fd names may have no path, or no longer be at it.
    let isFound = !replaces || (stat(target, &behind) == 0 && behind.st_ino == status.st_ino)
    guard kind == S_IFREG, isFound else {
      (self.target, form) = (path, .direct)
      descriptor = open(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw FileError(path, "opened", errno) }
      return
    }
    self.target = target
    // A rename asks only the folder, but who protects a file wants it kept.
    guard !replaces || access(target, W_OK) == 0 else { throw FileError(path, "replaced", errno) }
    let mode: mode_t = replaces ? status.st_mode & 0o777 : 0o666
    let folder = target.folderOfPath
    let nameless = Self.openNameless(in: folder, mode)
    if nameless >= 0 {
      (descriptor, form) = (nameless, .nameless)
    } else {
      let temporary = Self.temporary(for: target)
      descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
      guard descriptor >= 0 else {
        guard errno == ENOENT else { throw FileError(path, "made", errno) }
        throw FileError(path, code: ENOENT, "can not be made: its folder is not there. Check the path.")
      }
      form = .temporary(temporary)
    }
    if replaces {
      // The owner first: changing it takes some permissions away. Only a privileged process can; others keep theirs.
      _ = fchown(descriptor, status.st_uid, status.st_gid)
      _ = fchmod(descriptor, mode)
    }
  }

  deinit {
    guard isOpen else { return }
    close(descriptor)
    if case .temporary(let name) = form { unlink(name) }
  }

  /// Appends bytes.
  ///
  /// - Throws: `FileError` where the disk is full, and so on; after that, for every call.
  public func write(_ bytes: some Sequence<UInt8>) throws(FileError) {
    if let broken { throw broken }
    guard isOpen else { throw FileError(path, "is written already; nothing can be added.") }
    let code = writeAll(bytes, to: descriptor)
    if code != 0 { throw failed("written", code) }
  }

  /// Puts the file in its place, durably. Later calls do nothing.
  ///
  /// - Throws: `FileError`; the path then holds what it held before.
  public func commit() throws(FileError) {
    if let broken { throw broken }
    guard isOpen else { return }
    if form != .direct {
      guard Self.flush(descriptor) == 0 else { throw failed("written", errno) }
      try place()
    }
    isOpen = false
    close(descriptor)
    if form != .direct { try Self.syncFolder(of: target) }
  }

  private func failed(_ action: String, _ code: Int32) -> FileError {
    let error = FileError(path, action, code)
    broken = error
    return error
  }

  private func place() throws(FileError) {
    let name: String
    switch form {
    case .direct: return
    case .temporary(let temporary): name = temporary
    case .nameless:
      if !replaces {
        if link(as: target) == 0 { return }
        // Somebody else's file has come there in the meantime.
        guard errno == EEXIST else { throw failed("made", errno) }
      }
      // A name can not be taken over by a link, so for one moment the file has a name of its own.
      name = Self.temporary(for: target)
      guard link(as: name) == 0 else { throw failed("made", errno) }
    }
    guard rename(name, target) == 0 else {
      let code = errno
      unlink(name)
      throw failed("replaced", code)
    }
  }

  // MARK: What systems have

  /// O_TMPFILE, a macro that Swift does not import. Negative where there is none; a name is given through /proc.
  private static func openNameless(in folder: String, _ mode: mode_t) -> Int32 {
    #if os(Linux)
      guard access("/proc/self/fd", X_OK) == 0 else { return -1 }
      return open(folder, O_WRONLY | O_CLOEXEC | O_DIRECTORY | 0o20_000_000, mode)
    #else
      return -1
    #endif
  }

  private func link(as name: String) -> Int32 {
    #if os(Linux)
      return linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW)
    #else
      return -1
    #endif
  }

  private static func flush(_ descriptor: Int32) -> Int32 {
    #if canImport(Darwin)
      // fsync leaves the data in the drive's cache there.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
    #endif
    return fsync(descriptor)
  }

  /// Makes the names in a folder durable. A file system that can not sync folders is left alone.
  private static func syncFolder(of path: String) throws(FileError) {
    let folder = path.folderOfPath
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
      throw FileError(folder, "synced", errno)
    }
  }

  // MARK: Paths

  /// A hidden name beside `path`, of a length that every file system takes.
  private static func temporary(for path: String) -> String {
    var name = path.nameOfPath
    while name.utf8.count > 200 { name.removeLast() }
    return path.folderOfPath + "/.\(name).\(UniqueName.make()).tmp"
  }

  /// The path behind symbolic links, whether there is a file at it or not.
  static func resolved(_ path: String) -> String {
    var path = path
    // As many links as Linux follows.
    for _ in 0..<40 {
      guard let link = path.linkedPath else { return path }
      path = link.hasPrefix("/") ? link : path.folderOfPath + "/" + link
    }
    return path
  }
}
