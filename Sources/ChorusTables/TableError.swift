/// What is wrong with a table, a grid or a file of tasks: where, what, and what to do.
///
/// `description` reads like `mcycle.csv:12:3: 'abc' is not a number (column 'accel'); …`.
public struct TableError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of failure, for code that acts on them.
  public enum Reason: String, Sendable {
    /// The file is not there.
    case missing
    /// The system refused to read or write.
    case system
    /// Not UTF-8 text.
    case encoding
    /// Not a table: quotes, ragged rows, equal or no column names, no rows, too long or too wide.
    case malformed
    /// No column has the asked name.
    case unknownColumn
    /// A cell is not a finite number or a date.
    case notANumber
    /// A cell is empty where a value is needed.
    case missingValue
    /// A grid is not `FIRST..LAST/STEP`, or has too many points.
    case grid
    /// A line is not a task.
    case task
    /// A row has another number of cells than the header.
    case row
  }

  public let reason: Reason
  /// The path as the caller gave it, `standard input`, or the option at fault.
  public let source: String
  /// Counted from 1.
  public let line: Int?
  /// The character in the line, counted from 1.
  public let column: Int?
  public let detail: String

  public init(_ reason: Reason, _ source: String, line: Int? = nil, column: Int? = nil, _ detail: String) {
    self.reason = reason
    self.source = source
    self.line = line
    self.column = column
    self.detail = detail
  }

  public var description: String {
    var place = source
    if let line { place += ":\(line)" }
    if let column { place += ":\(column)" }
    return "\(place): \(detail)"
  }
}

/// The text of a file or of standard input, and where its parts lie; shared by tables and task files.
struct SourceText: Sendable {
  let name: String
  /// Valid UTF-8 without a byte order mark.
  let bytes: [UInt8]

  /// The largest file that is read: offsets of cells take 32 bits.
  static let sizeLimit = Int(UInt32.max)
  /// The longest line, or row with line ends inside quotes, in bytes.
  static let lineLimit = 64 << 20

  init(_ bytes: [UInt8], name: String) throws(TableError) {
    self.name = name
    guard bytes.count < Self.sizeLimit else { throw Self.tooLarge(name) }
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
      throw TableError(
        .encoding, name, line: 1, column: 1, "is UTF-16 text; save it as UTF-8 (iconv -f utf-16 -t utf-8).")
    }
    self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    if let offset = Self.firstInvalid(self.bytes) {
      let zero = self.bytes[offset] == 0
      throw error(
        .encoding, at: offset,
        zero
          ? "a zero byte: this is UTF-16 text or no text; save it as UTF-8."
          : "the byte 0x\(String(self.bytes[offset], radix: 16)) is not UTF-8; save the file as UTF-8 "
            + "(iconv -f latin1 -t utf-8).")
    }
  }

  /// The offset of the first byte that is not UTF-8 text, or nil.
  private static func firstInvalid(_ bytes: [UInt8]) -> Int? {
    if bytes.allSatisfy({ $0 &- 1 < 0x7F }) { return nil }
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    var offset = 0
    while true {
      switch parser.parseScalar(from: &iterator) {
      case .valid(let scalar):
        if scalar.first == 0 { return offset }
        offset += scalar.count
      case .emptyInput: return nil
      case .error: return offset
      }
    }
  }

  static func tooLarge(_ name: String) -> TableError {
    TableError(.malformed, name, "is larger than \(sizeLimit) bytes; split it.")
  }

  /// Line and character of `offset`, from 1. It counts from the start, which only errors pay for.
  func place(of offset: Int) -> (line: Int, column: Int) {
    var line = 1
    var column = 1
    for index in 0..<min(offset, bytes.count) {
      switch bytes[index] {
      case 0x0D where index + 1 < bytes.count && bytes[index + 1] == 0x0A: break  // counted at its LF
      case 0x0A, 0x0D:
        line += 1
        column = 1
      case 0x80..<0xC0: break  // goes on a character
      default: column += 1
      }
    }
    return (line, column)
  }

  func error(_ reason: TableError.Reason, at offset: Int, column: Bool = true, _ detail: String) -> TableError
  {
    let place = place(of: offset)
    return TableError(reason, name, line: place.line, column: column ? place.column : nil, detail)
  }
}
