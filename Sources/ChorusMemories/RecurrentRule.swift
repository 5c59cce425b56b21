import ChorusTensors

/// What tells one recurrent memory from another. When a row comes, the state of a head first fades and then takes the row
/// in: S ← Diag(e^g)·S and S ← S + k rᵀ with r = β v, or r = β (v − k·S) for a rule that corrects what is known.
///
/// A rule gives g ≤ 0 and β of a row in three forms; everything else, step by step or in chunks, is the same for all.
protocol RecurrentRule: Sendable {
  /// What the rule asks the layer's map for, and what it learns.
  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate]
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter]
  /// Whether every key column fades by itself; otherwise g is one number a head.
  static var channels: Bool { get }
  /// Whether a row is compared with what is read at its key.
  static var corrects: Bool { get }
  /// g and β by their formulas, for a row that is `steps` places behind the one before it.
  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> RowTerms
  /// g of a query that is `steps` places behind the last row that it sees.
  static func fade(steps: Int, head: Int) -> Double

  init(_ sizes: AttentionSizes, _ values: MemoryValues)
  /// Writes g, `width` numbers or one; returns β.
  func terms(
    _ row: StoredRow, _ head: Int, steps: Int, into fade: UnsafeMutablePointer<Double>
  ) -> Double
  /// g of all rows, `[rows, width]` or `[rows, 1]`, and β `[rows, 1]` where it is not 1.
  func record(_ head: inout HeadPass) -> (fades: HeadPass.Matrix, rates: HeadPass.Matrix?)
}

/// g and β of a row in Double.
struct RowTerms {
  let fades: [Double]
  var rate = 1.0
}

extension RecurrentRule {
  static var channels: Bool { false }
  static var corrects: Bool { false }
  static func fade(steps: Int, head: Int) -> Double { 0 }
}

extension HeadPass {
  /// Rows of the set and those behind it, in their order.
  var rows: Int { keys.rows + ownKeys.rows }
  /// A gate's columns of all rows.
  func gate(_ index: Int) -> Matrix { matrices.stack(gates[index].set, gates[index].own) }
}

extension MatrixTape {
  /// log σ(x) / divisor: what is kept of a state, by a gate in (0, 1) to the power of 1/divisor.
  func logSigmoid(_ x: Matrix, over divisor: Double) -> Matrix {
    map(x) { x in (-Softplus.value(-x) / divisor, Softplus.slope(-x) / divisor) }
  }
}
