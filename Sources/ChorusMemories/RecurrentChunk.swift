import CChorusKernels
import ChorusTensors
import Foundation

/// Rows of one head between two states, in the memory of a path or of a pass over a context.
struct RecurrentChunk {
  /// φ(k), a column a row: `[rank][chunk]`.
  let keys: UnsafeMutablePointer<Float>
  /// r, what each row adds at its key: `[chunk][width]`.
  let values: UnsafeMutablePointer<Float>
  /// Sums of g from the chunk's first row on, `[chunk]` of a number or of `rank`.
  let fades: UnsafeMutablePointer<Double>
}

extension RecurrentMemory {
  func chunk(in scratch: Arena) -> RecurrentChunk {
    RecurrentChunk(
      keys: scratch.floats(Self.chunk * rank), values: scratch.floats(Self.chunk * sizes.width),
      fades: scratch.doubles(Self.chunk * fadeColumns))
  }

  /// out (+)= Σ weights_i · row i of `matrix`, whose rows are `stride` floats apart.
  private func weigh(
    _ weights: UnsafePointer<Float>, _ count: Int, _ matrix: UnsafePointer<Float>, stride: Int, columns: Int,
    into out: UnsafeMutablePointer<Float>, adding: Bool, _ scratch: Arena
  ) {
    let (n, k) = (Int32(columns), Int32(count))
    ck_matmul_tn(
      1, n, k, weights, 1, matrix, Int32(stride), out, n, adding ? 1 : 0,
      scratch.floats(ck_matmul_tn_scratch(1, n, k)))
  }

  /// A row's φ, its g added to the sums, and β.
  private func enter(
    _ row: StoredRow, _ index: Int, _ head: Int, steps: Int, to chunk: RecurrentChunk,
    key: UnsafeMutablePointer<Float>
  ) -> Float {
    map.apply(row.key, width: sizes.width, into: key)
    for i in 0..<rank { chunk.keys[i * Self.chunk + index] = key[i] }
    let fade = chunk.fades + index * fadeColumns
    let rate = rule.terms(row, head, steps: steps, into: fade)
    for i in 0..<fadeColumns {
      fade[i] = max(fade[i], Self.leastFade) + (index > 0 ? chunk.fades[(index - 1) * fadeColumns + i] : 0)
    }
    return Float(rate)
  }

  /// Step form: adds row `index` behind those before it.
  func add(
    _ row: StoredRow, _ index: Int, _ head: Int, steps: Int, _ start: UnsafePointer<Float>,
    to chunk: RecurrentChunk, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (key, known) = (scratch.floats(rank), scratch.zeros(sizes.width))
    let rate = enter(row, index, head, steps: steps, to: chunk, key: key)
    if Rule.corrects {
      read(key, chunk.fades + index * fadeColumns, index, start, chunk, into: known, scratch)
    }
    for j in 0..<sizes.width { chunk.values[index * sizes.width + j] = rate * (row.value[j] - known[j]) }
    scratch.rewind(to: mark)
  }

  /// What a query reads of the state at the chunk's beginning and of its first `count` rows, all of them faded by `fade`, a
  /// sum of g from the chunk's beginning on.
  func read(
    _ query: UnsafePointer<Float>, _ fade: UnsafePointer<Double>, _ count: Int, _ start: UnsafePointer<Float>,
    _ chunk: RecurrentChunk, into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (faded, scores) = (scratch.floats(rank), scratch.floats(max(1, count)))
    for i in 0..<rank { faded[i] = query[i] * Float(exp(fade[Rule.channels ? i : 0])) }
    weigh(faded, rank, start, stride: sizes.width, columns: sizes.width, into: out, adding: false, scratch)
    if count > 0 {
      score(query, fade, count, chunk, into: scores, scratch)
      weigh(
        scores, count, chunk.values, stride: sizes.width, columns: sizes.width, into: out, adding: true,
        scratch)
    }
    scratch.rewind(to: mark)
  }

  /// Σ_d q_d k_d e^(fade_d − fade of the row), of the first `count` rows.
  private func score(
    _ query: UnsafePointer<Float>, _ fade: UnsafePointer<Double>, _ count: Int, _ chunk: RecurrentChunk,
    into scores: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    guard Rule.channels else {
      weigh(query, rank, chunk.keys, stride: Self.chunk, columns: count, into: scores, adding: false, scratch)
      for j in 0..<count { scores[j] *= Float(exp(fade[0] - chunk.fades[j])) }
      return
    }
    let kept = scratch.floats(count * rank)
    for j in 0..<count {
      for i in 0..<rank { kept[j * rank + i] = Float(fade[i] - chunk.fades[j * rank + i]) }
    }
    ck_exp(count * rank, kept, kept)
    for j in 0..<count {
      var sum: Float = 0
      for i in 0..<rank { sum += query[i] * chunk.keys[i * Self.chunk + j] * kept[j * rank + i] }
      scores[j] = sum
    }
  }

  /// The state behind a chunk's rows: e^b·S + Σ (e^(b − b_j) k_j) r_jᵀ with b the sum of g over all of them.
  func fold(
    _ chunk: RecurrentChunk, _ count: Int, _ start: UnsafePointer<Float>,
    into state: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let left = scratch.floats(count * rank)
    let whole = chunk.fades + (count - 1) * fadeColumns
    for i in 0..<rank {
      let kept = Float(exp(whole[Rule.channels ? i : 0]))
      for j in 0..<sizes.width { state[i * sizes.width + j] = kept * start[i * sizes.width + j] }
    }
    for index in 0..<count {
      let (fade, row) = (chunk.fades + index * fadeColumns, left + index * rank)
      for i in 0..<fadeColumns { row[i] = Float(whole[i] - fade[i]) }
      ck_exp(fadeColumns, row, row)
      if !Rule.channels { row.update(repeating: row[0], count: rank) }
      for i in 0..<rank { row[i] *= chunk.keys[i * Self.chunk + index] }
    }
    let (m, n, k) = (Int32(rank), Int32(sizes.width), Int32(count))
    ck_matmul_tn(
      m, n, k, left, m, chunk.values, n, state, n, 1, scratch.floats(ck_matmul_tn_scratch(m, n, k)))
    scratch.rewind(to: mark)
  }

  /// Chunk form: all rows at once, each directly behind the one before. A rule that corrects solves
  /// (I + A) R = β (V − (e^b k)·S) with A = β (k·k) e^(b_i − b_j) below the diagonal (spec 1.4 B).
  func fill(
    _ chunk: RecurrentChunk, _ rows: UnsafePointer<Float>, _ count: Int, _ head: Int,
    _ start: UnsafePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let width = sizes.width
    let (keys, rates) = (scratch.floats(count * rank), scratch.floats(count))
    func row(_ index: Int) -> StoredRow { StoredRow(rows + index * shape.stored, head, shape.layout) }
    for index in 0..<count {
      rates[index] = enter(row(index), index, head, steps: 1, to: chunk, key: keys + index * rank)
    }
    let known = scratch.zeros(count * width)
    if Rule.corrects { read(keys, count, start, chunk, into: known, scratch) }
    let scores = scratch.floats(count)
    for index in 0..<count {
      let (value, sum) = (chunk.values + index * width, known + index * width)
      if Rule.corrects, index > 0 {
        score(
          keys + index * rank, chunk.fades + index * fadeColumns, index, chunk, into: scores, scratch)
        weigh(scores, index, chunk.values, stride: width, columns: width, into: sum, adding: true, scratch)
      }
      let from = row(index).value
      for j in 0..<width { value[j] = rates[index] * (from[j] - sum[j]) }
    }
    scratch.rewind(to: mark)
  }

  /// What all rows of a chunk read at their keys of the state at its beginning.
  private func read(
    _ keys: UnsafePointer<Float>, _ count: Int, _ start: UnsafePointer<Float>, _ chunk: RecurrentChunk,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let faded = scratch.floats(rank * count)
    for index in 0..<count {
      for i in 0..<rank {
        let fade = chunk.fades[index * fadeColumns + (Rule.channels ? i : 0)]
        faded[i * count + index] = keys[index * rank + i] * Float(exp(fade))
      }
    }
    let (m, n, k) = (Int32(count), Int32(sizes.width), Int32(rank))
    ck_matmul_tn(m, n, k, faded, m, start, n, out, n, 0, scratch.floats(ck_matmul_tn_scratch(m, n, k)))
  }
}
