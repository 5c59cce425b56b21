import ChorusTensors

/// Nothing fades. With the delta rule's learned rate it is DeltaNet (Schlag et al. 2021, eq. 24; Yang et al. 2024b): the rule of
/// `DeltaRule` with β = σ(x·w + b) of each row, as a fixed state a path.
struct NoFadeRule: RecurrentRule {
  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] { [] }
  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    [RowTerms(fades: [0])]
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {}

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    move.fade[0] = 0
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    RecordedTerms(fades: head.matrices.constant(0, head.rows, 1))
  }
}
