import CChorusKernels
import ChorusTensors
import Foundation

extension RecurrentPass {
  func backward(_ gradients: FusedGradients) {
    let arena = gradients.scratch
    let whole = arena.mark
    let (r, n, f) = (form.rank, form.columns, form.fadeColumns)
    let work = Work(form, arena)
    let state = arena.zeros(r * n)
    let later = arena.doubles(f)
    later.update(repeating: 0, count: f)
    for chunk in chunks.reversed() {
      let mark = arena.mark
      let count = chunk.moves.count
      _ = extent(chunk.moves.lowerBound, chunk.moves.upperBound, work)
      enter(chunk, work)
      let (keys, added) = (arena.zeros(count * r), arena.zeros(count * n))
      let changes = arena.zeros(count * f)
      // S' = e^c (S̃ + k̃ᵀ R)
      end(of: chunk, state, work)
      multiply(count, n, r, work.keys, state, n, added, n, work)
      multiply(count, r, n, chunk.added, state, n, keys, r, work, transposed: true)
      for (part, range) in chunk.runs {
        read(part, range, chunk, state: state, keys: keys, added: added, changes, work, gradients)
      }
      write(chunk, state: state, keys: keys, added: added, changes, work, gradients)
      note(keys, work.keys, count, -1, changes)
      scale(keys, count, by: work.lost)
      terms.keys.add(keys, chunk.moves, gradients)
      pass(changes, chunk, later, gradients)
      let begins = fade(chunk.moves.lowerBound)
      for i in 0..<r {
        Self.scale(
          state + i * n, n, by: Float(exp(max(begins[form.channels ? i : 0], form.leastFade))))
      }
      arena.rewind(to: mark)
    }
    arena.rewind(to: whole)
  }

  /// O = q̃ S̃ + M R with M = q̃ k̃ᵀ as far as it is seen.
  private func read(
    _ part: Int, _ range: Range<Int>, _ chunk: Chunk, state: UnsafeMutablePointer<Float>,
    keys: UnsafeMutablePointer<Float>, added: UnsafeMutablePointer<Float>,
    _ changes: UnsafeMutablePointer<Float>, _ work: Work, _ gradients: FusedGradients
  ) {
    let (r, n, count, arena) = (form.rank, form.columns, chunk.moves.count, gradients.scratch)
    let mark = arena.mark
    let stride = gradients.columns
    let dy = gradients.output + (queries[part].row + range.lowerBound) * stride + column
    let asked = ask(part, range, chunk, work, arena)
    multiply(count, n, range.count, asked.scores, dy, stride, added, n, work, add: true, columns: count)
    let scores = arena.floats(range.count * count)
    multiply(
      range.count, count, n, dy, chunk.added, n, scores, count, work, transposed: true, stride: stride)
    hide(scores, part, range, chunk)
    let rows = arena.floats(range.count * r)
    multiply(range.count, r, n, dy, chunk.state, n, rows, r, work, transposed: true, stride: stride)
    multiply(range.count, r, count, scores, work.keys, r, rows, r, work, add: true)
    multiply(count, r, range.count, scores, asked.rows, r, keys, r, work, add: true, columns: count)
    multiply(r, n, range.count, asked.rows, dy, stride, state, n, work, add: true, columns: r)
    let f = form.fadeColumns
    for (i, query) in range.enumerated() {
      let last = seen(part, query, chunk) - 1
      note(rows + i * r, asked.rows + i * r, 1, 1, changes + last * f)
      let kept = work.kept + last * f
      if form.channels {
        for j in 0..<r { rows[i * r + j] *= kept[j] }
      } else {
        Self.scale(rows + i * r, r, by: kept[0])
      }
    }
    queries[part].rows.add(rows, range, gradients)
    arena.rewind(to: mark)
  }

  /// R = (I − L)⁻¹ (β V + L₀ S̃), or β V.
  private func write(
    _ chunk: Chunk, state: UnsafeMutablePointer<Float>, keys: UnsafeMutablePointer<Float>,
    added: UnsafeMutablePointer<Float>, _ changes: UnsafeMutablePointer<Float>, _ work: Work,
    _ gradients: FusedGradients
  ) {
    let (r, n, count, arena) = (form.rank, form.columns, chunk.moves.count, gradients.scratch)
    let rates = arena.zeros(count)
    if form.corrects {
      let plain = arena.floats(count * r)
      plain.update(from: work.erases, count: count * r)
      system(count, work)
      ck_solve_unit_lower(Int32(count), work.system, Int32(count), 1, added, Int32(n), Int32(n))
      let left = arena.floats(count * r)
      multiply(count, count, n, added, chunk.added, n, work.scores, count, work, transposed: true)
      for i in 0..<count { (work.scores + i * count + i).update(repeating: 0, count: count - i) }
      multiply(count, r, n, added, chunk.state, n, left, r, work, transposed: true)
      multiply(count, r, count, work.scores, work.keys, r, left, r, work, add: true)
      multiply(count, r, count, work.scores, work.erases, r, keys, r, work, add: true, columns: count)
      multiply(r, n, count, work.erases, added, n, state, n, work, add: true, columns: r)
      note(left, work.erases, count, 1, changes)
      ck_row_products(Int32(count), Int32(r), left, Int32(r), plain, Int32(r), -1, rates)
      for i in 0..<count { Self.scale(left + i * r, r, by: terms.rates == nil ? -1 : -work.rates[i]) }
      scale(left, count, by: work.kept)
      (terms.erases ?? terms.keys).add(left, chunk.moves, gradients)
    }
    if let learned = terms.rates {
      let values = arena.floats(count * n)
      terms.values.load(chunk.moves, into: values)
      ck_row_products(Int32(count), Int32(n), added, Int32(n), values, Int32(n), 1, rates)
      gradients.seed(learned) { seed in
        for i in 0..<count { seed[chunk.moves.lowerBound + i] += Double(rates[i]) }
      }
      for i in 0..<count { Self.scale(added + i * n, n, by: work.rates[i]) }
    }
    terms.values.add(added, chunk.moves, gradients)
  }

  /// Adds sign·x·dx of rows to the derivatives by c of their moves.
  private func note(
    _ dx: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int, _ sign: Float,
    _ changes: UnsafeMutablePointer<Float>
  ) {
    if form.channels {
      for i in 0..<count * form.rank { changes[i] += sign * dx[i] * x[i] }
    } else {
      let r = Int32(form.rank)
      ck_row_products(Int32(count), r, dx, r, x, r, sign, changes)
    }
  }

  /// From derivatives by c to those by g: sums over all later moves, in `later`.
  private func pass(
    _ changes: UnsafePointer<Float>, _ chunk: Chunk, _ later: UnsafeMutablePointer<Double>,
    _ gradients: FusedGradients
  ) {
    let f = form.fadeColumns
    gradients.seed(terms.fades) { seed in
      for i in (0..<chunk.moves.count).reversed() {
        let (fade, to) = (fade(chunk.moves.lowerBound + i), seed + (chunk.moves.lowerBound + i) * f)
        for j in 0..<f {
          later[j] += Double(changes[i * f + j])
          if fade[j] > form.leastFade { to[j] += later[j] }
        }
      }
    }
  }
}
