import ChorusTensors
import Foundation

/// Gated linear attention with one gate a head (Yang et al. 2024, simple form): S ← γ S + k vᵀ with γ = σ(x·w + b)^(1/16),
/// learned from the row.
struct ScalarGateRule: RecurrentRule {
  /// The gate's power is one over this, so that a layer forgets slowly when its training begins.
  static let divisor = 16.0

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [StoredLayout.Gate("keep")] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("keep", sizes.heads, initial: 0)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    [RowTerms(fades: [log(head.sigmoid(row.gates[0][0] + head.numbers[0][head.head])) / divisor])]
  }

  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) { self.values = values }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    move.fade[0] = -Softplus.value(-Double(row.gate(0)[0]) - Double(values[0][head])) / Self.divisor
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let (m, bias) = (head.matrices, head.parameter(0))
    return RecordedTerms(fades: m.logSigmoid(m.addRow(head.gate(0), bias), over: Self.divisor))
  }
}
