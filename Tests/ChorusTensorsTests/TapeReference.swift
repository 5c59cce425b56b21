import Foundation

/// A float64 matrix for the plain forms that the tape's operations are compared with.
struct Dense: Equatable {
  var rows: Int
  var columns: Int
  var values: [Double]

  init(_ rows: Int, _ columns: Int, _ value: (Int, Int) -> Double = { _, _ in 0 }) {
    self.rows = rows
    self.columns = columns
    values = (0..<rows * columns).map { value($0 / columns, $0 % columns) }
  }

  subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// Some of the rows, in the order asked for.
  subscript(rows range: Range<Int>) -> Dense {
    Dense(range.count, columns) { self[range.lowerBound + $0, $1] }
  }

  static func + (a: Dense, b: Dense) -> Dense { Dense(a.rows, a.columns) { a[$0, $1] + b[$0, $1] } }

  static func * (a: Dense, b: Dense) -> Dense {
    Dense(a.rows, b.columns) { row, column in
      (0..<a.columns).reduce(0) { $0 + a[row, $1] * b[$1, column] }
    }
  }

  /// The same vector, `[1, columns]`, added to each row.
  func adding(_ vector: Dense?) -> Dense {
    guard let vector else { return self }
    return Dense(rows, columns) { self[$0, $1] + vector[0, $1] }
  }

  func map(_ function: (Double) -> Double) -> Dense { Dense(rows, columns) { function(self[$0, $1]) } }
}

/// The operations of the tape, each from its formula, in float64 and without a thought for speed.
enum TapeReference {
  /// x Φ(x) (Hendrycks & Gimpel 2016).
  static func gelu(_ x: Double) -> Double { 0.5 * x * (1 + erf(x / 2.0.squareRoot())) }
  static func relu(_ x: Double) -> Double { max(x, 0) }

  static func layerNorm(_ x: Dense, gain: Dense, bias: Dense) -> Dense {
    var out = x
    for row in 0..<x.rows {
      let values = (0..<x.columns).map { x[row, $0] }
      let mean = values.reduce(0, +) / Double(x.columns)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.columns)
      for column in 0..<x.columns {
        out[row, column] =
          (x[row, column] - mean) / (variance + 1e-5).squareRoot() * gain[0, column] + bias[0, column]
      }
    }
    return out
  }

  static func rmsNorm(_ x: Dense, gain: Dense, epsilon: Double) -> Dense {
    Dense(x.rows, x.columns) { row, column in
      let square = (0..<x.columns).reduce(0) { $0 + x[row, $1] * x[row, $1] } / Double(x.columns)
      return x[row, column] / (square + epsilon).squareRoot() * gain[0, column]
    }
  }

  /// Each pair (a, b) of a head's numbers as the complex number (a + ib)·e^(i·angle).
  static func rotate(
    _ x: Dense, heads: Int, width: Int, positions: [Int32], base: Double, neighbours: Bool
  ) -> Dense {
    var out = x
    for row in 0..<x.rows {
      for head in 0..<heads {
        for pair in 0..<width / 2 {
          let angle = Double(positions[row]) / pow(base, 2 * Double(pair) / Double(width))
          let a = head * width + (neighbours ? 2 * pair : pair)
          let b = neighbours ? a + 1 : a + width / 2
          out[row, a] = x[row, a] * cos(angle) - x[row, b] * sin(angle)
          out[row, b] = x[row, a] * sin(angle) + x[row, b] * cos(angle)
        }
      }
    }
    return out
  }

  /// Attention under a mask: row r sees the stored rows for which `sees` holds; a row that sees none reads zeros.
  static func attention(
    _ queries: Dense, _ keyValues: Dense, heads: Int, sees: (_ row: Int, _ stored: Int) -> Bool
  ) -> Dense {
    let (d, width) = (keyValues.columns / 2, queries.columns / heads)
    let group = queries.columns / d  // heads that read the same keys
    var out = Dense(queries.rows, queries.columns)
    for head in 0..<heads {
      let columns = head * width..<(head + 1) * width
      let back = (head - head / group) * width  // from a query's column to the key's
      for row in 0..<queries.rows {
        let visible = (0..<keyValues.rows).filter { sees(row, $0) }
        let weights = visible.map { stored in
          exp(
            columns.reduce(0) { $0 + queries[row, $1] * keyValues[stored, $1 - back] }
              / Double(width).squareRoot())
        }
        let total = weights.reduce(0, +)
        for column in columns where total > 0 {
          out[row, column] =
            zip(visible, weights).reduce(0) { $0 + $1.1 * keyValues[$1.0, d + column - back] } / total
        }
      }
    }
    return out
  }
}
