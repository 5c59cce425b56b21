import ChorusTensors

/// What tells one linear memory from another: which sums it keeps of a set, what it makes of them, and which rank-one
/// term a further row adds. Functions see one head of one row.
protocol FactorRule: Sendable {
  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape
  static func capability(_ spec: MemorySpec) -> Capability
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues)

  /// Width of φ of keys and queries.
  var rank: Int { get }
  /// A set is summed up as Σ left·rightᵀ; left is `rank` wide, right this wide.
  var momentColumns: Int { get }
  /// Columns of what φ(q) is multiplied with once the sums are known.
  var mapColumns: Int { get }
  /// Where in that product the values begin, `width` of them; the columns before them are the probe of the buffer's
  /// factors. Where it is 0 the probe is φ(q) itself.
  var valueColumn: Int { get }
  /// Added to every product of a probe and a factor.
  var shift: Float { get }
  /// Whether the sums depend on the order of the rows.
  var sequential: Bool { get }
  /// Whether a row's factor depends on what is read at its key.
  var readsBeforeWriting: Bool { get }

  /// Floating-point operations of a head beside these products: of a row that is written, of making the map, and of a read.
  var work: (row: Double, map: Double, read: Double) { get }

  func features(_ row: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>)
  /// The terms of a row's moment. `key` is φ(k); both outputs may be written anywhere in their widths.
  func moment(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, left: UnsafeMutablePointer<Float>,
    right: UnsafeMutablePointer<Float>)
  /// From the sums `[rank, momentColumns]` of `rows` rows to the map `[rank, mapColumns]`. Returns what it had to add
  /// to a diagonal for an answer to exist.
  func map(
    _ moments: UnsafePointer<Double>, rows: Int, head: Int, into map: UnsafeMutablePointer<Double>,
    _ scratch: Arena
  ) -> Double
  /// The factor and value of a further row.
  func commit(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, read: FactorRead,
    factor: UnsafeMutablePointer<Float>, stored: UnsafeMutablePointer<Float>)
  /// What a read returns for a head, `width` floats at `out`; `feature` takes one more number where the shape has one.
  func finish(
    _ read: FactorRead, query: UnsafePointer<Float>, head: Int, into out: UnsafeMutablePointer<Float>,
    feature: UnsafeMutablePointer<Float>)

  /// The reads of a training pass, recorded with derivatives.
  func train(
    _ memory: FactorMemory<Self>, queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape
  ) -> Node
}

extension FactorMemory {
  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    rule.train(self, queries: queries, stored: stored, blocks: blocks, on: tape)
  }
}

/// A factor rule whose training form is written head by head in small matrices.
protocol HeadwiseRule: FactorRule {
  func record(_ head: inout HeadPass)
}

extension HeadwiseRule {
  func train(
    _ memory: FactorMemory<Self>, queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape
  ) -> Node {
    HeadPass.each(
      memory.sizes, memory.shape, memory.values, queries: queries, stored: stored, blocks: blocks, on: tape
    ) { record(&$0) }
  }
}

/// What the context and the visible factors gave for one head of a row.
struct FactorRead {
  /// φ(q) times the context's map, the visible factors' values already added to its values.
  let mapped: UnsafeMutablePointer<Float>
  /// Sums of the products of probe and factors, and of their squares.
  let sum: Float
  let square: Float
  /// Σ (probe·factor)·factor over the same factors, where probes are not φ(q) itself and the row is to be written.
  let projected: UnsafeMutablePointer<Float>
  /// Rows read, of the set and of the buffer.
  let rows: Int
}

extension FactorRule {
  var work: (row: Double, map: Double, read: Double) { (0, 0, 0) }

  /// The sums themselves.
  func map(
    _ moments: UnsafePointer<Double>, rows: Int, head: Int, into map: UnsafeMutablePointer<Double>,
    _ scratch: Arena
  ) -> Double {
    map.update(from: moments, count: rank * mapColumns)
    return 0
  }
}
