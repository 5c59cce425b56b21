import CChorusKernels
import ChorusTensors

/// What a memory of frozen gradients fits: v = x·W, v = x + LN(x·W + b), or v = x + LN(gelu(x·W₁ + b₁)·W₂ + b₂), with
/// x = φ(k). A bias is the last row of its matrix. The norm's gain and bias are the layer's own and are not fitted.
struct InnerNetwork: Sendable, Hashable {
  struct Layer: Sendable, Hashable {
    let rows: Int
    let columns: Int
    /// Where its matrix begins among all numbers, its left factors among those of a row, its right ones.
    let offset: Int
    let left: Int
    let right: Int
    var count: Int { rows * columns }
  }

  static let epsilon = TTTRule.epsilon
  /// Hidden units a column.
  static let expansion = 4

  let width: Int
  /// Whether there are a norm, biases, and x itself beside.
  let normalised: Bool
  let layers: [Layer]

  init(_ function: MemorySpec.FunctionClass, width: Int) {
    self.width = width
    normalised = function != .linear
    let hidden = Self.expansion * width
    let shapes =
      switch function {
      case .linear: [(width, width)]
      case .perceptron: [(width + 1, hidden), (hidden + 1, width)]
      default: [(width + 1, width)]
      }
    var (layers, offset, left, right) = ([Layer](), 0, 0, 0)
    for (rows, columns) in shapes {
      layers.append(Layer(rows: rows, columns: columns, offset: offset, left: left, right: right))
      (offset, left, right) = (offset + rows * columns, left + rows, right + columns)
    }
    self.layers = layers
  }

  /// Numbers of all matrices; factors of a row's gradient on either side.
  var count: Int { layers.reduce(0) { $0 + $1.count } }
  var lefts: Int { layers.reduce(0) { $0 + $1.rows } }
  var rights: Int { layers.reduce(0) { $0 + $1.columns } }

  // MARK: In single precision

  /// Writes the products of a layer's `[rows, layer.rows]` inputs with its matrix.
  typealias Product = (
    _ layer: Layer, _ inputs: UnsafePointer<Float>, _ rows: Int, _ out: UnsafeMutablePointer<Float>
  ) -> Void

  /// What was computed on the way to a fit.
  struct Pass {
    /// Inputs of each layer, `[rows, layer.rows]`, and its products.
    var inputs: [UnsafeMutablePointer<Float>] = []
    var products: [UnsafeMutablePointer<Float>] = []
    /// Mean and inverse deviation of each row before the norm.
    let stats: UnsafeMutablePointer<Float>
  }

  /// f of rows x `[rows, width]`.
  func fit(
    _ x: UnsafePointer<Float>, _ rows: Int, gain: UnsafePointer<Float>?, bias: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena, _ product: Product
  ) -> Pass {
    var pass = Pass(stats: scratch.floats(2 * rows))
    var (from, wide) = (x, width)
    for (index, layer) in layers.enumerated() {
      let inputs = scratch.floats(rows * layer.rows)
      for row in 0..<rows {
        (inputs + row * layer.rows).update(from: from + row * wide, count: wide)
        if normalised { inputs[row * layer.rows + wide] = 1 }
      }
      let products = scratch.floats(rows * layer.columns)
      product(layer, inputs, rows, products)
      pass.inputs.append(inputs)
      pass.products.append(products)
      guard index + 1 < layers.count else { break }
      let active = scratch.floats(rows * layer.columns)
      ck_activate(Int32(CK_GELU), rows * layer.columns, products, active)
      (from, wide) = (UnsafePointer(active), layer.columns)
    }
    let last = pass.products[layers.count - 1]
    guard normalised else {
      out.update(from: last, count: rows * width)
      return pass
    }
    ck_layer_norm(
      Int32(rows), Int32(width), last, Int32(width), gain, bias, Float(Self.epsilon), out, Int32(width),
      pass.stats)
    ck_add(rows * width, x, out)
    return pass
  }

  /// The right factors of each layer's gradient `[rows, layer.columns]`, from the slopes by f `[rows, width]`. `matrices` are
  /// those that the fit was made with.
  func slopes(
    _ pass: Pass, _ slopes: UnsafePointer<Float>, _ rows: Int, gain: UnsafePointer<Float>?,
    _ matrices: UnsafePointer<Float>, _ scratch: Arena
  ) -> [UnsafeMutablePointer<Float>] {
    var right = scratch.floats(rows * width)
    if normalised {
      ck_layer_norm_backward(
        Int32(rows), Int32(width), pass.products[layers.count - 1], Int32(width), gain, pass.stats, slopes,
        Int32(width), right, Int32(width), 0, scratch.zeros(width), scratch.zeros(width))
    } else {
      right.update(from: slopes, count: rows * width)
    }
    var out = [right]
    for index in stride(from: layers.count - 1, to: 0, by: -1) {
      let (layer, below) = (layers[index], layers[index - 1])
      let (k, n) = (Int32(layer.columns), Int32(below.columns))
      let packed = scratch.floats(ck_packed_count(k, n))
      ck_pack(k, n, matrices + layer.offset, k, 1, packed)
      let back = scratch.floats(rows * below.columns)
      var arguments = ck_matmul_args()
      (arguments.m, arguments.k, arguments.n) = (Int32(rows), k, n)
      (arguments.a, arguments.lda) = (UnsafePointer(right), k)
      (arguments.packed, arguments.c, arguments.ldc) = (UnsafePointer(packed), back, n)
      ck_matmul(&arguments)
      ck_activate_backward(Int32(CK_GELU), rows * below.columns, pass.products[index - 1], back, back)
      right = back
      out.insert(right, at: 0)
    }
    return out
  }
}
