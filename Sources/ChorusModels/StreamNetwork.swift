import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A network with streams of their own for context, buffer and targets (`StreamLayers`), with its weights. Immutable and shared by
/// threads.
public final class StreamNetwork<H: Head>: Architecture {
  public let blueprint: Blueprint
  public let weights: Weights
  let layers: StreamLayers<H>
  /// Of each block: what rows of a stream read of each other, and what targets read.
  private let memories: [(plain: any Memory, wide: any Memory)]
  private let scratch = ScratchPool()

  /// - Parameter weights: of the table that the layers were declared in.
  init(_ layers: StreamLayers<H>, _ weights: Weights) {
    blueprint = layers.blueprint
    self.weights = weights
    self.layers = layers
    memories = layers.blocks.map { ($0.plain.memory(weights, []), $0.wide.memory(weights, [])) }
  }

  /// Two memories a block.
  private var all: [any Memory] { memories.flatMap { [$0.plain, $0.wide] } }

  /// What the memories can do; rows that come later would have to be read by those before them.
  public var memoryCapability: Capability {
    let own = all.dropFirst().reduce(all[0].capability) { $0.both($1.capability) }
    return Capability(
      holdsSet: own.holdsSet, fixedState: own.fixedState, rewind: own.rewind, subsetReads: own.subsetReads)
  }
  public var rates: WorkRates { layers.rates }

  public struct Context: Sendable {
    /// Rows read; 0 for an empty context, which is held as one learned token.
    public let rows: Int
    /// Of each block what buffer rows read, then what targets read.
    let states: [any AnyObject & Sendable]
  }

  /// Inputs after the input embedder, `[count, width]`.
  public struct Questions: Sendable {
    public let count: Int
    let rows: FloatBuffer
  }

  public typealias Paths = SetPaths

  public func fits(of context: Context) -> HintFits { HintFits() }
  public func raised(_ context: Context) -> Double { 0 }
  public func contextBytes(rows: Int) -> Int { all.reduce(0) { $0 + $1.contextBytes(rows: max(rows, 1)) } }
  public func bufferBytes(capacity: Int) -> Int { all.reduce(0) { $0 + $1.bufferBytes(capacity: capacity) } }

  private func run<R>(on pool: ThreadPool? = nil, _ body: (Workspace) throws -> R) rethrows -> R {
    try scratch.with { try body(Workspace(weights, $0, on: pool)) }
  }

  // MARK: Embedding

  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    let count = x.count / max(dimensions, 1)
    let rows = FloatBuffer(count: count * blueprint.width)
    run { run in embed(x, 0..<count, dimensions: dimensions, into: rows.pointer, run) }
    return Questions(count: count, rows: rows)
  }

  private func embed(
    _ x: [Float], _ range: Range<Int>, dimensions: Int, into out: UnsafeMutablePointer<Float>,
    _ run: Workspace
  ) {
    let features = run.arena.floats(range.count * layers.inputs.inputs)
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for (place, row) in range.enumerated() {
        layers.writeFeatures(
          x + row * dimensions, dimensions: dimensions, into: features + place * layers.inputs.inputs)
      }
    }
    layers.inputs.apply(features, rows: range.count, into: out, run)
  }

  /// Ey of observed values, in the arena.
  private func embed(values: UnsafePointer<Float>, count: Int, _ run: Workspace) -> UnsafePointer<Float> {
    let width = layers.outputs.inputs
    let features = run.arena.floats(count * width)
    for row in 0..<count { layers.head.describe(values[row], into: features + row * width) }
    let out = run.arena.floats(count * blueprint.width)
    layers.outputs.apply(features, rows: count, into: out, run)
    return UnsafePointer(out)
  }

  // MARK: Encode

  /// Rows of a tile, fixed so that the bytes do not depend on the number of threads.
  private static var tile: Int { 32 }

  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool? = nil) -> Context {
    let (count, width) = (max(rows.count, 1), blueprint.width)
    let h = FloatBuffer(uninitialised: count * width)
    func tiles(_ body: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Float>, Workspace) -> Void) {
      let number = (count + Self.tile - 1) / Self.tile
      let item: @Sendable (Int) -> Void = { [self] item in
        let range = item * Self.tile..<min((item + 1) * Self.tile, count)
        run { body(range, h.pointer + range.lowerBound * width, $0) }
      }
      if let pool { pool.run(number, item) } else { (0..<number).forEach(item) }
    }
    tiles { [self] range, h, run in observe(rows, range, into: h, run) }
    var states: [any AnyObject & Sendable] = []
    for (block, memories) in zip(layers.blocks, memories) {
      let own = memories.plain.anyDraft(rows: count)
      let buffered = memories.plain.anyDraft(rows: count)
      tiles { range, h, run in
        memories.plain.write(
          block.context.store(h, rows: range.count, run), rows: range, toAny: own, scratch: run.arena)
        memories.plain.write(
          block.buffer.store(h, rows: range.count, run), rows: range, toAny: buffered, scratch: run.arena)
      }
      let state = memories.plain.finish(any: own)
      let shown = memories.wide.anyDraft(rows: count)
      tiles { range, h, run in
        block.context.stream.transform(h, rows: range.count, run) { queries, out in
          memories.plain.read(
            queries, rows: range.count, anyContext: state, into: out, scratch: run.arena)
        }
        memories.wide.write(
          block.show(h, rows: range.count, by: block.storedContext, run), rows: range, toAny: shown,
          scratch: run.arena)
      }
      states.append(memories.plain.finish(any: buffered))
      states.append(memories.wide.finish(any: shown))
    }
    return Context(rows: rows.count, states: states)
  }

  /// Tokens of the observed rows in `range`.
  private func observe(
    _ rows: NetworkRows, _ range: Range<Int>, into h: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let d = blueprint.width
    guard rows.count > 0 else {
      h.update(from: weights[layers.emptyContext], count: d)
      return
    }
    embed(rows.x, range, dimensions: rows.dimensions, into: h, run)
    rows.y.withUnsafeBufferPointer { y in
      guard let y = y.baseAddress else { return }
      let ey = embed(values: y + range.lowerBound, count: range.count, run)
      let role = weights[layers.roleContext]
      for row in 0..<range.count {
        for column in 0..<d { h[row * d + column] += ey[row * d + column] + role[column] }
      }
    }
  }

  /// Rows taken in later would change what those before them have become: the whole context has to be read again.
  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    guard rows.count > 0 else { return context }
    return context.rows == 0 && !removing ? encode(rows, HintFits()) : nil
  }

  // MARK: Advance

  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(
      count: count, capacity: capacity,
      layers: all.map { $0.anyBuffer(paths: count, capacity: capacity) })
  }

  public func rewind(_ paths: Paths, path: Int, to count: Int) { paths.rewind(path: path, to: count) }

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch, _ body: (H.Answer) -> Void
  ) {
    let run = Workspace(weights, paths.arena)
    run.arena.reset()
    paths.check(rows, inputs: questions.count)
    let places = Places(rows, run.arena)
    let (buffered, asked) = assemble(rows, questions, run)
    let visible = places.visibleCommits(rows, run.arena)
    for (index, (block, memories)) in zip(layers.blocks, memories).enumerated() {
      let mark = run.arena.mark
      let (own, shown) = (context.states[2 * index], context.states[2 * index + 1])
      let (ownRows, shownRows) = (paths.layers[2 * index], paths.layers[2 * index + 1])
      if rows.commits > 0 {
        memories.plain.append(
          block.buffer.store(buffered, rows: rows.commits, run), places.committed, anyContext: own,
          toAny: ownRows, scratch: run.arena)
        block.buffer.stream.transform(buffered, rows: rows.commits, run) { queries, out in
          memories.plain.read(
            queries, visible, anyContext: own, anyBuffer: ownRows, into: out, scratch: run.arena)
        }
        memories.wide.append(
          block.show(buffered, rows: rows.commits, by: block.storedBuffer, run), places.committed,
          anyContext: shown, toAny: shownRows, scratch: run.arena)
      }
      if rows.queries > 0 {
        block.target.transform(asked, rows: rows.queries, run) { queries, out in
          memories.wide.read(
            queries, places.askedRows, anyContext: shown, anyBuffer: shownRows, into: out,
            scratch: run.arena)
        }
      }
      run.arena.rewind(to: mark)
    }
    layers.last.apply(asked, rows: rows.queries, into: asked, run)
    let raw = layers.head.apply(asked, rows: rows.queries, run)
    for query in 0..<rows.queries {
      body(layers.head.answer(raw + query * layers.head.map.outputs, units: nil))
    }
  }

  /// Tokens of the rows committed in one call, and of those asked for.
  private func assemble(
    _ batch: RowBatch, _ questions: Questions, _ run: Workspace
  ) -> (buffered: UnsafeMutablePointer<Float>, asked: UnsafeMutablePointer<Float>) {
    let d = blueprint.width
    let (buffered, asked) = (run.arena.floats(batch.commits * d), run.arena.floats(batch.queries * d))
    let ey = batch.values.withUnsafeBufferPointer { values in
      values.baseAddress.map { embed(values: $0, count: batch.commits, run) }
    }
    let (buffer, target) = (weights[layers.roleBuffer], weights[layers.roleTarget])
    var (commit, query) = (0, 0)
    for row in 0..<batch.count {
      let ex = questions.rows.pointer + Int(batch.inputs[row]) * d
      if batch.slots[row] >= 0, let ey {
        for i in 0..<d { buffered[commit * d + i] = ex[i] + ey[commit * d + i] + buffer[i] }
        commit += 1
      } else {
        for i in 0..<d { asked[query * d + i] = ex[i] + target[i] }
        query += 1
      }
    }
    return (buffered, asked)
  }

  // MARK: States outside the program

  public func stateArrays(rows: Int) -> [StateArray] {
    all.enumerated().flatMap { index, memory in
      memory.stateArrays(rows: max(rows, 1)).map {
        StateArray("layer.\(index / 2).\(index % 2 == 0 ? "buffer" : "target").\($0.name)", $0.shape)
      }
    }
  }

  public func values(of context: Context) -> [[Float]] {
    zip(all, context.states).flatMap { $0.values(ofAny: $1) }
  }

  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    guard rows.dimensions > 0, rows.x.count == rows.count * rows.dimensions else { return nil }
    var (states, first): ([any AnyObject & Sendable], Int) = ([], 0)
    for memory in all {
      let own = memory.stateArrays(rows: max(rows.count, 1)).count
      guard first + own <= values.count,
        let state = memory.anyContext(
          rows: max(rows.count, 1), values: Array(values[first..<first + own]))
      else { return nil }
      states.append(state)
      first += own
    }
    return first == values.count ? Context(rows: rows.count, states: states) : nil
  }

  // MARK: Training

  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let raw = layers.record(batch, task: task, prefixes: prefixes, on: tape)
    let first = task * batch.rows
    let targets = Targets(
      values: Array(batch.y[first + batch.targetRows.lowerBound..<first + batch.targetRows.upperBound]),
      weights: [Float](repeating: weight, count: batch.targets), units: nil)
    return layers.head.loss(raw, targets, on: tape)
  }
}
