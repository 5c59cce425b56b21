import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A network that reads a set of rows and gives all targets one Gaussian law (`JointGaussianHead`). A value that is drawn or
/// observed on a path conditions the others within that law: no network reads it again.
public final class JointNetwork: Architecture {
  private let marginal: SetNetwork<JointGaussianHead>
  public var blueprint: Blueprint { marginal.blueprint }
  public var weights: Weights { marginal.weights }

  init(_ layers: SetLayers<JointGaussianHead>, _ weights: Weights) { marginal = SetNetwork(layers, weights) }

  public typealias Context = SetNetwork<JointGaussianHead>.Context
  public typealias Questions = SetNetwork<JointGaussianHead>.Questions

  /// Paths condition on whatever a plan says they read.
  public var memoryCapability: Capability {
    var capability = marginal.memoryCapability
    (capability.subsetReads, capability.rewind, capability.prefixReads) = (true, true, .any)
    return capability
  }
  public var rates: WorkRates { marginal.rates }
  public func fits(of context: Context) -> HintFits { marginal.fits(of: context) }
  public func raised(_ context: Context) -> Double { marginal.raised(context) }
  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool?) -> Context {
    marginal.encode(rows, fits, on: pool)
  }
  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    marginal.embed(x, dimensions: dimensions, for: context)
  }
  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    marginal.observing(context, rows, removing: removing)
  }
  public func stateArrays(rows: Int) -> [StateArray] { marginal.stateArrays(rows: rows) }
  public func values(of context: Context) -> [[Float]] { marginal.values(of: context) }
  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    marginal.context(rows, fits, values: values)
  }
  public func contextBytes(rows: Int) -> Int { marginal.contextBytes(rows: rows) }
  public func bufferBytes(capacity: Int) -> Int { capacity * 8 * (marginal.layers.head.rank + 4) }

  /// The rows of some paths, with what the network said of them.
  public final class Paths {
    fileprivate let asking: SetPaths
    fileprivate var slots: [[(row: JointGaussianHead.Row, value: Double)?]]

    init(asking: SetPaths, count: Int, capacity: Int) {
      self.asking = asking
      slots = [[(row: JointGaussianHead.Row, value: Double)?]](
        repeating: Array(repeating: nil, count: capacity), count: count)
    }
  }

  public func branch(paths count: Int, capacity: Int) -> Paths {
    Paths(asking: marginal.branch(paths: count, capacity: 0), count: count, capacity: capacity)
  }

  /// Rows committed anew take the places of those forgotten.
  public func rewind(_ paths: Paths, path: Int, to count: Int) {}

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ batch: RowBatch,
    _ body: (JointGaussianHead.Answer) -> Void
  ) {
    var asked = RowBatch()
    var path = -1
    for row in 0..<batch.count {
      while path < Int(batch.path[row]) {
        asked.begin()
        path += 1
      }
      asked.query(input: batch.inputs[row], reads: .none)
    }
    while asked.paths < batch.paths { asked.begin() }
    let head = marginal.layers.head
    let raw = marginal.predict(paths.asking, context, questions, asked).numbers
    var committed = 0
    for row in 0..<batch.count where batch.slots[row] >= 0 {
      let (own, slot) = (Int(batch.path[row]), Int(batch.slots[row]))
      precondition(slot < paths.slots[own].count, "a slot lies within the paths' capacity")
      paths.slots[own][slot] = (head.row(raw + row * head.map.outputs), Double(batch.values[committed]))
      committed += 1
    }
    for row in 0..<batch.count where batch.slots[row] < 0 {
      let own = paths.slots[Int(batch.path[row])]
      let known = batch.slotsRead(row).compactMap { own[$0] }
      body(head.law(of: head.row(raw + row * head.map.outputs), given: known))
    }
  }

  /// Targets see no buffer: what one tells of another is the law's covariance.
  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    marginal.loss(
      batch, task: task, prefixes: [Int32](repeating: 0, count: prefixes.count), weight: weight, on: tape)
  }
}

extension RowBatch {
  /// The slots of its path that a row reads.
  func slotsRead(_ row: Int) -> [Int] {
    let start = Int(maskStarts[row])
    return (0..<Int(limits[row])).filter { start < 0 || masks[start + $0 / 64] >> ($0 % 64) & 1 == 1 }
  }
}
