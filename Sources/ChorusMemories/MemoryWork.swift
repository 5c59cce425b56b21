/// What a layer's memory costs beside the maps around it: floating-point operations of all heads, and numbers of 4 bytes that it holds.
///
/// A multiplication and an addition count as two. What is done once a number (norms, gates, features, exponentials) is not counted.
public struct MemoryWork: Sendable, Hashable {
  /// Writing a row of a context, and making the state of the rows that are written.
  public var write = 0.0
  public var finish = 0.0
  /// A read whatever has been read, and for each row of the context and each of its path's own that it sees.
  public var read = 0.0
  public var contextRow = 0.0
  public var ownRow = 0.0
  /// Exponentials of such a row, which are not in the operations.
  public var exponentials = 0.0
  /// Committing a row to a path, and for each row that is there before it.
  public var append = 0.0
  public var appendRow = 0.0
  /// What is held of a context and for each of its rows, of a path and for each of its rows.
  public var contextNumbers = 0
  public var contextRowNumbers = 0
  public var pathNumbers = 0
  public var ownRowNumbers = 0

  /// - Parameters:
  ///   - row: reading a row, of a memory that keeps them all alike.
  ///   - numbers: what it keeps of each.
  init(row: Double = 0, numbers: Int = 0) {
    (contextRow, ownRow) = (row, row)
    (contextRowNumbers, ownRowNumbers) = (numbers, numbers)
  }

  /// One memory's context, another one's rows of paths, both read.
  func joined(buffer: MemoryWork) -> MemoryWork {
    var both = self
    both.read += buffer.read
    both.exponentials = max(exponentials, buffer.exponentials)
    (both.ownRow, both.append, both.appendRow) = (buffer.ownRow, buffer.append, buffer.appendRow)
    (both.pathNumbers, both.ownRowNumbers) = (buffer.pathNumbers, buffer.ownRowNumbers)
    return both
  }
}
