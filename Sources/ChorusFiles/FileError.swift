#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Why a file, or a standard stream, can not be written.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The path as the caller gave it, or `standard output`.
  public let path: String
  /// The system's number for what went wrong; 0 where it was not asked.
  public let code: Int32
  /// One or two sentences: what is wrong, then what to do.
  public let detail: String

  package init(_ path: String, code: Int32 = 0, _ detail: String) {
    self.path = path
    self.code = code
    self.detail = detail
  }

  /// With the system's words for `code`.
  init(_ path: String, _ action: String, _ code: Int32) {
    self.init(
      path, code: code,
      "can not be \(action): \(String(cString: strerror(code))). Check the folder and the disk.")
  }

  /// Whether whoever was reading has gone, as `head` does when it has its lines.
  public var isReaderGone: Bool { code == EPIPE }

  public var description: String { "\(path): \(detail)" }
}
