import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A network that reads the rows of a table as estimators tell of them, and answers targets beside a causal buffer, with its weights.
/// Immutable and shared by threads.
///
/// Its inputs are told rows, as wide as a `ToldRow`: whoever asks it has a `TableFit`, or, as a part of a `ClassNetwork`, a `ToldClasses`.
public final class TableNetwork<H: Head>: Architecture {
  public let blueprint: Blueprint
  public let weights: Weights
  let layers: TableLayers<H>
  let stack: Stack

  /// - Parameter weights: of the table that the layers were declared in.
  init(_ layers: TableLayers<H>, _ weights: Weights) {
    blueprint = layers.blueprint
    self.weights = weights
    self.layers = layers
    stack = Stack(layers.stack, weights)
  }

  public var memoryCapability: Capability { stack.capability }
  public var rates: WorkRates { layers.rates }

  public struct Context: Sendable {
    /// Rows read; 0 for an empty context, which is held as one learned token.
    public let rows: Int
    let layers: [any AnyObject & Sendable]
  }

  /// Told rows after the embedder.
  public struct Questions: Sendable {
    public let count: Int
    /// `[count, width]`.
    let rows: FloatBuffer
    /// As they were told, `[count, width of a told row]`.
    let told: [Float]
    /// What is said of them before anything else is read.
    let alone: ContextAnswers
  }

  public func fits(of context: Context) -> HintFits { HintFits() }
  public func raised(_ state: Context) -> Double { stack.raised(state.layers) }
  public func contextBytes(rows: Int) -> Int { stack.contextBytes(rows: max(rows, 1)) }
  public func bufferBytes(capacity: Int) -> Int { stack.bufferBytes(capacity: capacity) }

  // MARK: Embedding

  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    let count = x.count / layers.row.width
    let rows = FloatBuffer(count: count * blueprint.width)
    stack.run { run in embed(x, 0..<count, into: rows.pointer, run) }
    return Questions(
      count: count, rows: rows, told: x,
      alone: ContextAnswers(
        context.layers[0], inputs: count, outputs: layers.head.map.outputs, units: layers.row.units))
  }

  /// Ex(told) and places of some rows, `[range, width]`.
  private func embed(
    _ x: [Float], _ range: Range<Int>, into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let (width, k, d) = (layers.row.width, layers.row.features, layers.columns)
    let features = run.arena.floats(range.count * k)
    let embedded = run.arena.floats(range.count * d)
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for (place, row) in range.enumerated() {
        (features + place * k).update(from: x + row * width, count: k)
      }
      layers.told.apply(features, rows: range.count, into: embedded, run)
      for (place, row) in range.enumerated() {
        let own = out + place * blueprint.width
        own.update(from: embedded + place * d, count: d)
        layers.places.write(x + row * width + k, into: own + d)
      }
    }
  }

  /// Ey of observed values, `[count, columns]`; `told` points to what was told of each row.
  private func embed(
    values: UnsafePointer<Float>, count: Int, told: (Int) -> UnsafePointer<Float>, _ run: Workspace
  ) -> UnsafePointer<Float> {
    let k = 1 + TableExperts.count
    let features = run.arena.floats(count * k)
    for row in 0..<count { TableLayers<H>.describe(values[row], told(row), into: features + row * k) }
    let out = run.arena.floats(count * layers.columns)
    layers.outputs.apply(features, rows: count, into: out, run)
    return UnsafePointer(out)
  }

  // MARK: Encode

  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool? = nil) -> Context {
    let states = stack.encode(rows: max(rows.count, 1), on: pool) { [self] range, h, run in
      observe(rows, range, into: h, run)
    }
    return Context(rows: rows.count, layers: states)
  }

  /// Tokens of the observed rows in `range`.
  private func observe(
    _ rows: NetworkRows, _ range: Range<Int>, into h: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let (width, d) = (blueprint.width, layers.columns)
    guard rows.count > 0 else {
      h.update(repeating: 0, count: width)
      h.update(from: weights[layers.emptyContext], count: d)
      return
    }
    embed(rows.x, range, into: h, run)
    rows.x.withUnsafeBufferPointer { x in
      rows.y.withUnsafeBufferPointer { y in
        guard let x = x.baseAddress, let y = y.baseAddress else { return }
        let ey = embed(
          values: y + range.lowerBound, count: range.count,
          told: { x + (range.lowerBound + $0) * layers.row.width }, run)
        let role = weights[layers.roleContext]
        for row in 0..<range.count {
          for column in 0..<d { h[row * width + column] += ey[row * d + column] + role[column] }
        }
      }
    }
  }

  /// A context with further rows read, or with rows taken out; nil where a memory cannot do it.
  public func observing(_ state: Context, _ rows: NetworkRows, removing: Bool = false) -> Context? {
    guard rows.count > 0 else { return state }
    guard state.rows > 0 else { return removing ? nil : encode(rows, HintFits()) }
    let merged = stack.run { run -> [any AnyObject & Sendable]? in
      let h = run.arena.floats(rows.count * blueprint.width)
      observe(rows, 0..<rows.count, into: h, run)
      return stack.merging(state.layers, h, rows: rows.count, removing: removing, run)
    }
    return merged.map { Context(rows: state.rows + (removing ? -rows.count : rows.count), layers: $0) }
  }

  // MARK: Advance

  public typealias Paths = SetPaths

  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(
      count: count, capacity: capacity, layers: stack.buffers(paths: count, capacity: capacity))
  }

  public func rewind(_ paths: Paths, path: Int, to count: Int) { paths.rewind(path: path, to: count) }

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch, _ body: (H.Answer) -> Void
  ) {
    ask(paths, context, questions, rows) { body(layers.head.answer($0.numbers, units: $0.units)) }
  }

  /// The head's raw numbers of each query of a call, and the units of its estimators.
  func ask(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch,
    _ body: (ContextAnswers.Raw) -> Void
  ) {
    if questions.alone.serves(rows, context.layers[0]) {
      paths.check(rows, inputs: questions.count)
      questions.alone.answer(rows) {
        predict(paths, context, questions, $0)
      } _: {
        body($0)
      }
      return
    }
    let (raw, units) = predict(paths, context, questions, rows)
    for query in 0..<rows.queries {
      body((raw + query * layers.head.map.outputs, units.map { $0 + query * 2 * layers.row.units }))
    }
  }

  /// The head's raw numbers of the queries, and the units of the estimators; valid until the next call.
  private func predict(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch
  ) -> ContextAnswers.Raw {
    let run = Workspace(weights, paths.arena)
    run.arena.reset()
    paths.check(rows, inputs: questions.count)
    let places = Places(rows, run.arena)
    let h = run.arena.floats(rows.count * blueprint.width)
    let units = run.arena.doubles(rows.queries * 2 * layers.row.units)
    assemble(h, units, rows, questions, run)
    let asked = stack.advance(h, places, contexts: context.layers, buffers: paths.layers, run)
    return (UnsafePointer(layers.head.apply(asked, rows: rows.queries, run)), UnsafePointer(units))
  }

  /// Tokens of the rows of one call, and the units of those asked for.
  private func assemble(
    _ h: UnsafeMutablePointer<Float>, _ units: UnsafeMutablePointer<Double>, _ batch: RowBatch,
    _ inputs: Questions, _ run: Workspace
  ) {
    let (width, d) = (blueprint.width, layers.columns)
    let (buffer, target) = (weights[layers.roleBuffer], weights[layers.roleTarget])
    let commits = batch.slots.indices.filter { batch.slots[$0] >= 0 }
    inputs.told.withUnsafeBufferPointer { told in
      batch.values.withUnsafeBufferPointer { values in
        guard let told = told.baseAddress else { return }
        func own(_ row: Int) -> UnsafePointer<Float> { told + Int(batch.inputs[row]) * layers.row.width }
        var ey: UnsafePointer<Float>?
        if let values = values.baseAddress, !commits.isEmpty {
          ey = embed(values: values, count: commits.count, told: { own(commits[$0]) }, run)
        }
        var (commit, query) = (0, 0)
        for row in 0..<batch.count {
          let out = h + row * width
          out.update(from: inputs.rows.pointer + Int(batch.inputs[row]) * width, count: width)
          if batch.slots[row] >= 0, let ey {
            for column in 0..<d { out[column] += ey[commit * d + column] + buffer[column] }
            commit += 1
          } else {
            for column in 0..<d { out[column] += target[column] }
            for index in 0..<layers.row.units {
              let unit = layers.row.unit(index, of: own(row))
              let place = 2 * (query * layers.row.units + index)
              (units[place], units[place + 1]) = (unit.origin, unit.scale)
            }
            query += 1
          }
        }
      }
    }
  }

  // MARK: States outside the program

  public func stateArrays(rows: Int) -> [StateArray] { stack.stateArrays(rows: max(rows, 1)).flatMap { $0 } }
  public func values(of context: Context) -> [[Float]] { stack.values(of: context.layers) }
  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    guard rows.dimensions == layers.row.width, rows.x.count == rows.count * rows.dimensions,
      let states = stack.states(rows: max(rows.count, 1), values: values)
    else { return nil }
    return Context(rows: rows.count, layers: states)
  }

  // MARK: Training

  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let (raw, units) = layers.record(batch, task: task, prefixes: prefixes, on: tape)
    let first = task * batch.rows
    let targets = Targets(
      values: Array(batch.y[first + batch.targetRows.lowerBound..<first + batch.targetRows.upperBound]),
      weights: [Float](repeating: weight, count: batch.targets), units: units)
    return layers.head.loss(raw, targets, on: tape)
  }
}
