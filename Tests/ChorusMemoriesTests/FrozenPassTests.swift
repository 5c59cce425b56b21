import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// The training form in Float of memories of frozen gradients against the definition: reads, and derivatives along random
/// directions beside finite differences in Double.
@Suite struct FrozenPassTests {
  struct Case: CustomTestStringConvertible {
    let spec: MemorySpec
    var testDescription: String {
      "\(spec.function) \(spec.loss.text) \(spec.optimiser) \(spec.retention.text) \(spec.weights)"
    }
  }

  /// Every loss, function and retention, with and without momentum and gates that keep.
  private static var cases: [Case] {
    func gated(
      _ function: MemorySpec.FunctionClass, _ loss: MemorySpec.Loss = .squared,
      _ retention: MemorySpec.Retention = .quadratic, momentum: Bool = false, chunk: Int = 4
    ) -> Case {
      Case(
        spec: MemorySpec(
          weights: .scalarGate, features: "unit", function: function, loss: loss,
          optimiser: momentum ? .frozenMomentum(chunk: chunk) : .frozen(chunk: chunk), retention: retention))
    }
    func paced(_ function: MemorySpec.FunctionClass, chunk: Int) -> Case {
      Case(spec: MemorySpec(weights: .learned, function: function, optimiser: .frozen(chunk: chunk)))
    }
    var out: [Case] = []
    for loss in [MemorySpec.Loss.dot, .squared, .power(1.5), .power(3), .huber] {
      for function in [MemorySpec.FunctionClass.linear, .normalisedLinear, .perceptron] {
        out += [gated(function, loss), gated(function, loss, momentum: true)]
      }
    }
    for retention in [
      MemorySpec.Retention.norm(3), .norm(4), .printedNorm(4), .simplex, .signedSimplex,
    ] {
      out += [
        gated(.perceptron, .squared, retention), gated(.normalisedLinear, .huber, retention, momentum: true),
      ]
    }
    out += [paced(.normalisedLinear, chunk: 4), paced(.perceptron, chunk: 4)]
    // Chunks of one row, of which the pass keeps every eighth, and one that is longer than all rows.
    out.append(gated(.perceptron, .huber, .signedSimplex, momentum: true, chunk: 1))
    out += [gated(.perceptron, momentum: true, chunk: 1), paced(.normalisedLinear, chunk: 1)]
    out += [gated(.normalisedLinear, momentum: true, chunk: 64), paced(.perceptron, chunk: 64)]
    return out
  }

  /// The set ends within a chunk, the rows behind it too, and queries see prefixes that end anywhere, in any order.
  @Test(arguments: cases)
  func agreesWithTheDefinition(one: Case) throws {
    try check(one, width: 4, context: 6, own: 7, limits: [0, 7, 2, 3, 3, 6, 1, 7])
  }

  /// Fewer rows than a chunk, none of a set, none at all.
  @Test(arguments: cases, [(2, 1), (0, 3), (0, 0), (8, 0)])
  func agreesWithTheDefinitionOfFewRows(one: Case, counts: (context: Int, own: Int)) throws {
    try check(one, width: 5, context: counts.context, own: counts.own, limits: [0, counts.own])
  }

  private func check(_ one: Case, width: Int, context: Int, own: Int, limits: [Int]) throws {
    let (sizes, layer) = (AttentionSizes(heads: 2, width: width), LayerMemory(one.spec))
    let compiled = try CompiledMemory(layer, sizes, set: false)
    let (shape, rows) = (compiled.shape, context + own)
    var table = ParameterTable()
    let asked = table.declare("queries", rows + limits.count, sizes.columns)
    let stored = table.declare("stored", max(rows, 1), shape.stored)
    let handles = shape.parameters.map { table.declare($0.name, 1, $0.count) }
    let probe = table.declare("probe.weight", shape.read, 1)
    let weights = Weights(table, training: true)
    for (index, p) in table.all.enumerated() {
      var stream = RandomStream(seed: 51, UInt64(index))
      let known = handles.firstIndex(of: p).map { shape.parameters[$0] }
      for i in 0..<p.count {
        weights[p][i] = Float((known?.initial ?? 0) + (known.map { $0.spread + 0.3 } ?? 1) * stream.normal())
      }
    }
    weights.pack()
    let blocks = try Bench(layer, sizes: sizes).blocks(context: context, own: own, limits: limits)
    let (tape, gradients) = (Tape(weights), FloatBuffer(count: table.count))
    func input(_ p: Parameter) -> Node {
      tape.gather([.parameter(p, (0..<p.rows).map { Int32($0) })], rows: p.rows, columns: p.columns)
    }
    let read = compiled.memory(weights, handles).train(
      queries: input(asked), stored: input(stored), blocks: blocks, on: tape)
    let summed = tape.linear(read, probe)
    let loss = tape.gather((0..<read.rows).map { .node(summed, [Int32($0)]) }, rows: 1, columns: 1)
    tape.backward(from: loss, into: gradients)

    var values = table.all.map { p in (0..<p.count).map { Double(weights[p][$0]) } }
    let places = handles.compactMap { handle in table.all.firstIndex(of: handle) }
    let (columns, ends) = (sizes.columns, values.count - 1)
    func reads(_ row: Int) -> [Double] {
      let all = (0..<rows).map { Array(values[1][$0 * shape.stored..<($0 + 1) * shape.stored]) }
      let seen = row < context ? 0 : row < rows ? row - context + 1 : limits[row - rows]
      return compiled.reference(
        Array(values[0][row * columns..<(row + 1) * columns]), context: Array(all[..<context]),
        own: Array(all[context..<context + seen]), numbers: places.map { values[$0] })
    }
    for row in 0..<read.rows {
      let got = (0..<shape.read).map { tape.values(read)[row * shape.read + $0] }
      #expect(deviation(got, reads(row)) < 5e-5, "row \(row)")
    }
    func total() -> Double {
      (0..<read.rows).reduce(0) { sum, row in
        sum + zip(reads(row), values[ends]).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    for (place, p) in table.all.enumerated() where p != probe {
      var stream = RandomStream(seed: 52, UInt64(place))
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
      #expect(abs(along - expected) < 5e-5 * max(size, 1), "\(p.path): \(along) \(expected) \(size)")
    }
  }
}
