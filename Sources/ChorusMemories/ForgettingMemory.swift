import ChorusTensors
import Foundation

/// The forgetting transformer (Lin et al. 2025): softmax attention whose logits q·k_j/√d fall by the log of every later row's
/// gate, Σ_{i > j} log σ(x_i·w + b).
///
/// What a query reads does not change when a number is added to all its logits, so the sums are counted from the end of the
/// context: its rows have what those behind them in the context forget, a path's rows the opposite of what those up to
/// themselves do. That is one more column of the keys, with 1 in the queries, and the rest is softmax attention.
struct ForgettingMemory: SpecifiedMemory {
  let sizes: AttentionSizes
  let shape: MemoryShape
  let capability: Capability
  private let values: MemoryValues
  /// Softmax attention of heads with the sum's column, as wide as its kernels ask for.
  private let inner: SoftmaxMemory
  private let wide: AttentionSizes
  private static let more = 4

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    MemoryShape(
      StoredLayout(sizes, gates: [StoredLayout.Gate("keep")]), read: sizes.columns,
      parameters: [MemoryParameter("keep", sizes.heads, initial: 3)])
  }
  static func capability(_ spec: MemorySpec) -> Capability { Capability(holdsSet: false, fixedState: false) }

  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    var forgotten = 0.0
    let scores = head.rows.reversed().map { row in
      let score = head.dot(query, row.key) / Double(head.sizes.width).squareRoot() + forgotten
      forgotten += max(log(head.sigmoid(row.gates[0][0] + head.numbers[0][head.head])), leastFade)
      return score
    }
    return ReferenceRead(head.sum(head.softmax(scores.reversed())))
  }

  /// What a gate leaves at least: e⁻⁴⁰ of a row's weight is nothing in single precision.
  private static var leastFade: Double { -40 }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    self.sizes = sizes
    self.values = values
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    wide = AttentionSizes(heads: sizes.heads, width: sizes.width + Self.more)
    inner = SoftmaxMemory(.softmax, wide, MemoryValues(values.weights, []))
  }

  /// log of a row's gate.
  private func fade(_ row: UnsafePointer<Float>, _ head: Int) -> Double {
    let x = Double(StoredRow(row, head, shape.layout).gate(0)[0]) + Double(values[0][head])
    return max(-Softplus.value(-x), Self.leastFade)
  }

  /// A row as softmax attention stores it.
  private func widen(
    _ row: UnsafePointer<Float>, sums: (Int) -> Double, into out: UnsafeMutablePointer<Float>
  ) {
    out.update(repeating: 0, count: 2 * wide.columns)
    for head in 0..<sizes.heads {
      let (from, key) = (StoredRow(row, head, shape.layout), out + head * wide.width)
      key.update(from: from.key, count: sizes.width)
      key[sizes.width] = Float(sums(head))
      (key + wide.columns).update(from: from.value, count: sizes.width)
    }
  }

  // MARK: Context

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }

  func finish(_ draft: StoredRows) -> SoftmaxMemory.Context {
    let context = inner.draft(rows: draft.count)
    let scratch = Arena(blockCount: 1 << 14)
    let rows = scratch.floats(max(1, draft.count) * 2 * wide.columns)
    var sums = [Double](repeating: 0, count: sizes.heads)
    for index in (0..<draft.count).reversed() {
      let row = draft.row(index)
      widen(row, sums: { sums[$0] }, into: rows + index * 2 * wide.columns)
      for head in 0..<sizes.heads { sums[head] += fade(row, head) }
    }
    if draft.count > 0 { inner.write(rows, rows: 0..<draft.count, to: context, scratch: scratch) }
    return inner.finish(context)
  }

  // MARK: Buffer

  /// The paths' rows, and for each of them the sums up to itself.
  final class Buffer {
    let inner: SoftmaxMemory.Buffer
    let sums: DoubleBuffer
    init(_ inner: SoftmaxMemory.Buffer, sums: Int) {
      (self.inner, self.sums) = (inner, DoubleBuffer(count: sums))
    }
  }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(inner.buffer(paths: paths, capacity: capacity), sums: paths * capacity * sizes.heads)
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: SoftmaxMemory.Context, to buffer: Buffer,
    scratch: Arena
  ) {
    let mark = scratch.mark
    let out = scratch.floats(max(1, rows.count) * 2 * wide.columns)
    for index in 0..<rows.count {
      let row = stored + index * shape.stored
      let slot = Int(rows.slots[index])
      let own = buffer.sums.pointer + (Int(rows.paths[index]) * buffer.inner.capacity + slot) * sizes.heads
      for head in 0..<sizes.heads {
        own[head] = (slot > 0 ? own[head - sizes.heads] : 0) - fade(row, head)
      }
      widen(row, sums: { own[$0] }, into: out + index * 2 * wide.columns)
    }
    inner.append(out, rows, context: context, to: buffer.inner, scratch: scratch)
    scratch.rewind(to: mark)
  }

  // MARK: Reading

  /// q·√(d+4)/√d and what makes the kernel's score of the last column the sum itself.
  private func asked(_ queries: UnsafePointer<Float>, _ rows: Int, _ scratch: Arena)
    -> UnsafeMutablePointer<Float>
  {
    let out = scratch.zeros(max(1, rows) * wide.columns)
    let factor = sizes.scale / wide.scale
    for row in 0..<rows * sizes.heads {
      let (from, to) = (queries + row * sizes.width, out + row * wide.width)
      for i in 0..<sizes.width { to[i] = factor * from[i] }
      to[sizes.width] = 1 / wide.scale
    }
    return out
  }

  private func narrow(
    _ read: UnsafePointer<Float>, _ rows: Int, into out: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<rows * sizes.heads {
      (out + row * sizes.width).update(from: read + row * wide.width, count: sizes.width)
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: SoftmaxMemory.Context,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let read = scratch.floats(max(1, rows) * wide.columns)
    inner.read(asked(queries, rows, scratch), rows: rows, context: context, into: read, scratch: scratch)
    narrow(read, rows, into: out)
    scratch.rewind(to: mark)
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: SoftmaxMemory.Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let read = scratch.floats(max(1, visible.count) * wide.columns)
    inner.read(
      asked(queries, visible.count, scratch), visible, context: context, buffer: buffer.inner, into: read,
      scratch: scratch)
    narrow(read, visible.count, into: out)
    scratch.rewind(to: mark)
  }

  // MARK: Training

  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    let factor = Double(sizes.scale / wide.scale)
    let asked = tape.matrices(rows: queries.rows, columns: wide.columns, reads: [queries]) { pass in
      let (m, all) = (pass.matrices, 0..<queries.rows)
      for head in 0..<sizes.heads {
        let columns = head * sizes.width..<(head + 1) * sizes.width
        let query = m.scaled(pass.input(queries, rows: all, columns: columns), by: factor)
        pass.emit(query, row: 0, column: head * wide.width)
        pass.emit(
          m.constant(1 / Double(wide.scale), queries.rows, 1), row: 0, column: head * wide.width + sizes.width
        )
      }
    }
    let read = tape.attention(
      queries: asked, keyValues: widened(stored, blocks, on: tape), heads: sizes.heads, blocks: blocks)
    return tape.matrices(rows: queries.rows, columns: sizes.columns, reads: [read]) { pass in
      for head in 0..<sizes.heads {
        let columns = head * wide.width..<head * wide.width + sizes.width
        let part = pass.input(read, rows: 0..<read.rows, columns: columns)
        pass.emit(pass.matrices.scaled(part, by: 1), row: 0, column: head * sizes.width)
      }
    }
  }

  /// Rows with their sums, as softmax attention takes them.
  private func widened(_ stored: Node, _ blocks: [VisibleBlock], on tape: Tape) -> Node {
    let (layout, all) = (shape.layout, 0..<stored.rows)
    return tape.matrices(rows: stored.rows, columns: 2 * wide.columns, reads: [stored]) { pass in
      let m = pass.matrices
      for head in 0..<sizes.heads {
        let (key, value) = (layout.key(head), layout.value(head))
        pass.emit(
          m.scaled(pass.input(stored, rows: all, columns: key), by: 1), row: 0, column: head * wide.width)
        pass.emit(
          m.scaled(pass.input(stored, rows: all, columns: value), by: 1), row: 0,
          column: wide.columns + head * wide.width)
        func emitSums(_ rows: Range<Int>, later: Bool) {
          guard !rows.isEmpty else { return }
          let bias = pass.input(values.handles[0], head..<head + 1)
          let gate = pass.input(stored, rows: rows, columns: layout.gate(0, head))
          let fades = m.map(m.logSigmoid(m.addRow(gate, bias))) { x in
            x > Self.leastFade ? (x, 1) : (Self.leastFade, 0)
          }
          let count = rows.count
          let which = m.input(count, count, learns: false) { values in
            for place in 0..<count * count {
              let (row, column) = (place / count, place % count)
              values[place] = later ? (column > row ? 1 : 0) : (column <= row ? -1 : 0)
            }
          }
          pass.emit(
            m.multiply(which, fades), row: rows.lowerBound, column: head * wide.width + sizes.width)
        }
        for rows in Self.distinct(blocks.map(\.shared)) { emitSums(rows, later: true) }
        for rows in Self.distinct(blocks.filter { !$0.limits.isEmpty }.map(\.own)) {
          emitSums(rows, later: false)
        }
      }
    }
  }

  /// Every range once, in the order of their first places, so that gradients are summed alike at every call.
  private static func distinct(_ ranges: [Range<Int>]) -> [Range<Int>] {
    ranges.enumerated().filter { !ranges[..<$0.offset].contains($0.element) }.map(\.element)
  }

  // MARK: Outside the program

  func stateArrays(rows: Int) -> [StateArray] { inner.stateArrays(rows: rows) }
  func values(of context: SoftmaxMemory.Context) -> [[Float]] { inner.values(of: context) }
  func context(rows: Int, values: [[Float]]) -> SoftmaxMemory.Context? {
    inner.context(rows: rows, values: values)
  }
  var work: MemoryWork {
    var work = inner.work
    work.ownRowNumbers += 2 * sizes.heads
    return work
  }

  func contextBytes(rows: Int) -> Int { inner.contextBytes(rows: rows) }
  func bufferBytes(capacity: Int) -> Int {
    inner.bufferBytes(capacity: capacity) + 8 * capacity * sizes.heads
  }
}
