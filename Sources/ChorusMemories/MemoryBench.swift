import ChorusTensors
import Foundation

/// A memory whose chunks in training may have any length: the numbers are the same.
protocol ChunkedTraining {
  /// The most moves of a chunk.
  var trainingChunk: Int { get set }
}

/// A memory of sequences and random rows, to be timed: all reads of a sequence at once, the same with gradients, and one step
/// of every sequence of a batch.
public final class MemoryBench: Sendable {
  public let memory: any Memory
  public let sizes: AttentionSizes
  public let tokens: Int
  public let batch: Int
  private let weights: Weights
  private let handles: [Parameter]
  private let table: ParameterTable
  /// `[batch][tokens, columns]` and `[batch][tokens, stored]`.
  private let queries: FloatBuffer
  private let stored: FloatBuffer
  /// The gradient that a read is given, `[batch][tokens, read]`.
  private let given: FloatBuffer
  private let blocks: [VisibleBlock]

  /// - Parameter chunk: the most moves of a chunk in training; nil for the usual. Memories that have none take no notice.
  /// - Throws: `MemoryError` where the specification has no memory.
  public init(
    _ layer: LayerMemory, _ sizes: AttentionSizes, tokens: Int, batch: Int, chunk: Int? = nil, seed: UInt64
  ) throws(MemoryError) {
    let compiled = try CompiledMemory(layer, sizes, set: false)
    var table = ParameterTable()
    handles = compiled.shape.parameters.map { table.declare($0.name, 1, $0.count) }
    self.table = table
    weights = Weights(table, training: true)
    var stream = RandomStream(seed: seed, 0)
    for (handle, known) in zip(handles, compiled.shape.parameters) {
      for i in 0..<known.count {
        weights[handle][i] = Float(known.initial + known.spread * stream.normal())
      }
    }
    var memory = compiled.memory(weights, handles)
    if let chunk, var chunked = memory as? any Memory & ChunkedTraining {
      chunked.trainingChunk = chunk
      memory = chunked
    }
    (self.memory, self.sizes, self.tokens, self.batch) = (memory, sizes, tokens, batch)
    func normals(_ count: Int) -> FloatBuffer {
      let buffer = FloatBuffer(count: count)
      for i in 0..<count { buffer.pointer[i] = Float(stream.normal()) }
      return buffer
    }
    queries = normals(batch * tokens * sizes.columns)
    stored = normals(batch * tokens * memory.shape.stored)
    given = normals(batch * tokens * memory.shape.read)
    blocks = [
      VisibleBlock(
        queries: 0..<tokens, shared: 0..<0, own: 0..<tokens, limits: (0..<tokens).map { Int32($0) + 1 })
    ]
  }

  /// A tape and gradients, kept from pass to pass.
  public final class Worker: @unchecked Sendable {
    fileprivate let tape: Tape
    fileprivate let gradients: FloatBuffer
    fileprivate init(_ bench: MemoryBench) {
      tape = Tape(bench.weights)
      gradients = FloatBuffer(count: max(1, bench.table.count))
    }
    /// Floating-point operations of products so far.
    public var work: Double { tape.work }
  }

  public func workers(_ count: Int) -> [Worker] { (0..<count).map { _ in Worker(self) } }

  /// Reads every prefix of all sequences, split among workers that run side by side; with `learning` gradients too.
  public func pass(_ workers: [Worker], on pool: ThreadPool, learning: Bool) {
    pool.run(workers.count) { [self] index in
      for sequence in stride(from: index, to: batch, by: workers.count) {
        _ = read(sequence, workers[index], learning: learning)
      }
    }
  }

  private func read(_ sequence: Int, _ worker: Worker, learning: Bool) -> (
    read: Node, queries: Node, stored: Node
  ) {
    let tape = worker.tape
    tape.reset()
    let asked = tape.input(
      queries.pointer + sequence * tokens * sizes.columns, rows: tokens, columns: sizes.columns,
      learns: learning)
    let rows = tape.input(
      stored.pointer + sequence * tokens * memory.shape.stored, rows: tokens, columns: memory.shape.stored,
      learns: learning)
    let read = memory.train(queries: asked, stored: rows, blocks: blocks, on: tape)
    if learning {
      worker.gradients.fill(0)
      tape.backward(
        from: read, given.pointer + sequence * tokens * memory.shape.read, into: worker.gradients)
    }
    return (read, asked, rows)
  }

  /// What goes in and comes out of a pass over the first sequence, by name and shape; gradients are those of the sum of
  /// reads times `given`.
  public func values() -> [(name: String, shape: [Int], values: [Float])] {
    let worker = Worker(self)
    let nodes = read(0, worker, learning: true)
    func copy(_ pointer: UnsafePointer<Float>, _ count: Int) -> [Float] {
      Array(UnsafeBufferPointer(start: pointer, count: count))
    }
    func whole(_ buffer: FloatBuffer, _ columns: Int) -> (shape: [Int], values: [Float]) {
      ([batch, tokens, columns], buffer.array)
    }
    var all = [
      ("queries", whole(queries, sizes.columns)), ("stored", whole(stored, memory.shape.stored)),
      ("given", whole(given, memory.shape.read)),
    ].map { (name: $0.0, shape: $0.1.shape, values: $0.1.values) }
    for handle in handles {
      all.append(("parameter." + handle.path, [handle.count], copy(weights[handle], handle.count)))
      all.append(
        (
          "gradient.parameter." + handle.path, [handle.count],
          copy(worker.gradients.pointer + handle.offset, handle.count)
        ))
    }
    let read = [tokens, memory.shape.read]
    all.append(("read", read, copy(worker.tape.values(nodes.read), tokens * memory.shape.read)))
    for (name, node) in [("queries", nodes.queries), ("stored", nodes.stored)] {
      guard let gradient = worker.tape.gradient(of: node) else { continue }
      all.append(("gradient." + name, [tokens, node.columns], copy(gradient, tokens * node.columns)))
    }
    return all
  }

  /// Paths of a batch that go on row by row.
  public final class Steps {
    private let bench: MemoryBench
    private let context: any AnyObject & Sendable
    private let buffer: AnyObject
    private let arena = Arena()
    private let out: FloatBuffer
    private var token = 0

    fileprivate init(_ bench: MemoryBench) {
      self.bench = bench
      context = bench.memory.finish(any: bench.memory.anyDraft(rows: 0))
      buffer = bench.memory.anyBuffer(paths: bench.batch, capacity: bench.tokens)
      out = FloatBuffer(count: bench.batch * bench.memory.shape.read)
    }
    /// One step of every path: its row joins, and its query reads. Begins anew behind the last token.
    public func advance() {
      let (memory, batch, columns) = (bench.memory, bench.batch, bench.memory.shape.stored)
      arena.reset()
      let rows = arena.floats(batch * columns)
      let asked = arena.floats(batch * bench.sizes.columns)
      for path in 0..<batch {
        let place = path * bench.tokens + token
        (rows + path * columns).update(from: bench.stored.pointer + place * columns, count: columns)
        (asked + path * bench.sizes.columns).update(
          from: bench.queries.pointer + place * bench.sizes.columns, count: bench.sizes.columns)
      }
      let paths = arena.integers((0..<batch).map { Int32($0) })
      memory.append(
        rows,
        CommittedRows(
          count: batch, paths: paths,
          slots: arena.integers([Int32](repeating: Int32(token), count: batch))),
        anyContext: context, toAny: buffer, scratch: arena)
      memory.read(
        asked,
        VisibleRows(
          count: batch, paths: paths,
          limits: arena.integers([Int32](repeating: Int32(token + 1), count: batch)),
          maskStarts: arena.integers([Int32](repeating: -1, count: batch)), masks: nil),
        anyContext: context, anyBuffer: buffer, into: out.pointer, scratch: arena)
      token = (token + 1) % bench.tokens
    }
  }

  public func steps() -> Steps { Steps(self) }

  /// Bytes that a path keeps of its sequence.
  public var stateBytes: Int { memory.bufferBytes(capacity: tokens) }
}
