import ChorusTensors
import Testing

@testable import ChorusModels

private func slots(_ ranges: Range<Int>...) -> Reads { Reads(RangeSet(ranges)) }

/// Calls whose paths have different rows, and rows that read only a part of their path's buffer.
@Suite struct RaggedTests {
  private struct Setting {
    let network: Network
    let state: Network.Context
    let inputs: Network.Questions

    init(_ variant: Variant, context: Int = 6, inputs count: Int = 12) throws {
      network = try randomNetwork(variant.blueprint)
      let batch = try randomBatch(context: context, buffer: count, targets: 0)
      (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    }

    func advance(_ paths: Network.Paths, _ batch: RowBatch) -> [Float] {
      network.advance(paths, state, inputs: inputs, batch: batch)
    }
  }

  private enum Row {
    case commit(input: Int32, y: Float, slot: Int32, reads: Reads)
    case query(input: Int32, reads: Reads)

    func add(to batch: inout RowBatch) {
      switch self {
      case .commit(let input, let y, let slot, let reads):
        batch.commit(input: input, y: y, slot: slot, reads: reads)
      case .query(let input, let reads): batch.query(input: input, reads: reads)
      }
    }
  }

  /// What a path does in one call: up to three commits to any slots, then up to four queries; reads are prefixes or
  /// any sets.
  private static func rows(_ slots: inout Int, capacity: Int, _ stream: inout RandomStream) -> [Row] {
    func below(_ bound: Int) -> Int { min(Int(stream.uniform() * Double(bound)), bound - 1) }
    func reads(_ limit: Int, with own: Int? = nil) -> Reads {
      guard below(3) > 0 else { return .prefix(limit) }
      var set = RangeSet((0..<limit).filter { _ in below(2) == 0 }.map { $0..<$0 + 1 })
      if let own { set.insert(contentsOf: own..<own + 1) }
      return Reads(set)
    }
    var rows: [Row] = []
    let written = (0..<below(4)).map { _ in below(min(slots + 3, capacity)) }
    slots = max(slots, (written.max() ?? -1) + 1)
    for slot in Set(written).sorted() {
      rows.append(
        .commit(
          input: Int32(below(12)), y: Float(stream.normal()), slot: Int32(slot),
          reads: reads(slots, with: slot)))
    }
    for _ in 0..<below(5) { rows.append(.query(input: Int32(below(12)), reads: reads(below(slots + 1)))) }
    return rows
  }

  @Test(arguments: Variant.allCases, [5, 140])
  func aRaggedCallEqualsSeparateCalls(_ variant: Variant, capacity: Int) throws {
    let setting = try Setting(variant)
    let count = 6
    let together = setting.network.branch(paths: count, capacity: capacity)
    let alone = (0..<count).map { _ in setting.network.branch(paths: 1, capacity: capacity) }
    var stream = RandomStream(seed: 8)
    var slots = [Int](repeating: 0, count: count)
    var batch = RowBatch()
    for call in 0..<60 {
      batch.clear()
      var expected: [Float] = []
      for path in 0..<count {
        let rows = path == call % count ? [] : Self.rows(&slots[path], capacity: capacity, &stream)
        var one = RowBatch()
        batch.begin()
        one.begin()
        for row in rows {
          row.add(to: &batch)
          row.add(to: &one)
        }
        expected += setting.advance(alone[path], one)
      }
      let answer = setting.advance(together, batch)
      #expect(same(answer, expected), "call \(call)")
      #expect(!answer.contains { $0.isNaN })
      #expect(together.slots == slots)
      let path = call % count
      slots[path] = slots[path] * 2 / 3
      together.rewind(path: path, to: slots[path])
      alone[path].rewind(path: 0, to: slots[path])
    }
  }

  /// Rows that nobody reads might as well not be there.
  @Test(arguments: [Variant.pre, .post], [7, 100])
  func aMaskedReadEqualsTheReadOfTheVisibleRowsAlone(_ variant: Variant, rows: Int) throws {
    let setting = try Setting(variant)
    var stream = RandomStream(seed: 31)
    let y = (0..<rows).map { _ in Float(stream.normal()) }
    let visible = (0..<rows).filter { $0 == 1 || stream.uniform() < 0.4 }
    let kept = RangeSet(visible.map { $0..<$0 + 1 })
    func input(_ row: Int) -> Int32 { Int32(row % 11) }

    var all = RowBatch()
    all.begin()
    for row in 0..<rows {
      let reads = kept.intersection(RangeSet(0..<row)).union(RangeSet(row..<row + 1))
      all.commit(input: input(row), y: y[row], slot: Int32(row), reads: Reads(reads))
    }
    all.query(input: 11, reads: Reads(kept))
    let masked = setting.advance(setting.network.branch(paths: 1, capacity: rows), all)

    var some = RowBatch()
    some.begin()
    for (slot, row) in visible.enumerated() {
      some.commit(input: input(row), y: y[row], slot: Int32(slot), reads: .prefix(slot + 1))
    }
    some.query(input: 11, reads: .prefix(visible.count))
    let plain = setting.advance(setting.network.branch(paths: 1, capacity: rows), some)
    let scale = plain.reduce(1) { max($0, Double(abs($1))) }
    #expect(distance(masked, plain) < 1e-6 * scale)

    all.clear()
    all.begin()
    all.query(input: 11, reads: .prefix(1))
    let other = setting.network.branch(paths: 1, capacity: rows)
    some.clear()
    some.begin()
    some.commit(input: 0, y: y[0], slot: 0, reads: .prefix(1))
    _ = setting.advance(other, some)
    #expect(distance(masked, setting.advance(other, all)) > 1e-3, "the mask matters")
  }

  /// A slot whose row nobody reads any more takes another one, as if it had been empty.
  @Test(arguments: Variant.allCases)
  func aSlotUsedAgainEqualsAFreshOne(_ variant: Variant) throws {
    let setting = try Setting(variant)
    let answers = [true, false].map { evicting in
      let paths = setting.network.branch(paths: 1, capacity: 3)
      var batch = RowBatch()
      batch.begin()
      batch.commit(input: 0, y: 1, slot: 0, reads: .prefix(1))
      if evicting { batch.commit(input: 1, y: -9, slot: 1, reads: .prefix(2)) }
      _ = setting.advance(paths, batch)
      batch.clear()
      batch.begin()
      batch.commit(input: 2, y: 0.5, slot: 2, reads: slots(0..<1, 2..<3))
      batch.commit(input: 3, y: 2, slot: 1, reads: .prefix(3))
      batch.query(input: 4, reads: .prefix(3))
      batch.query(input: 4, reads: slots(1..<3))
      return setting.advance(paths, batch)
    }
    #expect(same(answers[0], answers[1]))
  }

  /// Taking back the rows of one path leaves the others alone.
  @Test func pathsAreTakenBackOneByOne() throws {
    let setting = try Setting(.pre)
    func commit(_ paths: Network.Paths, _ values: [[Float]], from slot: Int) {
      var batch = RowBatch()
      for values in values {
        batch.begin()
        for (place, y) in values.enumerated() {
          let at = slot + place
          batch.commit(input: Int32(at), y: y, slot: Int32(at), reads: .prefix(at + 1))
        }
      }
      #expect(setting.advance(paths, batch).isEmpty)
    }
    func answer(_ paths: Network.Paths) -> [Float] {
      var batch = RowBatch()
      for path in 0..<2 {
        batch.begin()
        batch.query(input: 9, reads: .prefix(paths.slots[path]))
      }
      return setting.advance(paths, batch)
    }
    let paths = setting.network.branch(paths: 2, capacity: 6)
    commit(paths, [[1, 2, 3, 4], [5, 6]], from: 0)
    paths.rewind(path: 0, to: 2)
    #expect(paths.slots == [2, 2])
    commit(paths, [[7, 8], [9]], from: 2)
    #expect(paths.slots == [4, 3])
    let fresh = setting.network.branch(paths: 2, capacity: 6)
    commit(fresh, [[1, 2, 7, 8], [5, 6, 9]], from: 0)
    #expect(same(answer(paths), answer(fresh)))
  }

  @Test func slotsBecomeAPrefixWhereTheyAreOne() {
    #expect(slots(0..<3, 3..<5) == .prefix(5))
    #expect(slots() == .none)
    let sparse = slots(1..<2, 63..<66)
    #expect(sparse.limit == 66)
    #expect(sparse.mask == [1 << 63 | 2, 3])
  }
}
