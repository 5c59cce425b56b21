import ChorusTensors
import Foundation

/// Retention (Sun et al. 2023, "Retentive network", eq. 5-8): S ← γ S + k vᵀ with γ = 1 − 2^(−5−h) of head h. A row that is
/// several places behind the one before it fades the state by as many powers, and so does a query behind its last row.
struct RetentionRule: RecurrentRule {
  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] { [] }

  /// log γ of a head.
  private static func fade(_ head: Int) -> Double { log1p(-exp2(-5 - Double(head))) }
  static func fade(steps: Int, head: Int) -> Double { Double(steps) * fade(head) }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    [RowTerms(fades: [log(pow(1 - pow(2, -5 - Double(head.head)), Double(steps)))])]
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {}

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    move.fade[0] = Self.fade(steps: steps, head: head)
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    RecordedTerms(fades: head.matrices.constant(Self.fade(head.head), head.rows, 1))
  }
}
