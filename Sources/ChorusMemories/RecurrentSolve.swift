import CChorusKernels
import ChorusTensors

/// Reads x·G of a state G beside H, with x what some steps of conjugate gradients make of (H + λ) x = q. All queries of a run take
/// a step at once. From x₀ = 0 and d₀ = r₀ = q on, with ρ = r·r:
///
///     y = H d + λ d,  α = ρ / (d·y + tiny),  x' = x + α d,  r' = r − α y
///     τ = ρ' / (ρ + tiny),  d' = r' + τ d
///
/// H d is an answer of the pass to d in place of a query, of H's columns alone, so that its derivatives are those of every
/// answer. Products are in Float, ρ, α and τ in Double.
///
/// A query whose ρ is at most `converged` of what it began with is through: the rest is what Float has rounded off. Its later
/// α and τ are 0, and nothing is learnt of them.
extension RecurrentPass {
  struct Solve {
    let steps: Int
    /// λ, `[1, 1]`.
    let ridge: Matrix
    /// Columns of G. Those of H are as many as the state has rows.
    let width: Int
    /// The most queries of a run, so that its steps stay in the cache on their way back.
    static let rows = 64
    /// The least ρ, as a part of the first one and by itself.
    static let converged = 1e-14
    static let least = 1e-30
  }

  /// Matrices of a chunk stored the other way round, since products with them are taken at every step.
  struct Turned {
    /// k̃ᵀ, `[rank, moves]`.
    let keys: UnsafePointer<Float>
    /// Those of H's columns of S̃ and R, `[rank, rank]` and `[rank, moves]`, for the walk back.
    let state: UnsafePointer<Float>
    let added: UnsafePointer<Float>

    init(_ solve: Solve, _ chunk: Chunk, _ form: Form, _ work: Work, walksBack: Bool) {
      let (r, count, arena) = (form.rank, chunk.moves.count, work.arena)
      func turned(_ rows: Int, _ from: UnsafePointer<Float>, _ stride: Int) -> UnsafePointer<Float> {
        let to = arena.floats(rows * r)
        for j in 0..<r { for i in 0..<rows { to[j * rows + i] = from[i * stride + j] } }
        return UnsafePointer(to)
      }
      keys = turned(count, work.keys, r)
      state = walksBack ? turned(r, chunk.state + solve.width, form.columns) : keys
      added = walksBack ? turned(count, chunk.added + solve.width, form.columns) : keys
    }
  }

  /// The steps of a run. Where they are not kept every step's rows take the place of those before.
  struct Steps {
    let x: UnsafeMutablePointer<Float>
    private let directions, rests, images, asked, scores: UnsafeMutablePointer<Float>
    private let numbers: UnsafeMutablePointer<Double>
    private let (rows, rank, moves, count): (Int, Int, Int, Int)
    private let kept: Bool

    init(_ count: Int, rows: Int, rank: Int, moves: Int, kept: Bool, _ arena: Arena) {
      let places = kept ? count : 1
      x = arena.zeros(rows * rank)
      directions = arena.floats(places * rows * rank)
      rests = arena.floats(places * rows * rank)
      images = arena.floats(places * rows * rank)
      asked = arena.floats(places * rows * rank)
      scores = arena.floats(places * rows * moves)
      numbers = arena.doubles(4 * count * rows)
      (self.rows, self.rank, self.moves, self.count, self.kept) = (rows, rank, moves, count, kept)
    }

    private func place(_ step: Int) -> Int { kept ? step * rows * rank : 0 }
    /// d, r and y.
    func direction(_ step: Int) -> UnsafeMutablePointer<Float> { directions + place(step) }
    func rest(_ step: Int) -> UnsafeMutablePointer<Float> { rests + place(step) }
    func image(_ step: Int) -> UnsafeMutablePointer<Float> { images + place(step) }
    /// What d asks of the state.
    func asked(_ step: Int) -> Asked {
      Asked(rows: asked + place(step), scores: scores + (kept ? step * rows * moves : 0))
    }
    /// ρ, d·y + tiny, α, and τ of the step's end, a number a row.
    func square(_ step: Int) -> UnsafeMutablePointer<Double> { numbers + step * rows }
    func curve(_ step: Int) -> UnsafeMutablePointer<Double> { numbers + (count + step) * rows }
    func length(_ step: Int) -> UnsafeMutablePointer<Double> { numbers + (2 * count + step) * rows }
    func turn(_ step: Int) -> UnsafeMutablePointer<Double> { numbers + (3 * count + step) * rows }
  }

  private static var tiny: Double { SolverRidgeMemory.tiny }

  private static func add(
    _ factor: Double, _ x: UnsafePointer<Float>, _ n: Int, to y: UnsafeMutablePointer<Float>
  ) {
    let factor = Float(factor)
    for j in 0..<n { y[j] += factor * x[j] }
  }

  /// Row by row a·b.
  private static func dots(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ rows: Int, _ n: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    out.update(repeating: 0, count: rows)
    ck_row_products(Int32(rows), Int32(n), a, Int32(n), b, Int32(n), 1, out)
  }

  /// x of a run's queries.
  func steps(
    _ solve: Solve, _ run: Run, _ chunk: Chunk, _ turned: Turned, _ work: Work, kept: Bool
  ) -> Steps {
    let (n, r, arena) = (run.count, form.rank, work.arena)
    let ridge = tape.values(solve.ridge)[0]
    let found = Steps(
      solve.steps, rows: n, rank: r, moves: chunk.moves.count, kept: kept, arena)
    let (dots, least) = (arena.floats(n), arena.doubles(n))
    guard solve.steps > 0 else { return found }
    queries[run.part].rows.load(run.queries, into: found.rest(0))
    found.direction(0).update(from: found.rest(0), count: n * r)
    Self.dots(found.rest(0), found.rest(0), n, r, into: dots)
    for i in 0..<n {
      found.square(0)[i] = Double(dots[i])
      least[i] = max(Double(dots[i]) * Solve.converged, Solve.least)
    }
    for step in 0..<solve.steps {
      let (d, y, asked) = (found.direction(step), found.image(step), found.asked(step))
      let (square, curve, length) = (found.square(step), found.curve(step), found.length(step))
      asked.rows.update(from: d, count: n * r)
      score(asked, run, chunk, turned, work)
      answer(asked, n, solve.width..<solve.width + r, chunk, into: y, r, work)
      Self.add(ridge, d, n * r, to: y)
      Self.dots(d, y, n, r, into: dots)
      for i in 0..<n {
        curve[i] = Double(dots[i]) + Self.tiny
        length[i] = square[i] <= least[i] ? 0 : square[i] / curve[i]
        Self.add(length[i], d + i * r, r, to: found.x + i * r)
      }
      guard step + 1 < solve.steps else { break }
      let (rest, next, turn) = (found.rest(step + 1), found.direction(step + 1), found.turn(step))
      if kept { rest.update(from: found.rest(step), count: n * r) }
      for i in 0..<n { Self.add(-length[i], y + i * r, r, to: rest + i * r) }
      Self.dots(rest, rest, n, r, into: dots)
      for i in 0..<n {
        found.square(step + 1)[i] = Double(dots[i])
        turn[i] = length[i] == 0 ? 0 : Double(dots[i]) / (square[i] + Self.tiny)
        let (from, to, rest, factor) = (d + i * r, next + i * r, rest + i * r, Float(turn[i]))
        for j in 0..<r { to[j] = rest[j] + factor * from[j] }
      }
    }
    return found
  }

  /// From derivatives by x, in `slope`, to those by q, in their place.
  func backward(
    _ solve: Solve, _ found: Steps, _ slope: UnsafeMutablePointer<Float>, _ run: Run, _ chunk: Chunk,
    _ turned: Turned, _ slopes: Slopes, _ changes: UnsafeMutablePointer<Float>, _ work: Work,
    _ gradients: FusedGradients
  ) {
    let (n, r, count, arena) = (run.count, form.rank, chunk.moves.count, work.arena)
    let columns = solve.width..<solve.width + r
    let ridge = tape.values(solve.ridge)[0]
    // By d and r of the step behind, and by its ρ.
    let (direction, rest) = (arena.zeros(n * r), arena.zeros(n * r))
    let squares = arena.doubles(n)
    squares.update(repeating: 0, count: n)
    let scores = arena.floats(solve.steps * n * count)
    let answered = arena.floats(n * r)
    let (dots, others) = (arena.floats(n), arena.floats(n))
    var byRidge = 0.0
    for step in (0..<solve.steps).reversed() {
      let (d, y, length) = (found.direction(step), found.image(step), found.length(step))
      let (square, curve) = (found.square(step), found.curve(step))
      if step + 1 < solve.steps {
        let (after, turn) = (found.rest(step + 1), found.turn(step))
        Self.dots(direction, d, n, r, into: dots)
        for i in 0..<n {
          let through = length[i] == 0
          // By τ, as a part of ρ.
          let byTurn = through ? 0 : Double(dots[i]) / (square[i] + Self.tiny)
          let (to, from, after) = (rest + i * r, direction + i * r, after + i * r)
          let (factor, turned) = (Float(2 * (squares[i] + byTurn)), Float(turn[i]))
          for j in 0..<r {
            to[j] += from[j] + factor * after[j]
            from[j] *= turned
          }
          squares[i] = -byTurn * turn[i]
        }
      }
      Self.dots(rest, y, n, r, into: dots)
      Self.dots(slope, d, n, r, into: others)
      for i in 0..<n {
        let through = length[i] == 0
        // By α, as a part of d·y.
        let byLength = through ? 0 : (Double(others[i]) - Double(dots[i])) / curve[i]
        squares[i] += byLength
        let (back, byCurve) = (Float(-length[i]), Float(-byLength * length[i]))
        let (forth, ridge) = (Float(length[i]), Float(ridge))
        let (to, x, rest) = (direction + i * r, slope + i * r, rest + i * r)
        let (d, y) = (d + i * r, y + i * r)
        for j in 0..<r {
          let image = back * rest[j] + byCurve * d[j]
          to[j] += forth * x[j] + byCurve * y[j] + ridge * image
          y[j] = image
        }
      }
      // y are now derivatives by y.
      Self.dots(y, d, n, r, into: dots)
      for i in 0..<n { byRidge += Double(dots[i]) }
      pull(
        y, r, columns, found.asked(step), run, chunk, turned, changes, work,
        into: Asked(rows: answered, scores: scores + step * n * count))
      ck_add(n * r, answered, direction)
    }
    guard solve.steps > 0 else { return }
    // All steps lie one behind the other.
    push(found.image(0), r, columns, found.asked(0), scores, solve.steps * n, chunk, slopes, work)
    gradients.seed(solve.ridge) { $0[0] += byRidge }
    let query = found.rest(0)
    for i in 0..<n {
      let (to, factor) = (slope + i * r, Float(2 * squares[i]))
      let (direction, rest, query) = (direction + i * r, rest + i * r, query + i * r)
      for j in 0..<r { to[j] = direction[j] + rest[j] + factor * query[j] }
    }
  }
}
