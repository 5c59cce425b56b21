import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// A small network with random weights, loud enough that everything it reads shows in its answer.
func smallModel(seed: UInt64 = 1, _ change: (inout Blueprint) -> Void = { _ in }) throws -> Model {
  var blueprint = Blueprint()
  blueprint.width = 16
  blueprint.layers = 2
  blueprint.heads = 2
  blueprint.feedForward = 24
  blueprint.embedderHidden = 16
  blueprint.headHidden = 16
  blueprint.head = .mixture(components: 3)
  change(&blueprint)
  let declared = try Declaration(blueprint)
  let weights = Weights(declared.table)
  declared.initialise(weights, seed: seed)
  for p in declared.table.all where p.isWeight {
    let gain: Float = p.path == "head.down.weight" ? 10 : 2
    for index in 0..<p.count { weights[p][index] *= gain }
  }
  weights.pack()
  return Model(network: try declared.network(weights))
}

/// The family of these models.
typealias Network = SetNetwork<MixtureHead>

extension Posterior {
  /// The state, with its type.
  var encoded: EncodedContext<Network> {
    get throws { try #require(conditioned as? EncodedContext<Network>) }
  }
}

/// A wave seen at `count` uneven places.
func wave(_ count: Int) throws -> Dataset {
  let x = (0..<count).map { -2 + 4 * (Double($0) * 0.618).truncatingRemainder(dividingBy: 1) }
  return try Dataset(x: x, y: x.map { sin(3 * $0) + 0.2 * $0 })
}

func places(_ count: Int) throws -> Inputs {
  try Inputs((0..<count).map { -1.9 + 3.8 * (Double($0) * 0.381).truncatingRemainder(dividingBy: 1) })
}

let everyPlan: [PlanTemplate] = [
  .independent, .sequential, .sequential(capacity: 4), .reencode, .blocks(of: 5),
]

/// The conditionals of a plan one at a time: for each position a context made by hand, an empty buffer filled in
/// one go, one query. Written from the plans' description, without the plans module.
struct Chain {
  let model: Model
  let data: Dataset
  let x: [Double]
  /// How many leading positions are context rows, and how many more buffer rows, when a position is drawn.
  let rule: (_ position: Int) -> (merged: Int, buffered: Int)

  init(_ model: Model, _ data: Dataset, _ x: [Double], _ template: PlanTemplate) {
    self.model = model
    self.data = data
    self.x = x
    switch template {
    case .independent: rule = { _ in (0, 0) }
    case .reencode: rule = { ($0, 0) }
    case .sequential(capacity: 4): rule = { ($0 / 4 * 4, $0 % 4) }
    case .blocks(of: 5): rule = { (0, $0 / 5 * 5) }
    default: rule = { (0, $0) }
    }
  }

  /// What the network says of the value at `position`, given the `values` (by target) drawn before it.
  func conditional(_ position: Int, order: [Int], values: [Double]) -> any ContinuousLaw {
    conditional(model.network, position, order: order, values: values)
  }

  private func conditional<A: Architecture>(
    _ network: A, _ position: Int, order: [Int], values: [Double]
  ) -> any ContinuousLaw {
    let (merged, buffered) = rule(position)
    let known = order[..<merged]
    let observed = NetworkRows(
      x: (data.x + known.map { x[$0] }).map(Float.init),
      y: (data.y + known.map { values[$0] }).map(Float.init),
      dimensions: 1)
    let context = network.encode(observed, network.fits(observed), on: nil)
    let questions = network.embed(x.map(Float.init), dimensions: 1, for: context)
    let rows = order[merged..<merged + buffered]
    var batch = RowBatch()
    batch.begin()
    for (slot, row) in rows.enumerated() {
      batch.commit(input: Int32(row), y: Float(values[row]), slot: Int32(slot), reads: .prefix(slot + 1))
    }
    batch.query(input: Int32(order[position]), reads: .prefix(buffered))
    var law: (any ContinuousLaw)?
    network.advance(network.branch(paths: 1, capacity: buffered), context, questions, batch) {
      law = $0.law as? any ContinuousLaw
    }
    return law ?? GaussianMixture(mean: .nan, deviation: .nan)
  }
}

func refusal(_ body: () throws -> Void) -> (any Error)? {
  do {
    try body()
    return nil
  } catch { return error }
}

/// What identifies laws of numbers: their moments and a quantile.
func numbers(_ laws: [any ContinuousLaw]) -> [[Double]] {
  laws.map { [$0.mean, $0.variance, $0.quantile(0.3)] }
}

/// The number that was drawn; NaN for a level.
func number(_ value: Value) -> Double {
  guard case .number(let y) = value else { return .nan }
  return y
}
