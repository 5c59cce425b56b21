import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels

/// The family of classes: its forms give the same answers, levels have no order, and its gradients are those of its loss.
@Suite struct ClassNetworkTests {
  static let passes = 3
  static var width: Int { passes * ToldRow.level.width + 1 }

  static func blueprint(_ change: (inout Blueprint) -> Void = { _ in }) -> Blueprint {
    TableNetworkTests.blueprint {
      $0.family = .classes
      $0.inputDimensions = ToldClasses.mostPasses * ToldRow.level.width + 1
      $0.scaling = .none
      $0.head = .levels(around: ToldClasses.estimators, trusted: 3)
      change(&$0)
    }
  }

  /// Rows with levels at random, of which some are told a probability of a level not seen.
  static func batch(context: Int, buffer: Int, targets: Int) throws -> TaskBatch {
    var batch = try TaskBatch(
      tasks: 1, context: context, buffer: buffer, targets: targets, dimensions: width)
    var stream = RandomStream(seed: 13)
    for row in 0..<batch.rows {
      for pass in 0..<passes {
        let first = row * width + pass * ToldRow.level.width
        for i in 0..<ToldRow.level.width { batch.x[first + i] = Float(0.5 * stream.normal()) }
        for i in 0..<ToldClasses.estimators {
          batch.x[first + TableExperts.features + i] = Float(log(stream.uniform(in: 0.05...0.95)))
        }
      }
      batch.x[(row + 1) * width - 1] = row % 2 == 0 ? 0.125 : 0
      batch.y[row] = Float(stream.below(passes))
    }
    return batch
  }

  private static func network(_ blueprint: Blueprint) throws -> ClassNetwork {
    let declared = try Declaration(blueprint)
    return try #require(declared.network(randomWeights(declared)) as? ClassNetwork)
  }

  /// What is said of each target in turn, each given those before it.
  private static func chain(_ network: ClassNetwork, _ batch: TaskBatch) throws -> [Categorical] {
    let d = batch.dimensions
    let observed = NetworkRows(
      x: Array(batch.x[..<(batch.context * d)]), y: Array(batch.y[..<batch.context]), dimensions: d)
    var state = network.encode(observed, HintFits(), on: nil)
    // Training believes all.
    state.belief = 1
    let asked = network.embed(
      Array(batch.x[(batch.context * d)..<((batch.context + batch.buffer) * d)]), dimensions: d, for: state)
    let paths = network.branch(paths: 1, capacity: batch.buffer)
    var laws: [Categorical] = []
    for row in 0..<batch.buffer {
      var call = RowBatch()
      call.begin()
      if row > 0 {
        call.commit(
          input: Int32(row - 1), y: batch.y[batch.context + row - 1], slot: Int32(row - 1),
          reads: .prefix(row))
      }
      call.query(input: Int32(row), reads: .prefix(row))
      network.advance(paths, state, asked, call) { laws.append($0.law) }
    }
    return laws
  }

  @Test(arguments: [1, 40]) func theChainEqualsTheTrainingPass(context: Int) throws {
    let network = try Self.network(Self.blueprint())
    let (rows, d) = (12, Self.width)
    var batch = try Self.batch(context: context, buffer: rows, targets: rows)
    let first = context * d
    batch.x.replaceSubrange(
      first + rows * d..<first + 2 * rows * d, with: batch.x[first..<first + rows * d])
    batch.y.replaceSubrange(context + rows..<context + 2 * rows, with: batch.y[context..<context + rows])
    let prefixes = (0..<Int32(rows)).map { $0 }
    let (_, trained) = network.loss(batch, task: 0, prefixes: prefixes, weight: 1, on: Tape(network.weights))
    let laws = try Self.chain(network, batch)
    for (row, law) in laws.enumerated() {
      // Training leaves levels not seen to the estimators; asked for, they take their part.
      let unseen = Double(batch.x[first + (row + 1) * d - 1])
      #expect(law.probabilities.count == (unseen > 0 ? Self.passes + 1 : Self.passes))
      let own = law.logProbabilities[Int(batch.y[context + row])]
      #expect(abs(own - log1p(-unseen) - Double(trained[row])) < 1e-4)
    }
  }

  @Test func passesInAnotherOrderGiveTheSameLawInThatOrder() throws {
    let network = try Self.network(Self.blueprint())
    let batch = try Self.batch(context: 20, buffer: 8, targets: 2)
    let order = [2, 0, 1]  // pass i is told what pass order[i] was
    var moved = batch
    let w = ToldRow.level.width
    for row in 0..<batch.rows {
      for pass in 0..<Self.passes {
        for i in 0..<w {
          moved.x[row * Self.width + pass * w + i] = batch.x[row * Self.width + order[pass] * w + i]
        }
      }
      moved.y[row] = Float(order.firstIndex(of: Int(batch.y[row])) ?? 0)
    }
    for (a, b) in zip(try Self.chain(network, batch), try Self.chain(network, moved)) {
      for pass in 0..<Self.passes {
        #expect(abs(a.logProbabilities[order[pass]] - b.logProbabilities[pass]) < 1e-5)
      }
    }
  }

  @Test func aLevelDrawnChangesWhatIsSaidNext() throws {
    let network = try Self.network(Self.blueprint())
    let batch = try Self.batch(context: 20, buffer: 4, targets: 2)
    var other = batch
    other.y[20] = batch.y[20] == 0 ? 1 : 0
    let (a, b) = (try Self.chain(network, batch), try Self.chain(network, other))
    #expect(a[0] == b[0] && a[1] != b[1])
    // A level that no pass knows is a row that has none of theirs.
    other.y[20] = Float(Self.passes)
    #expect(try Self.chain(network, other)[1] != a[1])
  }

  @Test func aFreshNetworkSaysWhatTheTrustedEstimatorSays() throws {
    let declared = try Declaration(Self.blueprint())
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 3)
    weights.pack()
    let network = try #require(declared.network(weights) as? ClassNetwork)
    let batch = try Self.batch(context: 20, buffer: 6, targets: 2)
    for (row, law) in try Self.chain(network, batch).enumerated() {
      let first = (20 + row) * Self.width
      let pooled = (0..<Self.passes).map {
        Double(batch.x[first + $0 * ToldRow.level.width + TableExperts.features + 3])
      }
      let own = Categorical(logits: pooled).probabilities
      let unseen = Double(batch.x[first + Self.width - 1])
      for pass in 0..<Self.passes {
        #expect(abs(law.probabilities[pass] - own[pass] * (1 - unseen)) < 0.1)
      }
    }
  }

  @Test func whatIsBelievedIsWhatRowsLeftOutSay() throws {
    typealias Row = (logits: [(base: Double, learned: Double)], level: Int)
    // What was learned makes the level that came likelier, or less likely, or neither.
    let (pro, against): (Row, Row) = (
      ([(0, 2), (0, 0)], 0), ([(0, 2), (0, 0)], 1)
    )
    let even = ClassNetwork.belief([])
    #expect(even == 0.5)
    #expect(ClassNetwork.belief([Row](repeating: pro, count: 200)) > 0.9)
    #expect(ClassNetwork.belief([Row](repeating: against, count: 40)) < 0.1)
    let one = ClassNetwork.belief([against])
    #expect((0.3..<0.5).contains(one))
    // By the integral itself, for one row: ∫ λ σ(2λ) dλ / ∫ σ(2λ) dλ by a finer rule.
    let places = (0..<10_000).map { (Double($0) + 0.5) / 10_000 }
    let weights = places.map { 1 / (1 + exp(-2 * $0)) }
    let mean = zip(places, weights).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
    #expect(abs(ClassNetwork.belief([pro]) - mean) < 1e-4)
  }

  @Test func aContextTellsHowMuchIsBelieved() throws {
    let network = try Self.network(Self.blueprint())
    let d = Self.width
    func state(_ change: (inout TaskBatch) -> Void = { _ in }) throws -> ClassNetwork.Context {
      var batch = try Self.batch(context: 40, buffer: 4, targets: 2)
      change(&batch)
      let rows = NetworkRows(
        x: Array(batch.x[..<(40 * d)]), y: Array(batch.y[..<40]), dimensions: d)
      return network.encode(rows, HintFits(), on: nil)
    }
    let (own, same) = (try state(), try state { $0.y[40] = 0 })
    #expect(own.belief > 0 && own.belief < 1 && own.belief == same.belief)
    #expect(try state { $0.y[3] = $0.y[3] == 0 ? 1 : 0 }.belief != own.belief)
    // Too few rows tell nothing.
    let batch = try Self.batch(context: 6, buffer: 1, targets: 1)
    let few = NetworkRows(x: Array(batch.x[..<(6 * d)]), y: Array(batch.y[..<6]), dimensions: d)
    #expect(network.encode(few, HintFits(), on: nil).belief == 0.5)
    // What is taken in later changes nothing of it.
    let more = NetworkRows(x: Array(few.x[..<d]), y: [few.y[0]], dimensions: d)
    #expect(network.observing(own, more, removing: false).map { $0.belief == own.belief } ?? true)
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

  @Test func aStateIsMadeAnewOfItsRows() throws {
    let network = try Self.network(Self.blueprint())
    let batch = try Self.batch(context: 10, buffer: 1, targets: 1)
    let rows = NetworkRows(
      x: Array(batch.x[..<(10 * Self.width)]), y: Array(batch.y[..<10]), dimensions: Self.width)
    let state = network.encode(rows, HintFits(), on: nil)
    #expect(state.rows == 10 && network.values(of: state).isEmpty)
    #expect(network.context(rows, HintFits(), values: [])?.rows == 10)
    #expect(network.context(rows, HintFits(), values: [[1]]) == nil)
    var narrow = rows
    narrow.dimensions -= 1
    #expect(network.context(narrow, HintFits(), values: []) == nil)
  }

  @Test func wrongBlueprintsAreRefused() {
    for change: (inout Blueprint) -> Void in [
      { $0.inputDimensions = 37 }, { $0.frequencies = 2 }, { $0.parts.coordinates = 0 },
      { $0.head = .levels(around: 4, trusted: 3) }, { $0.head = .categorical(levels: 3) },
      { $0.scaling = .standardise }, { $0.head = .levels(around: ToldClasses.estimators, trusted: 5) },
    ] {
      #expect(throws: ModelError.self) { try Declaration(Self.blueprint(change)) }
    }
    #expect(throws: ModelError.self) {
      try Declaration(smallBlueprint { $0.head = .levels(around: 5, trusted: 0) })
    }
  }
}
