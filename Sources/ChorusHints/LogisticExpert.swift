import ChorusData
import ChorusTensors
import Foundation

/// Logistic regression on the design with a ridge penalty, of one class against the others, with approximate leave-one-out
/// probabilities: one Newton step takes a row out, η_i − (y_i − p_i)/w_i · h_i/(1 − h_i) (Rad & Maleki 2020).
struct LogisticExpert: Sendable {
  static let penalties = [0.3, 1, 3, 10, 30, 100]
  /// Of the context's rows, each without itself, in their order.
  let observed: [Double]
  private let intercept: Double
  private let coefficients: [Double]

  private static let steps = 12
  private static let most = 12.0

  /// - Parameter isClass: of each row, whether it is of the class.
  init(_ context: TableContext, isClass: [Bool]) {
    let (n, p) = (context.count, context.width)
    let a = context.rows.design
    var best: (loss: Double, left: [Double], coefficients: [Double])?
    var start: [Double]?
    // From the heaviest penalty on, each from the last one's answer.
    for penalty in Self.penalties.reversed() {
      guard let fit = Self.fit(a, n, p, isClass, penalty, start) else { continue }
      start = fit.coefficients
      let loss = zip(fit.left, isClass).reduce(0) { $0 - log($1.1 ? $1.0 : 1 - $1.0) }
      if loss < best?.loss ?? .infinity { best = (loss, fit.left, fit.coefficients) }
    }
    let share = (Double(isClass.count { $0 }) + 0.5) / (Double(n) + 1)
    observed = best?.left ?? [Double](repeating: share, count: n)
    intercept = best.map { $0.coefficients[p] } ?? log(share / (1 - share))
    coefficients = best.map { Array($0.coefficients[..<p]) } ?? [Double](repeating: 0, count: p)
  }

  /// Probabilities of the class, of other rows.
  func probabilities(_ rows: TableRows) -> [Double] {
    let p = coefficients.count
    return (0..<rows.count).map { row in
      var eta = intercept
      for column in 0..<p { eta += coefficients[column] * rows.design[row * p + column] }
      return Self.probability(eta)
    }
  }

  private static func probability(_ eta: Double) -> Double { 1 / (1 + exp(-min(max(eta, -most), most))) }

  /// Newton's method; the intercept, last, has next to no penalty.
  private static func fit(
    _ a: [Double], _ n: Int, _ p: Int, _ isClass: [Bool], _ penalty: Double, _ start: [Double]?
  ) -> (left: [Double], coefficients: [Double])? {
    let q = p + 1
    var beta = start ?? [Double](repeating: 0, count: q)
    var weighted = [Double](repeating: 0, count: n * q)
    var (eta, weights, residuals) = (
      [Double](repeating: 0, count: n), [Double](repeating: 0, count: n), [Double](repeating: 0, count: n)
    )
    var factor: CholeskyFactor?
    for _ in 0..<steps {
      for row in 0..<n {
        var sum = beta[p]
        for column in 0..<p { sum += beta[column] * a[row * p + column] }
        eta[row] = min(max(sum, -most), most)
        let probability = probability(eta[row])
        weights[row] = max(probability * (1 - probability), 1e-5)
        residuals[row] = (isClass[row] ? 1 : 0) - probability
        let root = weights[row].squareRoot()
        for column in 0..<p { weighted[row * q + column] = root * a[row * p + column] }
        weighted[row * q + p] = root
      }
      var gram = [Double](repeating: 0, count: q * q)
      weighted.withUnsafeBufferPointer { weighted in
        gram.withUnsafeMutableBufferPointer { gram in
          guard let from = weighted.baseAddress, let to = gram.baseAddress else { return }
          DoubleKernels.gram(q, rows: n, from, q, to)
        }
      }
      var gradient = [Double](repeating: 0, count: q)
      for column in 0..<q {
        let own = column < p ? penalty : 1e-3
        gram[column * q + column] += own
        gradient[column] = -own * beta[column]
      }
      for row in 0..<n {
        for column in 0..<p { gradient[column] += residuals[row] * a[row * p + column] }
        gradient[p] += residuals[row]
      }
      guard let found = try? CholeskyFactor(lower: gram, count: q), let step = try? found.solve(gradient)
      else { return nil }
      factor = found
      let size = step.reduce(0) { max($0, abs($1)) }
      let shrink = size > 2 ? 2 / size : 1
      for column in 0..<q { beta[column] += shrink * step[column] }
      if size < 1e-6 { break }
    }
    guard let factor else { return nil }
    var columns = [Double](repeating: 0, count: q * n)
    for row in 0..<n { for column in 0..<q { columns[column * n + row] = weighted[row * q + column] } }
    guard let white = try? factor.whiten(columns, columns: n) else { return nil }
    let left = (0..<n).map { row -> Double in
      var leverage = 0.0
      for column in 0..<q { leverage += white[column * n + row] * white[column * n + row] }
      let h = min(leverage, 0.99)
      return probability(eta[row] - residuals[row] / weights[row] * h / (1 - h))
    }
    return (left, beta)
  }
}
