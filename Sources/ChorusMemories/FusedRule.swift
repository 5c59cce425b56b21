import CChorusKernels
import ChorusTensors

/// A factor rule whose training form is computed in Float, all rows of a head at once, with derivatives by hand
/// (`FactorPass`).
///
/// Its functions are those of `FactorRule` for many rows, each with its derivative. K̂ are the keys of stored rows after φ
/// and V̂ their values, both with the rows' weights in them.
protocol FusedRule: FactorRule {
  var map: any FeatureMap { get }
  /// What a set is summed up with.
  var sums: FactorSums { get }
  /// With learned weights w, K̂ = w^key φ(k) and V̂ = w^value v; nil where all rows weigh 1. The weights' number is the
  /// first of the shape's parameters.
  var powers: (key: Float, value: Float)? { get }
  /// Whether V̂ is something else than a row's values, which `makeValues` writes.
  var makesValues: Bool { get }
  /// What a read takes of its products with the factors, beside the factors' values.
  var extra: FactorExtra { get }

  /// V̂ of some rows of a head, of K̂ `[rows, rank]` and of what they have as values.
  func makeValues(
    _ rows: Int, keys: Floats, values: Floats, head: Int, into out: Floats, _ products: FloatProducts)
  /// Adds to gradients by K̂ and values what that of V̂, `known`, gives.
  func makeValuesGradient(
    _ rows: Int, keys: Floats, values: Floats, head: Int, of known: Floats, toKeys: Floats, toValues: Floats,
    _ numbers: FactorNumbers, _ products: FloatProducts)

  /// From the map and its gradient `[rank, mapColumns]` to that of the sums, `[rank, momentColumns]`.
  func mapGradient(
    _ map: UnsafePointer<Double>, head: Int, _ gradient: UnsafePointer<Double>,
    into moments: UnsafeMutablePointer<Double>, _ numbers: FactorNumbers, _ scratch: Arena)

  /// Doubles that `commit` keeps for its derivative.
  func kept(rows: Int) -> Int
  /// Factors and values of all rows behind the set.
  func commit(_ rows: CommittedHead, _ products: FloatProducts)
  /// Adds to the gradients `by` of keys, values and mapped what those of factors and stored values give.
  func commitGradient(_ rows: CommittedHead, by gradients: CommittedHead, _ products: FloatProducts)

  func finish(_ reads: FactorReads, _ products: FloatProducts)
  /// Writes the gradients `by` of mapped and extra from that of out and feature, and adds to that of the queries.
  func finishGradient(
    _ reads: FactorReads, by gradients: FactorReads, _ numbers: FactorNumbers, _ products: FloatProducts)
}

/// What K̂ of a set's rows is multiplied with and summed up: V̂; V̂ and a one; K̂ and V̂.
enum FactorSums { case values, valuesAndRows, keysAndValues }

/// Gradients of a memory's learned numbers, in the order of its shape's parameters.
struct FactorNumbers {
  let gradients: [UnsafeMutablePointer<Double>]
  subscript(parameter: Int) -> UnsafeMutablePointer<Double> { gradients[parameter] }
}

/// Sums over a read's products with the factors that it sees: of themselves, or of their squares.
enum FactorExtra { case none, sums, squares }

/// One head of the rows behind a set, or their gradients.
struct CommittedHead {
  let rows: Int
  /// K̂ `[rows, rank]` and V̂ `[rows, width]`.
  let keys: Floats
  let values: Floats
  /// K̂ times the set's map, `[rows, mapColumns]`; of a rule that reads before it writes.
  let mapped: Floats
  /// `[rows, rank]` and `[rows, width]`.
  let factors: Floats
  let stored: Floats
  let kept: UnsafeMutablePointer<Double>
}

/// What some queries read of one head, or its gradients.
struct FactorReads {
  let head: Int
  let rows: Int
  /// φ(q) `[rows, rank]`.
  let asked: Floats
  /// φ(q) times the set's map, the factors' values added, `[rows, mapColumns]`.
  let mapped: Floats
  /// A number a row: the sum that the rule asks for.
  let extra: UnsafeMutablePointer<Float>
  /// `[rows, width]`, and the one more number of a read where the shape has one.
  let out: Floats
  let feature: Floats
  /// Rows of the set, and how many rows behind it each query sees.
  let set: Int
  let limits: ArraySlice<Int32>
}

extension FusedRule {
  var powers: (key: Float, value: Float)? { nil }
  var makesValues: Bool { false }
  func makeValues(
    _ rows: Int, keys: Floats, values: Floats, head: Int, into out: Floats, _ products: FloatProducts
  ) {}
  func makeValuesGradient(
    _ rows: Int, keys: Floats, values: Floats, head: Int, of known: Floats, toKeys: Floats, toValues: Floats,
    _ numbers: FactorNumbers, _ products: FloatProducts
  ) {}

  /// A map that is the sums themselves.
  func mapGradient(
    _ map: UnsafePointer<Double>, head: Int, _ gradient: UnsafePointer<Double>,
    into moments: UnsafeMutablePointer<Double>, _ numbers: FactorNumbers, _ scratch: Arena
  ) {
    moments.update(from: gradient, count: rank * mapColumns)
  }

  var extra: FactorExtra { .none }
  func kept(rows: Int) -> Int { 0 }

  /// Factors and values that are the rows' own.
  func commit(_ rows: CommittedHead, _ products: FloatProducts) {
    for row in 0..<rows.rows {
      rows.factors.row(row).update(from: rows.keys.row(row), count: rank)
      rows.stored.row(row).update(from: rows.values.row(row), count: rows.stored.stride)
    }
  }

  func commitGradient(_ rows: CommittedHead, by gradients: CommittedHead, _ products: FloatProducts) {
    for row in 0..<rows.rows {
      ck_add(rank, gradients.factors.row(row), gradients.keys.row(row))
      ck_add(rows.stored.stride, gradients.stored.row(row), gradients.values.row(row))
    }
  }

  func train(
    _ memory: FactorMemory<Self>, queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape
  ) -> Node {
    tape.matrices(rows: queries.rows, columns: memory.shape.read, reads: [queries, stored]) { pass in
      for group in VisibleGroup.all(blocks) {
        pass.fuse(FactorPass(self, memory, queries: queries, stored: stored, group, pass))
      }
    }
  }
}
