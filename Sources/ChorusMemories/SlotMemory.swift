import ChorusTensors
import Foundation

/// Gated slot attention (Zhang et al. 2024, "Gated Slot Attention for efficient linear-time sequence modeling"; ABC, Peng et al.
/// 2022, without its gates): as many slots as a head has columns, K̃ ← Diag(α) K̃ + (1 − α) kᵀ and Ṽ ← Diag(α) Ṽ + (1 − α) vᵀ
/// with α = σ(x·w + b)^(1/8), of which a query reads softmax(K̃ q/√d)·Ṽ.
///
/// That is one state whose rows are slots and whose columns are keys and values, under a tied channel gate.
struct SlotRule: RecurrentRule {
  static let channels = true
  static let readsProduct = false
  private static let divisor = 8.0
  static func columns(_ features: Int, width: Int) -> Int { 2 * width }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    [StoredLayout.Gate("keep", width: sizes.width)]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("keep", sizes.columns, initial: 0, spread: 1)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let kept = zip(row.gates[0], head.part(0, head.sizes.width)).map {
      pow(head.sigmoid($0 + $1), 1 / divisor)
    }
    return [RowTerms(fades: kept.map { log($0) }, key: kept.map { 1 - $0 }, value: row.value + row.key)]
  }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    let width = head.sizes.width
    let scores = state.map { head.dot(query, Array($0[width...])) / Double(width).squareRoot() }
    return head.read(head.softmax(scores), state.map { Array($0[..<width]) })
  }

  private let width: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, self.values) = (sizes.width, values)
  }

  /// Every slot for its score, then all of them together.
  var products: Int { width + 1 }
  var productColumns: Int? { (width + 1) * width }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let (gate, bias) = (row.gate(0), values[0] + head * width)
    for i in 0..<width {
      move.fade[i] = -Softplus.value(-(Double(gate[i]) + Double(bias[i]))) / Self.divisor
      move.value[width + i] = row.key[i]
      move.key[i] = Float(-expm1(max(move.fade[i], -40)))
    }
    return 1
  }

  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (asked, read) = (scratch.zeros(width), scratch.floats(width))
    // Row i of the state is what the unit vector i reads.
    let scores = (0..<width).map { slot -> Double in
      asked[slot] = 1
      state(asked, width..<2 * width, read)
      asked[slot] = 0
      return (0..<width).reduce(0) { $0 + Double(query[$1]) * Double(read[$1]) }
        / Double(width).squareRoot()
    }
    let top = scores.max() ?? 0
    let shares = scores.map { exp($0 - top) }
    let total = shares.reduce(0, +)
    for slot in 0..<width { asked[slot] = Float(shares[slot] / total) }
    state(asked, 0..<width, out)
    scratch.rewind(to: mark)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let fades = m.logSigmoid(
      m.addRow(head.gate(0), head.parameters(0, count: width)), over: Self.divisor)
    let taken = m.map(fades) { x in x > -40 ? (-expm1(x), -exp(x)) : (1, 0) }
    return RecordedTerms(fades: fades, keys: taken, values: m.beside(head.allValues, keys.matrix))
  }

  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix {
    let m = head.matrices
    let scores = (0..<width).map { slot in
      let unit = m.input(queries.rows, width, learns: false) { values in
        for place in 0..<queries.rows * width { values[place] = place % width == slot ? 1 : 0 }
      }
      return m.rowSums(m.hadamard(queries, state.columns(width..<2 * width, of: unit)))
    }
    let all = m.scaled(
      scores.dropFirst().reduce(scores[0]) { m.beside($0, $1) }, by: 1 / Double(width).squareRoot())
    // A row's largest score falls out of the quotient, so it need not be differentiated.
    let values = m.values(all)
    let tops = m.input(queries.rows, width, learns: false) { tops in
      for row in 0..<queries.rows {
        let top = (0..<width).reduce(-Double.infinity) { max($0, values[row * width + $1]) }
        for slot in 0..<width { tops[row * width + slot] = top }
      }
    }
    let shares = m.exponential(m.add(all, tops, scale: -1))
    let inverse = m.map(m.rowSums(shares)) { (1 / $0, -1 / ($0 * $0)) }
    return state.columns(0..<width, of: m.scaleRows(shares, by: inverse))
  }
}
