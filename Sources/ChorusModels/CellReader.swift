import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusTensors

/// Makes rows of cells, with the weights: what training records (`CellStage.record`), for inference. Immutable and shared by
/// threads.
final class CellReader: Sendable {
  typealias State = any AnyObject & Sendable

  /// What the points of each pair of blocks have found in each column of a context: all that other rows' cells read.
  final class Columns: Sendable {
    /// Column by column, pair by pair.
    let states: [[State]]
    init(_ states: [[State]]) { self.states = states }
  }

  let stage: CellStage
  private let weights: Weights
  private let pairs: [(block: CellStage.Pair, gather: any Memory, spread: any Memory)]
  private let rows: [(block: Block, memory: any Memory)]
  private let scratch = ScratchPool()
  private var width: Int { stage.width }

  init(_ stage: CellStage, _ weights: Weights) {
    self.stage = stage
    self.weights = weights
    pairs = stage.pairs.map { ($0, $0.gather.mixer.memory(weights), $0.spread.mixer.memory(weights)) }
    rows = stage.rows.map { ($0, $0.mixer.memory(weights)) }
  }

  private func run<R>(_ body: (Workspace) throws -> R) rethrows -> R {
    try scratch.with { try body(Workspace(weights, $0)) }
  }

  private func map<R: Sendable>(
    _ count: Int, on pool: ThreadPool?, _ body: @escaping @Sendable (Int) -> R
  ) -> [R] {
    guard let pool else { return (0..<count).map(body) }
    let results = Lock([R?](repeating: nil, count: count))
    pool.run(count) { index in
      let result = body(index)
      results.withLock { $0[index] = result }
    }
    return results.withLock { $0.compactMap { $0 } }
  }

  // MARK: Columns

  /// Reads a context's columns, and makes its rows, `[rows, width · summaries]`; none of an empty context.
  ///
  /// - Parameter describe: writes what an output is to the network.
  func read(
    _ context: NetworkRows, describe: @escaping @Sendable (Float, UnsafeMutablePointer<Float>) -> Void,
    on pool: ThreadPool?
  ) -> (columns: Columns, rows: FloatBuffer) {
    let (columns, count) = (context.dimensions, context.count)
    let held = max(count, 1)
    let cells = FloatBuffer(count: columns * held * width)
    let told = told(context.y, describe)
    let found = map(columns, on: pool) { [self] column in
      let h = cells.pointer + column * held * width
      var states: [State] = []
      run { run in
        if count == 0 {
          h.update(from: weights[stage.empty], count: width)
        } else {
          embed(context.x, column, of: columns, into: h, run)
          if let told { for i in 0..<count * width { h[i] += told.pointer[i] } }
        }
        for pair in pairs {
          let mark = run.arena.mark
          let size = stage.reading.points
          let points = run.arena.floats(size * width)
          points.update(from: weights[pair.block.points], count: size * width)
          let seen = pair.block.gather.state(of: h, rows: held, in: pair.gather, run)
          pair.block.gather.read(points, rows: size, seen, held: held, in: pair.gather, run)
          let state = pair.block.spread.state(of: points, rows: size, in: pair.spread, run)
          spread(pair.block.spread, pair.spread, h, rows: held, state, run)
          states.append(state)
          run.arena.rewind(to: mark)
        }
        finish(h, context.x, column, of: columns, rows: count, run)
      }
      return states
    }
    let rows = count == 0 ? FloatBuffer(count: 0) : join(cells, rows: count, columns: columns, on: pool)
    return (Columns(found), rows)
  }

  /// Makes rows, `[rows, width · summaries]`, of cells `x` `[rows, columns]` beside a context.
  func read(_ x: [Float], beside context: Columns) -> FloatBuffer {
    let columns = context.states.count
    let count = x.count / max(columns, 1)
    let cells = FloatBuffer(count: columns * count * width)
    for column in 0..<columns {
      let h = cells.pointer + column * count * width
      run { run in
        embed(x, column, of: columns, into: h, run)
        for (pair, state) in zip(pairs, context.states[column]) {
          spread(pair.block.spread, pair.spread, h, rows: count, state, run)
        }
        finish(h, x, column, of: columns, rows: count, run)
      }
    }
    return join(cells, rows: count, columns: columns, on: nil)
  }

  /// What outputs are to cells of their rows, `[rows, width]`.
  private func told(
    _ y: [Float], _ describe: (Float, UnsafeMutablePointer<Float>) -> Void
  ) -> FloatBuffer? {
    guard let output = stage.output, !y.isEmpty else { return nil }
    let out = FloatBuffer(count: y.count * width)
    run { run in
      let features = run.arena.floats(y.count * output.inputs)
      for (row, value) in y.enumerated() { describe(value, features + row * output.inputs) }
      output.apply(features, rows: y.count, into: out.pointer, run)
    }
    return out
  }

  /// Cells of one column as they begin, `[rows, width]`.
  private func embed(
    _ x: [Float], _ cell: Int, of columns: Int, into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let (rows, numbers) = (x.count / columns, stage.reading.numbers)
    let mark = run.arena.mark
    let features = run.arena.floats(rows * numbers)
    for (i, column) in stage.reading.columns(of: cell, among: columns).enumerated() {
      for row in 0..<rows { features[row * numbers + i] = x[row * columns + column] }
    }
    stage.input.apply(features, rows: rows, into: out, run)
    run.arena.rewind(to: mark)
  }

  /// Cells read the points, a tile at a time.
  private func spread(
    _ block: Block, _ memory: any Memory, _ h: UnsafeMutablePointer<Float>, rows: Int, _ state: State,
    _ run: Workspace
  ) {
    for first in stride(from: 0, to: rows, by: Block.tile) {
      let mark = run.arena.mark
      block.read(
        h + first * width, rows: min(Block.tile, rows - first), state, held: 0, in: memory, run)
      run.arena.rewind(to: mark)
    }
  }

  /// What cells are behind the last pair.
  private func finish(
    _ h: UnsafeMutablePointer<Float>, _ x: [Float], _ cell: Int, of columns: Int, rows: Int, _ run: Workspace
  ) {
    guard let affine = stage.affine, rows > 0 else { return }
    let mark = run.arena.mark
    let (factor, offset) = (run.arena.floats(rows * width), run.arena.floats(rows * width))
    for (term, out) in [(affine.factor, factor), (affine.offset, offset)] {
      term.map.apply(h, rows: rows, into: out, run)
      term.norm.apply(out, rows: rows, into: out, run)
    }
    for row in 0..<rows {
      let number = x[row * columns + cell]
      for i in row * width..<(row + 1) * width { h[i] = number * factor[i] + offset[i] }
    }
    run.arena.rewind(to: mark)
  }

  // MARK: Rows

  /// Rows of cells that lie column by column.
  private func join(_ cells: FloatBuffer, rows: Int, columns: Int, on pool: ThreadPool?) -> FloatBuffer {
    let (count, width) = (stage.reading.summaries, width)
    let out = FloatBuffer(count: rows * count * width)
    _ = map((rows + Block.tile - 1) / Block.tile, on: pool) { [self] tile in
      let range = tile * Block.tile..<min((tile + 1) * Block.tile, rows)
      run { run in
        let length = count + columns
        let h = run.arena.floats(range.count * length * width)
        for (place, row) in range.enumerated() {
          let own = h + place * length * width
          own.update(from: weights[stage.summaries], count: count * width)
          for column in 0..<columns {
            (own + (count + column) * width).update(
              from: cells.pointer + (column * rows + row) * width, count: width)
          }
        }
        interact(
          h, rows: range.count, columns: columns,
          into: out.pointer + range.lowerBound * count * width, run)
      }
    }
    return out
  }

  /// Sequences of summaries and cells, `[rows, summaries + columns, width]`, read themselves; the summaries come out.
  private func interact(
    _ h: UnsafeMutablePointer<Float>, rows number: Int, columns: Int,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let (count, arena) = (stage.reading.summaries, run.arena)
    let length = count + columns
    for (index, (block, memory)) in rows.enumerated() {
      let mark = arena.mark
      let normed = block.normed(h, rows: number * length, run)
      let turns = turns(block, number, length, arena)
      let stored = block.store(normed, rows: number * length, turns: turns, run)
      let states = (0..<number).map { row -> State in
        let draft = memory.anyDraft(rows: length)
        for first in stride(from: 0, to: length, by: Block.tile) {
          let range = first..<min(first + Block.tile, length)
          memory.write(
            stored + (row * length + first) * block.mixer.stored.outputs, rows: range, toAny: draft,
            scratch: arena)
        }
        return memory.finish(any: draft)
      }
      func read(
        _ h: UnsafeMutablePointer<Float>, _ normed: UnsafePointer<Float>, each asked: Int,
        _ turns: UnsafePointer<Float>?
      ) {
        block.transform(h, normed, rows: number * asked, turns: turns, run) { queries, found in
          for row in 0..<number {
            memory.read(
              queries + row * asked * block.mixer.query.outputs, rows: asked, anyContext: states[row],
              into: found + row * asked * memory.shape.read, scratch: arena)
          }
        }
      }
      if index < rows.count - 1 {
        read(h, normed, each: length, turns)
      } else {
        let asked = arena.floats(number * count * width)
        for row in 0..<number {
          (out + row * count * width).update(from: h + row * length * width, count: count * width)
          (asked + row * count * width).update(
            from: normed + row * length * width, count: count * width)
        }
        read(out, asked, each: count, self.turns(block, number, count, arena))
      }
      arena.rewind(to: mark)
    }
    stage.last.apply(out, rows: number * count, into: out, run)
  }

  /// Cosines and sines of `number` sequences of `length` places.
  private func turns(
    _ block: Block, _ number: Int, _ length: Int, _ arena: Arena
  ) -> UnsafePointer<Float>? {
    let places = (0..<Int32(length)).map { $0 }
    return places.withUnsafeBufferPointer { places in
      guard let one = block.mixer.turns(places, arena) else { return nil }
      let columns = block.mixer.query.outputs / stage.reading.rowHeads
      let all = arena.floats(number * length * columns)
      for row in 0..<number {
        (all + row * length * columns).update(from: one, count: length * columns)
      }
      return UnsafePointer(all)
    }
  }
}
