import ChorusData
import ChorusTensors
import Foundation

/// A Gaussian process of a table's rows with a length-scale for every column of the design, as one joint law of further rows.
///
/// y = μ + σ(f(x) + √λ ε), f with the Matérn-3/2 kernel of Σ_j d_j²/ℓ_j² (`JointKernel`): d is a difference, or tells whether two
/// rows have the same level of a category. ℓ and λ maximise the marginal likelihood with σ
/// profiled out (Rasmussen & Williams 2006, eq. 5.8 and 5.9) times wide log-normal priors, which keep many lengths in place where rows
/// are few. What it says of rows is their law together: rows that lie close go together as far as the process says.
///
/// Lengths found in few rows are surer of themselves than they can be, so the law is one of Student's with three degrees of freedom
/// (Shah, Wilson & Ghahramani 2014): covariances are multiplied by a number that all rows of a path share, here one of nine.
///
/// A row with a known error e has the variance σ²λ + e² about f; σ² and the lengths are found in turns.
public struct JointProcess: Sendable {
  private let kernel: JointKernel
  /// Columns of a row.
  public var columns: Int { kernel.columns }
  /// How many of them, the last, name levels.
  public var names: Int { kernel.names }
  /// The mean log-density of each row given all others by the Gaussian law, in the unit of the outputs (eq. 5.12).
  public let leftOut: Double
  private let rows: JointKernel.Rows
  var inverseLengths: [Double] { kernel.inverseLengths }
  /// λ.
  let noise: Double
  let mean: Double
  /// σ².
  let variance: Double
  private let factor: CholeskyFactor
  private let alpha: [Double]

  /// Lengths are found on the first of these numbers of rows at most, spread over all, and from there on by a few steps on the second.
  private static let mostSearched = (first: 200, then: 512)
  private static let steps = (first: 35, then: 8)
  /// Of the first step on more rows, in logarithms.
  private static let nextSize = 0.2

  private static let turnsWithErrors = 3

  /// - Parameters:
  ///   - x: rows, `[count, columns]`, columns of about unit deviation.
  ///   - names: how many of the columns, the last, name levels: numbers that mean nothing but which rows have the same.
  ///   - y: their outputs, of about unit deviation.
  ///   - errors: known deviations of the outputs' errors, or none; what is said of further rows is without such errors.
  /// - Returns: nil for fewer than four rows, or rows that no process of the kind fits.
  public init?(x: [Double], y: [Double], errors: [Double] = [], columns: Int, names: Int = 0) {
    let n = y.count
    guard n >= 4, columns > 0, (0...columns).contains(names), x.count == n * columns,
      errors.isEmpty || errors.count == n
    else { return nil }
    let known = KnownErrors(errors)
    let weights = known.weights(beside: 1, count: n)
    mean = zip(weights, y).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
    let centred = y.map { [mean] in $0 - mean }
    var (found, own) = (Found?.none, [Double]())
    for _ in 0..<(known.isEmpty ? 1 : Self.turnsWithErrors) {
      let variance = found?.variance ?? 1
      own = known.deviations.map { $0 * $0 / variance }
      found = Found(x: x, y: centred, errors: own, columns: columns, names: names)
    }
    guard let found else { return nil }
    (kernel, noise, rows) = (found.kernel, found.noise, found.rows)
    (factor, alpha, variance) = (found.factor, found.alpha, found.variance)
    guard
      let diagonal = InverseFactor(kernel.covariances(rows, rows), n, adding: noise, own)?.diagonal
    else { return nil }
    leftOut =
      -zip(alpha, diagonal).reduce(0) { [variance] sum, row in
        // The error is α/K⁻¹ and its variance σ²/K⁻¹.
        sum + 0.5 * (row.0 * row.0 / (row.1 * variance) + log(2 * .pi * variance / row.1))
      } / Double(n)
    guard leftOut.isFinite else { return nil }
  }

  /// Lengths, noise and variance that fit outputs of mean 0.
  private struct Found {
    let kernel: JointKernel
    let noise: Double
    let rows: JointKernel.Rows
    let factor: CholeskyFactor
    let alpha: [Double]
    let variance: Double

    /// - Parameter errors: known variances in units of the process's; empty for none.
    init?(x: [Double], y: [Double], errors: [Double], columns: Int, names: Int) {
      let n = y.count
      func search(_ most: Int) -> JointSearch {
        let some = n > most ? (0..<most).map { $0 * n / most } : Array(0..<n)
        return JointSearch(
          x: some.flatMap { x[$0 * columns..<($0 + 1) * columns] }, y: some.map { y[$0] },
          errors: errors.isEmpty ? [] : some.map { errors[$0] }, columns: columns, names: names)
      }
      let (most, steps) = (JointProcess.mostSearched, JointProcess.steps)
      guard var best = search(most.first).run(steps: steps.first) else { return nil }
      if n > most.first {
        best =
          search(most.then).run(steps: steps.then, from: best, size: JointProcess.nextSize) ?? best
      }
      kernel = JointKernel(columns: columns, names: names, inverseLengths: best.lengths.map { exp(-$0) })
      (rows, noise) = (kernel.read(x), exp(best.noise))
      var covariance = kernel.covariances(rows, rows)
      for i in 0..<n { covariance[i * n + i] = 1 + noise + (errors.isEmpty ? 0 : errors[i]) }
      guard let factor = try? CholeskyFactor(lower: consume covariance, count: n),
        let alpha = try? factor.solve(y)
      else { return nil }
      (self.factor, self.alpha) = (factor, alpha)
      // As many rows fewer as an estimated mean and scale take.
      variance = max(
        zip(y, alpha).reduce(0) { $0 + $1.0 * $1.1 } / max(Double(n) - 2, Double(n) / 2), 1e-10)
    }
  }

  /// What the covariances of a path are multiplied by, and how likely: the law of ν/χ²_ν with ν = 3 at powers of 2.
  public static let scales: [(factor: Double, logWeight: Double)] = {
    let factors = (-2...6).map { pow(2, Double($0)) }
    // Its density by log c, up to a constant.
    let logs = factors.map { -1.5 * log($0) - 1.5 / $0 }
    let total = log(logs.reduce(0) { $0 + exp($1) })
    return zip(factors, logs).map { ($0, $1 - total) }
  }()

  /// The joint law of some rows: means, and the lower Cholesky factor of their covariance, which `scales` multiply.
  public struct Law: Sendable {
    public let means: [Double]
    /// `[count, count]`, row-major; only its lower triangle counts.
    public let factor: [Double]
    public var count: Int { means.count }
    /// The variance of each row by itself, before it is multiplied; it does not depend on the other rows.
    public let variances: [Double]
  }

  /// Rows that are told of together; those beyond are told of in further parts, independent of each other given the context. The
  /// factor of so many takes 32 MB.
  public static let together = 2048

  /// Calls `body` with the law of each part of rows `[count, columns]`: of at most `together` of them, so that no more is held at once.
  ///
  /// - Parameters:
  ///   - latent: without the noise of the values.
  ///   - together: rows of a part, at least one.
  public func laws<E: Error>(
    _ x: [Double], latent: Bool = false, together: Int = JointProcess.together,
    _ body: (_ first: Int, Law) throws(E) -> Void
  ) throws(E) {
    for first in stride(from: 0, to: x.count / columns, by: together) {
      let end = min(first + together, x.count / columns)
      try body(first, law(Array(x[first * columns..<end * columns]), latent: latent))
    }
  }

  private func law(_ x: [Double], latent: Bool) -> Law {
    let (m, n) = (x.count / columns, alpha.count)
    let asked = kernel.read(x)
    let across = kernel.covariances(asked, rows)
    let halves = whitened(across, rows: m)
    var own = kernel.covariances(asked, asked)
    for i in 0..<m { own[i * m + i] = 1 }
    for k in 0..<n {
      halves.withUnsafeBufferPointer { halves in
        own.withUnsafeMutableBufferPointer { own in
          for i in 0..<m {
            let left = halves[k * m + i]
            for j in 0...i { own[i * m + j] -= left * halves[k * m + j] }
          }
        }
      }
    }
    let added = latent ? 1e-9 : noise
    for i in 0..<m { own[i * m + i] = max(own[i * m + i], 0) + added }
    for i in own.indices { own[i] *= variance }
    let variances = (0..<m).map { own[$0 * m + $0] }
    // Rows that agree to the last bits have no factor; each is then drawn by itself.
    let factor =
      (try? CholeskyFactor(lower: own, count: m))?.lower
      ?? own.indices.map { place in
        place % (m + 1) == 0 ? own[place].squareRoot() : 0
      }
    let means = (0..<m).map { row in
      (0..<n).reduce(mean) { $0 + across[row * n + $1] * alpha[$1] }
    }
    return Law(means: means, factor: factor, variances: variances)
  }

  /// L⁻¹ of the covariances of rows with the context, `[rows, n]` to `[n, rows]`: sixteen at a time, so that the bytes of a row do not
  /// depend on how many others there are.
  private func whitened(_ across: [Double], rows m: Int) -> [Double] {
    let (n, width) = (alpha.count, 16)
    var halves = [Double](repeating: 0, count: n * m)
    for first in stride(from: 0, to: m, by: width) {
      var part = [Double](repeating: 0, count: n * width)
      let count = min(width, m - first)
      for row in 0..<count {
        for k in 0..<n { part[k * width + row] = across[(first + row) * n + k] }
      }
      // It fails for nothing but another number of rows.
      let solved = (try? factor.whiten(part, columns: width)) ?? part
      for k in 0..<n {
        for row in 0..<count { halves[k * m + first + row] = solved[k * width + row] }
      }
    }
    return halves
  }
}
