import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors

extension SetLayers {
  /// What is told of every row of a training pass: features for the network, and the unit that the head predicts targets in.
  /// Nothing learns through it.
  struct Surroundings {
    /// Context and buffer rows, task by task, `[rows, width of embed.row]`; a buffer row is told of by the context and the buffer
    /// rows before it.
    var rows: [Float]
    /// `[targets, width of embed.near]`, task by task.
    var targets: [Float]
    var units: [Scaling.Unit] = []
  }

  /// The surroundings of `tasks`; nil where the blueprint has no hints of rows.
  ///
  /// - Parameter prefixes: for every target of those tasks, how many buffer rows it sees.
  func surroundings(_ batch: TaskBatch, _ tasks: Range<Int>, _ prefixes: [Int32]) -> Surroundings? {
    guard let near, let nearRow else { return nil }
    let seen = batch.context + batch.buffer
    var all = Surroundings(
      rows: [Float](repeating: 0, count: tasks.count * seen * nearRow.inputs),
      targets: [Float](repeating: 0, count: tasks.count * batch.targets * near.inputs))
    all.rows.withUnsafeMutableBufferPointer { rows in
      all.targets.withUnsafeMutableBufferPointer { targets in
        guard var rows = rows.baseAddress, var targets = targets.baseAddress else { return }
        for (index, task) in tasks.enumerated() {
          guard let told = ToldTask(batch, task, blueprint.hints) else { continue }
          told.context.tell(0..<batch.context, into: rows, width: nearRow.inputs)
          rows += batch.context * nearRow.inputs
          for row in 0..<batch.buffer {
            told.tell(row, reading: row, value: batch.y[told.first + row], into: rows)
            rows += nearRow.inputs
          }
          for target in 0..<batch.targets {
            let limit = batch.buffer == 0 ? 0 : Int(prefixes[index * batch.targets + target])
            all.units.append(told.tell(batch.buffer + target, reading: limit, into: targets))
            targets += near.inputs
          }
        }
      }
    }
    return all
  }
}

/// What is told of the buffer and the targets of a task.
private struct ToldTask {
  let context: ToldContext
  private let inputs: ToldInputs
  private let paths: ToldPaths
  /// The first buffer row, among the rows of the batch.
  let first: Int

  init?(_ batch: TaskBatch, _ task: Int, _ hints: Hints) {
    let (start, end, d) = (task * batch.rows, (task + 1) * batch.rows, batch.dimensions)
    first = start + batch.context
    let observed = NetworkRows(
      x: Array(batch.x[start * d..<first * d]), y: Array(batch.y[start..<first]), dimensions: d)
    guard let context = ToldContext(hints, observed, batch.fits[task] ?? HintFits()),
      let paths = ToldPaths(hints, paths: 1, capacity: batch.buffer, inputDimensions: d)
    else { return nil }
    (self.context, self.paths) = (context, paths)
    inputs = context.asked(Array(batch.x[first * d..<end * d]))
    batch.x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for row in 0..<batch.buffer {
        paths.keep(
          input: row, x + (first + row) * d, dimensions: d, batch.y[first + row], path: 0, slot: row)
      }
    }
  }

  /// - Parameters:
  ///   - row: counted from the first buffer row.
  ///   - count: buffer rows that it reads.
  @discardableResult
  func tell(
    _ row: Int, reading count: Int, value: Float? = nil, into out: UnsafeMutablePointer<Float>
  ) -> Scaling.Unit {
    paths.tell(
      RowRead(path: 0, input: row, slot: -1, limit: count, mask: nil), context, inputs, value: value,
      into: out)
  }
}

extension SetNetwork {
  /// What is told of every row of a call: its part of the row's token, `[commits, d]` and `[queries, d]`, and the unit that the
  /// head predicts in, origin and scale, `[queries, 2]`.
  struct RowSurroundings {
    let commits: UnsafePointer<Float>
    let queries: UnsafePointer<Float>
    let units: UnsafePointer<Double>
  }

  func surroundings(
    _ batch: RowBatch, _ paths: Paths, _ context: Context, _ inputs: Questions, _ run: Workspace
  ) -> RowSurroundings? {
    guard let near = layers.near, let nearRow = layers.nearRow, let observed = context.told,
      let known = paths.told, let asked = inputs.told
    else { return nil }
    let width = blueprint.width
    let commits = run.arena.floats(batch.commits * nearRow.inputs)
    let queries = run.arena.floats(batch.queries * near.inputs)
    let units = run.arena.doubles(batch.queries * 2)
    var (commit, query) = (0, 0)
    batch.masks.withUnsafeBufferPointer { masks in
      for row in 0..<batch.count {
        let mask = Int(batch.maskStarts[row])
        let read = RowRead(
          path: Int(batch.path[row]), input: Int(batch.inputs[row]), slot: Int(batch.slots[row]),
          limit: Int(batch.limits[row]), mask: mask < 0 ? nil : masks.baseAddress.map { $0 + mask })
        if batch.slots[row] >= 0 {
          _ = known.tell(
            read, observed, asked, value: batch.values[commit], into: commits + commit * nearRow.inputs)
          commit += 1
        } else {
          let unit = known.tell(read, observed, asked, into: queries + query * near.inputs)
          (units[2 * query], units[2 * query + 1]) = (unit.origin, unit.scale)
          query += 1
        }
      }
    }
    let (commitTokens, queryTokens) = (run.arena.floats(commit * width), run.arena.floats(query * width))
    nearRow.apply(commits, rows: commit, into: commitTokens, run)
    near.apply(queries, rows: query, into: queryTokens, run)
    return RowSurroundings(commits: commitTokens, queries: queryTokens, units: units)
  }
}
