import ChorusTensors

/// Comba (Hu et al. 2025): the gated delta rule that is corrected by a part of what is read at the key, S ← γ S + β k (v −
/// b k·S)ᵀ with b = σ(c) learned a head. What it takes off its queries belongs to the layer around it.
struct FeedbackRule<Gate: RecurrentRule>: RecurrentRule {
  static var channels: Bool { Gate.channels }
  static var corrects: Bool { true }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    Gate.gates(sizes) + [StoredLayout.Gate("rate")]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Gate.parameters(sizes) + [
      MemoryParameter("rate", sizes.heads, initial: 0), MemoryParameter("feedback", sizes.heads, initial: 1),
    ]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let numbers = head.numbers.suffix(2).map { $0[head.head] }
    return [
      RowTerms(
        fades: Gate.reference(row, head, steps: steps)[0].fades,
        rate: head.sigmoid(row.gates[row.gates.count - 1][0] + numbers[0]),
        erase: head.features(row.key).map { head.sigmoid(numbers[1]) * $0 })
    ]
  }

  private let gate: Gate
  private let features: Int
  private let values: MemoryValues
  /// Where the rate's column and number are; the feedback's number is behind it.
  private let (column, number): (Int, Int)

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    gate = Gate(spec, sizes, values)
    features = FeatureMaps.named(orIdentity: spec.features).count(sizes.width)
    self.values = values
    (column, number) = (Gate.gates(sizes).count, Gate.parameters(sizes).count)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    _ = gate.terms(row, head, steps: steps, into: move)
    let part = Float(Softplus.slope(Double(values[number + 1][head])))
    for i in 0..<features { move.erase[i] *= part }
    return Softplus.slope(Double(row.gate(column)[0]) + Double(values[number][head]))
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let fades = gate.record(&head, keys: keys).fades
    let rates = m.sigmoid(m.addRow(head.gate(column), head.parameter(number)))
    let part = m.multiply(m.constant(1, head.rows, 1), m.sigmoid(head.parameter(number + 1)))
    return RecordedTerms(fades: fades, rates: rates, erases: m.scaleRows(keys.matrix, by: part))
  }
}
