import ChorusTensors

/// Rows that enter a chunk, one by one or all at once.
extension RecurrentMemory {
  /// A move's k and value, its g added to the sums, and its p; returns β.
  private func enter(
    _ row: StoredRow, _ index: Int, _ head: Int, steps: Int, to chunk: RecurrentChunk,
    erase: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) -> Float {
    let mark = scratch.mark
    let (rank, columns) = (form.rank, form.columns)
    let (key, value) = (scratch.zeros(max(rank, features)), chunk.values + index * columns)
    map.apply(row.key, width: sizes.width, into: key)
    erase.update(from: key, count: rank)
    value.update(from: row.value, count: sizes.width)
    (value + sizes.width).update(repeating: 0, count: columns - sizes.width)
    let handed = form.carriedCount
    let carried = chunk.carried + index * handed
    (carried + handed).update(from: carried, count: handed)
    let rate = rule.terms(
      row, head, steps: steps,
      into: RecurrentMove(
        number: index % form.moves, fade: chunk.fades + index * form.fadeColumns, key: key, erase: erase,
        value: value, carried: carried + handed))
    form.enter(key, index, to: chunk, scratch)
    scratch.rewind(to: mark)
    return Float(rate)
  }

  /// Step form: adds row `index`, counted from the chunk's beginning, behind those before it.
  func add(
    _ row: StoredRow, _ index: Int, _ head: Int, steps: Int, _ start: UnsafePointer<Float>,
    to chunk: RecurrentChunk, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (rank, columns) = (form.rank, form.columns)
    let (erase, known) = (scratch.floats(rank), scratch.zeros(columns))
    for index in index * form.moves..<(index + 1) * form.moves {
      let rate = enter(row, index, head, steps: steps, to: chunk, erase: erase, scratch)
      if form.corrects {
        form.read(erase, chunk.fades + index * form.fadeColumns, index, start, chunk, into: known, scratch)
      }
      let value = chunk.values + index * columns
      for j in 0..<columns { value[j] = rate * (value[j] - known[j]) }
    }
    scratch.rewind(to: mark)
  }

  /// Chunk form: all rows at once, each directly behind the one before. A rule that corrects solves
  /// (I + A) R = β (V − (e^b p)·S) with A = β (p·k) e^(b_i − b_j) below the diagonal (Yang et al. 2025, Gated DeltaNet).
  func fill(
    _ chunk: RecurrentChunk, _ rows: UnsafePointer<Float>, _ rowCount: Int, _ head: Int,
    _ start: UnsafePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (rank, columns) = (form.rank, form.columns)
    let count = rowCount * form.moves
    let (erases, rates) = (scratch.floats(count * rank), scratch.floats(count))
    for index in 0..<count {
      let row = StoredRow(rows + index / form.moves * shape.stored, head, shape.layout)
      rates[index] = enter(row, index, head, steps: 1, to: chunk, erase: erases + index * rank, scratch)
    }
    let known = scratch.zeros(count * columns)
    if form.corrects { form.read(erases, count, start, chunk, into: known, scratch) }
    let (scores, faded) = (scratch.floats(form.room), scratch.floats(rank))
    for index in 0..<count {
      let (value, sum) = (chunk.values + index * columns, known + index * columns)
      if form.corrects, index > 0 {
        let (erase, fade) = (erases + index * rank, chunk.fades + index * form.fadeColumns)
        if form.channels { form.keep(erase, by: fade, into: faded) }
        form.score(erase, faded, fade, index, chunk, into: scores, scratch)
        form.weigh(
          scores, index, chunk.values, stride: columns, columns: columns, into: sum, adding: true, scratch)
      }
      for j in 0..<columns { value[j] = rates[index] * (value[j] - sum[j]) }
    }
    scratch.rewind(to: mark)
  }
}
