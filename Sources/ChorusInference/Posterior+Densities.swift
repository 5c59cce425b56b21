import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import Foundation

/// Densities of values together, and the law of each on its own.
extension Posterior {
  /// The joint log-density of values, in nats and in the data's units.
  public struct LogDensity: Sendable {
    /// log of the mean density over the orders.
    public let value: Double
    /// The log-density under each order.
    public let orders: [Double]
    public let plan: Plan
    public let notes: [Note]

    init(value: Double, orders: [Double], plan: Plan, notes: [Note]) {
      (self.value, self.orders, self.plan, self.notes) = (value, orders, plan, notes)
    }

    /// That of values of which so many have no density.
    init(none count: Int, _ orders: Int, _ plan: Plan, _ notes: [Note]) {
      self.init(
        value: -.infinity, orders: [Double](repeating: -.infinity, count: orders), plan: plan,
        notes: notes + [.valuesBeyondReach(count)])
    }
  }

  /// The joint log-density of `y` at `inputs` under the plan: −∞, with a note, for a value that the model gives no density, as one
  /// so far from the observed rows, or one that the scale on which values are seen has no place for. It is averaged over random target orders by log-mean-exp
  /// (Hassan et al. 2026, sec. 3.4 of the appendix: densities are averaged, not their logarithms). A plan with an order of
  /// its own has one density.
  public func logDensity(
    of y: [Double], at inputs: Inputs, plan template: PlanTemplate = .sequential, orders: Int = 8,
    seed: UInt64 = 0, unsupported: Plan.WhenUnsupported = .refuse, flopLimit: Double = Posterior.flopLimit
  ) throws -> LogDensity {
    try logDensity(
      of: y, at: inputs, in: preparation.units(inputUnits(inputs)), plan: template, orders: orders,
      seed: seed, unsupported: unsupported, flopLimit: flopLimit)
  }

  /// - Parameter units: of each target, how its values become the network's and back.
  func logDensity(
    of y: [Double], at inputs: Inputs, in units: [Preparation.OutputUnit], plan template: PlanTemplate,
    orders: Int, seed: UInt64, unsupported: Plan.WhenUnsupported = .refuse, flopLimit: Double
  ) throws -> LogDensity {
    guard y.count == inputs.count else {
      throw InferenceError.input("\(y.count) values for \(inputs.count) inputs")
    }
    guard orders > 0 else { throw InferenceError.input("at least one order is needed") }
    guard y.allSatisfy(\.isFinite) else { throw InferenceError.input("a value is not a finite number") }
    let plan = try resolve(template, inputs, paths: orders, flopLimit, unsupported)
    let orders = plan.order == .random ? orders : 1
    guard inputs.count > 0 else { return LogDensity(value: 0, orders: [], plan: plan, notes: notes) }
    let x = try questions(inputs)
    // As a negative number has none on a logarithmic scale, which no path leaves.
    let unseen = zip(y, units).count { $1.values.seen($0) == nil }
    guard unseen == 0 else { return LogDensity(none: unseen, orders, plan, notes + bufferNotes(plan)) }
    let whole = Self.whole(units)
    if let value = y.first(where: { whole != nil && $0 != $0.rounded() }) {
      throw DataError.notWhole(value: value)
    }
    let scaled = try Self.narrow(zip(y, units).map { $1.scaled($0) }, "a value")
    // Probabilities have no unit.
    let jacobian = whole != nil ? 0 : zip(y, units).reduce(0) { $0 + $1.1.logSlope($1.0) }
    let request = Request(
      plan: plan, seed: seed, pool: pool, bounds: Self.bounds(units), whole: whole)
    let scores = try conditioned.logDensities(of: scaled, at: x, request, orders: orders).map {
      $0 + jacobian
    }
    let reach = conditioned.rows.reach
    let beyond = zip(scaled, units).count { value, unit in
      !reach.contains(Double(value)) || unit.scaledRange.map { !$0.contains(Double(value)) } ?? false
    }
    let isNone = scores.contains(-.infinity) && beyond > 0
    guard scores.allSatisfy({ $0.isFinite || isNone && $0 == -.infinity }) else { throw Self.notFinite }
    return LogDensity(
      value: Self.logMeanExp(scores), orders: scores, plan: plan,
      notes: notes + bufferNotes(plan) + (isNone ? [.valuesBeyondReach(beyond)] : []))
  }

  static func logMeanExp(_ values: [Double]) -> Double {
    guard let top = values.max(), top.isFinite else { return values.max() ?? -.infinity }
    return top + log(values.reduce(0) { $0 + exp($1 - top) } / Double(values.count))
  }

  static func logSumExp(_ values: [Double]) -> Double {
    guard let top = values.max(), top.isFinite else { return values.max() ?? -.infinity }
    return top + log(values.reduce(0) { $0 + exp($1 - top) })
  }

  /// The law of each target on its own, in the data's units.
  ///
  /// - Throws: `InferenceError.input` for a model of a category; see `laws(at:)`.
  public func marginals(at inputs: Inputs, flopLimit: Double = Posterior.flopLimit) throws
    -> [any ContinuousLaw]
  {
    let units = try preparation.units(inputUnits(inputs))
    let marginals = try zip(continuous(at: inputs, in: units, flopLimit: flopLimit), units).map { law, unit in
      unit.whole.map { WholeNumbers(law, within: $0) } ?? law
    }
    guard marginals.allSatisfy({ $0.mean.isFinite && $0.variance.isFinite }) else {
      throw Self.notFinite
    }
    return marginals
  }

  /// The law of each target on its own, before it is made whole.
  func continuous(
    at inputs: Inputs, in units: [Preparation.OutputUnit], flopLimit: Double
  ) throws -> [any ContinuousLaw] {
    try zip(laws(at: inputs, in: units, flopLimit: flopLimit), units).map { law, unit in
      guard let law = law as? any ContinuousLaw else {
        throw InferenceError.input(
          "this model predicts the level of a category, which has no unit; ask for its laws")
      }
      let seen = law.scaled(by: unit.unit.scale, offset: unit.unit.origin)
      return unit.values == .raw ? seen : SeenLaw(seen, on: unit.values)
    }
  }

  /// The law of each target on its own as the network's head makes it, numbers in the network's units.
  public func laws(at inputs: Inputs, flopLimit: Double = Posterior.flopLimit) throws -> [any Predictive] {
    try laws(at: inputs, in: preparation.units(inputUnits(inputs)), flopLimit: flopLimit)
  }

  private func laws(
    at inputs: Inputs, in units: [Preparation.OutputUnit], flopLimit: Double
  ) throws -> [any Predictive] {
    _ = try resolve(.independent, inputs, paths: 1, flopLimit)
    guard inputs.count > 0 else { return [] }
    return try conditioned.laws(at: questions(inputs), within: Self.bounds(units), on: pool)
  }
}
