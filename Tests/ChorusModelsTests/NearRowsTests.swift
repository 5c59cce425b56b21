import ChorusLayers
import ChorusTensors
import Testing

@testable import ChorusHints
@testable import ChorusModels

/// The nearest rows found in an index and kept from call to call: those, bit by bit, that looking at all rows finds.
@Suite struct NearRowsTests {
  /// Rows on a grid so coarse that many are as far from a point as others, or where others are; or anywhere.
  private static func rows(
    _ count: Int, dimensions: Int, grid: Bool, _ stream: inout RandomStream
  ) -> (x: [Float], y: [Float]) {
    func number() -> Float {
      let number = 4 * stream.uniform() - 2
      return Float(grid ? (2 * number).rounded() / 2 + 0 : number)  // no negative zeros
    }
    return ((0..<count * dimensions).map { _ in number() }, (0..<count).map { _ in number() })
  }

  /// A spline at `point` that has seen the rows one by one.
  private static func spline(
    at point: ArraySlice<Float>, _ x: [Float], _ y: [Float], except own: Int = -1, neighbours: Int
  ) -> LocalSpline {
    let d = point.count
    let spline = LocalSpline(most: neighbours, dimensions: d)
    spline.move(to: Array(point))
    for row in y.indices where row != own { spline.show(Array(x[row * d..<(row + 1) * d]) + [y[row]]) }
    return spline
  }

  @Test(arguments: [1, 2, 3], [0, 1, 7, 8, 9, 40, 300])
  func theIndexFindsTheNearest(dimensions d: Int, count: Int) {
    var stream = RandomStream(seed: 12, UInt64(d), UInt64(count))
    for grid in [false, true] {
      let (x, y) = Self.rows(count, dimensions: d, grid: grid, &stream)
      let near = NearRows(NetworkRows(x: x, y: y, dimensions: d), neighbours: 6)
      let points = Self.rows(20, dimensions: d, grid: grid, &stream).x + x
      let spline = LocalSpline(most: 6, dimensions: d)
      var kept = LocalSpline.Kept(points: 1, most: 6, dimensions: d)
      for place in 0..<20 + count {
        let own = place < 20 ? -1 : place - 20
        let point = points[place * d..<(place + 1) * d]
        spline.move(to: Array(point))
        near.show(to: spline, except: own)
        kept.keep(Self.spline(at: point, x, y, except: own, neighbours: 6), at: 0)
        #expect(kept.holds(spline, at: 0), "grid \(grid), point \(place)")
      }
    }
  }

  /// Bits of a mask are taken a word at a time: the slots that looking at every bit finds, in their order.
  @Test func slotsOfAMask() {
    var stream = RandomStream(seed: 3)
    for trial in 0..<400 {
      let words = (0..<3).map { _ in trial % 5 == 0 ? UInt64.max : stream.nextUInt64() & stream.nextUInt64() }
      func number(_ most: Int) -> Int { Int(stream.uniform() * Double(most + 1)) }
      let (limit, first, end, slot) = (number(192), number(192), number(192), number(200) - 1)
      for masked in [true, false] {
        let found = words.withUnsafeBufferPointer { mask in
          var found: [Int] = []
          RowRead(path: 0, input: 0, slot: slot, limit: limit, mask: masked ? mask.baseAddress : nil)
            .forEachSlot(from: first, to: end) { found.append($0) }
          return found
        }
        let read = (0..<192).filter { $0 >= first && $0 < min(limit, end) && $0 != slot }
        #expect(found == read.filter { !masked || words[$0 / 64] >> UInt64($0 % 64) & 1 == 1 })
      }
    }
  }

  /// The rows of one path: what it reads, and that its slots are written again after it has gone back.
  private struct Path {
    var values: [(input: Int, y: Float)] = []

    mutating func commit(
      _ input: Int, _ y: Float, _ x: [Float], to rows: PathRows, _ paths: NearPaths, path: Int, slot: Int
    ) {
      let d = x.count / 100
      rows.keep(Array(x[input * d..<(input + 1) * d]), y, path: path, slot: slot, dimensions: d)
      paths.keep(input: input, y, path: path, slot: slot)
      if slot == values.count { values.append((input, y)) } else { values[slot] = (input, y) }
    }
  }

  /// Whatever was asked before, an answer is that of splines through the rows it may read.
  @Test(arguments: [1, 2, 3], [5, 90]) func whatIsKnownIsWhatIsAskedAnew(dimensions d: Int, capacity: Int) {
    var stream = RandomStream(seed: 13, UInt64(d), UInt64(capacity))
    func below(_ bound: Int) -> Int { stream.below(bound) }
    let (x, y) = Self.rows(20, dimensions: d, grid: true, &stream)
    let at = Self.rows(100, dimensions: d, grid: true, &stream).x
    let contexts = [12, 20].map {
      NearRows(NetworkRows(x: Array(x[..<($0 * d)]), y: Array(y[..<$0]), dimensions: d), neighbours: 4)
    }
    let inputs = NearInputs(contexts[0], x: at)
    let rows = PathRows(paths: 2, capacity: capacity, inputDimensions: d)
    let near = NearPaths(rows)
    var paths = [Path(), Path()]
    for step in 0..<1500 {
      let path = below(2)
      let held = paths[path].values.count
      if below(3) == 0, held < capacity || below(4) == 0 {
        // Mostly to the next slot, at times to one that was written before.
        let slot = held < capacity && below(5) > 0 ? held : below(max(held, 1))
        paths[path].commit(
          below(100), Float(stream.normal()), at, to: rows, near, path: path, slot: min(slot, capacity - 1))
      }
      let limit = below(paths[path].values.count + 1)
      let masked = below(3) == 0
      let mask = (0..<2).map { _ in masked ? stream.next() : .max }
      let slot = limit > 0 && below(2) == 0 ? (below(3) == 0 ? below(limit) : limit - 1) : -1
      let input = below(4) == 0 ? below(100) : below(3)
      let context = contexts[step / 500 % 2]
      var features = [Float](repeating: .nan, count: LocalSpline.features)
      let unit = mask.withUnsafeBufferPointer {
        near.tell(
          RowRead(
            path: path, input: input, slot: slot, limit: limit, mask: masked ? $0.baseAddress : nil),
          context, inputs, into: &features)
      }
      let seen = (0..<limit).filter { $0 != slot && mask[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
        .map { paths[path].values[$0] }
      let count = step / 500 % 2 == 0 ? 12 : 20
      let anew = Self.spline(
        at: at[input * d..<(input + 1) * d],
        x[..<(count * d)] + seen.flatMap { at[$0.input * d..<($0.input + 1) * d] },
        y[..<count] + seen.map(\.y), neighbours: 4)
      let expected = anew.tell(context.law)
      #expect(unit == expected.unit, "step \(step)")
      #expect(features.indices.allSatisfy { features[$0] == expected.features[$0] }, "step \(step)")
    }
  }

  /// What a query was told holds for its value, and for other rows as long as no nearer one has come.
  @Test func aDrawnValueFitsNoSplineAnew() throws {
    let network = try randomNetwork(
      smallBlueprint {
        $0.inputDimensions = 1
        $0.hints = Hints(rows: [LocalSplines(neighbours: 4)])
        $0.head = .mixture(components: 3, around: 1)
      })
    let rows = NetworkRows(x: [0, 1, 2, 3, 4], y: [0, 1, 0, 1, 0], dimensions: 1)
    let context = network.encode(rows, network.fits(rows))
    let inputs = network.embed([0.5, 1.5, 3.5], dimensions: 1, for: context)
    let paths = network.branch(paths: 1, capacity: 3)
    let near = try #require(paths.told?.parts.first as? NearPaths)
    func call(commit: Int32? = nil, query: Int32, limit: Int32) -> Int {
      let before = near.fitted
      network.advance(
        paths, context, inputs: inputs, commit: commit.map { [$0] } ?? [], y: commit.map { _ in [0.3] } ?? [],
        query: [query], limits: [limit])
      return near.fitted - before
    }
    #expect(call(query: 0, limit: 0) == 1)
    #expect(call(query: 2, limit: 0) == 1)
    #expect(call(commit: 0, query: 1, limit: 1) == 1, "the query alone")
    #expect(call(commit: 1, query: 2, limit: 2) == 1, "rows have come near it")
    #expect(call(query: 2, limit: 2) == 0)
  }
}
