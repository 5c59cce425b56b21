import CChorusKernels
import ChorusTensors
import Foundation

/// The chunk form of one head of a recurrent memory over all rows of a training pass, with derivatives, in Float.
///
/// With c the sum of g from a chunk's second move on, k̃ = e^(−c) k, q̃ = e^c q, p̃ = e^c p and S̃ the state faded by the first
/// move's g, nothing within the chunk fades any more:
///
///     R = (I − L)⁻¹ (β V + L₀ S̃),  L₀ = −β p̃,  L = L₀ k̃ᵀ below the diagonal
///     O = q̃ S̃ + (q̃ k̃ᵀ as far as it is seen) R,  S' = e^c (S̃ + k̃ᵀ R)
///
/// A read may be x·G of x that solves an equation with other columns of the state (`Solve`); a query is x otherwise.
///
/// A chunk ends early where e^(−c) would leave what Float holds well. The derivative by g of a move is the sum over it and
/// all later moves of q̃·dq̃ + p̃·dp̃ − k̃·dk̃, since b, the sum of g from the first move on, enters as e^b q, e^b p and e^(−b) k
/// alone.
final class RecurrentPass: FusedPass {
  typealias Matrix = MatrixTape.Matrix

  /// What a rule asks for.
  struct Form {
    let rank: Int
    let columns: Int
    /// Whether g is a number a row of the state, and whether values are compared with what is known.
    let channels: Bool
    let corrects: Bool
    /// Moves of a row, and how many of the last row's a read does not see.
    let moves: Int
    let unread: Int
    /// The least g.
    let leastFade: Double
    /// The most moves of a chunk.
    let longest: Int
    var fadeColumns: Int { channels ? rank : 1 }
  }

  /// Moves of all rows; nil: as the rows have it, a rate 1.
  struct Terms {
    let keys: MoveRows
    let erases: MoveRows?
    let values: MoveRows
    let fades: Matrix
    let rates: Matrix?
  }

  /// Queries of one part, and the row of the output that the first one's read goes to.
  struct Queries {
    let rows: MoveRows
    /// The rows that each sees, from the first one on.
    let ends: [Int]
    let row: Int
  }

  /// Queries beside each other of one part, whose prefixes end in one chunk.
  struct Run {
    let part: Int
    let queries: Range<Int>
    var count: Int { queries.count }
  }

  /// Some moves with the queries whose prefix ends among them.
  struct Chunk {
    let moves: Range<Int>
    var runs: [Run] = []
    /// S̃ and R, until the tape is reset.
    let state: UnsafeMutablePointer<Float>
    let added: UnsafeMutablePointer<Float>
  }

  /// The least c in a chunk, unless a row's moves have less, which are never parted.
  static let leastSum = -45.0

  let form: Form
  let terms: Terms
  let queries: [Queries]
  /// How x is found; nil where it is the query.
  let solve: Solve?
  let tape: MatrixTape
  let column: Int
  private(set) var chunks: [Chunk] = []
  private let count: Int

  /// Computes the reads of `count` moves and writes them into `output` from `column` on.
  init(
    _ form: Form, _ terms: Terms, _ queries: [Queries], solve: Solve? = nil, moves count: Int, column: Int,
    _ pass: MatrixPass
  ) {
    (self.form, self.terms, self.queries, self.count, self.column) = (form, terms, queries, count, column)
    (self.solve, tape) = (solve, pass.matrices)
    let (out, stride) = pass.output
    let work = Work(form, pass.arena)
    let state = pass.arena.zeros(form.rank * form.columns)
    var first = 0
    while first < count {
      let chunk = open(first, work, pass.arena)
      let mark = pass.arena.mark
      enter(chunk, work)
      write(chunk, state, work)
      let turned = solve.map { Turned($0, chunk, form, work, walksBack: false) }
      for run in chunk.runs {
        let mark = pass.arena.mark
        let to = out + (queries[run.part].row + run.queries.lowerBound) * stride + column
        let asked = ask(run, chunk, work, pass.arena) { x in
          if let solve, let turned {
            x.update(
              from: steps(solve, run, chunk, turned, work, kept: false).x, count: run.count * form.rank)
          }
        }
        answer(asked, run.count, shown, chunk, into: to, stride, work)
        pass.arena.rewind(to: mark)
      }
      fold(chunk, into: state, work)
      chunks.append(chunk)
      pass.arena.rewind(to: mark)
      first = chunk.moves.upperBound
    }
  }

  /// The state's columns that a read is made of.
  var shown: Range<Int> { 0..<(solve?.width ?? form.columns) }

  // MARK: A chunk's numbers

  /// Memory for one chunk at a time.
  struct Work {
    let keys, erases, rates, scores, system, kept, lost: UnsafeMutablePointer<Float>
    /// c and −c before they are taken exponentials of.
    let sums: UnsafeMutablePointer<Double>
    let arena: Arena

    init(_ form: Form, _ arena: Arena) {
      let moves = max(form.longest, form.moves)
      let fades = moves * form.fadeColumns
      keys = arena.floats(moves * form.rank)
      erases = arena.floats(moves * form.rank)
      rates = arena.floats(moves)
      scores = arena.floats(moves * moves)
      system = arena.floats(moves * moves)
      kept = arena.floats(fades)
      lost = arena.floats(fades)
      sums = arena.doubles(form.fadeColumns)
      self.arena = arena
    }
  }

  /// The moves from `first` on that make a chunk, with what is kept of the state, e^c, and its inverse.
  private func open(_ first: Int, _ work: Work, _ arena: Arena) -> Chunk {
    let length = max(form.moves, form.longest / form.moves * form.moves)
    let end = extent(first, min(count, first + length), work)
    let moves = first..<end
    var chunk = Chunk(
      moves: moves, state: arena.floats(form.rank * form.columns),
      added: arena.floats(moves.count * form.columns))
    for (part, queries) in queries.enumerated() {
      var begin = 0
      while begin < queries.ends.count {
        guard moves.contains(queries.ends[begin] * form.moves - 1) else {
          begin += 1
          continue
        }
        var stop = begin + 1
        let most = min(queries.ends.count, solve == nil ? Int.max : begin + Solve.rows)
        while stop < most, moves.contains(queries.ends[stop] * form.moves - 1) { stop += 1 }
        chunk.runs.append(Run(part: part, queries: begin..<stop))
        begin = stop
      }
    }
    return chunk
  }

  func fade(_ move: Int) -> UnsafePointer<Double> {
    UnsafePointer(tape.values(terms.fades) + move * form.fadeColumns)
  }

  /// Where a chunk from `first` on ends, `end` at the latest; e^c and e^(−c) of its moves go to `work`.
  func extent(_ first: Int, _ end: Int, _ work: Work) -> Int {
    let n = form.fadeColumns
    for j in 0..<n {
      work.sums[j] = 0
      work.kept[j] = 0
      work.lost[j] = 0
    }
    var stop = end
    let (leastFade, leastSum, sums) = (form.leastFade, Self.leastSum, work.sums)
    for move in first + 1..<max(end, first + 1) {
      let (fade, row) = (fade(move), (move - first) * n)
      let (kept, lost) = (work.kept + row, work.lost + row)
      // As numbers, since a running minimum would be taken one by one.
      var deep: Int64 = 0
      for j in 0..<n {
        let sum = sums[j] + (fade[j] > leastFade ? fade[j] : leastFade)
        sums[j] = sum
        deep |= sum < leastSum ? 1 : 0
        kept[j] = Float(sum)
        lost[j] = Float(-sum)
      }
      let began = move - (move - first) % form.moves
      if deep != 0, began > first {
        stop = began
        break
      }
    }
    ck_exp((stop - first) * n, work.kept, work.kept)
    ck_exp((stop - first) * n, work.lost, work.lost)
    return stop
  }

  /// k̃, p̃ and β of a chunk's moves.
  func enter(_ chunk: Chunk, _ work: Work) {
    let count = chunk.moves.count
    terms.keys.load(chunk.moves, into: work.keys)
    if form.corrects {
      if let erases = terms.erases {
        erases.load(chunk.moves, into: work.erases)
      } else {
        work.erases.update(from: work.keys, count: count * form.rank)
      }
      scale(work.erases, count, by: work.kept)
    }
    scale(work.keys, count, by: work.lost)
    if let rates = terms.rates {
      let values = tape.values(rates) + chunk.moves.lowerBound
      for i in 0..<count { work.rates[i] = Float(values[i]) }
    }
  }

  /// Rows of `rank` numbers times what is kept or lost of each.
  func scale(
    _ rows: UnsafeMutablePointer<Float>, _ count: Int, by factors: UnsafePointer<Float>
  ) {
    let n = form.rank
    if form.channels {
      for i in 0..<count * n { rows[i] *= factors[i] }
    } else {
      for i in 0..<count { Self.scale(rows + i * n, n, by: factors[i]) }
    }
  }

  static func scale(_ x: UnsafeMutablePointer<Float>, _ n: Int, by factor: Float) {
    for j in 0..<n { x[j] *= factor }
  }

  /// S̃ from the state before the chunk, and R.
  func write(_ chunk: Chunk, _ state: UnsafePointer<Float>, _ work: Work) {
    let (r, n, count) = (form.rank, form.columns, chunk.moves.count)
    let begins = fade(chunk.moves.lowerBound)
    for i in 0..<r {
      let kept = Float(exp(max(begins[form.channels ? i : 0], form.leastFade)))
      let (from, to) = (state + i * n, chunk.state + i * n)
      for j in 0..<n { to[j] = kept * from[j] }
    }
    terms.values.load(chunk.moves, into: chunk.added)
    if terms.rates != nil {
      for i in 0..<count { Self.scale(chunk.added + i * n, n, by: work.rates[i]) }
    }
    guard form.corrects else { return }
    system(count, work)
    multiply(count, n, r, work.erases, chunk.state, n, chunk.added, n, work, add: true)
    ck_solve_unit_lower(
      Int32(count), work.system, Int32(count), 0, chunk.added, Int32(n), Int32(n))
  }

  /// p̃ becomes L₀ = −β p̃, and L = L₀ k̃ᵀ, whose upper part nobody reads.
  func system(_ count: Int, _ work: Work) {
    for i in 0..<count {
      Self.scale(work.erases + i * form.rank, form.rank, by: terms.rates == nil ? -1 : -work.rates[i])
    }
    multiply(
      count, count, form.rank, work.erases, work.keys, form.rank, work.system, count, work, transposed: true)
  }

  /// x̃ = e^c x of some rows, and M = x̃ k̃ᵀ as far as each sees.
  struct Asked {
    let rows: UnsafeMutablePointer<Float>
    let scores: UnsafeMutablePointer<Float>
  }

  /// Of x that `find` makes of the queries.
  func ask(
    _ run: Run, _ chunk: Chunk, _ work: Work, _ arena: Arena, find: (UnsafeMutablePointer<Float>) -> Void
  ) -> Asked {
    let asked = Asked(
      rows: arena.floats(run.count * form.rank), scores: arena.floats(run.count * chunk.moves.count))
    queries[run.part].rows.load(run.queries, into: asked.rows)
    find(asked.rows)
    score(asked, run, chunk, nil, work)
    return asked
  }

  /// From x to x̃, in place, and M.
  func score(_ asked: Asked, _ run: Run, _ chunk: Chunk, _ turned: Turned?, _ work: Work) {
    let (r, count) = (form.rank, chunk.moves.count)
    keep(asked.rows, run, chunk, work)
    multiply(
      run.count, count, r, asked.rows, turned?.keys ?? UnsafePointer(work.keys), turned == nil ? r : count,
      asked.scores, count, work, transposed: turned == nil)
    hide(asked.scores, run, chunk)
  }

  /// x̃ S̃ + M R of some columns.
  func answer(
    _ asked: Asked, _ rows: Int, _ columns: Range<Int>, _ chunk: Chunk,
    into out: UnsafeMutablePointer<Float>, _ stride: Int, _ work: Work
  ) {
    let (n, first, moves) = (form.columns, columns.lowerBound, chunk.moves.count)
    multiply(
      rows, columns.count, form.rank, asked.rows, chunk.state + first, n, out, stride, work)
    multiply(
      rows, columns.count, moves, asked.scores, chunk.added + first, n, out, stride, work, add: true)
  }

  /// Moves of a chunk that a query sees.
  func seen(_ part: Int, _ query: Int, _ chunk: Chunk) -> Int {
    queries[part].ends[query] * form.moves - form.unread - chunk.moves.lowerBound
  }

  /// Rows of some queries times e^c of the last move that each sees.
  func keep(_ rows: UnsafeMutablePointer<Float>, _ run: Run, _ chunk: Chunk, _ work: Work) {
    let (r, n) = (form.rank, form.fadeColumns)
    for (i, query) in run.queries.enumerated() {
      let kept = work.kept + (seen(run.part, query, chunk) - 1) * n
      if form.channels {
        for j in 0..<r { rows[i * r + j] *= kept[j] }
      } else {
        Self.scale(rows + i * r, r, by: kept[0])
      }
    }
  }

  func hide(_ scores: UnsafeMutablePointer<Float>, _ run: Run, _ chunk: Chunk) {
    let count = chunk.moves.count
    for (i, query) in run.queries.enumerated() {
      let seen = seen(run.part, query, chunk)
      (scores + i * count + seen).update(repeating: 0, count: count - seen)
    }
  }

  /// e^c (S̃ + k̃ᵀ R).
  private func fold(_ chunk: Chunk, into state: UnsafeMutablePointer<Float>, _ work: Work) {
    let (r, n, count) = (form.rank, form.columns, chunk.moves.count)
    state.update(from: chunk.state, count: r * n)
    multiply(r, n, count, work.keys, chunk.added, n, state, n, work, add: true, columns: r)
    end(of: chunk, state, work)
  }

  /// Rows of a state times e^c of the chunk's last move.
  func end(of chunk: Chunk, _ state: UnsafeMutablePointer<Float>, _ work: Work) {
    let kept = work.kept + (chunk.moves.count - 1) * form.fadeColumns
    for i in 0..<form.rank {
      Self.scale(state + i * form.columns, form.columns, by: kept[form.channels ? i : 0])
    }
  }

  /// c (+)= a·b, with b `[k, n]`, or stored as `[n, k]`; a `[m, k]`, or (`columns`) stored as `[k, columns]`.
  func multiply(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ ldb: Int,
    _ c: UnsafeMutablePointer<Float>, _ ldc: Int, _ work: Work, transposed: Bool = false, add: Bool = false,
    columns: Int? = nil, stride: Int? = nil
  ) {
    FloatProducts(arena: work.arena, matrices: tape)(
      m, n, k, Floats(reading: a, stride: columns ?? stride ?? k), Floats(reading: b, stride: ldb),
      columns != nil ? .left : transposed ? .right : .none, into: Floats(c, stride: ldc), add: add)
  }
}
