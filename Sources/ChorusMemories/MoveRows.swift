import ChorusTensors

/// Rows that a fused pass reads in Float: of a recorded matrix, or of a node, whose gradients they give back to it.
enum MoveRows {
  case matrix(MatrixTape.Matrix, MatrixTape)
  /// φ of those of a set and those behind it.
  case inputs([HeadPass.Input], any FeatureMap)
  /// The columns of some beside those of others.
  indirect case beside(MoveRows, MoveRows)

  private var width: Int {
    switch self {
    case .matrix(let matrix, _): matrix.columns
    case .inputs(let inputs, let map): map.count(inputs.first?.columns.count ?? 0)
    case .beside(let a, let b): a.width + b.width
    }
  }

  /// Row by row the place of its first number, and of its number in `inputs`.
  private static func each(
    _ inputs: [HeadPass.Input], _ range: Range<Int>,
    _ body: (_ index: Int, _ input: HeadPass.Input, _ row: Int) -> Void
  ) {
    var first = 0
    for input in inputs {
      let part = range.clamped(to: first..<first + input.rows.count)
      for row in part { body(row - range.lowerBound, input, row - first) }
      first += input.rows.count
    }
  }

  /// Writes rows `range` one behind the other, or `stride` apart.
  func load(_ range: Range<Int>, into out: UnsafeMutablePointer<Float>, stride: Int? = nil) {
    let n = width
    let stride = stride ?? n
    switch self {
    case .matrix(let matrix, let tape):
      let values = tape.values(matrix) + range.lowerBound * n
      for row in 0..<range.count {
        for j in 0..<n { out[row * stride + j] = Float(values[row * n + j]) }
      }
    case .beside(let a, let b):
      a.load(range, into: out, stride: stride)
      b.load(range, into: out + a.width, stride: stride)
    case .inputs(let inputs, let map):
      Self.each(inputs, range) { index, input, row in
        map.apply(
          input.values + row * input.node.columns, width: input.columns.count, into: out + index * stride)
      }
    }
  }

  /// Adds the gradients of rows `range`, which lie one behind the other, or `stride` apart.
  func add(
    _ rows: UnsafePointer<Float>, _ range: Range<Int>, _ gradients: FusedGradients, stride: Int? = nil
  ) {
    let n = width
    let stride = stride ?? n
    switch self {
    case .matrix(let matrix, _):
      gradients.seed(matrix) { seed in
        let to = seed + range.lowerBound * n
        for row in 0..<range.count {
          for j in 0..<n { to[row * n + j] += Double(rows[row * stride + j]) }
        }
      }
    case .beside(let a, let b):
      a.add(rows, range, gradients, stride: stride)
      b.add(rows + a.width, range, gradients, stride: stride)
    case .inputs(let inputs, let map):
      let (mark, features) = (gradients.scratch.mark, gradients.scratch.floats(n))
      Self.each(inputs, range) { index, input, row in
        guard let gradient = gradients.node(input.node) else { return }
        let (from, width) = (input.values + row * input.node.columns, input.columns.count)
        if !(map is IdentityFeatures) { map.apply(from, width: width, into: features) }
        map.addGradient(
          rows: 1, rows + index * stride, of: from, features, width: width,
          to: gradient + input.offset + row * input.node.columns)
      }
      gradients.scratch.rewind(to: mark)
    }
  }
}
