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
  /// Two contexts can be put together, as if their rows had been read at once.
  public var merge: Bool
  /// Rows can be taken out of a context, as if they had never been read.
  public var remove: Bool
  /// Which prefixes of a path's rows can be read.
  public var prefixReads: PrefixReads

  public init(
    holdsSet: Bool, fixedState: Bool, rewind: Bool = true, subsetReads: Bool = false, merge: Bool = false,
    remove: Bool = false, prefixReads: PrefixReads = .any
  ) {
    self.holdsSet = holdsSet
    self.fixedState = fixedState
    self.rewind = rewind
    self.subsetReads = subsetReads
    self.merge = merge
    self.remove = remove
    self.prefixReads = prefixReads
  }

  /// What two memories side by side can do: what both can.
  public func both(_ other: Capability) -> Capability {
    Capability(
      holdsSet: holdsSet && other.holdsSet, fixedState: fixedState && other.fixedState,
      rewind: rewind && other.rewind, subsetReads: subsetReads && other.subsetReads,
      merge: merge && other.merge, remove: remove && other.remove,
      prefixReads: prefixReads.both(other.prefixReads))
  }
}

/// Which prefixes of a path's rows a memory can read.
public enum PrefixReads: Sendable, Hashable {
  case any
  /// Those that end at most `chunk` rows before the newest row that there has been. Rows can be taken back as far as that
  /// too: the next one is then committed where such a prefix ends. So a caller that commits rows and reads the prefixes
  /// between them does it in parts of at most `chunk` rows.
  case newest(chunk: Int)

  func both(_ other: PrefixReads) -> PrefixReads {
    switch (self, other) {
    case (.any, let reads), (let reads, .any): reads
    case (.newest(let a), .newest(let b)): .newest(chunk: min(a, b))
    }
  }
}

/// A learned number, or one a head, that belongs to a memory.
public struct MemoryParameter: Sendable, Hashable {
  public let name: String
  public let count: Int
  public let initial: Double
  /// Standard deviation of what it begins with around `initial`.
  public let spread: Double
  public init(_ name: String, _ count: Int, initial: Double, spread: Double = 0) {
    self.name = name
    self.count = count
    self.initial = initial
    self.spread = spread
  }
}

/// The columns of a memory's rows and what it learns.
public struct MemoryShape: Sendable, Hashable {
  /// What a stored row is made of.
  public var layout: StoredLayout
  /// Columns of what is read.
  public var read: Int
  /// The last columns of a read whose rows in the output map begin at zero.
  public var gated = 0
  public var parameters: [MemoryParameter] = []

  public init(_ layout: StoredLayout, read: Int, gated: Int = 0, parameters: [MemoryParameter] = []) {
    self.layout = layout
    self.read = read
    self.gated = gated
    self.parameters = parameters
  }

  /// Columns of a stored row.
  public var stored: Int { layout.columns }
}

/// The learned numbers of one memory, in the order of its shape's parameters.
public struct MemoryValues: Sendable {
  public let weights: Weights
  public let handles: [Parameter]
  public init(_ weights: Weights, _ handles: [Parameter]) {
    self.weights = weights
    self.handles = handles
  }
  subscript(index: Int) -> UnsafePointer<Float> { UnsafePointer(weights[handles[index]]) }
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
  /// The place of each row in its sequence, not before the last row that it sees; nil where that is its place. Memories of
  /// sets take no notice.
  public var positions: UnsafePointer<Int32>?

  public init(
    count: Int, paths: UnsafePointer<Int32>, limits: UnsafePointer<Int32>,
    maskStarts: UnsafePointer<Int32>,
    masks: UnsafePointer<UInt64>?, positions: UnsafePointer<Int32>? = nil
  ) {
    self.count = count
    self.paths = paths
    self.limits = limits
    self.maskStarts = maskStarts
    self.masks = masks
    self.positions = positions
  }

  /// Some of the rows.
  package func rows(_ range: Range<Int>) -> VisibleRows {
    let first = range.lowerBound
    return VisibleRows(
      count: range.count, paths: paths + first, limits: limits + first, maskStarts: maskStarts + first,
      masks: masks, positions: positions.map { $0 + first })
  }
}

/// Rows that are committed: row i goes into slot `slots[i]` of path `paths[i]`.
public struct CommittedRows {
  public var count: Int
  public var paths: UnsafePointer<Int32>
  public var slots: UnsafePointer<Int32>
  /// The place of each row in its sequence, of which a context's rows are the first, ascending in a path; nil where every
  /// row comes directly after the one before it. Memories of sets take no notice.
  public var positions: UnsafePointer<Int32>?

  public init(
    count: Int, paths: UnsafePointer<Int32>, slots: UnsafePointer<Int32>,
    positions: UnsafePointer<Int32>? = nil
  ) {
    self.count = count
    self.paths = paths
    self.slots = slots
    self.positions = positions
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

  /// Whether values that may come from any file are finite and as many as these arrays hold.
  static func fit(_ values: [[Float]], _ arrays: [StateArray]) -> Bool {
    values.count == arrays.count
      && zip(values, arrays).allSatisfy { values, array in
        values.count == array.count && values.allSatisfy { $0.isFinite }
      }
  }
}

/// How a layer stores the rows it has read and reads them back.
///
/// A memory knows no token roles. It sees stored rows, `[rows, shape.stored]`, laid out as `shape.layout` tells; and
/// queries, `[rows, columns]`, heads side by side. One context is shared by all paths and never changes; each path has a
/// private buffer that grows row by row.
public protocol Memory: Sendable {
  /// A context while it is written.
  associatedtype Draft: AnyObject & Sendable
  associatedtype Context: AnyObject & Sendable
  associatedtype Buffer: AnyObject

  var shape: MemoryShape { get }
  var capability: Capability { get }

  /// A state for `count` rows read as a set, which `write` fills.
  func draft(rows count: Int) -> Draft
  /// Writes rows `range` of a context. Every row is written once, in parts that begin at a multiple of 32 and are the
  /// same parts at every call; threads may write them side by side.
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: Draft, scratch: Arena)
  /// The context of a draft whose rows are all written; it never changes.
  func finish(_ draft: Draft) -> Context
  /// Empty private buffers for `paths` paths, each with room for `capacity` rows.
  func buffer(paths: Int, capacity: Int) -> Buffer
  /// Commits rows, `[rows.count, shape.stored]`, in the order given. A slot below the newest takes back what was from it on,
  /// as far as `capability.prefixReads` reaches.
  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  )
  /// Reads a context alone: `queries` `[rows, columns]`, `out` `[rows, shape.read]`.
  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context, into out: UnsafeMutablePointer<Float>,
    scratch: Arena)
  /// Reads a context and the private buffers: `queries` `[visible.count, columns]`, `out` `[visible.count, shape.read]`.
  /// Limits are among the prefixes that `capability.prefixReads` tells.
  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena)
  /// The same reads for all rows of a training pass at once, recorded with derivatives.
  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node

  /// What the context of `first` rows and then `second` would be, or (`removing`) that of `first` without `second`; nil
  /// where the capability tells of no such thing.
  func merge(_ first: Context, _ second: Context, removing: Bool) -> Context?

  /// What the state of `rows` rows is kept as: everything that a read depends on, in a form that depends neither on
  /// the machine nor on how kernels lay it out.
  func stateArrays(rows: Int) -> [StateArray]
  /// The values of these arrays, in their order.
  func values(of context: Context) -> [[Float]]
  /// The context with these values, whose reads are those of the one they came from bit for bit on the same machine;
  /// nil where no context of `rows` rows has them. Sizes that do not fit and values that are not finite are nil too:
  /// they may come from any file.
  func context(rows: Int, values: [[Float]]) -> Context?

  /// What had to be added to a diagonal of this context's equation before it had an answer, beyond the ridge that was
  /// learned; 0 as a rule.
  func raised(_ context: Context) -> Double

  func contextBytes(rows: Int) -> Int
  func bufferBytes(capacity: Int) -> Int
  /// What all this costs; known of a memory whose learned numbers are not.
  var work: MemoryWork { get }
}

/// A memory that is made from a specification alone.
package protocol SpecifiedMemory: Memory {
  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape
  static func capability(_ spec: MemorySpec) -> Capability
  /// A read of one head by the memory's definition, in Double and in plain loops: what all its forms are compared with.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues)
}

extension Memory {
  public func merge(_ first: Context, _ second: Context, removing: Bool) -> Context? { nil }
  public func raised(_ context: Context) -> Double { 0 }

  // A network's layers hold memories of different types; these take what the memory itself has made, types forgotten.

  /// What this memory has made, as it made it. A state of another network would be read as something it is not.
  private func own<State: AnyObject>(_ state: AnyObject, _ type: State.Type) -> State {
    precondition(Swift.type(of: state) == type, "a memory's state is read by the network that made it")
    return unsafeDowncast(state, to: type)
  }

  package func anyDraft(rows count: Int) -> any AnyObject & Sendable { draft(rows: count) }
  package func write(
    _ stored: UnsafePointer<Float>, rows range: Range<Int>, toAny draft: any AnyObject & Sendable,
    scratch: Arena
  ) {
    write(stored, rows: range, to: own(draft, Draft.self), scratch: scratch)
  }
  package func finish(any draft: any AnyObject & Sendable) -> any AnyObject & Sendable {
    finish(own(draft, Draft.self))
  }
  package func anyBuffer(paths: Int, capacity: Int) -> AnyObject { buffer(paths: paths, capacity: capacity) }
  package func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, anyContext: any AnyObject & Sendable,
    toAny buffer: AnyObject, scratch: Arena
  ) {
    append(
      stored, rows, context: own(anyContext, Context.self),
      to: own(buffer, Buffer.self), scratch: scratch)
  }
  package func read(
    _ queries: UnsafePointer<Float>, rows: Int, anyContext: any AnyObject & Sendable,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    read(
      queries, rows: rows, context: own(anyContext, Context.self), into: out, scratch: scratch)
  }
  package func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, anyContext: any AnyObject & Sendable,
    anyBuffer: AnyObject, into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    read(
      queries, visible, context: own(anyContext, Context.self),
      buffer: own(anyBuffer, Buffer.self), into: out, scratch: scratch)
  }
  package func values(ofAny context: any AnyObject & Sendable) -> [[Float]] {
    values(of: own(context, Context.self))
  }
  package func raised(any context: any AnyObject & Sendable) -> Double {
    raised(own(context, Context.self))
  }
  package func anyContext(rows: Int, values: [[Float]]) -> (any AnyObject & Sendable)? {
    context(rows: rows, values: values)
  }
  package func merge(
    any first: any AnyObject & Sendable, _ second: any AnyObject & Sendable, removing: Bool
  ) -> (any AnyObject & Sendable)? {
    merge(
      own(first, Context.self), own(second, Context.self), removing: removing)
  }
}
