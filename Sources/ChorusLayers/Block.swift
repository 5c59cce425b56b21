import ChorusMemories
import ChorusTensors

/// One transformer block: norms, a mixer around a memory, a feed-forward part, each added to the row's representation.
public struct Block: Sendable {
  /// Whether a part reads the norm of its input (Xiong et al. 2020) or its sum is normed (Vaswani et al. 2017).
  public enum Order: String, Sendable, Codable { case pre, post }

  let order: Order
  let norm1: Norm
  public let mixer: Attention
  let norm2: Norm
  let feed: any Layer

  /// - Parameter feed: makes the feed-forward part, `width` to `width`.
  public init(
    order: Order, width: Int, mixer: (inout ParameterScope) -> Attention,
    feed: (inout ParameterScope) -> any Layer, _ scope: inout ParameterScope
  ) {
    self.order = order
    norm1 = Norm("norm1", width, &scope)
    self.mixer = mixer(&scope)
    norm2 = Norm("norm2", width, &scope)
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

  /// What the memory stores of normed rows.
  public func store(_ normed: UnsafePointer<Float>, rows: Int, _ run: Workspace) -> UnsafeMutablePointer<
    Float
  > {
    let out = run.arena.floats(rows * mixer.stored.outputs)
    mixer.stored.apply(normed, rows: rows, into: out, run)
    return out
  }

  /// The rest of the block, in place on `h`: `read` takes queries and fills what they read of the memory, then comes the
  /// feed-forward part.
  public func transform(
    _ h: UnsafeMutablePointer<Float>, _ normed: UnsafePointer<Float>, rows: Int, _ run: Workspace,
    read: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let queries = run.arena.floats(rows * mixer.query.outputs)
    let found = run.arena.floats(rows * mixer.out.inputs)
    mixer.query.apply(normed, rows: rows, into: queries, run)
    read(queries, found)
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

  // MARK: Training

  /// The block on a tape.
  ///
  /// - Parameters:
  ///   - stored: the rows of `h` that the memory stores.
  ///   - reading: the rows that go on, counted as in `h`; the last block computes only what is asked for.
  ///   - visible: who of `reading`, counted from its first row, sees which stored rows.
  /// - Returns: the rows `reading`.
  public func record(
    _ h: Node, stored: Range<Int>, reading: Range<Int>, visible: [VisibleBlock], on tape: Tape
  ) -> Node {
    let normed = order == .pre ? norm1.record(h, on: tape) : h
    let queries = mixer.query.record(normed[reading], on: tape)
    let kept = mixer.stored.record(normed[stored], on: tape)
    let read = mixer.memory(tape.weights).train(queries: queries, stored: kept, blocks: visible, on: tape)
    var h = mixer.out.record(read, residual: h[reading], on: tape)
    if order == .post { h = norm1.record(h, on: tape) }
    let inner = order == .pre ? norm2.record(h, on: tape) : h
    h = feed.record(inner, residual: h, on: tape)
    return order == .pre ? h : norm2.record(h, on: tape)
  }
}
