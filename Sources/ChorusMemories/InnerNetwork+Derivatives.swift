import CChorusKernels
import ChorusTensors

/// Derivatives of fits and of the right factors of their gradients, in single precision. Rows lie one behind the other.
extension InnerNetwork {
  typealias Rows = UnsafeMutablePointer<Float>

  /// The layer's own norm, with gradients by its gain and bias; no pointers where there is no norm.
  struct NormNumbers {
    let gain: UnsafePointer<Float>?
    let bias: UnsafePointer<Float>?
    let toGain: Rows
    let toBias: Rows
  }

  /// The right factors of every layer's gradient, and what was multiplied with gelu' to have those of all but the last.
  struct Factors {
    var rights: [Rows]
    var backs: [Rows]
  }

  /// From the slopes by f. `matrices` are those that the fit was made with.
  func factors(
    _ pass: Pass, _ slopes: UnsafePointer<Float>, _ rows: Int, gain: UnsafePointer<Float>?,
    _ matrices: UnsafePointer<Float>, _ products: FloatProducts
  ) -> Factors {
    let arena = products.arena
    let last = arena.floats(rows * width)
    if normalised {
      ck_layer_norm_backward(
        Int32(rows), Int32(width), pass.products[layers.count - 1], Int32(width), gain, pass.stats, slopes,
        Int32(width), last, Int32(width), 0, arena.zeros(width), arena.zeros(width))
    } else {
      last.update(from: slopes, count: rows * width)
    }
    var out = Factors(rights: [last], backs: [])
    for index in stride(from: layers.count - 1, to: 0, by: -1) {
      let (layer, below) = (layers[index], layers[index - 1])
      let (back, right) = (arena.floats(rows * below.columns), arena.floats(rows * below.columns))
      products.timesTransposed(
        rows, below.columns, layer.columns, out.rights[0], matrices + layer.offset, into: back)
      ck_activate_backward(Int32(CK_GELU), rows * below.columns, pass.products[index - 1], back, right)
      out.rights.insert(right, at: 0)
      out.backs.insert(back, at: 0)
    }
    return out
  }

  /// From gradients by the right factors `dy`, which are used up, to those by the slopes and by each layer's products; adds
  /// those by the matrices.
  func factorsGradient(
    _ pass: Pass, _ slopes: UnsafePointer<Float>, _ factors: Factors, _ rows: Int, by dy: [Rows],
    _ norm: NormNumbers, _ matrices: UnsafePointer<Float>, toSlopes: Rows, toMatrices: Rows,
    _ products: FloatProducts
  ) -> [Rows] {
    let arena = products.arena
    var toProducts = layers.map { arena.floats(rows * $0.columns) }
    for index in 0..<layers.count - 1 {
      let (layer, above) = (layers[index], layers[index + 1])
      let (count, from) = (rows * layer.columns, pass.products[index])
      Gelu.bend(count, from, dy[index], factors.backs[index], into: toProducts[index], arena)
      ck_activate_backward(Int32(CK_GELU), count, from, dy[index], dy[index])
      products(
        rows, above.columns, layer.columns, Floats(dy[index], stride: layer.columns),
        Floats(reading: matrices + above.offset, stride: above.columns),
        into: Floats(dy[index + 1], stride: above.columns), add: true)
      products(
        layer.columns, above.columns, rows, Floats(dy[index], stride: layer.columns),
        Floats(factors.rights[index + 1], stride: above.columns), .left,
        into: Floats(toMatrices + above.offset, stride: above.columns), add: true)
    }
    let last = layers.count - 1
    guard let gain = norm.gain else {
      toSlopes.update(from: dy[last], count: rows * width)
      toProducts[last] = arena.zeros(rows * width)
      return toProducts
    }
    NormSlopes(width: width, products: pass.products[last], stats: pass.stats, rows: rows).backward(
      slopes, by: dy[last], gain, toGain: norm.toGain, toSlopes: toSlopes, toProducts: toProducts[last], arena
    )
    return toProducts
  }

  /// Adds to the gradient by rows x what that by their fit gives; `more` is what is known already of those by each layer's
  /// products. `back` is given the gradient by a layer's products, and adds to that by its inputs.
  func fitGradient(
    _ pass: Pass, _ rows: Int, by dy: UnsafePointer<Float>, _ norm: NormNumbers, more: [Rows]? = nil,
    toX dx: Rows, _ arena: Arena, _ back: (_ index: Int, _ products: Rows, _ inputs: Rows) -> Void
  ) {
    var right = more?[layers.count - 1] ?? arena.zeros(rows * width)
    if normalised {
      ck_layer_norm_backward(
        Int32(rows), Int32(width), pass.products[layers.count - 1], Int32(width), norm.gain, pass.stats, dy,
        Int32(width), right, Int32(width), 1, norm.toGain, norm.toBias)
      ck_add(rows * width, dy, dx)
    } else {
      ck_add(rows * width, dy, right)
    }
    for index in layers.indices.reversed() {
      let inputs = arena.zeros(rows * layers[index].rows)
      back(index, right, inputs)
      let (from, to) = (layers[index].rows, index > 0 ? layers[index - 1].columns : width)
      guard index > 0 else {
        for row in 0..<rows { ck_add(to, inputs + row * from, dx + row * to) }
        break
      }
      let below = arena.floats(rows * to)
      for row in 0..<rows { (below + row * to).update(from: inputs + row * from, count: to) }
      ck_activate_backward(Int32(CK_GELU), rows * to, pass.products[index - 1], below, below)
      if let more { ck_add(rows * to, more[index - 1], below) }
      right = below
    }
  }
}

/// u = s (ε − mean ε − z mean(ε z)), the derivative of a norm by its rows, where u is itself what something depends on: z
/// are the normed rows, s the inverse of their deviation and ε = gain ⊙ slopes.
///
/// With y the gradient by u, m = mean(y z) and a = mean(ε z), that by ε is
///
///     s (y − mean y − m z)
///
/// since u is symmetric, and that by z is −s (a y + m ε). So that by the rows before the norm is
///
///     s² (2 a m z − a (y − mean y) − m (ε − mean ε)) − s mean(y u) z
///
/// whose last term is that by s.
struct NormSlopes {
  typealias Rows = UnsafeMutablePointer<Float>

  let width: Int
  /// Before the norm, `[rows, width]`, and the mean and inverse deviation of each.
  let products: UnsafePointer<Float>
  let stats: UnsafePointer<Float>
  let rows: Int

  /// Writes gradients by the slopes and by the rows before the norm; adds that by the gain.
  func backward(
    _ slopes: UnsafePointer<Float>, by y: UnsafePointer<Float>, _ gain: UnsafePointer<Float>, toGain: Rows,
    toSlopes: Rows, toProducts: Rows, _ arena: Arena
  ) {
    let mark = arena.mark
    let (n, count) = (Int32(width), Int32(rows))
    let one = arena.floats(width)
    one.update(repeating: 1, count: width)
    let (z, error) = (hat(arena), arena.floats(rows * width))
    for row in stride(from: 0, to: rows * width, by: width) {
      let (from, to) = (slopes + row, error + row)
      for j in 0..<width { to[j] = gain[j] * from[j] }
    }
    func mean(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ stride: Int32) -> Rows {
      let out = arena.zeros(rows)
      ck_row_products(count, n, a, n, b, stride, 1 / Float(width), out)
      return out
    }
    let (meanY, meanE, yz) = (mean(y, one, 0), mean(error, one, 0), mean(y, z, n))
    let (ez, ye) = (mean(error, z, n), mean(y, error, n))
    for row in 0..<rows {
      let s = stats[2 * row + 1]
      let (mY, mE, m, a) = (meanY[row], meanE[row], yz[row], ez[row])
      let along = 2 * s * s * a * m - s * s * (ye[row] - mY * mE - m * a)
      let (y, e, z) = (y + row * width, error + row * width, z + row * width)
      let (slopes, to, products) = (slopes + row * width, toSlopes + row * width, toProducts + row * width)
      for j in 0..<width {
        products[j] = along * z[j] - s * s * (a * (y[j] - mY) + m * (e[j] - mE))
        let byError = s * (y[j] - mY - m * z[j])
        to[j] = gain[j] * byError
        toGain[j] += slopes[j] * byError
      }
    }
    arena.rewind(to: mark)
  }

  private func hat(_ arena: Arena) -> Rows {
    let out = arena.floats(rows * width)
    for row in 0..<rows {
      let (mean, inverse) = (stats[2 * row], stats[2 * row + 1])
      for j in row * width..<(row + 1) * width { out[j] = (products[j] - mean) * inverse }
    }
    return out
  }
}

private enum Gelu {
  /// out = dy ⊙ back ⊙ gelu''(x), with gelu''(x) = (2 − x²) ϕ(x).
  static func bend(
    _ count: Int, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ back: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let mark = arena.mark
    let density = arena.floats(count)
    for i in 0..<count { density[i] = -0.5 * x[i] * x[i] }
    ck_exp(count, density, density)
    let factor = Float(1 / (2 * Double.pi).squareRoot())
    for i in 0..<count { out[i] = factor * (2 - x[i] * x[i]) * density[i] * dy[i] * back[i] }
    arena.rewind(to: mark)
  }
}

extension FloatProducts {
  /// c = a·bᵀ, or c += a·bᵀ, with a `[m, k]`, b `[n, k]` and c `[m, n]`, made as the transpose of b·aᵀ where a is the
  /// smaller one to turn round.
  func timesTransposed(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    into c: UnsafeMutablePointer<Float>, add: Bool = false
  ) {
    let mark = arena.mark
    if m == 1 {
      if !add { c.update(repeating: 0, count: n) }
      ck_row_products(Int32(n), Int32(k), b, Int32(k), a, 0, 1, c)
      matrices.count(product: 1, n, k)
      return
    }
    let turned = arena.floats(m * n)
    self(
      n, m, k, Floats(reading: b, stride: k), Floats(reading: a, stride: k), .right,
      into: Floats(turned, stride: m))
    for i in 0..<m {
      let to = c + i * n
      if add {
        for j in 0..<n { to[j] += turned[j * m + i] }
      } else {
        for j in 0..<n { to[j] = turned[j * m + i] }
      }
    }
    arena.rewind(to: mark)
  }
}
