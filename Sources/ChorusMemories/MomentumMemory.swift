import ChorusTensors
import Foundation

/// Titans with a linear memory (Behrouz et al. 2024), exactly: P ← η P − θ k (k·M − v)ᵀ and M ← a M + P, gradient steps with
/// momentum η and weight decay 1 − a, where θ = σ(x·w + b) is learned from the row and a and η are learned a head.
///
/// Two states that fade by a and by η and take in the same u = θ k (v − k·M)ᵀ, X and Y, tell M = (a X − η Y)/(a − η). So this is a
/// delta rule whose state is X above Y: what is corrected is read at (k, −k)/(a − η) of the faded state, and a query reads at
/// (a q, −η q)/(a − η). η = 0.95·σ(c)·a, so that the two differ. Rates a and η that vary from row to row are not of this form.
struct MomentumRule: RecurrentRule {
  static let channels = true
  static let corrects = true
  static let readsProduct = false
  /// The largest share of a that η has.
  static let most = 0.95
  static func rank(_ features: Int) -> Int { 2 * features }

  // Places in the shape's parameters.
  private static let rate = 0, keep = 1, momentum = 2

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [StoredLayout.Gate("rate")] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [
      MemoryParameter("rate", sizes.heads, initial: 0), MemoryParameter("keep", sizes.heads, initial: 4),
      MemoryParameter("momentum", sizes.heads, initial: 0),
    ]
  }

  /// a, and η as its share.
  private static func kept(_ keep: Double, _ momentum: Double) -> (a: Double, share: Double) {
    (1 / (1 + exp(-keep)), most / (1 + exp(-momentum)))
  }
  private static func kept(_ head: ReferenceHead) -> (a: Double, share: Double) {
    kept(head.numbers[keep][head.head], head.numbers[momentum][head.head])
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let ((a, share), key) = (kept(head), head.features(row.key))
    let read = key.map { $0 / (a * (1 - share)) }
    return [
      RowTerms(
        fades: key.map { _ in log(a) } + key.map { _ in log(a * share) },
        rate: head.sigmoid(row.gates[0][0] + head.numbers[rate][head.head]), key: key + key,
        erase: read + read.map { -$0 })
    ]
  }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    let (_, share) = kept(head)
    return head.read(query.map { $0 / (1 - share) } + query.map { -share * $0 / (1 - share) }, state)
  }

  private let features: Int
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    features = FeatureMaps.named(orIdentity: spec.features).count(sizes.width)
    self.values = values
  }

  private func kept(_ head: Int) -> (a: Double, share: Double) {
    Self.kept(Double(values[Self.keep][head]), Double(values[Self.momentum][head]))
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let (a, share) = kept(head)
    for i in 0..<features {
      (move.fade[i], move.fade[features + i]) = (log(a), log(a * share))
      let read = move.key[i] / Float(a * (1 - share))
      (move.erase[i], move.erase[features + i]) = (read, -read)
      move.key[features + i] = move.key[i]
    }
    return Softplus.slope(Double(row.gate(0)[0]) + Double(values[Self.rate][head]))
  }

  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (asked, (_, share)) = (scratch.floats(2 * features), kept(head))
    for i in 0..<features {
      asked[i] = query[i] / Float(1 - share)
      asked[features + i] = -Float(share) * asked[i]
    }
    state(asked, nil, out)
    scratch.rewind(to: mark)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let m = head.matrices
    let rates = m.sigmoid(m.addRow(head.gate(0), head.parameter(Self.rate)))
    let (a, share) = (m.sigmoid(head.parameter(Self.keep)), share(&head))
    let logs = m.beside(logarithm(a, m), logarithm(m.hadamard(a, share), m))
    let fades = m.multiply(m.multiply(m.constant(1, head.rows, 1), logs), halves(m))
    let factor = m.hadamard(reciprocal(a, m), reciprocal(rest(share, m), m))
    let read = m.scaleRows(keys.matrix, by: m.multiply(m.constant(1, head.rows, 1), factor))
    return RecordedTerms(
      fades: fades, rates: rates, keys: m.beside(keys.matrix, keys.matrix),
      erases: m.beside(read, m.scaled(read, by: -1)))
  }

  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix {
    let (m, share) = (head.matrices, share(&head))
    let (ones, factor) = (m.constant(1, queries.rows, 1), reciprocal(rest(share, m), m))
    let first = m.scaleRows(queries, by: m.multiply(ones, factor))
    let second = m.scaleRows(first, by: m.multiply(ones, m.scaled(share, by: -1)))
    return state(m.beside(first, second))
  }

  // One number each.

  private func share(_ head: inout HeadPass) -> HeadPass.Matrix {
    let m = head.matrices
    return m.scaled(m.sigmoid(head.parameter(Self.momentum)), by: Self.most)
  }
  private func rest(_ x: HeadPass.Matrix, _ m: MatrixTape) -> HeadPass.Matrix { m.map(x) { (1 - $0, -1) } }
  private func reciprocal(_ x: HeadPass.Matrix, _ m: MatrixTape) -> HeadPass.Matrix {
    m.map(x) { (1 / $0, -1 / ($0 * $0)) }
  }
  private func logarithm(_ x: HeadPass.Matrix, _ m: MatrixTape) -> HeadPass.Matrix {
    m.map(x) { (log($0), 1 / $0) }
  }
  /// `[2, rank]`: the first number for the first half of the state, the second for the rest.
  private func halves(_ m: MatrixTape) -> HeadPass.Matrix {
    m.input(2, 2 * features, learns: false) { values in
      for i in 0..<4 * features {
        values[i] = (i / (2 * features)) == (i % (2 * features)) / features ? 1 : 0
      }
    }
  }
}
