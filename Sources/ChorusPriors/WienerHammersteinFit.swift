import ChorusTensors
import Foundation

/// A system fitted to pairs by who knows the law of `WienerHammersteinPrior`: the likeliest of its numbers, by Levenberg's and
/// Marquardt's steps from the best of many draws.
///
/// What is made least is Σ (y − ŷ(z))² / 2σ² + |z|²/2, z being normal under the law. σ² follows the residuals (MacKay 1992: over the
/// rows less the numbers that the rows decide) within the law's range. Of the optima the one with the greatest evidence counts, by Laplace's
/// approximation, which is also what says how sure an output is.
public struct WienerHammersteinFit: Sendable {
  public let system: WienerHammersteinSystem
  /// Variance of the noise.
  public let noise: Double
  /// Log-density of the outputs, by Laplace's approximation at this optimum, in nats.
  public let evidence: Double
  private let numbers: [Double]
  private let curvature: CholeskyFactor
  private let dimensions: Int

  private static let count = WienerHammersteinSystem.count

  /// - Parameters:
  ///   - x: windows of inputs, newest first, `[rows, dimensions]`; `dimensions` is odd.
  ///   - y: the output of each.
  ///   - draws: systems drawn from the law, of which the nearest `starts` are followed to their optima.
  /// - Throws: `PriorError.stored` for sizes that do not fit, or where no optimum was found.
  public init(
    x: [Double], y: [Double], dimensions: Int, draws: Int = 256, starts: Int = 12, seed: UInt64
  ) throws(PriorError) {
    guard dimensions > 0, !dimensions.isMultiple(of: 2), x.count == y.count * dimensions, !y.isEmpty else {
      throw .stored("a system is fitted to rows of an odd number of inputs and one output each")
    }
    var stream = RandomStream(seed: seed)
    let rows = Rows(x: x, y: y, dimensions: dimensions)
    let drawn = (0..<max(draws, 1)).map { _ in stream.normals(Self.count) }
    let begun = drawn.map { (numbers: $0, error: rows.error(rows.outputs($0))) }.sorted {
      $0.error < $1.error
    }
    var best: Optimum?
    for start in begun.prefix(max(starts, 1)) {
      guard let found = Optimum(rows, from: start.numbers) else { continue }
      if found.evidence > (best?.evidence ?? -.infinity) { best = found }
    }
    guard let best else { throw .stored("no system of the law was found near the rows") }
    (numbers, noise, evidence, curvature) = (best.numbers, best.noise, best.evidence, best.curvature)
    self.dimensions = dimensions
    system = rows.system(best.numbers)
  }

  /// The output of a window of inputs, newest first.
  /// - Returns: its mean and its variance, noise included.
  public func law(of window: ArraySlice<Double>) throws(PriorError) -> (mean: Double, variance: Double) {
    let rows = Rows(x: Array(window), y: [0], dimensions: dimensions)
    let mean = system.output(window)
    let slope = rows.slopes(numbers, [mean])
    do {
      let white = try curvature.whiten(slope)
      return (mean, noise + white.reduce(0) { $0 + $1 * $1 })
    } catch { throw .stored("\(error)") }
  }

  /// Pairs that a system is held against.
  private struct Rows {
    let x: [Double]
    let y: [Double]
    let dimensions: Int

    func system(_ numbers: [Double]) -> WienerHammersteinSystem {
      WienerHammersteinSystem(numbers, taps: (dimensions + 1) / 2)
    }
    func outputs(_ numbers: [Double]) -> [Double] {
      let system = system(numbers)
      return y.indices.map { system.output(x[$0 * dimensions..<($0 + 1) * dimensions]) }
    }
    func error(_ outputs: [Double]) -> Double {
      zip(outputs, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    /// Derivatives of the outputs by the numbers, `[rows, count]`, by differences.
    func slopes(_ numbers: [Double], _ outputs: [Double]) -> [Double] {
      let step = 1e-6
      var slopes = [Double](repeating: 0, count: y.count * count)
      for i in 0..<count {
        var moved = numbers
        moved[i] += step
        for (row, output) in self.outputs(moved).enumerated() {
          slopes[row * count + i] = (output - outputs[row]) / step
        }
      }
      return slopes
    }
    private var count: Int { WienerHammersteinFit.count }
  }

  /// Where the steps from one start have led.
  private struct Optimum {
    let numbers: [Double]
    let noise: Double
    let evidence: Double
    let curvature: CholeskyFactor

    init?(_ rows: Rows, from start: [Double], steps: Int = 100) {
      let (n, count) = (rows.y.count, WienerHammersteinFit.count)
      let range = WienerHammersteinPrior.noise
      var (numbers, noise) = (start, range.upperBound)
      var outputs = rows.outputs(numbers)
      var damping = 1e-2
      var left = steps
      guard var normal = Self.normal(rows, numbers, outputs, noise) else { return nil }
      while left > 0, damping < 1e8 {
        left -= 1
        var system = normal.matrix
        for i in 0..<count { system[i * count + i] *= 1 + damping }
        guard let factor = try? CholeskyFactor(lower: system, count: count),
          let step = try? factor.solve(normal.right)
        else { return nil }
        let moved = zip(numbers, step).map { $0 + $1 }
        let told = rows.outputs(moved)
        let gain =
          (rows.error(outputs) - rows.error(told)) / (2 * noise)
          + (Self.squares(numbers) - Self.squares(moved)) / 2
        guard gain > 0 else {
          damping *= 4
          continue
        }
        (numbers, outputs, damping) = (moved, told, max(damping / 4, 1e-9))
        // σ² follows before the next step's slopes are taken.
        guard let here = Self.normal(rows, numbers, outputs, noise) else { return nil }
        let decided = Double(count) - here.inverseTrace
        let before = noise
        noise = min(
          max(rows.error(outputs) / max(Double(n) - decided, 1), range.lowerBound), range.upperBound)
        normal = here.scaled(from: before, to: noise, numbers)
        if gain < 1e-6, abs(noise / before - 1) < 1e-4 { break }
      }
      guard let factor = try? CholeskyFactor(lower: normal.matrix, count: count) else { return nil }
      let evidence =
        -0.5 * Double(n) * log(2 * .pi * noise) - rows.error(outputs) / (2 * noise)
        - 0.5 * Self.squares(numbers) - 0.5 * factor.logDeterminant
      guard evidence.isFinite else { return nil }
      (self.numbers, self.noise, self.evidence, curvature) = (numbers, noise, evidence, factor)
    }

    private static func squares(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 } }

    /// The normal equations (JᵀJ/σ² + I) δ = Jᵀ(y − ŷ)/σ² − z.
    private struct Normal {
      var matrix: [Double]
      var right: [Double]
      /// Trace of the matrix' inverse.
      var inverseTrace: Double

      /// The same with another σ².
      func scaled(from old: Double, to new: Double, _ numbers: [Double]) -> Normal {
        let count = numbers.count
        var other = self
        for i in 0..<count {
          for j in 0..<count {
            let unit = i == j ? 1.0 : 0
            other.matrix[i * count + j] = (matrix[i * count + j] - unit) * old / new + unit
          }
          other.right[i] = (right[i] + numbers[i]) * old / new - numbers[i]
        }
        return other
      }
    }

    private static func normal(
      _ rows: Rows, _ numbers: [Double], _ outputs: [Double], _ noise: Double
    ) -> Normal? {
      let count = numbers.count
      let slopes = rows.slopes(numbers, outputs)
      var matrix = [Double](repeating: 0, count: count * count)
      var right = numbers.map { -$0 }
      for row in rows.y.indices {
        let error = rows.y[row] - outputs[row]
        for i in 0..<count {
          let slope = slopes[row * count + i] / noise
          right[i] += slope * error
          for j in 0...i { matrix[i * count + j] += slope * slopes[row * count + j] }
        }
      }
      var unit = [Double](repeating: 0, count: count * count)
      for i in 0..<count {
        matrix[i * count + i] += 1
        unit[i * count + i] = 1
      }
      guard let factor = try? CholeskyFactor(lower: matrix, count: count),
        let inverse = try? factor.solve(unit, columns: count)
      else { return nil }
      return Normal(
        matrix: matrix, right: right,
        inverseTrace: (0..<count).reduce(0) { $0 + inverse[$1 * count + $1] })
    }
  }
}
