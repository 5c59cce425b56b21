import ChorusLayers
import ChorusMemories
import ChorusTensors

/// The parameters that make a row's representation of its cells, as handles that both forms of the passes share.
struct CellStage: Sendable {
  /// A pair of blocks: learned points read the context's cells of a column, and all cells of the column read the points.
  struct Pair: Sendable {
    let points: Parameter
    let gather: Block
    let spread: Block
  }
  /// What a cell's number is multiplied by, or what is added to the product.
  struct Term: Sendable {
    let map: Projection
    let norm: any Layer
  }

  let reading: CellReading
  /// Of a cell.
  let width: Int
  let input: Projection
  /// Of an output, as the head describes it; nil where cells are not told.
  let output: Projection?
  /// In the place of the context's cells of a column where there is no context.
  let empty: Parameter
  let pairs: [Pair]
  let affine: (factor: Term, offset: Term)?
  let summaries: Parameter
  let rows: [Block]
  let last: any Layer

  /// - Parameter valueFeatures: numbers that describe an output.
  init(
    _ blueprint: Blueprint, valueFeatures: Int, _ scope: inout ParameterScope
  ) throws(ModelError) {
    let (reading, width) = (blueprint.cells, blueprint.width / blueprint.cells.summaries)
    (self.reading, self.width) = (reading, width)
    input = Projection("in", reading.numbers, width, &scope)
    output = reading.seesOutputs ? Projection("y", valueFeatures, width, &scope) : nil
    empty = scope.parameter("empty", 1, width, .normal(deviation: 0.1))
    func block(
      _ name: String, heads: Int, _ parts: BlockParts, depth: Int, _ scope: inout ParameterScope
    ) throws(ModelError) -> Block {
      let sizes = AttentionSizes(heads: heads, width: width / heads)
      let memory: CompiledMemory
      do { memory = try CompiledMemory(.softmax, sizes) } catch { throw .blueprint("cells: \(error)") }
      let shrink = 1 / Double(2 * depth).squareRoot()
      return scope.nested(name) { scope in
        Block(
          order: .pre, width: width, parts: parts,
          mixer: { Attention(width, memory, sizes, parts, shrink: shrink, &$0) },
          feed: { parts.makeFeed(width, hidden: reading.feedForward, shrink: shrink, &$0) }, &scope)
      }
    }
    let scaled = blueprint.parts
    var plain = scaled
    plain.lengthScaling = 0
    var placed = plain
    placed.rotary = reading.rotary
    var pairs: [Pair] = []
    for index in 0..<reading.columnBlocks {
      pairs.append(
        try scope.nested("column.\(index)") { scope throws(ModelError) in
          Pair(
            points: scope.parameter("points", reading.points, width, .normal(deviation: 0.5)),
            gather: try block(
              "gather", heads: reading.columnHeads, scaled, depth: 2 * reading.columnBlocks, &scope),
            spread: try block(
              "spread", heads: reading.columnHeads, plain, depth: 2 * reading.columnBlocks, &scope))
        })
    }
    self.pairs = pairs
    func term(_ name: String, _ scope: inout ParameterScope) -> Term {
      scope.nested(name) { scope in
        Term(map: Projection("map", width, width, &scope), norm: plain.makeNorm("norm", width, &scope))
      }
    }
    affine = reading.isAffine ? (term("factor", &scope), term("offset", &scope)) : nil
    summaries = scope.parameter("summaries", reading.summaries, width, .normal(deviation: 0.5))
    var rows: [Block] = []
    for index in 0..<reading.rowBlocks {
      rows.append(
        try block("row.\(index)", heads: reading.rowHeads, placed, depth: reading.rowBlocks, &scope))
    }
    self.rows = rows
    last = scope.nested("final") { plain.lastNorm(width, &$0) }
  }

  /// Floating-point operations of a row of `columns` cells.
  func work(columns: Int) -> Double {
    let column = pairs.reduce(input.work) { $0 + $1.spread.workAsked }
    let row = rows.reduce(0) { $0 + $1.workStored + $1.workAsked }
    return Double(columns) * (column + row) + Double(reading.summaries) * row
  }
}
