import ChorusTensors
import Foundation

/// HGRN2 (Qin et al. 2024): S ← Diag(α) S + (1 − α) vᵀ with α = σ(k + b). A key column takes in as much as it forgets,
/// so a row has no key beside its gate. The lower bounds that its layers give α are what b begins with.
struct TiedGateRule: RecurrentRule {
  static let channels = true

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("keep", sizes.columns, initial: 2)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let kept = zip(row.key, head.part(0, head.sizes.width)).map { head.sigmoid($0 + $1) }
    return [RowTerms(fades: kept.map { log($0) }, key: kept.map { 1 - $0 })]
  }

  private let width: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, self.values) = (sizes.width, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let bias = values[0] + head * width
    for i in 0..<width {
      let x = Double(row.key[i]) + Double(bias[i])
      move.fade[i] = -Softplus.value(-x)
      move.key[i] = Float(Softplus.slope(-x))
    }
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let x = m.addRow(keys.matrix, head.parameters(0, count: width))
    return RecordedTerms(fades: m.logSigmoid(x), keys: m.sigmoid(m.scaled(x, by: -1)))
  }
}
