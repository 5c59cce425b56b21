import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors
import Foundation

/// Rows as they were observed, for the splines through those nearest to a target, with what all these splines share.
struct NearRows: Sendable, Equatable {
  /// `[rows, dimensions]`, in the network's units.
  private let x: [Float]
  private let y: [Float]
  private let dimensions: Int
  private let neighbours: Int
  let law: LocalSpline.Law
  var count: Int { y.count }

  init(x: [Float], y: [Float], dimensions: Int, neighbours: Int) {
    (self.x, self.y, self.dimensions, self.neighbours) = (x, y, dimensions, neighbours)
    law = LocalSpline(most: neighbours, dimensions: dimensions).law(x, y)
  }

  /// With further rows, or (`removing`) without rows like these, one for each.
  func changed(x more: [Float], y values: [Float], removing: Bool) -> NearRows {
    var (x, y) = (x, y)
    guard removing else {
      return NearRows(x: x + more, y: y + values, dimensions: dimensions, neighbours: neighbours)
    }
    for (row, value) in values.enumerated() {
      let gone = more[row * dimensions..<(row + 1) * dimensions]
      let place = y.indices.first {
        y[$0] == value && x[$0 * dimensions..<($0 + 1) * dimensions].elementsEqual(gone)
      }
      guard let place else { continue }
      y.remove(at: place)
      x.removeSubrange(place * dimensions..<(place + 1) * dimensions)
    }
    return NearRows(x: x, y: y, dimensions: dimensions, neighbours: neighbours)
  }

  /// Shows the rows, but for one of them.
  func show(to spline: LocalSpline, except own: Int = -1) {
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for row in y.indices where row != own { spline.show(x + row * dimensions, y[row]) }
    }
  }

  /// What the other rows say of those in `range`, `[range, LocalSpline.rowFeatures]`.
  func judge(_ range: Range<Int>, into features: UnsafeMutablePointer<Float>) {
    let spline = LocalSpline(most: neighbours, dimensions: dimensions)
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for (place, row) in range.enumerated() {
        spline.move(to: x + row * dimensions)
        show(to: spline, except: row)
        spline.judge(y[row], law, into: features + place * LocalSpline.rowFeatures)
      }
    }
  }
}

extension SetLayers {
  /// What the rows near every row of a training pass say of it: features for the network, and the unit that the head
  /// predicts targets in. Nothing learns through it.
  struct Surroundings {
    /// Context and buffer rows, task by task, `[rows, LocalSpline.rowFeatures]`; a buffer row has the context and the buffer
    /// rows before it near.
    var rows: [Float]
    /// `[targets, LocalSpline.features]`, task by task.
    var targets: [Float]
    var units: [Scaling.Unit]
  }

  /// The surroundings of `tasks`; nil where the blueprint has no neighbours.
  ///
  /// - Parameter prefixes: for every target of those tasks, how many buffer rows it sees.
  func surroundings(_ batch: TaskBatch, _ tasks: Range<Int>, _ prefixes: [Int32]) -> Surroundings? {
    guard let neighbours = blueprint.hints.rows?.neighbours else { return nil }
    let (d, context, seen) = (batch.dimensions, batch.context, batch.context + batch.buffer)
    let (width, rowWidth) = (LocalSpline.features, LocalSpline.rowFeatures)
    var all = Surroundings(
      rows: [Float](repeating: 0, count: tasks.count * seen * rowWidth),
      targets: [Float](repeating: 0, count: tasks.count * batch.targets * width), units: [])
    let spline = LocalSpline(most: neighbours, dimensions: d)
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
            func move(to row: Int, buffered: Int) {
              spline.move(to: x + (first + row) * d)
              observed.show(to: spline)
              for other in first + context..<first + context + buffered {
                spline.show(x + other * d, batch.y[other])
              }
            }
            let own = rows + index * seen * rowWidth
            observed.judge(0..<context, into: own)
            for row in batch.bufferRows {
              move(to: row, buffered: row - context)
              spline.judge(batch.y[first + row], observed.law, into: own + row * rowWidth)
            }
            for row in batch.targetRows {
              move(to: row, buffered: batch.buffer == 0 ? 0 : Int(prefixes[all.units.count]))
              all.units.append(spline.tell(observed.law, into: targets + all.units.count * width))
            }
          }
        }
      }
    }
    return all
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
    _ batch: RowBatch, _ paths: Paths, _ context: Context, _ inputs: Questions, _ run: Run
  ) -> RowSurroundings? {
    guard let near = layers.near, let nearRow = layers.nearRow, let observed = context.near,
      let neighbours = blueprint.hints.rows?.neighbours
    else { return nil }
    let (d, width) = (inputs.dimensions, blueprint.width)
    let commits = run.arena.floats(batch.commits * LocalSpline.rowFeatures)
    let queries = run.arena.floats(batch.queries * LocalSpline.features)
    let units = run.arena.doubles(batch.queries * 2)
    let spline = paths.spline(neighbours: neighbours, dimensions: d)
    var (commit, query) = (0, 0)
    inputs.x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for row in 0..<batch.count {
        spline.move(to: x + Int(batch.inputs[row]) * d)
        observed.show(to: spline)
        let (path, mask) = (Int(batch.path[row]), Int(batch.maskStarts[row]))
        for slot in 0..<Int(batch.limits[row]) where slot != Int(batch.slots[row]) {
          if mask >= 0, batch.masks[mask + slot / 64] >> UInt64(slot % 64) & 1 == 0 { continue }
          paths.show(path: path, slot: slot, to: spline)
        }
        if batch.slots[row] >= 0 {
          spline.judge(
            batch.values[commit], observed.law, into: commits + commit * LocalSpline.rowFeatures)
          commit += 1
        } else {
          let unit = spline.tell(observed.law, into: queries + query * LocalSpline.features)
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
