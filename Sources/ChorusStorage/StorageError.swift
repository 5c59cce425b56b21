/// What went wrong with a stored file: which file, what about it, and what to do.
///
/// Reading never traps: every way in which a file can be damaged, truncated or of another kind is a value of
/// this type.
public struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of failure, for code that acts on them.
  public enum Reason: String, Sendable {
    /// The file is not there.
    case missing
    /// The system refused to read, write, sync or rename; `detail` has its words.
    case system
    /// The file is larger than what is read.
    case tooLarge
    /// Another process writes there.
    case busy
    /// The bytes are not a well-formed file of its format.
    case malformed
    /// The checksum in the file is not that of its content.
    case checksum
    /// No entry of metadata has the asked name and type.
    case absentField
    /// No tensor has the asked name.
    case absentTensor
    /// The tensor is there with another shape.
    case shape
    /// The tensor is there with an element type that the request can not take.
    case elementType
    /// A value can not be stored as asked (a duplicate name, a count unlike its shape, an overflow in F16).
    case unwritable
    /// A checkpoint folder holds later steps than the one to be written.
    case laterCheckpoint
  }

  /// The path as the caller gave it.
  public let file: String
  public let reason: Reason
  /// One or two sentences: what is wrong, then what to do.
  public let detail: String

  public init(_ reason: Reason, file: String, _ detail: String) {
    self.file = file
    self.reason = reason
    self.detail = detail
  }

  public var description: String { "\(file): \(detail)" }
}
