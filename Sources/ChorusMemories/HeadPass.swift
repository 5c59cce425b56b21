import ChorusTensors
import Foundation

/// One head of a training pass as its memory sees it: the set, the rows behind it in their order, and the queries.
struct HeadPass {
  typealias Matrix = MatrixTape.Matrix

  /// A part of a node that becomes a matrix where it is first asked for.
  final class Input {
    let node: Node
    let rows: Range<Int>
    let columns: Range<Int>
    private let pass: MatrixPass
    init(_ node: Node, rows: Range<Int>, columns: Range<Int>, _ pass: MatrixPass) {
      (self.node, self.rows, self.columns, self.pass) = (node, rows, columns, pass)
    }
    private(set) lazy var matrix: Matrix = pass.input(node, rows: rows, columns: columns)
    /// The first row as it is, rows `node.columns` apart.
    var values: UnsafePointer<Float> { pass.values(node) + offset }
    var offset: Int { rows.lowerBound * node.columns + columns.lowerBound }
  }
  typealias Inputs = (set: Input, own: Input)

  /// Queries that read alike: the whole set, and of `own` as many rows as their limits tell.
  struct Part {
    let input: Input
    let limits: [Int32]
    let row: Int
    var queries: Matrix { input.matrix }
  }

  let head: Int
  let sizes: AttentionSizes
  let keyInputs: Inputs
  let valueInputs: Inputs
  let gateInputs: [Inputs]
  let parts: [Part]
  let parameters: [Parameter]
  let pass: MatrixPass

  var matrices: MatrixTape { pass.matrices }
  /// Of the set: `[rows, width]`.
  var keys: Matrix { keyInputs.set.matrix }
  var values: Matrix { valueInputs.set.matrix }
  /// Of the rows behind it; no rows where there are none.
  var ownKeys: Matrix { keyInputs.own.matrix }
  var ownValues: Matrix { valueInputs.own.matrix }

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
    HeadPass.each(sizes, shape, values, queries: queries, stored: stored, blocks: blocks, on: tape) {
      record(&$0)
    }
  }
}

extension HeadPass {
  /// An operation of all heads of all blocks, which `record` records one by one.
  static func each(
    _ sizes: AttentionSizes, _ shape: MemoryShape, _ values: MemoryValues, queries: Node, stored: Node,
    blocks: [VisibleBlock], on tape: Tape, record: (inout HeadPass) -> Void
  ) -> Node {
    let layout = shape.layout
    return tape.matrices(rows: queries.rows, columns: shape.read, reads: [queries, stored]) { pass in
      for group in VisibleGroup.all(blocks) {
        for head in 0..<sizes.heads {
          let columns = head * sizes.width..<(head + 1) * sizes.width
          func both(_ columns: Range<Int>) -> HeadPass.Inputs {
            (
              HeadPass.Input(stored, rows: group.shared, columns: columns, pass),
              HeadPass.Input(stored, rows: group.own, columns: columns, pass)
            )
          }
          let parts = group.parts.map { part in
            HeadPass.Part(
              input: HeadPass.Input(queries, rows: part.queries, columns: columns, pass),
              limits: part.seen, row: part.queries.lowerBound)
          }
          var one = HeadPass(
            head: head, sizes: sizes, keyInputs: both(layout.key(head)),
            valueInputs: both(layout.value(head)),
            gateInputs: layout.gates.indices.map { both(layout.gate($0, head)) }, parts: parts,
            parameters: values.handles, pass: pass)
          record(&one)
        }
      }
    }
  }
}

/// Blocks of a training pass that read the same set, with the rows behind it that any of them sees.
struct VisibleGroup {
  /// Queries beside each other, and how many rows behind the set each sees.
  struct Part {
    let queries: Range<Int>
    let seen: [Int32]
  }

  let shared: Range<Int>
  private(set) var own: Range<Int>
  private(set) var parts: [Part]

  /// Of all parts.
  var count: Int { parts.reduce(0) { $0 + $1.queries.count } }

  /// Each part with the number of queries before it.
  var places: [(first: Int, part: Part)] {
    var first = 0
    return parts.map { part in
      defer { first += part.queries.count }
      return (first, part)
    }
  }

  static func all(_ blocks: [VisibleBlock]) -> [VisibleGroup] {
    var groups: [VisibleGroup] = []
    for block in blocks where !block.queries.isEmpty {
      let own = block.limits.isEmpty ? block.own.lowerBound..<block.own.lowerBound : block.own
      let part = Part(
        queries: block.queries,
        seen: block.limits.isEmpty ? [Int32](repeating: 0, count: block.queries.count) : block.limits)
      if let last = groups.indices.last, groups[last].shared == block.shared,
        groups[last].own.isEmpty || own.isEmpty || groups[last].own == own
      {
        if groups[last].own.isEmpty { groups[last].own = own }
        groups[last].parts.append(part)
      } else {
        groups.append(VisibleGroup(shared: block.shared, own: own, parts: [part]))
      }
    }
    return groups
  }
}
