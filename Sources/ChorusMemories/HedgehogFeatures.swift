import ChorusTensors
import Foundation

/// Spiky non-negative features: a softmax over x and −x side by side, as in Hedgehog (Zhang et al. 2024, sec. 4.1, with the
/// learned map left to the layer's own keys and queries). Unlike ELU + 1 they can single out one direction, and the
/// largest coordinate wins the more the longer x is.
struct HedgehogFeatures: FeatureMap {
  let name = "hedgehog"
  let nonNegative = true
  func count(_ width: Int) -> Int { 2 * width }

  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    var top: Float = 0
    for i in 0..<width { top = max(top, abs(x[i])) }
    var total: Float = 0
    for i in 0..<width {
      // Below first: `out` may be `x` nowhere, since it is twice as wide.
      out[width + i] = exp(-x[i] - top)
      out[i] = exp(x[i] - top)
      total += out[i] + out[width + i]
    }
    for i in 0..<2 * width { out[i] /= total }
  }

  /// A softmax does not feel what is taken from all of its arguments, so the largest coordinate has no part in this.
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<rows {
      let (dy, y, dx) = (dy + row * 2 * width, y + row * 2 * width, dx + row * width)
      var mean: Float = 0
      for i in 0..<2 * width { mean += y[i] * dy[i] }
      for i in 0..<width { dx[i] += y[i] * (dy[i] - mean) - y[width + i] * (dy[width + i] - mean) }
    }
  }

  func reference(_ x: [Double]) -> [Double] {
    let powers = (x + x.map { -$0 }).map { exp($0 - (x.map(abs).max() ?? 0)) }
    return powers.map { $0 / powers.reduce(0, +) }
  }

  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix {
    let width = x.columns
    // [x | −x] as a product with a constant matrix, less each row's largest value: a softmax does not feel it.
    let sides = tape.input(width, 2 * width, learns: false) { values in
      values.update(repeating: 0, count: 2 * width * width)
      for i in 0..<width {
        values[i * 2 * width + i] = 1
        values[i * 2 * width + width + i] = -1
      }
    }
    let top = tape.input(x.rows, 1, learns: false) { values in
      let from = tape.values(x)
      for row in 0..<x.rows {
        values[row] = (0..<width).reduce(0) { max($0, abs(from[row * width + $1])) }
      }
    }
    let shifted = tape.add(
      tape.multiply(x, sides), tape.multiply(top, tape.constant(1, 1, 2 * width)), scale: -1)
    let powers = tape.map(shifted) { value in (exp(value), exp(value)) }
    let inverse = tape.map(tape.rowSums(powers)) { total in (1 / total, -1 / (total * total)) }
    return tape.scaleRows(powers, by: inverse)
  }
}
