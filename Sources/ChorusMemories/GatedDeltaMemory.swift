import ChorusTensors
import Foundation

/// The gated delta rule (Yang, Kautz & Hatamizadeh 2025, eq. 10): the state fades by another rule's gate, and then a step of
/// rate β = σ(x·w + b), learned from the row, corrects what is known at its key: S ← S + β k (v − k·S)ᵀ. With a gate for
/// every key column it is Kimi delta attention (Kimi Team 2025).
///
/// Other rules with such a rate are made of it: their own columns and numbers come behind its.
struct GatedDeltaRule<Gate: RecurrentRule>: RecurrentRule {
  static var channels: Bool { Gate.channels }
  static var corrects: Bool { true }

  /// The rate's column and number come behind the gate's.
  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    Gate.gates(sizes) + [StoredLayout.Gate("rate")]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Gate.parameters(sizes) + [MemoryParameter("rate", sizes.heads, initial: 0)]
  }

  static func fade(steps: Int, head: Int) -> Double { Gate.fade(steps: steps, head: head) }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let column = row.gates[Gate.gates(head.sizes).count][0]
    let number = head.numbers[Gate.parameters(head.sizes).count]
    return Gate.reference(row, head, steps: steps).map {
      RowTerms(fades: $0.fades, rate: head.sigmoid(column + number[head.head]))
    }
  }

  private let gate: Gate
  private let values: MemoryValues
  /// Where the rate's column and number are.
  let column: Int
  let number: Int

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    gate = Gate(spec, sizes, values)
    self.values = values
    (column, number) = (Gate.gates(sizes).count, Gate.parameters(sizes).count)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    _ = gate.terms(row, head, steps: steps, into: move)
    return Softplus.slope(Double(row.gate(column)[0]) + Double(values[number][head]))
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let (m, bias) = (head.matrices, head.parameter(number))
    let rates = m.sigmoid(m.addRow(head.gate(column), bias))
    return RecordedTerms(fades: gate.record(&head, keys: keys).fades, rates: rates)
  }
}
