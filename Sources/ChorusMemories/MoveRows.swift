import CChorusKernels
import ChorusTensors

/// Rows that a fused pass reads in Float: of a recorded matrix, or of a node, whose gradients they give back to it.
enum MoveRows {
  case matrix(MatrixTape.Matrix, MatrixTape)
  /// φ of those of a set and those behind it.
  case inputs([HeadPass.Input], any FeatureMap)

  private var width: Int {
    switch self {
    case .matrix(let matrix, _): matrix.columns
    case .inputs(let inputs, let map): map.count(inputs.first?.columns.count ?? 0)
    }
  }

  /// Input by input the rows of `range` that are its own, and where the first of them is in `range`.
  private static func each(
    _ inputs: [HeadPass.Input], _ range: Range<Int>,
    _ body: (_ index: Int, _ input: HeadPass.Input, _ rows: Range<Int>) -> Void
  ) {
    var first = 0
    for input in inputs {
      let part = range.clamped(to: first..<first + input.rows.count)
      if !part.isEmpty {
        body(part.lowerBound - range.lowerBound, input, part.lowerBound - first..<part.upperBound - first)
      }
      first += input.rows.count
    }
  }

  /// Writes rows `range` one behind the other.
  func load(_ range: Range<Int>, into out: UnsafeMutablePointer<Float>) {
    let n = width
    switch self {
    case .matrix(let matrix, let tape):
      let values = tape.values(matrix) + range.lowerBound * n
      for i in 0..<range.count * n { out[i] = Float(values[i]) }
    case .inputs(let inputs, let map):
      Self.each(inputs, range) { index, input, rows in
        let (values, stride, width) = (input.values, input.node.columns, input.columns.count)
        var to = out + index * n
        for row in rows {
          map.apply(values + row * stride, width: width, into: to)
          to += n
        }
      }
    }
  }

  /// Adds the gradients of rows `range`.
  func add(_ dy: UnsafePointer<Float>, _ range: Range<Int>, _ gradients: FusedGradients) {
    let n = width
    switch self {
    case .matrix(let matrix, _):
      gradients.seed(matrix) { seed in
        let to = seed + range.lowerBound * n
        for i in 0..<range.count * n { to[i] += Double(dy[i]) }
      }
    case .inputs(let inputs, let map):
      let (mark, features) = (gradients.scratch.mark, gradients.scratch.floats(n))
      Self.each(inputs, range) { index, input, rows in
        guard let gradient = gradients.node(input.node) else { return }
        let (values, stride, width) = (input.values, input.node.columns, input.columns.count)
        let plain = map is IdentityFeatures
        var from = dy + index * n
        for row in rows {
          let to = gradient + input.offset + row * stride
          if plain {
            ck_add(n, from, to)
          } else {
            map.apply(values + row * stride, width: width, into: features)
            map.addGradient(rows: 1, from, of: values + row * stride, features, width: width, to: to)
          }
          from += n
        }
      }
      gradients.scratch.rewind(to: mark)
    }
  }
}
