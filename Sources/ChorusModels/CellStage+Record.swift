import ChorusHints
import ChorusLayers
import ChorusTensors

extension CellStage {
  /// Records representations of all rows of one task, `[rows, width · summaries]`.
  ///
  /// - Parameter describe: writes what an output is to the network.
  func record(
    _ batch: TaskBatch, task: Int, describe: (Float, UnsafeMutablePointer<Float>) -> Void, on tape: Tape
  ) -> Node {
    let columns = batch.dimensions
    let cells = recordColumns(batch, task: task, describe, on: tape)
    return recordRows(cells, rows: batch.rows, columns: columns, of: cells.rows / columns, on: tape)
  }

  /// Cells column by column, `[columns · rows, width]`; where the context is empty, a learned cell comes first in each column.
  private func recordColumns(
    _ batch: TaskBatch, task: Int, _ describe: (Float, UnsafeMutablePointer<Float>) -> Void, on tape: Tape
  ) -> Node {
    let (columns, first) = (batch.dimensions, task * batch.rows)
    let (held, blank) = (max(batch.context, 1), batch.context == 0 ? 1 : 0)
    let rows = batch.rows + blank
    let numbers = reading.numbers
    var features = [Float](repeating: 0, count: columns * rows * numbers)
    for cell in 0..<columns {
      let own = reading.columns(of: cell, among: columns)
      for row in 0..<batch.rows {
        for (i, column) in own.enumerated() {
          features[(cell * rows + row + blank) * numbers + i] =
            batch.x[(first + row) * columns + column]
        }
      }
    }
    let given = tape.constant(features, rows: columns * rows, columns: numbers)
    /// A source for every cell, by its column and row.
    func places(_ source: (Int, Int) -> Int) -> [Int32] {
      (0..<columns).flatMap { column in (0..<rows).map { Int32(source(column, $0)) } }
    }
    var terms = [
      GatherTerm.node(
        input.record(given, on: tape), places { $1 < blank ? -1 : $0 * rows + $1 })
    ]
    if blank > 0 {
      terms.append(.parameter(empty, places { $1 < blank ? 0 : -1 }))
    } else if let output {
      var shown = [Float](repeating: 0, count: batch.context * output.inputs)
      shown.withUnsafeMutableBufferPointer { shown in
        guard let shown = shown.baseAddress else { return }
        for row in 0..<batch.context { describe(batch.y[first + row], shown + row * output.inputs) }
      }
      let told = output.record(
        tape.constant(shown, rows: batch.context, columns: output.inputs), on: tape)
      terms.append(.node(told, places { $1 < batch.context ? $1 : -1 }))
    }
    var h = tape.gather(terms, rows: columns * rows, columns: width)
    let points = reading.points
    for pair in pairs {
      // The context's cells, then the points.
      let (seen, all) = (columns * held, columns * (held + points))
      let joined = tape.gather(
        [
          .node(h, (0..<all).map { Int32($0 < seen ? $0 / held * rows + $0 % held : -1) }),
          .parameter(pair.points, (0..<all).map { Int32($0 < seen ? -1 : ($0 - seen) % points) }),
        ], rows: all, columns: width)
      let found = pair.gather.record(
        joined, stored: 0..<seen, reading: seen..<all,
        visible: (0..<columns).map {
          VisibleBlock(
            queries: $0 * points..<($0 + 1) * points, shared: $0 * held..<($0 + 1) * held)
        }, held: held, on: tape)
      let both = tape.joining(found, h)
      h = pair.spread.record(
        both, stored: 0..<found.rows, reading: found.rows..<both.rows,
        visible: (0..<columns).map {
          VisibleBlock(
            queries: $0 * rows..<($0 + 1) * rows, shared: $0 * points..<($0 + 1) * points)
        }, on: tape)
    }
    guard let affine else { return h }
    let factor = affine.factor.norm.record(affine.factor.map.record(h, on: tape), on: tape)
    let offset = affine.offset.norm.record(affine.offset.map.record(h, on: tape), on: tape)
    let product = tape.matrices(rows: h.rows, columns: width, reads: [factor, given]) { [width] pass in
      let all = 0..<h.rows
      pass.emit(
        pass.matrices.scaleRows(
          pass.input(factor, rows: all, columns: 0..<width), by: pass.input(given, rows: all, columns: 0..<1)
        ),
        row: 0, column: 0)
    }
    return tape.add(product, offset)
  }

  /// Rows of cells that lie column by column, `held` in each, the last `rows` of which are rows.
  private func recordRows(_ cells: Node, rows: Int, columns: Int, of held: Int, on tape: Tape) -> Node {
    let (count, blank) = (reading.summaries, held - rows)
    // The summaries of all rows, then the cells of the first row, of the second, and so on.
    let (summed, all) = (rows * count, rows * (count + columns))
    var h = tape.gather(
      [
        .parameter(summaries, (0..<all).map { Int32($0 < summed ? $0 % count : -1) }),
        .node(
          cells,
          (0..<all).map {
            let cell = $0 - summed
            return Int32(cell < 0 ? -1 : cell % columns * held + cell / columns + blank)
          }),
      ], rows: all, columns: width)
    let positions = (0..<all).map { Int32($0 < summed ? $0 % count : count + ($0 - summed) % columns) }
    for (index, block) in self.rows.enumerated() {
      let isLast = index == self.rows.count - 1
      var visible: [VisibleBlock] = []
      for row in 0..<rows {
        let own = row * count..<(row + 1) * count
        let among = summed + row * columns..<summed + (row + 1) * columns
        for queries in isLast ? [own] : [own, among] {
          visible.append(
            VisibleBlock(
              queries: queries, shared: among, own: own,
              limits: [Int32](repeating: Int32(count), count: queries.count)))
        }
      }
      h = block.record(
        h, stored: 0..<all, reading: 0..<(isLast ? summed : all), visible: visible, positions: positions,
        on: tape)
    }
    return last.record(h, on: tape).reshaped(columns: count * width)
  }
}
