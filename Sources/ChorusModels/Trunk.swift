import ChorusMemories
import ChorusTensors

/// A network with its weights, ready to encode, extend and query. Immutable and shared by threads.
public final class Trunk: Sendable {
  public let network: Network
  public let weights: Weights
  let memory: SoftmaxMemory
  let scratch = ScratchPool()

  public init(_ network: Network, _ weights: Weights) {
    self.network = network
    self.weights = weights
    memory = SoftmaxMemory(network.blueprint.attention)
  }

  public var blueprint: Blueprint { network.blueprint }

  /// What every layer holds of the context: made once, immutable, shared by all paths.
  public struct ContextState: Sendable {
    /// Rows read; 0 for an empty context, which is held as one learned token.
    public let rows: Int
    let layers: [SoftmaxMemory.Context]
  }

  /// Inputs after the input embedder, `[count, d]`: computed once for all paths, orders and steps.
  public struct EmbeddedInputs: Sendable {
    public let count: Int
    let rows: FloatBuffer
  }

  /// The private buffers of `paths` paths that advance side by side; belongs to one thread at a time.
  public final class Paths {
    public let count: Int
    public let capacity: Int
    /// Rows committed so far, the same for every path.
    public private(set) var committed = 0
    let layers: [SoftmaxMemory.Buffer]
    let arena = Arena(blockCount: 1 << 15)

    init(count: Int, capacity: Int, layers: [SoftmaxMemory.Buffer]) {
      self.count = count
      self.capacity = capacity
      self.layers = layers
    }

    func commit(_ rows: Int) { committed += rows }
    /// Takes back the rows committed after the first `count`.
    public func rewind(to count: Int) { committed = min(max(count, 0), committed) }
  }

  /// Bytes of a context state and of one path's buffers.
  public func contextBytes(rows: Int) -> Int { blueprint.layers * memory.contextBytes(rows: max(rows, 1)) }
  public func bufferBytes(capacity: Int) -> Int { blueprint.layers * memory.bufferBytes(capacity: capacity) }

  // MARK: Embedding

  /// Ex of `count` inputs, `x` `[count, dimensions]` in the network's units.
  public func embed(_ x: [Float], count: Int, dimensions: Int) -> EmbeddedInputs {
    let d = blueprint.width
    let rows = FloatBuffer(count: count * d)
    let width = blueprint.featureCount
    scratch.with { arena in
      let features = arena.floats(count * width)
      x.withUnsafeBufferPointer { x in
        guard let x = x.baseAddress else { return }
        for row in 0..<count {
          network.writeFeatures(x + row * dimensions, dimensions: dimensions, into: features + row * width)
        }
      }
      apply(network.inputs, features, rows: count, into: rows.pointer, arena)
    }
    return EmbeddedInputs(count: count, rows: rows)
  }

  private func apply(
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

  private func add(_ parameter: Parameter, row: Int = 0, to out: UnsafeMutablePointer<Float>, rows: Int) {
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
  public func encode(x: [Float], y: [Float], dimensions: Int, on pool: ThreadPool? = nil) -> ContextState {
    let count = y.count
    let rows = max(count, 1)
    let d = blueprint.width
    let h = FloatBuffer(count: rows * d)
    if count == 0 {
      h.pointer.update(from: weights[network.emptyContext], count: d)
    } else {
      h.copy(from: embed(x, count: count, dimensions: dimensions).rows)
      scratch.with { arena in
        let outputs = arena.floats(count * d)
        apply(network.outputs, y, rows: count, into: outputs, arena)
        for index in 0..<count * d { h.pointer[index] += outputs[index] }
      }
      add(network.roleContext, to: h.pointer, rows: count)
    }
    let keyValues = FloatBuffer(count: rows * 2 * d)
    let tile = 32
    let tiles = (rows + tile - 1) / tile
    var layers: [SoftmaxMemory.Context] = []
    for index in network.blocks.indices {
      let previous = layers.last
      let body: @Sendable (Int) -> Void = { [self] item in
        let range = item * tile..<min((item + 1) * tile, rows)
        scratch.with { arena in
          let h = h.pointer + range.lowerBound * d
          if let previous {
            let block = network.blocks[index - 1]
            let queries = normed(block, h, rows: range.count, arena)
            transform(
              block, h, queries, limits: [Int32](repeating: 0, count: range.count), rows: range.count,
              paths: 1, previous, nil, arena)
          }
          let block = network.blocks[index]
          weights.linear(
            normed(block, h, rows: range.count, arena), rows: range.count, block.keyValue,
            into: keyValues.pointer + range.lowerBound * 2 * d)
        }
      }
      if let pool { pool.run(tiles, body) } else { for item in 0..<tiles { body(item) } }
      layers.append(memory.context(keyValues.pointer, count: rows))
    }
    return ContextState(rows: count, layers: layers)
  }

  /// What a block's attention reads of `h`: its first norm, or `h` itself in a post-norm block.
  private func normed(
    _ block: Network.Block, _ h: UnsafeMutablePointer<Float>, rows: Int, _ arena: Arena
  ) -> UnsafeMutablePointer<Float> {
    guard blueprint.norm == .pre else { return h }
    let out = arena.floats(rows * blueprint.width)
    weights.layerNorm(h, rows: rows, gain: block.norm1.gain, bias: block.norm1.bias, into: out)
    return out
  }

  /// The rest of a block, in place on `h`: attention of `normed`, then the feed-forward part.
  private func transform(
    _ block: Network.Block, _ h: UnsafeMutablePointer<Float>, _ normed: UnsafePointer<Float>, limits: [Int32],
    rows: Int, paths: Int, _ context: SoftmaxMemory.Context, _ buffer: SoftmaxMemory.Buffer?, _ arena: Arena
  ) {
    let d = blueprint.width
    let queries = arena.floats(rows * d)
    let read = arena.floats(rows * d)
    let hidden = arena.floats(rows * blueprint.feedForward)
    weights.linear(normed, rows: rows, block.query, into: queries)
    memory.read(
      queries, limits: limits, paths: paths, context: context, buffer: buffer, into: read, scratch: arena)
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
    weights.linear(hidden, rows: rows, block.down.weight, bias: block.down.bias, residual: h, into: h)
    if blueprint.norm == .post { norm(block.norm2, into: h) }
  }

  // MARK: Extend and query

  /// Empty private buffers for `count` paths with room for `capacity` committed rows each.
  public func branch(paths count: Int, capacity: Int) -> Paths {
    Paths(
      count: count, capacity: capacity,
      layers: network.blocks.map { _ in memory.buffer(paths: count, capacity: capacity) })
  }

  /// Commits rows to every path's buffer and queries further rows, in one network call.
  ///
  /// Rows come in groups, one row a path: `commit` and `query` hold `groups·paths` indices into `inputs`, `y` the
  /// committed values in the network's units. Group g of the queries sees the context and the first `limits[g]`
  /// buffer rows, those committed in this call included. The last layer computes only what the queries read.
  /// - Returns: the head's parameters, `[query groups·paths, 3·components]`, valid until the next call.
  @discardableResult
  public func advance(
    _ paths: Paths, _ context: ContextState, inputs: EmbeddedInputs, commit: [Int32] = [], y: [Float] = [],
    query: [Int32] = [], limits: [Int32] = []
  ) -> UnsafePointer<Float> {
    let arena = paths.arena
    arena.reset()
    let d = blueprint.width
    let (commits, queries) = (commit.count, query.count)
    let groups = commits / paths.count
    let rows = commits + queries
    let h = arena.floats(rows * d)
    assemble(h, paths, inputs, commit, y, query)
    let first = paths.committed
    let visible = (0..<groups).map { Int32(first + $0 + 1) } + limits
    let keyValues = arena.floats(commits * 2 * d)
    for (index, block) in network.blocks.enumerated() {
      let mark = arena.mark
      let normed = normed(block, h, rows: rows, arena)
      if commits > 0 {
        weights.linear(normed, rows: commits, block.keyValue, into: keyValues)
        for group in 0..<groups {
          memory.append(keyValues + group * paths.count * 2 * d, at: first + group, to: paths.layers[index])
        }
      }
      let last = index == network.blocks.count - 1
      let skipped = last ? commits : 0
      let buffer = paths.capacity > 0 ? paths.layers[index] : nil
      transform(
        block, h + skipped * d, normed + skipped * d, limits: last ? limits : visible, rows: rows - skipped,
        paths: paths.count, context.layers[index], buffer, arena)
      arena.rewind(to: mark)
    }
    paths.commit(groups)
    return UnsafePointer(head(h + commits * d, rows: queries, arena))
  }

  private func head(_ h: UnsafeMutablePointer<Float>, rows: Int, _ arena: Arena) -> UnsafeMutablePointer<
    Float
  > {
    if let norm = network.finalNorm {
      weights.layerNorm(h, rows: rows, gain: norm.gain, bias: norm.bias, into: h)
    }
    let hidden = arena.floats(rows * blueprint.headHidden)
    let out = arena.floats(rows * 3 * blueprint.components)
    weights.linear(
      h, rows: rows, network.headUp.weight, bias: network.headUp.bias, activation: .gelu, into: hidden)
    weights.linear(hidden, rows: rows, network.headDown.weight, bias: network.headDown.bias, into: out)
    return out
  }

  /// Tokens of the rows of one call: Ex(x) + Ey(y) + role for committed rows, Ex(x) + role for queries.
  private func assemble(
    _ h: UnsafeMutablePointer<Float>, _ paths: Paths, _ inputs: EmbeddedInputs, _ commit: [Int32],
    _ y: [Float],
    _ query: [Int32]
  ) {
    let d = blueprint.width
    if !commit.isEmpty { apply(network.outputs, y, rows: commit.count, into: h, paths.arena) }
    for (row, index) in commit.enumerated() {
      let source = inputs.rows.pointer + Int(index) * d
      for column in 0..<d { h[row * d + column] += source[column] }
    }
    add(network.roleBuffer, to: h, rows: commit.count)
    if let positions = network.positions {
      for group in 0..<commit.count / paths.count {
        add(
          positions, row: min(paths.committed + group, positions.rows - 1), to: h + group * paths.count * d,
          rows: paths.count)
      }
    }
    for (row, index) in query.enumerated() {
      let target = h + (commit.count + row) * d
      target.update(from: inputs.rows.pointer + Int(index) * d, count: d)
    }
    add(network.roleTarget, to: h + commit.count * d, rows: query.count)
  }
}
