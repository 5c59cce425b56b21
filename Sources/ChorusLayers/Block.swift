import ChorusMemories
import ChorusTensors

/// One transformer block: norms, a mixer around a memory, a feed-forward part, each added to the row's representation.
public struct Block: Sendable {
  /// Whether a part reads the norm of its input (Xiong et al. 2020) or its sum is normed (Vaswani et al. 2017).
  public enum Order: String, Sendable, Codable { case pre, post }

  let order: Order
  let norm1: any Layer
  public let mixer: Attention
  let norm2: any Layer
  let feed: any Layer

  /// - Parameter feed: makes the feed-forward part, `width` to `width`.
  public init(
    order: Order, width: Int, parts: BlockParts = BlockParts(), mixer: (inout ParameterScope) -> Attention,
    feed: (inout ParameterScope) -> any Layer, _ scope: inout ParameterScope
  ) {
    self.order = order
    norm1 = parts.makeNorm("norm1", width, &scope)
    self.mixer = mixer(&scope)
    norm2 = parts.makeNorm("norm2", width, &scope)
    self.feed = feed(&scope)
  }

  /// Floating-point operations of a row: what is stored of it, and the rest.
  public var workStored: Double { mixer.workStored }
  public var workAsked: Double { mixer.workAsked + feed.work }

  // MARK: Inference

  /// What the mixer reads of `h`, `[rows, width]`: its first norm, or `h` itself in a post-norm block.
  public func normed(_ h: UnsafeMutablePointer<Float>, rows: Int, _ run: Workspace) -> UnsafeMutablePointer<
    Float
  > {
    guard order == .pre else { return h }
    let out = run.arena.floats(rows * norm1.outputs)
    norm1.apply(h, rows: rows, into: out, run)
    return out
  }

  /// Whether what the mixer reads is `h` itself.
  public var readsInPlace: Bool { order == .post }

  /// What the memory stores of normed rows; `turns` as `Attention.turns` tells, `committed` where the mixer has a short
  /// convolution.
  public func store(
    _ normed: UnsafePointer<Float>, rows: Int, turns: UnsafePointer<Float>? = nil,
    committed: (rows: CommittedRows, recent: RecentRows)? = nil, _ run: Workspace
  ) -> UnsafeMutablePointer<Float> {
    mixer.store(normed, rows: rows, turns: turns, committed: committed, run)
  }

  /// The rest of the block, in place on `h`: `read` takes queries and fills what they read of the memory, then comes the
  /// feed-forward part. `held` is the number of the context's rows, for blocks that scale queries by it.
  public func transform(
    _ h: UnsafeMutablePointer<Float>, _ normed: UnsafePointer<Float>, rows: Int,
    turns: UnsafePointer<Float>? = nil, held: Int = 0, _ run: Workspace,
    read: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let queries = mixer.ask(normed, rows: rows, turns: turns, held: held, run)
    let found = run.arena.floats(rows * mixer.out.inputs)
    read(queries, found)
    mixer.gatedRead?.apply(found, normed, rows: rows, run)
    mixer.out.apply(found, rows: rows, residual: h, into: h, run)
    guard order == .pre else {
      norm1.apply(h, rows: rows, into: h, run)
      feed.apply(h, rows: rows, residual: h, into: h, run)
      norm2.apply(h, rows: rows, into: h, run)
      return
    }
    let inner = run.arena.floats(rows * norm2.outputs)
    norm2.apply(h, rows: rows, into: inner, run)
    feed.apply(inner, rows: rows, residual: h, into: h, run)
  }

  // MARK: Contexts

  /// Rows of a tile that goes through a block at a time, so that its activations stay in the cache. Fixed, so the bytes do not
  /// depend on the number of threads.
  public static let tile = 32

  /// What `memory`, the block's own, holds of these rows, `[rows, width]`.
  public func state(
    of h: UnsafeMutablePointer<Float>, rows: Int, in memory: any Memory, _ run: Workspace
  ) -> any AnyObject & Sendable {
    let draft = memory.anyDraft(rows: rows)
    for first in stride(from: 0, to: rows, by: Self.tile) {
      let range = first..<min(first + Self.tile, rows)
      let mark = run.arena.mark
      let normed = normed(h + first * norm1.inputs, rows: range.count, run)
      memory.write(
        store(normed, rows: range.count, run), rows: range, toAny: draft, scratch: run.arena)
      run.arena.rewind(to: mark)
    }
    return memory.finish(any: draft)
  }

  /// Rows go through the block and read a context of `held` rows alone.
  public func read(
    _ h: UnsafeMutablePointer<Float>, rows: Int, _ state: any AnyObject & Sendable, held: Int,
    in memory: any Memory, _ run: Workspace
  ) {
    transform(h, normed(h, rows: rows, run), rows: rows, held: held, run) { queries, out in
      memory.read(queries, rows: rows, anyContext: state, into: out, scratch: run.arena)
    }
  }

  // MARK: Training

  /// The block on a tape.
  ///
  /// - Parameters:
  ///   - stored: the rows of `h` that the memory stores.
  ///   - reading: the rows that go on, counted as in `h`; the last block computes only what is asked for.
  ///   - keys: which of the stored rows `visible` speaks of; nil for all.
  ///   - visible: who of `reading`, counted from its first row, sees which stored rows.
  ///   - positions: the places of the rows of `h`, for blocks with rotary positions; nil: row i is at place i.
  ///   - held: the number of the context's rows, for blocks that scale queries by it.
  /// - Returns: the rows `reading`.
  public func record(
    _ h: Node, stored: Range<Int>, reading: Range<Int>, keys: [Int32]? = nil, visible: [VisibleBlock],
    positions: [Int32]? = nil, held: Int = 0, on tape: Tape
  ) -> Node {
    let normed = order == .pre ? norm1.record(h, on: tape) : h
    let read = mixer.read(
      normed, stored: stored, reading: reading, keys: keys, visible: visible, positions: positions,
      held: held,
      on: tape)
    var h = mixer.out.record(read, residual: h[reading], on: tape)
    if order == .post { h = norm1.record(h, on: tape) }
    let inner = order == .pre ? norm2.record(h, on: tape) : h
    h = feed.record(inner, residual: h, on: tape)
    return order == .pre ? h : norm2.record(h, on: tape)
  }
}
