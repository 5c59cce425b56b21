import ChorusTensors
import Foundation
import Testing

@testable import ChorusLayers

/// Rows of float64 numbers, for the plain forms that layers are compared with.
typealias Rows = [[Double]]

/// A layer with random parameters: its inference form beside its training form beside a float64 reference, and its gradients
/// beside finite differences of that reference.
struct LayerCheck {
  let scope: ParameterScope
  private let weights: Weights
  private var values: [String: [Double]] = [:]

  init(_ scope: ParameterScope, seed: UInt64 = 1) {
    self.scope = scope
    weights = Weights(scope.table, training: true)
    for (index, p) in scope.table.all.enumerated() {
      var stream = RandomStream(seed: seed, 9, UInt64(index))
      let own = (0..<p.count).map { _ in Float(0.4 * stream.normal() + (p.path.hasSuffix("gain") ? 1 : 0)) }
      weights[p].update(from: own, count: p.count)
      values[p.path] = own.map(Double.init)
    }
    weights.pack()
  }

  /// Parameters by path, matrices row by row.
  struct Numbers {
    fileprivate(set) var values: [String: [Double]]
    private let table: ParameterTable
    fileprivate init(_ values: [String: [Double]], _ table: ParameterTable) {
      (self.values, self.table) = (values, table)
    }

    func vector(_ path: String) -> [Double] { values[path] ?? [] }
    /// x·W + b, where there is a bias.
    func linear(_ path: String, _ x: [Double]) -> [Double] {
      let columns = table[path + ".weight"]?.columns ?? 0
      let w = vector(path + ".weight")
      var out = values[path + ".bias"] ?? [Double](repeating: 0, count: columns)
      for (k, value) in x.enumerated() {
        for n in 0..<columns { out[n] += value * w[k * columns + n] }
      }
      return out
    }
  }

  /// Compares the three forms on `rows` random rows.
  func layer(
    _ layer: any Layer, rows: Int = 5, reference: (Numbers, [Double]) -> [Double],
    location: SourceLocation = #_sourceLocation
  ) {
    var stream = RandomStream(seed: 3)
    let x = (0..<rows * layer.inputs).map { _ in Float(stream.normal()) }
    let residual = (0..<rows * layer.outputs).map { _ in Float(stream.normal()) }
    func expected(_ numbers: Numbers, _ x: [Double]) -> [Double] {
      var out: [Double] = []
      for row in 0..<rows {
        let own = reference(numbers, Array(x[row * layer.inputs..<(row + 1) * layer.inputs]))
        for (column, value) in own.enumerated() {
          out.append(value + Double(residual[row * layer.outputs + column]))
        }
      }
      return out
    }
    let numbers = Numbers(values, scope.table)
    let wanted = expected(numbers, x.map(Double.init))
    #expect(wanted.count == residual.count, sourceLocation: location)
    let arena = Arena()
    var out = residual
    out.withUnsafeMutableBufferPointer { out in
      guard let out = out.baseAddress else { return }
      layer.apply(x, rows: rows, residual: out, into: out, Workspace(weights, arena))
    }
    let tape = Tape(weights)
    let recorded = layer.record(
      tape.constant(x, rows: rows, columns: layer.inputs),
      residual: tape.constant(residual, rows: rows, columns: layer.outputs), on: tape)
    let scale = wanted.reduce(1) { max($0, abs($1)) }
    #expect(recorded.rows == rows && recorded.columns == layer.outputs, sourceLocation: location)
    for (index, value) in wanted.enumerated() {
      #expect(abs(Double(out[index]) - value) < 1e-5 * scale, "applied \(index)", sourceLocation: location)
      #expect(tape.values(recorded)[index] == out[index], "recorded \(index)", sourceLocation: location)
    }
    // A fixed weighted sum of the outputs, and its derivatives by every parameter along a random direction.
    let mix = (0..<rows * layer.outputs).map { Double(1 + $0 % 3) / 4 }
    let (loss, _) = tape.rowLoss(recorded, weights: [Float](repeating: 1, count: rows)) { _, gradient, logp in
      for index in mix.indices { gradient[index] = Float(mix[index]) }
      for row in 0..<rows { logp[row] = 0 }
    }
    let gradients = FloatBuffer(count: scope.table.count)
    tape.backward(from: loss, into: gradients)
    for (index, p) in scope.table.all.enumerated() {
      var stream = RandomStream(seed: 5, UInt64(index))
      let direction = stream.normals(p.count)
      func along(_ step: Double) -> Double {
        var moved = numbers
        moved.values[p.path] = zip(numbers.vector(p.path), direction).map { $0 + step * $1 }
        return zip(mix, expected(moved, x.map(Double.init))).reduce(0) { $0 + $1.0 * $1.1 }
      }
      let numeric = (along(1e-5) - along(-1e-5)) / 2e-5
      var own = 0.0
      for i in 0..<p.count { own += Double(gradients.pointer[p.offset + i]) * direction[i] }
      #expect(
        abs(own - numeric) < 1e-4 * max(1, abs(numeric)), "gradient of \(p.path)", sourceLocation: location)
    }
  }

  /// Compares a head's loss, its log-densities and gradients by its raw numbers.
  func loss(
    _ head: some Head, _ targets: Targets, raw: [Float], reference: (_ raw: [Double], _ row: Int) -> Double,
    location: SourceLocation = #_sourceLocation
  ) {
    let rows = targets.values.count
    let columns = raw.count / rows
    var table = ParameterTable()
    let p = table.declare("raw", rows, columns)
    let weights = Weights(table, training: true)
    weights[p].update(from: raw, count: raw.count)
    weights.pack()
    let tape = Tape(weights)
    let node = tape.gather(
      [.parameter(p, (0..<Int32(rows)).map { $0 })], rows: rows, columns: columns)
    let (loss, logDensities) = head.loss(node, targets, on: tape)
    let gradients = FloatBuffer(count: table.count)
    tape.backward(from: loss, into: gradients)
    func total(_ raw: [Double]) -> Double {
      var sum = 0.0
      for row in 0..<rows {
        sum -= Double(targets.weights[row]) * reference(Array(raw[row * columns..<(row + 1) * columns]), row)
      }
      return sum
    }
    let start = raw.map(Double.init)
    for row in 0..<rows {
      let wanted = reference(Array(start[row * columns..<(row + 1) * columns]), row)
      #expect(
        abs(Double(logDensities[row]) - wanted) < 1e-5 * max(1, abs(wanted)), sourceLocation: location)
    }
    #expect(
      abs(Double(tape.values(loss)[0]) - total(start)) < 1e-5 * max(1, abs(total(start))),
      sourceLocation: location)
    for index in start.indices {
      var (above, below) = (start, start)
      above[index] += 1e-5
      below[index] -= 1e-5
      let numeric = (total(above) - total(below)) / 2e-5
      #expect(
        abs(Double(gradients.pointer[p.offset + index]) - numeric) < 1e-4 * max(1, abs(numeric)),
        "gradient \(index)", sourceLocation: location)
    }
  }
}
