import ChorusTensors

/// What a memory can do; a blueprint or a plan that asks for more is refused when it is compiled.
public struct Capability: Sendable, Hashable {
  /// The state does not depend on the order of the rows, so it may hold a set context.
  public var holdsSet: Bool
  /// The state's size does not grow with the rows it has read.
  public var fixedState: Bool
  /// Rows committed last can be taken back.
  public var rewind: Bool
}

/// How a layer stores the rows it has read and reads them back.
///
/// A memory knows no token roles. It sees rows of keys and values side by side, `[rows, 2·columns]`, and rows of
/// queries, `[rows, columns]`, heads side by side in each. One context is shared by all paths and never changes;
/// each path has a private buffer that grows row by row.
public protocol Memory: Sendable {
  associatedtype Context: Sendable
  associatedtype Buffer

  init(_ sizes: AttentionSizes)
  var sizes: AttentionSizes { get }
  static var capability: Capability { get }

  /// The state of `count` rows read as a set.
  func context(_ keyValues: UnsafePointer<Float>, count: Int) -> Context
  /// Empty private buffers for `paths` paths, each with room for `capacity` rows.
  func buffer(paths: Int, capacity: Int) -> Buffer
  /// Stores `count` rows a path from `index` on: `keyValues` is `[paths][count]` rows of `2·columns`.
  func append(_ keyValues: UnsafePointer<Float>, count: Int, at index: Int, to buffer: Buffer)
  /// Reads context and buffers. `queries` and `out` are `[rows, columns]`, path by path, as many rows for each of
  /// `paths` paths; row r sees the first `limits[r]` rows of its path's buffer, none where `limits` is nil.
  func read(
    _ queries: UnsafePointer<Float>, rows: Int, limits: UnsafePointer<Int32>?, paths: Int, context: Context,
    buffer: Buffer?, into out: UnsafeMutablePointer<Float>, scratch: Arena)
  /// The same reads for all rows of a training pass at once, recorded with derivatives.
  func train(queries: Node, keyValues: Node, blocks: [VisibleBlock], on tape: Tape) -> Node

  func contextBytes(rows: Int) -> Int
  func bufferBytes(capacity: Int) -> Int
}
