import ChorusTensors
import Foundation

extension RecurrentMemory {
  typealias Matrix = HeadPass.Matrix

  /// The chunk form with derivatives, from the first row to the last: chunks hand on their state, so what is recorded grows
  /// linearly with the rows.
  func record(_ head: inout HeadPass) {
    let m = head.matrices
    let keys = m.stack(map.record(head.keys, on: m), map.record(head.ownKeys, on: m))
    let values = m.stack(head.values, head.ownValues)
    let terms = rule.record(&head)
    let fades = m.map(terms.fades) { x in x > Self.leastFade ? (x, 1) : (Self.leastFade, 0) }
    let queries = head.parts.map { map.record($0.queries, on: m) }
    // The state before the first row is nothing.
    var state = m.constant(0, rank, sizes.width)
    for first in stride(from: 0, to: keys.rows, by: Self.chunk) {
      let rows = first..<min(keys.rows, first + Self.chunk)
      let chunk = RecordedChunk<Rule>(
        m, keys: m.rows(keys, rows), values: m.rows(values, rows), fades: m.rows(fades, rows),
        rates: terms.rates.map { m.rows($0, rows) }, state)
      for (part, queries) in zip(head.parts, queries) {
        let ends = part.limits.map { head.keys.rows + Int($0) }
        for run in Self.runs(ends, in: rows) {
          let read = chunk.read(m.rows(queries, run), limits: ends[run].map { Int32($0 - first) })
          head.emit(read, row: part.row + run.lowerBound)
        }
      }
      state = chunk.end
    }
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

/// Rows between two states on a tape (spec 1.4 A, A′, B).
struct RecordedChunk<Rule: RecurrentRule> {
  typealias Matrix = MatrixTape.Matrix

  private let m: MatrixTape
  private let keys: Matrix
  /// r, what each row adds at its key.
  private let added: Matrix
  private let fades: Matrix
  /// Sums of g from the first row on.
  private let sums: Matrix
  private let start: Matrix

  init(
    _ m: MatrixTape, keys: Matrix, values: Matrix, fades: Matrix, rates: Matrix?, _ start: Matrix
  ) {
    self.m = m
    (self.keys, self.fades, self.start) = (keys, fades, start)
    let count = keys.rows
    sums = m.multiply(Self.ones(m, (1...count).map { 0..<$0 }, count), fades)
    guard Rule.corrects, let rates else {
      added = rates.map { m.scaleRows(values, by: $0) } ?? values
      return
    }
    let known = m.multiply(Self.faded(m, keys, sums), start)
    let below = Self.scores(m, keys, sums, keys, sums, limits: (0..<count).map { Int32($0) })
    let system = m.addDiagonal(m.scaleRows(below, by: rates), m.constant(1, 1, 1))
    added = m.solve(system, m.scaleRows(m.add(values, known, scale: -1), by: rates))
  }

  /// What queries read of the state and of the first rows, as many as their limits tell.
  func read(_ queries: Matrix, limits: [Int32]) -> Matrix {
    let sum = m.multiply(Self.ones(m, limits.map { 0..<Int($0) }, keys.rows), fades)
    let scores = Self.scores(m, queries, sum, keys, sums, limits: limits)
    return m.add(m.multiply(Self.faded(m, queries, sum), start), m.multiply(scores, added))
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
    let behind = m.add(
      m.multiply(sumsA, m.constant(1, 1, b.rows)), m.multiply(m.constant(1, a.rows, 1), m.transpose(sumsB)),
      scale: -1)
    // Only what a row does not see has a positive exponent.
    let kept = m.map(behind) { x in (exp(min(x, 0)), exp(min(x, 0))) }
    return m.visible(m.hadamard(m.multiply(a, b, .right), kept), limits: limits)
  }
}
