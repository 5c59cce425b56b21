import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusTensors

/// A context in the network's units with its encoded state, whatever the architecture: where every request begins.
///
/// Architectures differ in their states' types. They are erased here, once a context and not once a row, so that `Posterior`
/// need not be generic.
protocol AnyContext: Sendable {
  var rows: NetworkRows { get }
  var fits: HintFits { get }
  /// The most that a layer's regression needed beyond the ridge it has learned; 0 as a rule.
  var raised: Double { get }

  /// Paths through targets at `x`, `[targets, dimensions]`, under a plan.
  func sample(_ count: Int, at x: [Float], _ request: Request, latent: Bool) throws(InferenceError) -> Drawn
  /// log p(y) under each of `orders` orders, in the network's units.
  func logDensities(
    of y: [Float], at x: [Float], _ request: Request, orders: Int
  ) throws(InferenceError) -> [Double]
  /// The law of each target given the context alone.
  func laws(
    at x: [Float], within bounds: [ClosedRange<Double>]?, on pool: ThreadPool?
  ) throws(InferenceError) -> [any Predictive]

  /// What to be careful about when so many targets are asked for at once.
  func notes(targets: Int) -> [Note]

  /// With further rows read, or (`removing`) without some; nil where a memory cannot do it.
  func observing(_ more: NetworkRows, removing: Bool) -> (any AnyContext)?
  /// What of the state is kept in a file beside the rows, and the values.
  var arrays: [(array: StateArray, values: [Float])] { get }
}

extension AnyContext {
  func notes(targets: Int) -> [Note] { [] }
}

/// How a request is to be answered.
struct Request: Sendable {
  let plan: Plan
  let seed: UInt64
  let pool: ThreadPool?
  /// Where the value of each target lies, in the network's units; nil for anywhere.
  var bounds: [ClosedRange<Double>]?
  /// Of each target how its values are whole numbers; nil where they are not.
  var whole: [Preparation.OutputUnit]?
  var progress: (@Sendable (Int) -> Void)?
}

/// The family of the shipped models gets code of its own: what runs for every row of every path is not looked up at run time.
struct EncodedContext<A: Architecture>: AnyContext {
  let network: A
  let rows: NetworkRows
  let state: A.Context

  var fits: HintFits { network.fits(of: state) }
  var raised: Double { network.raised(state) }

  private func sampler(_ x: [Float], _ request: Request) -> Sampler<NetworkConditioner<A>> {
    Sampler(
      NetworkConditioner(self, x: x, within: request.bounds), plan: request.plan, seed: request.seed,
      pool: request.pool)
  }

  private func sampler(
    _ x: [Float], _ request: Request, whole units: [Preparation.OutputUnit]
  ) -> Sampler<WholeConditioner<NetworkConditioner<A>>> {
    Sampler(
      WholeConditioner(base: NetworkConditioner(self, x: x, within: request.bounds), units: units),
      plan: request.plan, seed: request.seed, pool: request.pool)
  }

  @specialized(where A == SetNetwork<MixtureHead>)
  func sample(_ count: Int, at x: [Float], _ request: Request, latent: Bool) throws(InferenceError) -> Drawn {
    if let units = request.whole {
      return try sampler(x, request, whole: units).sample(count, progress: request.progress)
    }
    return try sampler(x, request).sample(count, latent: latent, progress: request.progress)
  }

  @specialized(where A == SetNetwork<MixtureHead>)
  func logDensities(
    of y: [Float], at x: [Float], _ request: Request, orders: Int
  ) throws(InferenceError) -> [Double] {
    if let units = request.whole {
      return try sampler(x, request, whole: units).logDensities(of: y, orders: orders)
    }
    return try sampler(x, request).logDensities(of: y, orders: orders)
  }

  @specialized(where A == SetNetwork<MixtureHead>)
  func laws(
    at x: [Float], within bounds: [ClosedRange<Double>]?, on pool: ThreadPool?
  ) throws(InferenceError) -> [any Predictive] {
    try NetworkConditioner(self, x: x, within: bounds).marginals(x.count / max(rows.dimensions, 1), on: pool)
  }

  func observing(_ more: NetworkRows, removing: Bool) -> (any AnyContext)? {
    guard let state = network.observing(state, more, removing: removing) else { return nil }
    return EncodedContext(
      network: network, rows: removing ? rows.removing(more) : rows.appending(more), state: state)
  }

  var arrays: [(array: StateArray, values: [Float])] {
    Array(zip(network.stateArrays(rows: rows.count), network.values(of: state)))
  }
}

extension Architecture {
  /// Reads a context once.
  func condition(_ rows: NetworkRows, _ fits: HintFits?, on pool: ThreadPool?) -> any AnyContext {
    let state = encode(rows, fits ?? self.fits(rows), on: pool)
    return EncodedContext(network: self, rows: rows, state: state)
  }

  /// A context whose state comes from a file; nil where no encoding of these rows has it.
  func condition(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> (any AnyContext)? {
    context(rows, fits, values: values).map { EncodedContext(network: self, rows: rows, state: $0) }
  }
}
