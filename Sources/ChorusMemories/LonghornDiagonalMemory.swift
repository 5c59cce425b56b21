import ChorusTensors
import Foundation

/// Longhorn as its authors' program has it (Liu et al. 2024): the implicit step's matrix kkᵀ is replaced by its diagonal, S ←
/// (1 − Δ k²) ⊙ S + Δ k vᵀ with Δ = β/(1 + β‖k‖²). A key column forgets as much as it takes in, so this is a channel gate and
/// no delta rule. β = σ(x·w + b) is one number a head here, one for every value column there.
struct LonghornDiagonalRule: RecurrentRule {
  static let channels = true

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { LonghornRule.gates(sizes) }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] { LonghornRule.parameters(sizes) }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let rate = LonghornRule.reference(row, head, steps: steps)[0].rate
    return [RowTerms(fades: row.key.map { log(1 - rate * $0 * $0) }, rate: rate)]
  }

  private let width: Int
  private let exact: LonghornRule
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, exact) = (sizes.width, LonghornRule(spec, sizes, values))
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let rate = exact.terms(row, head, steps: steps, into: move)
    for i in 0..<width { move.fade[i] = log1p(-rate * Double(row.key[i]) * Double(row.key[i])) }
    return rate
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let terms = exact.record(&head, keys: keys)
    let forgotten =
      terms.rates.map { m.scaleRows(m.hadamard(keys.matrix, keys.matrix), by: $0) } ?? keys.matrix
    return RecordedTerms(
      fades: m.map(forgotten) { (log1p(-$0), -1 / (1 - $0)) }, rates: terms.rates)
  }
}
