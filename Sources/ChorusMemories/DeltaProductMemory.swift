import ChorusTensors

/// How many moves a row makes, where that is part of a rule's type.
protocol MoveCount: Sendable { static var count: Int { get } }
enum OneMove: MoveCount { static let count = 1 }
enum TwoMoves: MoveCount { static let count = 2 }
enum ThreeMoves: MoveCount { static let count = 3 }

/// DeltaProduct (Siems et al. 2025): the state fades by another rule's gate, and then a row takes several steps of the
/// delta rule, each with a key, a value and a rate β = 2σ(x·w + b) of its own. A rate of 2 turns what is known at a key into its
/// opposite, so the transition is a product of reflections; with one step it is DeltaNet with negative eigenvalues (Grazzi
/// et al. 2025).
struct DeltaProductRule<Gate: RecurrentRule, Count: MoveCount>: RecurrentRule {
  static var corrects: Bool { true }
  static var moves: Int { Count.count }

  // Behind the gate's columns come the first rate, then a key, a value and a rate for every further step.
  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    Gate.gates(sizes) + [StoredLayout.Gate("rate")]
      + stride(from: 1, to: Count.count, by: 1).flatMap { step in
        [
          StoredLayout.Gate("key.\(step)", width: sizes.width),
          StoredLayout.Gate("value.\(step)", width: sizes.width), StoredLayout.Gate("rate.\(step)"),
        ]
      }
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Gate.parameters(sizes)
      + (0..<Count.count).map {
        MemoryParameter($0 == 0 ? "rate" : "rate.\($0)", sizes.heads, initial: -1)
      }
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let numbers = head.numbers.suffix(Count.count).map { $0[head.head] }
    let own = Array(row.gates.suffix(3 * Count.count - 2))
    return (0..<Count.count).map { step in
      let rate = 2 * head.sigmoid(own[3 * step][0] + numbers[step])
      guard step > 0 else {
        return RowTerms(fades: Gate.reference(row, head, steps: steps)[0].fades, rate: rate)
      }
      return RowTerms(
        fades: [0], rate: rate, key: head.features(own[3 * step - 2]), value: own[3 * step - 1])
    }
  }

  private let gate: Gate
  private let width: Int
  private let values: MemoryValues
  /// Where the first rate's column and number are.
  private let (column, number): (Int, Int)

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    gate = Gate(spec, sizes, values)
    (width, self.values) = (sizes.width, values)
    (column, number) = (Gate.gates(sizes).count, Gate.parameters(sizes).count)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let step = move.number
    let rate = Double(row.gate(column + 3 * step)[0]) + Double(values[number + step][head])
    guard step > 0 else {
      _ = gate.terms(row, head, steps: steps, into: move)
      return 2 * Softplus.slope(rate)
    }
    move.fade[0] = 0
    UnitFeatures().apply(row.gate(column + 3 * step - 2), width: width, into: move.key)
    move.erase.update(from: move.key, count: width)
    move.value.update(from: row.gate(column + 3 * step - 1), count: width)
    return 2 * Softplus.slope(rate)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let fades = gate.record(&head, keys: keys).fades
    let none = m.constant(0, head.rows, 1)
    let rates = (0..<Count.count).map { step in
      m.scaled(
        m.sigmoid(m.addRow(head.gate(column + 3 * step), head.parameter(number + step))), by: 2)
    }
    let further = Array(stride(from: 1, to: Count.count, by: 1))
    return RecordedTerms(
      fades: m.interleaved([fades] + further.map { _ in none }), rates: m.interleaved(rates),
      keys: m.interleaved(
        [keys.matrix] + further.map { UnitFeatures().record(head.gate(column + 3 * $0 - 2), on: m) }),
      values: m.interleaved([head.allValues] + further.map { head.gate(column + 3 * $0 - 1) }))
  }
}
