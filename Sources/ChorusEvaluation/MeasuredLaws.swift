import ChorusData
import ChorusInference
import ChorusLayers
import ChorusPlans
import ChorusTensors

/// Held-out values that have known errors of measurement: what is said is of values without them, so an error is added to it.
extension HeldOutScoring {
  /// The log-density of values together, in nats a value.
  func density(
    _ posterior: any Answering, _ held: Dataset, _ plan: PlanTemplate, _ orders: Int
  ) throws -> (value: Double, notes: [Note]) {
    let density = try posterior.density(
      of: held.y, at: held.inputs, plan: plan, orders: orders, seed: seed, flopLimit: flopLimit)
    return (density.value / Double(held.count), density.notes)
  }

  /// Densities of the values looked at together, in nats a value; see `Result`.
  func densities(
    _ posterior: any Answering, _ held: Dataset
  ) throws -> (independent: Double, joint: Double, notes: [Note]) {
    guard !held.errors.isEmpty else {
      let joint = try density(posterior, held, plan, orders)
      return (
        inOrder ? .nan : try density(posterior, held, .independent, 1).value, joint.value, joint.notes
      )
    }
    let laws = try Self.measured(posterior.laws(of: held.inputs, flopLimit: flopLimit), held)
    let each = zip(laws, held.y).reduce(0) { $0 + $1.0.logDensity($1.1) } / Double(held.count)
    // There is none of all together; a path tells what to be careful about with the plan.
    let path = try posterior.paths(
      1, at: held.inputs, plan: plan, seed: seed, latent: false, flopLimit: flopLimit, progress: nil)
    return (each, .nan, path.notes)
  }

  /// The laws of values as they are measured.
  package static func measured(
    _ laws: [any ContinuousLaw], _ held: Dataset
  ) throws(InferenceError) -> [any ContinuousLaw] {
    guard !held.errors.isEmpty else { return laws }
    let own = laws.compactMap { $0 as? GaussianMixture }
    guard own.count == laws.count else {
      throw .input(
        "values that are held out have errors of their own, which are added to what is said of them as it is: leave out --scale and --integer"
      )
    }
    return measured(own, held)
  }

  /// The same of normal laws and their mixtures.
  static func measured(_ laws: [GaussianMixture], _ held: Dataset) -> [GaussianMixture] {
    guard !held.errors.isEmpty else { return laws }
    return zip(laws, held.errors).map { law, error in
      GaussianMixture(
        logWeights: law.logWeights, means: law.means,
        deviations: law.deviations.map { ($0 * $0 + error * error).squareRoot() })
    }
  }

  /// Draws of values as they are measured.
  func measured(_ draws: [[Double]], _ held: Dataset) -> [[Double]] {
    guard !held.errors.isEmpty else { return draws }
    return draws.enumerated().map { path, values in
      var stream = RandomStream(seed: seed, .evaluation, UInt64(held.count), UInt64(path), 1)
      return zip(values, held.errors).map { $0 + $1 * stream.normal() }
    }
  }
}
