import ChorusTensors
import Foundation

/// Exact answers about one drawn function, by somebody who knows the law it was drawn from with its
/// hyperparameters (but not the function).
public protocol Oracle: Sendable {
  /// Rows the oracle knows of; the indices below count in them.
  var rows: Int { get }
  /// The law of the targets, in the order given, after seeing the context.
  ///
  /// `values` are outputs to judge instead of the task's own, one a row of the task: pass a sampler's paths to
  /// judge those. Throws `OracleError` for an index out of range or in both sets, for more than 1024
  /// rows, or when the covariance cannot be factored.
  func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity
}

extension Oracle {
  /// The rows asked about, context first, when there is nothing wrong with them.
  func question(
    _ targets: [Int], given context: [Int], outputs: Int, limit: Int
  ) throws(OracleError) -> [Int] {
    guard outputs == rows else { throw .values(expected: rows, found: outputs) }
    let asked = context + targets
    guard asked.count <= limit else { throw .tooManyRows(asked: asked.count, limit: limit) }
    var seen = Set<Int>()
    for row in asked {
      guard (0..<rows).contains(row) else { throw .row(row, rows: rows) }
      guard seen.insert(row).inserted else { throw .repeated(row) }
    }
    return asked
  }

  /// The law of the task's own outputs.
  public func density(
    of targets: some Sequence<Int>, given context: some Sequence<Int>
  ) throws(OracleError) -> OracleDensity {
    try density(of: Array(targets), given: Array(context), values: nil)
  }
}

/// What an oracle says of targets; log densities in nats, in the units of the task.
public struct OracleDensity: Sendable, Hashable {
  /// log density of each target given the context and the targets before it.
  public let sequential: [Double]
  /// log density of each target given the context only.
  public let marginal: [Double]
  /// Mean of each target given the context.
  public let means: [Double]
  /// Variance of each target given the context, noise included.
  public let variances: [Double]
  /// Standard error of `joint` where it is estimated by simulation, in nats; 0 where it is exact.
  public let error: Double

  /// log density of all targets together: the sum of `sequential`.
  public var joint: Double { sequential.reduce(0, +) }
  /// The sum of `marginal`: what a predictor of single targets can have at best.
  public var independent: Double { marginal.reduce(0, +) }

  public init(
    sequential: [Double], marginal: [Double], means: [Double], variances: [Double], error: Double = 0
  ) {
    self.sequential = sequential
    self.marginal = marginal
    self.means = means
    self.variances = variances
    self.error = error
  }
}

/// Why an oracle has no answer.
public enum OracleError: Error, Equatable, CustomStringConvertible {
  case row(Int, rows: Int)
  case repeated(Int)
  case tooManyRows(asked: Int, limit: Int)
  case values(expected: Int, found: Int)
  /// The context tells so little that the law cannot be told in as many pieces as an oracle takes.
  case unresolved(cells: Int)
  /// A value in the context that the law cannot give.
  case impossible(Int)
  case notPositiveDefinite(kernel: String, pivot: Int)

  public var description: String {
    switch self {
    case .unresolved(let cells):
      return "the context leaves more than \(cells) different waves; give more rows"
    case .impossible(let row): return "the law of the task cannot give the value of row \(row)"
    case .row(let row, let rows): return "row \(row) is outside the task's \(rows) rows"
    case .repeated(let row): return "row \(row) is asked for twice, or is both target and context"
    case .tooManyRows(let asked, let limit): return "\(asked) rows are asked of an oracle that takes \(limit)"
    case .values(let expected, let found): return "\(found) outputs are given for a task of \(expected) rows"
    case .notPositiveDefinite(let kernel, let pivot):
      return "the covariance of \(kernel) is not positive definite at row \(pivot) of the question"
    }
  }
}

/// The oracle of a zero-mean Gaussian process with independent noise: exact by one Cholesky factor.
///
/// Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.2.
public struct GaussianOracle: Oracle {
  /// The largest number of rows, context and targets together, that is answered.
  public static let limit = 1024

  /// The covariance of the function.
  public let kernel: Kernel
  /// Variance of the noise on each output [rows].
  public let noise: [Double]
  /// Inputs, row-major [rows, dimensions].
  public let x: [Double]
  /// Outputs [rows].
  public let y: [Double]

  public var rows: Int { y.count }

  /// Throws `OracleError.values` when the outputs or their noise do not match the inputs.
  public init(kernel: Kernel, noise: [Double], x: [Double], y: [Double]) throws(OracleError) {
    for found in [y.count, noise.count] where x.count != found * kernel.dimensions {
      throw .values(expected: x.count / max(1, kernel.dimensions), found: found)
    }
    self.kernel = kernel
    self.noise = noise
    self.x = x
    self.y = y
  }

  /// The same noise on every output.
  public init(kernel: Kernel, noise: Double, x: [Double], y: [Double]) throws(OracleError) {
    try self.init(kernel: kernel, noise: Array(repeating: noise, count: y.count), x: x, y: y)
  }

  public func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity {
    let outputs = values ?? y
    let asked = try question(targets, given: context, outputs: outputs.count, limit: Self.limit)
    let d = kernel.dimensions
    let points = asked.flatMap { x[($0 * d)..<(($0 + 1) * d)] }
    do {
      let factor = try CholeskyFactor(
        lower: kernel.matrix(points, count: asked.count, noise: asked.map { noise[$0] }), count: asked.count)
      let law = try GaussianConditional(factor, values: asked.map { outputs[$0] }, given: context.count)
      return OracleDensity(
        sequential: law.sequential, marginal: law.marginal, means: law.means, variances: law.variances)
    } catch .notPositiveDefinite(let pivot, _) {
      throw .notPositiveDefinite(kernel: kernel.description, pivot: pivot)
    } catch {
      throw .values(expected: asked.count, found: asked.count)
    }
  }
}
