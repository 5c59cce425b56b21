import ChorusData
import ChorusHints
import ChorusLayers
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// The loss of a whole network and its gradient against the float64 network and its finite differences.
@Suite struct GradientTests {
  private static func loss(
    _ reference: ReferenceNetwork, _ batch: TaskBatch, _ prefixes: [Int32], _ rowWeights: [Float]
  ) -> Double {
    var loss = 0.0
    for task in 0..<batch.tasks {
      let rows = reference.predict(ReferenceNetwork.tokens(batch, task: task, prefixes: prefixes))
      for (m, row) in rows.enumerated() {
        let y = Double(batch.y[task * batch.rows + batch.context + batch.buffer + m])
        loss -= Double(rowWeights[task * batch.targets + m]) * reference.logDensity(row, y)
      }
    }
    return loss
  }

  /// Tasks, context, buffer, targets.
  static let shapes = [[1, 5, 3, 4], [2, 4, 2, 3], [1, 0, 3, 4], [2, 0, 1, 2], [1, 6, 0, 3]]

  @Test(arguments: Variant.allCases, shapes)
  func lossAndGradient(_ variant: Variant, _ shape: [Int]) throws {
    let declared = try Declaration(variant.blueprint)
    let weights = randomWeights(declared, training: true)
    let network = try declared.set(weights)
    let batch = try randomBatch(tasks: shape[0], context: shape[1], buffer: shape[2], targets: shape[3])
    let count = batch.tasks * batch.targets
    let prefixes = (0..<count).map { Int32(($0 * 2 + 1) % (batch.buffer + 1)) }
    let rowWeights = (0..<count).map { Float(1 + $0 % 3) / Float(count) }

    let tape = Tape(weights)
    let parameters = network.record(batch, tasks: 0..<batch.tasks, prefixes: prefixes, on: tape)
    let y = (0..<batch.tasks).flatMap { task in batch.targetRows.map { batch.y[task * batch.rows + $0] } }
    let (node, _) = network.layers.head.loss(parameters, Targets(values: y, weights: rowWeights), on: tape)
    let gradients = FloatBuffer(count: declared.table.count)
    tape.backward(from: node, into: gradients)

    var reference = ReferenceNetwork(network)
    let expected = Self.loss(reference, batch, prefixes, rowWeights)
    #expect(abs(Double(tape.values(node)[0]) - expected) < 1e-5 * max(1, abs(expected)))

    // A few elements of every parameter, then all of it along a random direction: a gradient that is wrong
    // anywhere shows in the second. Differences of the float64 network are good to 1e-8; what is left is the
    // rounding of float32 through two layers, some 1e-6 of the largest term.
    func difference(_ change: (Double) -> Void) -> Double {
      let step = 1e-5
      change(step)
      let above = Self.loss(reference, batch, prefixes, rowWeights)
      change(-2 * step)
      let below = Self.loss(reference, batch, prefixes, rowWeights)
      change(step)
      return (above - below) / (2 * step)
    }
    for (index, p) in declared.table.all.enumerated() {
      var stream = RandomStream(seed: 1, 8, UInt64(index))
      let own = UnsafeBufferPointer(start: gradients.pointer + p.offset, count: p.count)
      let scale = own.reduce(1e-2) { max($0, abs(Double($1))) }
      for _ in 0..<2 {
        let element = p.offset + stream.below(p.count)
        let numeric = difference { reference.values[element] += $0 }
        #expect(
          abs(Double(gradients.pointer[element]) - numeric) < 2e-4 * scale, "\(p.path) of \(variant)")
      }
      let direction = stream.normals(p.count)
      let along = zip(own, direction).reduce(0) { $0 + Double($1.0) * $1.1 }
      let numeric = difference { step in
        for i in 0..<p.count { reference.values[p.offset + i] += step * direction[i] }
      }
      let length = Double(p.count).squareRoot()
      #expect(abs(along - numeric) < 2e-4 * scale * length, "\(p.path) of \(variant) along a direction")
    }
  }

  /// A parameter that nothing reads has no gradient, and one batch after another adds up.
  @Test func gradientsAddUpAndUnreadParametersGetNone() throws {
    let declared = try Declaration(Variant.positions.blueprint)
    let weights = randomWeights(declared, training: true)
    let network = try declared.set(weights)
    let batch = try randomBatch(context: 3, buffer: 2, targets: 2)
    let tape = Tape(weights)
    func gradient(times: Int) -> [Float] {
      let gradients = FloatBuffer(count: declared.table.count)
      for _ in 0..<times {
        tape.reset()
        let parameters = network.record(batch, tasks: 0..<1, prefixes: [0, 2], on: tape)
        let (node, _) = network.layers.head.loss(
          parameters, Targets(values: [0, 1], weights: [1, 1]), on: tape)
        tape.backward(from: node, into: gradients)
      }
      return gradients.array
    }
    let (once, twice) = (gradient(times: 1), gradient(times: 2))
    #expect(distance(once.map { 2 * $0 }, twice) < 1e-3)
    let empty = network.layers.emptyContext
    #expect(once[empty.offset..<empty.offset + empty.count].allSatisfy { $0 == 0 })
    let role = network.layers.roleContext
    #expect(once[role.offset..<role.offset + role.count].contains { $0 != 0 })
  }
}
