import CChorusKernels

extension Tape {
  /// Adds d(node)/d(parameters) to `gradients`, laid out as the parameter table; `node` is a `[1, 1]` loss.
  public func backward(from node: Node, into gradients: FloatBuffer) {
    let one: [Float] = [1]
    one.withUnsafeBufferPointer { if let one = $0.baseAddress { backward(from: node, one, into: gradients) } }
  }

  /// The same of any node, from the gradient of all its values; that of every node that learns is kept.
  public func backward(from node: Node, _ gradient: UnsafePointer<Float>, into gradients: FloatBuffer) {
    prepareGradients(upTo: node.index)
    records[node.index].gradient?.update(from: gradient, count: node.rows * node.columns)
    for index in stride(from: node.index, through: 0, by: -1) where records[index].needsGradient {
      let mark = arena.mark
      propagate(index, gradients.pointer)
      arena.rewind(to: mark)
    }
  }

  /// Gives every record that needs one a gradient of zeros. A residual sum passes its gradient on unchanged, so it
  /// shares the memory of the summand's gradient when nothing reads that summand later, nor the same operation as
  /// its input: the gradient of the input would be added to what is still being read.
  private func prepareGradients(upTo last: Int) {
    for index in 0...last where records[index].needsGradient {
      let record = records[index]
      if case .linear(let x, _, _, _, _, let residual?) = record.operation,
        x.index != residual.index,
        records[residual.index].lastReader == index, let gradient = records[residual.index].gradient
      {
        records[index].gradient = gradient + residual.first * residual.columns
      } else {
        records[index].gradient = arena.zeros(record.rows * record.columns)
      }
    }
  }

  /// What the last walk back has found, rows of the node's columns; nil where it does not learn.
  public func gradient(of node: Node) -> UnsafePointer<Float>? { gradient(node).map { UnsafePointer($0) } }

  func gradient(_ node: Node) -> UnsafeMutablePointer<Float>? {
    records[node.index].gradient.map { $0 + node.first * node.columns }
  }

  private func propagate(_ index: Int, _ gradients: UnsafeMutablePointer<Float>) {
    let record = records[index]
    guard let dy = record.gradient else { return }
    switch record.operation {
    case .constant: break
    case .gather(let terms):
      for term in terms {
        let target: UnsafeMutablePointer<Float>?
        switch term.source {
        case .node(let node): target = gradient(node)
        case .parameter(let parameter): target = gradients + parameter.offset
        }
        guard let target else { continue }
        for (row, source) in term.indices.enumerated() where source >= 0 {
          ck_add(record.columns, dy + row * record.columns, target + Int(source) * record.columns)
        }
      }
    case .linear(let x, let weight, let bias, let activation, let pre, let residual):
      backwardLinear(record, dy, x, weight, bias, activation, pre, residual, gradients)
    case .layerNorm(let x, let gain, let bias, let stats):
      let dx = gradient(x) ?? arena.zeros(x.rows * x.columns)  // gain and bias learn from constants too
      let (normed, width) = (gain.columns, x.columns)
      let d = Int32(width)
      ck_layer_norm_backward(
        Int32(x.rows), Int32(normed), values(x), d, weights[gain], stats, dy, d, dx, d, 1,
        gradients + gain.offset,
        gradients + bias.offset)
      for row in 0..<x.rows {
        for column in normed..<width { dx[row * width + column] += dy[row * width + column] }
      }
    case .rmsNorm(let x, let gain, let scales): backwardRMSNorm(dy, x, gain, scales, gradients)
    case .gatedUnit(let gate, let up): backwardGatedUnit(dy, gate, up)
    case .rotate(let x, let turns): backwardRotate(dy, x, turns)
    case .convolve(let x, let taps): backwardConvolve(dy, x, taps, gradients)
    case .attention(let queries, let keyValues, let sizes, let blocks, let lse):
      backwardAttention(record, dy, queries, keyValues, sizes, blocks, lse)
    case .rowLoss(let parameters, let own):
      guard let target = gradient(parameters) else { return }
      let count = parameters.rows * parameters.columns
      ck_scale(count, dy[0], own)
      ck_add(count, own, target)
    case .localLinear(let pass): backwardLocalLinear(pass, dy, gradients)
    case .beside(let nodes): backwardBeside(nodes, record, dy)
    case .matrices(let range, let links, let fused):
      backwardMatrices(range, links, fused, columns: record.columns, dy, gradients)
    }
  }

  private func backwardLinear(
    _ record: Record, _ dy: UnsafeMutablePointer<Float>, _ x: Node, _ weight: Parameter,
    _ bias: Parameter?,
    _ activation: Activation, _ pre: UnsafeMutablePointer<Float>?, _ residual: Node?,
    _ gradients: UnsafeMutablePointer<Float>
  ) {
    let (rows, k, n) = (record.rows, weight.rows, weight.columns)
    if let residual, let target = gradient(residual), target != dy { ck_add(rows * n, dy, target) }
    var dpre = dy
    if let pre {
      dpre = arena.floats(rows * n)
      ck_activate_backward(activation.rawValue, rows * n, pre, dy, dpre)
    }
    if let dx = gradient(x), let packed = weights.packedTranspose(weight) {
      var arguments = ck_matmul_args()
      arguments.m = Int32(rows)
      arguments.k = Int32(n)
      arguments.n = Int32(k)
      arguments.a = UnsafePointer(dpre)
      arguments.lda = Int32(n)
      arguments.packed = packed
      arguments.c = dx
      arguments.ldc = Int32(x.columns)
      arguments.accumulate = 1
      if weights.rounds(n) { ck_matmul_bf16(&arguments) } else { ck_matmul(&arguments) }
    }
    let scratch = arena.floats(ck_matmul_tn_scratch(Int32(k), Int32(n), Int32(rows)))
    let multiply = weights.precision == .bf16 ? ck_matmul_tn_bf16 : ck_matmul_tn
    multiply(
      Int32(k), Int32(n), Int32(rows), values(x), Int32(x.columns), dpre, Int32(n),
      gradients + weight.offset,
      Int32(n), 1, scratch)
    if let bias { ck_column_sum(Int32(rows), Int32(n), dpre, Int32(n), gradients + bias.offset, 1) }
  }

  private func backwardAttention(
    _ record: Record, _ dy: UnsafeMutablePointer<Float>, _ queries: Node, _ keyValues: Node,
    _ sizes: AttentionSizes,
    _ blocks: [VisibleBlock], _ lse: [UnsafeMutablePointer<Float>]
  ) {
    // What is constant gets a gradient that nobody reads.
    let dq = gradient(queries) ?? arena.zeros(queries.rows * queries.columns)
    let dkv = gradient(keyValues) ?? arena.zeros(keyValues.rows * keyValues.columns)
    let (d, stored) = (queries.columns, Int32(keyValues.columns))
    for (block, lse) in zip(blocks, lse) where !block.queries.isEmpty {
      let mark = arena.mark
      let offset = block.queries.lowerBound * d
      let (rows, heads, width) = (Int32(block.queries.count), Int32(sizes.heads), Int32(sizes.width))
      let delta = arena.floats(block.queries.count * sizes.heads)
      ck_attention_delta(
        rows, heads, width, record.values + offset, Int32(d), dy + offset, Int32(d), delta)
      var arguments = ck_attention_backward_args()
      arguments.rows = rows
      arguments.heads = heads
      arguments.key_heads = Int32(sizes.keyHeads)
      arguments.width = width
      arguments.scale = sizes.scale
      arguments.q = UnsafePointer(values(queries) + offset)
      arguments.ldq = Int32(d)
      arguments.dout = UnsafePointer(dy + offset)
      arguments.lddout = Int32(d)
      arguments.lse = UnsafePointer(lse)
      arguments.delta = UnsafePointer(delta)
      arguments.dq = dq + offset
      arguments.lddq = Int32(d)
      arguments.ldk = stored
      arguments.ldv = stored
      arguments.lddk = stored
      arguments.lddv = stored
      let longest = Int32(max(block.shared.count, block.visibleOwn.count))
      arguments.scratch = arena.floats(ck_attention_backward_scratch(rows, heads, width, longest))
      for (range, limits) in [(block.shared, [Int32]()), (block.visibleOwn, block.limits)]
      where !range.isEmpty {
        let keys = values(keyValues) + range.lowerBound * keyValues.columns
        arguments.count = Int32(range.count)
        arguments.k = UnsafePointer(keys)
        arguments.v = UnsafePointer(keys + sizes.keyColumns)
        arguments.dk = dkv + range.lowerBound * keyValues.columns
        arguments.dv = dkv + range.lowerBound * keyValues.columns + sizes.keyColumns
        arguments.limits = limits.isEmpty ? nil : UnsafePointer(arena.integers(limits))
        ck_attention_backward(&arguments)
      }
      arena.rewind(to: mark)
    }
  }
}
