import ChorusTensors
import Foundation

/// The preconditioned delta rule (in flash-linear-attention; spec 1.3, row 16): a step at a row's key is longer in columns where keys
/// have been small. A ← e^h A + b k² tells of every key column how large they have been, h = log σ(x·w + c)/16 and b = σ(x·w + c) learned from the row,
/// and S ← S + β (M ⊙ k)(v − k·S)ᵀ behind another rule's gate, with M = x^(−r/(1 + |r|)), r = log(A + 10⁻⁶) + 0.2 and x = 1.5. A is
/// handed on from row to row.
struct PreconditionedRule<Gate: RecurrentRule>: RecurrentRule {
  typealias Delta = GatedDeltaRule<Gate>
  static var channels: Bool { Delta.channels }
  static var corrects: Bool { true }
  static func carried(_ rank: Int) -> Int { rank }

  /// How much longer and shorter a step may be, x, and the A at which it is as long as without.
  private static var most: Double { 1.5 }
  private static var centre: Double { -0.2 }
  private static var least: Double { 1e-6 }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    Delta.gates(sizes) + ["curve.keep", "curve.rate"].map { StoredLayout.Gate($0) }
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Delta.parameters(sizes)
      + ["curve.keep", "curve.rate"].map { MemoryParameter($0, sizes.heads, initial: 0) }
  }

  /// M of an A, and its derivative.
  private static func step(_ curve: Double) -> (value: Double, derivative: Double) {
    let r = log(curve + least) - centre
    let size = 1 + abs(r)
    let value = pow(most, -r / size)
    return (value, -value * log(most) / (size * size) / (curve + least))
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    var none = [Double](repeating: 0, count: carried(head.rank))
    return reference(row, head, steps: steps, carrying: &none)
  }
  static func reference(
    _ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int, carrying curve: inout [Double]
  ) -> [RowTerms] {
    let told = zip(row.gates.suffix(2), head.numbers.suffix(2)).map { $0[0] + $1[head.head] }
    let (key, kept) = (head.features(row.key), pow(head.sigmoid(told[0]), 1 / ScalarGateRule.divisor))
    for i in curve.indices { curve[i] = kept * curve[i] + head.sigmoid(told[1]) * key[i] * key[i] }
    return Delta.reference(row, head, steps: steps).map {
      RowTerms(
        fades: $0.fades, rate: $0.rate, key: zip(key, curve).map { $0 * step($1).value }, erase: key)
    }
  }

  private let delta: Delta
  private let rank: Int
  private let values: MemoryValues
  /// Where the curve's columns and numbers are.
  private let (column, number): (Int, Int)

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    delta = Delta(spec, sizes, values)
    rank = FeatureMaps.named(orIdentity: spec.features).count(sizes.width)
    self.values = values
    (column, number) = (delta.column + 1, delta.number + 1)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let rate = delta.terms(row, head, steps: steps, into: move)
    func told(_ place: Int) -> Double {
      Double(row.gate(column + place)[0]) + Double(values[number + place][head])
    }
    let kept = Float(exp(-Softplus.value(-told(0)) / ScalarGateRule.divisor))
    let new = Float(Softplus.slope(told(1)))
    for i in 0..<rank {
      move.carried[i] = kept * move.carried[i] + new * move.key[i] * move.key[i]
      move.key[i] *= Float(Self.step(Double(move.carried[i])).value)
    }
    return rate
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    var terms = delta.record(&head, keys: keys)
    let told = (0..<2).map { m.addRow(head.gate(column + $0), head.parameter(number + $0)) }
    let squares = m.scaleRows(m.hadamard(keys.matrix, keys.matrix), by: m.sigmoid(told[1]))
    let curves = m.fadingSums(squares, m.logSigmoid(told[0], over: ScalarGateRule.divisor))
    terms.keys = m.hadamard(keys.matrix, m.map(curves, Self.step))
    terms.erases = keys.matrix
    return terms
  }
}

extension MatrixTape {
  /// A ← e^h A + x from row to row, of rows x and h `[rows, 1]` ≤ 0: sums within some rows by their decays, chunk by chunk.
  fileprivate func fadingSums(_ x: Matrix, _ fades: Matrix) -> Matrix {
    var (parts, last): ([Matrix], Matrix?) = ([], nil)
    for first in stride(from: 0, to: x.rows, by: 64) {
      let rows = first..<min(first + 64, x.rows)
      let (n, limits) = (rows.count, (1...rows.count).map { Int32($0) })
      let ones = constant(1, n, n)
      let sums = multiply(visible(ones, limits: limits), self.rows(fades, rows))
      let across = multiply(sums, constant(1, 1, n))
      // Only what a row does not see has a positive exponent.
      let kept = map(add(across, transpose(across), scale: -1)) { (exp(min($0, 0)), exp(min($0, 0))) }
      var part = multiply(visible(kept, limits: limits), self.rows(x, rows))
      if let last { part = add(part, multiply(exponential(sums), last)) }
      (parts, last) = (parts + [part], self.rows(part, n - 1..<n))
    }
    return parts.dropFirst().reduce(parts[0]) { stack($0, $1) }
  }
}
