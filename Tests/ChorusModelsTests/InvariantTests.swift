import ChorusData
import ChorusHints
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// Who reads whom, told by changing what must not be read and looking at the bytes.
@Suite struct InvariantTests {
  private static let stride = 9  // 3 · components

  private static func rows(_ values: [Float], _ keep: [Int]) -> [Float] {
    keep.flatMap { Array(values[$0 * stride..<($0 + 1) * stride]) }
  }

  @Test(arguments: Variant.allCases)
  func theContextReadsNeitherBufferNorQueries(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: 9, buffer: 4, targets: 3)
    let state = network.encoded(batch)
    let before = state.numbers
    let paths = network.branch(paths: 1, capacity: 4)
    network.advance(
      paths, state, inputs: network.embeddedRest(batch), commit: [0, 1, 2, 3],
      y: Array(batch.y[batch.bufferRows]),
      query: [4, 5, 6], limits: [0, 2, 4])
    #expect(zip(state.numbers, before).allSatisfy { same($0, $1) })

    // In the training pass, where all are in one matrix: targets that read the context alone.
    var changed = batch
    for row in batch.bufferRows {
      changed.y[row] += 3
      changed.x[2 * row] -= 1
    }
    let prefixes: [Int32] = [0, 2, 0]
    let (one, other) = (
      network.recorded(batch, prefixes: prefixes), network.recorded(changed, prefixes: prefixes)
    )
    #expect(same(Self.rows(one, [0, 2]), Self.rows(other, [0, 2])))
    #expect(!same(Self.rows(one, [1]), Self.rows(other, [1])))
  }

  @Test(arguments: Variant.allCases)
  func nobodyReadsAQuery(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: 6, buffer: 3, targets: 4)
    let prefixes: [Int32] = [0, 3, 1, 2]
    var changed = batch
    changed.x[2 * batch.targetRows.lowerBound + 2] += 0.5  // target 1
    for answer in [network.recorded, network.advanced] as [(TaskBatch, [Int32]) -> [Float]] {
      let (one, other) = (answer(batch, prefixes), answer(changed, prefixes))
      #expect(same(Self.rows(one, [0, 2, 3]), Self.rows(other, [0, 2, 3])))
      #expect(!same(Self.rows(one, [1]), Self.rows(other, [1])))
    }
    // Asked alone, a query gives the bytes it gives among others; and a buffer that was queried is as before.
    let all = network.advanced(batch, prefixes: prefixes)
    let state = network.encoded(batch)
    let inputs = network.embeddedRest(batch)
    let paths = network.branch(paths: 1, capacity: 3)
    network.advance(
      paths, state, inputs: inputs, commit: [0, 1, 2], y: Array(batch.y[batch.bufferRows]))
    for target in 0..<4 {
      let out = network.advance(
        paths, state, inputs: inputs, query: [Int32(3 + target)], limits: [prefixes[target]])
      #expect(paths.slots == [3])
      #expect(same(out, Self.rows(all, [target])))
    }
  }

  @Test(arguments: Variant.allCases)
  func anEmptyBufferIsThePlainSetModel(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: 8, buffer: 3, targets: 3)
    // The same targets where there are no buffer rows at all.
    var plain = try TaskBatch(tasks: 1, context: 8, buffer: 0, targets: 3, dimensions: 2)
    plain.x = Array(batch.x[0..<16] + batch.x[22...])
    plain.y = Array(batch.y[0..<8] + batch.y[11...])
    #expect(
      same(network.advanced(batch, prefixes: [0, 0, 0]), network.advanced(plain, prefixes: [0, 0, 0])))
    #expect(
      same(network.recorded(batch, prefixes: [0, 0, 0]), network.recorded(plain, prefixes: [0, 0, 0])))
  }

  @Test(arguments: Variant.allCases)
  func theOrderOfTheContextDoesNotMatter(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: 50, buffer: 3, targets: 4)
    var stream = RandomStream(seed: 4)
    let order = stream.permutation(50)
    var turned = batch
    for (place, row) in order.enumerated() {
      turned.y[place] = batch.y[row]
      turned.x[2 * place] = batch.x[2 * row]
      turned.x[2 * place + 1] = batch.x[2 * row + 1]
    }
    let prefixes: [Int32] = [0, 1, 2, 3]
    let moved = distance(
      network.advanced(batch, prefixes: prefixes), network.advanced(turned, prefixes: prefixes))
    // A causal context is the one that has an order.
    #expect(variant == .causal ? moved > 1e-3 : moved < 1e-5)
  }

  @Test(arguments: Variant.allCases)
  func aBufferRowIsReadOnlyFromItsPlaceOn(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: 5, buffer: 5, targets: 6)
    let prefixes: [Int32] = [0, 1, 2, 3, 4, 5]
    for answer in [network.recorded, network.advanced] as [(TaskBatch, [Int32]) -> [Float]] {
      let one = answer(batch, prefixes)
      for j in 0..<5 {
        var changed = batch
        changed.y[batch.context + j] -= 2
        changed.x[2 * (batch.context + j) + 1] += 0.5
        let other = answer(changed, prefixes)
        #expect(same(Self.rows(one, Array(0...j)), Self.rows(other, Array(0...j))))
        for target in j + 1..<6 {
          #expect(!same(Self.rows(one, [target]), Self.rows(other, [target])), "target \(target), row \(j)")
        }
      }
    }
  }

  @Test func tilesAndThreadsDoNotChangeABit() throws {
    let network = try randomNetwork(smallBlueprint { $0.layers = 3 })
    for context in [0, 1, 31, 32, 33, 100, 257] {
      let batch = try randomBatch(context: context, buffer: 0, targets: 1)
      let alone = network.encoded(batch)
      #expect(alone.rows == context)
      for threads in [1, 2, 3] {
        let state = network.encoded(batch, on: ThreadPool(threads: threads))
        #expect(zip(state.numbers, alone.numbers).allSatisfy { same($0, $1) })
      }
    }
  }

  @Test func bytesOfAStateAreToldAsTheyAre() throws {
    let network = try randomNetwork(smallBlueprint())
    for context in [0, 1, 17] {
      let batch = try randomBatch(context: context, buffer: 0, targets: 1)
      let held = network.encoded(batch).numbers.reduce(0) { $0 + 4 * $1.count }
      #expect(network.contextBytes(rows: context) == held)
    }
  }

  /// A causal context with further rows is, bit by bit, that of all rows; of any other it is not.
  @Test func aCausalContextTakesRowsInOneByOne() throws {
    let batch = try randomBatch(context: 12, buffer: 2, targets: 3)
    let rows = batch.observed
    for encoder in [ContextEncoding.causal, .shared] {
      let network = try randomNetwork(smallBlueprint { $0.encoder = encoder })
      let all = network.encode(rows, network.fits(rows))
      let first = rows.rows(Array(0..<5))
      let grown = try #require(
        network.observing(network.encode(first, network.fits(first)), rows.rows(Array(5..<12))))
      let same = zip(network.values(of: all), network.values(of: grown)).allSatisfy { $0 == $1 }
      #expect(same == (encoder == .causal))
    }
    let tower = try randomNetwork(smallBlueprint { $0.encoder = .tower(layers: 2) })
    #expect(tower.observing(tower.encode(rows, tower.fits(rows)), rows) == nil)
  }
}
