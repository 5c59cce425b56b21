import ChorusData
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// Row by row, all at once, side by side and taken back: the answers are the same.
@Suite struct StepwiseTests {
  private static let stride = 9

  /// The chain on one path: commit row k-1 and query target k in one call, target k at the inputs of row k.
  private static func stepwise(
    _ trunk: Trunk, _ state: Trunk.ContextState, _ inputs: Trunk.EmbeddedInputs, _ y: [Float],
    paths count: Int = 1,
    rows: (Int) -> [Int32]
  ) -> [[Float]] {
    let steps = y.count / count
    let paths = trunk.branch(paths: count, capacity: steps)
    return (0..<steps).map { step in
      let out = trunk.advance(
        paths, state, inputs: inputs, commit: step > 0 ? rows(step - 1) : [],
        y: step > 0 ? Array(y[(step - 1) * count..<step * count]) : [], query: rows(step),
        limits: [Int32(step)])
      return Array(UnsafeBufferPointer(start: out, count: count * stride))
    }
  }

  @Test(arguments: Variant.allCases, [0, 1, 40])
  func rowByRowEqualsOnePass(_ variant: Variant, context: Int) throws {
    let trunk = try randomTrunk(variant.blueprint)
    let batch = try randomBatch(context: context, buffer: 20, targets: 1)
    let (state, inputs) = (trunk.encoded(batch), trunk.embeddedRest(batch))
    let y = Array(batch.y[batch.bufferRows])
    let indices = (0..<20).map { Int32($0) }
    let stepped = Self.stepwise(trunk, state, inputs, y) { [Int32($0)] }
    // One pass: K committed rows and K queries at the same inputs, query k with k rows visible.
    let paths = trunk.branch(paths: 1, capacity: 20)
    let out = trunk.advance(
      paths, state, inputs: inputs, commit: indices, y: y, query: indices, limits: indices)
    let onePass = Array(UnsafeBufferPointer(start: out, count: 20 * Self.stride))
    #expect(paths.committed == 20)
    #expect(same(stepped.flatMap { $0 }, onePass))

    // The training pass with the same prefixes.
    var packed = try TaskBatch(tasks: 1, context: context, buffer: 20, targets: 20, dimensions: 2)
    let rows = 2 * (context + 20)
    packed.x = Array(batch.x[0..<rows] + batch.x[2 * context..<rows])
    packed.y = Array(batch.y[0..<context + 20] + batch.y[context..<context + 20])
    #expect(distance(trunk.recorded(packed, prefixes: indices), onePass) < 1e-5)
  }

  @Test(arguments: Variant.allCases, [0, 9])
  func pathsSideBySideEqualPathsAlone(_ variant: Variant, context: Int) throws {
    let trunk = try randomTrunk(variant.blueprint)
    let (count, steps) = (5, 7)
    let batch = try randomBatch(context: context, buffer: steps, targets: 1)
    let (state, inputs) = (trunk.encoded(batch), trunk.embeddedRest(batch))
    var stream = RandomStream(seed: 21)
    let orders = (0..<count).map { _ in stream.permutation(steps) }
    let y = (0..<count * steps).map { _ in Float(stream.normal()) }  // step by step, a value a path
    let together = Self.stepwise(trunk, state, inputs, y, paths: count) { step in
      orders.map { Int32($0[step]) }
    }
    for path in 0..<count {
      let alone = Self.stepwise(trunk, state, inputs, (0..<steps).map { y[$0 * count + path] }) {
        [Int32(orders[path][$0])]
      }
      for step in 0..<steps {
        #expect(
          same(alone[step], Array(together[step][path * Self.stride..<(path + 1) * Self.stride])),
          "path \(path), step \(step)")
      }
    }
  }

  /// Several groups of rows in one call, on several paths.
  @Test(arguments: Variant.allCases)
  func groupsOfRowsInOneCallEqualSingleOnes(_ variant: Variant) throws {
    let trunk = try randomTrunk(variant.blueprint)
    let batch = try randomBatch(context: 6, buffer: 6, targets: 2)
    let (state, inputs) = (trunk.encoded(batch), trunk.embeddedRest(batch))
    let y: [Float] = [0.5, -1, 2, 0, 1, -2, 0.25, 0.75, -0.5]
    let commit: [Int32] = [0, 1, 2, 3, 4, 5, 2, 0, 1]  // three groups of three paths
    let query: [Int32] = [6, 7, 6, 7, 6, 7, 5, 4, 3]
    let limits: [Int32] = [3, 0, 2]
    let paths = trunk.branch(paths: 3, capacity: 5)
    let out = trunk.advance(
      paths, state, inputs: inputs, commit: commit, y: y, query: query, limits: limits)
    let together = Array(UnsafeBufferPointer(start: out, count: 9 * Self.stride))
    #expect(paths.committed == 3)
    for path in 0..<3 {
      let one = trunk.branch(paths: 1, capacity: 3)
      for group in 0..<3 {
        trunk.advance(
          one, state, inputs: inputs, commit: [commit[3 * group + path]], y: [y[3 * group + path]])
      }
      for group in 0..<3 {
        let row = 3 * group + path
        let out = trunk.advance(one, state, inputs: inputs, query: [query[row]], limits: [limits[group]])
        #expect(
          same(
            Array(UnsafeBufferPointer(start: out, count: Self.stride)),
            Array(together[row * Self.stride..<(row + 1) * Self.stride])))
      }
    }
  }

  @Test(arguments: Variant.allCases)
  func rowsTakenBackLeaveNoTrace(_ variant: Variant) throws {
    let trunk = try randomTrunk(variant.blueprint)
    let batch = try randomBatch(context: 4, buffer: 8, targets: 1)
    let (state, inputs) = (trunk.encoded(batch), trunk.embeddedRest(batch))
    func answer(_ paths: Trunk.Paths) -> [Float] {
      let out = trunk.advance(
        paths, state, inputs: inputs, commit: [6], y: [0.5], query: [8, 8], limits: [3, 2])
      return Array(UnsafeBufferPointer(start: out, count: 2 * Self.stride))
    }
    let straight = trunk.branch(paths: 1, capacity: 8)
    trunk.advance(straight, state, inputs: inputs, commit: [0, 1], y: [1, -1])
    let expected = answer(straight)

    let paths = trunk.branch(paths: 1, capacity: 8)
    trunk.advance(paths, state, inputs: inputs, commit: [0, 1, 2, 3, 4], y: [1, -1, 9, -9, 9])
    paths.rewind(to: 2)
    #expect(paths.committed == 2)
    #expect(same(answer(paths), expected))
    paths.rewind(to: 7)
    #expect(paths.committed == 3, "what was never committed cannot come back")
    paths.rewind(to: -1)
    #expect(paths.committed == 0)
  }

  /// Room for more rows than are committed is not seen.
  @Test func capacityDoesNotMatter() throws {
    let trunk = try randomTrunk(Variant.pre.blueprint)
    let batch = try randomBatch(context: 4, buffer: 5, targets: 1)
    let (state, inputs) = (trunk.encoded(batch), trunk.embeddedRest(batch))
    let answers = [5, 6, 8, 9, 64].map { capacity in
      let paths = trunk.branch(paths: 1, capacity: capacity)
      let out = trunk.advance(
        paths, state, inputs: inputs, commit: [0, 1, 2, 3, 4], y: Array(batch.y[batch.bufferRows]),
        query: [5],
        limits: [5])
      return Array(UnsafeBufferPointer(start: out, count: Self.stride))
    }
    #expect(answers.allSatisfy { same($0, answers[0]) })
  }
}
