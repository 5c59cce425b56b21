import ChorusData
import ChorusMemories
import ChorusTensors

/// A network with its weights, ready to encode, extend and query. Immutable and shared by threads.
public final class Trunk: Sendable {
  public let network: Network
  public let weights: Weights
  /// The memory of each layer.
  let memories: [any Memory]
  let scratch = ScratchPool()

  public init(_ network: Network, _ weights: Weights) {
    self.network = network
    self.weights = weights
    memories = network.blocks.map { $0.memory.memory(weights, $0.memoryParameters) }
  }

  public var blueprint: Blueprint { network.blueprint }
  /// What all layers' memories can do.
  public var memoryCapability: Capability {
    memories.dropFirst().reduce(memories[0].capability) { $0.both($1.capability) }
  }

  /// What every layer holds of the context: made once, immutable, shared by all paths.
  public struct ContextState: Sendable {
    /// Rows read; 0 for an empty context, which is held as one learned token.
    public let rows: Int
    /// The waves that the rows' inputs were shown with, and those of buffers and targets have to be.
    public let periods: Periods
    /// The rows themselves, where the network looks at those near a target.
    let near: NearRows?
    let layers: [any AnyObject & Sendable]
  }

  /// Inputs after the input embedder, `[count, d]`: computed once for all paths, orders and steps.
  public struct EmbeddedInputs: Sendable {
    public let count: Int
    let rows: FloatBuffer
    /// The inputs themselves, `[count, dimensions]`.
    let x: [Float]
    let dimensions: Int
  }

  /// The private buffers of `count` paths that advance side by side; belongs to one thread at a time.
  public final class Paths {
    public let count: Int
    public let capacity: Int
    /// For each path, the slots in use: one more than the highest that holds a row.
    public private(set) var slots: [Int]
    let layers: [AnyObject]
    let arena = Arena(blockCount: 1 << 15)
    /// Inputs `[paths, capacity, inputDimensions]` and values of the committed rows, where the network looks at those near a
    /// target.
    private let rows: FloatBuffer
    private let values: FloatBuffer
    private let inputDimensions: Int
    private var spline: LocalSpline?

    init(count: Int, capacity: Int, layers: [AnyObject], rowsOf inputDimensions: Int) {
      self.count = count
      self.capacity = capacity
      self.layers = layers
      self.inputDimensions = inputDimensions
      rows = FloatBuffer(count: count * capacity * inputDimensions)
      values = FloatBuffer(count: inputDimensions > 0 ? count * capacity : 0)
      slots = [Int](repeating: 0, count: count)
    }

    func fill(path: Int, slot: Int) { slots[path] = max(slots[path], slot + 1) }

    /// Keeps a committed row `[dimensions]` as it is.
    func keep(_ x: UnsafePointer<Float>, _ y: Float, path: Int, slot: Int, dimensions: Int) {
      let place = path * capacity + slot
      (rows.pointer + place * inputDimensions).update(from: x, count: dimensions)
      values.pointer[place] = y
    }

    func show(path: Int, slot: Int, to spline: LocalSpline) {
      let place = path * capacity + slot
      spline.show(rows.pointer + place * inputDimensions, values.pointer[place])
    }

    func spline(neighbours: Int, dimensions: Int) -> LocalSpline {
      if let spline, spline.dimensions == dimensions { return spline }
      let new = LocalSpline(most: neighbours, dimensions: dimensions)
      spline = new
      return new
    }

    /// Forgets the rows of a path in slots `count` and above.
    public func rewind(path: Int, to count: Int) { slots[path] = min(max(count, 0), slots[path]) }
  }

  /// The most that a layer had to add to the ridge of its equation before it had an answer; 0 as a rule.
  public func raised(_ state: ContextState) -> Double {
    zip(memories, state.layers).map { $0.raised(any: $1) }.max() ?? 0
  }

  /// Bytes of a context state and of one path's buffers.
  public func contextBytes(rows: Int) -> Int {
    memories.reduce(keptBytes(rows: rows)) { $0 + $1.contextBytes(rows: max(rows, 1)) }
  }
  public func bufferBytes(capacity: Int) -> Int {
    memories.reduce(keptBytes(rows: capacity)) { $0 + $1.bufferBytes(capacity: capacity) }
  }
  /// Rows as they are, where the network looks at those near a target.
  private func keptBytes(rows: Int) -> Int {
    network.near == nil ? 0 : 4 * rows * (blueprint.inputDimensions + 1)
  }

  // MARK: Embedding

  /// Ex of `count` inputs, `x` `[count, dimensions]` in the network's units, for questions to a context with these waves.
  public func embed(_ x: [Float], count: Int, dimensions: Int, periods: Periods = .none) -> EmbeddedInputs {
    let d = blueprint.width
    let rows = FloatBuffer(count: count * d)
    let width = blueprint.featureCount
    scratch.with { arena in
      let features = arena.floats(count * width)
      x.withUnsafeBufferPointer { x in
        guard let x = x.baseAddress else { return }
        for row in 0..<count {
          network.writeFeatures(
            x + row * dimensions, dimensions: dimensions, periods, into: features + row * width)
        }
      }
      apply(network.inputs, features, rows: count, into: rows.pointer, arena)
    }
    return EmbeddedInputs(count: count, rows: rows, x: x, dimensions: dimensions)
  }

  func apply(
    _ embedder: Network.Embedder, _ features: UnsafePointer<Float>, rows: Int,
    into out: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let hidden = arena.floats(rows * embedder.up.weight.columns)
    weights.linear(features, rows: rows, embedder.in.weight, bias: embedder.in.bias, into: out)
    weights.linear(
      out, rows: rows, embedder.up.weight, bias: embedder.up.bias, activation: .gelu, into: hidden)
    weights.linear(
      hidden, rows: rows, embedder.down.weight, bias: embedder.down.bias, residual: out, into: out)
  }

  func add(_ parameter: Parameter, row: Int = 0, to out: UnsafeMutablePointer<Float>, rows: Int) {
    let d = blueprint.width
    let vector = weights[parameter] + row * d
    for index in 0..<rows {
      for column in 0..<d { out[index * d + column] += vector[column] }
    }
  }

  // MARK: Encode

  /// Reads a context once: `x` `[count, dimensions]` and `y` `[count]` in the network's units.
  ///
  /// Rows are worked off in tiles that go through a whole block at a time, so that their activations stay in the
  /// cache; the tile size is fixed, so the bytes do not depend on the number of threads.
  /// - Parameter periods: the waves to show the inputs with; nil looks for them in these rows.
  public func encode(
    x: [Float], y: [Float], dimensions: Int, periods: Periods? = nil, on pool: ThreadPool? = nil
  ) -> ContextState {
    let periods = periods ?? Periods(x: x, y: y, dimensions: dimensions, count: blueprint.periods)
    let near = nearRows(x: x, y: y, dimensions: dimensions)
    let count = y.count
    let rows = max(count, 1)
    let d = blueprint.width
    let h = FloatBuffer(count: rows * d)
    if count == 0 { h.pointer.update(from: weights[network.emptyContext], count: d) }
    let tile = 32
    let tiles = (rows + tile - 1) / tile
    var layers: [any AnyObject & Sendable] = []
    for index in network.blocks.indices {
      let previous = layers.last
      let memory = memories[index]
      let draft = memory.anyDraft(rows: rows)
      let body: @Sendable (Int) -> Void = { [self] item in
        let range = item * tile..<min((item + 1) * tile, rows)
        scratch.with { arena in
          let h = h.pointer + range.lowerBound * d
          if index == 0, count > 0 {
            observe(x, y, range, dimensions: dimensions, periods, near, into: h, arena)
          }
          if let previous {
            let block = network.blocks[index - 1]
            let queries = normed(block, h, rows: range.count, arena)
            transform(block, h, queries, rows: range.count, arena) { [memories] queries, out in
              memories[index - 1].read(
                queries, rows: range.count, anyContext: previous, into: out, scratch: arena)
            }
          }
          let block = network.blocks[index]
          let stored = arena.floats(range.count * memory.shape.stored)
          weights.linear(
            normed(block, h, rows: range.count, arena), rows: range.count, block.keyValue, into: stored)
          memory.write(stored, rows: range, toAny: draft, scratch: arena)
        }
      }
      if let pool { pool.run(tiles, body) } else { for item in 0..<tiles { body(item) } }
      layers.append(memory.finish(any: draft))
    }
    return ContextState(
      rows: count, periods: periods, near: near, layers: layers)
  }

  func nearRows(x: [Float], y: [Float], dimensions: Int) -> NearRows? {
    guard blueprint.neighbours > 0 else { return nil }
    return NearRows(x: x, y: y, dimensions: dimensions, neighbours: blueprint.neighbours)
  }

  /// Tokens of the observed rows in `range`: Ex(x) + Ey(y) + role, and what the others say of them.
  ///
  /// - Parameter near: all rows observed, these among them from `place` on.
  func observe(
    _ x: [Float], _ y: [Float], _ range: Range<Int>, dimensions: Int, _ periods: Periods, _ near: NearRows?,
    place: Int = 0, into h: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let d = blueprint.width
    let width = blueprint.featureCount
    let features = arena.floats(range.count * width)
    let outputs = arena.floats(range.count * d)
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for (place, row) in range.enumerated() {
        network.writeFeatures(
          x + row * dimensions, dimensions: dimensions, periods, into: features + place * width)
      }
    }
    y.withUnsafeBufferPointer { y in
      guard let y = y.baseAddress else { return }
      apply(network.outputs, y + range.lowerBound, rows: range.count, into: outputs, arena)
    }
    apply(network.inputs, features, rows: range.count, into: h, arena)
    for index in 0..<range.count * d { h[index] += outputs[index] }
    if let near, let nearRow = network.nearRow {
      let told = arena.floats(range.count * LocalSpline.rowFeatures)
      near.judge(range.lowerBound + place..<range.upperBound + place, into: told)
      weights.linear(told, rows: range.count, nearRow, residual: h, into: h)
    }
    add(network.roleContext, to: h, rows: range.count)
  }

  /// What a block's attention reads of `h`: its first norm, or `h` itself in a post-norm block.
  func normed(
    _ block: Network.Block, _ h: UnsafeMutablePointer<Float>, rows: Int, _ arena: Arena
  ) -> UnsafeMutablePointer<Float> {
    guard blueprint.norm == .pre else { return h }
    let out = arena.floats(rows * blueprint.width)
    weights.layerNorm(h, rows: rows, gain: block.norm1.gain, bias: block.norm1.bias, into: out)
    return out
  }

  /// The rest of a block, in place on `h`: attention of `normed` by `attend`, which takes queries and fills what they
  /// read, then the feed-forward part.
  func transform(
    _ block: Network.Block, _ h: UnsafeMutablePointer<Float>, _ normed: UnsafePointer<Float>,
    rows: Int,
    _ arena: Arena, attend: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let d = blueprint.width
    let queries = arena.floats(rows * d)
    let read = arena.floats(rows * block.memory.shape.read)
    let hidden = arena.floats(rows * blueprint.feedForward)
    weights.linear(normed, rows: rows, block.query, into: queries)
    attend(queries, read)
    weights.linear(read, rows: rows, block.out.weight, bias: block.out.bias, residual: h, into: h)
    func norm(_ norm: Network.Norm, into out: UnsafeMutablePointer<Float>) {
      weights.layerNorm(h, rows: rows, gain: norm.gain, bias: norm.bias, into: out)
    }
    var inner = queries  // free by now
    if blueprint.norm == .pre {
      norm(block.norm2, into: inner)
    } else {
      norm(block.norm1, into: h)
      inner = h
    }
    weights.linear(
      inner, rows: rows, block.up.weight, bias: block.up.bias, activation: .gelu, into: hidden)
    weights.linear(
      hidden, rows: rows, block.down.weight, bias: block.down.bias, residual: h, into: h)
    if blueprint.norm == .post { norm(block.norm2, into: h) }
  }
}
