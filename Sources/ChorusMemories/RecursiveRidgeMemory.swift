import ChorusTensors
import Foundation

/// Recursive least squares with a forgetting factor (Haykin 2002): ridge regression to rows that fade by γ = 1
/// − 2^(−5−h) of head h, whose ridge fades with them. H begins as λ·I, and a query reads q·H⁻¹·G.
///
/// The usual recursion hands on P = H⁻¹, which grows without bound where nothing is seen any more; here H itself is handed on,
/// and a factor of it that does not exist is taken of a matrix with more on its diagonal, which `raised` tells.
struct RecursiveRidgeRule: RecurrentRule {
  static let readsProduct = false
  static func columns(_ features: Int, width: Int) -> Int { width + features }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { [] }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(1))]
  }

  static func fade(steps: Int, head: Int) -> Double { RetentionRule.fade(steps: steps, head: head) }
  static func start(_ head: ReferenceHead) -> Double { head.softplus(head.numbers[0][head.head]) }
  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    [
      RowTerms(
        fades: RetentionRule.reference(row, head, steps: steps)[0].fades,
        value: row.value + head.features(row.key))
    ]
  }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    FadingRidge.reference(query, head, ridge: 0, of: state)
  }

  private let gate: RetentionRule
  private let (rank, width): (Int, Int)
  private let values: MemoryValues

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    gate = RetentionRule(spec, sizes, values)
    (rank, width) = (FeatureMaps.named(orIdentity: spec.features).count(sizes.width), sizes.width)
    self.values = values
  }

  var products: Int { FadingRidge.work(.exact, rank: rank).products }
  var productColumns: Int? { FadingRidge.work(.exact, rank: rank).columns(width) }
  var readWork: Double { FadingRidge.work(.exact, rank: rank).rest }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    for i in 0..<rank { move.value[width + i] = move.key[i] }
    return gate.terms(row, head, steps: steps, into: move)
  }
  func start(_ head: Int) -> Float { Float(Softplus.value(Double(values[0][head]))) }

  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    FadingRidge.read(query, ridge: 0, .exact, rank: rank, width: width, state, into: out, scratch)
  }

  func raised(_ state: UnsafePointer<Float>, _ head: Int) -> Double {
    let columns = width + rank
    let h = (0..<rank * rank).map { Double(state[$0 / rank * columns + width + $0 % rank]) }
    return FadingRidge.exact([Double](repeating: 0, count: rank), ridge: 0, h).raised
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let fades = gate.record(&head, keys: keys).fades
    return RecordedTerms(fades: fades, values: head.matrices.beside(head.allValues, keys.matrix))
  }
  func recordStart(_ head: inout HeadPass) -> HeadPass.Matrix? {
    head.matrices.softplus(head.parameter(0))
  }
  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix {
    let m = head.matrices
    return FadingRidge.record(queries, ridge: m.constant(0, 1, 1), width: width, m, state)
  }
}
