import ChorusData
import ChorusInference
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What a model, shown some rows of a file, says of rows held out of it.
public struct HeldOutScoring: Sendable {
  public let model: Model
  /// The rows of the file.
  public var rows: HeldOutRows
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
  /// Whether values are whole numbers.
  public var whole: Bool
  /// Where the rows of one series stand, and the steps of its season: what simple methods are told. Nil for none of them.
  public var grid: (places: [PlacedSeries.Place], season: Int)?

  public init(
    model: Model, rows: HeldOutRows, plan: PlanTemplate = .sequential, orders: Int = 8, samples: Int = 200,
    seed: UInt64 = 0, flopLimit: Double = Posterior.flopLimit, values: ValueScale.Choice = .automatic,
    limits: ClosedRange<Double>? = nil, whole: Bool = false
  ) {
    self.model = model
    self.rows = rows
    self.plan = plan
    self.orders = orders
    self.samples = samples
    self.seed = seed
    self.flopLimit = flopLimit
    self.values = values
    self.limits = limits
    self.whole = whole
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
    /// How far the point forecasts are off, and the mean CRPS; of simple methods those that say something.
    public let accuracy: Accuracy
    public internal(set) var baselines: [Baseline: Accuracy] = [:]
    /// log-density in nats a value of the values looked at together: each on its own (NaN as above), by the plan, by
    /// re-encoding. The last two are NaN where held-out values have known errors of measurement.
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

  /// Errors of held-out values: of the mean (RMSE), of the median (MAE), that beside the seasonal naive forecast's within the
  /// context (MASE, NaN where there is none), and the mean CRPS. R² is the part of the held-out values' variance that the means
  /// explain: below 0 where their own mean would be nearer, NaN where they are all the same.
  public struct Accuracy: Sendable, Hashable {
    public let rmse: Double
    public let mae: Double
    public let mase: Double
    public let r2: Double
    public let crps: Double

    init(means: [Double], medians: [Double], crps: [Double], _ held: [Double], naiveError: Double) {
      let count = Double(held.count)
      let squares = zip(means, held).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      let centre = held.reduce(0, +) / count
      let spread = held.reduce(0) { $0 + ($1 - centre) * ($1 - centre) }
      rmse = (squares / count).squareRoot()
      r2 = spread > 0 ? 1 - squares / spread : .nan
      mae = zip(medians, held).reduce(0) { $0 + abs($1.0 - $1.1) } / count
      mase = mae / naiveError
      self.crps = crps.reduce(0, +) / count
    }
  }

  /// Densities and calibration of a split.
  ///
  /// - Parameters:
  ///   - drawing: the scores by draws as well.
  ///   - reencoding: the density by re-encoding as well, which takes an encoding of the context for every value and order.
  public func result(
    _ split: Split, drawing: Bool, reencoding: Bool, on pool: ThreadPool? = nil
  ) throws -> Result {
    let asked = try asked(split, on: pool)
    let posterior = asked.posterior
    let (held, together) = (try asked.rows(split.held), try asked.rows(together(split)))
    let densities = try densities(posterior, together)
    let singles = inOrder ? try drawn(posterior, held) : try known(posterior, held)
    let series = placed(split)
    let naiveError = series?.naiveError ?? .nan
    var result = Result(
      split: split, calibration: Calibration(levels: singles.levels), crps: singles.crps,
      logDensity: singles.logDensity,
      accuracy: Accuracy(
        means: singles.means, medians: singles.medians, crps: singles.crps, held.y, naiveError: naiveError),
      independent: densities.independent, joint: densities.joint,
      scale: Self.deviation(split.context.map { rows.y[$0] }), notes: densities.notes)
    for (baseline, own) in asked.baselines(split.held) {
      let laws = Self.measured(own, held)
      let means = laws.map { $0.means[0] }
      result.baselines[baseline] = Accuracy(
        means: means, medians: means, crps: zip(laws, held.y).map { $0.crps($1) }, held.y, naiveError: .nan)
    }
    if let series, let grid {
      let rows = split.held.map { grid.places[$0] }
      for baseline in Baseline.ofSeries {
        guard var laws = baseline.laws(series, at: rows) else { continue }
        // The others judge by rows as they are measured.
        if baseline == .structural { laws = Self.measured(laws, held) }
        let means = laws.map { $0.means[0] }
        result.baselines[baseline] = Accuracy(
          means: means, medians: means, crps: zip(laws, held.y).map { $0.crps($1) }, held.y,
          naiveError: naiveError)
      }
    }
    if reencoding, together.errors.isEmpty {
      result.reencode = try density(posterior, together, .reencode, orders).value
    }
    guard drawing else { return result }
    let draws = try draws(posterior, together)
    result.energy.joint = Scores.energy(draws.joint, together.y)
    result.variogram.joint = Scores.variogram(draws.joint, together.y)
    if let independent = draws.independent {
      result.energy.independent = Scores.energy(independent, together.y)
      result.variogram.independent = Scores.variogram(independent, together.y)
    }
    return result
  }

  private func asked(_ split: Split, on pool: ThreadPool?) throws -> HeldOutRows.Asked {
    try rows.asked(model, split, values: values, limits: limits, whole: whole, on: pool)
  }

  /// Their standard deviation, or that of a constant in its own unit.
  private static func deviation(_ values: [Double]) -> Double {
    let (_, deviation) = Scaling.moments(values)
    return deviation > 0 ? deviation : Scaling.unitOfConstant(values.first ?? 0)
  }

  /// Whether the model predicts each value from those before it and knows none on its own.
  var inOrder: Bool { model.network.capability.inOrder }

  /// The held-out rows that are looked at together; for a model that takes them in their order, the first ones.
  private func together(_ split: Split) -> [Int] {
    inOrder ? Array(split.held.prefix(split.joint.count)) : split.joint
  }

  /// The context's rows on their grid.
  private func placed(_ split: Split) -> PlacedSeries? {
    guard let grid else { return nil }
    return PlacedSeries(
      places: split.context.map { grid.places[$0] }, values: split.context.map { rows.y[$0] },
      errors: rows.errors.isEmpty ? [] : split.context.map { rows.errors[$0] }, season: grid.season)
  }

  /// What is said of each held-out value on its own: its level, CRPS and log-density, mean and median.
  private struct Singles {
    let levels: [Double]
    let crps: [Double]
    let logDensity: [Double]
    let means: [Double]
    let medians: [Double]
  }

  private func known(_ posterior: any Answering, _ held: Dataset) throws -> Singles {
    let laws = try Self.measured(posterior.laws(of: held.inputs, flopLimit: flopLimit), held)
    return Singles(
      levels: zip(laws, held.y).map { level($0, $1) }, crps: zip(laws, held.y).map { $0.crps($1) },
      logDensity: zip(laws, held.y).map { $0.logDensity($1) }, means: laws.map(\.mean),
      medians: laws.map { $0.quantile(0.5) })
  }

  /// Where a value stands in its law; of a whole number, which has a part of it, the middle of the part.
  private func level(_ law: any ContinuousLaw, _ y: Double) -> Double {
    whole ? (law.cdf(y) + law.cdf(y - 1)) / 2 : law.cdf(y)
  }

  /// By draws, which have no density.
  private func drawn(_ posterior: any Answering, _ held: Dataset) throws -> Singles {
    let drawn = try posterior.paths(
      samples, at: held.inputs, plan: plan, seed: seed, latent: false, flopLimit: flopLimit, progress: nil)
    var stream = RandomStream(seed: seed, .evaluation, UInt64(held.count), UInt64(samples), 0)
    let own = held.y.indices.map { target in drawn.paths.map { $0[target] } }
    return Singles(
      levels: zip(own, held.y).map { Scores.level($1, among: $0, uniform: stream.uniform()) },
      crps: zip(own, held.y).map { Scores.crps($0, $1) }, logDensity: held.y.map { _ in .nan },
      means: drawn.means, medians: drawn.quantiles([0.5]).map { $0[0] })
  }

  private func draws(
    _ posterior: any Answering, _ held: Dataset
  ) throws -> (independent: [[Double]]?, joint: [[Double]]) {
    func draw(_ plan: PlanTemplate) throws -> [[Double]] {
      try measured(
        posterior.paths(
          samples, at: held.inputs, plan: plan, seed: seed, latent: false, flopLimit: flopLimit,
          progress: nil
        ).paths, held)
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
    let asked = try asked(split, on: pool)
    let posterior = asked.posterior
    let together = try asked.rows(together(split))
    let draws = try draws(posterior, together)
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
