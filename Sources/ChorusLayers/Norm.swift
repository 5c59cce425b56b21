import ChorusTensors

/// Layer normalisation of each row, (x − mean)/√(variance + ε)·gain + bias (Ba et al. 2016, eq. 4), ε = 1e-5.
public struct Norm: Layer {
  let gain: Parameter
  let bias: Parameter
  public var inputs: Int { gain.columns }
  public var outputs: Int { gain.columns }
  public var work: Double { 0 }

  public init(_ name: String, _ width: Int, _ scope: inout ParameterScope) {
    gain = scope.parameter(name + ".gain", 1, width, .ones)
    bias = scope.parameter(name + ".bias", 1, width, .zeros)
  }

  /// `x` may be `out`.
  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    guard let residual else {
      run.weights.layerNorm(x, rows: rows, gain: gain, bias: bias, into: out)
      return
    }
    let mark = run.arena.mark
    let normed = run.arena.floats(rows * outputs)
    run.weights.layerNorm(x, rows: rows, gain: gain, bias: bias, into: normed)
    for i in 0..<rows * outputs { out[i] = normed[i] + residual[i] }
    run.arena.rewind(to: mark)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    let normed = tape.layerNorm(x, gain: gain, bias: bias)
    return residual.map { tape.add(normed, $0) } ?? normed
  }
}
