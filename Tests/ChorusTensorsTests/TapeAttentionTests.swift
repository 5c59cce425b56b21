import Testing

@testable import ChorusTensors

/// Attention over visible blocks against attention under the whole mask, in float64.
@Suite struct TapeAttentionTests {
  /// Whether row `row` of the queries sees stored row `stored`, read off the blocks one by one.
  private static func sees(_ blocks: [VisibleBlock], _ row: Int, _ stored: Int) -> Bool {
    for block in blocks where block.queries.contains(row) {
      if block.shared.contains(stored) { return true }
      let place = row - block.queries.lowerBound
      let limit = block.limits.isEmpty ? 0 : Int(block.limits[place])
      return block.own.contains(stored) && stored - block.own.lowerBound < limit
    }
    return false
  }

  private static func check(
    rows: Int, stored: Int, heads: Int, width: Int, _ blocks: [VisibleBlock],
    location: SourceLocation = #_sourceLocation
  ) {
    let d = heads * width
    var check = TapeCheck()
    let q = check.declare("q", rows, d)
    let kv = check.declare("kv", stored, 2 * d)
    check.matrix(
      recorded: { tape, _ in
        tape.attention(
          queries: TapeCheck.input(q, on: tape), keyValues: TapeCheck.input(kv, on: tape), heads: heads,
          blocks: blocks)
      },
      reference: { m in
        guard let q = m["q"], let kv = m["kv"] else { return Dense(0, 0) }
        return TapeReference.attention(q, kv, heads: heads) { sees(blocks, $0, $1) }
      }, location: location)
  }

  @Test(arguments: [(1, 4), (2, 4), (2, 8), (1, 12)])
  func everyRowSeesTheSharedRows(heads: Int, width: Int) {
    Self.check(rows: 5, stored: 7, heads: heads, width: width, [VisibleBlock(queries: 0..<5, shared: 0..<7)])
  }

  @Test func sharedRowsAreFollowedByAPrefixOfOwnRows() {
    Self.check(
      rows: 6, stored: 9, heads: 2, width: 4,
      [VisibleBlock(queries: 0..<6, shared: 0..<4, own: 4..<9, limits: [0, 1, 5, 3, 0, 2])])
  }

  @Test func ownRowsAloneAndARowThatSeesNothing() {
    Self.check(
      rows: 4, stored: 5, heads: 2, width: 4,
      [VisibleBlock(queries: 0..<4, shared: 0..<0, own: 1..<5, limits: [4, 0, 1, 2])])
  }

  @Test func rowsOutsideEveryBlockReadZeros() {
    Self.check(
      rows: 6, stored: 4, heads: 1, width: 4, [VisibleBlock(queries: 2..<4, shared: 1..<4)])
  }

  @Test func ownRowsWithoutLimitsAreSeenByNobody() {
    Self.check(
      rows: 3, stored: 5, heads: 1, width: 4, [VisibleBlock(queries: 0..<3, shared: 0..<2, own: 2..<5)])
  }

  /// Two tasks side by side: contexts, then buffers, then targets, as in a training pass.
  @Test func severalTasksDoNotSeeEachOther() {
    let (n, c, m) = (3, 2, 4)
    var blocks: [VisibleBlock] = []
    for task in 0..<2 {
      let context = task * n..<(task + 1) * n
      let buffer = 2 * n + task * c..<2 * n + (task + 1) * c
      let first = 2 * (n + c) + task * m
      blocks.append(VisibleBlock(queries: context, shared: context))
      blocks.append(VisibleBlock(queries: buffer, shared: context, own: buffer, limits: [1, 2]))
      blocks.append(
        VisibleBlock(
          queries: first..<first + m, shared: context, own: buffer,
          limits: task == 0 ? [0, 2, 1, 0] : [2, 0, 0, 1]))
    }
    Self.check(rows: 2 * (n + c + m), stored: 2 * (n + c), heads: 2, width: 4, blocks)
  }

  /// More rows and keys than one block of the kernels holds, so that blocks are merged.
  @Test func longerThanABlock() {
    let limits = (0..<60).map { Int32($0 % 19) }
    Self.check(
      rows: 60, stored: 51, heads: 1, width: 4,
      [VisibleBlock(queries: 0..<60, shared: 0..<33, own: 33..<51, limits: limits)])
  }

  @Test func givenKeysStillTeachTheQueries() {
    var check = TapeCheck()
    let q = check.declare("q", 3, 4)
    let keyValues = Dense(5, 8) { Double(($0 * 8 + $1) % 7) / 4 - 0.75 }
    let blocks = [VisibleBlock(queries: 0..<3, shared: 0..<5)]
    check.matrix { tape, _ in
      let given = tape.constant(keyValues.values.map { Float($0) }, rows: 5, columns: 8)
      return tape.attention(queries: TapeCheck.input(q, on: tape), keyValues: given, heads: 1, blocks: blocks)
    } reference: { m in
      guard let q = m["q"] else { return Dense(0, 0) }
      return TapeReference.attention(q, keyValues, heads: 1) { _, _ in true }
    }
  }

  /// Queries and stored rows are often ranges of one longer matrix.
  @Test func queriesAndKeysAsViews() {
    var check = TapeCheck()
    let x = check.declare("x", 9, 8)
    let weight = check.declare("w.weight", 8, 16)
    let blocks = [VisibleBlock(queries: 0..<4, shared: 0..<3, own: 3..<5, limits: [0, 1, 2, 2])]
    check.matrix { tape, _ in
      let h = TapeCheck.input(x, on: tape)
      let keyValues = tape.linear(h[0..<7], weight)
      return tape.attention(queries: h[5..<9], keyValues: keyValues[1..<6], heads: 2, blocks: blocks)
    } reference: { m in
      guard let x = m["x"], let weight = m["w.weight"] else { return Dense(0, 0) }
      let keyValues = (x[rows: 0..<7] * weight)[rows: 1..<6]
      return TapeReference.attention(x[rows: 5..<9], keyValues, heads: 2) { Self.sees(blocks, $0, $1) }
    }
  }
}
