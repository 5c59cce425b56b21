import ChorusTensors
import Foundation

/// One head of a training pass as its memory sees it: the set, the rows behind it in their order, and the queries.
struct HeadPass {
  typealias Matrix = MatrixTape.Matrix

  /// Queries that read alike: the whole set, and of `own` as many rows as their limits tell.
  struct Part {
    let queries: Matrix
    let limits: [Int32]
    let row: Int
  }

  let head: Int
  let sizes: AttentionSizes
  /// Of the set: `[rows, width]`.
  let keys: Matrix
  let values: Matrix
  /// Of the rows behind it; no rows where there are none.
  let ownKeys: Matrix
  let ownValues: Matrix
  /// This head's columns of each gate, of the set and of the rows behind it: `[rows, width]`.
  let gates: [(set: Matrix, own: Matrix)]
  let parts: [Part]
  let parameters: [Parameter]
  var pass: MatrixPass

  var matrices: MatrixTape { pass.matrices }

  /// This head's number of a parameter that has one a head.
  mutating func parameter(_ index: Int) -> Matrix { pass.input(parameters[index], head..<head + 1) }
  /// This head's `count` numbers of a parameter that has so many a head.
  mutating func parameters(_ index: Int, count: Int) -> Matrix {
    pass.input(parameters[index], head * count..<(head + 1) * count)
  }

  /// What a part's queries read of this head, `[queries, width]`.
  mutating func emit(_ part: Part, _ read: Matrix) { emit(read, row: part.row) }
  /// What queries read of this head, from the read's row `row` on.
  mutating func emit(_ read: Matrix, row: Int) { pass.emit(read, row: row, column: head * sizes.width) }
  /// One more number of the read a head, `[queries, 1]`, behind all heads' values.
  mutating func emit(_ part: Part, feature: Matrix) {
    pass.emit(feature, row: part.row, column: sizes.columns + head)
  }
}

extension MatrixTape {
  /// log(1 + eˣ) + floor.
  func softplus(_ x: Matrix, floor: Double = 0) -> Matrix {
    map(x) { (Softplus.value($0) + floor, Softplus.slope($0)) }
  }
}

enum Softplus {
  static func value(_ x: Double) -> Double { x > 30 ? x : log1p(exp(x)) }
  static func slope(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  /// The x whose softplus is `value`.
  static func inverse(_ value: Double) -> Double { log(expm1(value)) }
}

/// A memory whose training form is written head by head in small matrices.
protocol HeadwiseMemory: SpecifiedMemory {
  var sizes: AttentionSizes { get }
  var values: MemoryValues { get }
  /// Records what every part of the head reads.
  func record(_ head: inout HeadPass)
}

extension HeadwiseMemory {
  public func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    let layout = shape.layout
    return tape.matrices(rows: queries.rows, columns: shape.read, reads: [queries, stored]) { pass in
      for group in Self.groups(blocks) {
        for head in 0..<sizes.heads {
          let columns = head * sizes.width..<(head + 1) * sizes.width
          func both(_ columns: Range<Int>) -> (set: HeadPass.Matrix, own: HeadPass.Matrix) {
            (
              pass.input(stored, rows: group.shared, columns: columns),
              pass.input(stored, rows: group.own, columns: columns)
            )
          }
          let parts = group.parts.map { block in
            HeadPass.Part(
              queries: pass.input(queries, rows: block.queries, columns: columns),
              limits: block.limits.isEmpty
                ? [Int32](repeating: 0, count: block.queries.count) : block.limits,
              row: block.queries.lowerBound)
          }
          let (keys, values) = (both(layout.key(head)), both(layout.value(head)))
          let gates = layout.gates.indices.map { both(layout.gate($0, head)) }
          var one = HeadPass(
            head: head, sizes: sizes, keys: keys.set, values: values.set, ownKeys: keys.own,
            ownValues: values.own, gates: gates, parts: parts, parameters: self.values.handles, pass: pass)
          record(&one)
          pass = one.pass
        }
      }
    }
  }

  /// Blocks that read the same set, with the own rows that any of them sees.
  private static func groups(_ blocks: [VisibleBlock]) -> [(
    shared: Range<Int>, own: Range<Int>, parts: [VisibleBlock]
  )] {
    var groups: [(shared: Range<Int>, own: Range<Int>, parts: [VisibleBlock])] = []
    for block in blocks where !block.queries.isEmpty {
      let own = block.limits.isEmpty ? block.own.lowerBound..<block.own.lowerBound : block.own
      if let last = groups.indices.last, groups[last].shared == block.shared,
        groups[last].own.isEmpty || own.isEmpty || groups[last].own == own
      {
        if groups[last].own.isEmpty { groups[last].own = own }
        groups[last].parts.append(block)
      } else {
        groups.append((block.shared, own, [block]))
      }
    }
    return groups
  }
}
