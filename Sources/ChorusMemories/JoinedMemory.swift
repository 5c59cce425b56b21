import ChorusTensors

/// Two memories of a layer: one holds the context, the other a path's own rows, and their reads stand side by side. The
/// rows of the output map that take the second one's read begin at zero: a gate.
struct JoinedMemory: Memory {
  private let first: any Memory
  private let second: any Memory
  let shape: MemoryShape
  let capability: Capability
  private let empty: any AnyObject & Sendable

  init(context: any Memory, buffer: any Memory, _ shape: MemoryShape, _ capability: Capability) {
    first = context
    second = buffer
    self.shape = shape
    self.capability = capability
    empty = buffer.finish(any: buffer.anyDraft(rows: 0))
  }

  /// What the first memory holds; a class of our own so that the types agree.
  final class State: Sendable {
    let inner: any AnyObject & Sendable
    init(_ inner: any AnyObject & Sendable) { self.inner = inner }
  }
  final class Buffer {
    let inner: AnyObject
    init(_ inner: AnyObject) { self.inner = inner }
  }

  func draft(rows count: Int) -> State { State(first.anyDraft(rows: count)) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: State, scratch: Arena) {
    first.write(stored, rows: range, toAny: draft.inner, scratch: scratch)
  }
  func finish(_ draft: State) -> State { State(first.finish(any: draft.inner)) }
  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(second.anyBuffer(paths: paths, capacity: capacity))
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: State, to buffer: Buffer, scratch: Arena
  ) {
    let mark = scratch.mark
    let width = second.shape.stored
    var own = stored
    if width != shape.stored {
      let narrow = scratch.floats(rows.count * width)
      for row in 0..<rows.count {
        (narrow + row * width).update(from: stored + row * shape.stored, count: width)
      }
      own = UnsafePointer(narrow)
    }
    second.append(own, rows, anyContext: empty, toAny: buffer.inner, scratch: scratch)
    scratch.rewind(to: mark)
  }

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: State, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    let mark = scratch.mark
    let (read, own) = (scratch.floats(rows * first.shape.read), scratch.floats(rows * second.shape.read))
    first.read(queries, rows: rows, anyContext: context.inner, into: read, scratch: scratch)
    second.read(queries, rows: rows, anyContext: empty, into: own, scratch: scratch)
    for row in 0..<rows {
      place(read + row * first.shape.read, own + row * second.shape.read, into: out + row * shape.read)
    }
    scratch.rewind(to: mark)
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: State, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let count = visible.count
    let (read, own) = (scratch.floats(count * first.shape.read), scratch.floats(count * second.shape.read))
    first.read(queries, rows: count, anyContext: context.inner, into: read, scratch: scratch)
    second.read(
      queries, visible, anyContext: empty, anyBuffer: buffer.inner, into: own, scratch: scratch)
    for row in 0..<count {
      place(read + row * first.shape.read, own + row * second.shape.read, into: out + row * shape.read)
    }
    scratch.rewind(to: mark)
  }

  private func place(
    _ read: UnsafePointer<Float>, _ own: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    out.update(from: read, count: first.shape.read)
    (out + first.shape.read).update(from: own, count: second.shape.read)
  }

  func train(queries: Node, stored: Node, blocks: [VisibleBlock], on tape: Tape) -> Node {
    let sets = blocks.map { VisibleBlock(queries: $0.queries, shared: $0.shared) }
    let own = blocks.map { block in
      VisibleBlock(
        queries: block.queries, shared: block.own.lowerBound..<block.own.lowerBound, own: block.own,
        limits: block.limits)
    }
    return tape.beside([
      first.train(queries: queries, stored: stored, blocks: sets, on: tape),
      second.train(
        queries: queries, stored: tape.leading(second.shape.stored, of: stored), blocks: own, on: tape),
    ])
  }

  func merge(_ a: State, _ b: State, removing: Bool) -> State? {
    first.merge(any: a.inner, b.inner, removing: removing).map { State($0) }
  }

  func raised(_ context: State) -> Double { first.raised(any: context.inner) }

  func stateArrays(rows: Int) -> [StateArray] { first.stateArrays(rows: rows) }
  func values(of context: State) -> [[Float]] { first.values(ofAny: context.inner) }
  func context(rows: Int, values: [[Float]]) -> State? {
    first.anyContext(rows: rows, values: values).map { State($0) }
  }

  var work: MemoryWork { first.work.joined(buffer: second.work) }
  func contextBytes(rows: Int) -> Int { first.contextBytes(rows: rows) }
  func bufferBytes(capacity: Int) -> Int { second.bufferBytes(capacity: capacity) }
}

extension Tape {
  /// The first columns of a node; the node itself where it has no more.
  fileprivate func leading(_ columns: Int, of node: Node) -> Node {
    guard columns < node.columns else { return node }
    return matrices(rows: node.rows, columns: columns, reads: [node]) { pass in
      pass.emit(pass.input(node, rows: 0..<node.rows, columns: 0..<columns), row: 0, column: 0)
    }
  }
}
