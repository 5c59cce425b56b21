import ChorusTensors
import Foundation

extension RecurrentMemory {
  typealias Matrix = HeadPass.Matrix

  /// The chunk form with derivatives, from the first row to the last: chunks hand on their state, so what is recorded grows
  /// linearly with the rows.
  func record(_ head: inout HeadPass) {
    let m = head.matrices
    let keyRows = RecordedKeys { [map, head] in
      m.stack(map.record(head.keys, on: m), map.record(head.ownKeys, on: m))
    }
    let terms = rule.record(&head, keys: keyRows)
    if Rule.readsProduct { return fuse(&head, terms) }
    if let steps = rule.conjugateSteps, let ridge = rule.recordRidge(&head) {
      return fuse(
        &head, terms, solve: RecurrentPass.Solve(steps: steps, ridge: ridge, width: sizes.width))
    }
    let own = keyRows.matrix
    let keys = terms.keys ?? own
    let values = terms.values ?? head.allValues
    let fades = m.map(terms.fades) { x in x > Self.leastFade ? (x, 1) : (Self.leastFade, 0) }
    let queries = head.parts.map { map.record($0.queries, on: m) }
    var state = start(&head)
    for first in stride(from: 0, to: own.rows, by: Self.chunk) {
      let rows = first..<min(own.rows, first + Self.chunk)
      let moves = rows.lowerBound * Rule.moves..<rows.upperBound * Rule.moves
      let written = m.rows(keys, moves)
      let chunk = RecordedChunk<Rule>(
        m, keys: written, erases: terms.erases.map { m.rows($0, moves) } ?? written,
        values: m.rows(values, moves),
        fades: m.rows(fades, moves), rates: terms.rates.map { m.rows($0, moves) }, state)
      for (part, queries) in zip(head.parts, queries) {
        let ends = part.limits.map { head.keys.rows + Int($0) }
        for run in Self.runs(ends, in: rows) {
          let limits = ends[run].map { Int32(($0 - first) * Rule.moves - Rule.unread) }
          let read = rule.record(
            read: m.rows(queries, run), &head, of: chunk.reads(limits: limits))
          head.emit(read, row: part.row + run.lowerBound)
        }
      }
      state = chunk.end
    }
  }

  /// The same in Float where a read is a product, or steps of a solver that are products: what is recorded are gates and rates,
  /// and keys and values only where the rule changes them.
  private func fuse(
    _ head: inout HeadPass, _ terms: RecordedTerms, solve: RecurrentPass.Solve? = nil
  ) {
    let m = head.matrices
    func rows(_ matrix: Matrix) -> MoveRows { .matrix(matrix, m) }
    let keys = terms.keys.map(rows) ?? .inputs([head.keyInputs.set, head.keyInputs.own], map)
    let values =
      terms.values.map(rows)
      ?? .inputs([head.valueInputs.set, head.valueInputs.own], IdentityFeatures())
    let moved = RecurrentPass.Terms(
      keys: keys, erases: terms.erases.map(rows),
      values: solve == nil ? values : .beside(values, keys),
      fades: terms.fades, rates: terms.rates)
    let set = head.keyInputs.set.rows.count
    let queries = head.parts.map { part in
      RecurrentPass.Queries(
        rows: .inputs([part.input], map),
        ends: part.limits.map { set + Int($0) }, row: part.row)
    }
    let form = RecurrentPass.Form(
      rank: rank, columns: columns, channels: Rule.channels, corrects: Rule.corrects, moves: Rule.moves,
      unread: Rule.unread, leastFade: Self.leastFade, longest: trainingChunk)
    head.pass.fuse(
      RecurrentPass(
        form, moved, queries, solve: solve, moves: head.rows * Rule.moves, column: head.head * sizes.width,
        head.pass))
  }

  /// The state before the first row.
  private func start(_ head: inout HeadPass) -> Matrix {
    let m = head.matrices
    guard let start = rule.recordStart(&head) else { return m.constant(0, rank, columns) }
    let diagonal = m.input(rank, columns, learns: false) { values in
      values.update(repeating: 0, count: rank * columns)
      for i in 0..<min(rank, columns - sizes.width) { values[i * columns + sizes.width + i] = 1 }
    }
    return m.hadamard(
      diagonal, m.multiply(m.multiply(m.constant(1, rank, 1), start), m.constant(1, 1, columns)))
  }

  /// Queries beside each other whose prefixes end with a row of `rows`.
  private static func runs(_ ends: [Int], in rows: Range<Int>) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for (query, end) in ends.enumerated() where rows.contains(end - 1) {
      if let last = runs.last, last.upperBound == query {
        runs[runs.count - 1] = last.lowerBound..<query + 1
      } else {
        runs.append(query..<query + 1)
      }
    }
    return runs
  }
}

/// Moves between two states on a tape.
struct RecordedChunk<Rule: RecurrentRule> {
  typealias Matrix = MatrixTape.Matrix

  private let m: MatrixTape
  private let keys: Matrix
  /// r, what each move adds at its key.
  private let added: Matrix
  private let fades: Matrix
  /// Sums of g from the first move on.
  private let sums: Matrix
  private let start: Matrix

  init(
    _ m: MatrixTape, keys: Matrix, erases: Matrix, values: Matrix, fades: Matrix, rates: Matrix?,
    _ start: Matrix
  ) {
    self.m = m
    (self.keys, self.fades, self.start) = (keys, fades, start)
    let count = keys.rows
    sums = m.multiply(Self.ones(m, (1...count).map { 0..<$0 }, count), fades)
    func rated(_ rows: Matrix) -> Matrix { rates.map { m.scaleRows(rows, by: $0) } ?? rows }
    guard Rule.corrects else {
      added = rated(values)
      return
    }
    let known = m.multiply(Self.faded(m, erases, sums), start)
    let below = Self.scores(m, erases, sums, keys, sums, limits: (0..<count).map { Int32($0) })
    let system = m.addDiagonal(rated(below), m.constant(1, 1, 1))
    added = m.solve(system, rated(m.add(values, known, scale: -1)))
  }

  /// What queries read of the state and of the first moves, as many as their limits tell.
  func reads(limits: [Int32]) -> RecordedReads {
    let sum = m.multiply(Self.ones(m, limits.map { 0..<Int($0) }, keys.rows), fades)
    let factors = Self.power(m, sum)
    let kept = Rule.channels ? factors : m.multiply(factors, m.constant(1, 1, keys.columns))
    // With a gate a column, keys before they faded; otherwise what is kept of each move, as far as it is seen.
    let back =
      Rule.channels
      ? Self.faded(m, keys, m.scaled(sums, by: -1))
      : m.visible(Self.behind(m, sum, sums), limits: limits)
    return RecordedReads(m, start: start, added: added) { [m, keys] queries, start, added in
      let faded = m.hadamard(queries, kept)
      let scores =
        Rule.channels
        ? m.visible(m.multiply(faded, back, .right), limits: limits)
        : m.hadamard(m.multiply(queries, keys, .right), back)
      return m.add(m.multiply(faded, start), m.multiply(scores, added))
    }
  }

  /// The state behind the rows.
  var end: Matrix {
    let count = keys.rows
    let rest = m.multiply(Self.ones(m, (1...count).map { $0..<count }, count), fades)
    let whole = Self.power(m, m.multiply(m.constant(1, 1, count), fades))
    let kept = Rule.channels ? m.transpose(whole) : m.multiply(m.constant(1, start.rows, 1), whole)
    return m.add(m.scaleRows(start, by: kept), m.multiply(Self.faded(m, keys, rest), added, .left))
  }

  // MARK: Fading

  /// Row i with ones in `columns[i]`.
  private static func ones(_ m: MatrixTape, _ columns: [Range<Int>], _ count: Int) -> Matrix {
    m.input(columns.count, count, learns: false) { values in
      values.update(repeating: 0, count: columns.count * count)
      for (row, columns) in columns.enumerated() { for j in columns { values[row * count + j] = 1 } }
    }
  }

  private static func power(_ m: MatrixTape, _ x: Matrix) -> Matrix { m.map(x) { (exp($0), exp($0)) } }

  /// Rows times what has faded of them.
  private static func faded(_ m: MatrixTape, _ rows: Matrix, _ sums: Matrix) -> Matrix {
    Rule.channels ? m.hadamard(rows, power(m, sums)) : m.scaleRows(rows, by: power(m, sums))
  }

  /// Σ_d a_d b_d e^(sum of a − sum of b) of row i of a with the first `limits[i]` rows of b.
  private static func scores(
    _ m: MatrixTape, _ a: Matrix, _ sumsA: Matrix, _ b: Matrix, _ sumsB: Matrix, limits: [Int32]
  ) -> Matrix {
    guard !Rule.channels else {
      // A chunk is so short that no exponent is beyond what Double holds.
      let back = m.scaled(sumsB, by: -1)
      return m.visible(m.multiply(faded(m, a, sumsA), faded(m, b, back), .right), limits: limits)
    }
    return m.visible(m.hadamard(m.multiply(a, b, .right), behind(m, sumsA, sumsB)), limits: limits)
  }

  /// e^(sum of a − sum of b) of row i of a with every row of b, with one gate a head.
  private static func behind(_ m: MatrixTape, _ sumsA: Matrix, _ sumsB: Matrix) -> Matrix {
    let between = m.add(
      m.multiply(sumsA, m.constant(1, 1, sumsB.rows)),
      m.multiply(m.constant(1, sumsA.rows, 1), m.transpose(sumsB)), scale: -1)
    // Only what a row does not see has a positive exponent.
    return m.map(between) { x in
      let kept = exp(min(x, 0))
      return (kept, kept)
    }
  }
}

/// What queries read of a state on a tape, as often as a rule likes: all that does not depend on what they ask is recorded once.
final class RecordedReads {
  typealias Matrix = MatrixTape.Matrix

  private let m: MatrixTape
  /// The state before the chunk and what its moves add, and some of their columns.
  private let whole: (start: Matrix, added: Matrix)
  private var parts: [Range<Int>: (start: Matrix, added: Matrix)] = [:]
  private let read: (_ queries: Matrix, _ start: Matrix, _ added: Matrix) -> Matrix

  init(
    _ m: MatrixTape, start: Matrix, added: Matrix,
    _ read: @escaping (_ queries: Matrix, _ start: Matrix, _ added: Matrix) -> Matrix
  ) {
    (self.m, whole, self.read) = (m, (start, added), read)
  }

  /// Products of queries with the state.
  func callAsFunction(_ queries: Matrix) -> Matrix { read(queries, whole.start, whole.added) }

  /// Some columns of them.
  func columns(_ range: Range<Int>, of queries: Matrix) -> Matrix {
    let part =
      parts[range]
      ?? {
        let select = m.unitColumns(whole.start.columns, from: range.lowerBound, count: range.count)
        return (m.multiply(whole.start, select), m.multiply(whole.added, select))
      }()
    parts[range] = part
    return read(queries, part.start, part.added)
  }
}
