import ChorusTensors
import Foundation

/// The slope of what a memory minimises, by its fit f at a row: for all losses but the dot product a function of the error
/// e = f − v.
extension MemorySpec.Loss {
  /// What makes |e|^p smooth at 0: Σ (e² + this)^(p/2) / p.
  static var smoothing: Double { 1e-6 }

  /// Whether a threshold is learned from each row.
  var thresholded: Bool { self == .huber }

  /// The loss of one row, for tests of its slope.
  func value(_ error: [Double], value: [Double], threshold: Double) -> Double {
    let square = error.reduce(0) { $0 + $1 * $1 }
    switch self {
    case .dot: return -zip(error, value).reduce(0) { $0 + ($1.0 + $1.1) * $1.1 }
    case .squared: return square / 2
    case .power(let p): return error.reduce(0) { $0 + pow($1 * $1 + Self.smoothing, p / 2) / p }
    case .huber:
      let length = square.squareRoot()
      return length <= threshold ? square / 2 : threshold * length - threshold * threshold / 2
    }
  }

  func slope(_ error: [Double], value: [Double], threshold: Double) -> [Double] {
    switch self {
    case .dot: return value.map { -$0 }
    case .squared: return error
    case .power(let p): return error.map { $0 * pow($0 * $0 + Self.smoothing, p / 2 - 1) }
    case .huber:
      let length = error.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return length <= threshold ? error : error.map { threshold * $0 / length }
    }
  }

  /// From the error to the slope, in place.
  func slope(
    _ error: UnsafeMutablePointer<Float>, value: UnsafePointer<Float>, _ width: Int, threshold: Float
  ) {
    switch self {
    case .dot: for j in 0..<width { error[j] = -value[j] }
    case .squared: break
    case .power(let p):
      let half = Float(p / 2 - 1)
      for j in 0..<width { error[j] *= pow(error[j] * error[j] + Float(Self.smoothing), half) }
    case .huber:
      var square: Float = 0
      for j in 0..<width { square += error[j] * error[j] }
      guard square > threshold * threshold else { return }
      let kept = threshold / square.squareRoot()
      for j in 0..<width { error[j] *= kept }
    }
  }

  /// The slopes of rows beneath each other; `threshold` is `[rows, 1]` where the loss has one.
  func record(
    _ error: HeadPass.Matrix, values: HeadPass.Matrix, threshold: HeadPass.Matrix?, _ m: MatrixTape
  ) -> HeadPass.Matrix {
    switch self {
    case .dot: return m.scaled(values, by: -1)
    case .squared: return error
    case .power(let p):
      return m.map(error) { e in
        let inner = e * e + Self.smoothing
        let power = pow(inner, p / 2 - 1)
        return (e * power, power + (p - 2) * e * e * power / inner)
      }
    case .huber:
      guard let threshold else { return error }
      let squares = m.rowSums(m.hadamard(error, error))
      let lengths = m.map(squares) { s in
        let length = s.squareRoot()
        return (length, length > 0 ? 0.5 / length : 0)
      }
      // min(1, δ / ‖e‖), which is δ / max(δ, ‖e‖).
      let (limits, sizes) = (m.values(threshold), m.values(lengths))
      let beyond = m.input(error.rows, 1, learns: false) { values in
        for row in 0..<error.rows { values[row] = sizes[row] > limits[row] ? 1 : 0 }
      }
      let inverse = m.map(lengths) { $0 > 0 ? (1 / $0, -1 / ($0 * $0)) : (0, 0) }
      let share = m.hadamard(threshold, inverse)
      let within = m.map(beyond) { (1 - $0, -1) }
      return m.scaleRows(error, by: m.add(within, m.hadamard(beyond, share)))
    }
  }
}
