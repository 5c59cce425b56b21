import ChorusData
import ChorusHints
import ChorusLayers
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// One Gaussian law of all targets: the conditionals that paths are drawn by multiply to it, and its gradient is right.
@Suite struct JointNetworkTests {
  private static let blueprint = smallBlueprint {
    $0.family = .joint
    $0.head = .jointGaussian(rank: 3, floor: 0.05)
  }

  private static func network() throws -> (JointNetwork, Weights) {
    let declared = try Declaration(blueprint)
    let weights = randomWeights(declared, training: true)
    return (try #require(declared.network(weights) as? JointNetwork), weights)
  }

  /// log N(y; μ, HHᵀ + D) by its definition, from the law's own rows.
  private static func logDensity(_ rows: [JointGaussianHead.Row], _ y: [Double]) -> Double {
    let n = rows.count
    var a = (0..<n).map { i in
      (0..<n).map { j in
        zip(rows[i].factor, rows[j].factor).reduce(0) { $0 + $1.0 * $1.1 }
          + (i == j ? rows[i].deviation * rows[i].deviation : 0)
      }
    }
    // Gaussian elimination with the right-hand side beside it.
    let residual = zip(y, rows).map { $0 - $1.mean }
    var b = residual
    var logDeterminant = 0.0
    for i in 0..<n {
      logDeterminant += log(a[i][i])
      for k in i + 1..<max(n, i + 1) {
        let factor = a[k][i] / a[i][i]
        for j in i..<n { a[k][j] -= factor * a[i][j] }
        b[k] -= factor * b[i]
      }
    }
    var x = b
    for i in stride(from: n - 1, through: 0, by: -1) {
      for j in i + 1..<max(n, i + 1) { x[i] -= a[i][j] * x[j] }
      x[i] /= a[i][i]
    }
    let square = zip(residual, x).reduce(0) { $0 + $1.0 * $1.1 }
    return -0.5 * (square + logDeterminant + Double(n) * log(2 * Double.pi))
  }

  @Test func conditionalsMultiplyToTheJointLaw() throws {
    let (network, _) = try Self.network()
    let batch = try randomBatch(context: 5, buffer: 0, targets: 6)
    let context = network.encode(batch.observed, network.fits(batch.observed), on: nil)
    let questions = network.embed(Array(batch.x[(5 * 2)...]), dimensions: 2, for: context)
    let y = Array(batch.y[5...])
    let paths = network.branch(paths: 1, capacity: 6)
    var sum = 0.0
    for target in 0..<6 {
      var rows = RowBatch()
      rows.begin()
      rows.query(input: Int32(target), reads: .prefix(target))
      network.advance(paths, context, questions, rows) { sum += $0.law.logDensity(Double(y[target])) }
      rows.clear()
      rows.begin()
      rows.commit(input: Int32(target), y: y[target], slot: Int32(target), reads: .prefix(target + 1))
      network.advance(paths, context, questions, rows) { _ in }
    }
    let tape = Tape(network.weights)
    let (loss, logDensities) = network.loss(
      batch, task: 0, prefixes: [Int32](repeating: 0, count: 6), weight: 0.5, on: tape)
    #expect(abs(sum - logDensities.reduce(0) { $0 + Double($1) }) < 1e-4)
    #expect(abs(Double(tape.values(loss)[0]) + 0.5 * sum) < 1e-4)
  }

  /// The rows that are read decide, and in which slots they lie does not.
  @Test func anySubsetOfRowsCanBeRead() throws {
    let (network, _) = try Self.network()
    let batch = try randomBatch(context: 4, buffer: 0, targets: 5)
    let context = network.encode(batch.observed, network.fits(batch.observed), on: nil)
    let questions = network.embed(Array(batch.x[(4 * 2)...]), dimensions: 2, for: context)
    func law(_ inputs: [Int32], reads: RangeSet<Int>) -> GaussianMixture? {
      let paths = network.branch(paths: 1, capacity: 4)
      var rows = RowBatch()
      rows.begin()
      for (slot, input) in inputs.enumerated() {
        rows.commit(
          input: input, y: batch.y[4 + Int(input)], slot: Int32(slot), reads: .prefix(slot + 1))
      }
      rows.query(input: 4, reads: Reads(reads))
      var law: GaussianMixture?
      network.advance(paths, context, questions, rows) { law = $0.law }
      return law
    }
    let some = try #require(law([0, 1, 2, 3], reads: RangeSet([0..<1, 2..<3])))
    let alone = try #require(law([0, 2], reads: RangeSet(0..<2)))
    let none = try #require(law([0], reads: RangeSet()))
    #expect(abs(some.means[0] - alone.means[0]) < 1e-9)
    #expect(abs(some.deviations[0] - alone.deviations[0]) < 1e-9)
    #expect(some.deviations[0] < none.deviations[0])
  }

  /// The head's loss, of raw numbers in float32, against the law by its definition and its differences.
  @Test func lossAndGradientOfTheHead() throws {
    let (rank, count) = (3, 5)
    var scope = ParameterScope()
    let head = JointGaussianHead(4, hidden: 4, rank: rank, floor: 0.1, &scope)
    var stream = RandomStream(seed: 3)
    var raw = stream.normals(count * (rank + 2)).map { Float($0) }
    let y = stream.normals(count)
    func value() -> Double {
      raw.withUnsafeBufferPointer { raw in
        guard let raw = raw.baseAddress else { return .nan }
        return -Self.logDensity((0..<count).map { head.row(raw + $0 * (rank + 2)) }, y)
      }
    }
    let numbers = scope.parameter("raw", count, rank + 2, .zeros)
    let weights = Weights(scope.table, training: true)
    weights[numbers].update(from: raw, count: raw.count)
    let tape = Tape(weights)
    let node = tape.gather(
      [.parameter(numbers, (0..<Int32(count)).map { $0 })], rows: count, columns: rank + 2)
    let (loss, logDensities) = head.loss(
      node, Targets(values: y.map { Float($0) }, weights: [Float](repeating: 1, count: count)), on: tape)
    #expect(abs(Double(tape.values(loss)[0]) - value()) < 1e-4)
    #expect(abs(logDensities.reduce(0) { $0 + Double($1) } + value()) < 1e-4)
    let gradients = FloatBuffer(count: scope.table.count)
    tape.backward(from: loss, into: gradients)
    let slope = gradients.pointer + numbers.offset
    for element in raw.indices {
      let kept = raw[element]
      raw[element] = kept + 1e-2
      let above = value()
      raw[element] = kept - 1e-2
      let below = value()
      raw[element] = kept
      #expect(
        abs(Double(slope[element]) - (above - below) / 0.02) < 3e-3 * max(1, abs(Double(slope[element]))))
    }
  }

  /// Family and head belong to each other, and a buffer has nothing to be trained for.
  @Test func whatDoesNotFitIsRefused() {
    #expect(throws: ModelError.self) { try Declaration(smallBlueprint { $0.family = .joint }) }
    #expect(throws: ModelError.self) { try Declaration(smallBlueprint { $0.head = .jointGaussian() }) }
    #expect(throws: ModelError.self) {
      try Declaration(
        smallBlueprint {
          $0.family = .joint
          $0.head = .jointGaussian()
          $0.bufferPositions = .learned(4)
        })
    }
  }
}
