import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
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
  associatedtype Answer: ChorusLayers.Answer

  /// What its memories can do, and what was trained.
  var capability: Plan.Capability { get }
  /// The state of the observed rows alone.
  var observed: Context { get }
  /// The state of the observed rows and further ones, encoded anew.
  func encode(with rows: [(target: Int, value: Float)]) -> Context
  /// Empty buffers for `paths` paths with `capacity` slots each.
  func branch(paths: Int, capacity: Int) -> Paths
  /// What such buffers of one path hold at most.
  func bufferBytes(capacity: Int) -> Int
  /// One network call; `body` gets the answer to each query in the order of the batch.
  func advance(_ paths: Paths, _ context: Context, _ rows: RowBatch, _ body: (Answer) -> Void)
  /// Forgets the rows of one path in slots from `count` on.
  func rewind(_ paths: Paths, path: Int, to count: Int)
}

/// A network that has read a context, and the inputs of one request: embedded once for all paths, orders and steps.
struct NetworkConditioner<A: Architecture>: Conditioner {
  private let context: EncodedContext<A>
  private let x: [Float]
  private let questions: A.Questions
  private let range: ClosedRange<Double>
  /// Of each target, where they have bounds of their own.
  private let ranges: [ClosedRange<Double>]?
  private var network: A { context.network }

  /// - Parameter x: the inputs of the targets in the network's units, `[targets, dimensions]`.
  init(_ context: EncodedContext<A>, x: [Float], within bounds: [ClosedRange<Double>]? = nil) {
    self.context = context
    self.x = x
    questions = context.network.embed(x, dimensions: context.rows.dimensions, for: context.state)
    let range = context.rows.reach
    self.range = range
    // What lies beyond the reach altogether keeps its bounds.
    ranges = bounds?.map { $0.overlaps(range) ? $0.clamped(to: range) : $0 }
  }

  var capability: Plan.Capability { network.capability }
  var observed: A.Context { context.state }

  func encode(with rows: [(target: Int, value: Float)]) -> A.Context {
    let d = context.rows.dimensions
    let more = NetworkRows(
      x: rows.flatMap { x[$0.target * d..<($0.target + 1) * d] }, y: rows.map(\.value), dimensions: d)
    // A context in an order takes a further row in at the cost of one.
    if network.blueprint.encoder == .causal,
      let state = network.observing(context.state, more, removing: false)
    {
      return state
    }
    return network.encode(context.rows.appending(more), context.fits, on: nil)
  }

  func branch(paths: Int, capacity: Int) -> A.Paths { network.branch(paths: paths, capacity: capacity) }
  func bufferBytes(capacity: Int) -> Int { network.bufferBytes(capacity: capacity) }

  func advance(_ paths: A.Paths, _ context: A.Context, _ rows: RowBatch, _ body: (A.Answer) -> Void) {
    guard let ranges else {
      network.advance(paths, context, questions, rows) { body($0.bounded(to: range)) }
      return
    }
    var row = -1
    network.advance(paths, context, questions, rows) { answer in
      repeat { row += 1 } while rows.slots[row] >= 0
      body(answer.bounded(to: ranges[Int(rows.inputs[row])]))
    }
  }

  func rewind(_ paths: A.Paths, path: Int, to count: Int) { network.rewind(paths, path: path, to: count) }
}

extension NetworkRows {
  /// Where a value can lie: ten ranges of the observed values beyond them, more where they are two or three.
  ///
  /// With few rows the laws of a network have tails like those of Student's t, and a path that has once followed such a tail
  /// goes on from there. Beyond k ranges of n values one more of the same law lies with a probability of the order of
  /// k^-(n-1): that of four values at k = 10 is held for fewer ones; more rows allow no less, since a series may go on
  /// to where it has not been. The network's own unit is the least range, and 0 is where it returns to.
  var reach: ClosedRange<Double> {
    guard let least = y.min(), let most = y.max(), least.isFinite, most.isFinite else {
      return -Double.infinity...Double.infinity
    }
    let ranges = pow(10, 3 / Double(min(max(count - 1, 1), 3)))
    let beyond = Float(ranges) * max(most - least, 2)
    // Numbers of 32 bits: a draw inside stays there when it is rounded as the network holds it.
    return Double(min(least, 0) - beyond)...Double(max(most, 0) + beyond)
  }
}

extension Conditioner {
  /// An oracle's paths are values alone.
  package func bufferBytes(capacity: Int) -> Int { 0 }

  /// The law of each of `count` targets given the context alone.
  func marginals(_ count: Int, on pool: ThreadPool?) throws(InferenceError) -> [Answer.Law] {
    let tile = 64
    let tiles = (count + tile - 1) / tile
    let results = Lock([[Answer.Law]](repeating: [], count: tiles))
    let stop = Atomic<Bool>(false)
    let body: @Sendable (Int) -> Void = { index in
      // A thread of the pool does not know of the task; the caller's takes a part of the tiles and does.
      if Cancellation.isWanted { stop.store(true, ordering: .relaxed) }
      guard !stop.load(ordering: .relaxed) else { return }
      var batch = RowBatch()
      batch.begin()
      for target in index * tile..<min(count, (index + 1) * tile) {
        batch.query(input: Int32(target), reads: .prefix(0))
      }
      var laws: [Answer.Law] = []
      advance(branch(paths: 1, capacity: 0), observed, batch) { laws.append($0.law) }
      results.withLock { $0[index] = laws }
    }
    if let pool { pool.run(tiles, body) } else { for index in 0..<tiles { body(index) } }
    if stop.load(ordering: .relaxed) || Cancellation.isWanted { throw .cancelled }
    return results.withLock { $0.flatMap { $0 } }
  }
}
