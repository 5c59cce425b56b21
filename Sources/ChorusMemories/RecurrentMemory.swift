import CChorusKernels
import ChorusTensors
import Foundation

/// A memory whose state is one matrix a head that changes from row to row, as its rule tells (gates of a head
/// or a channel as in Mamba-2, Dao & Gu 2024, and GLA, Yang et al. 2024; delta rules as in DeltaNet, Yang et al. 2024).
///
/// A path keeps the state at the beginning of the chunk that its newest row is in, and of the chunk before it, each with its
/// rows: a read takes the state at the beginning of the chunk where its prefix ends, and the chunk's rows one by one. So
/// what a prefix reads does not depend on how far its path has come since, or has been taken back.
struct RecurrentMemory<Rule: RecurrentRule>: HeadwiseMemory, ChunkedTraining {
  let rule: Rule
  let sizes: AttentionSizes
  let shape: MemoryShape
  let values: MemoryValues
  let capability: Capability
  let map: any FeatureMap
  let features: Int
  /// Rows and columns of a head's state.
  let rank: Int
  let columns: Int
  /// The most moves of a chunk in training.
  var trainingChunk = 64

  /// Rows of a chunk. With a gate a column every pair of moves takes exponentials, so chunks are shorter.
  static var chunk: Int { (Rule.channels ? 16 : 32) / Rule.moves }
  /// Moves of a chunk.
  static var moves: Int { chunk * Rule.moves }
  /// Chunks that a path keeps.
  static var kept: Int { 2 }
  /// The least g: a state that keeps less than e⁻⁴⁰ of itself keeps nothing in single precision, and the exponents of a
  /// chunk stay within what Double can hold.
  static var leastFade: Double { -40 }

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    MemoryShape(
      StoredLayout(sizes, gates: Rule.gates(sizes)), read: sizes.columns, parameters: Rule.parameters(sizes))
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: false, fixedState: true, prefixReads: .newest(chunk: chunk))
  }

  /// S from row to row and move to move, then what φ(q) reads of it.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let (rank, width) = (Rule.rank(head.rank), head.sizes.width)
    let columns = Rule.columns(head.rank, width: width)
    var seen = (0..<rank).map { i in
      (0..<columns).map { $0 >= width && $0 - width == i ? Rule.start(head) : 0 }
    }
    _ = head.recurrence(from: seen) { state, row, steps in
      let moves = Rule.reference(row, head, steps: steps)
      for (number, move) in moves.enumerated() {
        let key = move.key ?? head.features(row.key)
        for i in key.indices {
          let kept = exp(move.fades[Rule.channels ? i : 0])
          for j in state[i].indices { state[i][j] *= kept }
        }
        let known = head.read(move.erase ?? key, state)
        let value = move.value ?? row.value
        for i in key.indices {
          for j in known.indices {
            state[i][j] += move.rate * key[i] * (value[j] - (Rule.corrects ? known[j] : 0))
          }
        }
        if number == moves.count - 1 - Rule.unread { seen = state }
      }
    }
    let kept = exp(Rule.fade(steps: head.distance, head: head.head))
    return ReferenceRead(Rule.read(head.features(query), head, of: seen.map { $0.map { kept * $0 } }))
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    rule = Rule(spec, sizes, values)
    self.sizes = sizes
    self.values = values
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    map = FeatureMaps.named(orIdentity: spec.features)
    features = map.count(sizes.width)
    rank = Rule.rank(features)
    columns = Rule.columns(features, width: sizes.width)
  }

  /// Floats of a head's state.
  var stateCount: Int { rank * columns }

  // MARK: Context

  final class Context: Sendable {
    let rows: Int
    /// S of every head, `[heads][rank, columns]`: what the next row changes, and what is read, which is the same unless reads
    /// do not see all moves.
    let states: FloatBuffer
    let reads: FloatBuffer
    /// What is read, packed, where a read is a product.
    let packed: FloatBuffer
    init(rows: Int, states: FloatBuffer, reads: FloatBuffer, packed: FloatBuffer) {
      (self.rows, self.states, self.reads, self.packed) = (rows, states, reads, packed)
    }
  }

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }

  func finish(_ draft: StoredRows) -> Context {
    let states = FloatBuffer(count: sizes.heads * stateCount)
    let reads = Rule.unread > 0 ? FloatBuffer(count: sizes.heads * stateCount) : states
    let scratch = Arena(blockCount: 1 << 14)
    let chunk = chunk(in: scratch)
    for head in 0..<sizes.heads {
      let state = states.pointer + head * stateCount
      begin(state, head)
      for first in stride(from: 0, to: draft.count, by: Self.chunk) {
        let mark = scratch.mark
        let count = min(Self.chunk, draft.count - first)
        fill(chunk, draft.row(first), count, head, state, scratch)
        if Rule.unread > 0, first + count == draft.count {
          fold(
            chunk, count * Rule.moves - Rule.unread, state, into: reads.pointer + head * stateCount, scratch)
        }
        fold(chunk, count * Rule.moves, state, into: state, scratch)
        scratch.rewind(to: mark)
      }
    }
    return context(rows: draft.count, states, reads)
  }

  /// The state before the first row, of a state of zeros.
  private func begin(_ state: UnsafeMutablePointer<Float>, _ head: Int) {
    for i in 0..<min(rank, columns - sizes.width) { state[i * columns + sizes.width + i] = rule.start(head) }
  }

  private func context(rows: Int, _ states: FloatBuffer, _ reads: FloatBuffer) -> Context {
    let packed = FloatBuffer(count: packedCount)
    if Rule.readsProduct { PackedHeads.pack(reads.array, sizes.heads, rank, columns, into: packed) }
    return Context(rows: rows, states: states, reads: reads, packed: packed)
  }

  private var packedCount: Int {
    Rule.readsProduct ? sizes.heads * ck_packed_count(Int32(rank), Int32(columns)) : 0
  }

  // MARK: Buffer

  /// For each path the chunks it keeps, in a ring.
  final class Buffer {
    /// Which chunk of its path is in each place of the ring; -1 for none.
    var chunks: [Int]
    let floats: FloatBuffer
    let fades: DoubleBuffer
    /// The rows' places in the sequence.
    var positions: [Int32]

    init(places: Int, floats: Int, fades: Int, rows: Int) {
      chunks = [Int](repeating: -1, count: places)
      self.floats = FloatBuffer(count: places * floats)
      self.fades = DoubleBuffer(count: places * fades)
      positions = [Int32](repeating: 0, count: places * rows)
    }
  }

  /// Floats of a head of one chunk: the state at its beginning, the keys and the values.
  private var headCount: Int { stateCount + Self.moves * (rank + columns) }
  /// Numbers of g a move.
  var fadeColumns: Int { Rule.channels ? rank : 1 }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(
      places: paths * Self.kept, floats: sizes.heads * headCount,
      fades: sizes.heads * Self.moves * fadeColumns, rows: Self.chunk)
  }

  /// Where a chunk of a path is in the ring.
  private func place(_ chunk: Int, path: Int) -> Int { path * Self.kept + chunk % Self.kept }

  private func state(_ buffer: Buffer, _ place: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    buffer.floats.pointer + (place * sizes.heads + head) * headCount
  }

  private func chunk(_ buffer: Buffer, _ place: Int, _ head: Int) -> RecurrentChunk {
    let keys = state(buffer, place, head) + stateCount
    return RecurrentChunk(
      keys: keys, values: keys + Self.moves * rank,
      fades: buffer.fades.pointer + (place * sizes.heads + head) * Self.moves * fadeColumns)
  }

  /// The state at the beginning of a chunk that is kept.
  private func start(_ chunk: Int, path: Int, _ head: Int, _ context: Context, _ buffer: Buffer)
    -> UnsafePointer<Float>
  {
    if chunk == 0 { return UnsafePointer(context.states.pointer + head * stateCount) }
    return UnsafePointer(state(buffer, place(chunk, path: path), head))
  }

  /// Makes a chunk the newest of its path.
  private func open(_ chunk: Int, path: Int, _ context: Context, _ buffer: Buffer, _ scratch: Arena) {
    let place = place(chunk, path: path)
    buffer.chunks[place] = chunk
    guard chunk > 0 else { return }
    let before = self.place(chunk - 1, path: path)
    precondition(buffer.chunks[before] == chunk - 1, "rows of a path are committed one after the other")
    for head in 0..<sizes.heads {
      fold(
        self.chunk(buffer, before, head), Self.moves,
        start(chunk - 1, path: path, head, context, buffer), into: state(buffer, place, head), scratch)
    }
  }

  /// The place in the sequence of the row before a slot.
  private func position(before slot: Int, path: Int, _ context: Context, _ buffer: Buffer) -> Int {
    guard slot > 0 else { return context.rows - 1 }
    let place = place((slot - 1) / Self.chunk, path: path)
    return Int(buffer.positions[place * Self.chunk + (slot - 1) % Self.chunk])
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    let mark = scratch.mark
    for index in 0..<rows.count {
      let (path, slot) = (Int(rows.paths[index]), Int(rows.slots[index]))
      let (number, local) = (slot / Self.chunk, slot % Self.chunk)
      let place = place(number, path: path)
      if local == 0 { open(number, path: path, context, buffer, scratch) }
      precondition(
        buffer.chunks[place] == number, "a recurrent memory takes back rows of its newest chunks only")
      let before = position(before: slot, path: path, context, buffer)
      let position = rows.positions.map { Int($0[index]) } ?? before + 1
      buffer.positions[place * Self.chunk + local] = Int32(position)
      for head in 0..<sizes.heads {
        add(
          StoredRow(stored + index * shape.stored, head, shape.layout), local, head, steps: position - before,
          start(number, path: path, head, context, buffer), to: chunk(buffer, place, head), scratch)
      }
      scratch.rewind(to: mark)
    }
  }

  // MARK: Reading

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    let mark = scratch.mark
    let asked = features(queries, rows, scratch)
    for head in 0..<sizes.heads {
      guard Rule.readsProduct else {
        let state = context.reads.pointer + head * stateCount
        for row in 0..<rows {
          rule.read(
            asked + (row * sizes.heads + head) * features, head,
            of: {
              weigh($0, rank, state, stride: columns, columns: columns, into: $1, adding: false, scratch)
            },
            into: out + row * sizes.columns + head * sizes.width, scratch)
        }
        continue
      }
      var arguments = ck_matmul_args()
      (arguments.m, arguments.k, arguments.n) = (Int32(rows), Int32(rank), Int32(columns))
      arguments.a = UnsafePointer(asked + head * rank)
      arguments.lda = Int32(sizes.heads * rank)
      arguments.packed = UnsafePointer(
        context.packed.pointer + head * ck_packed_count(Int32(rank), Int32(columns)))
      arguments.c = out + head * sizes.width
      arguments.ldc = Int32(sizes.columns)
      ck_matmul(&arguments)
    }
    scratch.rewind(to: mark)
  }

  /// φ of queries, `[rows, heads·features]`.
  private func features(_ queries: UnsafePointer<Float>, _ rows: Int, _ scratch: Arena)
    -> UnsafeMutablePointer<Float>
  {
    let out = scratch.floats(rows * sizes.heads * features)
    for row in 0..<rows * sizes.heads {
      map.apply(queries + row * sizes.width, width: sizes.width, into: out + row * features)
    }
    return out
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let asked = features(queries, visible.count, scratch)
    let faded = scratch.doubles(fadeColumns)
    for row in 0..<visible.count {
      let (path, limit) = (Int(visible.paths[row]), Int(visible.limits[row]))
      let number = max(0, limit - 1) / Self.chunk
      let place = place(number, path: path)
      let count = limit == 0 ? 0 : (limit - number * Self.chunk) * Rule.moves - Rule.unread
      precondition(
        limit == 0 || buffer.chunks[place] == number,
        "a recurrent memory reads prefixes of its newest chunks only")
      let steps = visible.positions.map {
        Int($0[row]) - position(before: limit, path: path, context, buffer)
      }
      for head in 0..<sizes.heads {
        let chunk = chunk(buffer, place, head)
        let behind = Rule.fade(steps: steps ?? 0, head: head)
        for i in 0..<fadeColumns {
          faded[i] = behind + (count > 0 ? chunk.fades[(count - 1) * fadeColumns + i] : 0)
        }
        let start =
          limit == 0
          ? UnsafePointer(context.reads.pointer + head * stateCount)
          : start(number, path: path, head, context, buffer)
        rule.read(
          asked + (row * sizes.heads + head) * features, head,
          of: { read($0, faded, count, start, chunk, into: $1, scratch) },
          into: out + row * sizes.columns + head * sizes.width, scratch)
      }
    }
    scratch.rewind(to: mark)
  }

  // MARK: Outside the program

  func stateArrays(rows: Int) -> [StateArray] {
    (Rule.unread > 0 ? ["state", "read"] : ["state"]).map { StateArray($0, [sizes.heads, rank, columns]) }
  }
  func values(of context: Context) -> [[Float]] {
    (Rule.unread > 0 ? [context.states, context.reads] : [context.states]).map(\.array)
  }
  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let states = values.map { FloatBuffer($0) }
    return context(rows: rows, states[0], states[states.count - 1])
  }
  func raised(_ context: Context) -> Double {
    (0..<sizes.heads).reduce(0) { max($0, rule.raised(context.reads.pointer + $1 * stateCount, $1)) }
  }

  func contextBytes(rows: Int) -> Int {
    4 * ((Rule.unread > 0 ? 2 : 1) * sizes.heads * stateCount + packedCount)
  }
  func bufferBytes(capacity: Int) -> Int {
    Self.kept * (sizes.heads * (4 * headCount + 8 * Self.moves * fadeColumns) + 4 * Self.chunk)
  }
}

/// Doubles that live as long as their owner, beginning as zeros.
final class DoubleBuffer {
  let pointer: UnsafeMutablePointer<Double>
  init(count: Int) {
    pointer = .allocate(capacity: max(1, count))
    pointer.initialize(repeating: 0, count: max(1, count))
  }
  deinit { pointer.deallocate() }
}
