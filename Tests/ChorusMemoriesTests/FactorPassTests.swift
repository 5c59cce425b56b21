import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// The training form in Float of memories that are factors, with more rows than one tile of queries, against the definition.
@Suite struct FactorPassTests {
  private static let names = [
    "linear-elu", "linear-mean", "linear-weighted", "linear-taylor", "linear-hedgehog", "ttt-linear", "ridge",
    "hybrid", "delta",
    "ridge with learned weights", "linear with a ridge buffer",
  ]
  private static let counts = (context: 11, own: 70)
  private static let limits = [0, 0, 70, 3, 0, 64, 65]

  /// A training pass over rows of normal numbers, and the sum of what is read along a random direction.
  private struct Pass {
    let sizes: AttentionSizes
    let compiled: CompiledMemory
    let blocks: [VisibleBlock]
    private(set) var table = ParameterTable()
    let asked: Parameter
    let stored: Parameter
    let handles: [Parameter]
    let probe: Parameter
    let weights: Weights

    init(_ name: String, width: Int) throws {
      sizes = AttentionSizes(heads: 2, width: width)
      let layer = try Subjects.layer(name)
      compiled = try CompiledMemory(layer, sizes, set: false)
      let (shape, counts, limits) = (compiled.shape, FactorPassTests.counts, FactorPassTests.limits)
      let rows = counts.context + counts.own
      asked = table.declare("queries", rows + limits.count, sizes.columns)
      stored = table.declare("stored", rows, shape.stored)
      var declared: [Parameter] = []
      for parameter in shape.parameters { declared.append(table.declare(parameter.name, 1, parameter.count)) }
      handles = declared
      probe = table.declare("probe.weight", shape.read, 1)
      weights = Weights(table, training: true)
      for (index, p) in table.all.enumerated() {
        var stream = RandomStream(seed: 41, UInt64(index))
        let known = handles.firstIndex(of: p).map { shape.parameters[$0] }
        for i in 0..<p.count {
          let spread = known.map { $0.spread + 0.3 } ?? 1
          weights[p][i] = Float((known?.initial ?? 0) + spread * stream.normal())
        }
      }
      weights.pack()
      blocks = try Bench(layer, sizes: sizes).blocks(context: counts.context, own: counts.own, limits: limits)
    }

    /// The sum, and its derivative by every number of the table.
    func learn() -> (sum: Double, gradients: FloatBuffer) {
      let (tape, gradients) = (Tape(weights), FloatBuffer(count: table.count))
      func input(_ p: Parameter) -> Node {
        tape.gather([.parameter(p, (0..<p.rows).map { Int32($0) })], rows: p.rows, columns: p.columns)
      }
      let read = compiled.memory(weights, handles).train(
        queries: input(asked), stored: input(stored), blocks: blocks, on: tape)
      let summed = tape.linear(read, probe)
      let loss = tape.gather((0..<read.rows).map { .node(summed, [Int32($0)]) }, rows: 1, columns: 1)
      tape.backward(from: loss, into: gradients)
      return (Double(tape.values(loss)[0]), gradients)
    }
  }

  /// The derivative along a random direction, of queries, of rows and of what is learned, beside finite differences in Double.
  @Test(arguments: names, [5, 16])
  func derivativesAlongDirections(name: String, width: Int) throws {
    let pass = try Pass(name, width: width)
    let (sum, gradients) = pass.learn()
    let (compiled, table, weights, handles) = (pass.compiled, pass.table, pass.weights, pass.handles)
    let (counts, limits, stored) = (Self.counts, Self.limits, compiled.shape.stored)
    let rows = counts.context + counts.own

    var values = table.all.map { p in (0..<p.count).map { Double(weights[p][$0]) } }
    let places = handles.compactMap { handle in table.all.firstIndex(of: handle) }
    let (columns, ends) = (pass.sizes.columns, values.count - 1)
    func total() -> Double {
      let all = (0..<rows).map { Array(values[1][$0 * stored..<($0 + 1) * stored]) }
      return (0..<rows + limits.count).reduce(0) { sum, row in
        let own = row < counts.context ? 0 : row < rows ? row - counts.context + 1 : limits[row - rows]
        let out = compiled.reference(
          Array(values[0][row * columns..<(row + 1) * columns]), context: Array(all[..<counts.context]),
          own: Array(all[counts.context..<counts.context + own]), numbers: places.map { values[$0] })
        return sum + zip(out, values[ends]).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    let wanted = total()
    #expect(abs(sum - wanted) < 2e-5 * max(1, abs(wanted)))
    for (place, p) in table.all.enumerated() where p != pass.probe {
      var stream = RandomStream(seed: 42, UInt64(place))
      let (saved, direction) = (values[place], (0..<p.count).map { _ in stream.normal() })
      func moved(_ step: Double) -> Double {
        values[place] = zip(saved, direction).map { $0 + step * $1 }
        return total()
      }
      let step = 1e-5 / Double(p.count).squareRoot()
      let expected = (moved(step) - moved(-step)) / (2 * step)
      values[place] = saved
      let got = (0..<p.count).map { Double(gradients.pointer[p.offset + $0]) }
      let along = zip(got, direction).reduce(0) { $0 + $1.0 * $1.1 }
      let size = got.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(along - expected) < 5e-5 * max(size, 0.1), "\(name): \(p.path)")
    }
  }

  /// A weight that is too small to be told from 0 keeps every derivative a number, and its row out of what is read.
  @Test(arguments: ["linear-weighted", "ridge with learned weights"])
  func weightsOfZero(name: String) throws {
    let pass = try Pass(name, width: 5)
    let (stored, layout, row) = (pass.stored, pass.compiled.shape.layout, 3)
    for head in 0..<2 {
      pass.weights[stored][row * stored.columns + layout.gate(0, head).lowerBound] = -200
    }
    let (sum, gradients) = pass.learn()
    for i in 0..<gradients.count { #expect(gradients.pointer[i].isFinite) }
    let keys = gradients.pointer + stored.offset + row * stored.columns
    for column in 0..<stored.columns { #expect(keys[column] == 0, "column \(column)") }
    for column in layout.value(0) { pass.weights[stored][row * stored.columns + column] = 1e3 }
    #expect(pass.learn().sum == sum)
  }

  /// φ's derivative in Float is the recorded one, for several rows and added to what is there.
  @Test(arguments: FeatureMaps.all.map(\.name), [1, 4, 7])
  func featuresHaveTheRecordedDerivative(name: String, width: Int) throws {
    let map = try FeatureMaps.named(name)
    let (rows, count) = (3, map.count(width))
    var stream = RandomStream(seed: 43)
    let x = (0..<rows * width).map { _ in Float(stream.normal()) }
    let dy = (0..<rows * count).map { _ in Float(stream.normal()) }
    let tape = MatrixTape()
    let input = tape.input(rows, width) { for (i, value) in x.enumerated() { $0[i] = Double(value) } }
    let out = map.record(input, on: tape)
    tape.seed(out) { for (i, value) in dy.enumerated() { $0[i] += Double(value) } }
    tape.backward()
    var (y, dx) = ([Float](repeating: .nan, count: rows * count), [Float](repeating: 2, count: rows * width))
    map.apply(rows: rows, x, width: width, into: &y)
    map.addGradient(rows: rows, dy, of: x, y, width: width, to: &dx)
    for i in x.indices {
      let wanted = 2 + (tape.gradient(input).map { $0[i] } ?? 0)
      #expect(abs(Double(dx[i]) - wanted) < 2e-5 * max(1, abs(wanted)))
      #expect(y.allSatisfy { $0.isFinite })
    }
  }
}
