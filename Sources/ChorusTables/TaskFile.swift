import ChorusFiles

/// Training tasks of a user: JSON lines, each `{"x": [[…], …], "y": […]}`; with one input, `"x": […]` will do.
public struct TaskFile: Sendable {
  /// One task: rows of inputs and their targets.
  public struct Task: Equatable, Sendable {
    /// The inputs, row after row.
    public let x: [Double]
    public let y: [Double]
    /// Inputs in a row.
    public let dimensions: Int
  }

  private static let sizeLimit = 4 << 30

  /// The path as the caller gave it, or `standard input`.
  public let source: String
  /// What the inputs are called, where the first line tells: they then mean the same in every task.
  public let columns: [String]?
  public let tasks: [Task]

  /// Reads the file at `path`, or standard input where `path` is `-`. Blank lines do not count.
  ///
  /// - Throws: `TableError`: `missing`, `system`, `encoding`, or `task` with the line.
  public init(path: String) throws(TableError) {
    let file = try FileSource(path: path)
    let text = try file.take(Self.sizeLimit)
    guard text.count < Self.sizeLimit else {
      throw TableError(.malformed, file.name, "is larger than \(Self.sizeLimit >> 20) MiB; split it.")
    }
    try self.init(SourceText(text, name: file.name))
  }

  /// Reads the text of a task file.
  ///
  /// - Throws: `TableError` as ``init(path:)``.
  public init(bytes: [UInt8], source: String) throws(TableError) {
    try self.init(SourceText(bytes, name: source))
  }

  private init(_ text: SourceText) throws(TableError) {
    source = text.name
    var (tasks, columns) = ([Task](), [String]?.none)
    var isFirst = true
    let lines = text.bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D })
    {
      func failure(_ detail: String) -> TableError {
        TableError(
          .task, text.name, line: index + 1,
          detail + "; a task is {\"x\": [[…], …], \"y\": […]} on one line, numbers only.")
      }
      guard line.count <= SourceText.lineLimit else {
        throw failure("the line is longer than \(SourceText.lineLimit >> 20) MiB")
      }
      if isFirst {
        isFirst = false
        if let header = try? JSON.decode(Header.self, from: Array(line)) {
          columns = header.columns
          continue
        }
      }
      let raw: Raw
      do { raw = try JSON.decode(Raw.self, from: Array(line)) } catch { throw failure(Self.words(error)) }
      let dimensions = raw.x.first?.count ?? 0
      guard dimensions > 0 else { throw failure("the task has no rows, or rows without inputs") }
      if let columns, columns.count != dimensions {
        throw failure("the task has \(dimensions) inputs, and the first line names \(columns.count)")
      }
      if let row = raw.x.firstIndex(where: { $0.count != dimensions }) {
        throw failure("row \(row + 1) of x has \(raw.x[row].count) inputs, the first has \(dimensions)")
      }
      guard raw.x.count == raw.y.count else {
        throw failure("x has \(raw.x.count) rows and y has \(raw.y.count) values")
      }
      let x = raw.x.flatMap { $0 }
      guard (x + raw.y).allSatisfy(\.isFinite) else { throw failure("a number is not finite") }
      tasks.append(Task(x: x, y: raw.y, dimensions: dimensions))
    }
    guard !tasks.isEmpty else { throw TableError(.task, text.name, "has no tasks; write one on each line.") }
    self.tasks = tasks
    self.columns = columns
  }

  /// `{"columns": ["time", "depth"]}`.
  private struct Header: Decodable {
    let columns: [String]
  }

  private struct Raw: Decodable {
    let x: [[Double]]
    let y: [Double]

    enum CodingKeys: CodingKey { case x, y }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      var first = try values.nestedUnkeyedContainer(forKey: .x)
      if !first.isAtEnd, (try? first.nestedUnkeyedContainer()) == nil {
        x = try values.decode([Double].self, forKey: .x).map { [$0] }
      } else {
        x = try values.decode([[Double]].self, forKey: .x)
      }
      y = try values.decode([Double].self, forKey: .y)
    }
  }

  /// The decoder's error in a few words, with the place inside the line.
  private static func words(_ error: any Error) -> String {
    func place(_ context: DecodingError.Context) -> String {
      context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined()
    }
    switch error as? DecodingError {
    case .keyNotFound(let key, _): return "the task has no '\(key.stringValue)'"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "'\(place(context))' is not a number or an array of them"
    case .dataCorrupted(let context) where !context.codingPath.isEmpty:
      return "'\(place(context))' is not a number that can be held"
    default: return "the line is not JSON"
    }
  }
}
