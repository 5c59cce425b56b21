import ChorusData
import ChorusHints
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// Row by row, all at once, side by side and taken back: the answers are the same.
@Suite struct StepwiseTests {
  private static let stride = 9

  /// The chain: commit row k-1 and query target k in one call, target k at the inputs of row k.
  private static func stepwise(
    _ network: Network, _ state: Network.Context, _ inputs: Network.Questions, _ y: [Float],
    paths count: Int = 1,
    rows: (Int) -> [Int32]
  ) -> [[Float]] {
    let steps = y.count / count
    let paths = network.branch(paths: count, capacity: steps)
    var batch = RowBatch()
    return (0..<steps).map { step in
      batch.clear()
      for path in 0..<count {
        batch.begin()
        if step > 0 {
          batch.commit(
            input: rows(step - 1)[path], y: y[(step - 1) * count + path], slot: Int32(step - 1),
            reads: .prefix(step))
        }
        batch.query(input: rows(step)[path], reads: .prefix(step))
      }
      return network.advance(paths, state, inputs: inputs, batch: batch)
    }
  }

  @Test(arguments: Variant.allCases, [0, 1, 40])
  func rowByRowEqualsOnePass(_ variant: Variant, context: Int) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: context, buffer: 20, targets: 1)
    let (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    let y = Array(batch.y[batch.bufferRows])
    let indices = (0..<20).map { Int32($0) }
    let stepped = Self.stepwise(network, state, inputs, y) { [Int32($0)] }
    // One pass: K committed rows and K queries at the same inputs, query k with k rows visible.
    let paths = network.branch(paths: 1, capacity: 20)
    let onePass = network.advance(
      paths, state, inputs: inputs, commit: indices, y: y, query: indices, limits: indices)
    #expect(paths.slots == [20])
    #expect(same(stepped.flatMap { $0 }, onePass))

    // The training pass with the same prefixes.
    var packed = try TaskBatch(tasks: 1, context: context, buffer: 20, targets: 20, dimensions: 2)
    let rows = 2 * (context + 20)
    packed.x = Array(batch.x[0..<rows] + batch.x[2 * context..<rows])
    packed.y = Array(batch.y[0..<context + 20] + batch.y[context..<context + 20])
    #expect(distance(network.recorded(packed, prefixes: indices), onePass) < 1e-5)
  }

  @Test(arguments: Variant.allCases, [0, 9])
  func pathsSideBySideEqualPathsAlone(_ variant: Variant, context: Int) throws {
    let network = try randomNetwork(variant.blueprint)
    let (count, steps) = (5, 7)
    let batch = try randomBatch(context: context, buffer: steps, targets: 1)
    let (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    var stream = RandomStream(seed: 21)
    let orders = (0..<count).map { _ in stream.permutation(steps) }
    let y = (0..<count * steps).map { _ in Float(stream.normal()) }  // step by step, a value a path
    let together = Self.stepwise(network, state, inputs, y, paths: count) { step in
      orders.map { Int32($0[step]) }
    }
    for path in 0..<count {
      let alone = Self.stepwise(network, state, inputs, (0..<steps).map { y[$0 * count + path] }) {
        [Int32(orders[path][$0])]
      }
      for step in 0..<steps {
        #expect(
          same(alone[step], Array(together[step][path * Self.stride..<(path + 1) * Self.stride])),
          "path \(path), step \(step)")
      }
    }
  }

  @Test(arguments: Variant.allCases)
  func rowsTakenBackLeaveNoTrace(_ variant: Variant) throws {
    let network = try randomNetwork(variant.blueprint)
    let batch = try randomBatch(context: 4, buffer: 8, targets: 1)
    let (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    func answer(_ paths: Network.Paths) -> [Float] {
      network.advance(paths, state, inputs: inputs, commit: [6], y: [0.5], query: [8, 8], limits: [3, 2])
    }
    let straight = network.branch(paths: 1, capacity: 8)
    network.advance(straight, state, inputs: inputs, commit: [0, 1], y: [1, -1])
    let expected = answer(straight)

    let paths = network.branch(paths: 1, capacity: 8)
    network.advance(paths, state, inputs: inputs, commit: [0, 1, 2, 3, 4], y: [1, -1, 9, -9, 9])
    paths.rewind(path: 0, to: 2)
    #expect(paths.slots == [2])
    #expect(same(answer(paths), expected))
    paths.rewind(path: 0, to: 7)
    #expect(paths.slots == [3], "what was never committed cannot come back")
    paths.rewind(path: 0, to: -1)
    #expect(paths.slots == [0])
  }

  /// Room for more rows than are committed is not seen.
  @Test func capacityDoesNotMatter() throws {
    let network = try randomNetwork(Variant.pre.blueprint)
    let batch = try randomBatch(context: 4, buffer: 5, targets: 1)
    let (state, inputs) = (network.encoded(batch), network.embeddedRest(batch))
    let answers = [5, 6, 8, 9, 64].map { capacity in
      let paths = network.branch(paths: 1, capacity: capacity)
      return network.advance(
        paths, state, inputs: inputs, commit: [0, 1, 2, 3, 4], y: Array(batch.y[batch.bufferRows]),
        query: [5], limits: [5])
    }
    #expect(answers.allSatisfy { same($0, answers[0]) })
  }
}
