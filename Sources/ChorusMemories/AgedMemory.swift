import ChorusTensors
import Foundation

/// How a path's own rows tell their age, which is 1 for the newest row that a query sees, 2 for the one before it, and so on.
/// A context is a set, and its rows have none.
public enum RowAges: String, Sendable, Codable, CaseIterable {
  /// Keys are turned by their slots and queries by how many rows they see, so that the score of a row depends on its age
  /// (Su et al. 2021); the score of a context's row is that of the key and query as they are.
  case rotary
  /// The score of a row falls by a head's slope times its age less 1 (Press et al. 2022, ALiBi).
  case alibi

  /// Columns behind a head's own that make it so.
  func columns(_ width: Int) -> Int { self == .rotary ? width : 4 }

  /// 2^(−8(h+1)/heads), as Press et al. have it.
  static func slope(_ head: Int, of heads: Int) -> Double {
    exp2(-8 * Double(head + 1) / Double(heads))
  }
}

/// Softmax attention whose own rows tell their age.
///
/// It is softmax attention with wider heads. Rotary: a context's key is (k, 0), a row's own (0, R k), a query (q, R q), R the
/// turn by the slot or by the number of rows seen. ALiBi: keys have slope·slot and 1 behind them, a context's zeros, and a
/// query 1 and −slope·(rows seen − 1).
struct AgedMemory: Memory {
  let ages: RowAges
  let sizes: AttentionSizes
  let shape: MemoryShape
  let capability: Capability
  private let inner: SoftmaxMemory
  private let wide: AttentionSizes
  private let rotary = Rotary()

  init(_ ages: RowAges, _ sizes: AttentionSizes, _ weights: Weights) {
    self.ages = ages
    self.sizes = sizes
    shape = SoftmaxMemory.shape(.softmax, sizes)
    wide = AttentionSizes(heads: sizes.heads, width: sizes.width + ages.columns(sizes.width))
    inner = SoftmaxMemory(.softmax, wide, MemoryValues(weights, []))
    capability = Self.capability
  }

  /// A row that takes the place of another would be of its age, so that slots are filled in their order.
  static var capability: Capability {
    var capability = SoftmaxMemory.capability(.softmax)
    capability.subsetReads = false
    return capability
  }

  /// What makes the kernel's score of the wide heads that of the narrow ones.
  private var factor: Float { sizes.scale / wide.scale }

  // MARK: Rows

  /// A stored row as softmax attention takes it; `slot` nil for a context's.
  private func widen(
    _ row: UnsafePointer<Float>, slot: Int32?, turns: UnsafeMutablePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    let width = sizes.width
    out.update(repeating: 0, count: 2 * wide.columns)
    if ages == .rotary, let slot { rotary.turns([slot], pairs: width / 2, into: turns) }
    for head in 0..<sizes.heads {
      let (from, key) = (row + head * width, out + head * wide.width)
      (key + wide.columns).update(from: row + sizes.columns + head * width, count: width)
      switch (ages, slot) {
      case (.rotary, nil), (.alibi, nil): key.update(from: from, count: width)
      case (.rotary, _?):
        (key + width).update(from: from, count: width)
        rotary.apply(key + width, rows: 1, stride: width, heads: 1, width: width, turns: turns)
      case (.alibi, let slot?):
        key.update(from: from, count: width)
        key[width] = Float(RowAges.slope(head, of: sizes.heads) * Double(slot))
        key[width + 1] = 1
      }
    }
  }

  private func widen(
    _ stored: UnsafePointer<Float>, _ rows: Int, _ scratch: Arena, slot: (Int) -> Int32?
  ) -> UnsafePointer<Float> {
    let (out, turns) = (scratch.floats(max(1, rows) * 2 * wide.columns), scratch.floats(sizes.width))
    for row in 0..<rows {
      widen(
        stored + row * shape.stored, slot: slot(row), turns: turns, into: out + row * 2 * wide.columns)
    }
    return UnsafePointer(out)
  }

  /// Queries that see so many of their own rows.
  private func asked(
    _ queries: UnsafePointer<Float>, _ rows: Int, _ scratch: Arena, seen: (Int) -> Int32
  ) -> UnsafePointer<Float> {
    let width = sizes.width
    let (out, turns) = (scratch.zeros(max(1, rows) * wide.columns), scratch.floats(width))
    for row in 0..<rows {
      if ages == .rotary { rotary.turns([seen(row)], pairs: width / 2, into: turns) }
      for head in 0..<sizes.heads {
        let from = queries + row * sizes.columns + head * width
        let to = out + row * wide.columns + head * wide.width
        for i in 0..<width { to[i] = factor * from[i] }
        switch ages {
        case .rotary:
          (to + width).update(from: to, count: width)
          rotary.apply(to + width, rows: 1, stride: width, heads: 1, width: width, turns: turns)
        case .alibi:
          let slope = RowAges.slope(head, of: sizes.heads)
          to[width] = 1 / wide.scale
          to[width + 1] = Float(-slope * Double(seen(row) - 1)) / wide.scale
        }
      }
    }
    return UnsafePointer(out)
  }

  private func narrow(_ read: UnsafePointer<Float>, _ rows: Int, into out: UnsafeMutablePointer<Float>) {
    for row in 0..<rows * sizes.heads {
      (out + row * sizes.width).update(from: read + row * wide.width, count: sizes.width)
    }
  }

  // MARK: Storing

  func draft(rows count: Int) -> SoftmaxMemory.Context { inner.draft(rows: count) }

  func write(
    _ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: SoftmaxMemory.Context, scratch: Arena
  ) {
    let mark = scratch.mark
    inner.write(
      widen(stored, range.count, scratch) { _ in nil }, rows: range, to: draft, scratch: scratch)
    scratch.rewind(to: mark)
  }

  func finish(_ draft: SoftmaxMemory.Context) -> SoftmaxMemory.Context { inner.finish(draft) }

  func buffer(paths: Int, capacity: Int) -> SoftmaxMemory.Buffer {
    inner.buffer(paths: paths, capacity: capacity)
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: SoftmaxMemory.Context,
    to buffer: SoftmaxMemory.Buffer, scratch: Arena
  ) {
    let mark = scratch.mark
    let own = widen(stored, rows.count, scratch) { rows.slots[$0] }
    inner.append(own, rows, context: context, to: buffer, scratch: scratch)
    scratch.rewind(to: mark)
  }

  // MARK: Reading

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: SoftmaxMemory.Context,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let read = scratch.floats(max(1, rows) * wide.columns)
    inner.read(
      asked(queries, rows, scratch) { _ in 0 }, rows: rows, context: context, into: read, scratch: scratch)
    narrow(read, rows, into: out)
    scratch.rewind(to: mark)
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: SoftmaxMemory.Context,
    buffer: SoftmaxMemory.Buffer, into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let read = scratch.floats(max(1, visible.count) * wide.columns)
    inner.read(
      asked(queries, visible.count, scratch) { visible.limits[$0] }, visible, context: context,
      buffer: buffer, into: read, scratch: scratch)
    narrow(read, visible.count, into: out)
    scratch.rewind(to: mark)
  }

  // MARK: Training

  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    var seen = [Int32](repeating: 0, count: queries.rows)
    var slots = [Int32](repeating: -1, count: stored.rows)
    for block in blocks where !block.limits.isEmpty {
      for (query, limit) in zip(block.queries, block.limits) { seen[query] = limit }
      for (slot, row) in block.own.enumerated() { slots[row] = Int32(slot) }
    }
    let read = tape.attention(
      queries: asked(queries, seen, on: tape), keyValues: widened(stored, slots, on: tape),
      heads: sizes.heads, blocks: blocks)
    return tape.matrices(rows: queries.rows, columns: sizes.columns, reads: [read]) { pass in
      for head in 0..<sizes.heads {
        let columns = head * wide.width..<head * wide.width + sizes.width
        let part = pass.input(read, rows: 0..<read.rows, columns: columns)
        pass.emit(pass.matrices.scaled(part, by: 1), row: 0, column: head * sizes.width)
      }
    }
  }

  private func asked(_ queries: Node, _ seen: [Int32], on tape: Tape) -> Node {
    let (width, all) = (sizes.width, 0..<queries.rows)
    let turned =
      ages == .rotary
      ? tape.rotate(queries, rotary, heads: sizes.heads, width: width, positions: seen) : queries
    return tape.matrices(rows: queries.rows, columns: wide.columns, reads: [queries, turned]) { pass in
      let m = pass.matrices
      for head in 0..<sizes.heads {
        let (columns, first) = (head * width..<(head + 1) * width, head * wide.width)
        func part(_ node: Node) -> MatrixTape.Matrix {
          m.scaled(pass.input(node, rows: all, columns: columns), by: Double(factor))
        }
        pass.emit(part(queries), row: 0, column: first)
        switch ages {
        case .rotary: pass.emit(part(turned), row: 0, column: first + width)
        case .alibi:
          let slope = RowAges.slope(head, of: sizes.heads)
          let told = m.input(queries.rows, 2, learns: false) { values in
            for row in all {
              values[2 * row] = 1 / Double(wide.scale)
              values[2 * row + 1] = -slope * Double(seen[row] - 1) / Double(wide.scale)
            }
          }
          pass.emit(told, row: 0, column: first + width)
        }
      }
    }
  }

  /// Stored rows as softmax attention takes them; a context's have slot −1.
  private func widened(_ stored: Node, _ slots: [Int32], on tape: Tape) -> Node {
    let (width, all) = (sizes.width, 0..<stored.rows)
    let turned =
      ages == .rotary
      ? tape.rotate(
        stored, rotary, heads: sizes.heads, width: width, positions: slots.map { max($0, 0) }) : stored
    return tape.matrices(rows: stored.rows, columns: 2 * wide.columns, reads: [stored, turned]) { pass in
      let m = pass.matrices
      /// 1 in rows of a context, or in the others.
      func rows(own: Bool) -> MatrixTape.Matrix {
        m.input(stored.rows, width, learns: false) { values in
          for i in 0..<stored.rows * width { values[i] = (slots[i / width] >= 0) == own ? 1 : 0 }
        }
      }
      for head in 0..<sizes.heads {
        let (columns, first) = (head * width..<(head + 1) * width, head * wide.width)
        let value = sizes.columns + head * width..<sizes.columns + (head + 1) * width
        let key = pass.input(stored, rows: all, columns: columns)
        pass.emit(
          m.scaled(pass.input(stored, rows: all, columns: value), by: 1), row: 0,
          column: wide.columns + first)
        switch ages {
        case .rotary:
          pass.emit(m.hadamard(key, rows(own: false)), row: 0, column: first)
          let own = pass.input(turned, rows: all, columns: columns)
          pass.emit(m.hadamard(own, rows(own: true)), row: 0, column: first + width)
        case .alibi:
          pass.emit(m.scaled(key, by: 1), row: 0, column: first)
          let slope = RowAges.slope(head, of: sizes.heads)
          let told = m.input(stored.rows, 2, learns: false) { values in
            for row in all {
              values[2 * row] = slots[row] < 0 ? 0 : slope * Double(slots[row])
              values[2 * row + 1] = slots[row] < 0 ? 0 : 1
            }
          }
          pass.emit(told, row: 0, column: first + width)
        }
      }
    }
  }

  /// A read of one query by definition, in Double: of `context` and then `own`, stored rows in their order.
  static func reference(
    _ ages: RowAges, _ query: [Double], _ sizes: AttentionSizes, context: [[Double]], own: [[Double]]
  ) -> [Double] {
    let width = sizes.width
    return (0..<sizes.heads).flatMap { head -> [Double] in
      func part(_ row: [Double], _ first: Int = 0) -> [Double] {
        Array(row[first + head * width..<first + (head + 1) * width])
      }
      func score(_ key: [Double], age: Int?) -> Double {
        var (q, k, less) = (part(query), part(key), 0.0)
        if let age {
          switch ages {
          case .rotary:
            for pair in 0..<width / 2 {
              let angle = Double(age) * pow(10_000, -Double(pair) / Double(width / 2))
              let (a, b) = (q[pair], q[pair + width / 2])
              q[pair] = a * cos(angle) - b * sin(angle)
              q[pair + width / 2] = a * sin(angle) + b * cos(angle)
            }
          case .alibi: less = pow(2, -8 * Double(head + 1) / Double(sizes.heads)) * Double(age - 1)
          }
        }
        k = zip(q, k).map { $0 * $1 }
        return k.reduce(0, +) / Double(width).squareRoot() - less
      }
      let scores =
        context.map { score($0, age: nil) }
        + own.enumerated().map { score($0.element, age: own.count - $0.offset) }
      let top = scores.max() ?? 0
      let weights = scores.map { exp($0 - top) }
      let total = weights.reduce(0, +)
      var out = [Double](repeating: 0, count: width)
      for (row, weight) in zip(context + own, weights) {
        for (i, value) in part(row, sizes.columns).enumerated() { out[i] += weight / total * value }
      }
      return out
    }
  }

  // MARK: Outside the program

  func merge(
    _ first: SoftmaxMemory.Context, _ second: SoftmaxMemory.Context, removing: Bool
  ) -> SoftmaxMemory.Context? { inner.merge(first, second, removing: removing) }
  func stateArrays(rows: Int) -> [StateArray] { inner.stateArrays(rows: rows) }
  func values(of context: SoftmaxMemory.Context) -> [[Float]] { inner.values(of: context) }
  func context(rows: Int, values: [[Float]]) -> SoftmaxMemory.Context? {
    inner.context(rows: rows, values: values)
  }
  var work: MemoryWork {
    var work = inner.work
    (work.contextRowNumbers, work.ownRowNumbers) = (shape.stored, shape.stored)
    return work
  }

  func contextBytes(rows: Int) -> Int { inner.contextBytes(rows: rows) }
  func bufferBytes(capacity: Int) -> Int { inner.bufferBytes(capacity: capacity) }
}
