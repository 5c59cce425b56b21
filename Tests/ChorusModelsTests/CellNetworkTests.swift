import ChorusData
import ChorusHints
import ChorusLayers
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels

/// The family of cells: its forms give the same answers, and its gradients are those of its loss. `TabICLTests` holds its inference to
/// a float64 reference.
@Suite struct CellNetworkTests {
  static func blueprint(_ change: (inout Blueprint) -> Void = { _ in }) -> Blueprint {
    smallBlueprint {
      $0.family = .cells
      $0.frequencies = 0
      $0.inputDimensions = 6
      $0.cells.columnHeads = 2
      $0.cells.rowHeads = 1
      $0.cells.summaries = 2
      $0.cells.points = 3
      $0.cells.feedForward = 12
      change(&$0)
    }
  }

  /// Every part that a blueprint may have or lack.
  enum Form: String, CaseIterable {
    case plain, whole, affine, quantiles

    var blueprint: Blueprint {
      CellNetworkTests.blueprint {
        switch self {
        case .plain: break
        case .whole:
          $0.parts.inputBiases = true
          $0.parts.lengthScaling = 5
          $0.cells.group = 3
        case .affine:
          $0.cells.isAffine = true
          $0.cells.seesOutputs = false
          $0.cells.rotary.pairing = .neighbours
        case .quantiles: $0.head = .quantiles(7)
        }
      }
    }
  }

  /// Log densities along a chain of the batch's buffer rows, one call a row.
  private static func chain<H: Head>(
    _ network: CellNetwork<H>, _ batch: TaskBatch, _ state: CellNetwork<H>.Context
  ) -> [Double] {
    let d = batch.dimensions
    let first = batch.context * d
    let asked = network.embed(
      Array(batch.x[first..<first + batch.buffer * d]), dimensions: d, for: state)
    let paths = network.branch(paths: 1, capacity: batch.buffer)
    var found: [Double] = []
    for row in 0..<batch.buffer {
      var call = RowBatch()
      call.begin()
      if row > 0 {
        call.commit(
          input: Int32(row - 1), y: batch.y[batch.context + row - 1], slot: Int32(row - 1),
          reads: .prefix(row))
      }
      call.query(input: Int32(row), reads: .prefix(row))
      network.advance(paths, state, asked, call) {
        found.append($0.law.logDensity(.number(Double(batch.y[batch.context + row]))))
      }
    }
    return found
  }

  private static func batch(context: Int, buffer: Int, targets: Int, columns: Int = 5) throws -> TaskBatch {
    var batch = try TaskBatch(
      tasks: 1, context: context, buffer: buffer, targets: targets, dimensions: columns)
    var stream = RandomStream(seed: 12)
    for index in batch.x.indices { batch.x[index] = Float(stream.normal()) }
    for index in batch.y.indices { batch.y[index] = Float(stream.normal()) }
    return batch
  }

  private static func network<H: Head>(_ blueprint: Blueprint, _ head: H.Type) throws -> CellNetwork<H> {
    let declared = try Declaration(blueprint)
    return try #require(declared.network(randomWeights(declared)) as? CellNetwork<H>)
  }

  private static func check<H: Head>(_ network: CellNetwork<H>, context: Int) throws {
    let (rows, columns) = (9, 5)
    var batch = try batch(context: context, buffer: rows, targets: rows)
    // Each target at the inputs and with the value of a buffer row, which sees the rows before it.
    let first = context * columns
    batch.x.replaceSubrange(
      first + rows * columns..<first + 2 * rows * columns, with: batch.x[first..<first + rows * columns])
    batch.y.replaceSubrange(context + rows..<context + 2 * rows, with: batch.y[context..<context + rows])
    let prefixes = (0..<Int32(rows)).map { $0 }
    let (_, trained) = network.loss(batch, task: 0, prefixes: prefixes, weight: 1, on: Tape(network.weights))
    let observed = NetworkRows(
      x: Array(batch.x[..<first]), y: Array(batch.y[..<context]), dimensions: columns)
    let stepwise = chain(network, batch, network.encode(observed, HintFits()))
    for (a, b) in zip(trained, stepwise) { #expect(abs(Double(a) - b) < 1e-4 * max(1, abs(b))) }
    #expect(trained.count == rows && stepwise.count == rows)
  }

  @Test(arguments: Form.allCases, [0, 1, 40])
  func theChainEqualsTheTrainingPass(_ form: Form, context: Int) throws {
    if form == .quantiles {
      try Self.check(Self.network(form.blueprint, QuantileHead.self), context: context)
    } else {
      try Self.check(Self.network(form.blueprint, MixtureHead.self), context: context)
    }
  }

  /// A density of quantiles has jumps, which differences would run into: `QuantileTests` looks at its slopes.
  @Test(arguments: [Form.plain, .whole, .affine], [0, 4])
  func gradientsAreThoseOfTheLoss(_ form: Form, context: Int) throws {
    var blueprint = form.blueprint
    blueprint.layers = 1
    blueprint.cells.columnBlocks = 1
    let declared = try Declaration(blueprint)
    let weights = randomWeights(declared, training: true)
    let network = try declared.network(weights)
    let batch = try Self.batch(context: context, buffer: 2, targets: 3)
    let prefixes: [Int32] = [0, 1, 2]
    func loss() -> Double {
      weights.pack()
      let tape = Tape(weights)
      let (node, _) = network.loss(batch, task: 0, prefixes: prefixes, weight: 0.25, on: tape)
      return Double(tape.values(node)[0])
    }
    let tape = Tape(weights)
    let gradients = FloatBuffer(count: declared.table.count)
    let (node, _) = network.loss(batch, task: 0, prefixes: prefixes, weight: 0.25, on: tape)
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
      let step: Float = 1e-3
      let numeric = (along(step) - along(-step)) / Double(2 * step)
      let own = (0..<p.count).reduce(0.0) {
        $0 + Double(gradients.pointer[p.offset + $1]) * Double(direction[$1])
      }
      #expect(abs(own - numeric) < 0.03 * max(0.3, abs(numeric)), "\(p.path): \(own) and \(numeric)")
    }
  }

  @Test func aContextIsASetAndKeptAndTheSameOnAnyThreads() throws {
    let network = try Self.network(Form.whole.blueprint, MixtureHead.self)
    let batch = try Self.batch(context: 70, buffer: 5, targets: 1)
    let rows = NetworkRows(x: Array(batch.x[..<350]), y: Array(batch.y[..<70]), dimensions: 5)
    let state = network.encode(rows, HintFits())
    let alone = Self.chain(network, batch, state)
    let threaded = network.encode(rows, HintFits(), on: ThreadPool(threads: 3))
    #expect(network.values(of: threaded) == network.values(of: state))
    #expect(Self.chain(network, batch, threaded) == alone)
    let kept = try #require(network.context(rows, HintFits(), values: network.values(of: state)))
    #expect(Self.chain(network, batch, kept) == alone)
    #expect(network.context(rows, HintFits(), values: []) == nil)
    let turned = network.encode(rows.rows((0..<70).reversed()), HintFits())
    for (a, b) in zip(Self.chain(network, batch, turned), alone) {
      #expect(abs(a - b) < 1e-4 * max(1, abs(b)))
    }
    #expect(network.observing(state, rows, removing: false) == nil)
  }

  @Test func otherRowsChangeNoByteOfAnAnswer() throws {
    let network = try Self.network(Form.whole.blueprint, MixtureHead.self)
    let batch = try Self.batch(context: 40, buffer: 40, targets: 1)
    let rows = NetworkRows(x: Array(batch.x[..<200]), y: Array(batch.y[..<40]), dimensions: 5)
    let state = network.encode(rows, HintFits())
    let before = network.values(of: state)
    /// The law of the first row asked for, with others beside it.
    func law(_ x: [Float], _ state: CellNetwork<MixtureHead>.Context) -> [GaussianMixture] {
      let asked = network.embed(x, dimensions: 5, for: state)
      var call = RowBatch()
      call.begin()
      for input in 0..<x.count / 5 { call.query(input: Int32(input), reads: .none) }
      var found: [GaussianMixture] = []
      network.advance(network.branch(paths: 1, capacity: 0), state, asked, call) { found.append($0.law) }
      return found
    }
    let own = Array(batch.x[200..<205])
    let alone = law(own, state)
    #expect(law(own + batch.x[205..<400], state)[0] == alone[0])
    #expect(law(own + batch.x[205..<400].map { 3 - $0 }, state)[0] == alone[0])
    #expect(network.values(of: state) == before)
    // The same in training: what targets and buffer are changes no log-density of a target that does not see them.
    func trained(_ change: (inout TaskBatch) -> Void) throws -> Float {
      var batch = try Self.batch(context: 12, buffer: 6, targets: 3)
      change(&batch)
      return network.loss(batch, task: 0, prefixes: [0, 3, 6], weight: 1, on: Tape(network.weights))
        .logDensities[0]
    }
    let plain = try trained { _ in }
    let changed = try trained { batch in
      for row in 12..<21 where row != 18 {
        batch.y[row] += 1
        for column in 0..<5 { batch.x[row * 5 + column] -= 2 }
      }
    }
    #expect(plain == changed)
    // A context of a path's own has columns of its own.
    let more = network.encode(
      rows.appending(NetworkRows(x: own, y: [2], dimensions: 5)), HintFits())
    let asked = network.embed(Array(batch.x[205..<215]), dimensions: 5, for: state)
    var call = RowBatch()
    call.begin()
    call.query(input: 1, reads: .none)
    var found: [GaussianMixture] = []
    network.advance(network.branch(paths: 1, capacity: 0), more, asked, call) { found.append($0.law) }
    #expect(found == law(Array(batch.x[210..<215]), more))
    #expect(found != law(Array(batch.x[210..<215]), state))
  }

  @Test func wrongBlueprintsAreRefused() throws {
    for change: (inout Blueprint) -> Void in [
      { $0.norm = .post }, { $0.frequencies = 2 }, { $0.bufferPositions = .learned(4) },
      { $0.cells.summaries = 3 },
      { $0.cells.columnHeads = 4 }, { $0.cells.points = 0 }, { $0.cells.rotary.base = 0 },
      {
        $0.cells.isAffine = true
        $0.cells.group = 2
      }, { $0.hints = Hints(rows: [LocalSplines(neighbours: 3)]) },
      { $0.parts.lengthScaling = -1 }, { $0.parts.coordinates = 2 }, { $0.encoder = .causal },
    ] {
      #expect(throws: ModelError.self) { try Declaration(Self.blueprint(change)) }
    }
    #expect(throws: ModelError.self) { try Declaration(smallBlueprint { $0.cells.points = 5 }) }
    #expect(throws: ModelError.self) { try Declaration(smallBlueprint { $0.parts.lengthScaling = 5 }) }
    let own = Form.whole.blueprint
    #expect(try JSONDecoder().decode(Blueprint.self, from: JSONEncoder().encode(own)) == own)
    let unknown = #"{"version": 2, "family": "cells", "cells": {"pionts": 3}}"#
    let error = #expect(throws: UnknownField.self) {
      try JSONDecoder().decode(Blueprint.self, from: Data(unknown.utf8))
    }
    #expect("\(error.map { "\($0)" } ?? "")".contains("pionts"))
  }
}
