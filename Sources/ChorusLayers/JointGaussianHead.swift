import ChorusData
import ChorusTensors
import Foundation

/// One Gaussian law of all targets (TNP-ND, Nguyen and Grover 2022, with its covariance of low rank): a row's raw numbers are
/// its mean, its raw scale and a factor h of `rank` numbers, and
///
///     y_m = μ_m + h_m·z + d_m ε_m,   z ~ N(0, I), ε_m ~ N(0, 1),   d = softplus(raw scale) + floor,
///
/// so cov(y_m, y_n) = h_m·h_n, and d_m² more where m = n. A row's numbers come of its input and the context alone: the law of
/// some targets is the marginal law of more, which covariances made of all targets together do not have.
public struct JointGaussianHead: Head {
  public let rank: Int
  /// Least standard deviation of a row's own part.
  public let floor: Double
  public let map: FeedForward

  public init(_ width: Int, hidden: Int, rank: Int, floor: Double, _ scope: inout ParameterScope) {
    self.rank = rank
    self.floor = floor
    // From factors of zero no direction leads away: all begin as one shared part of the variance.
    let bias: [Float] = [0, 0] + [Float](repeating: Float(0.5 / Double(rank).squareRoot()), count: rank)
    map = FeedForward(
      width, hidden: hidden, 2 + rank, start: .fan(in: hidden, times: 0.5), bias: .values(bias), &scope)
  }

  /// What the raw numbers of a row say.
  public struct Row: Sendable {
    public let mean: Double
    /// Standard deviation of the row's own part.
    public let deviation: Double
    public let factor: [Double]
  }

  public func row(_ raw: UnsafePointer<Float>) -> Row {
    Row(
      mean: Double(raw[0]), deviation: softplus(Double(raw[1])) + floor,
      factor: (0..<rank).map { Double(raw[2 + $0]) })
  }

  private func softplus(_ value: Double) -> Double { max(value, 0) + log1p(exp(-abs(value))) }

  /// A row's law by itself.
  public func answer(_ raw: UnsafePointer<Float>, units: UnsafePointer<Double>?) -> Answer {
    law(of: row(raw), given: [])
  }

  /// A row's law given other rows and their values: the posterior of z, a Bayesian linear regression on the rows' factors.
  public func law(of row: Row, given known: [(row: Row, value: Double)]) -> Answer {
    // A = I + Σ h hᵀ / d², b = Σ h (y − μ) / d²; the mean of z is A⁻¹b and its covariance A⁻¹.
    var a = [Double](repeating: 0, count: rank * rank)
    var b = [Double](repeating: 0, count: rank)
    for i in 0..<rank { a[i * rank + i] = 1 }
    for (other, value) in known {
      let precision = 1 / (other.deviation * other.deviation)
      for i in 0..<rank {
        b[i] += other.factor[i] * (value - other.mean) * precision
        for j in 0...i { a[i * rank + j] += other.factor[i] * other.factor[j] * precision }
      }
    }
    // With A = LLᵀ: h·A⁻¹b = (L⁻¹h)·(L⁻¹b), and h·A⁻¹h = |L⁻¹h|². A is at least I; without a factor it was not finite, and
    // then neither is what is said.
    let factor = try? CholeskyFactor(lower: a, count: rank)
    let own = (try? factor?.whiten(row.factor)) ?? [Double](repeating: .nan, count: rank)
    let mean = (try? factor?.whiten(b)) ?? own
    let variance = own.reduce(row.deviation * row.deviation) { $0 + $1 * $1 }
    return Answer(
      law: GaussianMixture(
        logWeights: [0], means: [row.mean + zip(own, mean).reduce(0) { $0 + $1.0 * $1.1 }],
        deviations: [variance.squareRoot()]))
  }

  /// The targets are those of one task, and count alike: by the weight of the first. The log-densities are each given the
  /// targets before it, and sum to that of all.
  public func loss(_ raw: Node, _ targets: Targets, on tape: Tape) -> (loss: Node, logDensities: [Float]) {
    let count = raw.rows
    let weight = Double(targets.weights.first ?? 0)
    return tape.rowLoss(raw, weights: [Float](repeating: Float(weight), count: count)) {
      parameters, gradient, logDensities in
      let rows = (0..<count).map { row(parameters + $0 * (2 + rank)) }
      var covariance = [Double](repeating: 0, count: count * count)
      for i in 0..<count {
        for j in 0...i {
          covariance[i * count + j] = zip(rows[i].factor, rows[j].factor).reduce(0) { $0 + $1.0 * $1.1 }
        }
        covariance[i * count + i] += rows[i].deviation * rows[i].deviation
      }
      let residuals = rows.enumerated().map { Double(targets.values[$0.offset]) - $0.element.mean }
      var unit = [Double](repeating: 0, count: count * count)
      for i in 0..<count { unit[i * count + i] = 1 }
      // −log p by Σ is G = (Σ⁻¹ − ααᵀ)/2 with α = Σ⁻¹(y − μ); by h_m it is 2 Σ_n G_mn h_n.
      guard let factor = try? CholeskyFactor(lower: covariance, count: count),
        let whitened = try? factor.whiten(residuals), let alpha = try? factor.solve(residuals),
        let inverse = try? factor.solve(unit, columns: count)
      else {
        for m in 0..<count { logDensities[m] = .nan }
        return
      }
      for m in 0..<count {
        logDensities[m] = Float(
          -0.5 * whitened[m] * whitened[m] - log(factor.lower[m * count + m]) - 0.5 * log(2 * Double.pi))
      }
      for m in 0..<count {
        let slope = gradient + m * (2 + rank)
        func g(_ n: Int) -> Double { (inverse[m * count + n] - alpha[m] * alpha[n]) / 2 }
        slope[0] = Float(-weight * alpha[m])
        let scale = Double(parameters[m * (2 + rank) + 1])
        slope[1] = Float(weight * 2 * rows[m].deviation * g(m) / (1 + exp(-scale)))
        for k in 0..<rank {
          let sum = (0..<count).reduce(0.0) { $0 + g($1) * rows[$1].factor[k] }
          slope[2 + k] = Float(weight * 2 * sum)
        }
      }
    }
  }

  public struct Answer: ChorusLayers.Answer {
    public let law: GaussianMixture
    public func bounded(to range: ClosedRange<Double>) -> Answer { Answer(law: law.within(range) ?? law) }
  }
}

extension JointGaussianHead {
  /// What a blueprint says of it.
  public struct Specification: HeadSpecification {
    public static let name = "joint-gaussian"
    public var rank: Int
    public var floor: Double

    public init(rank: Int = 16, floor: Double = 1e-3) {
      self.rank = rank
      self.floor = floor
    }

    enum CodingKeys: String, CodingKey, CaseIterable { case name, rank, floor }

    /// Fields that are absent take their defaults.
    public init(from decoder: any Decoder) throws {
      let fields = try decoder.knownFields(CodingKeys.self)
      let standard = Specification()
      rank = try fields.decodeIfPresent(Int.self, forKey: .rank) ?? standard.rank
      floor = try fields.decodeIfPresent(Double.self, forKey: .floor) ?? standard.floor
    }

    public func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(rank, forKey: .rank)
      try fields.encode(floor, forKey: .floor)
    }

    public var fault: String? {
      guard (1...256).contains(rank) else { return "rank is \(rank); it must be within 1...256" }
      return floor.isFinite && floor > 0 ? nil : "floor must be a positive number"
    }

    public func head(_ width: Int, hidden: Int, _ scope: inout ParameterScope) -> JointGaussianHead {
      JointGaussianHead(width, hidden: hidden, rank: rank, floor: floor, &scope)
    }
  }
}

extension HeadChoice {
  /// One Gaussian law of all targets whose covariance has `rank` shared parts.
  public static func jointGaussian(rank: Int = 16, floor: Double = 1e-3) -> HeadChoice {
    HeadChoice(JointGaussianHead.Specification(rank: rank, floor: floor))
  }
}
