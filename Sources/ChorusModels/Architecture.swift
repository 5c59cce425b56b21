import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// What inference, training and saved contexts ask of a network, whatever its family: encode a context once, then commit
/// rows and query others beside it.
///
/// A family is a file with a type that conforms, and a case in `Declaration`. Values are in the network's units, inputs in
/// scaled ones. The associated states are erased once a context, by `EncodedContext`.
public protocol Architecture: AnyObject, Sendable {
  /// The state of a context: made once, immutable, shared by all paths.
  associatedtype Context: Sendable
  /// Questions after the input embedder: computed once for all paths, orders and steps.
  associatedtype Questions: Sendable
  /// The private buffers of some paths; belongs to one thread at a time.
  associatedtype Paths: AnyObject
  associatedtype Answer: ChorusLayers.Answer

  var blueprint: Blueprint { get }
  var weights: Weights { get }
  /// What all layers' memories can do.
  var memoryCapability: Capability { get }
  /// What rows, reads and states cost.
  var rates: WorkRates { get }

  func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool?) -> Context
  /// Questions to contexts with these fits; `context` is the one that most of them will be put to.
  func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions
  func branch(paths: Int, capacity: Int) -> Paths
  /// One network call; `body` gets what is said of each query in the order of the batch, valid while it is called.
  func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch, _ body: (Answer) -> Void)
  /// Forgets the rows of one path in slots from `count` on.
  func rewind(_ paths: Paths, path: Int, to count: Int)

  /// What hints found in the rows of a context.
  func fits(of context: Context) -> HintFits
  /// A context with further rows read, or (`removing`) with rows taken out, no other row read again; nil where a layer's
  /// memory cannot do it.
  func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context?
  /// The most that a layer's regression needed beyond the ridge it has learned; 0 as a rule.
  func raised(_ context: Context) -> Double

  /// What the state of a context of `rows` rows is kept as, beside the rows; names are unique in the network.
  func stateArrays(rows: Int) -> [StateArray]
  func values(of context: Context) -> [[Float]]
  /// The context with these values, which may come from any file: nil where no encoding of these rows has them.
  func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context?
  func contextBytes(rows: Int) -> Int
  func bufferBytes(capacity: Int) -> Int

  /// The weighted loss of the targets of one task of a batch, `[1, 1]`, and their log-densities in the network's units.
  ///
  /// - Parameters:
  ///   - prefixes: for every target, how many buffer rows it sees.
  ///   - weight: of every target.
  func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float])

  /// log p of each value of a sequence given those before it that a plan shows, in the network's units.
  ///
  /// - Throws: `ModelError.input` where the network does not take values in their order, or cannot leave any out;
  ///   `AccessError`, `PlanError`.
  func logDensities(inOrder values: [Float], reading template: PlanTemplate) throws -> [Double]
}

extension Architecture {
  public func logDensities(inOrder values: [Float], reading template: PlanTemplate) throws -> [Double] {
    throw ModelError.input("only networks of family 'sequence' take values in their order alone")
  }

  /// What a plan may ask of this network.
  public var capability: Plan.Capability {
    Plan.Capability(
      subsetReads: memoryCapability.subsetReads, rewind: memoryCapability.rewind,
      trainedBuffer: blueprint.trainedBuffer, setContext: memoryCapability.holdsSet,
      inOrder: blueprint.family == .sequence)
  }

  /// What hints find in rows that are in the network's units already.
  public func fits(_ rows: NetworkRows) -> HintFits {
    blueprint.hints.fit(
      ObservedRows(
        x: rows.x.map(Double.init), y: rows.y.map(Double.init),
        unit: Scaling.Unit(origin: 0, scale: 1), dimensions: rows.dimensions))
  }
}

/// The parameters of a blueprint by path, and how they begin.
public struct Declaration: Sendable {
  public let blueprint: Blueprint
  private let scope: ParameterScope
  /// What rows, reads and states cost.
  public let rates: WorkRates
  public var table: ParameterTable { scope.table }

  /// Floats of a network's parameters, so that a few sizes in a file cannot ask for all memory.
  public static let parameterLimit = 1 << 30

  public init(_ blueprint: Blueprint) throws(ModelError) {
    try blueprint.validate()
    self.blueprint = blueprint
    (scope, rates, _) = try Self.family(blueprint, blueprint.head.specification)
    guard scope.table.count <= Self.parameterLimit else {
      throw .blueprint("it has \(scope.table.count) parameters; at most \(Self.parameterLimit) are held")
    }
  }

  /// A blueprint's parameters, and the network of its family that has them.
  private static func family<S: HeadSpecification>(
    _ blueprint: Blueprint, _ head: S
  ) throws(ModelError) -> (scope: ParameterScope, rates: WorkRates, network: (Weights) -> any Architecture) {
    var scope = ParameterScope()
    switch blueprint.family {
    case .set:
      let layers = try SetLayers<S.Made>(blueprint, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { SetNetwork(layers, $0) })
    case .joint:
      guard let head = head as? JointGaussianHead.Specification else {
        throw .blueprint("family 'joint' has head 'joint-gaussian'")
      }
      let layers = try SetLayers<JointGaussianHead>(
        blueprint, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { JointNetwork(layers, $0) })
    case .table:
      let layers = try TableLayers<S.Made>(
        blueprint, telling: .number, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { TableNetwork(layers, $0) })
    case .classes:
      guard let head = head as? LevelsHead.Specification else {
        throw .blueprint("family 'classes' has head 'levels'")
      }
      let layers = try TableLayers<LevelsHead>(
        blueprint, telling: .level, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { ClassNetwork(layers, $0) })
    case .streams:
      let layers = try StreamLayers<S.Made>(blueprint, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { StreamNetwork(layers, $0) })
    case .grid:
      let layers = GridLayers<S.Made>(blueprint, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { GridNetwork(layers, $0) })
    case .cells:
      let layers = try CellLayers<S.Made>(blueprint, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { CellNetwork(layers, $0) })
    case .sequence:
      let layers = try SequenceLayers<S.Made>(blueprint, head: { head.head($0, hidden: $1, &$2) }, &scope)
      return (scope, layers.rates, { SequenceNetwork(layers, $0) })
    }
  }

  /// Fills `weights` with a fresh start, a pure function of `seed`.
  public func initialise(_ weights: Weights, seed: UInt64) { scope.start(weights, seed: seed) }

  /// The network of these parameters with `weights`, which are of this table.
  public func network(_ weights: Weights) throws(ModelError) -> any Architecture {
    try Self.family(blueprint, blueprint.head.specification).network(weights)
  }
}
