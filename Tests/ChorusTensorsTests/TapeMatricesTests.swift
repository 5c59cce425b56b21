import Foundation
import Testing

@testable import ChorusTensors

/// Operations of a tape that are made of small matrices, and local linear attention.
@Suite struct TapeMatricesTests {
  /// Parts of two nodes and of a parameter, read twice, and outputs beside each other with a gap between.
  @Test func inputsAndOutputsFindTheirPlaces() {
    var check = TapeCheck()
    let x = check.declare("x", 5, 6)
    let y = check.declare("y", 3, 4)
    let p = check.declare("p", 1, 7)
    check.matrix(tolerance: 1e-5) { tape, _ in
      let (a, b) = (TapeCheck.input(x, on: tape), TapeCheck.input(y, on: tape))
      func record() -> Node {
        tape.matrices(rows: 4, columns: 5, reads: [a, b]) { pass in
          let left = pass.input(a, rows: 1..<4, columns: 2..<4)
          let right = pass.input(b, rows: 0..<2, columns: 1..<3)
          let row = pass.input(p, 3..<5)
          let again = pass.input(a[2..<5], rows: 0..<3, columns: 2..<4)
          let m = pass.matrices
          pass.emit(m.addRow(m.multiply(left, right), row), row: 1, column: 0)
          pass.emit(m.hadamard(left, again), row: 0, column: 3)
        }
      }
      let one = record()
      return tape.gather([.node(one, [0, 1, 2, 3]), .node(record(), [3, -1, 1, 0])], rows: 4, columns: 5)
    } reference: { m in
      guard let x = m["x"], let y = m["y"], let p = m["p"] else { return Dense(0, 0) }
      var out = Dense(4, 5)
      for i in 0..<3 {
        for j in 0..<2 {
          out[i + 1, j] = x[i + 1, 2] * y[0, 1 + j] + x[i + 1, 3] * y[1, 1 + j] + p[0, 3 + j]
          out[i, 3 + j] = x[i + 1, 2 + j] * x[i + 2, 2 + j]
        }
      }
      let turned = [3, -1, 1, 0]
      return Dense(4, 5) { out[$0, $1] + (turned[$0] < 0 ? 0 : out[turned[$0], $1]) }
    }
  }

  @Test func nodesBesideEachOther() {
    var check = TapeCheck()
    let x = check.declare("x", 4, 3)
    let y = check.declare("y", 6, 2)
    check.matrix(tolerance: 1e-5) { tape, _ in
      let (a, b) = (TapeCheck.input(x, on: tape), TapeCheck.input(y, on: tape))
      return tape.beside([b[1..<5], a, b[2..<6]])
    } reference: { m in
      guard let x = m["x"], let y = m["y"] else { return Dense(0, 0) }
      return Dense(4, 7) { row, column in
        column < 2 ? y[row + 1, column] : column < 5 ? x[row, column - 2] : y[row + 2, column - 5]
      }
    }
  }

  /// In the spec's additive form, with the inverse by elimination.
  private static func localLinear(
    _ q: Dense, _ kv: Dense, _ ridge: Dense, heads: Int, floor: Double, sees: (Int, Int) -> Bool
  ) -> Dense {
    let (d, width) = (q.columns, q.columns / heads)
    var out = Dense(q.rows, d)
    for head in 0..<heads {
      let strength = log(1 + exp(ridge[0, head])) + floor
      for row in 0..<q.rows {
        let visible = (0..<kv.rows).filter { sees(row, $0) }
        guard !visible.isEmpty else { continue }
        let key = { (stored: Int, i: Int) in kv[stored, head * width + i] }
        let weights = visible.map { stored in
          exp(
            (0..<width).reduce(0) { $0 + q[row, head * width + $1] * key(stored, $1) }
              / Double(width).squareRoot())
        }
        let total = weights.reduce(0, +)
        let n = width + 1
        var a = Dense(n, n + width)
        for (stored, weight) in zip(visible, weights) {
          let f = [1] + (0..<width).map { key(stored, $0) - q[row, head * width + $0] }
          for i in 0..<n {
            for j in 0..<n { a[i, j] += weight / total * f[i] * f[j] }
            for j in 0..<width { a[i, n + j] += weight / total * f[i] * kv[stored, d + head * width + j] }
          }
        }
        for i in 1..<n { a[i, i] += strength }
        for pivot in 0..<n {
          for i in 0..<n where i != pivot {
            let factor = a[i, pivot] / a[pivot, pivot]
            for column in pivot..<n + width { a[i, column] -= factor * a[pivot, column] }
          }
        }
        for j in 0..<width { out[row, head * width + j] = a[0, n + j] / a[0, 0] }
      }
    }
    return out
  }

  @Test func localLinearFitsAndTheirGradients() {
    let blocks = [
      VisibleBlock(queries: 0..<2, shared: 0..<7),
      VisibleBlock(queries: 3..<7, shared: 0..<7, own: 7..<11, limits: [1, 0, 4, 2]),
      VisibleBlock(queries: 7..<9, shared: 0..<0, own: 7..<11, limits: [4, 0]),
    ]
    func sees(_ row: Int, _ stored: Int) -> Bool {
      for block in blocks where block.queries.contains(row) {
        if block.shared.contains(stored) { return true }
        guard !block.limits.isEmpty else { return false }
        let limit = Int(block.limits[row - block.queries.lowerBound])
        return block.own.contains(stored) && stored - block.own.lowerBound < limit
      }
      return false
    }
    for (heads, width) in [(2, 3), (1, 8)] {
      var check = TapeCheck()
      let q = check.declare("q", 9, heads * width)
      let kv = check.declare("kv", 11, 2 * heads * width)
      let ridge = check.declare("ridge", 1, heads)
      check.matrix(tolerance: 1e-4) { tape, _ in
        tape.localLinear(
          queries: TapeCheck.input(q, on: tape), keyValues: TapeCheck.input(kv, on: tape),
          sizes: AttentionSizes(heads: heads, width: width), steps: 3 * width, ridge: ridge, floor: 1e-3,
          blocks: blocks)
      } reference: { m in
        guard let q = m["q"], let kv = m["kv"], let ridge = m["ridge"] else { return Dense(0, 0) }
        return Self.localLinear(q, kv, ridge, heads: heads, floor: 1e-3, sees: sees)
      }
    }
  }
}
