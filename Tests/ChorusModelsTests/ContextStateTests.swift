import ChorusHints
import Testing

@testable import ChorusMemories
@testable import ChorusModels
@testable import ChorusTensors

/// A context state goes out of the program and comes back as it was.
@Suite struct ContextStateTests {
  private static func softmax(_ sizes: AttentionSizes) -> SoftmaxMemory {
    SoftmaxMemory(.softmax, sizes, MemoryValues(Weights(ParameterTable()), []))
  }

  /// Widths of a head that fill no whole panel, and numbers of rows around a panel's 16.
  @Test(arguments: [1, 15, 16, 17, 40]) func softmaxComesBack(rows: Int) throws {
    for width in [4, 16, 20] {
      let memory = Self.softmax(AttentionSizes(heads: 3, width: width))
      var stream = RandomStream(seed: 9, .tasks, UInt64(rows), UInt64(width))
      let given = (0..<rows * 6 * width).map { _ in Float(stream.normal()) }
      let context = memory.draft(rows: rows)
      memory.write(given, rows: 0..<rows, to: context, scratch: Arena(blockCount: 1 << 12))
      let values = memory.values(of: context)
      #expect(values.count == 1 && same(values[0], given))
      #expect(memory.stateArrays(rows: rows).map(\.count) == [given.count])
      let back = try #require(memory.context(rows: rows, values: values))
      #expect(same(back.keys.array, context.keys.array) && same(back.values.array, context.values.array))
    }
  }

  @Test func whatFitsNoContextIsRefused() {
    let memory = Self.softmax(AttentionSizes(heads: 2, width: 4))
    let good = [Float](repeating: 1, count: 3 * 16)
    #expect(memory.context(rows: 3, values: [good]) != nil)
    for bad in [[], [[]], [good, good], [good + [0]], [Array(good.dropLast()) + [.nan]]] as [[[Float]]] {
      #expect(memory.context(rows: 3, values: bad) == nil)
    }
    #expect(memory.context(rows: 0, values: [[]]) == nil && memory.context(rows: -1, values: [[]]) == nil)
  }

  @Test(arguments: Variant.allCases) func aNetworkReadsWhatCameBack(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    for count in [0, 1, 21] {
      let batch = try randomBatch(context: count, buffer: 3, targets: 4)
      let state = network.encoded(batch)
      let (arrays, values) = (network.stateArrays(rows: count), network.values(of: state))
      #expect(arrays.map(\.count) == values.map(\.count) && Set(arrays.map(\.name)).count == arrays.count)
      let (rows, fits) = (batch.observed, network.fits(of: state))
      let back = try #require(network.context(rows, fits, values: values))
      #expect(back.rows == count)
      func answer(_ state: Network.Context) -> [Float] {
        let paths = network.branch(paths: 1, capacity: 3)
        return network.advance(
          paths, state, inputs: network.embeddedRest(batch), commit: [0, 1, 2],
          y: Array(batch.y[batch.bufferRows]), query: [3, 4, 5, 6], limits: [0, 1, 2, 3])
      }
      #expect(same(answer(back), answer(state)))
      let more = NetworkRows(x: [0, 0, 0, 0], y: [0, 0], dimensions: 2)
      // Latents are as many for any number of rows.
      let fitsAny = variant == .latents || variant == .postLatents
      #expect((network.context(rows.appending(more), fits, values: values) == nil) != fitsAny)
      #expect(network.context(rows, fits, values: Array(values.dropLast())) == nil)
      for wrong in [
        NetworkRows(x: rows.x, y: rows.y + [0], dimensions: 2),
        NetworkRows(x: rows.x, y: rows.y, dimensions: 0),
      ] {
        #expect(network.context(wrong, fits, values: values) == nil)
      }
    }
  }
}
