import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What a model, shown some rows of a file, says of rows held out of it.
public struct HeldOutScoring: Sendable {
  public let model: Model
  public let data: Dataset
  /// The plan of the joint distribution.
  public var plan: PlanTemplate
  /// Random target orders that a joint density is averaged over.
  public var orders: Int
  /// Paths drawn for the scores that need draws.
  public var samples: Int
  public var seed: UInt64
  public var flopLimit: Double
  /// What values are seen as.
  public var values: ValueScale.Choice
  /// Bounds that values have.
  public var limits: ClosedRange<Double>?

  public init(
    model: Model, data: Dataset, plan: PlanTemplate = .sequential, orders: Int = 8, samples: Int = 200,
    seed: UInt64 = 0, flopLimit: Double = Posterior.flopLimit, values: ValueScale.Choice = .automatic,
    limits: ClosedRange<Double>? = nil
  ) {
    self.model = model
    self.data = data
    self.plan = plan
    self.orders = orders
    self.samples = samples
    self.seed = seed
    self.flopLimit = flopLimit
    self.values = values
    self.limits = limits
  }

  /// What was found for one split, in the data's units.
  public struct Result: Sendable {
    public let split: Split
    /// Of each held-out value under its own distribution.
    public let calibration: Calibration
    /// Of each held-out value: the continuous ranked probability score, and the log-density, NaN for a model that
    /// predicts values from those before them alone.
    public let crps: [Double]
    public let logDensity: [Double]
    /// log-density in nats a value of the values looked at together: each on its own (NaN as above), by the plan, by
    /// re-encoding.
    public let independent: Double
    public let joint: Double
    /// The last is NaN where it was not asked for.
    public var reencode = Double.nan
    /// Scores of their joint distribution by draws: each drawn on its own, and by the plan.
    public var energy = (independent: Double.nan, joint: Double.nan)
    public var variogram = (independent: Double.nan, joint: Double.nan)
    /// The standard deviation of the context's values: what scores are divided by to be in standardised units.
    public let scale: Double
    public let notes: [Note]
  }

  /// Densities and calibration of a split.
  ///
  /// - Parameters:
  ///   - drawing: the scores by draws as well.
  ///   - reencoding: the density by re-encoding as well, which takes an encoding of the context for every value and order.
  public func result(
    _ split: Split, drawing: Bool, reencoding: Bool, on pool: ThreadPool? = nil
  ) throws -> Result {
    let context = data.rows(split.context)
    let posterior = try model.condition(
      on: context, values: values, limits: limits, asked: data.rows(split.held).inputs, pool: pool)
    let (held, together) = (data.rows(split.held), data.rows(together(split)))
    func density(_ plan: PlanTemplate, _ orders: Int) throws -> Posterior.LogDensity {
      try posterior.logDensity(
        of: together.y, at: together.inputs, plan: plan, orders: orders, seed: seed, flopLimit: flopLimit)
    }
    let count = Double(together.count)
    let joint = try density(plan, orders)
    let each = inOrder ? try drawn(posterior, held) : try known(posterior, held)
    var result = Result(
      split: split, calibration: Calibration(levels: each.levels), crps: each.crps,
      logDensity: each.logDensity,
      independent: inOrder ? .nan : try density(.independent, 1).value / count, joint: joint.value / count,
      scale: try Scaling.standardising(context: context).outputScale, notes: joint.notes)
    if reencoding { result.reencode = try density(.reencode, orders).value / count }
    guard drawing else { return result }
    let draws = try draws(posterior, together.inputs)
    result.energy.joint = Scores.energy(draws.joint, together.y)
    result.variogram.joint = Scores.variogram(draws.joint, together.y)
    if let independent = draws.independent {
      result.energy.independent = Scores.energy(independent, together.y)
      result.variogram.independent = Scores.variogram(independent, together.y)
    }
    return result
  }

  /// Whether the model predicts each value from those before it and knows none on its own.
  private var inOrder: Bool { model.network.capability.inOrder }

  /// The held-out rows that are looked at together; for a model that takes them in their order, the first ones.
  private func together(_ split: Split) -> [Int] {
    inOrder ? Array(split.held.prefix(split.joint.count)) : split.joint
  }

  /// What is said of each held-out value on its own: its level, CRPS and log-density.
  private typealias Singles = (levels: [Double], crps: [Double], logDensity: [Double])

  private func known(_ posterior: Posterior, _ held: Dataset) throws -> Singles {
    let laws = try posterior.marginals(at: held.inputs, flopLimit: flopLimit)
    return (
      zip(laws, held.y).map { $0.cdf($1) }, zip(laws, held.y).map { $0.crps($1) },
      zip(laws, held.y).map { $0.logDensity($1) }
    )
  }

  /// By draws, which have no density.
  private func drawn(_ posterior: Posterior, _ held: Dataset) throws -> Singles {
    let paths = try posterior.sample(
      samples, at: held.inputs, plan: plan, seed: seed, flopLimit: flopLimit
    ).paths
    var stream = RandomStream(seed: seed, .evaluation, UInt64(held.count), UInt64(samples), 0)
    let own = held.y.indices.map { target in paths.map { $0[target] } }
    return (
      zip(own, held.y).map { Scores.level($1, among: $0, uniform: stream.uniform()) },
      zip(own, held.y).map { Scores.crps($0, $1) }, held.y.map { _ in .nan }
    )
  }

  private func draws(
    _ posterior: Posterior, _ inputs: Inputs
  ) throws -> (independent: [[Double]]?, joint: [[Double]]) {
    func draw(_ plan: PlanTemplate) throws -> [[Double]] {
      try posterior.sample(samples, at: inputs, plan: plan, seed: seed, flopLimit: flopLimit).paths
    }
    return (inOrder ? nil : try draw(.independent), try draw(plan))
  }

  /// What the draws of a split claim of a number made of all its held-out values.
  public struct Claim: Sendable, Hashable {
    /// Where the number that came lies in what was claimed; uniform on 0...1 if the claim is right.
    public let level: Double
    /// The continuous ranked probability score; NaN where the number or a draw is not finite.
    public let crps: Double
    /// The width of the central interval that claims 0.9.
    public let width: Double

    init(_ draws: [Double], _ value: Double, uniform: Double) {
      level = Scores.level(value, among: draws, uniform: uniform)
      let finite = value.isFinite && draws.allSatisfy(\.isFinite)
      crps = finite ? Scores.crps(draws, value) : .nan
      let ends = FunctionalSummary(draws, levels: [0.05, 0.95]).quantiles
      width = ends[1].value - ends[0].value
    }
  }

  /// The claims of values drawn together and, where the model can, each on its own; one for each functional.
  public func claims(
    _ functionals: [Functional], _ split: Split, on pool: ThreadPool? = nil
  ) throws -> [(independent: Claim?, joint: Claim)] {
    let posterior = try model.condition(
      on: data.rows(split.context), values: values, limits: limits, asked: data.rows(split.held).inputs,
      pool: pool)
    let together = data.rows(together(split))
    let draws = try draws(posterior, together.inputs)
    let inputs = (0..<together.count).map { together.x[$0 * together.dimensions] }
    return functionals.enumerated().map { index, functional in
      let value = functional.values(of: [together.y], at: inputs)[0]
      var stream = RandomStream(
        seed: seed, .evaluation, UInt64(split.joint.first ?? 0), UInt64(split.joint.count), UInt64(index))
      let uniform = stream.uniform()
      return (
        draws.independent.map {
          Claim(functional.values(of: $0, at: inputs), value, uniform: uniform)
        },
        Claim(functional.values(of: draws.joint, at: inputs), value, uniform: uniform)
      )
    }
  }
}
