import Testing

@testable import ChorusTensors

/// Parameters with random values, on a tape in float32 and as float64 matrices, to compare values and gradients.
///
/// What goes in is a parameter too, brought in by `gather`, so gradients with respect to inputs are checked like
/// those with respect to weights. A matrix that comes out is turned into a number by a fixed linear map.
struct TapeCheck {
  private(set) var table = ParameterTable()
  private var given: [String: [Double]] = [:]

  @discardableResult
  mutating func declare(_ path: String, _ rows: Int, _ columns: Int) -> Parameter {
    table.declare(path, rows, columns)
  }

  /// A parameter with values of the caller's choice instead of random ones.
  mutating func declare(_ path: String, _ rows: Int, _ columns: Int, values: [Double]) -> Parameter {
    given[path] = values
    return table.declare(path, rows, columns)
  }

  /// Weights that float32 holds exactly, so that both sides begin with the same numbers.
  private func start(seed: UInt64) -> [String: Dense] {
    var matrices: [String: Dense] = [:]
    for (index, p) in table.all.enumerated() {
      var stream = RandomStream(seed: seed, 99, UInt64(index))
      let values = given[p.path] ?? stream.normals(p.count)
      matrices[p.path] = Dense(p.rows, p.columns) { Double(Float(values[$0 * p.columns + $1])) }
    }
    return matrices
  }

  /// All rows of a parameter as a node with a gradient.
  static func input(_ p: Parameter, on tape: Tape) -> Node {
    tape.gather([.parameter(p, (0..<p.rows).map { Int32($0) })], rows: p.rows, columns: p.columns)
  }

  /// Compares a matrix and its gradients.
  ///
  /// Finite differences of a float64 function with a step of 1e-5 are good to about 1e-9, so the tolerance is for
  /// float32 alone: sums of some tens of terms, each rounded to 6e-8, and functions good to about 1e-6.
  mutating func matrix(
    seed: UInt64 = 1, tolerance: Double = 5e-5, recorded: (Tape, ParameterTable) -> Node,
    reference: ([String: Dense]) -> Dense, location: SourceLocation = #_sourceLocation
  ) {
    let columns = reference(start(seed: seed)).columns
    let probe = declare("probe.weight", columns, 1)
    let weights = { (row: Int) in 1 + row % 3 }
    scalar(seed: seed, tolerance: tolerance, location: location) { tape, table in
      let out = recorded(tape, table)
      let expected = reference(start(seed: seed))
      #expect(out.rows == expected.rows && out.columns == expected.columns, sourceLocation: location)
      let scale = expected.values.reduce(1) { max($0, abs($1)) }
      for (index, value) in expected.values.enumerated() {
        #expect(abs(Double(tape.values(out)[index]) - value) < 1e-5 * scale, sourceLocation: location)
      }
      let summed = tape.linear(out, probe)
      let terms = (0..<out.rows).flatMap { row in
        (0..<weights(row)).map { _ in GatherTerm.node(summed, [Int32(row)]) }
      }
      return tape.gather(terms, rows: 1, columns: 1)
    } reference: { matrices in
      guard let probe = matrices["probe.weight"] else { return .nan }
      let summed = reference(matrices) * probe
      return (0..<summed.rows).reduce(0) { $0 + Double(weights($1)) * summed[$1, 0] }
    }
  }

  /// Compares a number and its gradients.
  func scalar(
    seed: UInt64 = 1, tolerance: Double = 5e-5, location: SourceLocation = #_sourceLocation,
    _ recorded: (Tape, ParameterTable) -> Node, reference: ([String: Dense]) -> Double
  ) {
    var matrices = start(seed: seed)
    let weights = Weights(table, training: true)
    for p in table.all {
      for (index, value) in (matrices[p.path]?.values ?? []).enumerated() { weights[p][index] = Float(value) }
    }
    weights.pack()
    let tape = Tape(weights)
    // A second round on the same memory must not feel the first.
    for round in 0..<2 {
      tape.reset()
      let loss = recorded(tape, table)
      let expected = reference(matrices)
      #expect(
        abs(Double(tape.values(loss)[0]) - expected) < 1e-5 * max(1, abs(expected)), "round \(round)",
        sourceLocation: location)
      let gradients = FloatBuffer(count: table.count)
      tape.backward(from: loss, into: gradients)
      for p in table.all {
        compare(
          p, gradients, Self.differences(p, &matrices, reference), tolerance: tolerance, location: location)
      }
    }
  }

  private func compare(
    _ p: Parameter, _ gradients: FloatBuffer, _ expected: [Double], tolerance: Double,
    location: SourceLocation
  ) {
    let scale = expected.reduce(0.1) { max($0, abs($1)) }
    let worst = expected.enumerated().map {
      abs(Double(gradients.pointer[p.offset + $0.offset]) - $0.element)
    }.max()
    #expect((worst ?? .nan) < tolerance * scale, "gradient of \(p.path)", sourceLocation: location)
  }

  private static func differences(
    _ p: Parameter, _ matrices: inout [String: Dense], _ reference: ([String: Dense]) -> Double
  ) -> [Double] {
    let step = 1e-5
    return (0..<p.count).map { index in
      let value = matrices[p.path]?.values[index] ?? .nan
      matrices[p.path]?.values[index] = value + step
      let above = reference(matrices)
      matrices[p.path]?.values[index] = value - step
      let below = reference(matrices)
      matrices[p.path]?.values[index] = value
      return (above - below) / (2 * step)
    }
  }
}
