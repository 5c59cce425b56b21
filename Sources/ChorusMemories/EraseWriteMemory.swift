import ChorusTensors

/// The second gated delta rule, GDN-2 (in flash-linear-attention): S ← (I − k (b ⊙ k)ᵀ) Diag(α) S + k (w ⊙ v)ᵀ, the
/// delta rule with a gate for every key column of what is erased, b = σ(x·w + c), and for every value column of what is written.
/// α is another rule's gate.
struct EraseWriteRule<Gate: RecurrentRule>: RecurrentRule {
  static var channels: Bool { Gate.channels }
  static var corrects: Bool { true }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    Gate.gates(sizes) + ["erase", "write"].map { StoredLayout.Gate($0, width: sizes.width) }
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Gate.parameters(sizes) + ["erase", "write"].map { MemoryParameter($0, sizes.columns, initial: 0) }
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let (column, number) = (row.gates.count - 2, head.numbers.count - 2)
    let gates = (0..<2).map { place in
      zip(row.gates[column + place], head.part(number + place, head.sizes.width)).map {
        head.sigmoid($0 + $1)
      }
    }
    return [
      RowTerms(
        fades: Gate.reference(row, head, steps: steps)[0].fades,
        erase: zip(gates[0], head.features(row.key)).map(*), value: zip(gates[1], row.value).map(*))
    ]
  }

  private let gate: Gate
  private let width: Int
  private let values: MemoryValues
  /// Where the erasing gate's columns and numbers are; the writing gate's are behind them.
  private let (column, number): (Int, Int)

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    gate = Gate(spec, sizes, values)
    (width, self.values) = (sizes.width, values)
    (column, number) = (Gate.gates(sizes).count, Gate.parameters(sizes).count)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    _ = gate.terms(row, head, steps: steps, into: move)
    func open(_ place: Int, _ i: Int) -> Float {
      let x = Double(row.gate(column + place)[i]) + Double(values[number + place][head * width + i])
      return Float(Softplus.slope(x))
    }
    for i in 0..<width {
      move.erase[i] *= open(0, i)
      move.value[i] *= open(1, i)
    }
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let fades = gate.record(&head, keys: keys).fades
    let erased = head.sigmoid(gate: column, parameter: number)
    let written = head.sigmoid(gate: column + 1, parameter: number + 1)
    return RecordedTerms(
      fades: fades, erases: m.hadamard(erased, keys.matrix), values: m.hadamard(written, head.allValues))
  }
}
