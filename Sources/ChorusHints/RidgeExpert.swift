import ChorusData
import ChorusTensors

/// Ridge regression on the design, its penalty by leave-one-out errors e_i = r_i/(1 − h_ii) (Allen 1974).
///
/// Penalties are parts of the mean eigenvalue of the Gram matrix. With fewer rows than columns the same is solved among rows. Where errors
/// of rows are known, squares are weighed by v/(v + e²) with v what the residuals vary by beside their errors, which is found in steps.
struct RidgeExpert: TableEstimator {
  static let parts = [0.003, 0.02, 0.1, 0.4, 1.5]
  let observed: [Estimate]
  private let mean: Double
  private let coefficients: [Double]
  private let deviation: Double
  /// Of the residuals without the errors of their rows.
  var variance: Double { max((deviation - Self.least) * (deviation - Self.least), Self.least * Self.least) }

  private static let (least, stepsWithErrors) = (1e-3, 2)

  init(_ context: TableContext) {
    var best = Self.best(context, context.weights())
    for _ in 0..<(context.errors.isEmpty ? 0 : Self.stepsWithErrors) {
      let deviation = max(context.errors.deviation(of: best.residuals), Self.least)
      best = Self.best(context, context.weights(beside: deviation * deviation))
    }
    (mean, coefficients) = (best.mean, best.coefficients)
    let deviation = context.errors.deviation(of: best.residuals) + Self.least
    self.deviation = deviation
    observed = zip(context.y, best.residuals).map { Estimate(value: $0 - $1, deviation: deviation) }
  }

  /// The best of the penalties.
  private static func best(
    _ context: TableContext, _ weights: [Double]
  ) -> (mean: Double, residuals: [Double], coefficients: [Double]) {
    let (n, p) = (context.count, context.width)
    let (mean, total) = (context.mean(weights), weights.reduce(0, +))
    let roots = weights.map { $0.squareRoot() }
    let y = zip(context.y, roots).map { ($0 - mean) * $1 }
    let shares = weights.map { $0 / total }
    var best: (error: Double, residuals: [Double], coefficients: [Double]) = (
      .infinity, y.indices.map { y[$0] * total / (n > 1 ? total - weights[$0] : 1) },
      [Double](repeating: 0, count: p)
    )
    best.error = best.residuals.reduce(0) { $0 + $1 * $1 } / max(total, .leastNormalMagnitude)
    let (design, centres) = weighed(context, shares, roots)
    if p > 0, n > 1 {
      let gram = p <= n ? Self.columnGram(design, n, p) : Self.rowGram(design, n, p)
      let size = p <= n ? p : n
      let trace = (0..<size).reduce(0) { $0 + gram[$1 * size + $1] }
      let scale = trace / Double(min(n - 1, p))
      for part in Self.parts {
        let penalty = part * scale + 1e-6
        let solved =
          p <= n
          ? Self.byColumns(design, gram, y, p, penalty, shares)
          : Self.byRows(design, gram, y, p, penalty, shares)
        guard let solved else { continue }
        let error = solved.residuals.reduce(0) { $0 + $1 * $1 } / total
        if error < best.error { best = (error, solved.residuals, solved.coefficients) }
      }
    }
    let shift = zip(centres, best.coefficients).reduce(0) { $0 + $1.0 * $1.1 }
    return (mean - shift, zip(best.residuals, roots).map { $0 / $1 }, best.coefficients)
  }

  /// Rows of the design centred where they count, each times the root of its weight, and those centres: as it is where all count
  /// alike, for it is centred.
  private static func weighed(
    _ context: TableContext, _ shares: [Double], _ roots: [Double]
  ) -> (design: [Double], centres: [Double]) {
    let (design, p) = (context.rows.design, context.width)
    guard !context.errors.isEmpty else { return (design, []) }
    var centres = [Double](repeating: 0, count: p)
    for (row, share) in shares.enumerated() {
      for column in 0..<p { centres[column] += share * design[row * p + column] }
    }
    return (design.indices.map { (design[$0] - centres[$0 % p]) * roots[$0 / p] }, centres)
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
  private static let leastRest = 1e-6

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

  /// With as many rows as columns at least: h_ii = aᵢᵀ(AᵀA + λ)⁻¹aᵢ + wᵢ/Σw.
  ///
  /// - Parameter shares: of each row wᵢ/Σw.
  private static func byColumns(
    _ a: [Double], _ gram: [Double], _ y: [Double], _ p: Int, _ penalty: Double, _ shares: [Double]
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
    var leverage = shares
    for column in 0..<p {
      for row in 0..<n { leverage[row] += white[column * n + row] * white[column * n + row] }
    }
    let residuals = (0..<n).map { row in
      let fitted = (0..<p).reduce(0) { $0 + a[row * p + $1] * coefficients[$1] }
      return (y[row] - fitted) / max(1 - leverage[row], leastRest)
    }
    return (residuals, coefficients)
  }

  /// With fewer: with α = (AAᵀ + λ)⁻¹y the residual is λα_i, and 1 − h_ii = λ(AAᵀ + λ)⁻¹_ii − wᵢ/Σw.
  private static func byRows(
    _ a: [Double], _ gram: [Double], _ y: [Double], _ p: Int, _ penalty: Double, _ shares: [Double]
  ) -> Solution? {
    let n = y.count
    guard let inverse = InverseFactor(gram, n, adding: penalty) else { return nil }
    let alpha = inverse.solve(y)
    let diagonal = inverse.diagonal
    let residuals = (0..<n).map {
      penalty * alpha[$0] / max(penalty * diagonal[$0] - shares[$0], leastRest)
    }
    var coefficients = [Double](repeating: 0, count: p)
    for row in 0..<n { for column in 0..<p { coefficients[column] += alpha[row] * a[row * p + column] } }
    return (residuals, coefficients)
  }
}
