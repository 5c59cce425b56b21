extension Plan {
  /// The masked passes that score given values of all targets: one for each encoding of a context.
  ///
  /// Row k of a pass reads exactly what the sampler's row k read, so the two give the same density. Verified targets
  /// are rows of the chain that they are verified along. A pass keeps the rows that were evicted, since other rows
  /// have read them; slots number its rows anew.
  public var densityPasses: [Pass] { Self.passes(of: instructions) }

  static func passes(of instructions: [Instruction]) -> [Pass] {
    var passes: [Pass] = []
    var start = instructions.startIndex
    while start < instructions.endIndex {
      let end = instructions[(start + 1)...].firstIndex { $0.encodes } ?? instructions.endIndex
      passes.append(pass(of: instructions[start..<end]))
      start = end
    }
    return passes
  }

  /// The rows of instructions that share an encoded context.
  private static func pass(of instructions: ArraySlice<Instruction>) -> Pass {
    var buffered: [Row] = []
    var queries: [Row] = []
    var numbering = Numbering()
    var prefix = Prefixes()
    for instruction in instructions {
      for row in instruction.commit { numbering.place(row.slot) }
      for row in instruction.commit { buffered.append(numbering.renumber(row, slot: buffered.count)) }
      switch instruction {
      case .call(let call):
        for row in call.predict { queries.append(numbering.renumber(row, slot: -1)) }
      case .trust(let trust):
        // The chain as if all were trusted: every target reads all before it, by one way or the other.
        for (slot, position) in trust.positions.enumerated() {
          queries.append(Row(position: position, prefix(slot)))
          guard position + 1 < trust.positions.upperBound else { continue }
          numbering.place(slot)
          buffered.append(Row(position: position, slot: buffered.count, prefix(slot + 1)))
        }
      case .verify(let verification):
        for (slot, position) in zip(verification.buffered..., verification.positions) {
          queries.append(Row(position: position, prefix(slot)))
          // The last row is one of the next instruction's commits.
          guard position + 1 < verification.positions.upperBound else { continue }
          numbering.place(slot)
          buffered.append(Row(position: position, slot: buffered.count, prefix(slot + 1)))
        }
      }
    }
    return Pass(context: instructions.first?.context ?? RangeSet(), buffered: buffered, queries: queries)
  }

  /// Which row of a pass stands in each slot of the buffer.
  private struct Numbering {
    private var rows: [Int] = []
    private var count = 0
    /// Whether slot i holds row i, so that reads need no renumbering.
    private var isIdentity = true

    mutating func place(_ slot: Int) {
      if slot < rows.count {
        rows[slot] = count
        isIdentity = false
      } else {
        // Slots are taken from the lowest on, so that a new one follows the others.
        rows.append(count)
        isIdentity = isIdentity && slot == count
      }
      count += 1
    }

    func renumber(_ row: Row, slot: Int) -> Row {
      if isIdentity { return row }
      var set = RangeSet<Int>()
      for slot in row.reads.integers { set.insert(contentsOf: rows[slot]..<rows[slot] + 1) }
      return Row(position: row.position, slot: slot, reads: set)
    }
  }
}
