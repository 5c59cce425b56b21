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
  let form: RecurrentForm
  /// The most moves of a chunk in training: fewer where every step of a solver asks all of them.
  var trainingChunk: Int

  /// Rows of a chunk. With a gate a column every pair of moves takes exponentials, so chunks are shorter.
  static var chunk: Int { (Rule.channels ? 16 : 32) / Rule.moves }
  /// Moves of a chunk.
  static var moves: Int { chunk * Rule.moves }
  /// Chunks that a path keeps.
  static var kept: Int { 2 }
  static var leastFade: Double { RecurrentForm.leastFade }

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
    var carried = [Double](repeating: 0, count: Rule.carried(rank))
    _ = head.recurrence(from: seen) { state, row, steps in
      let moves = Rule.reference(row, head, steps: steps, carrying: &carried)
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
    form = RecurrentForm(Self.self, features: features, width: sizes.width)
    trainingChunk = rule.conjugateSteps == nil ? 64 : 32
  }

  /// Rows and columns of a head's state, and its floats.
  var rank: Int { form.rank }
  var columns: Int { form.columns }
  var stateCount: Int { form.stateCount }

  // MARK: Context

  final class Context: Sendable {
    let rows: Int
    /// S of every head, `[heads][rank, columns]`: what the next row changes, and what is read, which is the same unless reads
    /// do not see all moves.
    let states: FloatBuffer
    let reads: FloatBuffer
    /// What is read, packed, where a read is a product.
    let packed: FloatBuffer
    /// What is handed on, `[heads][carried]`.
    let carried: FloatBuffer
    init(rows: Int, states: FloatBuffer, reads: FloatBuffer, packed: FloatBuffer, carried: FloatBuffer) {
      (self.rows, self.states, self.reads, self.packed) = (rows, states, reads, packed)
      self.carried = carried
    }
  }

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }

  func finish(_ draft: StoredRows) -> Context {
    let states = FloatBuffer(count: sizes.heads * stateCount)
    let reads = form.unread > 0 ? FloatBuffer(count: sizes.heads * stateCount) : states
    let carried = FloatBuffer(count: sizes.heads * form.carriedCount)
    let scratch = Arena(blockCount: 1 << 14)
    let chunk = form.chunk(in: scratch)
    for head in 0..<sizes.heads {
      let state = states.pointer + head * stateCount
      let handed = carried.pointer + head * form.carriedCount
      begin(state, head)
      for first in stride(from: 0, to: draft.count, by: Self.chunk) {
        let mark = scratch.mark
        let count = min(Self.chunk, draft.count - first)
        chunk.carried.update(from: handed, count: form.carriedCount)
        fill(chunk, draft.row(first), count, head, state, scratch)
        if form.unread > 0, first + count == draft.count {
          form.fold(
            chunk, count * form.moves - form.unread, state, into: reads.pointer + head * stateCount, scratch)
        }
        form.fold(chunk, count * form.moves, state, into: state, scratch)
        handed.update(from: chunk.carried + count * form.moves * form.carriedCount, count: form.carriedCount)
        scratch.rewind(to: mark)
      }
    }
    return context(rows: draft.count, states, reads, carried)
  }

  /// The state before the first row, of a state of zeros.
  private func begin(_ state: UnsafeMutablePointer<Float>, _ head: Int) {
    for i in 0..<min(rank, columns - sizes.width) { state[i * columns + sizes.width + i] = rule.start(head) }
  }

  private func context(
    rows: Int, _ states: FloatBuffer, _ reads: FloatBuffer, _ carried: FloatBuffer
  ) -> Context {
    let packed = FloatBuffer(count: packedCount)
    if form.readsProduct { PackedHeads.pack(reads.array, sizes.heads, rank, columns, into: packed) }
    return Context(rows: rows, states: states, reads: reads, packed: packed, carried: carried)
  }

  private var packedCount: Int {
    form.readsProduct ? sizes.heads * ck_packed_count(Int32(rank), Int32(columns)) : 0
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

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(
      places: paths * Self.kept, floats: sizes.heads * form.headCount,
      fades: sizes.heads * form.room * form.fadeColumns, rows: form.rows)
  }

  /// Where a chunk of a path is in the ring.
  private func place(_ chunk: Int, path: Int) -> Int { path * Self.kept + chunk % Self.kept }

  private func state(_ buffer: Buffer, _ place: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    buffer.floats.pointer + (place * sizes.heads + head) * form.headCount
  }

  private func chunk(_ buffer: Buffer, _ place: Int, _ head: Int) -> RecurrentChunk {
    form.chunk(
      at: state(buffer, place, head),
      fades: buffer.fades.pointer + (place * sizes.heads + head) * form.room * form.fadeColumns)
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
    guard chunk > 0 else {
      for head in 0..<sizes.heads {
        self.chunk(buffer, place, head).carried.update(
          from: context.carried.pointer + head * form.carriedCount, count: form.carriedCount)
      }
      return
    }
    let before = self.place(chunk - 1, path: path)
    precondition(buffer.chunks[before] == chunk - 1, "rows of a path are committed one after the other")
    for head in 0..<sizes.heads {
      self.chunk(buffer, place, head).carried.update(
        from: self.chunk(buffer, before, head).carried + form.room * form.carriedCount,
        count: form.carriedCount)
      form.fold(
        self.chunk(buffer, before, head), form.room,
        start(chunk - 1, path: path, head, context, buffer), into: state(buffer, place, head), scratch)
    }
  }

  /// The place in the sequence of the row before a slot.
  private func position(before slot: Int, path: Int, _ context: Context, _ buffer: Buffer) -> Int {
    guard slot > 0 else { return context.rows - 1 }
    let place = place((slot - 1) / form.rows, path: path)
    return Int(buffer.positions[place * form.rows + (slot - 1) % form.rows])
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    let mark = scratch.mark
    for index in 0..<rows.count {
      let (path, slot) = (Int(rows.paths[index]), Int(rows.slots[index]))
      let (number, local) = (slot / form.rows, slot % form.rows)
      let place = place(number, path: path)
      if local == 0 { open(number, path: path, context, buffer, scratch) }
      precondition(
        buffer.chunks[place] == number, "a recurrent memory takes back rows of its newest chunks only")
      let before = position(before: slot, path: path, context, buffer)
      let position = rows.positions.map { Int($0[index]) } ?? before + 1
      buffer.positions[place * form.rows + local] = Int32(position)
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
      guard form.readsProduct else {
        let state = context.reads.pointer + head * stateCount
        for row in 0..<rows {
          rule.read(
            asked + (row * sizes.heads + head) * features, head,
            of: {
              let part = $1 ?? 0..<columns
              form.weigh(
                $0, rank, state + part.lowerBound, stride: columns, columns: part.count, into: $2,
                adding: false, scratch)
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
    let faded = scratch.doubles(form.fadeColumns)
    for row in 0..<visible.count {
      let (path, limit) = (Int(visible.paths[row]), Int(visible.limits[row]))
      let number = max(0, limit - 1) / form.rows
      let place = place(number, path: path)
      let count = limit == 0 ? 0 : (limit - number * form.rows) * form.moves - form.unread
      precondition(
        limit == 0 || buffer.chunks[place] == number,
        "a recurrent memory reads prefixes of its newest chunks only")
      let steps = visible.positions.map {
        Int($0[row]) - position(before: limit, path: path, context, buffer)
      }
      for head in 0..<sizes.heads {
        let chunk = chunk(buffer, place, head)
        let behind = Rule.fade(steps: steps ?? 0, head: head)
        let n = form.fadeColumns
        if count > 0 {
          let sums = chunk.fades + (count - 1) * n
          for i in 0..<n { faded[i] = behind + sums[i] }
        } else {
          faded.update(repeating: behind, count: n)
        }
        let start =
          limit == 0
          ? UnsafePointer(context.reads.pointer + head * stateCount)
          : start(number, path: path, head, context, buffer)
        let query = asked + (row * sizes.heads + head) * features
        let to = out + row * sizes.columns + head * sizes.width
        if form.readsProduct {
          form.read(query, faded, count, start, chunk, into: to, scratch)
        } else {
          rule.read(
            query, head,
            of: { form.read($0, faded, count, start, chunk, columns: $1, into: $2, scratch) }, into: to,
            scratch)
        }
      }
    }
    scratch.rewind(to: mark)
  }

  // MARK: Outside the program

  func stateArrays(rows: Int) -> [StateArray] {
    (form.unread > 0 ? ["state", "read"] : ["state"]).map { StateArray($0, [sizes.heads, rank, columns]) }
      + (form.carriedCount > 0 ? [StateArray("carried", [sizes.heads, form.carriedCount])] : [])
  }
  func values(of context: Context) -> [[Float]] {
    (form.unread > 0 ? [context.states, context.reads] : [context.states]).map(\.array)
      + (form.carriedCount > 0 ? [context.carried.array] : [])
  }
  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let states = values.map { FloatBuffer($0) }
    return context(
      rows: rows, states[0], states[form.unread > 0 ? 1 : 0],
      form.carriedCount > 0 ? states[states.count - 1] : FloatBuffer(count: 0))
  }
  func raised(_ context: Context) -> Double {
    (0..<sizes.heads).reduce(0) { max($0, rule.raised(context.reads.pointer + $1 * stateCount, $1)) }
  }

  /// Of a path as long as may be: its chunk is half full in the mean, and every chunk is folded into the state once.
  var work: MemoryWork {
    let (heads, state) = (Double(sizes.heads), 2 * Double(rank * columns))
    // A move behind the state is a score and a value more; without lifted keys, exponentials too.
    let seen = Double(form.room - form.unread + 1) / 2
    let moves = seen * 2 * Double(rank + columns)
    var work = MemoryWork()
    work.write = heads * Double(form.moves) * (state + (form.corrects ? state + moves : 0))
    work.append = work.write
    let (scores, read) = (rule.products * rank, rule.productColumns ?? rule.products * columns)
    work.read =
      heads * (2 * (Double(rank * read) + seen * Double(scores + read)) + rule.readWork)
    work.contextNumbers = contextBytes(rows: 0) / 4
    work.pathNumbers = bufferBytes(capacity: 0) / 4
    return work
  }

  func contextBytes(rows: Int) -> Int {
    4 * ((form.unread > 0 ? 2 : 1) * sizes.heads * stateCount + sizes.heads * form.carriedCount + packedCount)
  }
  func bufferBytes(capacity: Int) -> Int {
    Self.kept * (sizes.heads * (4 * form.headCount + 8 * form.room * form.fadeColumns) + 4 * form.rows)
  }
}
