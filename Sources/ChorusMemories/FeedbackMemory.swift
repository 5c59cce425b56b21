import ChorusTensors

/// Comba (Hu et al. 2025): the gated delta rule that is corrected by a part of what is read at the key, S ← γ S + β k (v −
/// b k·S)ᵀ with b = σ(c) learned a head. What it takes off its queries belongs to the layer around it.
struct FeedbackRule<Gate: RecurrentRule>: RecurrentRule {
  typealias Delta = GatedDeltaRule<Gate>
  static var channels: Bool { Delta.channels }
  static var corrects: Bool { true }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { Delta.gates(sizes) }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Delta.parameters(sizes) + [MemoryParameter("feedback", sizes.heads, initial: 1)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let part = head.sigmoid(head.numbers[head.numbers.count - 1][head.head])
    return Delta.reference(row, head, steps: steps).map {
      RowTerms(fades: $0.fades, rate: $0.rate, erase: head.features(row.key).map { part * $0 })
    }
  }

  private let delta: Delta
  private let features: Int
  private let values: MemoryValues
  /// Where the feedback's number is.
  private let number: Int

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    delta = Delta(spec, sizes, values)
    features = FeatureMaps.named(orIdentity: spec.features).count(sizes.width)
    self.values = values
    number = delta.number + 1
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let rate = delta.terms(row, head, steps: steps, into: move)
    let part = Float(Softplus.slope(Double(values[number][head])))
    for i in 0..<features { move.erase[i] *= part }
    return rate
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    var terms = delta.record(&head, keys: keys)
    let part = m.multiply(m.constant(1, head.rows, 1), m.sigmoid(head.parameter(number)))
    terms.erases = m.scaleRows(keys.matrix, by: part)
    return terms
  }
}
