import CChorusKernels
import ChorusTensors
import Foundation

/// A memory whose state is one matrix a head that changes from row to row, as its rule tells (spec 1.4 A, A′, B).
///
/// A path keeps the state at the beginning of the chunk that its newest row is in, and of the chunk before it, each with its
/// rows: a read takes the state at the beginning of the chunk where its prefix ends, and the chunk's rows one by one. So
/// what a prefix reads does not depend on how far its path has come since, or has been taken back.
struct RecurrentMemory<Rule: RecurrentRule>: HeadwiseMemory {
  let rule: Rule
  let sizes: AttentionSizes
  let shape: MemoryShape
  let values: MemoryValues
  let capability: Capability
  let map: any FeatureMap
  let rank: Int

  /// Rows of a chunk. With a gate a column every pair of rows takes exponentials, so chunks are shorter.
  static var chunk: Int { Rule.channels ? 16 : 32 }
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

  /// S from row to row, then φ(q)·S.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let state = head.recurrence { state, row, steps in
      let (key, terms) = (head.features(row.key), Rule.reference(row, head, steps: steps))
      for i in key.indices {
        let kept = exp(terms.fades[Rule.channels ? i : 0])
        for j in state[i].indices { state[i][j] *= kept }
      }
      let known = Rule.corrects ? head.read(key, state) : head.nothing
      for i in key.indices {
        for j in known.indices { state[i][j] += terms.rate * key[i] * (row.value[j] - known[j]) }
      }
    }
    let kept = exp(Rule.fade(steps: head.distance, head: head.head))
    return ReferenceRead(head.read(head.features(query), state).map { kept * $0 })
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    rule = Rule(sizes, values)
    self.sizes = sizes
    self.values = values
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    map = FeatureMaps.named(orIdentity: spec.features)
    rank = map.count(sizes.width)
  }

  /// Floats of a head's state.
  var stateCount: Int { rank * sizes.width }

  // MARK: Context

  final class Context: Sendable {
    let rows: Int
    /// S of every head, `[heads][rank, width]`, plain and packed.
    let states: FloatBuffer
    let packed: FloatBuffer
    init(rows: Int, states: FloatBuffer, packed: FloatBuffer) {
      (self.rows, self.states, self.packed) = (rows, states, packed)
    }
  }

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }

  func finish(_ draft: StoredRows) -> Context {
    let states = FloatBuffer(count: sizes.heads * stateCount)
    let scratch = Arena(blockCount: 1 << 14)
    let chunk = chunk(in: scratch)
    for head in 0..<sizes.heads {
      let state = states.pointer + head * stateCount
      for first in stride(from: 0, to: draft.count, by: Self.chunk) {
        let mark = scratch.mark
        let count = min(Self.chunk, draft.count - first)
        fill(chunk, draft.row(first), count, head, state, scratch)
        fold(chunk, count, state, into: state, scratch)
        scratch.rewind(to: mark)
      }
    }
    return context(rows: draft.count, states)
  }

  private func context(rows: Int, _ states: FloatBuffer) -> Context {
    let packed = FloatBuffer(
      count: sizes.heads * ck_packed_count(Int32(rank), Int32(sizes.width)))
    PackedHeads.pack(states.array, sizes.heads, rank, sizes.width, into: packed)
    return Context(rows: rows, states: states, packed: packed)
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
  private var headCount: Int { stateCount + Self.chunk * (rank + sizes.width) }
  /// Numbers of g a row.
  var fadeColumns: Int { Rule.channels ? rank : 1 }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(
      places: paths * Self.kept, floats: sizes.heads * headCount,
      fades: sizes.heads * Self.chunk * fadeColumns, rows: Self.chunk)
  }

  /// Where a chunk of a path is in the ring.
  private func place(_ chunk: Int, path: Int) -> Int { path * Self.kept + chunk % Self.kept }

  private func state(_ buffer: Buffer, _ place: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    buffer.floats.pointer + (place * sizes.heads + head) * headCount
  }

  private func chunk(_ buffer: Buffer, _ place: Int, _ head: Int) -> RecurrentChunk {
    let keys = state(buffer, place, head) + stateCount
    return RecurrentChunk(
      keys: keys, values: keys + Self.chunk * rank,
      fades: buffer.fades.pointer + (place * sizes.heads + head) * Self.chunk * fadeColumns)
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
        self.chunk(buffer, before, head), Self.chunk,
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
    let features = features(queries, rows, scratch)
    for head in 0..<sizes.heads {
      var arguments = ck_matmul_args()
      (arguments.m, arguments.k, arguments.n) = (Int32(rows), Int32(rank), Int32(sizes.width))
      arguments.a = UnsafePointer(features + head * rank)
      arguments.lda = Int32(sizes.heads * rank)
      arguments.packed = UnsafePointer(
        context.packed.pointer + head * ck_packed_count(Int32(rank), Int32(sizes.width)))
      arguments.c = out + head * sizes.width
      arguments.ldc = Int32(sizes.columns)
      ck_matmul(&arguments)
    }
    scratch.rewind(to: mark)
  }

  /// φ of queries, `[rows, heads·rank]`.
  private func features(_ queries: UnsafePointer<Float>, _ rows: Int, _ scratch: Arena)
    -> UnsafeMutablePointer<Float>
  {
    let features = scratch.floats(rows * sizes.heads * rank)
    for row in 0..<rows * sizes.heads {
      map.apply(queries + row * sizes.width, width: sizes.width, into: features + row * rank)
    }
    return features
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let features = features(queries, visible.count, scratch)
    let faded = scratch.doubles(fadeColumns)
    for row in 0..<visible.count {
      let (path, limit) = (Int(visible.paths[row]), Int(visible.limits[row]))
      let number = max(0, limit - 1) / Self.chunk
      let (place, count) = (place(number, path: path), limit - number * Self.chunk)
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
        read(
          features + (row * sizes.heads + head) * rank, faded, count,
          start(number, path: path, head, context, buffer), chunk,
          into: out + row * sizes.columns + head * sizes.width, scratch)
      }
    }
    scratch.rewind(to: mark)
  }

  // MARK: Outside the program

  func stateArrays(rows: Int) -> [StateArray] { [StateArray("state", [sizes.heads, rank, sizes.width])] }
  func values(of context: Context) -> [[Float]] { [context.states.array] }
  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    return context(rows: rows, FloatBuffer(values[0]))
  }

  func contextBytes(rows: Int) -> Int {
    4 * sizes.heads * (stateCount + ck_packed_count(Int32(rank), Int32(sizes.width)))
  }
  func bufferBytes(capacity: Int) -> Int {
    Self.kept * (sizes.heads * (4 * headCount + 8 * Self.chunk * fadeColumns) + 4 * Self.chunk)
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
