import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors
import Foundation

extension SetLayers {
  /// What the rows near every row of a training pass say of it: features for the network, and the unit that the head
  /// predicts targets in. Nothing learns through it.
  struct Surroundings {
    /// Context and buffer rows, task by task, `[rows, width of embed.row]`; a buffer row has the context and the buffer
    /// rows before it near.
    var rows: [Float]
    /// `[targets, width of embed.near]`, task by task.
    var targets: [Float]
    var units: [Scaling.Unit]
  }

  /// The surroundings of `tasks`; nil where the blueprint has no neighbours.
  ///
  /// - Parameter prefixes: for every target of those tasks, how many buffer rows it sees.
  func surroundings(_ batch: TaskBatch, _ tasks: Range<Int>, _ prefixes: [Int32]) -> Surroundings? {
    guard let neighbours = blueprint.hints.rows?.neighbours, let near, let nearRow else { return nil }
    let (d, context, seen) = (batch.dimensions, batch.context, batch.context + batch.buffer)
    let (width, rowWidth) = (near.inputs, nearRow.inputs)
    var all = Surroundings(
      rows: [Float](repeating: 0, count: tasks.count * seen * rowWidth),
      targets: [Float](repeating: 0, count: tasks.count * batch.targets * width), units: [])
    let spline = LocalSpline(most: neighbours, dimensions: d)
    let buffered = FloatBuffer(uninitialised: batch.buffer * (d + 1))
    all.rows.withUnsafeMutableBufferPointer { rows in
      all.targets.withUnsafeMutableBufferPointer { targets in
        batch.x.withUnsafeBufferPointer { x in
          guard let rows = rows.baseAddress, let targets = targets.baseAddress, let x = x.baseAddress else {
            return
          }
          for (index, task) in tasks.enumerated() {
            let first = task * batch.rows
            let observed = NearRows(
              x: Array(batch.x[first * d..<(first + context) * d]),
              y: Array(batch.y[first..<first + context]), dimensions: d, neighbours: neighbours)
            for row in 0..<batch.buffer {
              let own = buffered.pointer + row * (d + 1)
              own.update(from: x + (first + context + row) * d, count: d)
              own[d] = batch.y[first + context + row]
            }
            let series = SeriesTask(batch, task, joins: blueprint.hints.joins)
            func tell(_ row: Int, buffer: Int) -> LocalSpline.Told {
              spline.move(to: x + (first + row) * d)
              observed.show(to: spline)
              for other in 0..<buffer { spline.show(buffered.pointer + other * (d + 1)) }
              var told = spline.tell(observed.law)
              if let unit = series?.tell(row - context, buffer: buffer) { told.takeIn(unit) }
              return told
            }
            let own = rows + index * seen * rowWidth
            observed.judge(0..<context, into: own, width: rowWidth)
            for row in batch.bufferRows {
              tell(row, buffer: row - context).judge(
                batch.y[first + row], into: own + row * rowWidth, width: rowWidth)
            }
            for row in batch.targetRows {
              let told = tell(row, buffer: batch.buffer == 0 ? 0 : Int(prefixes[all.units.count]))
              told.write(to: targets + all.units.count * width, width: width)
              all.units.append(told.unit)
            }
          }
        }
      }
    }
    return all
  }
}

/// What the series of a task's context says of its buffer and its targets.
private struct SeriesTask {
  private let inputs: SeriesInputs
  private let paths = SeriesPaths(paths: 1)

  init?(_ batch: TaskBatch, _ task: Int, joins: Bool) {
    let rows = task * batch.rows + batch.context..<(task + 1) * batch.rows
    guard joins, batch.dimensions == 1, let fits = batch.fits[task],
      let inputs = SeriesInputs(fits, x: batch.x[rows], dimensions: 1)
    else { return nil }
    self.inputs = inputs
    for row in 0..<batch.buffer {
      paths.keep(input: row, batch.y[rows.lowerBound + row], path: 0, slot: row)
    }
  }

  /// - Parameter row: counted from the first buffer row.
  func tell(_ row: Int, buffer: Int) -> Scaling.Unit? {
    paths.tell(NearPaths.Row(path: 0, input: row, slot: -1, limit: buffer, mask: nil), inputs)
  }
}

extension SetNetwork {
  /// What the rows near every row of a call say of it: its part of the row's token, `[commits, d]` and `[queries, d]`, and
  /// the unit that the head predicts in, origin and scale, `[queries, 2]`.
  struct RowSurroundings {
    let commits: UnsafePointer<Float>
    let queries: UnsafePointer<Float>
    let units: UnsafePointer<Double>
  }

  func surroundings(
    _ batch: RowBatch, _ paths: Paths, _ context: Context, _ inputs: Questions, _ run: Workspace
  ) -> RowSurroundings? {
    guard let near = layers.near, let nearRow = layers.nearRow, let observed = context.near,
      let known = paths.near, let asked = inputs.near
    else { return nil }
    let width = blueprint.width
    let commits = run.arena.floats(batch.commits * nearRow.inputs)
    let queries = run.arena.floats(batch.queries * near.inputs)
    let units = run.arena.doubles(batch.queries * 2)
    var (commit, query) = (0, 0)
    batch.masks.withUnsafeBufferPointer { masks in
      for row in 0..<batch.count {
        let mask = Int(batch.maskStarts[row])
        let read = NearPaths.Row(
          path: Int(batch.path[row]), input: Int(batch.inputs[row]), slot: Int(batch.slots[row]),
          limit: Int(batch.limits[row]), mask: mask < 0 ? nil : masks.baseAddress.map { $0 + mask })
        var told = known.tell(read, observed, asked)
        if let series = inputs.series, let unit = paths.series?.tell(read, series, after: context.later) {
          told.takeIn(unit)
        }
        if batch.slots[row] >= 0 {
          told.judge(
            batch.values[commit], into: commits + commit * nearRow.inputs, width: nearRow.inputs)
          commit += 1
        } else {
          told.write(to: queries + query * near.inputs, width: near.inputs)
          (units[2 * query], units[2 * query + 1]) = (told.unit.origin, told.unit.scale)
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
