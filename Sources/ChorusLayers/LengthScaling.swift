import ChorusTensors
import Foundation

/// Queries that grow with the number of rows a softmax reads, so that it does not flatten over many (Nakanishi 2025), as TabICL's
/// second version has it: q ⊙ b(ln n) ⊙ (1 + tanh m(q)), with a perceptron b of the logarithm of the context's rows, and one, m, of
/// a head's query that all heads share.
///
/// n is of the context alone, as all that is said of one, and stays as it is while a buffer grows.
public struct LengthScaling: Sendable {
  let base: FeedForward
  let query: FeedForward

  init(_ sizes: AttentionSizes, hidden: Int, _ scope: inout ParameterScope) {
    // Both begin as if there were no scaling, nearly.
    base = scope.nested("base") {
      FeedForward(1, hidden: hidden, sizes.columns, shrink: 0.1, bias: .ones, &$0)
    }
    query = scope.nested("query") {
      FeedForward(sizes.width, hidden: hidden, sizes.width, start: .zeros, bias: .zeros, &$0)
    }
  }

  private var width: Int { query.inputs }
  private var columns: Int { base.outputs }

  /// In place on queries `[rows, columns]`.
  func apply(_ queries: UnsafeMutablePointer<Float>, rows: Int, held: Int, _ run: Workspace) {
    let mark = run.arena.mark
    let (count, scale, changes) = (
      run.arena.floats(1), run.arena.floats(columns), run.arena.floats(rows * columns)
    )
    count[0] = Self.logarithm(held)
    base.apply(count, rows: 1, into: scale, run)
    query.apply(queries, rows: rows * columns / width, into: changes, run)
    for row in 0..<rows {
      let (own, change) = (queries + row * columns, changes + row * columns)
      for i in 0..<columns { own[i] *= scale[i] * (1 + tanh(change[i])) }
    }
    run.arena.rewind(to: mark)
  }

  func record(_ queries: Node, held: Int, on tape: Tape) -> Node {
    let scale = base.record(tape.constant([Self.logarithm(held)], rows: 1, columns: 1), on: tape)
    let changes = query.record(queries.reshaped(columns: width), on: tape).reshaped(columns: columns)
    let (rows, all) = (0..<queries.rows, 0..<columns)
    return tape.matrices(rows: queries.rows, columns: columns, reads: [queries, scale, changes]) { pass in
      let change = pass.matrices.map(pass.input(changes, rows: rows, columns: all)) {
        let value = tanh($0)
        return (1 + value, 1 - value * value)
      }
      let changed = pass.matrices.hadamard(pass.input(queries, rows: rows, columns: all), change)
      pass.emit(
        pass.matrices.scaleColumns(changed, by: pass.input(scale, rows: 0..<1, columns: all)), row: 0,
        column: 0)
    }
  }

  private static func logarithm(_ count: Int) -> Float { Float(log(Double(max(count, 1)))) }
}
