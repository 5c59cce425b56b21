import ChorusTensors

/// Longhorn (Liu et al. 2024, theorem 3.1): S becomes what minimises ‖S − S₋‖² + β‖v − k·S‖², an implicit step on the row's error.
/// That is the delta rule with the rate β/(1 + β‖k‖²), so keys of any length are stable. β = σ(x·w + b), learned from the
/// row. This is the exact solution; the authors' program replaces kkᵀ by its diagonal, which is another memory.
struct LonghornRule: RecurrentRule {
  static let corrects = true

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [StoredLayout.Gate("rate")] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("rate", sizes.heads, initial: 0)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let beta = head.sigmoid(row.gates[0][0] + head.numbers[0][head.head])
    return [RowTerms(fades: [0], rate: beta / (1 + beta * head.dot(row.key, row.key)))]
  }

  private let width: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, self.values) = (sizes.width, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    move.fade[0] = 0
    let beta = Softplus.slope(Double(row.gate(0)[0]) + Double(values[0][head]))
    let squares = (0..<width).reduce(0.0) { $0 + Double(row.key[$1]) * Double(row.key[$1]) }
    return beta / (1 + beta * squares)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let (m, bias) = (head.matrices, head.parameter(0))
    let beta = m.sigmoid(m.addRow(head.gate(0), bias))
    let inverse = m.map(m.hadamard(beta, m.rowSums(m.hadamard(keys.matrix, keys.matrix)))) { x in
      (1 / (1 + x), -1 / ((1 + x) * (1 + x)))
    }
    return RecordedTerms(fades: m.constant(0, head.rows, 1), rates: m.hadamard(beta, inverse))
  }
}
