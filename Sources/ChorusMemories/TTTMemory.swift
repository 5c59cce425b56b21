import ChorusTensors
import Foundation

/// TTT-Linear with one full-batch step (Sun et al. 2024, sec. 2.3): the inner model f(k) = k + LN(k·W₀ + b₀)
/// takes one gradient step on ½‖f(k) − v‖² averaged over the rows read, from a learned start, and a query reads
/// q + LN(q·W + b). All gradients are taken at the start, so they add up, whatever the order.
struct TTTRule: FusedRule {
  let sizes: AttentionSizes
  let values: MemoryValues
  static let epsilon = 1e-5

  // Places in the shape's parameters.
  static let start = 0, bias = 1, gain = 2, shiftOf = 3, rate = 4

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    let width = sizes.width
    return MemoryShape(
      StoredLayout(sizes), read: sizes.columns,
      parameters: [
        MemoryParameter(
          "start", sizes.heads * width * width, initial: 0, spread: 1 / Double(width).squareRoot()),
        MemoryParameter("start.bias", sizes.columns, initial: 0),
        MemoryParameter("gain", sizes.columns, initial: 1),
        MemoryParameter("bias", sizes.columns, initial: 0),
        MemoryParameter("rate", sizes.heads, initial: Softplus.inverse(1)),
      ])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    self.values = values
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: true, fixedState: true, subsetReads: true, merge: true, remove: true)
  }

  /// A step from W₀ and b₀ on the mean of ½‖f(k) − v‖², then f(q). The gradient goes through the Jacobian of the
  /// normalisation, written out.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let n = head.sizes.width
    let w0 = head.part(start, n * n)
    let (b0, gain, shift) = (
      head.part(Self.bias, n), head.part(Self.gain, n), head.part(Self.shiftOf, n)
    )
    func image(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
      // A loop, and a type told below: as one expression each they took the compiler 19 s.
      var image = b
      for j in 0..<n { for i in 0..<n { image[j] += x[i] * w[i * n + j] } }
      return image
    }
    func normalised(_ z: [Double]) -> (hat: [Double], deviation: Double) {
      let mean = z.reduce(0, +) / Double(n)
      let variance = z.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
      let deviation = (variance + epsilon).squareRoot()
      return (z.map { ($0 - mean) / deviation }, deviation)
    }
    func output(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
      let hat = normalised(image(x, w, b)).hat
      return (0..<n).map { (i: Int) -> Double in x[i] + gain[i] * hat[i] + shift[i] }
    }
    var (dw, db) = ([Double](repeating: 0, count: n * n), head.nothing)
    for row in head.rows {
      let (hat, deviation) = normalised(image(row.key, w0, b0))
      let error = zip(output(row.key, w0, b0), row.value).map { $0 - $1 }
      for i in 0..<n {
        let slope = (0..<n).reduce(0.0) { sum, j in
          let jacobian = ((i == j ? 1 : 0) - 1 / Double(n) - hat[i] * hat[j] / Double(n)) / deviation
          return sum + error[j] * gain[j] * jacobian
        }
        db[i] += slope
        for j in 0..<n { dw[j * n + i] += row.key[j] * slope }
      }
    }
    let step = head.softplus(head.numbers[rate][head.head]) / Double(max(1, head.rows.count))
    return ReferenceRead(
      output(query, zip(w0, dw).map { $0 - step * $1 }, zip(b0, db).map { $0 - step * $1 }))
  }

  /// Keys with a one behind them, so that the bias is a row of the map.
  var rank: Int { sizes.width + 1 }
  var momentColumns: Int { sizes.width }
  var mapColumns: Int { sizes.width }
  let valueColumn = 0
  let shift: Float = 0
  let sequential = false
  let readsBeforeWriting = false

  /// Rows and queries are read by the start too.
  var work: (row: Double, map: Double, read: Double) {
    let start = 2 * Double(sizes.width * sizes.width)
    return (start, 0, start)
  }

  func features(_ row: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
    map.apply(row, width: sizes.width, into: out)
  }

  /// The gradient of the inner loss by the inner model's output before its norm.
  private func gradient(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, into out: UnsafeMutablePointer<Float>
  ) {
    let width = sizes.width
    let gain = values[Self.gain] + head * width
    let bias = values[Self.shiftOf] + head * width
    inner(key, head, into: out)
    let (_, deviation) = Self.normalise(out, width)
    var (sum, along) = (Float(0), Float(0))
    let n = Float(width)
    func error(_ j: Int) -> Float { gain[j] * (gain[j] * out[j] + bias[j] - (value[j] - key[j])) }
    for j in 0..<width {
      let e = error(j)
      sum += e
      along += e * out[j]
    }
    for j in 0..<width { out[j] = (n * error(j) - sum - out[j] * along) / (n * deviation) }
  }

  /// k·W₀ + b₀.
  private func inner(_ row: UnsafePointer<Float>, _ head: Int, into out: UnsafeMutablePointer<Float>) {
    let width = sizes.width
    let start = values[Self.start] + head * width * width
    out.update(from: values[Self.bias] + head * width, count: width)
    for i in 0..<width { for j in 0..<width { out[j] += row[i] * start[i * width + j] } }
  }

  /// To mean 0 and standard deviation 1, in place.
  static func normalise(_ x: UnsafeMutablePointer<Float>, _ width: Int) -> (
    mean: Float, deviation: Float
  ) {
    var mean: Float = 0
    for j in 0..<width { mean += x[j] / Float(width) }
    var variance: Float = 0
    for j in 0..<width { variance += (x[j] - mean) * (x[j] - mean) / Float(width) }
    let deviation = (variance + Float(epsilon)).squareRoot()
    for j in 0..<width { x[j] = (x[j] - mean) / deviation }
    return (mean, deviation)
  }

  func moment(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, left: UnsafeMutablePointer<Float>,
    right: UnsafeMutablePointer<Float>
  ) {
    left.update(from: key, count: rank)
    gradient(key: key, value: row.value, head: head, into: right)
  }

  func commit(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, read: FactorRead,
    factor: UnsafeMutablePointer<Float>, stored: UnsafeMutablePointer<Float>
  ) {
    factor.update(from: key, count: rank)
    gradient(key: key, value: row.value, head: head, into: stored)
  }

  func finish(
    _ read: FactorRead, query: UnsafePointer<Float>, head: Int, into out: UnsafeMutablePointer<Float>,
    feature: UnsafeMutablePointer<Float>
  ) {
    let width = sizes.width
    let rate = Float(Softplus.value(Double(values[Self.rate][head]))) / Float(max(1, read.rows))
    inner(query, head, into: out)
    for j in 0..<width { out[j] -= rate * read.mapped[j] }
    _ = Self.normalise(out, width)
    let (gain, bias) = (values[Self.gain] + head * width, values[Self.shiftOf] + head * width)
    for j in 0..<width { out[j] = query[j] + gain[j] * out[j] + bias[j] }
  }
}
