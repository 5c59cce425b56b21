import ChorusTensors
import Foundation

/// A straight line in a row's inputs and a constant, fitted to pairs by ridge regression: of windows of inputs, the finite impulse
/// response of a system (Ljung, "System Identification", 1999, section 4.2).
///
/// w ~ N(0, σ²/λ I). λ is the one of a grid with the greatest evidence, and σ² the likeliest beside it, so that nothing is left to
/// choose; the law of an output is the Gaussian one with both as known (Bishop 2006, sections 3.3 and 3.5).
public struct LinearFit: Sendable {
  /// Weights of the inputs and, behind them, the constant.
  public let weights: [Double]
  /// σ².
  public let noise: Double
  /// λ.
  public let ridge: Double
  private let factor: CholeskyFactor

  /// - Parameters:
  ///   - x: inputs, `[rows, dimensions]`.
  ///   - y: the output of each.
  /// - Throws: `PriorError.stored` for sizes that do not fit, or no finite row.
  public init(x: [Double], y: [Double], dimensions: Int) throws(PriorError) {
    guard dimensions > 0, !y.isEmpty, x.count == y.count * dimensions else {
      throw .stored("a line is fitted to rows of \(dimensions) inputs and one output each")
    }
    let k = dimensions + 1
    var products = [Double](repeating: 0, count: k * k)
    var right = [Double](repeating: 0, count: k)
    for row in y.indices {
      let features = Self.features(x[row * dimensions..<(row + 1) * dimensions])
      for i in 0..<k {
        right[i] += features[i] * y[row]
        for j in 0...i { products[i * k + j] += features[i] * features[j] }
      }
    }
    let squares = y.reduce(0) { $0 + $1 * $1 }
    var best: (evidence: Double, ridge: Double, noise: Double, factor: CholeskyFactor, weights: [Double])?
    for power in stride(from: -4.0, through: 3, by: 0.25) {
      let ridge = pow(10, power)
      var matrix = products
      for i in 0..<k { matrix[i * k + i] += ridge }
      do {
        let factor = try CholeskyFactor(lower: matrix, count: k)
        let weights = try factor.solve(right)
        let n = Double(y.count)
        let explained = zip(right, weights).reduce(0) { $0 + $1.0 * $1.1 }
        let noise = max((squares - explained) / n, 1e-12)
        let evidence =
          -0.5 * n * (log(2 * .pi * noise) + 1) - 0.5 * (factor.logDeterminant - Double(k) * log(ridge))
        if evidence > (best?.evidence ?? -.infinity) { best = (evidence, ridge, noise, factor, weights) }
      } catch { throw .stored("\(error)") }
    }
    guard let best else { throw .stored("rows that no line can be fitted to") }
    (weights, noise, ridge, factor) = (best.weights, best.noise, best.ridge, best.factor)
  }

  private static func features(_ x: ArraySlice<Double>) -> [Double] { Array(x) + [1] }

  /// The output of some inputs.
  /// - Returns: its mean and its variance, noise included.
  public func law(of inputs: ArraySlice<Double>) throws(PriorError) -> (mean: Double, variance: Double) {
    let features = Self.features(inputs)
    guard features.count == weights.count else {
      throw .stored("a line in \(weights.count - 1) inputs is asked for \(features.count - 1)")
    }
    do {
      let white = try factor.whiten(features)
      return (
        zip(features, weights).reduce(0) { $0 + $1.0 * $1.1 },
        noise * (1 + white.reduce(0) { $0 + $1 * $1 })
      )
    } catch { throw .stored("\(error)") }
  }
}

extension PriorTask {
  /// What somebody says of the targets who fits a line to the context.
  public func linearLaw() throws(PriorError) -> OracleDensity {
    let fit = try LinearFit(
      x: Array(x.prefix(shape.context * shape.dimensions)), y: Array(y.prefix(shape.context)),
      dimensions: shape.dimensions)
    return try law { window throws(PriorError) in try fit.law(of: window) }
  }

  /// What somebody says of the targets who fits a system of `WienerHammersteinPrior` to the context.
  public func systemLaw(seed: UInt64 = 0) throws(PriorError) -> OracleDensity {
    let fit = try WienerHammersteinFit(
      x: Array(x.prefix(shape.context * shape.dimensions)), y: Array(y.prefix(shape.context)),
      dimensions: shape.dimensions, seed: seed)
    return try law { window throws(PriorError) in try fit.law(of: window) }
  }

  /// Gaussian laws of the targets, each by itself.
  private func law(
    _ of: (ArraySlice<Double>) throws(PriorError) -> (mean: Double, variance: Double)
  ) throws(PriorError) -> OracleDensity {
    var (means, variances, densities) = ([Double](), [Double](), [Double]())
    for row in targetRows {
      let told = try of(x[row * shape.dimensions..<(row + 1) * shape.dimensions])
      let error = y[row] - told.mean
      means.append(told.mean)
      variances.append(told.variance)
      densities.append(-0.5 * (log(2 * .pi * told.variance) + error * error / told.variance))
    }
    return OracleDensity(sequential: densities, marginal: densities, means: means, variances: variances)
  }
}
