import ChorusTensors

/// Layer normalisation of each row, (x − mean)/√(variance + ε)·gain + bias (Ba et al. 2016, eq. 4), ε = 1e-5; columns that tell
/// the row's place (`RowPlaces`) stay as they are.
public struct Norm: Layer {
  let gain: Parameter
  let bias: Parameter
  /// Columns behind those that are normed.
  private let places: Int
  public var inputs: Int { gain.columns + places }
  public var outputs: Int { gain.columns + places }
  public var work: Double { 0 }

  /// - Parameter width: of a row, its places included.
  public init(_ name: String, _ width: Int, places: Int = 0, _ scope: inout ParameterScope) {
    self.places = places
    gain = scope.parameter(name + ".gain", 1, width - places, .ones)
    bias = scope.parameter(name + ".bias", 1, width - places, .zeros)
  }

  /// `x` may be `out`.
  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    guard let residual else {
      run.weights.layerNorm(x, rows: rows, width: inputs, gain: gain, bias: bias, into: out)
      return
    }
    let mark = run.arena.mark
    let normed = run.arena.floats(rows * outputs)
    run.weights.layerNorm(x, rows: rows, width: inputs, gain: gain, bias: bias, into: normed)
    for i in 0..<rows * outputs { out[i] = normed[i] + residual[i] }
    run.arena.rewind(to: mark)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    let normed = tape.layerNorm(x, gain: gain, bias: bias)
    return residual.map { tape.add(normed, $0) } ?? normed
  }
}
