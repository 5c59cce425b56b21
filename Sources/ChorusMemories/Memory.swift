import ChorusTensors

/// What a memory can do; a blueprint or a plan that asks for more is refused when it is compiled.
public struct Capability: Sendable, Hashable {
  /// The state does not depend on the order of the rows, so it may hold a set context.
  public var holdsSet: Bool
  /// The state's size does not grow with the rows it has read.
  public var fixedState: Bool
  /// Rows committed last can be taken back.
  public var rewind: Bool
  /// A read may leave out any of a buffer's rows, and a row may take the place of one that nobody reads any more.
  public var subsetReads: Bool
}

/// Which buffer rows each row of a read sees. The memory pointed to belongs to the caller.
public struct VisibleRows {
  public var count: Int
  /// The path of each row, rows of a path beside each other.
  public var paths: UnsafePointer<Int32>
  /// How many slots of its path a row may see, from the first on.
  public var limits: UnsafePointer<Int32>
  /// Where a row sees only some of these: the word of `masks` at which its bits begin, one a slot, ⌈limit/64⌉ words;
  /// negative where it sees all.
  public var maskStarts: UnsafePointer<Int32>
  /// Nil where no row has a mask.
  public var masks: UnsafePointer<UInt64>?

  public init(
    count: Int, paths: UnsafePointer<Int32>, limits: UnsafePointer<Int32>,
    maskStarts: UnsafePointer<Int32>,
    masks: UnsafePointer<UInt64>?
  ) {
    self.count = count
    self.paths = paths
    self.limits = limits
    self.maskStarts = maskStarts
    self.masks = masks
  }
}

/// An array of a context's state as it is kept outside the program.
public struct StateArray: Sendable, Hashable {
  /// Unique within the state, a plain word.
  public let name: String
  public let shape: [Int]

  public init(_ name: String, _ shape: [Int]) {
    self.name = name
    self.shape = shape
  }

  /// Values in it.
  public var count: Int { shape.reduce(1, *) }
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

  /// A state for `count` rows read as a set, which `write` fills and which then never changes.
  func context(rows count: Int) -> Context
  /// Writes rows `range` of a context. Every row is written once, in parts that begin at a multiple of 16 and that
  /// threads may write side by side.
  func write(_ keyValues: UnsafePointer<Float>, rows range: Range<Int>, to context: Context)
  /// Empty private buffers for `paths` paths, each with room for `capacity` rows.
  func buffer(paths: Int, capacity: Int) -> Buffer
  /// Stores row i of `keyValues`, `[count, 2·columns]`, in slot `slots[i]` of path `paths[i]`.
  func append(
    _ keyValues: UnsafePointer<Float>, count: Int, paths: UnsafePointer<Int32>,
    slots: UnsafePointer<Int32>,
    to buffer: Buffer)
  /// Reads a context alone: `queries` and `out` are `[rows, columns]`.
  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context,
    into out: UnsafeMutablePointer<Float>,
    scratch: Arena)
  /// Reads a context and the private buffers: `queries` and `out` are `[visible.count, columns]`.
  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena)
  /// The same reads for all rows of a training pass at once, recorded with derivatives.
  func train(queries: Node, keyValues: Node, blocks: [VisibleBlock], on tape: Tape) -> Node

  /// What the state of `rows` rows is kept as: everything that a read depends on, in a form that depends neither on
  /// the machine nor on how kernels lay it out.
  func stateArrays(rows: Int) -> [StateArray]
  /// The values of these arrays, in their order.
  func values(of context: Context) -> [[Float]]
  /// The context with these values, whose reads are those of the one they came from bit for bit on the same machine;
  /// nil where no context of `rows` rows has them. Sizes that do not fit and values that are not finite are nil too:
  /// they may come from any file.
  func context(rows: Int, values: [[Float]]) -> Context?

  func contextBytes(rows: Int) -> Int
  func bufferBytes(capacity: Int) -> Int
}
