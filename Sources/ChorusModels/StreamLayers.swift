import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// The parameters of a network whose context, buffer and targets have weights of their own (nanoACE's `arbuffer`, Acerbi 2026), as
/// handles that both forms of its passes share.
///
/// A row's token is Ex(x) + Ey(y) + role, a target's Ex(x) + role. Context rows read each other; buffer rows read the context and
/// each other, by maps of their own; targets read what both streams have made of their rows, through one softmax.
struct StreamLayers<H: Head>: Sendable {
  let blueprint: Blueprint
  let inputs: FeedForward
  let outputs: FeedForward
  let roleContext: Parameter
  let roleBuffer: Parameter
  let roleTarget: Parameter
  let emptyContext: Parameter
  let blocks: [StreamBlock]
  let last: Norm
  let head: H

  /// - Parameter head: makes the head of rows that wide with a hidden layer.
  init(
    _ blueprint: Blueprint, head: (_ width: Int, _ hidden: Int, inout ParameterScope) -> H,
    _ scope: inout ParameterScope
  ) throws(ModelError) {
    self.blueprint = blueprint
    let d = blueprint.width
    func embedder(_ name: String, _ features: Int, _ scope: inout ParameterScope) -> FeedForward {
      scope.nested("embed." + name) { FeedForward(features, hidden: blueprint.embedderHidden, d, &$0) }
    }
    inputs = embedder("x", blueprint.inputDimensions, &scope)
    // How a head describes values is known without its parameters, which come last in the table.
    var unused = ParameterScope()
    outputs = embedder("y", head(d, blueprint.headHidden, &unused).valueFeatures, &scope)
    func vector(_ name: String, _ scope: inout ParameterScope) -> Parameter {
      scope.parameter(name, 1, d, .normal(deviation: 0.1))
    }
    roleContext = vector("role.context", &scope)
    roleBuffer = vector("role.buffer", &scope)
    roleTarget = vector("role.target", &scope)
    emptyContext = vector("context.empty", &scope)
    var blocks: [StreamBlock] = []
    for index in 0..<blueprint.layers {
      let (plain, wide) = (blueprint.attention, StreamBlock.reading(blueprint.attention))
      let memories: (plain: CompiledMemory, wide: CompiledMemory)
      do {
        memories = (try CompiledMemory(.softmax, plain), try CompiledMemory(.softmax, wide))
      } catch { throw .blueprint("layer \(index): \(error)") }
      blocks.append(
        scope.nested("block.\(index)") {
          StreamBlock(blueprint, plain: memories.plain, wide: memories.wide, &$0)
        })
    }
    self.blocks = blocks
    last = scope.nested("final") { Norm("norm", d, &$0) }
    self.head = scope.nested("head") { head(d, blueprint.headHidden, &$0) }
  }

  /// Per layer the mean of what a buffer row and a target cost, since a plan counts rows and not streams.
  var rates: WorkRates {
    let layers = blocks.map { block in
      WorkRates.Layer(
        stored: block.context.stored.work + block.buffer.stored.work + block.storedContext.work,
        asked: block.buffer.work,
        read: 4 * Double(block.target.query.outputs), exponentials: Double(blueprint.heads))
    }
    return WorkRates(
      layers: layers, input: WorkRates.Embedding(first: inputs.up.work, rest: inputs.down.work),
      value: WorkRates.Embedding(first: outputs.up.work, rest: outputs.down.work), head: head.map.work,
      held: WorkRates.Held(
        row: blocks.reduce(0) { $0 + $1.buffer.stored.outputs + $1.storedContext.outputs }))
  }

  /// Inputs of a row, zero-padded.
  func writeFeatures(
    _ x: UnsafePointer<Float>, dimensions: Int, into features: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<inputs.inputs { features[i] = i < dimensions ? x[i] : 0 }
  }
}

/// One way through a block: norm, what is asked for and read back, norm, feed-forward part; each added to the row.
struct Stream: Sendable {
  let norm1: Norm
  let query: Projection
  let out: Projection
  let norm2: Norm
  let feed: FeedForward

  init(_ blueprint: Blueprint, columns: Int, _ scope: inout ParameterScope) {
    let d = blueprint.width
    let shrink = 1 / Double(2 * blueprint.layers).squareRoot()
    norm1 = Norm("norm1", d, &scope)
    query = Projection("query", d, columns, bias: .zeros, &scope)
    out = Projection("out", columns, d, start: .fan(in: columns, times: shrink), bias: .zeros, &scope)
    norm2 = Norm("norm2", d, &scope)
    feed = scope.nested("feed") { FeedForward(d, hidden: blueprint.feedForward, d, shrink: shrink, &$0) }
  }

  var work: Double { query.work + out.work + feed.work }

  /// In place on `h`: `read` takes queries and fills what they read.
  func transform(
    _ h: UnsafeMutablePointer<Float>, rows: Int, _ run: Workspace,
    read: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let mark = run.arena.mark
    let normed = run.arena.floats(rows * norm1.outputs)
    norm1.apply(h, rows: rows, into: normed, run)
    let (queries, found) = (run.arena.floats(rows * query.outputs), run.arena.floats(rows * out.inputs))
    query.apply(normed, rows: rows, into: queries, run)
    read(queries, found)
    out.apply(found, rows: rows, residual: h, into: h, run)
    norm2.apply(h, rows: rows, into: normed, run)
    feed.apply(normed, rows: rows, residual: h, into: h, run)
    run.arena.rewind(to: mark)
  }

  func record(_ h: Node, on tape: Tape, read: (Node) -> Node) -> Node {
    let queries = query.record(norm1.record(h, on: tape), on: tape)
    let h = out.record(read(queries), residual: h, on: tape)
    return feed.record(norm2.record(h, on: tape), residual: h, on: tape)
  }
}

/// A stream whose rows are read by others of it.
struct StoringStream: Sendable {
  let stream: Stream
  let stored: Projection
  var work: Double { stream.work }

  init(_ blueprint: Blueprint, columns: Int, _ scope: inout ParameterScope) {
    stream = Stream(blueprint, columns: columns, &scope)
    stored = Projection("keyvalue", blueprint.width, 2 * columns, bias: .zeros, &scope)
  }

  /// What is stored of rows, in the arena.
  func store(_ h: UnsafePointer<Float>, rows: Int, _ run: Workspace) -> UnsafePointer<Float> {
    let (normed, kept) = (
      run.arena.floats(rows * stored.inputs), run.arena.floats(rows * stored.outputs)
    )
    stream.norm1.apply(h, rows: rows, into: normed, run)
    stored.apply(normed, rows: rows, into: kept, run)
    return UnsafePointer(kept)
  }
}

/// The three streams of a block.
struct StreamBlock: Sendable {
  let context: StoringStream
  let buffer: StoringStream
  let target: Stream
  /// What targets read of the rows that left the other two streams: a norm, and a map for each.
  let storedNorm: Norm
  let storedContext: Projection
  let storedBuffer: Projection
  let plain: CompiledMemory
  let wide: CompiledMemory

  /// Heads that targets read with: four columns wider than others, in which the two maps of stored rows may differ by a constant.
  /// With a query that is constant there, it is a bias of the logits of one of them.
  static func reading(_ sizes: AttentionSizes) -> AttentionSizes {
    AttentionSizes(heads: sizes.heads, width: sizes.width + 4)
  }

  init(
    _ blueprint: Blueprint, plain: CompiledMemory, wide: CompiledMemory, _ scope: inout ParameterScope
  ) {
    (self.plain, self.wide) = (plain, wide)
    let (d, columns) = (blueprint.width, Self.reading(blueprint.attention).columns)
    context = scope.nested("context") { StoringStream(blueprint, columns: d, &$0) }
    buffer = scope.nested("buffer") { StoringStream(blueprint, columns: d, &$0) }
    (target, storedNorm, storedContext, storedBuffer) = scope.nested("target") { scope in
      (
        Stream(blueprint, columns: columns, &scope), Norm("stored.norm", d, &scope),
        Projection("stored.context", d, 2 * columns, bias: .zeros, &scope),
        Projection("stored.buffer", d, 2 * columns, bias: .zeros, &scope)
      )
    }
  }

  /// What targets read of rows that left a stream, in the arena.
  func show(
    _ h: UnsafePointer<Float>, rows: Int, by map: Projection, _ run: Workspace
  ) -> UnsafePointer<Float> {
    let (normed, kept) = (run.arena.floats(rows * map.inputs), run.arena.floats(rows * map.outputs))
    storedNorm.apply(h, rows: rows, into: normed, run)
    map.apply(normed, rows: rows, into: kept, run)
    return UnsafePointer(kept)
  }
}
