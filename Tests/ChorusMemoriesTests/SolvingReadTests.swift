import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Reads that solve with the state in the fused pass (`RecurrentPass.Solve`), and their derivatives, beside the definition in Double.
@Suite struct SolvingReadTests {
  /// Rows and queries that are not anything.
  enum Kind: String, CaseIterable {
    /// As they are drawn.
    case drawn
    /// All keys of a head are one, so that two steps solve exactly whatever the number of rows.
    case oneKey
    /// Some queries are zero in all heads, and some in one.
    case zeroQueries
    /// Every fifth row forgets what was before it, which ends a chunk.
    case forgetting
    /// Keys nearly all alike that nothing is forgotten of: H has one large eigenvalue, and what is left falls below what Float holds
    /// before the steps are over. They are compared with the exact solution. In Double a rounding of H that is not symmetric
    /// grows by steps that have nothing left to find, and finite differences with it.
    case alike
  }

  /// A pass with its loss, and the same loss by definition of moved numbers.
  private struct Pass {
    let sizes: AttentionSizes
    let compiled: CompiledMemory
    let definition: CompiledMemory
    let counts: (context: Int, own: Int)
    let limits: [Int]
    let kind: Kind
    let table: ParameterTable
    let weights: Weights
    let handles: [Parameter]
    let (asked, stored, probe): (Parameter, Parameter, Parameter)
    let loss: Double
    let gradients: FloatBuffer

    var rows: Int { counts.context + counts.own }

    init(_ kind: Kind, width: Int, steps: Int, counts: (Int, Int), limits: [Int]) throws {
      (sizes, self.counts, self.limits, self.kind) = (
        AttentionSizes(heads: 2, width: width), counts, limits, kind
      )
      let layer = LayerMemory(
        MemorySpec(
          weights: .scalarGate, features: "unit", function: .linear,
          optimiser: .conjugateGradient(steps: steps)))
      compiled = try CompiledMemory(layer, sizes, set: false)
      let exact = LayerMemory(MemorySpec(weights: .scalarGate, features: "unit", function: .linear))
      definition = kind == .alike ? try CompiledMemory(exact, sizes, set: false) : compiled
      let shape = compiled.shape
      var table = ParameterTable()
      let rows = counts.0 + counts.1
      let asked = table.declare("queries", rows + limits.count, sizes.columns)
      let stored = table.declare("stored", rows, shape.stored)
      handles = shape.parameters.map { table.declare($0.name, 1, $0.count) }
      let probe = table.declare("probe.weight", shape.read, 1)
      (self.asked, self.stored, self.probe, self.table) = (asked, stored, probe, table)
      weights = Weights(table, training: true)
      for (index, p) in table.all.enumerated() {
        var stream = RandomStream(seed: 51, UInt64(index))
        let known = handles.firstIndex(of: p).map { shape.parameters[$0].initial }
        for i in 0..<p.count {
          weights[p][i] = Float((known ?? 0) + (known == nil ? 1 : 0.3) * stream.normal())
        }
      }
      Self.change(kind, weights, asked, stored, sizes, shape)
      weights.pack()
      let tape = Tape(weights)
      func input(_ p: Parameter) -> Node {
        tape.gather([.parameter(p, (0..<p.rows).map { Int32($0) })], rows: p.rows, columns: p.columns)
      }
      let blocks = try Bench(layer, sizes: sizes).blocks(
        context: counts.0, own: counts.1, limits: limits)
      let read = compiled.memory(weights, handles).train(
        queries: input(asked), stored: input(stored), blocks: blocks, on: tape)
      let summed = tape.linear(read, probe)
      let loss = tape.gather((0..<read.rows).map { .node(summed, [Int32($0)]) }, rows: 1, columns: 1)
      gradients = FloatBuffer(count: table.count)
      tape.backward(from: loss, into: gradients)
      self.loss = Double(tape.values(loss)[0])
    }

    private static func change(
      _ kind: Kind, _ weights: Weights, _ asked: Parameter, _ stored: Parameter, _ sizes: AttentionSizes,
      _ shape: MemoryShape
    ) {
      let (queries, rows) = (weights[asked], weights[stored])
      switch kind {
      case .drawn: break
      case .oneKey, .alike:
        let rest: Float = kind == .alike ? 0.2 : 0
        for row in 1..<stored.rows {
          for j in 0..<sizes.columns {
            rows[row * shape.stored + j] = rows[j] + rest * rows[row * shape.stored + j]
          }
          for j in 2 * sizes.columns..<shape.stored where kind == .alike { rows[row * shape.stored + j] = 6 }
        }
      case .zeroQueries:
        for row in 0..<asked.rows where zero(row, 0) {
          for j in 0..<(zero(row, sizes.width) ? sizes.columns : sizes.width) {
            queries[row * sizes.columns + j] = 0
          }
        }
      case .forgetting:
        for row in 0..<stored.rows where row % 5 == 0 {
          for j in 2 * sizes.columns..<2 * sizes.columns + sizes.heads { rows[row * shape.stored + j] = -30 }
        }
      }
    }

    /// Whether a query's number is made zero.
    static func zero(_ row: Int, _ column: Int) -> Bool { row % 3 == 1 && (column == 0 || row % 2 == 0) }

    var values: [[Double]] { table.all.map { p in (0..<p.count).map { Double(weights[p][$0]) } } }

    func defined(_ values: [[Double]]) -> Double {
      let (columns, width) = (sizes.columns, compiled.shape.stored)
      let all = (0..<rows).map { Array(values[1][$0 * width..<($0 + 1) * width]) }
      let numbers = handles.indices.map { values[2 + $0] }
      return (0..<rows + limits.count).reduce(0) { sum, row in
        let own =
          row < counts.context ? 0 : row < rows ? row - counts.context + 1 : limits[row - rows]
        let out = definition.reference(
          Array(values[0][row * columns..<(row + 1) * columns]), context: Array(all[..<counts.context]),
          own: Array(all[counts.context..<counts.context + own]), numbers: numbers)
        return sum + zip(out, values[values.count - 1]).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }

    /// A direction that keeps the rows what they are.
    func direction(_ p: Parameter, _ stream: inout RandomStream) -> [Double] {
      var direction = stream.normals(p.count)
      if p == stored, kind == .oneKey {
        for i in 0..<p.count where i % p.columns < sizes.columns { direction[i] = direction[i % p.columns] }
      }
      if p == asked, kind == .zeroQueries {
        // Where a query is zero, what it reads has no derivative.
        for i in 0..<p.count where weights[p][i] == 0 { direction[i] = 0 }
      }
      return direction
    }
  }

  private static func check(
    _ kind: Kind, width: Int, steps: Int, counts: (Int, Int), limits: [Int], within tolerance: Double = 5e-5
  ) throws {
    let pass = try Pass(kind, width: width, steps: steps, counts: counts, limits: limits)
    let values = pass.values
    let wanted = pass.defined(values)
    #expect(abs(pass.loss - wanted) < 2e-5 * max(1, abs(wanted)), "\(kind)")
    var stream = RandomStream(seed: 52)
    for (place, p) in pass.table.all.enumerated() where p != pass.probe {
      let direction = pass.direction(p, &stream)
      let step = 1e-5 / Double(p.count).squareRoot()
      func moved(_ step: Double) -> Double {
        var values = values
        values[place] = zip(values[place], direction).map { $0 + step * $1 }
        return pass.defined(values)
      }
      let expected = (moved(step) - moved(-step)) / (2 * step)
      let got = (0..<p.count).map { Double(pass.gradients.pointer[p.offset + $0]) }
      let along = zip(got, direction).reduce(0) { $0 + $1.0 * $1.1 }
      let size = got.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(got.allSatisfy { $0.isFinite })
      #expect(
        abs(along - expected) < tolerance * max(size, 0.1), "\(kind), \(p.path): \(along) beside \(expected)")
    }
    if kind == .zeroQueries {
      let p = pass.asked
      for i in 0..<p.count where pass.weights[p][i] == 0 {
        #expect(pass.gradients.pointer[p.offset + i] == 0)
      }
    }
  }

  /// The first rows of a sequence, of rank one, two and three, whose equations fewer steps than eight solve.
  @Test(arguments: [1, 2, 3], [5, 16]) func firstRows(count: Int, width: Int) throws {
    try Self.check(.drawn, width: width, steps: 8, counts: (0, count), limits: [count, 0, 1])
  }

  /// Several chunks, a context, and prefixes in any order that begin and end within a chunk.
  @Test(arguments: Kind.allCases, [5, 16]) func severalChunks(kind: Kind, width: Int) throws {
    try Self.check(
      kind, width: width, steps: 8, counts: (11, 70), limits: [0, 70, 3, 22, 21, 0, 53, 54],
      within: kind == .alike ? 2e-4 : 5e-5)
  }

  /// One step and many, also more than there are columns.
  @Test(arguments: [1, 2, 3, 20]) func steps(count: Int) throws {
    try Self.check(.drawn, width: 8, steps: count, counts: (3, 40), limits: [0, 40, 29])
  }

  /// Every prefix of a path is what a step reads.
  @Test(arguments: Kind.allCases) func stepsReadTheSame(kind: Kind) throws {
    let bench = try Subjects.bench("mesa")
    var rows = bench.stored(75, seed: 121)
    for row in 1..<75 where kind == .oneKey || kind == .alike {
      let key = zip(rows[0][0..<16], rows[row][0..<16]).map { $0 + (kind == .alike ? 0.2 * $1 : 0) }
      rows[row] = key + Array(rows[row][16...])
    }
    for row in 0..<75 where kind == .forgetting && row % 5 == 0 {
      rows[row] = Array(rows[row][0..<32]) + [-30, -30] + Array(rows[row][34...])
    }
    let limits = Array(0...70)
    var asked = bench.queries(75 + limits.count, seed: 122)
    for row in 0..<asked.count where kind == .zeroQueries && row % 3 == 1 {
      asked[row] =
        [Float](repeating: 0, count: 8) + (row % 2 == 0 ? [0, 0, 0, 0, 0, 0, 0, 0] : Array(asked[row][8...]))
    }
    let trained = bench.trained(context: rows[0..<5], own: rows[5..<75], asked, limits: limits)
    let read = bench.run(
      context: rows[0..<5], own: rows[5..<75], asked[75..<asked.count], limits.map { Sight(limit: $0) })
    #expect(deviation(Array(trained.suffix(read.count)), read) < 2e-5)
  }
}
