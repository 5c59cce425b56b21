import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// What every memory owes (spec 5.4 and 6.6), for every entry of the registry and for some without a name. A new entry is
/// tested without a new line.
@Suite struct ConformanceTests {
  /// float32 against float64: sums of some tens of terms of size 1, exponentials good to 1e-6.
  static let tolerance = 2e-5
  /// Memora's weights are exponentials of sums over all rows, normalised: an error of a sum is one of every weight.
  static func tolerance(_ name: String) -> Double { name == "memora" ? 6e-5 : tolerance }

  // MARK: One answer, three ways

  /// Contexts without rows, of one row, and over the edge of a tile; buffers over the edge of a mask word.
  @Test(arguments: Subjects.all, [(0, 5), (1, 0), (40, 7), (33, 70)])
  func stepsAndTrainingAgreeWithTheDefinition(name: String, counts: (context: Int, own: Int)) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(counts.context, seed: 1), bench.stored(counts.own, seed: 2))
    let limits = [0, counts.own, counts.own / 2, min(1, counts.own)]
    let asked = bench.queries(counts.context + counts.own + limits.count, seed: 3)
    let rows = counts.context..<asked.count
    let state = bench.context(set)

    // Context rows and a query without a buffer.
    let alone = bench.read(asked[0..<counts.context] + asked[rows.lowerBound..<rows.lowerBound + 1], state)
    let wantedAlone = bench.expected(
      context: set, own: Rows(bench.shape.stored),
      asked[0..<counts.context] + asked[rows.lowerBound..<rows.lowerBound + 1],
      (0...counts.context).map { _ in Sight(limit: 0) })
    #expect(deviation(alone, wantedAlone) < Self.tolerance(name), "\(name): context")

    // Buffer rows that read themselves, and queries with limits.
    let sights = ((0..<counts.own).map { $0 + 1 } + limits).map { Sight(limit: $0) }
    let stepped = bench.run(context: set, own: own, asked[rows], sights)
    let wanted = bench.expected(context: set, own: own, asked[rows], sights)
    #expect(deviation(stepped, wanted) < Self.tolerance(name), "\(name): steps")

    let trained = bench.trained(context: set, own: own, asked, limits: limits)
    let all = Array(wantedAlone.prefix(counts.context * bench.shape.read)) + wanted
    #expect(deviation(trained, all) < Self.tolerance(name), "\(name): training")
  }

  // MARK: Any split

  @Test(arguments: Subjects.all)
  func anySplitGivesTheSameBytes(name: String) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(135, seed: 4), bench.stored(9, seed: 5))
    let asked = bench.queries(6, seed: 6)
    let sights = [0, 9, 3, 8, 1, 5].map { Sight(limit: $0) }
    let whole = bench.context(set)
    let buffer = bench.buffer(capacity: 9)
    bench.append(own, whole, to: buffer)
    let (alone, wanted) = (bench.read(asked, whole), bench.read(asked, sights, whole, buffer))
    for parts in [[0..<32, 32..<64, 64..<96, 96..<128, 128..<135], [0..<64, 64..<135], [96..<135, 0..<96]] {
      #expect(same(bench.read(asked, bench.context(set, parts: parts)), alone), "\(name): \(parts)")
    }
    // Tiles written by threads side by side.
    let draft = bench.memory.anyDraft(rows: set.count)
    let memory = bench.memory
    ThreadPool(threads: 3).run(5) { tile in
      let range = tile * 32..<min(135, (tile + 1) * 32)
      let arena = Arena(blockCount: 1 << 12)
      set[range].values.withUnsafeBufferPointer {
        memory.write($0.baseAddress!, rows: range, toAny: draft, scratch: arena)
      }
    }
    #expect(same(bench.read(asked, memory.finish(any: draft)), alone), "\(name): threads")
    // Row by row, and in lots.
    for lots in [(0..<9).map { $0..<$0 + 1 }, [0..<4, 4..<9], [0..<1, 1..<8, 8..<9]] {
      let buffer = bench.buffer(capacity: 9)
      for lot in lots { bench.append(own[lot], slots: Array(lot), whole, to: buffer) }
      #expect(same(bench.read(asked, sights, whole, buffer), wanted), "\(name): \(lots)")
    }
    // One query among others, and alone; room that is not used.
    let roomy = bench.buffer(capacity: 70)
    bench.append(own, whole, to: roomy)
    for row in 0..<6 {
      let one = bench.read(asked[row..<row + 1], [sights[row]], whole, roomy)
      let width = bench.shape.read
      #expect(same(one, Array(wanted[row * width..<(row + 1) * width])), "\(name): query \(row)")
    }
  }

  // MARK: Paths and slots

  @Test(arguments: Subjects.all)
  func pathsSideBySideEqualPathsAlone(name: String) throws {
    let bench = try Subjects.bench(name)
    let state = bench.context(bench.stored(20, seed: 7))
    let (paths, steps) = (3, 6)
    let rows = bench.stored(paths * steps, seed: 8)
    let asked = bench.queries(2 * paths, seed: 9)
    let together = bench.buffer(paths: paths, capacity: steps)
    for step in 0..<steps {
      bench.append(
        rows[step * paths..<(step + 1) * paths], paths: Array(0..<paths),
        slots: [Int](repeating: step, count: paths), state, to: together)
    }
    let sights = (0..<paths).flatMap { [Sight(path: $0, limit: steps), Sight(path: $0, limit: $0 + 1)] }
    let read = bench.read(asked, sights, state, together)
    for path in 0..<paths {
      let alone = bench.buffer(capacity: steps)
      bench.append(rows[(0..<steps).map { $0 * paths + path }], state, to: alone)
      let one = bench.read(
        asked[2 * path..<2 * path + 2], [Sight(limit: steps), Sight(limit: path + 1)], state, alone)
      let width = 2 * bench.shape.read
      #expect(same(one, Array(read[path * width..<(path + 1) * width])), "\(name): path \(path)")
    }
  }

  @Test(arguments: Subjects.all)
  func rowsTakenBackLeaveNoTrace(name: String) throws {
    let bench = try Subjects.bench(name)
    #expect(bench.capability.rewind)
    let state = bench.context(bench.stored(20, seed: 10))
    let (kept, lost) = (bench.stored(6, seed: 11), bench.stored(4, seed: 12, scale: 30))
    let asked = bench.queries(2, seed: 13)
    let sights = [Sight(limit: 6), Sight(limit: 3)]
    let straight = bench.buffer(capacity: 6)
    bench.append(kept, state, to: straight)
    let back = bench.buffer(capacity: 6)
    bench.append(kept[0..<2], state, to: back)
    bench.append(lost, slots: [2, 3, 4, 5], state, to: back)
    bench.append(kept[2..<6], slots: [2, 3, 4, 5], state, to: back)
    #expect(
      same(bench.read(asked, sights, state, back), bench.read(asked, sights, state, straight)), "\(name)")
  }

  @Test(arguments: Subjects.all)
  func subsetsAreReadAsIfTheRestWereNotThere(name: String) throws {
    let bench = try Subjects.bench(name)
    guard bench.capability.subsetReads else { return }
    let (set, own) = (bench.stored(10, seed: 14), bench.stored(70, seed: 15))
    let asked = bench.queries(6, seed: 16)
    let sights = [
      Sight(limit: 70, slots: [0, 2, 3, 63, 64, 69]), Sight(limit: 66, slots: [65]), Sight(limit: 5),
      Sight(limit: 70, slots: []), Sight(limit: 64, slots: Array(stride(from: 1, to: 64, by: 2))),
      // Bits of slots beyond the limit count for nothing.
      Sight(limit: 65, slots: [1, 64, 65, 66, 69]),
    ]
    let got = bench.run(context: set, own: own, asked, sights)
    #expect(
      deviation(got, bench.expected(context: set, own: own, asked, sights)) < Self.tolerance, "\(name)")

    // A row takes the place of one that nobody reads any more.
    let state = bench.context(set)
    let buffer = bench.buffer(capacity: 5)
    bench.append(own[0..<5], state, to: buffer)
    bench.append(own[9..<10], slots: [1], state, to: buffer)
    var replaced = own[0..<5]
    replaced[1] = own[9]
    let reads = [Sight(limit: 5), Sight(limit: 5, slots: [0, 1])]
    #expect(
      deviation(
        bench.read(asked[0..<2], reads, state, buffer),
        bench.expected(context: set, own: replaced, asked[0..<2], reads)) < Self.tolerance, "\(name)")
  }

  // MARK: Who reads whom

  @Test(arguments: Subjects.all)
  func nothingLeaksFromLaterRows(name: String) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(12, seed: 17), bench.stored(5, seed: 18))
    let asked = bench.queries(12 + 5 + 6, seed: 19)
    let limits = Array(0...5)
    let sights = limits.map { Sight(limit: $0) }
    let queries = asked[17..<23]
    let (stepped, trained) = (
      bench.run(context: set, own: own, queries, sights),
      bench.trained(context: set, own: own, asked, limits: limits)
    )
    let width = bench.shape.read
    for j in 0..<5 {
      var changed = own
      changed[j] = own[j].map { 1 - 2 * $0 }
      let other = bench.run(context: set, own: changed, queries, sights)
      let otherTrained = bench.trained(context: set, own: changed, asked, limits: limits)
      let seen = (j + 1) * width
      #expect(same(Array(other[..<seen]), Array(stepped[..<seen])), "\(name): row \(j)")
      #expect(
        same(Array(otherTrained[..<((12 + j) * width)]), Array(trained[..<((12 + j) * width)])),
        "\(name): row \(j)")
      #expect(
        same(
          Array(otherTrained[(17 * width)..<(17 * width + seen)]),
          Array(trained[(17 * width)..<(17 * width + seen)])),
        "\(name): row \(j)")
      for target in j + 1...5 {
        let place = target * width..<(target + 1) * width
        #expect(
          !same(Array(other[place]), Array(stepped[place])), "\(name): row \(j) is not read by \(target)")
      }
    }
  }

  // MARK: Order

  @Test(arguments: Subjects.all)
  func theOrderMattersExactlyWhereItIsDeclared(name: String) throws {
    let bench = try Subjects.bench(name)
    let set = bench.stored(50, seed: 20)
    let asked = bench.queries(8, seed: 21)
    var stream = RandomStream(seed: 22)
    let turned = set[stream.permutation(50)]
    let difference = deviation(
      bench.read(asked, bench.context(turned)), bench.read(asked, bench.context(set)))
    if bench.capability.holdsSet {
      #expect(difference < 1e-5, "\(name)")
      _ = try CompiledMemory(bench.layer, bench.sizes, set: bench.capability.prefixReads == .any)
    } else {
      // Batches that do not fade depend on the order by their ends alone.
      #expect(difference > 1e-3, "\(name)")
      #expect(throws: MemoryError.self) { try CompiledMemory(bench.layer, bench.sizes) }
    }
  }

  // MARK: Sums of contexts

  @Test(arguments: Subjects.all)
  func contextsAreMergedAndTakenApart(name: String) throws {
    let bench = try Subjects.bench(name)
    let (first, second) = (bench.stored(40, seed: 23), bench.stored(25, seed: 24))
    let own = bench.stored(4, seed: 25)
    let asked = bench.queries(5, seed: 26)
    let sights = (0...4).map { Sight(limit: $0) }
    func reads(_ state: Bench.State) -> [Float] {
      let buffer = bench.buffer(capacity: 4)
      bench.append(own, state, to: buffer)
      return bench.read(asked, state) + bench.read(asked, sights, state, buffer)
    }
    let (a, b, both) = (bench.context(first), bench.context(second), bench.context(first + second))
    guard bench.capability.merge else {
      #expect(bench.memory.merge(any: a, b, removing: false) == nil, "\(name)")
      #expect(bench.memory.merge(any: both, b, removing: true) == nil, "\(name)")
      return
    }
    let merged = try #require(bench.memory.merge(any: a, b, removing: false))
    #expect(deviation(reads(merged), reads(both)) < 1e-5, "\(name): merged")
    // Nothing is added by nothing, and nothing is left of a thing without itself.
    let empty = bench.context(Rows(bench.shape.stored))
    let plusNothing = try #require(bench.memory.merge(any: a, empty, removing: false))
    #expect(deviation(reads(plusNothing), reads(a)) < 1e-6, "\(name): and nothing")
    guard bench.capability.remove else {
      #expect(bench.memory.merge(any: both, b, removing: true) == nil, "\(name)")
      return
    }
    let left = try #require(bench.memory.merge(any: both, b, removing: true), "\(name)")
    #expect(deviation(reads(left), reads(a)) < 1e-5, "\(name): taken out")
    let nothing = try #require(bench.memory.merge(any: a, a, removing: true))
    #expect(deviation(reads(nothing), reads(empty)) < 1e-5, "\(name): nothing left")
  }

  // MARK: Kept contexts

  /// A context that has been put into plain arrays and made of them again reads the same bytes; arrays that do not fit, or
  /// hold what is no number, make none.
  @Test(arguments: Subjects.all)
  func keptContextsReadTheSameBytes(name: String) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(37, seed: 29), bench.stored(3, seed: 30))
    let asked = bench.queries(4, seed: 31)
    let sights = (0...3).map { Sight(limit: $0) }
    func reads(_ state: Bench.State) -> [Float] {
      let buffer = bench.buffer(capacity: 3)
      bench.append(own, state, to: buffer)
      return bench.read(asked, state) + bench.read(asked, sights, state, buffer)
    }
    let state = bench.context(set)
    let values = bench.memory.values(ofAny: state)
    let arrays = bench.memory.stateArrays(rows: 37)
    #expect(values.map(\.count) == arrays.map(\.count), "\(name)")
    let back = try #require(bench.memory.anyContext(rows: 37, values: values), "\(name)")
    #expect(same(reads(back), reads(state)), "\(name)")
    #expect(bench.memory.anyContext(rows: 37, values: values.map { Array($0.dropLast()) }) == nil, "\(name)")
    #expect(
      bench.memory.anyContext(rows: 37, values: values.map { [.nan] + $0.dropFirst() }) == nil, "\(name)")
    #expect(bench.memory.anyContext(rows: 37, values: []) == nil, "\(name)")
  }

  /// A row twice is a row of twice the weight.
  @Test(arguments: Subjects.all)
  func aRowTwiceWeighsTwice(name: String) throws {
    let bench = try Subjects.bench(name)
    guard bench.layer.context.weights == .learned, bench.capability.holdsSet else { return }
    let set = bench.stored(20, seed: 27)
    let asked = bench.queries(5, seed: 28)
    var heavier = set
    for head in 0..<bench.sizes.heads {
      let place = 2 * bench.sizes.columns + head
      let bias = bench.numbers[0][head]
      let weight = 2 * log1p(exp(Double(set[3][place]) + bias))
      var row = heavier[3]
      row[place] = Float(log(expm1(weight)) - bias)
      heavier[3] = row
    }
    let twice = bench.read(asked, bench.context(set + set[3..<4]))
    #expect(deviation(bench.read(asked, bench.context(heavier)), twice) < 1e-5, "\(name)")
    #expect(deviation(bench.read(asked, bench.context(set)), twice) > 1e-4, "\(name)")
  }

  // MARK: Sizes

  @Test(arguments: Subjects.all)
  func aFixedStateDoesNotGrow(name: String) throws {
    let bench = try Subjects.bench(name)
    let bytes = [16, 160, 1600].map { bench.memory.contextBytes(rows: $0) }
    #expect(bytes[0] > 0)
    if bench.capability.fixedState {
      #expect(Set(bytes).count == 1, "\(name)")
    } else {
      #expect(bytes[0] < bytes[1] && bytes[1] < bytes[2], "\(name)")
    }
    let buffers = [8, 32, 3200].map { bench.memory.bufferBytes(capacity: $0) }
    if bench.capability.prefixReads == .any {
      #expect(buffers[0] < buffers[1] && buffers[1] < buffers[2], "\(name)")
    } else {
      #expect(buffers[0] > 0 && Set(buffers).count == 1, "\(name)")
    }
  }
}
