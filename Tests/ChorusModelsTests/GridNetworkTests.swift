import ChorusData
import ChorusHints
import ChorusLayers
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// The convolutional network on a grid: both forms against float64 in plain loops, and what a set network owes.
@Suite struct GridNetworkTests {
  typealias Grid = GridNetwork<MixtureHead>

  private static let blueprint = smallBlueprint {
    $0.family = .grid
    $0.inputDimensions = 1
    $0.frequencies = 0
    $0.layers = 3
    $0.gridDensity = 5
  }

  private static func network() throws -> (Grid, Declaration) {
    let declared = try Declaration(blueprint)
    let weights = randomWeights(declared, training: true)
    return (try #require(declared.network(weights) as? Grid), declared)
  }

  /// The network as its papers write it, a point and a target at a time, in Double.
  private struct Reference {
    var values: [Double]
    let table: [String: Parameter]
    let blueprint = GridNetworkTests.blueprint

    init(_ network: Grid) {
      values = network.weights.values.array.map(Double.init)
      table = Dictionary(uniqueKeysWithValues: network.weights.table.all.map { ($0.path, $0) })
    }

    func linear(_ path: String, _ x: [Double]) -> [Double] {
      guard let w = table[path + ".weight"], let b = table[path + ".bias"] else { return [] }
      return (0..<w.columns).map { n in
        x.indices.reduce(values[b.offset + n]) { $0 + x[$1] * values[w.offset + $1 * w.columns + n] }
      }
    }
    func feed(_ path: String, _ x: [Double]) -> [Double] {
      linear(path + ".down", linear(path + ".up", x).map { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) })
    }
    func norm(_ path: String, _ x: [Double]) -> [Double] {
      guard let gain = table[path + ".gain"], let bias = table[path + ".bias"] else { return [] }
      let mean = x.reduce(0, +) / Double(x.count)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
      return x.indices.map {
        (x[$0] - mean) / (variance + 1e-5).squareRoot() * values[gain.offset + $0] + values[bias.offset + $0]
      }
    }

    func raw(x: [Double], y: [Double], at target: Double) -> [Double] {
      let spacing = 1 / Double(blueprint.gridDensity)
      let low = ((x.min() ?? 0) - 1) / spacing
      let high = ((x.max() ?? 0) + 1) / spacing
      let points = (Int(low.rounded(.down))...Int(high.rounded(.up))).map { Double($0) * spacing }
      func weight(_ a: Double, _ b: Double) -> Double {
        abs(a - b) <= 4 * spacing * (1 + 1e-12) ? exp(-pow((a - b) / spacing, 2) / 2) : 0
      }
      var h = points.map { t -> [Double] in
        let w = x.map { weight($0, t) }
        let sum = w.reduce(0, +)
        let told: [Double] =
          sum > 0
          ? [
            log(1 + sum), zip(w, y).reduce(0) { $0 + $1.0 * $1.1 } / sum,
            zip(w, x).reduce(0) { $0 + $1.0 * ($1.1 - t) / spacing } / sum,
          ] : [0, 0, 0]
        return feed("embed", told)
      }
      for layer in 0..<blueprint.layers {
        let normed = h.map { norm("block.\(layer).norm", $0) }
        h = h.indices.map { point in
          let window = [-2, -1, 0, 1, 2].flatMap { tap -> [Double] in
            let other = point + tap * (1 << layer)
            return h.indices.contains(other) ? normed[other] : [Double](repeating: 0, count: blueprint.width)
          }
          return zip(h[point], feed("block.\(layer)", window)).map(+)
        }
      }
      h = h.map { norm("final.norm", $0) }
      let place = min(max(target, points[0]), points[points.count - 1])
      let w = points.map { weight($0, place) }
      let sum = w.reduce(0, +)
      let read = (0..<blueprint.width).map { i in zip(w, h).reduce(0) { $0 + $1.0 * $1.1[i] } / sum }
      return feed("head", read)
    }
  }

  private static func reference(
    _ reference: Reference, _ batch: TaskBatch, task: Int = 0, prefixes: [Int32]
  ) -> [[Double]] {
    let first = task * batch.rows
    return batch.targetRows.enumerated().map { target, row in
      let seen = first..<first + batch.context + Int(prefixes[target])
      return reference.raw(
        x: batch.x[seen].map(Double.init), y: batch.y[seen].map(Double.init), at: Double(batch.x[first + row])
      )
    }
  }

  @Test(arguments: [[5, 3, 4], [0, 2, 3], [7, 0, 3], [1, 4, 6]])
  func bothPassesEqualTheReference(_ shape: [Int]) throws {
    let (network, _) = try Self.network()
    let batch = try randomBatch(context: shape[0], buffer: shape[1], targets: shape[2], dimensions: 1)
    let prefixes = (0..<batch.targets).map { Int32($0 % (batch.buffer + 1)) }
    let expected = Self.reference(Reference(network), batch, prefixes: prefixes)
      .flatMap { $0.map { Float($0) } }
    let scale = expected.reduce(1) { max($0, Double(abs($1))) }
    let tape = Tape(network.weights)
    let node = network.record(batch, task: 0, prefixes: prefixes, on: tape)
    let recorded = Array(UnsafeBufferPointer(start: tape.values(node), count: node.rows * node.columns))
    #expect(distance(recorded, expected) < 1e-5 * scale)

    let context = network.encode(batch.observed, HintFits())
    let questions = network.embed(Array(batch.x[batch.context...]), dimensions: 1, for: context)
    let paths = network.branch(paths: 1, capacity: batch.buffer)
    var rows = RowBatch()
    rows.begin()
    for slot in 0..<batch.buffer {
      rows.commit(
        input: Int32(slot), y: batch.y[batch.context + slot], slot: Int32(slot), reads: .prefix(slot + 1))
    }
    for (target, prefix) in prefixes.enumerated() {
      rows.query(input: Int32(batch.buffer + target), reads: .prefix(Int(prefix)))
    }
    let y: Float = 0.3
    var logs: [Float] = []
    network.advance(paths, context, questions, rows) { logs.append(Float($0.law.logDensity(Double(y)))) }
    let (_, trained) = network.layers.head.loss(
      node,
      Targets(
        values: [Float](repeating: y, count: batch.targets),
        weights: [Float](repeating: 1, count: batch.targets)), on: tape)
    #expect(distance(logs, trained) < 1e-4)
  }

  @Test func lossAndGradient() throws {
    let (network, declared) = try Self.network()
    let batch = try randomBatch(tasks: 2, context: 4, buffer: 2, targets: 3, dimensions: 1)
    let prefixes: [Int32] = [0, 2, 1]
    let tape = Tape(network.weights)
    let gradients = FloatBuffer(count: declared.table.count)
    let (loss, _) = network.loss(batch, task: 1, prefixes: prefixes, weight: 0.5, on: tape)
    tape.backward(from: loss, into: gradients)
    var reference = Reference(network)
    let head = network.layers.head
    func value() -> Double {
      let raw = Self.reference(reference, batch, task: 1, prefixes: prefixes)
      return zip(raw, batch.targetRows).reduce(0) { sum, pair in
        let (count, y) = (head.components, Double(batch.y[batch.rows + pair.1]))
        let all = log((0..<count).reduce(0) { $0 + exp(pair.0[$1]) })
        let density = (0..<count).reduce(0.0) { sum, c in
          let deviation = log(1 + exp(pair.0[2 * count + c])) + Double(head.floor)
          let z = (y - pair.0[count + c]) / deviation
          return sum + exp(pair.0[c] - all - z * z / 2) / (deviation * (2 * Double.pi).squareRoot())
        }
        return sum - 0.5 * log(density)
      }
    }
    #expect(abs(Double(tape.values(loss)[0]) - value()) < 1e-4)
    for (index, p) in declared.table.all.enumerated() {
      var stream = RandomStream(seed: 2, 8, UInt64(index))
      let direction = stream.normals(p.count)
      let along = (0..<p.count).reduce(0) { $0 + Double(gradients.pointer[p.offset + $1]) * direction[$1] }
      func moved(_ step: Double) -> Double {
        for i in 0..<p.count { reference.values[p.offset + i] += step * direction[i] }
        defer { for i in 0..<p.count { reference.values[p.offset + i] -= step * direction[i] } }
        return value()
      }
      let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5
      #expect(abs(along - numeric) < 1e-3 * max(1, abs(numeric)), "\(p.path)")
    }
  }

  /// Shifted by whole points of the grid, the answers are the same; a state is made of its rows again.
  @Test func answersMoveWithTheRows() throws {
    let (network, _) = try Self.network()
    let batch = try randomBatch(context: 6, buffer: 0, targets: 4, dimensions: 1)
    func logs(shift: Float, kept: Bool = false) -> [Float] {
      var rows = batch.observed
      rows.x = rows.x.map { $0 + shift }
      let context = kept ? network.context(rows, HintFits(), values: []) : network.encode(rows, HintFits())
      guard let context else { return [] }
      let questions = network.embed(batch.x[6...].map { $0 + shift }, dimensions: 1, for: context)
      var asked = RowBatch()
      asked.begin()
      for target in 0..<4 { asked.query(input: Int32(target), reads: .none) }
      var logs: [Float] = []
      network.advance(network.branch(paths: 1, capacity: 0), context, questions, asked) {
        logs.append(Float($0.law.logDensity(0.1)))
      }
      return logs
    }
    #expect(distance(logs(shift: 0), logs(shift: 4)) < 1e-4)
    #expect(distance(logs(shift: 0), logs(shift: 0.1)) > 1e-4)
    #expect(same(logs(shift: 0), logs(shift: 0, kept: true)))
  }

  /// Inputs that no grid reaches are refused nowhere and trap nowhere.
  @Test(arguments: [[0, 1e30], [-3e38, 3e38], [1e12], [.infinity, 0], [.nan], []] as [[Float]])
  func anyInputHasAGrid(_ x: [Float]) {
    let grid = LineGrid(x, density: 32)
    #expect((1...LineGrid.most).contains(grid.count))
    for value in x + [0, 5] {
      #expect(abs(grid.reads(value).reduce(0) { $0 + $1.weight } - 1) < 1e-9)
    }
    #expect(grid.spread(x: x, y: x.map { _ in 1 }).allSatisfy { $0.isFinite })
  }

  @Test func otherPartsAreRefused() throws {
    for change: (inout Blueprint) -> Void in [
      { $0.inputDimensions = 2 }, { $0.frequencies = 2 }, { $0.norm = .post }, { $0.gridDensity = 0 },
      { $0.bufferPositions = .rotary }, { $0.encoder = .causal },
    ] {
      var blueprint = Self.blueprint
      change(&blueprint)
      #expect(throws: ModelError.self) { try Declaration(blueprint) }
    }
    #expect(throws: ModelError.self) { try Declaration(smallBlueprint { $0.gridDensity = 7 }) }
  }
}
