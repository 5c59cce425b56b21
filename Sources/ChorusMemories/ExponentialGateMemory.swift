import ChorusTensors
import Foundation

/// The matrix memory of xLSTM (Beck et al. 2024): C ← f C + i k vᵀ and n ← f n + i k with f = σ(f̃), i = exp(ĩ) and k over
/// √d, read as q·C / max(|q·n|, 1). n is one more column of the state. Gates are capped softly, 15·tanh(x/15), as in its
/// larger models (Beck et al. 2025), so that no state leaves single precision and none has to be stored with its exponent.
struct ExponentialGateRule: RecurrentRule {
  static let cap = 15.0
  static let readsProduct = false
  static func columns(_ features: Int, width: Int) -> Int { width + 1 }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    [StoredLayout.Gate("keep"), StoredLayout.Gate("write")]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("keep", sizes.heads, initial: 3), MemoryParameter("write", sizes.heads, initial: 0)]
  }

  private static func capped(_ x: Double) -> Double { cap * tanh(x / cap) }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let gates = (0..<2).map { capped(row.gates[$0][0] + head.numbers[$0][head.head]) }
    let root = Double(head.sizes.width).squareRoot()
    return [
      RowTerms(
        fades: [log(head.sigmoid(gates[0]))], rate: exp(gates[1]), key: row.key.map { $0 / root },
        value: row.value + [1])
    ]
  }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    let read = head.read(query, state)
    return read.dropLast().map { $0 / max(abs(read[read.count - 1]), 1) }
  }

  private let width: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, self.values) = (sizes.width, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    func gate(_ index: Int) -> Double {
      Self.capped(Double(row.gate(index)[0]) + Double(values[index][head]))
    }
    let root = Float(width).squareRoot()
    for i in 0..<width { move.key[i] /= root }
    move.fade[0] = -Softplus.value(-gate(0))
    move.value[width] = 1
    return exp(gate(1))
  }

  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let read = scratch.floats(width + 1)
    state(query, nil, read)
    let size = max(abs(read[width]), 1)
    for j in 0..<width { out[j] = read[j] / size }
    scratch.rewind(to: mark)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    func gate(_ index: Int) -> HeadPass.Matrix {
      m.map(m.addRow(head.gate(index), head.parameter(index))) { x in
        let t = tanh(x / Self.cap)
        return (Self.cap * t, 1 - t * t)
      }
    }
    return RecordedTerms(
      fades: m.logSigmoid(gate(0)), rates: m.exponential(gate(1)),
      keys: m.scaled(keys.matrix, by: 1 / Double(width).squareRoot()),
      values: m.beside(head.allValues, m.constant(1, head.rows, 1)))
  }

  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix {
    let (m, read) = (head.matrices, state(queries))
    let size = m.multiply(read, m.unitColumns(read.columns, from: width, count: 1))
    let inverse = m.map(size) { x in
      abs(x) > 1 ? (1 / abs(x), (x > 0 ? -1 : 1) / (x * x)) : (1, 0)
    }
    return m.scaleRows(m.multiply(read, m.unitColumns(read.columns, from: 0, count: width)), by: inverse)
  }
}
