import ChorusData
import ChorusTensors

/// Ridge regression on the design, its penalty by leave-one-out errors e_i = r_i/(1 − h_ii) (Allen 1974).
///
/// Penalties are parts of the mean eigenvalue of the Gram matrix. With fewer rows than columns the same is solved among rows.
struct RidgeExpert: TableEstimator {
  static let parts = [0.003, 0.02, 0.1, 0.4, 1.5]
  let observed: [Estimate]
  private let mean: Double
  private let coefficients: [Double]
  private let deviation: Double

  init(_ context: TableContext) {
    let (n, p) = (context.count, context.width)
    mean = context.y.reduce(0, +) / Double(max(n, 1))
    let mean = mean
    let y = context.y.map { $0 - mean }
    var best: (error: Double, residuals: [Double], coefficients: [Double]) = (
      .infinity, y.map { $0 * Double(n) / Double(max(n - 1, 1)) }, [Double](repeating: 0, count: p)
    )
    best.error = best.residuals.reduce(0) { $0 + $1 * $1 } / Double(max(n, 1))
    if p > 0, n > 1 {
      let gram = p <= n ? Self.columnGram(context.rows.design, n, p) : Self.rowGram(context.rows.design, n, p)
      let size = p <= n ? p : n
      let trace = (0..<size).reduce(0) { $0 + gram[$1 * size + $1] }
      let scale = trace / Double(min(n - 1, p))
      for part in Self.parts {
        let penalty = part * scale + 1e-6
        let solved =
          p <= n
          ? Self.byColumns(context.rows.design, gram, y, p, penalty)
          : Self.byRows(context.rows.design, gram, y, p, penalty)
        guard let solved else { continue }
        let error = solved.residuals.reduce(0) { $0 + $1 * $1 } / Double(n)
        if error < best.error { best = (error, solved.residuals, solved.coefficients) }
      }
    }
    coefficients = best.coefficients
    let deviation = best.error.squareRoot() + 1e-3
    self.deviation = deviation
    observed = zip(context.y, best.residuals).map { Estimate(value: $0 - $1, deviation: deviation) }
  }

  func estimates(_ rows: TableRows) -> [Estimate] {
    let p = coefficients.count
    return (0..<rows.count).map { row in
      var value = mean
      for column in 0..<p { value += coefficients[column] * rows.design[row * p + column] }
      return Estimate(value: value, deviation: deviation)
    }
  }

  private typealias Solution = (residuals: [Double], coefficients: [Double])

  /// The least 1 − h_ii. Higher would make errors far too small where columns outnumber rows.
  private static let least = 1e-6

  private static func columnGram(_ a: [Double], _ n: Int, _ p: Int) -> [Double] {
    var gram = [Double](repeating: 0, count: p * p)
    a.withUnsafeBufferPointer { a in
      gram.withUnsafeMutableBufferPointer { gram in
        guard let a = a.baseAddress, let gram = gram.baseAddress else { return }
        DoubleKernels.gram(p, rows: n, a, p, gram)
      }
    }
    return gram
  }

  private static func rowGram(_ a: [Double], _ n: Int, _ p: Int) -> [Double] {
    var gram = [Double](repeating: 0, count: n * n)
    DoubleKernels.products(a, rows: n, a, rows: n, columns: p, into: &gram)
    return gram
  }

  /// With as many rows as columns at least: h_ii = aᵢᵀ(AᵀA + λ)⁻¹aᵢ + 1/n.
  private static func byColumns(
    _ a: [Double], _ gram: [Double], _ y: [Double], _ p: Int, _ penalty: Double
  ) -> Solution? {
    var matrix = gram
    for column in 0..<p { matrix[column * p + column] += penalty }
    guard let factor = try? CholeskyFactor(lower: matrix, count: p) else { return nil }
    let n = y.count
    var right = [Double](repeating: 0, count: p)
    var columns = [Double](repeating: 0, count: p * n)
    for row in 0..<n {
      for column in 0..<p {
        right[column] += a[row * p + column] * y[row]
        columns[column * n + row] = a[row * p + column]
      }
    }
    guard let coefficients = try? factor.solve(right), let white = try? factor.whiten(columns, columns: n)
    else { return nil }
    var leverage = [Double](repeating: 1 / Double(n), count: n)
    for column in 0..<p {
      for row in 0..<n { leverage[row] += white[column * n + row] * white[column * n + row] }
    }
    let residuals = (0..<n).map { row in
      let fitted = (0..<p).reduce(0) { $0 + a[row * p + $1] * coefficients[$1] }
      return (y[row] - fitted) / max(1 - leverage[row], least)
    }
    return (residuals, coefficients)
  }

  /// With fewer: with α = (AAᵀ + λ)⁻¹y the residual is λα_i, and 1 − h_ii = λ(AAᵀ + λ)⁻¹_ii − 1/n.
  private static func byRows(
    _ a: [Double], _ gram: [Double], _ y: [Double], _ p: Int, _ penalty: Double
  ) -> Solution? {
    let n = y.count
    guard let inverse = InverseFactor(gram, n, adding: penalty) else { return nil }
    let alpha = inverse.solve(y)
    let diagonal = inverse.diagonal
    let residuals = (0..<n).map {
      penalty * alpha[$0] / max(penalty * diagonal[$0] - 1 / Double(n), least)
    }
    var coefficients = [Double](repeating: 0, count: p)
    for row in 0..<n { for column in 0..<p { coefficients[column] += alpha[row] * a[row * p + column] } }
    return (residuals, coefficients)
  }
}
