import ChorusTensors
import Foundation

/// The state-space layer of Mamba-2 (Dao & Gu 2024, eq. 16) as a memory: Δ = softplus(x·w + b), S ← e^(−Δ·e^A) S + k (Δ v)ᵀ
/// with b and A learned a head. Its skip D·x belongs to the layer around it, since a query brings no value.
struct StepGateRule: RecurrentRule {
  // Places in the shape's parameters.
  private static let bias = 0, speed = 1

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [StoredLayout.Gate("step")] }
  /// Steps that begin about log-uniform in 0.001...0.1, and speeds about 1...16, as they do there.
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [
      MemoryParameter("step", sizes.heads, initial: Softplus.inverse(0.01), spread: 1.3),
      MemoryParameter("speed", sizes.heads, initial: log(4), spread: 0.8),
    ]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let step = head.softplus(row.gates[0][0] + head.numbers[bias][head.head])
    return [RowTerms(fades: [-step * exp(head.numbers[speed][head.head])], rate: step)]
  }

  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) { self.values = values }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let step = Softplus.value(Double(row.gate(0)[0]) + Double(values[Self.bias][head]))
    move.fade[0] = -step * exp(Double(values[Self.speed][head]))
    return step
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let step = m.softplus(m.addRow(head.gate(0), head.parameter(Self.bias)))
    let speed = m.map(head.parameter(Self.speed)) { x in (-exp(x), -exp(x)) }
    return RecordedTerms(fades: m.multiply(step, speed), rates: step)
  }
}
