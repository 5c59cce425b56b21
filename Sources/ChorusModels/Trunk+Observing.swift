import ChorusMemories
import ChorusTensors

extension Trunk {
  /// A context with further rows read, or (`removing`) with rows taken out: layer by layer the rows' own keys and values
  /// join the state or leave it, and no other row is read again.
  ///
  /// With one layer that is what encoding all rows at once gives, since keys and values come from the rows alone (and, where
  /// the blueprint has neighbours, from those near them, which the rows that were there before do not see change). In
  /// deeper layers the rows that were there before keep the keys they had: they have not read the new ones, or have still
  /// read those that left.
  ///
  /// - Parameters: `x` `[count, dimensions]` and `y` `[count]` in the network's units; when removing, rows of the context.
  /// - Returns: nil where a layer's memory cannot do it (see `memoryCapability`).
  public func observing(
    _ state: ContextState, x: [Float], y: [Float], dimensions: Int, removing: Bool = false
  ) -> ContextState? {
    let count = y.count
    guard count > 0 else { return state }
    guard state.rows > 0 else { return removing ? nil : encode(x: x, y: y, dimensions: dimensions) }
    // All rows that those observed here have near them, with these last.
    let others = removing ? state.near?.changed(x: x, y: y, removing: true) : state.near
    let near = others?.changed(x: x, y: y, removing: false)
    return scratch.with { arena in
      let h = arena.floats(count * blueprint.width)
      observe(
        x, y, 0..<count, dimensions: dimensions, state.periods, near, place: others?.count ?? 0, into: h,
        arena)
      var layers: [any AnyObject & Sendable] = []
      for (index, block) in network.blocks.enumerated() {
        let (memory, old) = (memories[index], state.layers[index])
        let normed = normed(block, h, rows: count, arena)
        let stored = arena.floats(count * memory.shape.stored)
        weights.linear(normed, rows: count, block.keyValue, into: stored)
        let draft = memory.anyDraft(rows: count)
        memory.write(stored, rows: 0..<count, toAny: draft, scratch: arena)
        guard let merged = memory.merge(any: old, memory.finish(any: draft), removing: removing) else {
          return nil
        }
        layers.append(merged)
        guard index < network.blocks.count - 1 else { break }
        // A row that leaves reads what it read when it came: the state with itself in it.
        transform(block, h, normed, rows: count, arena) { queries, out in
          memory.read(queries, rows: count, anyContext: removing ? old : merged, into: out, scratch: arena)
        }
      }
      return ContextState(
        rows: state.rows + (removing ? -count : count), periods: state.periods,
        near: removing ? others : near, layers: layers)
    }
  }
}
