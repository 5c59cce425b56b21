import ChorusTensors
import Foundation

/// φ: what a memory makes of a head's keys and queries before it stores or compares them.
///
/// One file a map: its float form for inference, its recorded form for training, and a line in `FeatureMaps.all`.
public protocol FeatureMap: Sendable {
  var name: String { get }
  /// φ(a)·φ(b) ≥ 0 for all a and b, so that a normalised read-out has a denominator.
  var nonNegative: Bool { get }
  /// Features of a head `width` wide.
  func count(_ width: Int) -> Int
  /// φ of one head's row: `count(width)` floats at `out`, which may be `x` where the count is the width.
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>)
  /// φ of `rows` such rows, one behind the other, into as many rows of features.
  func apply(
    rows: Int, _ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>)
  /// Adds to the gradient `dx` of `rows` rows x, whose features are y, what `dy` gives.
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>)
  /// φ by its formula, in Double.
  func reference(_ x: [Double]) -> [Double]
  /// φ of every row of x `[rows, width]`.
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix
}

extension FeatureMap {
  public func apply(
    rows: Int, _ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>
  ) {
    let features = count(width)
    for row in 0..<rows { apply(x + row * width, width: width, into: out + row * features) }
  }
}

/// The feature maps that a specification can name.
public enum FeatureMaps {
  public static let all: [any FeatureMap] = [
    IdentityFeatures(), UnitFeatures(), ELUFeatures(), ReLUFeatures(), TaylorFeatures(), HedgehogFeatures(),
  ]

  public static func named(_ name: String) throws(MemoryError) -> any FeatureMap {
    for map in all where map.name == name { return map }
    throw .unknown(name, known: all.map(\.name))
  }
}

/// φ(x) = x.
struct IdentityFeatures: FeatureMap {
  let name = "identity"
  let nonNegative = false
  func count(_ width: Int) -> Int { width }
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    if out != x { out.update(from: x, count: width) }
  }
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<rows * width { dx[i] += dy[i] }
  }
  func reference(_ x: [Double]) -> [Double] { x }
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix { x }
}

/// x / √(‖x‖² + 10⁻⁶): keys of one length, so that a similarity falls with distance alone.
struct UnitFeatures: FeatureMap {
  let name = "unit"
  let nonNegative = false
  static let epsilon = 1e-6
  func count(_ width: Int) -> Int { width }
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    var squares: Float = 0
    for i in 0..<width { squares += x[i] * x[i] }
    let factor = 1 / (squares + Float(Self.epsilon)).squareRoot()
    for i in 0..<width { out[i] = x[i] * factor }
  }
  /// With y = s x: s (dy − y (y·dy)).
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    for row in stride(from: 0, to: rows * width, by: width) {
      let (dy, x, dx) = (dy + row, x + row, dx + row)
      var (squares, product): (Float, Float) = (Float(Self.epsilon), 0)
      for i in 0..<width {
        squares += x[i] * x[i]
        product += x[i] * dy[i]
      }
      let factor = 1 / squares.squareRoot()
      let along = product / squares
      for i in 0..<width { dx[i] += factor * (dy[i] - x[i] * along) }
    }
  }
  func reference(_ x: [Double]) -> [Double] {
    let length = (x.reduce(Self.epsilon) { $0 + $1 * $1 }).squareRoot()
    return x.map { $0 / length }
  }
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix {
    let inverse = tape.map(tape.rowSums(tape.hadamard(x, x))) { squares in
      let value = 1 / (squares + Self.epsilon).squareRoot()
      return (value, -0.5 * value / (squares + Self.epsilon))
    }
    return tape.scaleRows(x, by: inverse)
  }
}

/// ELU(x) + 1 (Katharopoulos et al. 2020, eq. 7): x + 1 above zero, eˣ below.
struct ELUFeatures: FeatureMap {
  let name = "elu"
  let nonNegative = true
  func count(_ width: Int) -> Int { width }
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    Elementwise.positiveELU(width, x, into: out)
  }
  func apply(
    rows: Int, _ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>
  ) {
    Elementwise.positiveELU(rows * width, x, into: out)
  }
  /// Above zero y is above 1 and its derivative 1, below it is y itself.
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<rows * width { dx[i] += dy[i] * (y[i] < 1 ? y[i] : 1) }
  }
  func reference(_ x: [Double]) -> [Double] { x.map { $0 > 0 ? $0 + 1 : exp($0) } }
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix {
    tape.map(x) { $0 > 0 ? ($0 + 1, 1) : (exp($0), exp($0)) }
  }
}

/// max(x, 0) (Kasai et al. 2021).
struct ReLUFeatures: FeatureMap {
  let name = "relu"
  let nonNegative = true
  func count(_ width: Int) -> Int { width }
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    for i in 0..<width { out[i] = max(x[i], 0) }
  }
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<rows * width { dx[i] += y[i] > 0 ? dy[i] : 0 }
  }
  func reference(_ x: [Double]) -> [Double] { x.map { max($0, 0) } }
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix {
    tape.map(x) { $0 > 0 ? ($0, 1) : (0, 0) }
  }
}

/// Features whose products are 1 + s + s²/2 with s = q·k/√width, the second-order expansion of exp(s) (Arora et al.
/// 2024, "Based", eq. 4): 1, x/w^¼, and the products x_i x_j/√(2w) with i = j and twice those with i < j.
struct TaylorFeatures: FeatureMap {
  let name = "taylor"
  let nonNegative = true
  func count(_ width: Int) -> Int { 1 + width + width * (width + 1) / 2 }
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    let (linear, square) = factors(width)
    out[0] = 1
    for i in 0..<width { out[1 + i] = x[i] * Float(linear) }
    var place = 1 + width
    for i in 0..<width {
      for j in i..<width {
        out[place] = x[i] * x[j] * Float(i == j ? square : square * 2.0.squareRoot())
        place += 1
      }
    }
  }
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    let (linear, square) = factors(width)
    let mixed = Float(square * 2.0.squareRoot())
    for row in 0..<rows {
      let (dy, x, dx) = (dy + row * count(width), x + row * width, dx + row * width)
      for i in 0..<width { dx[i] += dy[1 + i] * Float(linear) }
      var place = 1 + width
      for i in 0..<width {
        dx[i] += 2 * Float(square) * x[i] * dy[place]
        for j in i + 1..<max(width, i + 1) {
          let slope = mixed * dy[place + j - i]
          dx[i] += slope * x[j]
          dx[j] += slope * x[i]
        }
        place += width - i
      }
    }
  }
  func reference(_ x: [Double]) -> [Double] {
    let root = Double(x.count).squareRoot()
    var out = [1.0] + x.map { $0 / root.squareRoot() }
    for i in x.indices {
      for j in i..<x.count { out.append(x[i] * x[j] / root * (i == j ? 0.5.squareRoot() : 1)) }
    }
    return out
  }
  private func factors(_ width: Int) -> (linear: Double, square: Double) {
    let root = Double(width).squareRoot()
    return (1 / root.squareRoot(), 1 / (2.0.squareRoot() * root))
  }
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix {
    let width = x.columns
    let (linear, square) = factors(width)
    // x times 0/1 matrices puts the two factors of every product into its column.
    let pairs = (0..<width).flatMap { i in (i..<width).map { (i, $0) } }
    let total = count(width)
    func selection(_ entry: @escaping (Int) -> (row: Int, value: Double)?) -> MatrixTape.Matrix {
      tape.input(width, total, learns: false) { values in
        values.update(repeating: 0, count: width * total)
        for column in 0..<total {
          if let (row, value) = entry(column) { values[row * total + column] = value }
        }
      }
    }
    let left = selection { column in
      if column == 0 { return nil }
      if column <= width { return (column - 1, linear) }
      let (i, j) = pairs[column - 1 - width]
      return (i, i == j ? square : square * 2.0.squareRoot())
    }
    let right = selection { column in column <= width ? nil : (pairs[column - 1 - width].1, 1) }
    let ones = tape.input(1, total, learns: false) { values in
      for column in 0..<total { values[column] = column <= width ? 1 : 0 }
    }
    let first = tape.input(1, total, learns: false) { values in
      for column in 0..<total { values[column] = column == 0 ? 1 : 0 }
    }
    let products = tape.hadamard(
      tape.multiply(x, left), tape.addRow(tape.multiply(x, right), ones))
    return tape.addRow(products, first)
  }
}
