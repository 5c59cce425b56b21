import ChorusData
import ChorusInference
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation

/// A joint law made of a model's independent marginals: a Gaussian copula whose correlation falls with the distance of the
/// inputs, fitted to the residuals of observed rows that were left out. It is what people use who have no joint model.
///
/// With z = Φ⁻¹(F(y)) of each target, log p(y) = Σ log f(y) − ½ log|R| − ½ zᵀ(R⁻¹ − I)z and
/// R_ij = share · k(|x_i − x_j| / length) for i ≠ j, R_ii = 1 (Salinas et al. 2019 fit R to residuals in the same way).
///
/// ```swift
/// let copula = try GaussianCopula(model, observed, seed: 1)
/// let joint = try copula.logDensity(of: y, at: inputs)
/// ```
public struct GaussianCopula: Sendable {
  /// How the correlation falls with the distance.
  public enum Shape: String, Sendable, CaseIterable { case exponential, gaussian }

  /// One correlation, and how likely the rows left out make it.
  public struct Candidate: Sendable {
    public let shape: Shape
    public let length: Double
    /// Share of the residuals' variance that is correlated; 0 for independence.
    public let share: Double
    public let weight: Double
  }

  public let posterior: Posterior
  /// Independence, which has half of the weight before anything is seen, and others; those that hardly count are left out. The
  /// law is the mean of theirs.
  public let candidates: [Candidate]

  /// Weighs correlations by the rows of `data` left out in four parts: within a part all residuals come of the same rows.
  ///
  /// - Throws: `InferenceError` and `DataError` for data that the model cannot read.
  public init(_ model: Model, _ data: Dataset, parts: Int = 4, seed: UInt64 = 0) throws {
    posterior = try model.condition(on: data)
    var stream = RandomStream(seed: seed, .evaluation, 1 << 41)
    let order = stream.permutation(data.count)
    var residuals: [(x: [[Double]], z: [Double])] = []
    for part in 0..<min(parts, data.count) {
      let left = order.indices.filter { $0 % parts == part }.map { order[$0] }.sorted()
      let kept = Array(0..<data.count).filter { !left.contains($0) }
      guard left.count > 1, kept.count > 1 else { continue }
      let out = data.rows(left)
      let marginals = try model.condition(on: data.rows(kept)).marginals(at: out.inputs, flopLimit: .infinity)
      residuals.append((Self.rows(out.inputs), zip(marginals, out.y).map { Self.normal($0, $1) }))
    }
    let extent = Self.extent(residuals.flatMap(\.x))
    let shares = [0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 0.99]
    let each = 0.5 / Double(Shape.allCases.count * 12 * shares.count)
    var found = [
      (candidate: Candidate(shape: .gaussian, length: extent, share: 0, weight: 0.5), score: log(0.5))
    ]
    for shape in Shape.allCases where !residuals.isEmpty {
      for step in 0..<12 {
        let length = extent * 0.01 * pow(100, Double(step) / 11)
        for share in shares {
          let score = residuals.reduce(log(each)) { sum, part in
            sum + (Self.logCopula(part.z, part.x, shape, length, share) ?? -.infinity)
          }
          found.append((Candidate(shape: shape, length: length, share: share, weight: 0), score))
        }
      }
    }
    let top = found.map(\.score).max() ?? 0
    let total = found.reduce(0) { $0 + exp($1.score - top) }
    let likely = found.map { ($0.candidate, exp($0.score - top) / total) }.filter { $0.1 > 1e-3 }
    let kept = likely.reduce(0) { $0 + $1.1 }
    candidates = likely.map {
      Candidate(shape: $0.0.shape, length: $0.0.length, share: $0.0.share, weight: $0.1 / kept)
    }
  }

  /// The joint log-density of `y` at `inputs`, in nats.
  public func logDensity(of y: [Double], at inputs: Inputs) throws -> Double {
    let marginals = try posterior.marginals(at: inputs, flopLimit: .infinity)
    let own = zip(marginals, y).reduce(0.0) { $0 + $1.0.logDensity($1.1) }
    let (z, x) = (zip(marginals, y).map { Self.normal($0, $1) }, Self.rows(inputs))
    let scores = candidates.map {
      log($0.weight) + (Self.logCopula(z, x, $0.shape, $0.length, $0.share) ?? -.infinity)
    }
    guard let top = scores.max(), top.isFinite else { return own }
    return own + top + log(scores.reduce(0) { $0 + exp($1 - top) })
  }

  /// Joint draws of the targets, `[paths, targets]`: one pass of the network and a factor a correlation for all of them.
  public func paths(_ count: Int, at inputs: Inputs, seed: UInt64 = 0) throws -> [[Double]] {
    let marginals = try posterior.marginals(at: inputs, flopLimit: .infinity)
    let x = Self.rows(inputs)
    let factors = try candidates.map { try Self.factor(x, $0.shape, $0.length, $0.share) }
    return try (0..<count).map { path in
      var stream = RandomStream(seed: seed, .paths, UInt64(path))
      let chosen = stream.choice(weights: candidates.map(\.weight))
      let z = try factors[chosen].colour(stream.normals(marginals.count))
      return zip(marginals, z).map { $0.quantile(0.5 * erfc(-$1 / 2.0.squareRoot())) }
    }
  }

  // MARK: Parts

  private static func rows(_ inputs: Inputs) -> [[Double]] {
    (0..<inputs.count).map { row in
      (0..<inputs.dimensions).map { inputs.values[row * inputs.dimensions + $0] }
    }
  }

  /// Φ⁻¹ of a value's level; at most eight deviations away.
  private static func normal(_ law: any ContinuousLaw, _ y: Double) -> Double {
    let level = min(max(law.cdf(y), 1e-15), 1 - 1e-15)
    return GaussianMixture(logWeights: [0], means: [0], deviations: [1]).quantile(level)
  }

  private static func extent(_ x: [[Double]]) -> Double {
    guard let first = x.first else { return 1 }
    let squares = first.indices.reduce(0.0) { sum, column in
      let values = x.map { $0[column] }
      let width = (values.max() ?? 0) - (values.min() ?? 0)
      return sum + width * width
    }
    return squares > 0 ? squares.squareRoot() : 1
  }

  private static func factor(
    _ x: [[Double]], _ shape: Shape, _ length: Double, _ share: Double
  ) throws(LinearAlgebraError) -> CholeskyFactor {
    let n = x.count
    var r = [Double](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0..<i {
        let distance =
          zip(x[i], x[j]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot() / length
        r[i * n + j] = share * (shape == .exponential ? exp(-distance) : exp(-distance * distance / 2))
      }
      r[i * n + i] = 1
    }
    return try CholeskyFactor(lower: r, count: n)
  }

  /// −½ log|R| − ½ zᵀ(R⁻¹ − I)z; nil where R is not positive definite.
  private static func logCopula(
    _ z: [Double], _ x: [[Double]], _ shape: Shape, _ length: Double, _ share: Double
  ) -> Double? {
    guard share > 0 else { return 0 }
    guard let factor = try? factor(x, shape, length, share), let white = try? factor.whiten(z) else {
      return nil
    }
    let (own, all) = (z.reduce(0) { $0 + $1 * $1 }, white.reduce(0) { $0 + $1 * $1 })
    return -0.5 * factor.logDeterminant - 0.5 * (all - own)
  }
}
