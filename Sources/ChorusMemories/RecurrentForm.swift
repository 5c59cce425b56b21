import CChorusKernels
import ChorusTensors
import Foundation

/// Moves of one head between two states, in the memory of a path or of a pass over a context.
struct RecurrentChunk {
  /// k, a column a move: `[rank][moves]`.
  let keys: UnsafeMutablePointer<Float>
  /// r, what each move adds at its key: `[moves][columns]`.
  let values: UnsafeMutablePointer<Float>
  /// Sums of g from the chunk's first move on, `[moves]` of a number or of `rank`.
  let fades: UnsafeMutablePointer<Double>
  /// e^(−c) k with c the sum of g up to the move, a column a move, where g is a number a row of the state: what a query times e^c
  /// is multiplied with. Holds anything where c is below `RecurrentForm.leastLift`.
  let lifted: UnsafeMutablePointer<Float>
  /// What is handed on: before the first move, and behind each, `[moves + 1]`.
  let carried: UnsafeMutablePointer<Float>
}

/// What a rule's numbers make of chunks, and the arithmetic of a head's chunk. None of it asks the rule: a memory that is generic in its rule
/// is not compiled for each, and to ask at every number would take longer than to compute.
struct RecurrentForm: Sendable {
  /// Rows and columns of a head's state.
  let rank: Int
  let columns: Int
  /// Whether every row of the state fades by itself, and whether a move's value is compared with what is read.
  let channels: Bool
  let corrects: Bool
  /// Whether a read is a product with the state and nothing else.
  let readsProduct: Bool
  /// Moves of a row, and how many of the newest row's last ones a read does not see.
  let moves: Int
  let unread: Int
  /// Rows of a chunk, and its moves.
  let rows: Int
  let room: Int
  /// Numbers of g a move, floats of lifted keys a chunk, and numbers that are handed on.
  let fadeColumns: Int
  let liftedCount: Int
  let carriedCount: Int

  init<Rule: RecurrentRule>(_ memory: RecurrentMemory<Rule>.Type, features: Int, width: Int) {
    rank = Rule.rank(features)
    columns = Rule.columns(features, width: width)
    (channels, corrects, readsProduct) = (Rule.channels, Rule.corrects, Rule.readsProduct)
    (moves, unread) = (Rule.moves, Rule.unread)
    (rows, room) = (memory.chunk, memory.moves)
    let own = Rule.rank(features)
    fadeColumns = Rule.channels ? own : 1
    liftedCount = Rule.channels ? memory.moves * own : 0
    carriedCount = Rule.carried(own)
  }

  /// The least g: a state that keeps less than e⁻⁴⁰ of itself keeps nothing in single precision, and the exponents of a
  /// chunk stay within what Double can hold.
  static var leastFade: Double { -40 }
  /// The least sum of g in a chunk whose keys are read as they are lifted by it: farther down Float holds neither them nor what
  /// they are multiplied with.
  static var leastLift: Double { -45 }

  /// Floats of a head's state.
  var stateCount: Int { rank * columns }
  /// Floats of a head of one chunk: the state at its beginning, the keys, the values, the lifted keys and what is handed on.
  var headCount: Int { stateCount + room * (rank + columns) + liftedCount + (room + 1) * carriedCount }

  func chunk(in scratch: Arena) -> RecurrentChunk {
    RecurrentChunk(
      keys: scratch.floats(room * rank), values: scratch.floats(room * columns),
      fades: scratch.doubles(room * fadeColumns),
      lifted: scratch.floats(liftedCount), carried: scratch.zeros((room + 1) * carriedCount))
  }

  /// A chunk in the memory of a path, behind the state at its beginning.
  func chunk(at state: UnsafeMutablePointer<Float>, fades: UnsafeMutablePointer<Double>) -> RecurrentChunk {
    let keys = state + stateCount
    let values = keys + room * rank
    let lifted = values + room * columns
    return RecurrentChunk(
      keys: keys, values: values, fades: fades, lifted: lifted, carried: lifted + liftedCount)
  }

  /// Puts a move's key beside those before it, and adds its g to their sum.
  func enter(_ key: UnsafePointer<Float>, _ index: Int, to chunk: RecurrentChunk, _ scratch: Arena) {
    let (fade, n, least) = (chunk.fades + index * fadeColumns, fadeColumns, Self.leastFade)
    let keys = chunk.keys + index
    for i in 0..<rank { keys[i * room] = key[i] }
    for i in 0..<n { fade[i] = fade[i] > least ? fade[i] : least }
    if index > 0 { for i in 0..<n { fade[i] += fade[i - n] } }
    guard channels else { return }
    let mark = scratch.mark
    let (lift, lifted, most) = (scratch.floats(rank), chunk.lifted + index, -Self.leastLift)
    for i in 0..<rank { lift[i] = Float(-fade[i] < most ? -fade[i] : most) }
    ck_exp(rank, lift, lift)
    for i in 0..<rank { lifted[i * room] = lift[i] * key[i] }
    scratch.rewind(to: mark)
  }

  /// out (+)= Σ weights_i · row i of `matrix`, whose rows are `stride` floats apart.
  func weigh(
    _ weights: UnsafePointer<Float>, _ count: Int, _ matrix: UnsafePointer<Float>, stride: Int, columns: Int,
    into out: UnsafeMutablePointer<Float>, adding: Bool, _ scratch: Arena
  ) {
    var arguments = ck_multiply_args()
    (arguments.m, arguments.n, arguments.k) = (1, Int32(columns), Int32(count))
    (arguments.a, arguments.a_along) = (weights, 1)
    (arguments.b, arguments.ldb) = (matrix, Int32(stride))
    (arguments.c, arguments.ldc, arguments.accumulate) = (out, Int32(columns), adding ? 1 : 0)
    // Whole registers of columns are read where they are.
    if !columns.isMultiple(of: 16) {
      arguments.scratch = scratch.floats(ck_packed_count(Int32(count), Int32(columns)))
    }
    ck_multiply(&arguments)
  }

  /// What a query reads of the state at the chunk's beginning and of its first `count` moves, all of them faded by `fade`, a
  /// sum of g from the chunk's beginning on: some of the columns, or all.
  func read(
    _ query: UnsafePointer<Float>, _ fade: UnsafePointer<Double>, _ count: Int, _ start: UnsafePointer<Float>,
    _ chunk: RecurrentChunk, columns part: Range<Int>? = nil, into out: UnsafeMutablePointer<Float>,
    _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (faded, scores) = (scratch.floats(rank), scratch.floats(room))
    let (first, some) = (part?.lowerBound ?? 0, part?.count ?? columns)
    keep(query, by: fade, into: faded)
    weigh(faded, rank, start + first, stride: columns, columns: some, into: out, adding: false, scratch)
    if count > 0 {
      score(query, faded, fade, count, chunk, into: scores, scratch)
      weigh(
        scores, count, chunk.values + first, stride: columns, columns: some, into: out, adding: true, scratch)
    }
    scratch.rewind(to: mark)
  }

  /// x times what `fade`, a sum of g, keeps.
  func keep(
    _ x: UnsafePointer<Float>, by fade: UnsafePointer<Double>, into out: UnsafeMutablePointer<Float>
  ) {
    guard channels else {
      let kept = Float(exp(fade[0]))
      for i in 0..<rank { out[i] = x[i] * kept }
      return
    }
    for i in 0..<rank { out[i] = Float(fade[i]) }
    ck_exp(rank, out, out)
    for i in 0..<rank { out[i] *= x[i] }
  }

  /// Whether the first `count` moves can be read by their lifted keys.
  private func lifts(_ count: Int, _ chunk: RecurrentChunk) -> Bool {
    let sums = chunk.fades + (count - 1) * fadeColumns
    // As numbers, since a running minimum would be taken one by one.
    var deep: Int64 = 0
    for i in 0..<fadeColumns { deep |= sums[i] < Self.leastLift ? 1 : 0 }
    return deep == 0
  }

  /// Σ_d q_d k_d e^(fade_d − fade of the move), of the first `count` moves; `faded` is the query times e^fade.
  func score(
    _ query: UnsafePointer<Float>, _ faded: UnsafePointer<Float>, _ fade: UnsafePointer<Double>,
    _ count: Int, _ chunk: RecurrentChunk, into scores: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    // What is not asked for comes along where that is whole registers.
    let columns = room.isMultiple(of: 16) ? (count + 15) / 16 * 16 : count
    guard channels else {
      weigh(
        query, rank, chunk.keys, stride: room, columns: columns, into: scores, adding: false, scratch)
      let kept = scratch.floats(count)
      for j in 0..<count { kept[j] = Float(fade[0] - chunk.fades[j]) }
      ck_exp(count, kept, kept)
      for j in 0..<count { scores[j] *= kept[j] }
      return
    }
    if lifts(count, chunk) {
      return weigh(
        faded, rank, chunk.lifted, stride: room, columns: columns, into: scores, adding: false, scratch)
    }
    let kept = scratch.floats(count * rank)
    for j in 0..<count {
      for i in 0..<rank { kept[j * rank + i] = Float(fade[i] - chunk.fades[j * rank + i]) }
    }
    ck_exp(count * rank, kept, kept)
    for i in 0..<rank {
      for j in 0..<count { kept[j * rank + i] *= chunk.keys[i * room + j] }
    }
    scores.update(repeating: 0, count: count)
    let n = Int32(rank)
    for j in 0..<count { ck_row_products(1, n, query, n, kept + j * rank, n, 1, scores + j) }
  }

  /// The state behind a chunk's first moves: e^b·S + Σ (e^(b − b_j) k_j) r_jᵀ with b the sum of g over all of them.
  func fold(
    _ chunk: RecurrentChunk, _ count: Int, _ start: UnsafePointer<Float>,
    into state: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let whole = chunk.fades + (count - 1) * fadeColumns
    if channels, lifts(count, chunk) {
      if UnsafePointer(state) != start { state.update(from: start, count: stateCount) }
      var arguments = ck_multiply_args()
      (arguments.m, arguments.n, arguments.k) = (Int32(rank), Int32(columns), Int32(count))
      (arguments.a, arguments.a_across, arguments.a_along) = (UnsafePointer(chunk.lifted), room, 1)
      (arguments.b, arguments.ldb) = (UnsafePointer(chunk.values), Int32(columns))
      (arguments.c, arguments.ldc, arguments.accumulate) = (state, Int32(columns), 1)
      arguments.scratch = scratch.floats(ck_packed_count(Int32(count), Int32(columns)))
      ck_multiply(&arguments)
      let kept = scratch.floats(rank)
      for i in 0..<rank { kept[i] = Float(whole[i]) }
      ck_exp(rank, kept, kept)
      for i in 0..<rank { for j in 0..<columns { state[i * columns + j] *= kept[i] } }
      return scratch.rewind(to: mark)
    }
    let left = scratch.floats(count * rank)
    for i in 0..<rank {
      let kept = Float(exp(whole[channels ? i : 0]))
      for j in 0..<columns { state[i * columns + j] = kept * start[i * columns + j] }
    }
    for index in 0..<count {
      let (fade, row) = (chunk.fades + index * fadeColumns, left + index * rank)
      for i in 0..<fadeColumns { row[i] = Float(whole[i] - fade[i]) }
      ck_exp(fadeColumns, row, row)
      if !channels { row.update(repeating: row[0], count: rank) }
      for i in 0..<rank { row[i] *= chunk.keys[i * room + index] }
    }
    let (m, n, k) = (Int32(rank), Int32(columns), Int32(count))
    ck_matmul_tn(
      m, n, k, left, m, chunk.values, n, state, n, 1, scratch.floats(ck_matmul_tn_scratch(m, n, k)))
    scratch.rewind(to: mark)
  }

  /// What all moves of a chunk read at p of the state at its beginning.
  func read(
    _ erases: UnsafePointer<Float>, _ count: Int, _ start: UnsafePointer<Float>, _ chunk: RecurrentChunk,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let faded = scratch.floats(rank * count)
    let row = scratch.floats(rank)
    for index in 0..<count {
      keep(erases + index * rank, by: chunk.fades + index * fadeColumns, into: row)
      for i in 0..<rank { faded[i * count + index] = row[i] }
    }
    let (m, n, k) = (Int32(count), Int32(columns), Int32(rank))
    ck_matmul_tn(m, n, k, faded, m, start, n, out, n, 0, scratch.floats(ck_matmul_tn_scratch(m, n, k)))
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
