import ChorusTensors
import Foundation

/// RWKV-7 (Peng et al. 2025): S ← Diag(w) S − (a ⊙ κ̂)(κ̂·S) + k̃ vᵀ, a diagonal plus any rank-one transition. κ̂ is the key
/// times ξ at length 1, a = σ(x·w + b) a rate for every column, w = exp(−e^(−½) σ(x·w + b)) and k̃ = k ⊙ (1 + (a − 1) ⊙ μ) with ξ
/// and μ learned.
///
/// A row moves twice: first it fades and removes what is read at one key, then it writes at another. What is removed is read
/// of the state before it fades, which is κ̂/w of the state behind.
struct ReplaceRule: RecurrentRule {
  static let channels = true
  static let corrects = true
  static let moves = 2
  static let fastest = exp(-0.5)

  // Places of gates and parameters; parameters have two more.
  private static let decay = 0, rate = 1, removal = 2, replacement = 3

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    [StoredLayout.Gate("decay", width: sizes.width), StoredLayout.Gate("rate", width: sizes.width)]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [
      MemoryParameter("decay", sizes.columns, initial: -2),
      MemoryParameter("rate", sizes.columns, initial: 0),
      MemoryParameter("removal", sizes.columns, initial: 1),
      MemoryParameter("replacement", sizes.columns, initial: 1),
    ]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    func part(_ index: Int) -> [Double] { head.part(index, head.sizes.width) }
    let fades = zip(row.gates[decay], part(decay)).map { -fastest * head.sigmoid($0 + $1) }
    let rates = zip(row.gates[rate], part(rate)).map { head.sigmoid($0 + $1) }
    let removed = UnitFeatures().reference(zip(row.key, part(removal)).map(*))
    let written = row.key.indices.map { row.key[$0] * (1 + (rates[$0] - 1) * part(replacement)[$0]) }
    return [
      RowTerms(
        fades: fades, key: zip(rates, removed).map(*), erase: zip(removed, fades).map { $0 / exp($1) },
        value: head.nothing),
      RowTerms(fades: fades.map { _ in 0 }, key: written, erase: fades.map { _ in 0 }),
    ]
  }

  private let width: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, self.values) = (sizes.width, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    func number(_ index: Int, _ i: Int) -> Double { Double(values[index][head * width + i]) }
    func gate(_ index: Int, _ i: Int) -> Double {
      Softplus.slope(Double(row.gate(index)[i]) + number(index, i))
    }
    if move.number == 1 {
      for i in 0..<width {
        move.fade[i] = 0
        move.erase[i] = 0
        move.key[i] = row.key[i] * Float(1 + (gate(Self.rate, i) - 1) * number(Self.replacement, i))
      }
      return 1
    }
    for i in 0..<width { move.erase[i] = row.key[i] * Float(number(Self.removal, i)) }
    UnitFeatures().apply(move.erase, width: width, into: move.erase)
    for i in 0..<width {
      move.fade[i] = -Self.fastest * gate(Self.decay, i)
      move.key[i] = Float(gate(Self.rate, i)) * move.erase[i]
      move.erase[i] *= Float(exp(-move.fade[i]))
      move.value[i] = 0
    }
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let fades = m.scaled(head.sigmoid(gate: Self.decay, parameter: Self.decay), by: -Self.fastest)
    let rates = head.sigmoid(gate: Self.rate, parameter: Self.rate)
    let removed = UnitFeatures().record(
      m.scaleColumns(keys.matrix, by: head.parameters(Self.removal, count: width)), on: m)
    let kept = m.scaleColumns(
      m.add(rates, m.constant(1, head.rows, width), scale: -1),
      by: head.parameters(Self.replacement, count: width))
    let none = m.constant(0, head.rows, width)
    return RecordedTerms(
      fades: m.interleaved([fades, none]),
      keys: m.interleaved([m.hadamard(rates, removed), m.add(keys.matrix, m.hadamard(keys.matrix, kept))]),
      erases: m.interleaved([m.hadamard(removed, m.exponential(m.scaled(fades, by: -1))), none]),
      values: m.interleaved([none, head.allValues]))
  }
}
