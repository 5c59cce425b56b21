import ChorusTensors
import Foundation

/// From what gradient steps have added up to the map that is read, matrix by matrix (`MemorySpec.Retention`).
///
/// Steps add in the dual of the retention, so A changes linearly whatever the map is: of a softmax A is the logarithm of W,
/// and W' = softmax(α log W − η ∇) is A' = α A − η ∇ but for a number a column that the softmax forgets.
extension MemorySpec.Retention {
  /// Added to Σ |A|^q, so that no memory divides by nothing.
  static var least: Double { 1e-6 }

  /// Whether the map is learned a number.
  var scaled: Bool { self == .simplex || self == .signedSimplex }

  /// The spread of what A begins with, for W of about `spread` in a matrix of so many rows and columns.
  func start(_ spread: Double, rows: Int, columns: Int) -> Double {
    // For normal entries of size s ‖A‖_q^(q−2) is (n m)^((q−2)/q) s^(q−2) with m = E|x|^q of a standard normal.
    func share(_ q: Double) -> Double {
      pow(Double(rows * columns) * pow(2, q / 2) * tgamma((q + 1) / 2) / Double.pi.squareRoot(), (q - 2) / q)
    }
    switch self {
    case .quadratic: return spread
    case .norm(let q):
      let entry = (pow(2, q - 1) * tgamma(q - 0.5) / Double.pi.squareRoot()).squareRoot()
      return spread * share(q) / entry
    case .printedNorm(let q): return abs(3 - q) < 0.5 ? 1 : pow(spread * share(q), 1 / (3 - q))
    case .simplex, .signedSimplex: return 1
    }
  }

  func reference(_ a: [Double], rows: Int, columns: Int, scale: Double) -> [Double] {
    func normed(_ q: Double, _ top: (Double) -> Double) -> [Double] {
      let norm = pow(a.reduce(Self.least) { $0 + pow(abs($1), q) }, (q - 2) / q)
      return a.map { top($0) / norm }
    }
    func columnwise(_ part: (Double) -> (over: Double, under: Double)) -> [Double] {
      var out = a
      for j in 0..<columns {
        let parts = (0..<rows).map { part(a[$0 * columns + j]) }
        let sum = parts.reduce(0) { $0 + $1.under }
        for i in 0..<rows { out[i * columns + j] = scale * Double(rows) * parts[i].over / sum }
      }
      return out
    }
    switch self {
    case .quadratic: return a
    case .norm(let q): return normed(q) { $0 * pow(abs($0), q - 2) }
    case .printedNorm(let q): return normed(q) { $0 }
    case .simplex: return columnwise { (exp($0), exp($0)) }
    case .signedSimplex: return columnwise { (sinh($0), cosh($0)) }
    }
  }

  func apply(
    _ a: UnsafePointer<Float>, rows: Int, columns: Int, scale: Double,
    into out: UnsafeMutablePointer<Float>
  ) {
    let count = rows * columns
    switch self {
    case .quadratic: out.update(from: a, count: count)
    case .norm(let q), .printedNorm(let q):
      let top = self == .norm(q) ? q - 2 : 0
      var sum = Self.least
      for i in 0..<count { sum += pow(Double(abs(a[i])), q) }
      let factor = 1 / pow(sum, (q - 2) / q)
      for i in 0..<count { out[i] = Float(Double(a[i]) * pow(Double(abs(a[i])), top) * factor) }
    case .simplex, .signedSimplex:
      let back: Double = self == .simplex ? 0 : 1
      for j in 0..<columns {
        var most = -Double.infinity
        for i in 0..<rows {
          let x = Double(a[i * columns + j])
          most = max(most, back > 0 ? abs(x) : x)
        }
        var sum = 0.0
        for i in 0..<rows {
          let x = Double(a[i * columns + j])
          sum += exp(x - most) + back * exp(-x - most)
        }
        for i in 0..<rows {
          let x = Double(a[i * columns + j])
          out[i * columns + j] = Float(
            scale * Double(rows) * (exp(x - most) - back * exp(-x - most)) / sum)
        }
      }
    }
  }
}
