import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Gradients of the training form against finite differences of the definition: in queries, in the rows of context and
/// buffer (the state), and in what the memory learns.
@Suite struct GradientTests {
  private static let sizes = AttentionSizes(heads: 2, width: 4)

  @Test(arguments: Subjects.all, [(0, 4), (6, 3)])
  func gradientsInQueriesRowsAndNumbers(name: String, counts: (context: Int, own: Int)) throws {
    let layer = try Subjects.layer(name)
    let compiled = try CompiledMemory(layer, Self.sizes, set: false)
    let (shape, limits) = (compiled.shape, [0, counts.own, 1])
    var table = ParameterTable()
    let rows = counts.context + counts.own
    let asked = table.declare("queries", rows + limits.count, Self.sizes.columns)
    let stored = table.declare("stored", rows, shape.stored)
    let handles = shape.parameters.map { table.declare($0.name, 1, $0.count) }
    let probe = table.declare("probe.weight", shape.read, 1)
    let weights = Weights(table, training: true)
    for (index, p) in table.all.enumerated() {
      var stream = RandomStream(seed: 31, UInt64(index))
      let known = handles.firstIndex(of: p).map { shape.parameters[$0] }
      for i in 0..<p.count {
        weights[p][i] = Float((known?.initial ?? 0) + (known.map { $0.spread + 0.3 } ?? 1) * stream.normal())
      }
    }
    weights.pack()
    let bench = try Bench(layer, sizes: Self.sizes)
    let blocks = bench.blocks(context: counts.context, own: counts.own, limits: limits)
    func share(_ row: Int) -> Double { Double(1 + row % 3) }

    let tape = Tape(weights)
    func input(_ p: Parameter) -> Node {
      tape.gather([.parameter(p, (0..<p.rows).map { Int32($0) })], rows: p.rows, columns: p.columns)
    }
    let read = compiled.memory(weights, handles).train(
      queries: input(asked), stored: input(stored), blocks: blocks, on: tape)
    let summed = tape.linear(read, probe)
    let loss = tape.gather(
      (0..<read.rows).flatMap { row in
        (0..<Int(share(row))).map { _ in GatherTerm.node(summed, [Int32(row)]) }
      }, rows: 1, columns: 1)
    let gradients = FloatBuffer(count: table.count)
    tape.backward(from: loss, into: gradients)

    // The same number by definition, of values that may be moved.
    var values = table.all.map { p in (0..<p.count).map { Double(weights[p][$0]) } }
    let index = Dictionary(uniqueKeysWithValues: table.all.enumerated().map { ($1.path, $0) })
    let places = handles.map { index[$0.path] ?? 0 }
    let (columns, width, ends) = (Self.sizes.columns, shape.stored, values.count - 1)
    func reads(_ row: Int) -> Double {
      let own = row < counts.context ? 0 : row < rows ? row - counts.context + 1 : limits[row - rows]
      func stored(_ row: Int) -> [Double] { Array(values[1][row * width..<(row + 1) * width]) }
      let out = bench.compiled.reference(
        Array(values[0][row * columns..<(row + 1) * columns]), context: (0..<counts.context).map(stored),
        own: (0..<own).map { stored(counts.context + $0) }, numbers: places.map { values[$0] })
      return share(row) * zip(out, values[ends]).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let all = 0..<rows + limits.count
    let wanted = all.reduce(0.0) { $0 + reads($1) }
    #expect(abs(Double(tape.values(loss)[0]) - wanted) < 1e-4 * max(1, abs(wanted)))

    let step = 1e-5
    for (place, p) in table.all.enumerated() where p != probe {
      let expected = (0..<p.count).map { i -> Double in
        let value = values[place][i]
        // A query matters to its own read alone.
        let readers = p == asked ? i / columns..<i / columns + 1 : all
        values[place][i] = value + step
        let above = readers.reduce(0.0) { $0 + reads($1) }
        values[place][i] = value - step
        let below = readers.reduce(0.0) { $0 + reads($1) }
        values[place][i] = value
        return (above - below) / (2 * step)
      }
      let got = (0..<p.count).map { gradients.pointer[p.offset + $0] }
      let size = expected.reduce(0.1) { max($0, abs($1)) }
      let worst = zip(got, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1) / size) }
      #expect(worst < 5e-5, "\(name): \(p.path)")
      #expect(got.allSatisfy { $0.isFinite })
    }
  }

  // MARK: Feature maps

  private static let maps = FeatureMaps.all.map(\.name)

  /// The float form is the recorded one, and its derivative that of its values.
  @Test(arguments: maps, [1, 4, 7])
  func featureMapsAreTheSameInBothForms(name: String, width: Int) throws {
    let map = try FeatureMaps.named(name)
    var stream = RandomStream(seed: 32)
    let x = (0..<3 * width).map { _ in Double(Float(stream.normal())) }
    let tape = MatrixTape()
    func record(_ x: [Double]) -> (input: MatrixTape.Matrix, out: MatrixTape.Matrix) {
      tape.reset()
      let input = tape.input(3, width) { for (i, value) in x.enumerated() { $0[i] = value } }
      return (input, map.record(input, on: tape))
    }
    let count = map.count(width)
    func loss(_ x: [Double]) -> Double {
      let out = record(x).out
      return (0..<3 * count).reduce(0) { $0 + Double(1 + $1 % 5) * tape.values(out)[$1] }
    }
    let (input, out) = record(x)
    #expect(out.rows == 3 && out.columns == count)
    for row in 0..<3 {
      var single = [Float](repeating: .nan, count: count)
      map.apply(x[row * width..<(row + 1) * width].map { Float($0) }, width: width, into: &single)
      for (i, value) in single.enumerated() {
        let wanted = tape.values(out)[row * count + i]
        #expect(abs(Double(value) - wanted) < 1e-6 * max(1, abs(wanted)))
        let formula = map.reference(Array(x[row * width..<(row + 1) * width]))[i]
        #expect(abs(formula - wanted) < 1e-12 * max(1, abs(wanted)))
        #expect(!map.nonNegative || name == "taylor" || value >= 0)
      }
    }
    guard input != out else { return }  // the identity records nothing
    tape.seed(out) { for i in 0..<3 * count { $0[i] += Double(1 + i % 5) } }
    tape.backward()
    let gradient = (0..<x.count).map { i in tape.gradient(input).map { $0[i] } ?? 0 }
    for i in x.indices {
      var moved = x
      moved[i] = x[i] + 1e-5
      let above = loss(moved)
      moved[i] = x[i] - 1e-5
      #expect(abs(gradient[i] - (above - loss(moved)) / 2e-5) < 1e-7 * max(1, abs(gradient[i])))
    }
  }

  /// φ(q)·φ(k) = 1 + s + s²/2 with s = q·k/√width.
  @Test func taylorFeaturesAreTheExpansion() {
    let map = TaylorFeatures()
    let (q, k) = ([0.3, -1.2, 0.7, 2.0], [1.1, 0.4, -0.6, 0.9])
    let s = zip(q, k).reduce(0) { $0 + $1.0 * $1.1 } / 2
    let product = zip(map.reference(q), map.reference(k)).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs(product - (1 + s + s * s / 2)) < 1e-12)
  }
}
