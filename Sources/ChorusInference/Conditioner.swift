import ChorusData
import ChorusModels
import ChorusPlans
import ChorusTensors
import Synchronization

/// What inference asks of whatever answers: a network that has read some rows, or an exact oracle in its place.
///
/// A conditioner knows the observed rows and the inputs of one request's targets; its rows are named by the target's
/// index. Values are in the network's units.
package protocol Conditioner: Sendable {
  /// A context state: immutable, shared by all paths that go on from it.
  associatedtype Context: Sendable
  /// The private buffers of some paths; belongs to one thread at a time.
  associatedtype Paths
  associatedtype Answer: Predictive

  /// What its memories can do, and what was trained.
  var capability: Plan.Capability { get }
  /// The state of the observed rows alone.
  var observed: Context { get }
  /// The state of the observed rows and further ones, encoded anew.
  func encode(with rows: [(target: Int, value: Float)]) -> Context
  /// Empty buffers for `paths` paths with `capacity` slots each.
  func branch(paths: Int, capacity: Int) -> Paths
  /// One network call; `body` gets the answer to each query in the order of the batch.
  func advance(_ paths: Paths, _ context: Context, _ rows: RowBatch, _ body: (Answer) -> Void)
  /// Forgets the rows of one path in slots from `count` on.
  func rewind(_ paths: Paths, path: Int, to count: Int)
}

/// The predictive distribution of one value, valid while it is handed over.
package protocol Predictive {
  /// A draw from a uniform and a standard normal variate.
  func draw(component uniform: Double, normal: Double) -> Double
  var mixture: GaussianMixture { get }
}

extension GaussianMixture: Predictive {
  package var mixture: GaussianMixture { self }
}

/// A context in the network's units with its encoded state: where every request begins.
struct Conditioned: Sendable {
  let trunk: Trunk
  let dimensions: Int
  let x: [Float]
  let y: [Float]
  let state: Trunk.ContextState

  /// - Parameter periods: those of the rows, where they are known.
  init(
    _ trunk: Trunk, x: [Float], y: [Float], dimensions: Int, periods: Periods? = nil, on pool: ThreadPool?
  ) {
    self.trunk = trunk
    self.dimensions = dimensions
    self.x = x
    self.y = y
    state = trunk.encode(x: x, y: y, dimensions: dimensions, periods: periods, on: pool)
  }

  /// Rows whose state is known already.
  init(_ trunk: Trunk, x: [Float], y: [Float], dimensions: Int, state: Trunk.ContextState) {
    self.trunk = trunk
    self.dimensions = dimensions
    self.x = x
    self.y = y
    self.state = state
  }
}

/// A network that has read a context, and the inputs of one request: embedded once for all paths, orders and steps.
struct NetworkConditioner: Conditioner {
  /// The head's raw parameters of one row, read where they lie.
  struct Answer: Predictive {
    let raw: UnsafePointer<Float>
    let head: GaussianMixture.Head
    let unit: Scaling.Unit

    func draw(component uniform: Double, normal: Double) -> Double {
      GaussianMixture.draw(raw, head, unit: unit, component: uniform, normal: normal)
    }

    var mixture: GaussianMixture { GaussianMixture(raw, head, unit: unit) }
  }

  private let conditioned: Conditioned
  private let x: [Float]
  private let embedded: Trunk.EmbeddedInputs
  private var trunk: Trunk { conditioned.trunk }

  /// - Parameter x: the inputs of the targets in the network's units, `[targets, dimensions]`.
  init(_ conditioned: Conditioned, x: [Float]) {
    self.conditioned = conditioned
    self.x = x
    embedded = conditioned.trunk.embed(
      x, count: x.count / max(conditioned.dimensions, 1), dimensions: conditioned.dimensions,
      periods: conditioned.state.periods)
  }

  var capability: Plan.Capability { conditioned.trunk.capability }
  var observed: Trunk.ContextState { conditioned.state }

  func encode(with rows: [(target: Int, value: Float)]) -> Trunk.ContextState {
    let d = conditioned.dimensions
    return trunk.encode(
      x: conditioned.x + rows.flatMap { x[$0.target * d..<($0.target + 1) * d] },
      y: conditioned.y + rows.map(\.value), dimensions: d, periods: conditioned.state.periods)
  }

  func branch(paths: Int, capacity: Int) -> Trunk.Paths { trunk.branch(paths: paths, capacity: capacity) }

  func advance(
    _ paths: Trunk.Paths, _ context: Trunk.ContextState, _ rows: RowBatch, _ body: (Answer) -> Void
  ) {
    let answers = trunk.advance(paths, context, inputs: embedded, rows: rows)
    let head = GaussianMixture.Head(trunk.blueprint)
    for query in 0..<rows.queries {
      body(Answer(raw: answers.raw + query * 3 * head.components, head: head, unit: answers.unit(query)))
    }
  }

  func rewind(_ paths: Trunk.Paths, path: Int, to count: Int) { paths.rewind(path: path, to: count) }

  /// The distribution of each of `count` targets given the context alone.
  func marginals(_ count: Int, on pool: ThreadPool?) throws(InferenceError) -> [GaussianMixture] {
    let tile = 64
    let tiles = (count + tile - 1) / tile
    let results = Mutex([[GaussianMixture]](repeating: [], count: tiles))
    let stop = Atomic<Bool>(false)
    let body: @Sendable (Int) -> Void = { index in
      // A thread of the pool does not know of the task; the caller's takes a part of the tiles and does.
      if Task.isCancelled { stop.store(true, ordering: .relaxed) }
      guard !stop.load(ordering: .relaxed) else { return }
      var batch = RowBatch()
      batch.begin()
      for target in index * tile..<min(count, (index + 1) * tile) {
        batch.query(input: Int32(target), reads: .prefix(0))
      }
      var mixtures: [GaussianMixture] = []
      advance(branch(paths: 1, capacity: 0), observed, batch) { mixtures.append($0.mixture) }
      results.withLock { $0[index] = mixtures }
    }
    if let pool { pool.run(tiles, body) } else { for index in 0..<tiles { body(index) } }
    if stop.load(ordering: .relaxed) || Task.isCancelled { throw .cancelled }
    return results.withLock { $0.flatMap { $0 } }
  }
}

extension Trunk {
  /// What a plan may ask of this network.
  public var capability: Plan.Capability {
    Plan.Capability(
      subsetReads: memoryCapability.subsetReads, rewind: memoryCapability.rewind,
      trainedBuffer: blueprint.trainedBuffer, setContext: memoryCapability.holdsSet)
  }
}
