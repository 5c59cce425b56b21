import ChorusMemories
import ChorusTensors

/// What a memory needs around it: maps of a normed row to the queries it asks with and to what is stored of it, and the
/// map of what was read back to the row's representation.
public struct Attention: Sendable {
  public let query: Projection
  /// Keys, values, and what else the memory asks for of a stored row.
  public let stored: Projection
  public let out: Projection
  public let memory: CompiledMemory
  /// How queries and keys are turned by their places in a sequence; nil where nothing tells them their place.
  public let rotary: Rotary?
  /// How queries grow with the number of rows read; nil for not at all.
  let scaling: LengthScaling?
  /// Taps of the short convolution of keys and values, `[rows taken in, columns]`; nil where a row has its own alone.
  public let convolution: Parameter?
  /// What is made of a read before the map back; nil for nothing.
  let gatedRead: GatedRead?
  private let sizes: AttentionSizes
  let parameters: [Parameter]

  /// - Parameter shrink: what the map back is shrunk by at the start.
  public init(
    _ width: Int, _ memory: CompiledMemory, _ sizes: AttentionSizes, _ parts: BlockParts = BlockParts(),
    shrink: Double, _ scope: inout ParameterScope
  ) {
    let shape = memory.shape
    self.memory = memory
    self.sizes = sizes
    rotary = parts.rotary
    // Other memories than those of keys beside values alone begin as without places.
    let places = shape.stored == 2 * sizes.columns ? parts.places.starts(width, sizes) : nil
    func map(_ name: String, _ outputs: Int, _ start: Start?, _ scope: inout ParameterScope) -> Projection {
      parts.inputBiases
        ? Projection(name, width, outputs, start: start, bias: .zeros, &scope)
        : .unbiased(name, width, outputs, start: start, &scope)
    }
    query = map("query", sizes.columns, places?.query, &scope)
    stored = map("keyvalue", shape.stored, places?.stored, &scope)
    scaling =
      parts.lengthScaling == 0
      ? nil : scope.nested("scaling") { LengthScaling(sizes, hidden: parts.lengthScaling, &$0) }
    // Gates are of the row itself.
    let convolved = shape.layout.keyHeads * (shape.layout.keyWidth + shape.layout.valueWidth)
    convolution = parts.convolution.map {
      scope.parameter("convolution", $0, convolved, .uniform(1 / Double($0).squareRoot()))
    }
    parameters = shape.parameters.map {
      scope.parameter("memory." + $0.name, 1, $0.count, .normal(mean: $0.initial, deviation: $0.spread))
    }
    gatedRead = parts.gatedReads ? GatedRead(width, sizes, epsilon: parts.epsilon, &scope) : nil
    let bound = 1 / Double(shape.read).squareRoot() * shrink
    let start =
      parts.coordinates > 0
      ? Start.narrow(bound: bound, columns: parts.places.columns) : .gated(bound: bound, rows: shape.gated)
    out =
      parts.biases
      ? Projection("out", shape.read, width, start: start, &scope)
      : .unbiased("out", shape.read, width, start: start, &scope)
  }

  /// The memory with the numbers it has learned.
  public func memory(_ weights: Weights) -> any Memory { memory.memory(weights, parameters) }

  // MARK: Inference

  /// Cosines and sines of rows at these places, one after the other in the arena; nil without rotary positions.
  public func turns(_ positions: UnsafeBufferPointer<Int32>, _ arena: Arena) -> UnsafePointer<Float>? {
    rotary.map {
      let turns = arena.floats(positions.count * sizes.width)
      $0.turns(positions, pairs: sizes.width / 2, into: turns)
      return UnsafePointer(turns)
    }
  }

  /// What some paths keep for the short convolution; nil without one.
  ///
  /// - Parameter reach: how many rows may be taken back; nil for all.
  public func recent(paths: Int, capacity: Int, reach: Int?) -> RecentRows? {
    convolution.map {
      RecentRows(paths: paths, columns: $0.columns, capacity: capacity, reach: reach, taps: $0.rows)
    }
  }

  /// Bytes of that.
  public func recentBytes(capacity: Int, reach: Int?) -> Int {
    convolution.map {
      RecentRows.bytes(columns: $0.columns, capacity: capacity, reach: reach, taps: $0.rows)
    } ?? 0
  }

  /// What the memory stores of normed rows, in the arena.
  ///
  /// - Parameter committed: where the rows go, and the rows before them, for the short convolution.
  func store(
    _ normed: UnsafePointer<Float>, rows: Int, turns: UnsafePointer<Float>?,
    committed: (rows: CommittedRows, recent: RecentRows)?, _ run: Workspace
  ) -> UnsafeMutablePointer<Float> {
    let kept = run.arena.floats(rows * stored.outputs)
    stored.apply(normed, rows: rows, into: kept, run)
    if let convolution {
      guard let committed else { preconditionFailure("rows of a short convolution have a place in a path") }
      committed.recent.convolve(
        kept, stride: stored.outputs, committed.rows, taps: convolution, run.weights)
    }
    turn(kept, rows: rows, stride: stored.outputs, heads: sizes.keyHeads, turns)
    return kept
  }

  /// What normed rows ask a memory of `held` rows with, in the arena.
  func ask(
    _ normed: UnsafePointer<Float>, rows: Int, turns: UnsafePointer<Float>?, held: Int, _ run: Workspace
  ) -> UnsafeMutablePointer<Float> {
    let queries = run.arena.floats(rows * query.outputs)
    query.apply(normed, rows: rows, into: queries, run)
    turn(queries, rows: rows, stride: query.outputs, heads: sizes.heads, turns)
    scaling?.apply(queries, rows: rows, held: held, run)
    return queries
  }

  private func turn(
    _ x: UnsafeMutablePointer<Float>, rows: Int, stride: Int, heads: Int, _ turns: UnsafePointer<Float>?
  ) {
    guard let rotary, let turns else { return }
    rotary.apply(x, rows: rows, stride: stride, heads: heads, width: sizes.width, turns: turns)
  }

  // MARK: Training

  /// What rows `reading` of normed rows read of rows `stored`.
  ///
  /// - Parameters:
  ///   - places: which of the stored rows the blocks speak of, one after the other, some maybe repeatedly; nil for all.
  ///   - positions: the place of each row; nil: row i is at place i.
  ///   - held: rows of the context.
  func read(
    _ normed: Node, stored kept: Range<Int>, reading: Range<Int>, keys places: [Int32]? = nil,
    visible: [VisibleBlock], positions: [Int32]?, held: Int, on tape: Tape
  ) -> Node {
    func turned(_ x: Node, heads: Int, at rows: Range<Int>) -> Node {
      guard let rotary else { return x }
      let places = positions.map { Array($0[rows]) } ?? rows.map { Int32($0) }
      return tape.rotate(x, rotary, heads: heads, width: sizes.width, positions: places)
    }
    var queries = turned(query.record(normed[reading], on: tape), heads: sizes.heads, at: reading)
    if let scaling { queries = scaling.record(queries, held: held, on: tape) }
    var own = stored.record(normed[kept], on: tape)
    if let convolution { own = tape.convolve(own, taps: convolution) }
    var keys = turned(own, heads: sizes.keyHeads, at: kept)
    if let places { keys = tape.gather([.node(keys, places)], rows: places.count, columns: keys.columns) }
    let read = memory(tape.weights).train(queries: queries, stored: keys, blocks: visible, on: tape)
    return gatedRead?.record(read, normed[reading], on: tape) ?? read
  }

  /// Floating-point operations of the maps a row that is stored and a row that asks.
  public var workStored: Double { stored.work }
  public var workAsked: Double { query.work + (gatedRead?.work ?? 0) + out.work }
}
