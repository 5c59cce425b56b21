import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels

/// The family of tables: its forms give the same answers, and its gradients are those of its loss.
@Suite struct TableNetworkTests {
  static func blueprint(_ change: (inout Blueprint) -> Void = { _ in }) -> Blueprint {
    smallBlueprint {
      $0.family = .table
      $0.parts.coordinates = TableExperts.coordinates
      $0.width = 32
      $0.frequencies = 0
      $0.inputDimensions = TableExperts.width
      $0.scaling = .standardise
      $0.head = .mixture(components: 10, around: 8, units: TableExperts.count)
      change(&$0)
    }
  }

  static func batch(context: Int, buffer: Int, targets: Int) throws -> TaskBatch {
    var batch = try TaskBatch(
      tasks: 1, context: context, buffer: buffer, targets: targets, dimensions: TableExperts.width)
    var stream = RandomStream(seed: 12)
    for index in batch.x.indices { batch.x[index] = Float(0.5 * stream.normal()) }
    for index in batch.y.indices { batch.y[index] = Float(stream.normal()) }
    return batch
  }

  private static func network(_ blueprint: Blueprint) throws -> TableNetwork<MixtureHead> {
    let declared = try Declaration(blueprint)
    return try #require(declared.network(randomWeights(declared)) as? TableNetwork<MixtureHead>)
  }

  @Test(arguments: [0, 1, 40]) func theChainEqualsTheTrainingPass(context: Int) throws {
    let network = try Self.network(Self.blueprint())
    let (rows, width) = (12, TableExperts.width)
    var batch = try Self.batch(context: context, buffer: rows, targets: rows)
    // Each target at the inputs and with the value of a buffer row, which sees the rows before it.
    let first = context * width
    batch.x.replaceSubrange(
      first + rows * width..<first + 2 * rows * width, with: batch.x[first..<first + rows * width])
    batch.y.replaceSubrange(context + rows..<context + 2 * rows, with: batch.y[context..<context + rows])
    let prefixes = (0..<Int32(rows)).map { $0 }
    let (_, trained) = network.loss(batch, task: 0, prefixes: prefixes, weight: 1, on: Tape(network.weights))
    let observed = NetworkRows(
      x: Array(batch.x[..<first]), y: Array(batch.y[..<context]), dimensions: width)
    let state = network.encode(observed, HintFits())
    let asked = network.embed(Array(batch.x[first..<first + rows * width]), dimensions: width, for: state)
    let paths = network.branch(paths: 1, capacity: rows)
    var stepwise: [Double] = []
    for row in 0..<rows {
      var call = RowBatch()
      call.begin()
      if row > 0 {
        call.commit(
          input: Int32(row - 1), y: batch.y[context + row - 1], slot: Int32(row - 1), reads: .prefix(row))
      }
      call.query(input: Int32(row), reads: .prefix(row))
      network.advance(paths, state, asked, call) {
        stepwise.append($0.law.logDensity(Double(batch.y[context + row])))
      }
    }
    for (a, b) in zip(trained, stepwise) { #expect(abs(Double(a) - b) < 1e-4 * max(1, abs(b))) }
  }

  @Test func gradientsAreThoseOfTheLoss() throws {
    let declared = try Declaration(Self.blueprint { $0.layers = 1 })
    let weights = randomWeights(declared, training: true)
    let network = try declared.network(weights)
    let batch = try Self.batch(context: 6, buffer: 3, targets: 4)
    func loss() -> Double {
      weights.pack()
      let tape = Tape(weights)
      let (node, _) = network.loss(batch, task: 0, prefixes: [0, 0, 1, 3], weight: 0.25, on: tape)
      return Double(tape.values(node)[0])
    }
    let tape = Tape(weights)
    let gradients = FloatBuffer(count: declared.table.count)
    let (node, _) = network.loss(batch, task: 0, prefixes: [0, 0, 1, 3], weight: 0.25, on: tape)
    tape.backward(from: node, into: gradients)
    for (index, p) in declared.table.all.enumerated() {
      var stream = RandomStream(seed: 31, UInt64(index))
      let direction = stream.normals(p.count).map { Float($0) }
      let start = (0..<p.count).map { weights[p][$0] }
      func along(_ step: Float) -> Double {
        for i in 0..<p.count { weights[p][i] = start[i] + step * direction[i] }
        defer { for i in 0..<p.count { weights[p][i] = start[i] } }
        return loss()
      }
      let step: Float = 2e-3
      let numeric = (along(step) - along(-step)) / Double(2 * step)
      let own = (0..<p.count).reduce(0.0) {
        $0 + Double(gradients.pointer[p.offset + $1]) * Double(direction[$1])
      }
      #expect(abs(own - numeric) < 0.02 * max(0.2, abs(numeric)), "\(p.path): \(own) and \(numeric)")
    }
  }

  @Test func anEmptyBufferIsTheSetAndAContextIsKept() throws {
    let network = try Self.network(Self.blueprint())
    let batch = try Self.batch(context: 20, buffer: 4, targets: 4)
    let width = TableExperts.width
    let rows = NetworkRows(x: Array(batch.x[..<(20 * width)]), y: Array(batch.y[..<20]), dimensions: width)
    let state = network.encode(rows, HintFits())
    let kept = try #require(network.context(rows, HintFits(), values: network.values(of: state)))
    #expect(network.values(of: kept) == network.values(of: state))
    #expect(network.context(rows, HintFits(), values: []) == nil)
    // Scores fall with distance: a far row's coordinates matter to what is read.
    var far = rows
    for i in 0..<TableExperts.coordinates { far.x[TableExperts.features + i] += 3 }
    #expect(network.values(of: network.encode(far, HintFits())) != network.values(of: state))
  }

  @Test func wrongBlueprintsAreRefused() {
    for change: (inout Blueprint) -> Void in [
      { $0.inputDimensions = 3 }, { $0.frequencies = 2 }, { $0.parts.coordinates = 5 },
      { $0.head = .mixture(components: 10, around: 8, units: 2) }, { $0.head = .categorical(levels: 3) },
      { $0.scaling = .none }, { $0.hints = Hints(rows: [LocalSplines(neighbours: 3)]) },
    ] {
      #expect(throws: ModelError.self) { try Declaration(Self.blueprint(change)) }
    }
    #expect(throws: ModelError.self) { try Declaration(smallBlueprint { $0.parts.coordinates = 4 }) }
    // Rows of other families have one unit: a head must not read beyond it.
    #expect(throws: ModelError.self) {
      try Declaration(
        smallBlueprint {
          $0.hints = Hints(rows: [LocalSplines(neighbours: 3)])
          $0.head = .mixture(components: 8, around: 8, units: 4)
        })
    }
  }
}
