import ChorusTensors
import Foundation

/// MesaNet (von Oswald et al. 2025): ridge regression to rows that fade by a gate and count by a learned rate, G ← γ G + β
/// k vᵀ and H ← γ H + β k kᵀ, read as x·G with (H + λ) x = q, which some steps of conjugate gradients find, or a Cholesky
/// factor. In training the fused pass takes the steps in Float (`RecurrentPass.Solve`), and the tape has factors in Double. Its
/// ridge has a number for every key column, this one a number a head; both stay at least 0.25.
struct MesaRule<Gate: RecurrentRule>: RecurrentRule {
  typealias Delta = GatedDeltaRule<Gate>
  static var readsProduct: Bool { false }
  static func columns(_ features: Int, width: Int) -> Int { width + features }
  static var floor: Double { 0.25 }

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] { Delta.gates(sizes) }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    Delta.parameters(sizes) + [
      MemoryParameter("ridge", sizes.heads, initial: Softplus.inverse(1 - floor))
    ]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    Delta.reference(row, head, steps: steps).map {
      RowTerms(fades: $0.fades, rate: $0.rate, value: row.value + head.features(row.key))
    }
  }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    let ridge = head.softplus(head.numbers[head.numbers.count - 1][head.head]) + floor
    return FadingRidge.reference(query, head, ridge: ridge, of: state)
  }

  private let delta: Delta
  private let solver: FadingRidge.Solver
  private let (rank, width): (Int, Int)
  private let values: MemoryValues
  /// Where the ridge's number is.
  private let number: Int

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    delta = Delta(spec, sizes, values)
    solver = FadingRidge.Solver(spec)
    (rank, width) = (FeatureMaps.named(orIdentity: spec.features).count(sizes.width), sizes.width)
    self.values = values
    number = delta.number + 1
  }

  var products: Int { FadingRidge.work(solver, rank: rank).products }
  var productColumns: Int? { FadingRidge.work(solver, rank: rank).columns(width) }
  var readWork: Double { FadingRidge.work(solver, rank: rank).rest }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    for i in 0..<rank { move.value[width + i] = move.key[i] }
    return delta.terms(row, head, steps: steps, into: move)
  }

  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let ridge = Softplus.value(Double(values[number][head])) + Self.floor
    FadingRidge.read(
      query, ridge: ridge, solver, rank: rank, width: width, state, into: out, scratch)
  }

  var conjugateSteps: Int? {
    if case .conjugate(let steps) = solver { return steps }
    return nil
  }
  func recordRidge(_ head: inout HeadPass) -> HeadPass.Matrix? {
    head.matrices.softplus(head.parameter(number), floor: Self.floor)
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    var terms = delta.record(&head, keys: keys)
    // The fused pass puts keys beside values by itself.
    if conjugateSteps == nil { terms.values = head.matrices.beside(head.allValues, keys.matrix) }
    return terms
  }

  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix {
    let m = head.matrices
    let ridge = m.softplus(head.parameter(number), floor: Self.floor)
    return FadingRidge.record(queries, ridge: ridge, width: width, m, state)
  }
}
