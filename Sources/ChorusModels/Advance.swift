import ChorusMemories
import ChorusTensors

extension Trunk {
  // MARK: Extend and query

  /// Empty private buffers for `count` paths with room for `capacity` committed rows each.
  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(
      count: count, capacity: capacity,
      layers: network.blocks.map { _ in memory.buffer(paths: count, capacity: capacity) })
  }

  /// Commits rows to every path's buffer and queries further rows, in one network call.
  ///
  /// Rows come in groups, one row a path: `commit` and `query` hold `groups·paths` indices into `inputs`, `y` the
  /// committed values in the network's units. Group g of the queries sees the context and the first `limits[g]`
  /// buffer rows, those committed in this call included. The last layer computes only what the queries read.
  /// - Returns: the head's parameters, `[query groups·paths, 3·components]`, valid until the next call.
  ///
  /// Inside, rows lie path by path, so that all rows of a path meet its private keys together.
  @discardableResult
  public func advance(
    _ paths: Paths, _ context: ContextState, inputs: EmbeddedInputs, commit: [Int32] = [], y: [Float] = [],
    query: [Int32] = [], limits: [Int32] = []
  ) -> UnsafePointer<Float> {
    let arena = paths.arena
    arena.reset()
    let d = blueprint.width
    // The kernels trust sizes. Nothing read from a file or a flag decides these; a caller that gets them wrong
    // must stop here and not write past a buffer.
    precondition(
      commit.count % paths.count == 0 && query.count % paths.count == 0 && y.count == commit.count
        && limits.count == query.count / paths.count
        && paths.committed + commit.count / paths.count <= paths.capacity,
      "rows do not come in groups of one a path, or exceed the paths' capacity")
    let call = Call(
      paths: paths.count, commits: commit.count / paths.count, queries: query.count / paths.count)
    var rows = paths.count * call.rows
    var h = arena.floats(rows * d)
    assemble(h, paths, call, inputs, commit, y, query)
    let first = paths.committed
    let own = (0..<call.commits).map { Int32(first + $0 + 1) }
    var visible = UnsafePointer(arena.integers(own + limits, times: paths.count))
    let keyValues = arena.floats(commit.count * 2 * d)
    let (queryH, queryNormed) = (arena.floats(query.count * d), arena.floats(query.count * d))
    for (index, block) in network.blocks.enumerated() {
      let mark = arena.mark
      var normed = normed(block, h, rows: rows, arena)
      if call.commits > 0 {
        store(normed, call, block, into: keyValues)
        memory.append(keyValues, count: call.commits, at: first, to: paths.layers[index])
        if index == network.blocks.count - 1 {
          copyQueries(of: normed, call, into: queryNormed)
          copyQueries(of: h, call, into: queryH)
          normed = blueprint.norm == .pre ? queryNormed : queryH
          (h, rows) = (queryH, query.count)
          visible = UnsafePointer(arena.integers(limits, times: paths.count))
        }
      }
      let buffer = paths.capacity > 0 ? paths.layers[index] : nil
      transform(
        block, h, normed, limits: visible, rows: rows, paths: paths.count, context.layers[index], buffer,
        arena)
      arena.rewind(to: mark)
    }
    paths.commit(call.commits)
    return UnsafePointer(head(byGroup(h, call, arena), rows: query.count, arena))
  }

  /// Rows of one call: for each path its commits, then its queries.
  private struct Call {
    let paths: Int
    let commits: Int
    let queries: Int
    var rows: Int { commits + queries }
  }

  /// Keys and values of the committed rows, path by path: a product a path or a product a place, whichever has
  /// more rows. A row's bytes do not depend on the rows beside it.
  private func store(
    _ normed: UnsafePointer<Float>, _ call: Call, _ block: Network.Block,
    into keyValues: UnsafeMutablePointer<Float>
  ) {
    let d = blueprint.width
    if call.queries == 0 {
      weights.linear(normed, rows: call.paths * call.commits, block.keyValue, into: keyValues)
    } else if call.commits > call.paths {
      for path in 0..<call.paths {
        weights.linear(
          normed + path * call.rows * d, rows: call.commits, block.keyValue,
          into: keyValues + path * call.commits * 2 * d)
      }
    } else {
      for place in 0..<call.commits {
        weights.linear(
          normed + place * d, rows: call.paths, stride: call.rows * d, block.keyValue,
          into: keyValues + place * 2 * d, outStride: call.commits * 2 * d)
      }
    }
  }

  private func copyQueries(
    of rows: UnsafePointer<Float>, _ call: Call, into out: UnsafeMutablePointer<Float>
  ) {
    let d = blueprint.width
    for path in 0..<call.paths {
      let from = rows + (path * call.rows + call.commits) * d
      (out + path * call.queries * d).update(from: from, count: call.queries * d)
    }
  }

  /// Query rows group by group, as callers take them.
  private func byGroup(
    _ h: UnsafeMutablePointer<Float>, _ call: Call, _ arena: Arena
  ) -> UnsafeMutablePointer<Float> {
    guard call.paths > 1, call.queries > 1 else { return h }
    let d = blueprint.width
    let out = arena.floats(call.paths * call.queries * d)
    for path in 0..<call.paths {
      for group in 0..<call.queries {
        let from = h + (path * call.queries + group) * d
        (out + (group * call.paths + path) * d).update(from: from, count: d)
      }
    }
    return out
  }

  private func head(
    _ h: UnsafeMutablePointer<Float>, rows: Int, _ arena: Arena
  ) -> UnsafeMutablePointer<Float> {
    if let norm = network.finalNorm {
      weights.layerNorm(h, rows: rows, gain: norm.gain, bias: norm.bias, into: h)
    }
    let hidden = arena.floats(rows * blueprint.headHidden)
    let out = arena.floats(rows * 3 * blueprint.components)
    weights.linear(
      h, rows: rows, network.headUp.weight, bias: network.headUp.bias, activation: .gelu, into: hidden)
    weights.linear(hidden, rows: rows, network.headDown.weight, bias: network.headDown.bias, into: out)
    return out
  }

  /// Tokens of the rows of one call: Ex(x) + Ey(y) + role for committed rows, Ex(x) + role for queries.
  private func assemble(
    _ h: UnsafeMutablePointer<Float>, _ paths: Paths, _ call: Call, _ inputs: EmbeddedInputs,
    _ commit: [Int32], _ y: [Float], _ query: [Int32]
  ) {
    let d = blueprint.width
    let arena = paths.arena
    let outputs = arena.floats(commit.count * d)
    if !commit.isEmpty { apply(network.outputs, y, rows: commit.count, into: outputs, arena) }
    let (buffer, target) = (weights[network.roleBuffer], weights[network.roleTarget])
    for (row, input) in commit.enumerated() {
      let (place, path) = row.quotientAndRemainder(dividingBy: call.paths)
      let out = h + (path * call.rows + place) * d
      let (ex, ey) = (inputs.rows.pointer + Int(input) * d, outputs + row * d)
      for column in 0..<d { out[column] = ey[column] + ex[column] + buffer[column] }
      if let positions = network.positions {
        add(positions, row: min(paths.committed + place, positions.rows - 1), to: out, rows: 1)
      }
    }
    for (row, input) in query.enumerated() {
      let (group, path) = row.quotientAndRemainder(dividingBy: call.paths)
      let out = h + (path * call.rows + call.commits + group) * d
      let ex = inputs.rows.pointer + Int(input) * d
      for column in 0..<d { out[column] = ex[column] + target[column] }
    }
  }
}
