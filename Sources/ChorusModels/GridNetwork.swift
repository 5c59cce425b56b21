import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A convolutional network on a grid (`GridLayers`), with its weights. A path's own rows are read by encoding anew with the
/// context (AR-CNP, Bruinsma et al. 2023), whatever a plan calls them. Immutable and shared by threads.
public final class GridNetwork<H: Head>: Architecture {
  public let blueprint: Blueprint
  public let weights: Weights
  let layers: GridLayers<H>
  private let scratch = ScratchPool()

  /// - Parameter weights: of the table that the layers were declared in.
  init(_ layers: GridLayers<H>, _ weights: Weights) {
    blueprint = layers.blueprint
    self.weights = weights
    self.layers = layers
  }

  public var memoryCapability: Capability {
    Capability(holdsSet: true, fixedState: false, rewind: true, subsetReads: true)
  }
  public var rates: WorkRates { layers.rates }

  /// What every point of the grid says once rows are read.
  public struct Context: Sendable {
    let rows: NetworkRows
    let grid: LineGrid
    let points: FloatBuffer
  }

  public struct Questions: Sendable { let x: [Float] }

  /// The rows of some paths as they are.
  public final class Paths {
    fileprivate let arena = Arena(blockCount: 1 << 15)
    fileprivate var slots: [[(x: Float, y: Float)?]]
    init(count: Int, capacity: Int) {
      slots = Array(repeating: Array(repeating: nil, count: capacity), count: count)
    }
  }

  public func fits(of context: Context) -> HintFits { HintFits() }
  public func raised(_ context: Context) -> Double { 0 }
  public func contextBytes(rows: Int) -> Int { 8 * rows + 4 * LineGrid.most * blueprint.width }
  public func bufferBytes(capacity: Int) -> Int { 8 * capacity }

  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool? = nil) -> Context {
    scratch.with { encode(rows, Workspace(weights, $0, on: pool)) }
  }

  private func encode(_ rows: NetworkRows, _ run: Workspace) -> Context {
    let grid = LineGrid(rows.x, density: Double(blueprint.gridDensity))
    let (d, taps) = (blueprint.width, GridLayers<H>.taps)
    let h = FloatBuffer(uninitialised: grid.count * d)
    let mark = run.arena.mark
    grid.spread(x: rows.x, y: rows.y).withUnsafeBufferPointer { spread in
      guard let spread = spread.baseAddress else { return }
      layers.inputs.apply(spread, rows: grid.count, into: h.pointer, run)
    }
    let (normed, wide) = (run.arena.floats(grid.count * d), run.arena.floats(grid.count * d * taps.count))
    for (index, block) in layers.blocks.enumerated() {
      block.norm.apply(h.pointer, rows: grid.count, into: normed, run)
      for point in 0..<grid.count {
        for (place, tap) in taps.enumerated() {
          let (from, to) = (
            point + tap * GridLayers<H>.step(index), wide + (point * taps.count + place) * d
          )
          if (0..<grid.count).contains(from) {
            to.update(from: normed + from * d, count: d)
          } else {
            to.update(repeating: 0, count: d)
          }
        }
      }
      block.feed.apply(wide, rows: grid.count, residual: h.pointer, into: h.pointer, run)
    }
    layers.last.apply(h.pointer, rows: grid.count, into: h.pointer, run)
    run.arena.rewind(to: mark)
    return Context(rows: rows, grid: grid, points: h)
  }

  /// Rows taken in later change the whole grid: the context has to be read again.
  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    guard rows.count > 0 else { return context }
    return context.rows.count == 0 && !removing ? encode(rows, HintFits()) : nil
  }

  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions { Questions(x: x) }

  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(count: count, capacity: capacity)
  }

  /// Rows committed anew take the places of those forgotten.
  public func rewind(_ paths: Paths, path: Int, to count: Int) {}

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ batch: RowBatch, _ body: (H.Answer) -> Void
  ) {
    let run = Workspace(weights, paths.arena)
    run.arena.reset()
    var committed = 0
    for row in 0..<batch.count where batch.slots[row] >= 0 {
      let slot = Int(batch.slots[row])
      precondition(slot < paths.slots[Int(batch.path[row])].count, "a slot lies within the paths' capacity")
      paths.slots[Int(batch.path[row])][slot] = (
        questions.x[Int(batch.inputs[row])], batch.values[committed]
      )
      committed += 1
    }
    let d = blueprint.width
    let asked = run.arena.zeros(batch.queries * d)
    var (query, state) = (0, context)
    var read: (path: Int32, slots: [Int]) = (-1, [])
    for row in 0..<batch.count where batch.slots[row] < 0 {
      let slots = batch.slotsRead(row)
      if !(slots.isEmpty && read.slots.isEmpty), read != (batch.path[row], slots) {
        let known = slots.compactMap { paths.slots[Int(batch.path[row])][$0] }
        state =
          known.isEmpty
          ? context
          : encode(
            context.rows.appending(NetworkRows(x: known.map(\.x), y: known.map(\.y), dimensions: 1)), run)
      }
      read = (batch.path[row], slots)
      for (point, weight) in state.grid.reads(questions.x[Int(batch.inputs[row])]) {
        let from = state.points.pointer + point * d
        for i in 0..<d { asked[query * d + i] += Float(weight) * from[i] }
      }
      query += 1
    }
    let raw = layers.head.apply(asked, rows: batch.queries, run)
    for query in 0..<batch.queries {
      body(layers.head.answer(raw + query * layers.head.map.outputs, units: nil))
    }
  }

  // MARK: States outside the program

  /// None: a context is made of its rows again.
  public func stateArrays(rows: Int) -> [StateArray] { [] }
  public func values(of context: Context) -> [[Float]] { [] }
  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    guard values.isEmpty, rows.dimensions == 1, rows.x.count == rows.count else { return nil }
    return encode(rows, fits)
  }

  // MARK: Training

  /// The raw numbers of a task's targets, which see so many rows of the buffer beside the context.
  func record(_ batch: TaskBatch, task: Int, prefixes: [Int32], on tape: Tape) -> Node {
    let first = task * batch.rows
    func rows(_ range: Range<Int>, _ values: [Float]) -> [Float] {
      Array(values[first + range.lowerBound..<first + range.upperBound])
    }
    let terms = Set(prefixes).sorted().map { prefix -> GatherTerm in
      let seen = 0..<batch.context + Int(prefix)
      let own = batch.targetRows.indices.map { prefixes[$0 - batch.targetRows.lowerBound] == prefix }
      let asked = zip(batch.targetRows, own).filter(\.1).map { batch.x[first + $0.0] }
      let read = layers.record(x: rows(seen, batch.x), y: rows(seen, batch.y), reading: asked, on: tape)
      var next: Int32 = -1
      return .node(
        read,
        own.map {
          if $0 { next += 1 }
          return $0 ? next : -1
        })
    }
    return layers.head.map.record(
      tape.gather(terms, rows: batch.targets, columns: blueprint.width), on: tape)
  }

  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let targets = Targets(
      values: batch.targetRows.map { batch.y[task * batch.rows + $0] },
      weights: [Float](repeating: weight, count: batch.targets))
    return layers.head.loss(record(batch, task: task, prefixes: prefixes, on: tape), targets, on: tape)
  }
}
