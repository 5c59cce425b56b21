import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A network that reads a set of observed rows and answers targets beside a causal buffer (Hassan et al. 2026), with its
/// weights: ready to encode, extend and query. Immutable and shared by threads.
public final class SetNetwork<H: Head>: Architecture {
  public let blueprint: Blueprint
  public let weights: Weights
  let layers: SetLayers<H>
  let stack: Stack
  private let encoder: ContextEncoder?

  /// - Parameter weights: of the table that the layers were declared in.
  init(_ layers: SetLayers<H>, _ weights: Weights) {
    blueprint = layers.blueprint
    self.weights = weights
    self.layers = layers
    stack = Stack(layers.stack, weights)
    encoder = layers.encoder.map { ContextEncoder($0, weights) }
  }

  /// What all layers' memories can do.
  public var memoryCapability: Capability { stack.capability }

  /// What every layer holds of the context.
  public struct Context: Sendable {
    /// Rows read; 0 for an empty context, which is held as one learned token.
    public let rows: Int
    /// What hints found in the rows: inputs were shown with it, and those of buffers and targets have to be.
    let fits: HintFits
    /// The rows themselves, where the network is told of rows.
    let told: ToldContext?
    let layers: [any AnyObject & Sendable]
  }

  /// Inputs after the input embedder, `[count, d]`.
  public struct Questions: Sendable {
    public let count: Int
    let rows: FloatBuffer
    /// The inputs themselves, `[count, dimensions]`.
    let x: [Float]
    let dimensions: Int
    /// What the context says of them, where the network is told of rows.
    let told: ToldInputs?
    /// What is said of them before anything else is read.
    let alone: ContextAnswers
  }

  public var rates: WorkRates { layers.rates }
  public func fits(of context: Context) -> HintFits { context.fits }

  /// The most that a layer had to add to the ridge of its equation before it had an answer; 0 as a rule.
  public func raised(_ state: Context) -> Double { stack.raised(state.layers) }

  /// Bytes of a context state and of one path's buffers.
  public func contextBytes(rows: Int) -> Int {
    keptBytes(rows: rows) + stack.contextBytes(rows: blueprint.encoder.held(rows))
  }
  public func bufferBytes(capacity: Int) -> Int {
    keptBytes(rows: capacity) + blueprint.hints.pathBytes(capacity: capacity)
      + stack.bufferBytes(capacity: capacity)
  }
  /// Rows as they are, where the network is told of rows.
  private func keptBytes(rows: Int) -> Int {
    blueprint.hints.rows.isEmpty ? 0 : 4 * rows * (blueprint.inputDimensions + 1)
  }

  // MARK: Embedding

  @specialized(where H == MixtureHead)
  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    let count = x.count / max(dimensions, 1)
    let rows = FloatBuffer(count: count * blueprint.width)
    stack.run { run in
      embed(x, 0..<count, dimensions: dimensions, context.fits, into: rows.pointer, run)
    }
    return Questions(
      count: count, rows: rows, x: x, dimensions: dimensions,
      told: context.told?.asked(x),
      alone: ContextAnswers(
        context.layers[0], inputs: count, outputs: layers.head.map.outputs,
        units: context.told == nil ? 0 : 1))
  }

  private func embed(
    _ x: [Float], _ range: Range<Int>, dimensions: Int, _ fits: HintFits,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let width = layers.inputs.inputs
    let features = run.arena.floats(range.count * width)
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for (place, row) in range.enumerated() {
        layers.writeFeatures(
          x + row * dimensions, dimensions: dimensions, fits, into: features + place * width)
      }
    }
    layers.inputs.apply(features, rows: range.count, into: out, run)
  }

  /// Ey of `count` observed values.
  func embed(
    values: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let width = layers.head.valueFeatures
    guard width > 1 else {
      layers.outputs.apply(values, rows: count, into: out, run)
      return
    }
    let features = run.arena.floats(count * width)
    for row in 0..<count { layers.head.describe(values[row], into: features + row * width) }
    layers.outputs.apply(features, rows: count, into: out, run)
  }

  func add(_ parameter: Parameter, row: Int = 0, to out: UnsafeMutablePointer<Float>, rows: Int) {
    let d = blueprint.width
    let vector = weights[parameter] + row * d
    for index in 0..<rows {
      for column in 0..<d { out[index * d + column] += vector[column] }
    }
  }

  // MARK: Encode

  /// Reads a context once.
  @specialized(where H == MixtureHead)
  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool? = nil) -> Context {
    let told = ToldContext(blueprint.hints, rows, fits)
    let tokens: @Sendable (Range<Int>, UnsafeMutablePointer<Float>, Workspace) -> Void = {
      [self] range, h, run in
      if rows.count == 0 {
        h.update(from: weights[layers.emptyContext], count: blueprint.width)
      } else {
        observe(rows, range, fits, told, into: h, run)
      }
    }
    let states =
      blueprint.encoder == .shared
      ? stack.encode(rows: max(rows.count, 1), on: pool, embed: tokens)
      : encode(max(rows.count, 1), tokens)
    return Context(rows: rows.count, fits: fits, told: told, layers: states)
  }

  /// The states of a context of `rows` rows that does not go through the blocks as a set.
  private func encode(
    _ rows: Int, _ tokens: (Range<Int>, UnsafeMutablePointer<Float>, Workspace) -> Void
  ) -> [any AnyObject & Sendable] {
    stack.run { run in
      let h = run.arena.floats(rows * blueprint.width)
      let mark = run.arena.mark
      tokens(0..<rows, h, run)
      run.arena.rewind(to: mark)
      guard let encoder else { return stack.encode(inOrder: h, rows: rows, run) ?? stack.emptyContexts }
      var states: [any AnyObject & Sendable] = []
      encoder.encode(h, rows: rows, blocks: blueprint.layers, Workspace(weights, run.arena)) {
        block, read, rows in
        states.append(stack.state(block, of: read, rows: rows, run))
      }
      return states
    }
  }

  /// Tokens of the observed rows in `range`: Ex(x) + Ey(y) + role, and what the others say of them.
  ///
  /// - Parameter told: all rows observed, these among them from `place` on.
  @specialized(where H == MixtureHead)
  private func observe(
    _ rows: NetworkRows, _ range: Range<Int>, _ fits: HintFits, _ told: ToldContext?, place: Int = 0,
    into h: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let d = blueprint.width
    let outputs = run.arena.floats(range.count * d)
    rows.y.withUnsafeBufferPointer { y in
      guard let y = y.baseAddress else { return }
      embed(values: y + range.lowerBound, count: range.count, into: outputs, run)
    }
    embed(rows.x, range, dimensions: rows.dimensions, fits, into: h, run)
    for index in 0..<range.count * d { h[index] += outputs[index] }
    if let told, let nearRow = layers.nearRow {
      let features = run.arena.floats(range.count * nearRow.inputs)
      told.tell(range.lowerBound + place..<range.upperBound + place, into: features, width: nearRow.inputs)
      nearRow.apply(features, rows: range.count, residual: h, into: h, run)
    }
    add(layers.roleContext, to: h, rows: range.count)
  }

  // MARK: Rows taken in later

  /// A context with further rows read, or (`removing`) with rows taken out: layer by layer the rows' own keys and values
  /// join the state or leave it, and no other row is read again.
  ///
  /// With one layer that is what encoding all rows at once gives, since keys and values come from the rows alone (and, where
  /// the blueprint has hints of rows, from those that tell of them, which the rows that were there before do not see change). In
  /// deeper layers the rows that were there before keep the keys they had: they have not read the new ones, or have still
  /// read those that left.
  ///
  /// - Parameter rows: when removing, rows of the context.
  public func observing(_ state: Context, _ rows: NetworkRows, removing: Bool = false) -> Context? {
    guard rows.count > 0 else { return state }
    guard state.rows > 0 else { return removing ? nil : encode(rows, fits(rows)) }
    guard encoder == nil, !(removing && blueprint.encoder == .causal) else { return nil }
    // All rows that tell of those observed here, with these last.
    let others = removing ? state.told?.changed(by: rows, removing: true) : state.told
    let told = others?.changed(by: rows, removing: false)
    let merged = stack.run { run -> [any AnyObject & Sendable]? in
      let h = run.arena.floats(rows.count * blueprint.width)
      observe(rows, 0..<rows.count, state.fits, told, place: others?.count ?? 0, into: h, run)
      // Rows in an order see those before them, and not each other.
      return blueprint.encoder == .causal
        ? stack.encode(inOrder: h, rows: rows.count, after: state.layers, run)
        : stack.merging(state.layers, h, rows: rows.count, removing: removing, run)
    }
    return merged.map {
      Context(
        rows: state.rows + (removing ? -rows.count : rows.count), fits: state.fits,
        told: removing ? others : told, layers: $0)
    }
  }

  // MARK: States outside the program

  public func stateArrays(rows: Int) -> [StateArray] {
    stack.stateArrays(rows: blueprint.encoder.held(rows)).flatMap { $0 }
  }

  public func values(of context: Context) -> [[Float]] { stack.values(of: context.layers) }

  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    guard rows.dimensions > 0, rows.x.count == rows.count * rows.dimensions,
      let states = stack.states(rows: blueprint.encoder.held(rows.count), values: values)
    else { return nil }
    return Context(
      rows: rows.count, fits: fits, told: ToldContext(blueprint.hints, rows, fits), layers: states)
  }
}
