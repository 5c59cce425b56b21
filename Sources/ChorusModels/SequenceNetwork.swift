import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// The parameters of a network of tokens one after another, each of which predicts the next.
struct SequenceLayers<H: Head>: Sendable {
  let blueprint: Blueprint
  /// From what is known of a value to its token.
  let tokens: Embedder
  /// The token before the first value, and of a row that is told no value.
  let start: Parameter
  /// From the inputs of a value to what is added to the token before it; nil where nothing is told of them.
  let inputs: Embedder?
  let stack: StackLayers
  let head: H

  init(
    _ blueprint: Blueprint, head: (_ width: Int, _ hidden: Int, inout ParameterScope) -> H,
    _ scope: inout ParameterScope
  ) throws(ModelError) {
    self.blueprint = blueprint
    let d = blueprint.width
    var unused = ParameterScope()
    let features = head(d, blueprint.headHidden, &unused).valueFeatures
    tokens = scope.nested("embed.y") { Embedder(features, hidden: blueprint.embedderHidden, d, &$0) }
    start = scope.parameter("token.start", 1, d, .normal(deviation: 0.1))
    inputs =
      blueprint.tellsInputs
      ? scope.nested("embed.x") {
        Embedder(blueprint.inputDimensions, hidden: blueprint.embedderHidden, d, &$0)
      }
      : nil
    stack = try StackLayers(blueprint, &scope)
    self.head = scope.nested("head") { head(d, blueprint.headHidden, &$0) }
  }

  /// A context is values alone, which every path commits to its own state.
  var rates: WorkRates {
    var held = stack.held
    held.context = 0
    return WorkRates(
      layers: stack.rates, input: WorkRates.Embedding(first: 0, rest: 0),
      value: WorkRates.Embedding(first: tokens.first.work, rest: tokens.feed.work), head: head.map.work,
      held: held)
  }
}

/// A network of tokens one after another: the case of an empty context whose committed rows themselves predict.
///
/// A context is the values so far. Every path commits them to its own buffer before anything else; a query that reads the first n
/// rows of its path is answered by the last of them. Values are asked for in their order, so that the row of a value can be told
/// the inputs of the next one; without `Blueprint.tellsInputs` inputs say nothing. With `Blueprint.pairsValues` a row of the
/// context is told its own value and inputs, and one of a path its inputs alone: outputs of new inputs are foretold from pairs,
/// whatever came of those before.
public final class SequenceNetwork<H: Head>: Architecture {
  public let blueprint: Blueprint
  public let weights: Weights
  let layers: SequenceLayers<H>
  let stack: Stack
  /// Rows that go through the network in one piece; a recurrent memory goes back no farther than its chunk.
  private let piece: Int

  init(_ layers: SequenceLayers<H>, _ weights: Weights) {
    blueprint = layers.blueprint
    self.weights = weights
    self.layers = layers
    stack = Stack(layers.stack, weights)
    if case .newest(let chunk) = stack.capability.prefixReads { piece = min(chunk, 64) } else { piece = 64 }
  }

  /// A query is answered by the row before it, which has read everything up to itself: no plan may leave rows out.
  public var memoryCapability: Capability {
    var capability = stack.capability
    capability.subsetReads = false
    return capability
  }
  public var rates: WorkRates { layers.rates }

  /// The values so far, in their order, in the network's units.
  public struct Context: Sendable {
    let rows: NetworkRows
    let fits: HintFits
  }

  /// Inputs of the values that are asked for, in their order; none where nothing is told of them.
  public struct Questions: Sendable {
    fileprivate let inputs: [[Float]]
  }

  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool?) -> Context {
    Context(rows: rows, fits: fits)
  }
  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    Questions(inputs: told(x, dimensions: dimensions))
  }

  /// Inputs row by row, with zeros for dimensions that there are not; none where nothing is told of them.
  private func told(_ x: [Float], dimensions: Int) -> [[Float]] {
    guard layers.inputs != nil else { return [] }
    let padding = [Float](repeating: 0, count: max(0, blueprint.inputDimensions - dimensions))
    return stride(from: 0, to: x.count, by: max(dimensions, 1)).map {
      Array(x[$0..<min($0 + dimensions, x.count)]) + padding
    }
  }
  public func fits(of context: Context) -> HintFits { context.fits }
  public func raised(_ context: Context) -> Double { 0 }
  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    removing ? nil : Context(rows: context.rows.appending(rows), fits: context.fits)
  }
  public func stateArrays(rows: Int) -> [StateArray] { [] }
  public func values(of context: Context) -> [[Float]] { [] }
  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    values.isEmpty ? Context(rows: rows, fits: fits) : nil
  }
  public func contextBytes(rows: Int) -> Int { 4 * rows }
  public func bufferBytes(capacity: Int) -> Int { stack.bufferBytes(capacity: capacity + 1) }

  // MARK: As a network of tokens

  /// What is between a token's representation and the raw numbers of the next.
  package var parts: (stack: StackLayers, raw: FeedForward) { (layers.stack, layers.head.map) }

  // MARK: Advance

  /// The rows of some paths and what each says of the next value.
  public final class Paths {
    let capacity: Int
    let count: Int
    /// Made at the first call, which tells how many values come before.
    fileprivate var held: Held?
    let arena = Arena(blockCount: 1 << 15)

    init(count: Int, capacity: Int) { (self.count, self.capacity) = (count, capacity) }

    fileprivate struct Held {
      let layers: [AnyObject]
      /// Rows before the first of the path's own: the start and the context.
      let before: Int
      /// The head's raw numbers of every row, `[paths, rows, outputs]`.
      let raw: FloatBuffer
      let rows: Int
    }
  }

  public func branch(paths count: Int, capacity: Int) -> Paths { Paths(count: count, capacity: capacity) }

  /// Buffers hold what they held; rows written anew take the places of those forgotten.
  public func rewind(_ paths: Paths, path: Int, to count: Int) {}

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ batch: RowBatch, _ body: (H.Answer) -> Void
  ) {
    let outputs = layers.head.map.outputs
    let held = paths.held ?? begin(paths, context, questions)
    paths.held = held
    var commits: [Row] = []
    var place = 0
    for row in 0..<batch.count where batch.slots[row] >= 0 {
      precondition(Int(batch.slots[row]) < paths.capacity, "a slot lies within the paths' capacity")
      commits.append(
        Row(
          path: batch.path[row], slot: batch.slots[row] + Int32(held.before),
          value: blueprint.pairsValues ? nil : batch.values[place],
          inputs: questions.inputs.dropFirst(Int(batch.inputs[row]) + 1).first))
      place += 1
    }
    send(commits, paths, held)
    for row in 0..<batch.count where batch.slots[row] < 0 {
      let last = held.before + Int(batch.limits[row]) - 1
      let raw = held.raw.pointer + (Int(batch.path[row]) * held.rows + last) * outputs
      body(layers.head.answer(raw, units: nil))
    }
  }

  private struct Row {
    let path: Int32
    let slot: Int32
    /// Nil for the token before the first value, and for a pair whose value is not told.
    let value: Float?
    /// Of the value that the row predicts; nil where there is none, or nothing is told of it.
    let inputs: [Float]?
  }

  /// Commits the start and the values so far to every path.
  private func begin(_ paths: Paths, _ context: Context, _ questions: Questions) -> Paths.Held {
    let before = 1 + context.rows.count
    let rows = before + paths.capacity
    let held = Paths.Held(
      layers: stack.buffers(paths: paths.count, capacity: rows), before: before,
      raw: FloatBuffer(count: paths.count * rows * layers.head.map.outputs), rows: rows)
    var inputs = told(context.rows.x, dimensions: context.rows.dimensions)
    inputs += questions.inputs.prefix(1)
    for path in 0..<paths.count {
      let told = context.rows.y.map(Optional.init)
      let values: [Float?] = blueprint.pairsValues ? told + [nil] : [nil] + told
      send(
        values.enumerated().map {
          Row(
            path: Int32(path), slot: Int32($0.offset), value: $0.element,
            inputs: inputs.dropFirst($0.offset).first)
        }, paths, held)
    }
    return held
  }

  /// Sends rows through the network, path by path and in pieces, and keeps what each says of the next value.
  private func send(_ rows: [Row], _ paths: Paths, _ held: Paths.Held) {
    var first = 0
    while first < rows.count {
      var last = first
      while last < rows.count, last - first < piece, rows[last].path == rows[first].path { last += 1 }
      send(rows[first..<last], paths, held)
      first = last
    }
  }

  private func send(_ rows: ArraySlice<Row>, _ paths: Paths, _ held: Paths.Held) {
    let run = Workspace(weights, paths.arena)
    run.arena.reset()
    let (d, outputs) = (blueprint.width, layers.head.map.outputs)
    let h = run.arena.floats(rows.count * d)
    embed(rows, into: h, run)
    let places = Places(
      sequence: rows.map(\.path), slots: rows.map(\.slot), run.arena)
    let asked = stack.advance(h, places, contexts: stack.emptyContexts, buffers: held.layers, run)
    let raw = layers.head.apply(asked, rows: rows.count, run)
    for (index, row) in rows.enumerated() {
      (held.raw.pointer + (Int(row.path) * held.rows + Int(row.slot)) * outputs)
        .update(from: raw + index * outputs, count: outputs)
    }
  }

  private func embed(_ rows: ArraySlice<Row>, into h: UnsafeMutablePointer<Float>, _ run: Workspace) {
    let (d, width) = (blueprint.width, layers.tokens.inputs)
    let features = run.arena.zeros(rows.count * width)
    for (index, row) in rows.enumerated() {
      if let value = row.value { layers.head.describe(value, into: features + index * width) }
    }
    layers.tokens.apply(features, rows: rows.count, into: h, run)
    for (index, row) in rows.enumerated() where row.value == nil {
      (h + index * d).update(from: weights[layers.start], count: d)
    }
    guard let inputs = layers.inputs else { return }
    let told = run.arena.zeros(rows.count * inputs.inputs)
    for (index, row) in rows.enumerated() {
      if let own = row.inputs { (told + index * inputs.inputs).update(from: own, count: own.count) }
    }
    let added = run.arena.floats(rows.count * d)
    inputs.apply(told, rows: rows.count, into: added, run)
    for place in 0..<rows.count * d { h[place] += added[place] }
  }

  // MARK: Training

  /// The loss of a task's targets, each predicted from all values before it: context, buffer and targets are one sequence.
  /// Where only some targets are asked, the weights of all are theirs, and so are the log-densities. Of pairs, the context's
  /// values are told and no other.
  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let values = Array(batch.y[task * batch.rows..<(task + 1) * batch.rows])
    let (count, width) = (values.count, layers.tokens.inputs)
    // The token of value i−1 predicts value i; the first has the start before it. A pair is told its own value.
    let (known, shift) = blueprint.pairsValues ? (batch.context, 0) : (max(count - 1, 0), 1)
    var features = [Float](repeating: 0, count: known * width)
    features.withUnsafeMutableBufferPointer { out in
      guard let out = out.baseAddress else { return }
      for (row, value) in values.prefix(known).enumerated() {
        layers.head.describe(value, into: out + row * width)
      }
    }
    let places = (0..<count).map { (shift..<known + shift).contains($0) ? Int32($0 - shift) : -1 }
    var terms: [GatherTerm] = [.parameter(layers.start, places.map { $0 < 0 ? 0 : -1 })]
    if known > 0 {
      let tokens = layers.tokens.record(
        tape.constant(features, rows: known, columns: width), on: tape)
      terms.append(.node(tokens, places))
    }
    if let inputs = layers.inputs {
      let own = batch.x[task * batch.rows * batch.dimensions..<(task + 1) * batch.rows * batch.dimensions]
      let x = told(Array(own), dimensions: batch.dimensions).flatMap { $0 }
      let added = inputs.record(tape.constant(x, rows: count, columns: inputs.inputs), on: tape)
      terms.append(.node(added, (0..<Int32(count)).map { $0 }))
    }
    let h = tape.gather(terms, rows: count, columns: blueprint.width)
    let targets = count - batch.targets..<count
    // A blueprint with reads that no sequence can have is not declared.
    let access = blueprint.trainedReads.flatMap { try? Access($0, tokens: count, start: true) }
    let (among, asking) = (access?.blocks(0..<count), access?.blocks(targets))
    let read = layers.stack.record(
      h, stored: 0..<count, asked: targets, on: tape, keys: { ($0 ? asking : among)?.keys },
      visible: { askedOnly in
        if let own = askedOnly ? asking : among { return own.blocks }
        let rows = askedOnly ? targets : 0..<count
        return [
          VisibleBlock(
            queries: 0..<rows.count, shared: 0..<0, own: 0..<count, limits: rows.map { Int32($0 + 1) })
        ]
      })
    let asked = batch.asked[task].isEmpty ? nil : batch.asked[task].indices.filter { batch.asked[task][$0] }
    let share = weight * Float(batch.targets) / Float(max(asked?.count ?? batch.targets, 1))
    let scored = asked ?? Array(0..<batch.targets)
    let answering = asked.map {
      tape.gather([.node(read, $0.map(Int32.init))], rows: $0.count, columns: read.columns)
    }
    return layers.head.loss(
      layers.head.map.record(answering ?? read, on: tape),
      Targets(
        values: scored.map { values[targets.lowerBound + $0] },
        weights: [Float](repeating: share, count: scored.count)), on: tape)
  }
}

extension SequenceNetwork where H == CategoricalHead {
  /// Levels that a token may have.
  package var levels: Int { layers.head.levels }

  /// Representations of the levels as tokens and, behind them, of the token before the first, `[levels + 1, width]`.
  package var tokenRows: FloatBuffer {
    let (d, width) = (blueprint.width, layers.tokens.inputs)
    let rows = FloatBuffer(count: (levels + 1) * d)
    let run = Workspace(weights, Arena())
    let features = run.arena.zeros(levels * width)
    for level in 0..<levels { layers.head.describe(Float(level), into: features + level * width) }
    layers.tokens.apply(features, rows: levels, into: rows.pointer, run)
    (rows.pointer + levels * d).update(from: weights[layers.start], count: d)
    return rows
  }
}

extension SequenceNetwork {
  // MARK: Densities

  public func logDensities(inOrder values: [Float], reading template: PlanTemplate) throws -> [Double] {
    guard layers.inputs == nil else {
      throw ModelError.input("this network is told inputs beside the values")
    }
    let access = try Access(template, tokens: values.count, start: true)
    guard stack.capability.subsetReads || access.reads.allSatisfy({ $0 == nil }) else {
      throw ModelError.input("memories that read all rows or none cannot leave out what '\(template)' does")
    }
    let buffers = stack.buffers(paths: 1, capacity: values.count)
    var result: [Double] = []
    for first in stride(from: 0, to: values.count, by: piece) {
      let range = first..<min(first + piece, values.count)
      stack.run { run in
        let rows = range.map {
          Row(path: 0, slot: Int32($0), value: $0 == 0 ? nil : values[$0 - 1], inputs: nil)
        }
        let h = run.arena.floats(rows.count * blueprint.width)
        embed(rows[...], into: h, run)
        let places = Places(
          sequence: rows.map(\.path), slots: rows.map(\.slot),
          reads: range.map { access.reads[$0] ?? .prefix($0 + 1) }, run.arena)
        let asked = stack.advance(h, places, contexts: stack.emptyContexts, buffers: buffers, run)
        let raw = layers.head.apply(asked, rows: rows.count, run)
        for (index, value) in values[range].enumerated() {
          let answer = layers.head.answer(raw + index * layers.head.map.outputs, units: nil)
          result.append(answer.law.logDensity(H.Answer.Law.value(value)))
        }
      }
    }
    return result
  }
}
