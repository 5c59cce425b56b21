import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// The blocks of a network, one above the other, and the norm behind the last one: handles of parameters, no values.
package struct StackLayers: Sendable {
  package let width: Int
  /// Whether rows are told their places by rotations: blocks of sets need not even ask.
  let rotates: Bool
  package let blocks: [Block]
  let last: (any Layer)?

  package init(_ blueprint: Blueprint, _ scope: inout ParameterScope) throws(ModelError) {
    width = blueprint.width
    rotates = blueprint.parts.rotary != nil
    // Maps into the residual stream are shrunk so that its variance does not grow with depth.
    let shrink = 1 / Double(2 * blueprint.layers).squareRoot()
    var blocks: [Block] = []
    for index in 0..<blueprint.layers {
      let memory = try Self.memory(blueprint, layer: index)
      blocks.append(
        scope.nested("block.\(index)") { scope in
          Block(
            order: blueprint.norm, width: blueprint.width, parts: blueprint.parts,
            mixer: {
              Attention(blueprint.width, memory, blueprint.attention, blueprint.parts, shrink: shrink, &$0)
            },
            feed: {
              blueprint.parts.makeFeed(blueprint.width, hidden: blueprint.feedForward, shrink: shrink, &$0)
            }, &scope)
        })
    }
    self.blocks = blocks
    last =
      blueprint.norm == .pre ? scope.nested("final") { blueprint.parts.lastNorm(blueprint.width, &$0) } : nil
  }

  /// What rows cost in each block.
  package var rates: [WorkRates.Layer] {
    blocks.map {
      WorkRates.Layer(
        stored: $0.workStored, asked: $0.workAsked, memory: WorkRates.Memory($0.mixer.memory.work))
    }
  }

  /// What all states hold.
  package var held: WorkRates.Held {
    blocks.reduce(WorkRates.Held(row: 0)) { $0 + WorkRates.Held($1.mixer.memory.work) }
  }

  private static func memory(_ blueprint: Blueprint, layer: Int) throws(ModelError) -> CompiledMemory {
    let memory: CompiledMemory
    do {
      memory = try CompiledMemory(
        blueprint.memory(layer: layer), blueprint.attention, set: blueprint.family != .sequence,
        ages: blueprint.bufferPositions.ages)
    } catch {
      throw .blueprint("layer \(layer): \(error)")
    }
    guard !blueprint.parts.gatedReads || memory.shape.read == blueprint.attention.columns else {
      throw .blueprint("layer \(layer): its memory tells more than values, which gatedReads has no place for")
    }
    return memory
  }

  /// All blocks on a tape: `stored` are the rows of `h` that memories store, `asked` those that the last block goes on with;
  /// `visible` tells who sees whom, among all rows or (`askedOnly`) among those asked for, counted from the first.
  ///
  /// - Parameters:
  ///   - held: the number of the context's rows, for blocks that scale queries by it.
  ///   - keys: which of the stored rows `visible` speaks of; nil for all.
  func record(
    _ h: Node, stored: Range<Int>, asked: Range<Int>, held: Int = 0, on tape: Tape,
    keys: (_ askedOnly: Bool) -> [Int32]? = { _ in nil }, visible: (_ askedOnly: Bool) -> [VisibleBlock]
  ) -> Node {
    var h = h
    for (index, block) in blocks.enumerated() {
      let last = index == blocks.count - 1
      h = block.record(
        h, stored: stored, reading: last ? asked : 0..<h.rows, keys: keys(last), visible: visible(last),
        held: held, on: tape)
    }
    return last?.record(h, on: tape) ?? h
  }
}

extension StackLayers {
  /// All blocks on a tape, for rows whose context an encoder of its own has read.
  ///
  /// - Parameters:
  ///   - contexts: what each block reads of the contexts.
  ///   - stored: the rows of `h` that memories store beside those of a context.
  ///   - visible: who sees whom, keys counted from the first row of a context and queries from the first that there are.
  func record(
    _ h: Node, beside contexts: [Node], stored: Range<Int>, asked: Range<Int>, on tape: Tape,
    visible: (_ askedOnly: Bool) -> [VisibleBlock]
  ) -> Node {
    var h = h
    for (index, block) in blocks.enumerated() {
      let last = index == blocks.count - 1
      let joined = tape.joining(contexts[index], h)
      let first = contexts[index].rows
      let rows = last ? asked : 0..<h.rows
      h = block.record(
        joined, stored: 0..<first + stored.upperBound,
        reading: first + rows.lowerBound..<first + rows.upperBound, visible: visible(last), on: tape)
    }
    return last?.record(h, on: tape) ?? h
  }
}

/// The blocks of a network with their weights: the loops that encode a context, advance rows and take rows in later.
/// Immutable and shared by threads.
package final class Stack: Sendable {
  package typealias State = any AnyObject & Sendable

  package let layers: StackLayers
  let weights: Weights
  /// The memory of each block.
  let memories: [any Memory]
  let scratch = ScratchPool()
  private var blocks: [Block] { layers.blocks }
  private var width: Int { layers.width }

  package init(_ layers: StackLayers, _ weights: Weights) {
    self.layers = layers
    self.weights = weights
    let memories = layers.blocks.map { $0.mixer.memory(weights) }
    self.memories = memories
    emptyContexts = memories.map { $0.finish(any: $0.anyDraft(rows: 0)) }
  }

  /// Contexts of no rows at all.
  package let emptyContexts: [State]

  /// What all memories can do.
  package var capability: Capability {
    var both = memories.dropFirst().reduce(memories[0].capability) { $0.both($1.capability) }
    // A short convolution takes in the row before, whatever a plan says.
    if blocks.contains(where: { $0.mixer.convolution != nil }) { both.subsetReads = false }
    return both
  }

  package func run<R>(on pool: ThreadPool? = nil, _ body: (Workspace) throws -> R) rethrows -> R {
    try scratch.with { try body(Workspace(weights, $0, on: pool)) }
  }

  // MARK: Encode

  /// What every block holds of `rows` rows that all read each other.
  ///
  /// - Parameter embed: writes the representations of a range of rows, `[range, width]`.
  func encode(
    rows: Int, on pool: ThreadPool?,
    embed: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Float>, Workspace) -> Void
  ) -> [State] {
    let h = FloatBuffer(uninitialised: rows * width)
    let tiles = (rows + Block.tile - 1) / Block.tile
    var states: [State] = []
    for index in blocks.indices {
      let before = states.last
      let memory = memories[index]
      let draft = memory.anyDraft(rows: rows)
      let body: @Sendable (Int) -> Void = { [self] item in
        let range = item * Block.tile..<min((item + 1) * Block.tile, rows)
        run { run in
          let h = h.pointer + range.lowerBound * width
          if index == 0 { embed(range, h, run) }
          if let before { read(index - 1, h, rows: range.count, before, held: rows, run) }
          let block = blocks[index]
          let stored = block.store(block.normed(h, rows: range.count, run), rows: range.count, run)
          memory.write(stored, rows: range, toAny: draft, scratch: run.arena)
        }
      }
      if let pool { pool.run(tiles, body) } else { for item in 0..<tiles { body(item) } }
      states.append(memory.finish(any: draft))
    }
    return states
  }

  /// Rows that all read each other through all blocks and the last norm, in place on `h`, `[rows, width]`.
  func through(_ h: UnsafeMutablePointer<Float>, rows: Int, _ run: Workspace) {
    for index in blocks.indices {
      let mark = run.arena.mark
      read(index, h, rows: rows, state(index, of: h, rows: rows, run), held: rows, run)
      run.arena.rewind(to: mark)
    }
    layers.last?.apply(h, rows: rows, into: h, run)
  }

  /// What a block holds of these rows, `[rows, width]`.
  func state(_ index: Int, of h: UnsafeMutablePointer<Float>, rows: Int, _ run: Workspace) -> State {
    blocks[index].state(of: h, rows: rows, in: memories[index], run)
  }

  /// What every block holds of rows each of which reads those before it and itself; nil where a memory cannot take in one row
  /// after another.
  ///
  /// - Parameters:
  ///   - h: representations of the rows, `[rows, width]`; overwritten.
  ///   - before: what they hold of rows before these.
  func encode(
    inOrder h: UnsafeMutablePointer<Float>, rows: Int, after before: [State]? = nil, _ run: Workspace
  ) -> [State]? {
    var states = before ?? emptyContexts
    for row in 0..<rows {
      let mark = run.arena.mark
      guard let more = merging(states, h + row * width, rows: 1, removing: false, run) else { return nil }
      states = more
      run.arena.rewind(to: mark)
    }
    return states
  }

  /// Rows go through a block that reads a context of `held` rows alone.
  func read(
    _ index: Int, _ h: UnsafeMutablePointer<Float>, rows: Int, _ state: State, held: Int, _ run: Workspace
  ) {
    blocks[index].read(h, rows: rows, state, held: held, in: memories[index], run)
  }

  // MARK: Advance

  /// Sends the rows of one call through all blocks: committed rows are appended to the buffers, and every row reads its
  /// context and what it sees of its path's buffer. The last block computes only what is asked for.
  ///
  /// - Parameters:
  ///   - h: representations of all rows, `[rows, width]`; overwritten.
  ///   - held: rows of the contexts, for blocks that scale queries by it.
  /// - Returns: those of the rows asked for behind the last norm, in the arena.
  package func advance(
    _ h: UnsafeMutablePointer<Float>, _ places: Places, contexts: [State], buffers: [AnyObject],
    held: Int = 0, _ run: Workspace
  ) -> UnsafeMutablePointer<Float> {
    let arena = run.arena
    var (h, rows, visible) = (h, places.rows.count, places.rows)
    func turns(_ rows: Places.Indices?) -> UnsafePointer<Float>? {
      guard layers.rotates else { return nil }
      return blocks.first?.mixer.turns(places.positions(of: rows, arena), arena)
    }
    var (turned, turnedCommits) = (turns(nil), turns(places.commits))
    let committed = arena.floats(places.commits.count * width)
    let (askedH, askedNormed) = (
      arena.floats(places.asked.count * width), arena.floats(places.asked.count * width)
    )
    for (index, block) in blocks.enumerated() {
      let (mark, memory) = (arena.mark, memories[index])
      var normed = block.normed(h, rows: rows, run)
      if places.commits.count > 0 {
        let buffer = buffers[index] as? ConvolvedBuffer
        let stored = block.store(
          gather(normed, places.commits, into: committed), rows: places.commits.count, turns: turnedCommits,
          committed: buffer.map { (places.committed, $0.recent) }, run)
        memory.append(
          stored, places.committed, anyContext: contexts[index], toAny: buffer?.memory ?? buffers[index],
          scratch: arena)
        if index == blocks.count - 1 {
          normed = gather(normed, places.asked, into: askedNormed)
          h = block.readsInPlace ? normed : gather(h, places.asked, into: askedH)
          (rows, visible) = (places.asked.count, places.askedRows)
          turned = turns(places.asked)
        }
      }
      block.transform(h, normed, rows: rows, turns: turned, held: held, run) { queries, out in
        let buffer = (buffers[index] as? ConvolvedBuffer)?.memory ?? buffers[index]
        read(memory, queries, visible, contexts[index], buffer, into: out, run)
      }
      arena.rewind(to: mark)
    }
    layers.last?.apply(h, rows: rows, into: h, run)
    return h
  }

  /// Rows that one thread reads a memory for.
  private static let readRows = 16

  /// What queries read of a context and of buffers, on all threads that share the call.
  private func read(
    _ memory: any Memory, _ queries: UnsafePointer<Float>, _ visible: VisibleRows, _ context: State,
    _ buffer: AnyObject, into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    guard let pool = run.pool, visible.count > Self.readRows else {
      memory.read(
        queries, visible, anyContext: context, anyBuffer: buffer, into: out, scratch: run.arena)
      return
    }
    let columns = (queries: layers.blocks[0].mixer.query.outputs, read: memory.shape.read)
    nonisolated(unsafe) let (queries, visible, buffer, out) = (queries, visible, buffer, out)
    pool.run((visible.count + Self.readRows - 1) / Self.readRows) { [self] item in
      let rows = item * Self.readRows..<min((item + 1) * Self.readRows, visible.count)
      scratch.with { arena in
        memory.read(
          queries + rows.lowerBound * columns.queries, visible.rows(rows), anyContext: context,
          anyBuffer: buffer, into: out + rows.lowerBound * columns.read, scratch: arena)
      }
    }
  }

  /// Rows `rows` of `from`, one after the other: in place where they are so already.
  private func gather(
    _ from: UnsafeMutablePointer<Float>, _ rows: Places.Indices, into out: UnsafeMutablePointer<Float>
  ) -> UnsafeMutablePointer<Float> {
    guard rows.count > 0 else { return from }
    if rows.contiguous { return from + Int(rows.pointer[0]) * width }
    for index in 0..<rows.count {
      (out + index * width).update(from: from + Int(rows.pointer[index]) * width, count: width)
    }
    return out
  }

  // MARK: Rows taken in later

  /// The states with further rows, or (`removing`) without rows that were read before: block by block the rows' own keys and
  /// values join the state or leave it; no other row is read again.
  ///
  /// - Parameter h: representations of the rows, `[rows, width]`; overwritten.
  /// - Returns: nil where a memory cannot do it.
  func merging(
    _ states: [State], _ h: UnsafeMutablePointer<Float>, rows: Int, removing: Bool, _ run: Workspace
  ) -> [State]? {
    var merged: [State] = []
    for (index, block) in blocks.enumerated() {
      let memory = memories[index]
      let normed = block.normed(h, rows: rows, run)
      let draft = memory.anyDraft(rows: rows)
      memory.write(
        block.store(normed, rows: rows, run), rows: 0..<rows, toAny: draft, scratch: run.arena)
      guard let state = memory.merge(any: states[index], memory.finish(any: draft), removing: removing) else {
        return nil
      }
      merged.append(state)
      guard index < blocks.count - 1 else { break }
      // A row that leaves reads what it read when it came: the state with itself in it.
      block.transform(h, normed, rows: rows, run) { queries, out in
        memory.read(
          queries, rows: rows, anyContext: removing ? states[index] : state, into: out, scratch: run.arena)
      }
    }
    return merged
  }

  // MARK: States outside the program

  /// What the states of `rows` rows are kept as, block after block; names are unique.
  func stateArrays(rows: Int) -> [[StateArray]] {
    memories.enumerated().map { index, memory in
      memory.stateArrays(rows: rows).map { StateArray("layer.\(index).\($0.name)", $0.shape) }
    }
  }

  func values(of states: [State]) -> [[Float]] {
    zip(memories, states).flatMap { $0.values(ofAny: $1) }
  }

  /// The states with these values, which may come from any file; nil where no encoding of `rows` rows has them.
  func states(rows: Int, values: [[Float]]) -> [State]? {
    let arrays = stateArrays(rows: rows)
    guard values.count == arrays.reduce(0, { $0 + $1.count }) else { return nil }
    var (states, first): ([State], Int) = ([], 0)
    for (memory, own) in zip(memories, arrays) {
      guard
        let state = memory.anyContext(rows: rows, values: Array(values[first..<first + own.count]))
      else { return nil }
      states.append(state)
      first += own.count
    }
    return states
  }

  /// The most that a block's regression needed beyond the ridge it has learned; 0 as a rule.
  func raised(_ states: [State]) -> Double {
    zip(memories, states).map { $0.raised(any: $1) }.max() ?? 0
  }

  package func buffers(paths: Int, capacity: Int) -> [AnyObject] {
    zip(blocks, memories).map { block, memory in
      let buffer = memory.anyBuffer(paths: paths, capacity: capacity)
      let recent = block.mixer.recent(paths: paths, capacity: capacity, reach: Self.reach(memory))
      return recent.map { ConvolvedBuffer(memory: buffer, recent: $0) } ?? buffer
    }
  }

  /// How many rows a memory takes back; nil for all.
  private static func reach(_ memory: any Memory) -> Int? {
    if case .newest(let chunk) = memory.capability.prefixReads { chunk } else { nil }
  }

  /// A memory's buffer beside the rows that a short convolution takes in.
  private final class ConvolvedBuffer {
    let memory: AnyObject
    let recent: RecentRows
    init(memory: AnyObject, recent: RecentRows) { (self.memory, self.recent) = (memory, recent) }
  }

  func contextBytes(rows: Int) -> Int { memories.reduce(0) { $0 + $1.contextBytes(rows: rows) } }
  package func bufferBytes(capacity: Int) -> Int {
    zip(blocks, memories).reduce(0) { sum, layer in
      sum + layer.1.bufferBytes(capacity: capacity)
        + layer.0.mixer.recentBytes(capacity: capacity, reach: Self.reach(layer.1))
    }
  }
}
