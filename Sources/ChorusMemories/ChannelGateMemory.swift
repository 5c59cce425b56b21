import ChorusTensors
import Foundation

/// Gated linear attention (Yang et al. 2024, eq. 3-4): S ← Diag(α) S + k vᵀ with α = σ(x·w + b)^(1/16), one gate a key column.
struct ChannelGateRule: RecurrentRule {
  static let channels = true

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    [StoredLayout.Gate("keep", width: sizes.width)]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("keep", sizes.columns, initial: 0)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let bias = head.part(0, head.sizes.width)
    return [
      RowTerms(fades: zip(row.gates[0], bias).map { log(head.sigmoid($0 + $1)) / ScalarGateRule.divisor })
    ]
  }

  private let sizes: AttentionSizes
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (self.sizes, self.values) = (sizes, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let (gate, bias) = (row.gate(0), values[0] + head * sizes.width)
    for i in 0..<sizes.width {
      move.fade[i] = -Softplus.value(-Double(gate[i]) - Double(bias[i])) / ScalarGateRule.divisor
    }
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let bias = head.parameters(0, count: sizes.width)
    return RecordedTerms(fades: m.logSigmoid(m.addRow(head.gate(0), bias), over: ScalarGateRule.divisor))
  }
}
