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

  /// Attention under a mask: row r sees the stored rows for which `sees` holds; a row that sees none reads zeros.
  static func attention(
    _ queries: Dense, _ keyValues: Dense, heads: Int, sees: (_ row: Int, _ stored: Int) -> Bool
  ) -> Dense {
    let (d, width) = (queries.columns, queries.columns / heads)
    var out = Dense(queries.rows, d)
    for head in 0..<heads {
      let columns = head * width..<(head + 1) * width
      for row in 0..<queries.rows {
        let visible = (0..<keyValues.rows).filter { sees(row, $0) }
        let weights = visible.map { stored in
          exp(
            columns.reduce(0) { $0 + queries[row, $1] * keyValues[stored, $1] } / Double(width).squareRoot())
        }
        let total = weights.reduce(0, +)
        for column in columns where total > 0 {
          out[row, column] =
            zip(visible, weights).reduce(0) { $0 + $1.1 * keyValues[$1.0, d + column] } / total
        }
      }
    }
    return out
  }

  /// log Σ_c w_c N(y; μ_c, softplus(s_c) + floor) of row `row`.
  /// The first components in a unit of the row's own.
  static func logDensity(
    _ parameters: Dense, _ row: Int, _ y: Double, floor: Double,
    own: (local: Int, y: Double, logUnit: Double) = (0, 0, 0)
  ) -> Double {
    let count = parameters.columns / 3
    let norm = log((0..<count).reduce(0) { $0 + exp(parameters[row, $1]) })
    let density = (0..<count).reduce(0.0) { sum, c in
      let deviation = log(1 + exp(parameters[row, 2 * count + c])) + floor
      let z = ((c < own.local ? own.y : y) - parameters[row, count + c]) / deviation
      let unit = c < own.local ? own.logUnit : 0
      return sum + exp(parameters[row, c] - norm - z * z / 2 - unit)
        / (deviation * (2 * Double.pi).squareRoot())
    }
    return log(density)
  }
}
