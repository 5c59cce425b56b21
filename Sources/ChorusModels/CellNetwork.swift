import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A network that reads the cells of a table, columns first, then rows, then rows together (TabICL, Qu et al. 2025), and answers
/// targets beside a causal buffer, with its weights. Immutable and shared by threads.
///
/// Columns are read in the context alone, so that neither targets nor what a path has drawn change what a row's cells say.
public final class CellNetwork<H: Head>: Architecture {
  public let blueprint: Blueprint
  public let weights: Weights
  let layers: CellLayers<H>
  private let stack: Stack
  private let reader: CellReader

  /// - Parameter weights: of the table that the layers were declared in.
  init(_ layers: CellLayers<H>, _ weights: Weights) {
    blueprint = layers.blueprint
    self.weights = weights
    self.layers = layers
    stack = Stack(layers.stack, weights)
    reader = CellReader(layers.cells, weights)
  }

  /// What the memories can do; rows that come later would have to be read by the columns.
  public var memoryCapability: Capability {
    let own = stack.capability
    return Capability(
      holdsSet: own.holdsSet, fixedState: own.fixedState, rewind: own.rewind, subsetReads: own.subsetReads,
      prefixReads: own.prefixReads)
  }
  public var rates: WorkRates { layers.rates }

  public struct Context: Sendable {
    /// Rows read; 0 for an empty context, which is held as one learned token.
    public let rows: Int
    let columns: CellReader.Columns
    let layers: [any AnyObject & Sendable]
  }

  /// Rows as their cells say beside one context.
  public struct Questions: Sendable {
    public let count: Int
    /// As they were asked, `[count, columns]`.
    let x: [Float]
    let columns: CellReader.Columns
    /// `[count, width]`.
    let rows: FloatBuffer
    /// What is said of them before anything else is read.
    let alone: ContextAnswers
  }

  public typealias Paths = SetPaths

  public func fits(of context: Context) -> HintFits { HintFits() }
  public func raised(_ state: Context) -> Double { stack.raised(state.layers) }
  public func contextBytes(rows: Int) -> Int {
    stack.contextBytes(rows: max(rows, 1))
      + 8 * blueprint.inputDimensions * blueprint.cells.columnBlocks * blueprint.cells.points
      * layers.cells.width
  }
  public func bufferBytes(capacity: Int) -> Int { stack.bufferBytes(capacity: capacity) }

  // MARK: Encode

  private var describe: @Sendable (Float, UnsafeMutablePointer<Float>) -> Void {
    let head = layers.head
    return { head.describe($0, into: $1) }
  }

  /// Ey of observed values, `[count, width]`, in the arena.
  private func embed(values: some Collection<Float>, _ run: Workspace) -> UnsafePointer<Float> {
    let features = run.arena.floats(values.count * layers.outputs.inputs)
    for (row, value) in values.enumerated() {
      layers.head.describe(value, into: features + row * layers.outputs.inputs)
    }
    let out = run.arena.floats(values.count * blueprint.width)
    layers.outputs.apply(features, rows: values.count, into: out, run)
    return UnsafePointer(out)
  }

  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool? = nil) -> Context {
    let (columns, tokens) = reader.read(rows, describe: describe, on: pool)
    let width = blueprint.width
    let states = stack.encode(rows: max(rows.count, 1), on: pool) { [self] range, h, run in
      guard rows.count > 0 else {
        h.update(from: weights[layers.emptyContext], count: width)
        return
      }
      let ey = embed(values: rows.y[range], run)
      let own = tokens.pointer + range.lowerBound * width
      for i in 0..<range.count * width { h[i] = own[i] + ey[i] }
    }
    return Context(rows: rows.count, columns: columns, layers: states)
  }

  /// Rows taken in later would change what columns say of those before them: the whole context has to be read again.
  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    guard rows.count > 0 else { return context }
    return context.rows == 0 && !removing ? encode(rows, HintFits()) : nil
  }

  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    let count = x.count / max(dimensions, 1)
    return Questions(
      count: count, x: x, columns: context.columns, rows: reader.read(x, beside: context.columns),
      alone: ContextAnswers(
        context.layers[0], inputs: count, outputs: layers.head.map.outputs, units: 0))
  }

  // MARK: Advance

  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(
      count: count, capacity: capacity, layers: stack.buffers(paths: count, capacity: capacity))
  }

  public func rewind(_ paths: Paths, path: Int, to count: Int) { paths.rewind(path: path, to: count) }

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch, _ body: (H.Answer) -> Void
  ) {
    let head = layers.head
    paths.check(rows, inputs: questions.count)
    if questions.alone.serves(rows, context.layers[0]) {
      questions.alone.answer(rows) {
        (predict(paths, context, questions, $0), nil)
      } _: {
        body(head.answer($0.numbers, units: nil))
      }
      return
    }
    let raw = predict(paths, context, questions, rows)
    for query in 0..<rows.queries { body(head.answer(raw + query * head.map.outputs, units: nil)) }
  }

  /// The head's raw numbers of the queries; valid until the next call.
  private func predict(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch
  ) -> UnsafePointer<Float> {
    let run = Workspace(weights, paths.arena)
    run.arena.reset()
    paths.check(rows, inputs: questions.count)
    let places = Places(rows, run.arena)
    let h = assemble(rows, context, questions, run)
    let asked = stack.advance(
      h, places, contexts: context.layers, buffers: paths.layers, held: max(context.rows, 1), run)
    return layers.head.apply(asked, rows: rows.queries, run)
  }

  /// Tokens of the rows of one call, in the arena.
  private func assemble(
    _ batch: RowBatch, _ context: Context, _ questions: Questions, _ run: Workspace
  ) -> UnsafeMutablePointer<Float> {
    let width = blueprint.width
    let h = run.arena.floats(batch.count * width)
    if context.columns === questions.columns {
      for (row, input) in batch.inputs.enumerated() {
        (h + row * width).update(from: questions.rows.pointer + Int(input) * width, count: width)
      }
    } else {
      // A context that a path has made of its own has columns of its own.
      let d = questions.x.count / max(questions.count, 1)
      let x = batch.inputs.flatMap { questions.x[Int($0) * d..<(Int($0) + 1) * d] }
      let own = reader.read(x, beside: context.columns)
      withExtendedLifetime(own) { h.update(from: own.pointer, count: batch.count * width) }
    }
    let ey = embed(values: batch.values, run)
    let (buffer, target) = (weights[layers.roleBuffer], weights[layers.roleTarget])
    var commit = 0
    for row in 0..<batch.count {
      let own = h + row * width
      if batch.slots[row] >= 0 {
        for i in 0..<width { own[i] += ey[commit * width + i] + buffer[i] }
        commit += 1
      } else {
        for i in 0..<width { own[i] += target[i] }
      }
    }
    return h
  }

  // MARK: States outside the program

  /// Those of the rows: what columns say is read again.
  public func stateArrays(rows: Int) -> [StateArray] { stack.stateArrays(rows: max(rows, 1)).flatMap { $0 } }
  public func values(of context: Context) -> [[Float]] { stack.values(of: context.layers) }
  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    guard rows.dimensions > 0, rows.x.count == rows.count * rows.dimensions,
      let states = stack.states(rows: max(rows.count, 1), values: values)
    else { return nil }
    let columns = reader.read(rows, describe: describe, on: nil).columns
    return Context(rows: rows.count, columns: columns, layers: states)
  }

  // MARK: Training

  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let raw = layers.record(batch, task: task, prefixes: prefixes, on: tape)
    let first = task * batch.rows
    let targets = Targets(
      values: Array(batch.y[first + batch.targetRows.lowerBound..<first + batch.targetRows.upperBound]),
      weights: [Float](repeating: weight, count: batch.targets), units: nil)
    return layers.head.loss(raw, targets, on: tape)
  }
}
