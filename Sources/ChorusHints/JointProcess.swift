import ChorusData
import ChorusTensors
import Foundation

/// A Gaussian process of a table's rows with a length-scale for every column of the design, as one joint law of further rows.
///
/// y = μ + σ(f(x) + √λ ε), f with the Matérn-3/2 kernel of Σ_j (x_j − x'_j)²/ℓ_j². ℓ and λ maximise the marginal likelihood with σ
/// profiled out (Rasmussen & Williams 2006, eq. 5.8 and 5.9) times wide log-normal priors, which keep many lengths in place where rows
/// are few. What it says of rows is their law together: rows that lie close go together as far as the process says.
///
/// Lengths found in few rows are surer of themselves than they can be, so the law is one of Student's with three degrees of freedom
/// (Shah, Wilson & Ghahramani 2014): covariances are multiplied by a number that all rows of a path share, here one of nine.
///
/// A row with a known error e has the variance σ²λ + e² about f; σ² and the lengths are found in turns.
public struct JointProcess: Sendable {
  /// Columns of a row.
  public let columns: Int
  /// The mean log-density of each row given all others by the Gaussian law, in the unit of the outputs (eq. 5.12).
  public let leftOut: Double
  /// Rows in units of the lengths.
  private let scaled: [Double]
  let inverseLengths: [Double]
  /// λ.
  let noise: Double
  let mean: Double
  /// σ².
  let variance: Double
  private let factor: CholeskyFactor
  private let alpha: [Double]

  /// Lengths are found on this many rows at most, spread over all.
  private static let mostSearched = 200
  private static let steps = 35

  private static let turnsWithErrors = 3

  /// - Parameters:
  ///   - x: rows, `[count, columns]`, columns of about unit deviation.
  ///   - y: their outputs, of about unit deviation.
  ///   - errors: known deviations of the outputs' errors, or none; what is said of further rows is without such errors.
  /// - Returns: nil for fewer than four rows, or rows that no process of the kind fits.
  public init?(x: [Double], y: [Double], errors: [Double] = [], columns: Int) {
    let n = y.count
    guard n >= 4, columns > 0, x.count == n * columns, errors.isEmpty || errors.count == n else { return nil }
    self.columns = columns
    let known = KnownErrors(errors)
    let weights = known.weights(beside: 1, count: n)
    mean = zip(weights, y).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
    let centred = y.map { [mean] in $0 - mean }
    var (found, own) = (Found?.none, [Double]())
    for _ in 0..<(known.isEmpty ? 1 : Self.turnsWithErrors) {
      let variance = found?.variance ?? 1
      own = known.deviations.map { $0 * $0 / variance }
      found = Found(x: x, y: centred, errors: own, columns: columns)
    }
    guard let found else { return nil }
    (inverseLengths, noise, scaled) = (found.inverseLengths, found.noise, found.scaled)
    (factor, alpha, variance) = (found.factor, found.alpha, found.variance)
    guard
      let diagonal = InverseFactor(
        Self.covariances(scaled, scaled, columns), n, adding: noise, own)?.diagonal
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
    let inverseLengths: [Double]
    let noise: Double
    let scaled: [Double]
    let factor: CholeskyFactor
    let alpha: [Double]
    let variance: Double

    /// - Parameter errors: known variances in units of the process's; empty for none.
    init?(x: [Double], y: [Double], errors: [Double], columns: Int) {
      let n = y.count
      let most = JointProcess.mostSearched
      let some = n > most ? (0..<most).map { $0 * n / most } : Array(0..<n)
      var search = Search(
        x: some.flatMap { x[$0 * columns..<($0 + 1) * columns] }, y: some.map { y[$0] },
        errors: errors.isEmpty ? [] : some.map { errors[$0] }, columns: columns)
      guard let best = search.run(steps: JointProcess.steps) else { return nil }
      let scales = best.lengths.map { exp(-$0) }
      (inverseLengths, noise) = (scales, exp(best.noise))
      scaled = x.indices.map { x[$0] * scales[$0 % columns] }
      var covariance = JointProcess.covariances(scaled, scaled, columns)
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
    let rows = x.indices.map { x[$0] * inverseLengths[$0 % columns] }
    let across = Self.covariances(rows, scaled, columns)
    let halves = whitened(across, rows: m)
    var own = Self.covariances(rows, rows, columns)
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

  /// The kernel of rows `a` with rows `b`, `[a, b]`; rows are in units of the lengths.
  private static func covariances(_ a: [Double], _ b: [Double], _ columns: Int) -> [Double] {
    let (m, n) = (a.count / columns, b.count / columns)
    func squares(_ rows: [Double], _ count: Int) -> [Double] {
      (0..<count).map { row in
        rows[row * columns..<(row + 1) * columns].reduce(0) { $0 + $1 * $1 }
      }
    }
    let (aSquares, bSquares) = (squares(a, m), squares(b, n))
    var all = [Double](repeating: 0, count: m * n)
    DoubleKernels.products(a, rows: m, b, rows: n, columns: columns, into: &all)
    var (arguments, exponentials) = ([Double](repeating: 0, count: n), [Double](repeating: 0, count: n))
    all.withUnsafeMutableBufferPointer { all in
      arguments.withUnsafeMutableBufferPointer { arguments in
        exponentials.withUnsafeMutableBufferPointer { exponentials in
          guard let from = arguments.baseAddress, let to = exponentials.baseAddress else { return }
          for i in 0..<m {
            let row = UnsafeMutableBufferPointer(rebasing: all[i * n..<(i + 1) * n])
            for j in 0..<n {
              arguments[j] = -(3 * max(aSquares[i] + bSquares[j] - 2 * row[j], 0)).squareRoot()
            }
            DoubleKernels.exp(n, from, to)
            for j in 0..<n { row[j] = (1 - arguments[j]) * exponentials[j] }
          }
        }
      }
    }
    return all
  }

  /// The search for log-lengths and the log of the noise, by steps whose sizes follow the signs of the slopes (iRprop−, Igel &
  /// Hüsken 2003): the same for any scale of the likelihood.
  struct Search {
    let y: [Double]
    /// Known variances of the rows' errors, in units of the process's; empty for none.
    let errors: [Double]
    let columns: Int
    /// Squared differences of pairs i > j, `[pairs, columns]`.
    private let squares: [Double]

    struct Point {
      var lengths: [Double]
      var noise: Double
    }

    init(x: [Double], y: [Double], errors: [Double] = [], columns: Int) {
      (self.y, self.errors, self.columns) = (y, errors, columns)
      var squares: [Double] = []
      squares.reserveCapacity(y.count * (y.count - 1) / 2 * columns)
      for i in 0..<y.count {
        for j in 0..<i {
          for c in 0..<columns {
            let difference = x[i * columns + c] - x[j * columns + c]
            squares.append(difference * difference)
          }
        }
      }
      self.squares = squares
    }

    /// Where the priors of the logarithms are, and their deviations.
    private var usual: (length: Double, spread: Double, noise: Double, noiseSpread: Double) {
      (log(1.5) + 0.5 * log(Double(min(columns, 16))), 1.5, log(0.05), 2)
    }

    mutating func run(steps: Int) -> Point? {
      let count = columns + 1
      var place = [Double](repeating: usual.length, count: columns) + [log(0.1)]
      var sizes = [Double](repeating: 0.4, count: count)
      var before = [Double](repeating: 0, count: count)
      var best: (score: Double, place: [Double])?
      for _ in 0..<steps {
        guard let found = score(place) else { break }
        if found.score > best?.score ?? -.infinity { best = (found.score, place) }
        for i in 0..<count {
          var slope = found.slope[i]
          let turned = slope * before[i]
          if turned > 0 { sizes[i] = min(sizes[i] * 1.2, 1) }
          if turned < 0 {
            sizes[i] = max(sizes[i] * 0.5, 1e-3)
            slope = 0
          }
          before[i] = slope
          place[i] += slope > 0 ? sizes[i] : slope < 0 ? -sizes[i] : 0
        }
        for c in 0..<columns { place[c] = min(max(place[c], log(0.03)), log(200)) }
        place[columns] = min(max(place[columns], log(1e-5)), log(10))
      }
      return best.map { Point(lengths: Array($0.place.prefix(columns)), noise: $0.place[columns]) }
    }

    /// The log-posterior up to a constant, and its slopes by the log-lengths and the log of the noise.
    func score(_ place: [Double]) -> (score: Double, slope: [Double])? {
      let n = y.count
      let precisions = place.prefix(columns).map { exp(-2 * $0) }
      let noise = exp(place[columns])
      var k = [Double](repeating: 0, count: n * n)
      // e^{−√3 r} of each pair, of which kernel and slopes are made.
      let pairs = n * (n - 1) / 2
      var arguments = [Double](repeating: 0, count: pairs)
      squares.withUnsafeBufferPointer { squares in
        precisions.withUnsafeBufferPointer { precisions in
          for pair in 0..<pairs {
            var sum = 0.0
            for c in 0..<columns { sum += squares[pair * columns + c] * precisions[c] }
            arguments[pair] = -(3 * sum).squareRoot()
          }
        }
      }
      var falls = [Double](repeating: 0, count: pairs)
      arguments.withUnsafeMutableBufferPointer { from in
        falls.withUnsafeMutableBufferPointer { to in
          guard let from = from.baseAddress, let to = to.baseAddress else { return }
          DoubleKernels.exp(pairs, from, to)
        }
      }
      var pair = 0
      for i in 0..<n {
        for j in 0..<i {
          k[i * n + j] = (1 - arguments[pair]) * falls[pair]
          pair += 1
        }
        k[i * n + i] = 1 + noise + (errors.isEmpty ? 0 : errors[i])
      }
      var unit = [Double](repeating: 0, count: n * n)
      for i in 0..<n { unit[i * n + i] = 1 }
      guard let factor = try? CholeskyFactor(lower: k, count: n), let alpha = try? factor.solve(y),
        let inverse = try? factor.solve(unit, columns: n)
      else { return nil }
      let variance = max(zip(y, alpha).reduce(0) { $0 + $1.0 * $1.1 } / Double(n), 1e-12)
      let usual = usual
      func prior(_ value: Double, _ centre: Double, _ spread: Double) -> (log: Double, slope: Double) {
        let z = (value - centre) / spread
        return (-0.5 * z * z, -z / spread)
      }
      var score = -0.5 * (Double(n) * log(variance) + factor.logDeterminant)
      var slope = [Double](repeating: 0, count: columns + 1)
      // ½ Σ_ij (α_i α_j/σ² − K⁻¹_ij) ∂K_ij; by log ℓ_c, ∂K = 3 e^{−√3 r} (x_ic − x_jc)²/ℓ_c².
      squares.withUnsafeBufferPointer { squares in
        slope.withUnsafeMutableBufferPointer { slope in
          var pair = 0
          for i in 0..<n {
            for j in 0..<i {
              let weight = 3 * falls[pair] * (alpha[i] * alpha[j] / variance - inverse[i * n + j])
              for c in 0..<columns { slope[c] += weight * squares[pair * columns + c] * precisions[c] }
              pair += 1
            }
            slope[columns] += 0.5 * noise * (alpha[i] * alpha[i] / variance - inverse[i * n + i])
          }
        }
      }
      for c in 0..<columns {
        let own = prior(place[c], usual.length, usual.spread)
        score += own.log
        slope[c] += own.slope
      }
      let own = prior(place[columns], usual.noise, usual.noiseSpread)
      score += own.log
      slope[columns] += own.slope
      return score.isFinite ? (score, slope) : nil
    }
  }
}
