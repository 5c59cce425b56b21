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
}

extension RecurrentMemory {
  func chunk(in scratch: Arena) -> RecurrentChunk {
    RecurrentChunk(
      keys: scratch.floats(Self.moves * rank), values: scratch.floats(Self.moves * columns),
      fades: scratch.doubles(Self.moves * fadeColumns))
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

  /// A move's k and value, its g added to the sums, and its p; returns β.
  private func enter(
    _ row: StoredRow, _ index: Int, _ head: Int, steps: Int, to chunk: RecurrentChunk,
    erase: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) -> Float {
    let mark = scratch.mark
    let (key, value) = (scratch.zeros(max(rank, features)), chunk.values + index * columns)
    map.apply(row.key, width: sizes.width, into: key)
    erase.update(from: key, count: rank)
    value.update(from: row.value, count: sizes.width)
    (value + sizes.width).update(repeating: 0, count: columns - sizes.width)
    let fade = chunk.fades + index * fadeColumns
    let rate = rule.terms(
      row, head, steps: steps,
      into: RecurrentMove(number: index % Rule.moves, fade: fade, key: key, erase: erase, value: value))
    for i in 0..<rank { chunk.keys[i * Self.moves + index] = key[i] }
    for i in 0..<fadeColumns {
      fade[i] = max(fade[i], Self.leastFade) + (index > 0 ? chunk.fades[(index - 1) * fadeColumns + i] : 0)
    }
    scratch.rewind(to: mark)
    return Float(rate)
  }

  /// Step form: adds row `index`, counted from the chunk's beginning, behind those before it.
  func add(
    _ row: StoredRow, _ index: Int, _ head: Int, steps: Int, _ start: UnsafePointer<Float>,
    to chunk: RecurrentChunk, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (erase, known) = (scratch.floats(rank), scratch.zeros(columns))
    for index in index * Rule.moves..<(index + 1) * Rule.moves {
      let rate = enter(row, index, head, steps: steps, to: chunk, erase: erase, scratch)
      if Rule.corrects {
        read(erase, chunk.fades + index * fadeColumns, index, start, chunk, into: known, scratch)
      }
      let value = chunk.values + index * columns
      for j in 0..<columns { value[j] = rate * (value[j] - known[j]) }
    }
    scratch.rewind(to: mark)
  }

  /// What a query reads of the state at the chunk's beginning and of its first `count` moves, all of them faded by `fade`, a
  /// sum of g from the chunk's beginning on.
  func read(
    _ query: UnsafePointer<Float>, _ fade: UnsafePointer<Double>, _ count: Int, _ start: UnsafePointer<Float>,
    _ chunk: RecurrentChunk, into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (faded, scores) = (scratch.floats(rank), scratch.floats(Self.moves))
    keep(query, by: fade, into: faded)
    weigh(faded, rank, start, stride: columns, columns: columns, into: out, adding: false, scratch)
    if count > 0 {
      score(query, fade, count, chunk, into: scores, scratch)
      weigh(scores, count, chunk.values, stride: columns, columns: columns, into: out, adding: true, scratch)
    }
    scratch.rewind(to: mark)
  }

  /// x times what `fade`, a sum of g, keeps.
  private func keep(
    _ x: UnsafePointer<Float>, by fade: UnsafePointer<Double>, into out: UnsafeMutablePointer<Float>
  ) {
    guard Rule.channels else {
      let kept = Float(exp(fade[0]))
      for i in 0..<rank { out[i] = x[i] * kept }
      return
    }
    for i in 0..<rank { out[i] = Float(fade[i]) }
    ck_exp(rank, out, out)
    for i in 0..<rank { out[i] *= x[i] }
  }

  /// Σ_d q_d k_d e^(fade_d − fade of the move), of the first `count` moves.
  private func score(
    _ query: UnsafePointer<Float>, _ fade: UnsafePointer<Double>, _ count: Int, _ chunk: RecurrentChunk,
    into scores: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    guard Rule.channels else {
      // What is not asked for comes along where that is whole registers.
      let columns = Self.moves.isMultiple(of: 16) ? (count + 15) / 16 * 16 : count
      weigh(
        query, rank, chunk.keys, stride: Self.moves, columns: columns, into: scores, adding: false, scratch)
      let kept = scratch.floats(count)
      for j in 0..<count { kept[j] = Float(fade[0] - chunk.fades[j]) }
      ck_exp(count, kept, kept)
      for j in 0..<count { scores[j] *= kept[j] }
      return
    }
    let kept = scratch.floats(count * rank)
    for j in 0..<count {
      for i in 0..<rank { kept[j * rank + i] = Float(fade[i] - chunk.fades[j * rank + i]) }
    }
    ck_exp(count * rank, kept, kept)
    for i in 0..<rank {
      for j in 0..<count { kept[j * rank + i] *= chunk.keys[i * Self.moves + j] }
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
    let left = scratch.floats(count * rank)
    let whole = chunk.fades + (count - 1) * fadeColumns
    for i in 0..<rank {
      let kept = Float(exp(whole[Rule.channels ? i : 0]))
      for j in 0..<columns { state[i * columns + j] = kept * start[i * columns + j] }
    }
    for index in 0..<count {
      let (fade, row) = (chunk.fades + index * fadeColumns, left + index * rank)
      for i in 0..<fadeColumns { row[i] = Float(whole[i] - fade[i]) }
      ck_exp(fadeColumns, row, row)
      if !Rule.channels { row.update(repeating: row[0], count: rank) }
      for i in 0..<rank { row[i] *= chunk.keys[i * Self.moves + index] }
    }
    let (m, n, k) = (Int32(rank), Int32(columns), Int32(count))
    ck_matmul_tn(
      m, n, k, left, m, chunk.values, n, state, n, 1, scratch.floats(ck_matmul_tn_scratch(m, n, k)))
    scratch.rewind(to: mark)
  }

  /// Chunk form: all rows at once, each directly behind the one before. A rule that corrects solves
  /// (I + A) R = β (V − (e^b p)·S) with A = β (p·k) e^(b_i − b_j) below the diagonal (Yang et al. 2025, Gated DeltaNet).
  func fill(
    _ chunk: RecurrentChunk, _ rows: UnsafePointer<Float>, _ rowCount: Int, _ head: Int,
    _ start: UnsafePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let count = rowCount * Rule.moves
    let (erases, rates) = (scratch.floats(count * rank), scratch.floats(count))
    for index in 0..<count {
      let row = StoredRow(rows + index / Rule.moves * shape.stored, head, shape.layout)
      rates[index] = enter(row, index, head, steps: 1, to: chunk, erase: erases + index * rank, scratch)
    }
    let known = scratch.zeros(count * columns)
    if Rule.corrects { read(erases, count, start, chunk, into: known, scratch) }
    let scores = scratch.floats(Self.moves)
    for index in 0..<count {
      let (value, sum) = (chunk.values + index * columns, known + index * columns)
      if Rule.corrects, index > 0 {
        score(
          erases + index * rank, chunk.fades + index * fadeColumns, index, chunk, into: scores, scratch)
        weigh(
          scores, index, chunk.values, stride: columns, columns: columns, into: sum, adding: true, scratch)
      }
      for j in 0..<columns { value[j] = rates[index] * (value[j] - sum[j]) }
    }
    scratch.rewind(to: mark)
  }

  /// What all moves of a chunk read at p of the state at its beginning.
  private func read(
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
