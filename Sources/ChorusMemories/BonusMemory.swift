import ChorusTensors
import Foundation

/// RWKV-6 (Peng et al. 2024): a row reads q·(S + Diag(u) k vᵀ) of the state before it, and only then S ← Diag(w) S + k vᵀ, with
/// w = exp(−e^(x·w + b)) and a bonus u learned for every key column.
///
/// So a row moves twice, and a read does not see the newest row's second move: first it writes u ⊙ k, then the state fades and
/// what the bonus is short of is made up, (1 − u ⊙ w) ⊙ k.
struct BonusRule: RecurrentRule {
  static let channels = true
  static let moves = 2
  static let unread = 1
  /// The largest exponent of a decay: e⁵ is faster than anything that is kept.
  private static let most = 5.0

  // Places in the shape's parameters.
  private static let decay = 0, bonus = 1

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    [StoredLayout.Gate("decay", width: sizes.width)]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [
      MemoryParameter("decay", sizes.columns, initial: -3),
      MemoryParameter("bonus", sizes.columns, initial: 0.5),
    ]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let width = head.sizes.width
    let fades = zip(row.gates[0], head.part(decay, width)).map { -exp(min($0 + $1, most)) }
    let bonus = head.part(bonus, width)
    return [
      RowTerms(fades: fades.map { _ in 0 }, key: zip(bonus, row.key).map(*)),
      RowTerms(fades: fades, key: row.key.indices.map { (1 - bonus[$0] * exp(fades[$0])) * row.key[$0] }),
    ]
  }

  private let width: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (width, self.values) = (sizes.width, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let (decays, bonuses) = (values[Self.decay] + head * width, values[Self.bonus] + head * width)
    for i in 0..<width {
      guard move.number == 1 else {
        move.fade[i] = 0
        move.key[i] *= bonuses[i]
        continue
      }
      move.fade[i] = -exp(min(Double(row.gate(0)[i]) + Double(decays[i]), Self.most))
      move.key[i] *= Float(1 - Double(bonuses[i]) * exp(move.fade[i]))
    }
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let x = m.addRow(head.gate(0), head.parameters(Self.decay, count: width))
    let fades = m.map(x) { x in x < Self.most ? (-exp(x), -exp(x)) : (-exp(Self.most), 0) }
    let bonus = head.parameters(Self.bonus, count: width)
    let first = m.scaleColumns(keys.matrix, by: bonus)
    let second = m.add(keys.matrix, m.hadamard(first, m.exponential(fades)), scale: -1)
    return RecordedTerms(
      fades: m.interleaved([m.constant(0, head.rows, width), fades]), keys: m.interleaved([first, second]),
      values: m.interleaved([head.allValues, head.allValues]))
  }
}
