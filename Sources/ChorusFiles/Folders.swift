#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Folders to write into.
public enum Folders {
  /// Makes a folder and those that it is in, where they are not there.
  ///
  /// - Throws: `FileError`.
  public static func make(_ path: String) throws(FileError) {
    guard !path.isEmpty else { throw FileError("(no name)", "the path is empty. Name a folder.") }
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError(path, "is a file. Name a folder.") }
      return
    }
    let parent = path.folderOfPath
    if parent != path, parent != "." { try make(parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw FileError(path, "made", errno) }
  }
}
