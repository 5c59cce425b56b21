import CChorusKernels
import ChorusTensors
import Foundation

/// What tells one recurrent memory from another. A row changes the state of a head by one move or by several: the state first
/// fades and then takes something in, S ← Diag(e^g)·S and S ← S + k rᵀ with r = β v, or r = β (v − p·S) for a rule that
/// corrects what is known. k and p are φ of the row's key and v its value, where a rule does not say otherwise.
///
/// A rule gives g ≤ 0, β and, where they differ, k, p and v of a row in three forms, and what a query makes of the state;
/// everything else, step by step or in chunks, is the same for all.
protocol RecurrentRule: Sendable {
  /// What the rule asks the layer's map for, and what it learns.
  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate]
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter]
  /// Whether every row of the state fades by itself; otherwise g is one number a head.
  static var channels: Bool { get }
  /// Whether a move's value is compared with what is read of the state.
  static var corrects: Bool { get }
  /// Moves of a row, and how many of the newest row's last ones a read does not see.
  static var moves: Int { get }
  static var unread: Int { get }
  /// Rows and columns of a head's state, of keys of so many features.
  static func rank(_ features: Int) -> Int
  static func columns(_ features: Int, width: Int) -> Int
  /// Whether a read is the query's product with the state and nothing else.
  static var readsProduct: Bool { get }
  /// Numbers of a head that are handed from row to row beside the state, zeros before the first row.
  static func carried(_ rank: Int) -> Int

  // By their formulas.

  /// The moves of a row that is `steps` places behind the one before it.
  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms]
  /// The same, where numbers are handed from row to row: in come those of the row before, out go the row's own.
  static func reference(
    _ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int, carrying: inout [Double]
  ) -> [RowTerms]
  /// g of a query that is `steps` places behind the last row that it sees.
  static func fade(steps: Int, head: Int) -> Double
  /// The state before the first row is this multiple of the unit matrix in the columns behind the values.
  static func start(_ head: ReferenceHead) -> Double
  /// What φ of a query reads.
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double]

  // Step by step.

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues)
  /// Writes what a move of a row is; returns β. The move holds k = p = φ(key) and the value, zeros behind it, beforehand.
  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double
  func start(_ head: Int) -> Float
  /// What φ of a query reads of the state, whose products `state` gives.
  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena)
  /// Products with the state that a read takes, the columns of the state that they take together (nil: each all of them), and
  /// floating-point operations of a head beside them.
  var products: Int { get }
  var productColumns: Int? { get }
  var readWork: Double { get }
  /// Steps of conjugate gradients where a read is x·G with (H + λ) x = q and the state is G beside H, k being the last columns
  /// of a row's value; otherwise nil.
  var conjugateSteps: Int? { get }
  /// What had to be added to a diagonal before a read of this state had an answer.
  func raised(_ state: UnsafePointer<Float>, _ head: Int) -> Double

  // Recorded.

  /// The moves of all rows, whose φ of their keys is `keys`.
  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms
  /// `start`, `[1, 1]`; nil where it is 0.
  func recordStart(_ head: inout HeadPass) -> HeadPass.Matrix?
  /// λ where `conjugateSteps` are told, `[1, 1]`.
  func recordRidge(_ head: inout HeadPass) -> HeadPass.Matrix?
  /// What queries read of a state, whose products `state` gives.
  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix
}

/// Writes the products of some numbers, as many as the state has rows, with some of the state's columns, or with all.
typealias StateProduct = (UnsafePointer<Float>, _ columns: Range<Int>?, UnsafeMutablePointer<Float>) -> Void

/// A move of a row in Double. What is nil is as the row has it: k of φ of its key, p of k, and its value.
struct RowTerms {
  var fades: [Double]
  var rate = 1.0
  var key: [Double]?
  var erase: [Double]?
  var value: [Double]?
}

/// Where a rule writes a move.
struct RecurrentMove {
  /// Which move of its row.
  let number: Int
  /// g, of every row of the state or one.
  let fade: UnsafeMutablePointer<Double>
  /// k, p, as many as the state has rows, and v, as many as it has columns.
  let key: UnsafeMutablePointer<Float>
  let erase: UnsafeMutablePointer<Float>
  let value: UnsafeMutablePointer<Float>
  /// What is handed on, beforehand as the move before has left it.
  let carried: UnsafeMutablePointer<Float>
}

/// φ of all rows' keys, made where it is first asked for.
final class RecordedKeys {
  private let make: () -> HeadPass.Matrix
  init(_ make: @escaping () -> HeadPass.Matrix) { self.make = make }
  private(set) lazy var matrix: HeadPass.Matrix = make()
}

/// The moves of all rows, those of a row beneath each other. What is nil is as the rows have it, a rate 1.
struct RecordedTerms {
  var fades: HeadPass.Matrix
  var rates: HeadPass.Matrix?
  var keys: HeadPass.Matrix?
  var erases: HeadPass.Matrix?
  var values: HeadPass.Matrix?
}

extension RecurrentRule {
  static var channels: Bool { false }
  static var corrects: Bool { false }
  static var moves: Int { 1 }
  static var unread: Int { 0 }
  static func rank(_ features: Int) -> Int { features }
  static func columns(_ features: Int, width: Int) -> Int { width }
  static var readsProduct: Bool { true }
  static func carried(_ rank: Int) -> Int { 0 }
  static func reference(
    _ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int, carrying: inout [Double]
  ) -> [RowTerms] { reference(row, head, steps: steps) }
  static func fade(steps: Int, head: Int) -> Double { 0 }
  static func start(_ head: ReferenceHead) -> Double { 0 }
  static func read(_ query: [Double], _ head: ReferenceHead, of state: [[Double]]) -> [Double] {
    head.read(query, state)
  }
  func start(_ head: Int) -> Float { 0 }
  func read(
    _ query: UnsafePointer<Float>, _ head: Int, of state: StateProduct,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) { state(query, nil, out) }
  var products: Int { 1 }
  var productColumns: Int? { nil }
  var readWork: Double { 0 }
  var conjugateSteps: Int? { nil }
  func raised(_ state: UnsafePointer<Float>, _ head: Int) -> Double { 0 }
  func recordStart(_ head: inout HeadPass) -> HeadPass.Matrix? { nil }
  func recordRidge(_ head: inout HeadPass) -> HeadPass.Matrix? { nil }
  func record(
    read queries: HeadPass.Matrix, _ head: inout HeadPass, of state: RecordedReads
  ) -> HeadPass.Matrix { state(queries) }
}

extension HeadPass {
  /// Rows of the set and those behind it, in their order.
  var rows: Int { keyInputs.set.rows.count + keyInputs.own.rows.count }
  /// A gate's columns of all rows.
  func gate(_ index: Int) -> Matrix {
    matrices.stack(gateInputs[index].set.matrix, gateInputs[index].own.matrix)
  }
  /// The values of all rows.
  var allValues: Matrix { matrices.stack(values, ownValues) }
  /// σ of a gate's columns plus this head's numbers of a parameter, of all rows.
  mutating func sigmoid(gate: Int, parameter: Int) -> Matrix {
    let (m, columns) = (matrices, self.gate(gate))
    return m.sigmoid(m.addRow(columns, parameters(parameter, count: columns.columns)))
  }
}

extension MatrixTape {
  /// log σ(x) / divisor: what is kept of a state, by a gate in (0, 1) to the power of 1/divisor.
  /// In single precision, many at a time: gates may be as many as keys.
  func logSigmoid(_ x: Matrix, over divisor: Double = 1) -> Matrix {
    map(
      x,
      all: { count, x, values, derivatives in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * Self.piece) { scratch in
          guard let back = scratch.baseAddress else { return }
          let (soft, grown) = (back + Self.piece, back + 2 * Self.piece)
          for first in stride(from: 0, to: count, by: Self.piece) {
            let some = min(Self.piece, count - first)
            for i in 0..<some { back[i] = Float(-x[first + i]) }
            ck_softplus(some, back, soft)
            for i in 0..<some { back[i] = -back[i] }
            ck_exp(some, back, grown)
            for i in 0..<some {
              values[first + i] = -Double(soft[i]) / divisor
              derivatives[first + i] = 1 / (1 + Double(grown[i])) / divisor
            }
          }
        }
      })
  }
  private static var piece: Int { 256 }
  func sigmoid(_ x: Matrix) -> Matrix {
    map(x) { x in
      let value = Softplus.slope(x)
      return (value, value * (1 - value))
    }
  }
  func exponential(_ x: Matrix) -> Matrix { map(x) { (exp($0), exp($0)) } }
  /// What takes `count` columns from `first` on out of a matrix of `columns`, as the right factor of a product.
  func unitColumns(_ columns: Int, from first: Int, count: Int) -> Matrix {
    input(columns, count, learns: false) { values in
      values.update(repeating: 0, count: columns * count)
      for j in 0..<count { values[(first + j) * count + j] = 1 }
    }
  }
  /// The columns of a beside those of b.
  func beside(_ a: Matrix, _ b: Matrix) -> Matrix { transpose(stack(transpose(a), transpose(b))) }
  /// Row i of every matrix beneath each other, then row i + 1.
  func interleaved(_ parts: [Matrix]) -> Matrix {
    let wide = parts.dropFirst().reduce(parts[0]) { beside($0, $1) }
    return parts.count > 1 ? reshape(wide, rows: wide.rows * parts.count) : wide
  }
}
