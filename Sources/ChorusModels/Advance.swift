import ChorusData
import ChorusMemories
import ChorusTensors

extension Trunk {
  // MARK: Extend and query

  /// Empty private buffers for `count` paths with room for `capacity` committed rows each.
  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(
      count: count, capacity: capacity,
      layers: memories.map { $0.anyBuffer(paths: count, capacity: capacity) },
      rowsOf: blueprint.neighbours > 0 ? blueprint.inputDimensions : 0)
  }

  /// Commits rows to the paths' buffers and queries further rows, in one network call.
  ///
  /// Every row reads the whole context and the slots of its path's buffer that it names, those written in this call
  /// included. The last layer computes only what the queries read. A row's bytes do not depend on the other rows of
  /// the call, but for the values that it reads.
  /// - Parameter rows: of all paths, in order; its inputs are indices into `inputs`.
  /// - Returns: what is said of the queries in the batch's order, valid until the next call.
  @discardableResult
  public func advance(
    _ paths: Paths, _ context: ContextState, inputs: EmbeddedInputs, rows batch: RowBatch
  ) -> Answers {
    let arena = paths.arena
    arena.reset()
    check(batch, paths, inputs)
    let d = blueprint.width
    let places = Places(batch, arena)
    var rows = batch.count
    var h = arena.floats(rows * d)
    let near = surroundings(batch, paths, context, inputs, arena)
    assemble(h, batch, inputs, near, arena)
    var visible = places.rows
    let commitNormed = arena.floats(batch.commits * d)
    let (queryH, queryNormed) = (arena.floats(batch.queries * d), arena.floats(batch.queries * d))
    for (index, block) in network.blocks.enumerated() {
      let (mark, memory) = (arena.mark, memories[index])
      var normed = normed(block, h, rows: rows, arena)
      if batch.commits > 0 {
        let committed = gather(normed, places.commits, into: commitNormed)
        let stored = arena.floats(batch.commits * memory.shape.stored)
        weights.linear(committed, rows: batch.commits, block.keyValue, into: stored)
        memory.append(
          stored, places.committed, anyContext: context.layers[index], toAny: paths.layers[index],
          scratch: arena)
        if index == network.blocks.count - 1 {
          normed = gather(normed, places.queries, into: queryNormed)
          h = blueprint.norm == .pre ? gather(h, places.queries, into: queryH) : normed
          (rows, visible) = (batch.queries, places.queryRows)
        }
      }
      transform(block, h, normed, rows: rows, arena) { queries, out in
        memory.read(
          queries, visible, anyContext: context.layers[index], anyBuffer: paths.layers[index], into: out,
          scratch: arena)
      }
      arena.rewind(to: mark)
    }
    return Answers(raw: head(h, rows: batch.queries, arena), units: near?.units)
  }

  /// What a network call says of its queries.
  public struct Answers {
    /// The head's parameters, `[queries, 3·components]`.
    public let raw: UnsafePointer<Float>
    let units: UnsafePointer<Double>?

    /// What 0 and 1 in the parameters of a query's local components are in the network's units.
    public func unit(_ query: Int) -> Scaling.Unit {
      guard let units else { return Scaling.Unit(origin: 0, scale: 1) }
      return Scaling.Unit(origin: units[2 * query], scale: units[2 * query + 1])
    }
  }

  /// The kernels trust what they are given. Nothing read from a file or a flag decides it; a caller that gets it
  /// wrong must stop here and not read or write beside a buffer.
  private func check(_ batch: RowBatch, _ paths: Paths, _ inputs: EmbeddedInputs) {
    precondition(batch.paths == paths.count, "a batch has a part for every path, if an empty one")
    for row in 0..<batch.count {
      precondition((0..<inputs.count).contains(Int(batch.inputs[row])), "a row has one of the inputs")
      let slot = Int(batch.slots[row])
      guard slot >= 0 else { continue }
      precondition(slot < paths.capacity, "a slot lies within the paths' capacity")
      paths.fill(path: Int(batch.path[row]), slot: slot)
    }
    if network.near != nil { keep(batch, paths, inputs) }
    for row in 0..<batch.count {
      precondition(
        Int(batch.limits[row]) <= paths.slots[Int(batch.path[row])], "a row reads slots that were written")
    }
  }

  private func keep(_ batch: RowBatch, _ paths: Paths, _ inputs: EmbeddedInputs) {
    var commit = 0
    inputs.x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for row in 0..<batch.count where batch.slots[row] >= 0 {
        paths.keep(
          x + Int(batch.inputs[row]) * inputs.dimensions, batch.values[commit], path: Int(batch.path[row]),
          slot: Int(batch.slots[row]), dimensions: inputs.dimensions)
        commit += 1
      }
    }
  }

  /// Rows `rows` of `from`, one after the other: in place where they are so already.
  private func gather(
    _ from: UnsafeMutablePointer<Float>, _ rows: Places.Indices, into out: UnsafeMutablePointer<Float>
  ) -> UnsafeMutablePointer<Float> {
    let d = blueprint.width
    guard rows.count > 0 else { return from }
    if rows.contiguous { return from + Int(rows.pointer[0]) * d }
    for index in 0..<rows.count {
      (out + index * d).update(from: from + Int(rows.pointer[index]) * d, count: d)
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

  /// Tokens of the rows of one call: Ex(x) + Ey(y) + role for committed rows, Ex(x) + role for queries; and what rows near
  /// by say.
  private func assemble(
    _ h: UnsafeMutablePointer<Float>, _ batch: RowBatch, _ inputs: EmbeddedInputs,
    _ surroundings: RowSurroundings?, _ arena: Arena
  ) {
    let d = blueprint.width
    let outputs = arena.floats(batch.commits * d)
    if batch.commits > 0 { apply(network.outputs, batch.values, rows: batch.commits, into: outputs, arena) }
    let (buffer, target) = (weights[network.roleBuffer], weights[network.roleTarget])
    var ey = UnsafePointer(outputs)
    var (commits, queries) = (surroundings?.commits, surroundings?.queries)
    func addNext(of rows: inout UnsafePointer<Float>?, to out: UnsafeMutablePointer<Float>) {
      guard let row = rows else { return }
      for column in 0..<d { out[column] += row[column] }
      rows = row + d
    }
    for row in 0..<batch.count {
      let out = h + row * d
      let ex = inputs.rows.pointer + Int(batch.inputs[row]) * d
      let slot = Int(batch.slots[row])
      guard slot >= 0 else {
        for column in 0..<d { out[column] = ex[column] + target[column] }
        addNext(of: &queries, to: out)
        continue
      }
      for column in 0..<d { out[column] = ey[column] + ex[column] + buffer[column] }
      ey += d
      addNext(of: &commits, to: out)
      if let positions = network.positions {
        add(positions, row: min(slot, positions.rows - 1), to: out, rows: 1)
      }
    }
  }
}

/// Where the rows of one call lie and what they read, as the kernels take it, in the call's arena.
private struct Places {
  struct Indices {
    let pointer: UnsafePointer<Int32>
    let count: Int
    var contiguous: Bool { Int(pointer[count - 1] - pointer[0]) == count - 1 }
  }

  /// The rows that are committed and those that are asked for.
  let commits: Indices
  let queries: Indices
  let committed: CommittedRows
  /// What all rows read, and what the queries read.
  let rows: VisibleRows
  let queryRows: VisibleRows

  init(_ batch: RowBatch, _ arena: Arena) {
    let masks = batch.masks.isEmpty ? nil : UnsafePointer(arena.words(batch.masks))
    rows = VisibleRows(
      count: batch.count, paths: arena.integers(batch.path), limits: arena.integers(batch.limits),
      maskStarts: arena.integers(batch.maskStarts), masks: masks)
    func places(_ count: Int) -> UnsafeMutablePointer<Int32> { arena.integers(count: count) }
    let (commitRows, commitPaths, commitSlots) = (
      places(batch.commits), places(batch.commits), places(batch.commits)
    )
    let (queryRows, queryPaths) = (places(batch.queries), places(batch.queries))
    let (limits, maskStarts) = (places(batch.queries), places(batch.queries))
    var (commit, query) = (0, 0)
    for row in 0..<batch.count {
      if batch.slots[row] >= 0 {
        commitRows[commit] = Int32(row)
        commitPaths[commit] = batch.path[row]
        commitSlots[commit] = batch.slots[row]
        commit += 1
      } else {
        queryRows[query] = Int32(row)
        queryPaths[query] = batch.path[row]
        limits[query] = batch.limits[row]
        maskStarts[query] = batch.maskStarts[row]
        query += 1
      }
    }
    commits = Indices(pointer: commitRows, count: commit)
    queries = Indices(pointer: queryRows, count: query)
    committed = CommittedRows(count: commit, paths: commitPaths, slots: commitSlots)
    self.queryRows = VisibleRows(
      count: query, paths: queryPaths, limits: limits, maskStarts: maskStarts, masks: masks)
  }
}
