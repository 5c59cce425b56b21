import CChorusKernels
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
      Self.each(inputs, range) { index, input, rows in
        let (values, columns, width) = (input.values, input.node.columns, input.columns.count)
        var to = out + index * stride
        for row in rows {
          map.apply(values + row * columns, width: width, into: to)
          to += stride
        }
      }
    }
  }

  /// Adds the gradients of rows `range`, which lie one behind the other, or `stride` apart.
  func add(
    _ dy: UnsafePointer<Float>, _ range: Range<Int>, _ gradients: FusedGradients, stride: Int? = nil
  ) {
    let n = width
    let stride = stride ?? n
    switch self {
    case .matrix(let matrix, _):
      gradients.seed(matrix) { seed in
        let to = seed + range.lowerBound * n
        for row in 0..<range.count {
          for j in 0..<n { to[row * n + j] += Double(dy[row * stride + j]) }
        }
      }
    case .beside(let a, let b):
      a.add(dy, range, gradients, stride: stride)
      b.add(dy + a.width, range, gradients, stride: stride)
    case .inputs(let inputs, let map):
      let (mark, features) = (gradients.scratch.mark, gradients.scratch.floats(n))
      Self.each(inputs, range) { index, input, rows in
        guard let gradient = gradients.node(input.node) else { return }
        let (values, columns, width) = (input.values, input.node.columns, input.columns.count)
        let plain = map is IdentityFeatures
        var from = dy + index * stride
        for row in rows {
          let to = gradient + input.offset + row * columns
          if plain {
            ck_add(n, from, to)
          } else {
            map.apply(values + row * columns, width: width, into: features)
            map.addGradient(rows: 1, from, of: values + row * columns, features, width: width, to: to)
          }
          from += stride
        }
      }
      gradients.scratch.rewind(to: mark)
    }
  }
}
