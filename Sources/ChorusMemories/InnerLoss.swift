import CChorusKernels
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

  // MARK: In training

  /// The slopes of rows beneath each other, from their errors; a threshold a row where the loss has one.
  func slopes(
    _ errors: UnsafePointer<Float>, values: UnsafePointer<Float>, _ rows: Int, _ width: Int,
    thresholds: UnsafePointer<Double>?, into out: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let count = rows * width
    switch self {
    case .dot: for i in 0..<count { out[i] = -values[i] }
    case .squared: out.update(from: errors, count: count)
    case .power(let p):
      let mark = arena.mark
      let powers = Self.powers(count, errors, p, arena)
      for i in 0..<count { out[i] = errors[i] * powers[i] }
      arena.rewind(to: mark)
    case .huber:
      out.update(from: errors, count: count)
      for row in 0..<rows {
        slope(
          out + row * width, value: values + row * width, width,
          threshold: Float(thresholds?[row] ?? .infinity))
      }
    }
  }

  /// From gradients by slopes to those by the errors, in place; adds those by values and thresholds.
  func slopesGradient(
    _ errors: UnsafePointer<Float>, _ rows: Int, _ width: Int, thresholds: UnsafePointer<Double>?,
    by dy: UnsafeMutablePointer<Float>, toValues: UnsafeMutablePointer<Float>,
    toThresholds: UnsafeMutablePointer<Double>?, _ arena: Arena
  ) {
    let count = rows * width
    switch self {
    case .dot:
      for i in 0..<count {
        toValues[i] -= dy[i]
        dy[i] = 0
      }
    case .squared: break
    case .power(let p):
      let mark = arena.mark
      let (powers, less, least) = (
        Self.powers(count, errors, p, arena), Float(p - 2), Float(Self.smoothing)
      )
      for i in 0..<count {
        let square = errors[i] * errors[i]
        dy[i] *= powers[i] * (1 + less * square / (square + least))
      }
      arena.rewind(to: mark)
    case .huber:
      guard let thresholds, let toThresholds else { return }
      for row in 0..<rows {
        let (error, dy, threshold) = (errors + row * width, dy + row * width, Float(thresholds[row]))
        var (square, along): (Float, Float) = (0, 0)
        for j in 0..<width {
          square += error[j] * error[j]
          along += error[j] * dy[j]
        }
        guard square > threshold * threshold else { continue }
        let length = square.squareRoot()
        toThresholds[row] += Double(along / length)
        for j in 0..<width { dy[j] = threshold / length * (dy[j] - error[j] * along / square) }
      }
    }
  }

  /// (e² + smoothing)^(p/2 − 1) of many e.
  private static func powers(
    _ count: Int, _ errors: UnsafePointer<Float>, _ p: Double, _ arena: Arena
  ) -> UnsafeMutablePointer<Float> {
    let out = arena.floats(count)
    let (half, least) = (Float(p / 2 - 1), Float(smoothing))
    for i in 0..<count { out[i] = errors[i] * errors[i] + least }
    if p == 3 {
      for i in 0..<count { out[i] = out[i].squareRoot() }
      return out
    }
    ck_log(count, out, out)
    ck_scale(count, half, out)
    ck_exp(count, out, out)
    return out
  }
}
