import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors
import Testing

@testable import ChorusModels

/// The family of streams: its forms give the same answers, and its gradients are those of its loss.
@Suite struct StreamNetworkTests {
  static func blueprint(_ change: (inout Blueprint) -> Void = { _ in }) -> Blueprint {
    smallBlueprint {
      $0.family = .streams
      $0.frequencies = 0
      change(&$0)
    }
  }

  private static func network(_ blueprint: Blueprint) throws -> StreamNetwork<MixtureHead> {
    let declared = try Declaration(blueprint)
    return try #require(declared.network(randomWeights(declared)) as? StreamNetwork<MixtureHead>)
  }

  /// Log densities along a chain of the batch's buffer rows, one call a row.
  private static func chain(
    _ network: StreamNetwork<MixtureHead>, _ batch: TaskBatch, _ state: StreamNetwork<MixtureHead>.Context
  ) -> [Double] {
    let first = batch.context * batch.dimensions
    let rows = batch.buffer
    let asked = network.embed(
      Array(batch.x[first..<first + rows * batch.dimensions]), dimensions: batch.dimensions, for: state)
    let paths = network.branch(paths: 1, capacity: rows)
    var found: [Double] = []
    for row in 0..<rows {
      var call = RowBatch()
      call.begin()
      if row > 0 {
        call.commit(
          input: Int32(row - 1), y: batch.y[batch.context + row - 1], slot: Int32(row - 1),
          reads: .prefix(row))
      }
      call.query(input: Int32(row), reads: .prefix(row))
      network.advance(paths, state, asked, call) {
        found.append($0.law.logDensity(Double(batch.y[batch.context + row])))
      }
    }
    return found
  }

  @Test(arguments: [0, 1, 40]) func theChainEqualsTheTrainingPass(context: Int) throws {
    let network = try Self.network(Self.blueprint())
    let rows = 12
    var batch = try randomBatch(context: context, buffer: rows, targets: rows)
    // Each target at the inputs and with the value of a buffer row, which sees the rows before it.
    let first = context * 2
    batch.x.replaceSubrange(first + rows * 2..<first + 4 * rows, with: batch.x[first..<first + rows * 2])
    batch.y.replaceSubrange(context + rows..<context + 2 * rows, with: batch.y[context..<context + rows])
    let (_, trained) = network.loss(
      batch, task: 0, prefixes: (0..<Int32(rows)).map { $0 }, weight: 1, on: Tape(network.weights))
    let stepwise = Self.chain(network, batch, network.encode(batch.observed, HintFits()))
    for (a, b) in zip(trained, stepwise) { #expect(abs(Double(a) - b) < 1e-4 * max(1, abs(b))) }
    #expect(trained.count == rows && stepwise.count == rows)
  }

  @Test func gradientsAreThoseOfTheLoss() throws {
    let declared = try Declaration(Self.blueprint { $0.layers = 1 })
    let weights = randomWeights(declared, training: true)
    let network = try declared.network(weights)
    for context in [0, 6] {
      let batch = try randomBatch(context: context, buffer: 3, targets: 4)
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
  }

  @Test func aContextIsASetAndKeptAndTheSameOnAnyThreads() throws {
    let network = try Self.network(Self.blueprint())
    let batch = try randomBatch(context: 70, buffer: 5, targets: 1)
    let rows = batch.observed
    let state = network.encode(rows, HintFits())
    #expect(
      network.values(of: network.encode(rows, HintFits(), on: ThreadPool(threads: 3)))
        == network.values(of: state))
    let kept = try #require(network.context(rows, HintFits(), values: network.values(of: state)))
    #expect(Self.chain(network, batch, kept) == Self.chain(network, batch, state))
    #expect(network.stateArrays(rows: 70).map(\.count) == network.values(of: state).map(\.count))
    #expect(Set(network.stateArrays(rows: 70).map(\.name)).count == 4)
    #expect(network.context(rows, HintFits(), values: Array(network.values(of: state).dropLast())) == nil)
    let turned = network.encode(rows.rows((0..<70).reversed()), HintFits())
    for (a, b) in zip(Self.chain(network, batch, turned), Self.chain(network, batch, state)) {
      #expect(abs(a - b) < 1e-4 * max(1, abs(b)))
    }
    // Rows that come later are read by those before them.
    #expect(network.observing(state, rows, removing: false) == nil)
    #expect(!network.memoryCapability.merge && network.memoryCapability.holdsSet)
  }

  @Test func pathsSideBySideAreThoseAlone() throws {
    let network = try Self.network(Self.blueprint())
    let batch = try randomBatch(context: 9, buffer: 2, targets: 1)
    let state = network.encode(batch.observed, HintFits())
    let asked = network.embed(Array(batch.x[18...]), dimensions: 2, for: state)
    /// Each path commits one value and asks for the other input.
    func laws(_ values: [Float]) -> [GaussianMixture] {
      let paths = network.branch(paths: values.count, capacity: 1)
      var call = RowBatch()
      for value in values {
        call.begin()
        call.commit(input: 0, y: value, slot: 0, reads: .prefix(1))
        call.query(input: 1, reads: .prefix(1))
        call.query(input: 1, reads: .none)
      }
      var found: [GaussianMixture] = []
      network.advance(paths, state, asked, call) { found.append($0.law) }
      return found
    }
    let together = laws([0.5, -2, 1])
    #expect(together == laws([0.5]) + laws([-2]) + laws([1]))
    // What reads nothing of its path is the same for all; what reads it is not.
    #expect(together[1] == together[3] && together[0] != together[2])
  }

  @Test func wrongBlueprintsAreRefused() {
    for change: (inout Blueprint) -> Void in [
      { $0.norm = .post }, { $0.frequencies = 2 }, { $0.bufferPositions = .learned(4) },
      { $0.hints = Hints(rows: [LocalSplines(neighbours: 3)]) }, { $0.parts.norm = .rms },
      { $0.memories = [.softmax] }, { $0.parts.coordinates = 2 },
    ] {
      #expect(throws: ModelError.self) { try Declaration(Self.blueprint(change)) }
    }
  }
}
