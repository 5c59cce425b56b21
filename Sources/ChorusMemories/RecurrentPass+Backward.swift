import CChorusKernels
import ChorusTensors
import Foundation

extension RecurrentPass {
  /// Derivatives by a chunk's S̃, k̃, R and c.
  struct Slopes {
    let state, keys, added, changes: UnsafeMutablePointer<Float>
  }

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
      let slopes = Slopes(
        state: state, keys: arena.zeros(count * r), added: arena.zeros(count * n),
        changes: arena.zeros(count * f))
      // S' = e^c (S̃ + k̃ᵀ R)
      end(of: chunk, state, work)
      multiply(count, n, r, work.keys, state, n, slopes.added, n, work)
      multiply(count, r, n, chunk.added, state, n, slopes.keys, r, work, transposed: true)
      let turned = solve.map { Turned($0, chunk, form, work, walksBack: true) }
      for run in chunk.runs { read(run, chunk, turned, slopes, work, gradients) }
      write(chunk, slopes, work, gradients)
      note(slopes.keys, work.keys, count, -1, slopes.changes)
      scale(slopes.keys, count, by: work.lost)
      terms.keys.add(slopes.keys, chunk.moves, gradients)
      pass(slopes.changes, chunk, later, gradients)
      let begins = fade(chunk.moves.lowerBound)
      for i in 0..<r {
        Self.scale(
          state + i * n, n, by: Float(exp(max(begins[form.channels ? i : 0], form.leastFade))))
      }
      arena.rewind(to: mark)
    }
    arena.rewind(to: whole)
  }

  /// O = x̃ S̃ + M R, and x.
  private func read(
    _ run: Run, _ chunk: Chunk, _ turned: Turned?, _ slopes: Slopes, _ work: Work,
    _ gradients: FusedGradients
  ) {
    let arena = gradients.scratch
    let (mark, stride, f) = (arena.mark, gradients.columns, form.fadeColumns)
    let dy = gradients.output + (queries[run.part].row + run.queries.lowerBound) * stride + column
    var steps: Steps?
    let asked = ask(run, chunk, work, arena) { x in
      guard let solve, let turned else { return }
      let found = self.steps(solve, run, chunk, turned, work, kept: true)
      x.update(from: found.x, count: run.count * form.rank)
      steps = found
    }
    // A row of them a query.
    let changes = arena.zeros(run.count * f)
    let slope = Asked(
      rows: arena.floats(run.count * form.rank), scores: arena.floats(run.count * chunk.moves.count))
    pull(dy, stride, shown, asked, run, chunk, nil, changes, work, into: slope)
    push(dy, stride, shown, asked, slope.scores, run.count, chunk, slopes, work)
    if let solve, let turned, let steps {
      backward(solve, steps, slope.rows, run, chunk, turned, slopes, changes, work, gradients)
    }
    for (i, query) in run.queries.enumerated() {
      let to = slopes.changes + (seen(run.part, query, chunk) - 1) * f
      for j in 0..<f { to[j] += changes[i * f + j] }
    }
    queries[run.part].rows.add(slope.rows, run.queries, gradients)
    arena.rewind(to: mark)
  }

  /// From derivatives by an answer's columns, rows `stride` apart, to those by x and M. Those by c of the last moves that are
  /// seen are added to `changes`.
  func pull(
    _ dy: UnsafePointer<Float>, _ stride: Int, _ columns: Range<Int>, _ asked: Asked, _ run: Run,
    _ chunk: Chunk, _ turned: Turned?, _ changes: UnsafeMutablePointer<Float>, _ work: Work,
    into slope: Asked
  ) {
    let (r, n, count, m) = (form.rank, columns.count, chunk.moves.count, run.count)
    if let turned {
      multiply(m, count, n, dy, turned.added, count, slope.scores, count, work, stride: stride)
      multiply(m, r, n, dy, turned.state, r, slope.rows, r, work, stride: stride)
    } else {
      let (ldb, first) = (form.columns, columns.lowerBound)
      multiply(
        m, count, n, dy, chunk.added + first, ldb, slope.scores, count, work, transposed: true,
        stride: stride)
      multiply(
        m, r, n, dy, chunk.state + first, ldb, slope.rows, r, work, transposed: true, stride: stride)
    }
    hide(slope.scores, run, chunk)
    multiply(m, r, count, slope.scores, work.keys, r, slope.rows, r, work, add: true)
    note(slope.rows, asked.rows, m, 1, changes)
    keep(slope.rows, run, chunk, work)
  }

  /// The same to those by S̃, k̃ and R, of `rows` answers beneath each other with their M and its derivatives.
  func push(
    _ dy: UnsafePointer<Float>, _ stride: Int, _ columns: Range<Int>, _ asked: Asked,
    _ scores: UnsafePointer<Float>, _ rows: Int, _ chunk: Chunk, _ slopes: Slopes, _ work: Work
  ) {
    let (r, n, count, m) = (form.rank, form.columns, chunk.moves.count, columns.count)
    let first = columns.lowerBound
    multiply(
      count, m, rows, asked.scores, dy, stride, slopes.added + first, n, work, add: true, columns: count)
    multiply(count, r, rows, scores, asked.rows, r, slopes.keys, r, work, add: true, columns: count)
    multiply(r, m, rows, asked.rows, dy, stride, slopes.state + first, n, work, add: true, columns: r)
  }

  /// R = (I − L)⁻¹ (β V + L₀ S̃), or β V.
  private func write(_ chunk: Chunk, _ slopes: Slopes, _ work: Work, _ gradients: FusedGradients) {
    let (r, n, count, arena) = (form.rank, form.columns, chunk.moves.count, gradients.scratch)
    let (state, keys, added) = (slopes.state, slopes.keys, slopes.added)
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
      note(left, work.erases, count, 1, slopes.changes)
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
