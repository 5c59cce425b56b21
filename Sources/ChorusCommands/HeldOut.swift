import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusTables
import ChorusTensors

/// Rows taken out of the data, and what the model, shown the others, says of them.
struct HeldOut {
  /// Of each value under its own distribution given the rows that stayed.
  let calibration: Calibration
  /// Rows that stayed.
  let context: Int
  /// Mean log-density a value in nats, in the file's units: jointly, and as independent values.
  let joint: Double
  let independent: Double
  /// How many of the values the densities are of: no more than the buffer that the model was trained with.
  let scored: Int

  /// Nil where the share leaves no row to hold out, or too few to learn from.
  init?(
    _ question: Question, _ model: Model, share: Double, seed: UInt64, pool: ThreadPool, flopLimit: Double
  ) throws {
    let data = question.data
    let count = Int((Double(data.count) * share).rounded())
    guard count >= 1, data.count - count >= 2 else { return nil }
    var stream = RandomStream(seed: seed, .orders, UInt64(data.count), 0x686F_6C64)
    let order = stream.permutation(data.count)
    let kept = data.rows(order[count...].sorted())
    let asked = data.rows(order[..<count].sorted())
    let posterior = try model.condition(on: kept, pool: pool)
    let marginals = try posterior.marginals(at: asked.inputs, flopLimit: flopLimit)
    calibration = Calibration(levels: zip(marginals, asked.y).map { $0.cdf($1) })
    context = kept.count
    scored = min(count, max(model.blueprint.trainedBuffer, 1))
    let some = data.rows(order[..<scored].sorted())
    joint =
      try posterior.logDensity(of: some.y, at: some.inputs, orders: 8, seed: seed, flopLimit: flopLimit).value
      / Double(scored)
    independent =
      try posterior.logDensity(
        of: some.y, at: some.inputs, plan: .independent, orders: 1, seed: seed, flopLimit: flopLimit
      ).value / Double(scored)
  }
}
