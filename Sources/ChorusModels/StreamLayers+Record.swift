import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusTensors

extension StreamLayers {
  /// Records what the network says of the targets of one task, `[M, outputs of the head]`.
  ///
  /// - Parameter prefixes: for every target, how many buffer rows it sees.
  func record(_ batch: TaskBatch, task: Int, prefixes: [Int32], on tape: Tape) -> Node {
    let (n, c, m, d) = (batch.context, batch.buffer, batch.targets, blueprint.width)
    let first = task * batch.rows
    var features = [Float](repeating: 0, count: batch.rows * inputs.inputs)
    features.withUnsafeMutableBufferPointer { out in
      batch.x.withUnsafeBufferPointer { x in
        guard let out = out.baseAddress, let x = x.baseAddress else { return }
        for row in 0..<batch.rows {
          writeFeatures(
            x + (first + row) * batch.dimensions, dimensions: batch.dimensions,
            into: out + row * inputs.inputs)
        }
      }
    }
    let ex = inputs.record(
      tape.constant(features, rows: batch.rows, columns: inputs.inputs), on: tape)
    let width = outputs.inputs
    var described = [Float](repeating: 0, count: (n + c) * width)
    described.withUnsafeMutableBufferPointer { out in
      guard let out = out.baseAddress else { return }
      for row in 0..<n + c { head.describe(batch.y[first + row], into: out + row * width) }
    }
    let ey =
      n + c == 0
      ? nil : outputs.record(tape.constant(described, rows: n + c, columns: width), on: tape)
    func tokens(_ rows: Range<Int>, observed: Bool, _ role: Parameter) -> Node {
      let places = rows.map { Int32($0) }
      var terms: [GatherTerm] = [.node(ex, places), .parameter(role, rows.map { _ in 0 })]
      if observed, let ey { terms.append(.node(ey, places)) }
      return tape.gather(terms, rows: rows.count, columns: d)
    }
    var context =
      n > 0
      ? tokens(0..<n, observed: true, roleContext)
      : tape.gather([.parameter(emptyContext, [0])], rows: 1, columns: d)
    var buffer = c > 0 ? tokens(n..<n + c, observed: true, roleBuffer) : nil
    var target = tokens(n + c..<n + c + m, observed: false, roleTarget)
    for block in blocks {
      (context, buffer, target) = record(block, context, buffer, target, prefixes, on: tape)
    }
    return head.map.record(last.record(target, on: tape), on: tape)
  }

  private func record(
    _ block: StreamBlock, _ context: Node, _ buffer: Node?, _ target: Node, _ prefixes: [Int32],
    on tape: Tape
  ) -> (context: Node, buffer: Node?, target: Node) {
    let n = context.rows
    let (plain, wide) = (block.plain.memory(tape.weights, []), block.wide.memory(tape.weights, []))
    /// Context rows above buffer rows.
    func above(_ a: Node, _ b: Node) -> Node {
      let (first, second) = ((0..<Int32(a.rows)).map { $0 }, (0..<Int32(b.rows)).map { $0 })
      return tape.gather(
        [
          .node(a, first + second.map { _ in -1 }), .node(b, first.map { _ in -1 } + second),
        ], rows: a.rows + b.rows, columns: a.columns)
    }
    func stored(_ stream: StoringStream, _ h: Node) -> Node {
      stream.stored.record(stream.stream.norm1.record(h, on: tape), on: tape)
    }
    let next = block.context.stream.record(context, on: tape) { queries in
      plain.train(
        queries: queries, stored: stored(block.context, context),
        blocks: [VisibleBlock(queries: 0..<n, shared: 0..<n)], on: tape)
    }
    let shown = block.storedContext.record(block.storedNorm.record(next, on: tape), on: tape)
    guard let buffer else {
      let asked = block.target.record(target, on: tape) { queries in
        wide.train(
          queries: queries, stored: shown,
          blocks: [VisibleBlock(queries: 0..<target.rows, shared: 0..<n)], on: tape)
      }
      return (next, nil, asked)
    }
    let c = buffer.rows
    let grown = block.buffer.stream.record(buffer, on: tape) { queries in
      plain.train(
        queries: queries, stored: stored(block.buffer, above(context, buffer)),
        blocks: [
          VisibleBlock(
            queries: 0..<c, shared: 0..<n, own: n..<n + c, limits: (0..<Int32(c)).map { $0 + 1 })
        ], on: tape)
    }
    let both = above(
      shown, block.storedBuffer.record(block.storedNorm.record(grown, on: tape), on: tape))
    let asked = block.target.record(target, on: tape) { queries in
      wide.train(
        queries: queries, stored: both,
        blocks: [
          VisibleBlock(queries: 0..<target.rows, shared: 0..<n, own: n..<n + c, limits: prefixes)
        ], on: tape)
    }
    return (next, grown, asked)
  }
}
