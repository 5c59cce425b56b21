import ChorusTensors

/// Root-mean-square norm of each row, x/√(mean(x²) + ε)·gain (Zhang & Sennrich 2019, eq. 4).
public struct RMSNorm: Layer {
  let gain: Parameter
  let epsilon: Double
  public var inputs: Int { gain.columns }
  public var outputs: Int { gain.columns }
  public var work: Double { 0 }

  public init(_ name: String, _ width: Int, epsilon: Double = 1e-5, _ scope: inout ParameterScope) {
    gain = scope.parameter(name + ".gain", 1, width, .ones)
    self.epsilon = epsilon
  }

  /// `x` may be `out`.
  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    guard let residual else {
      run.weights.rmsNorm(x, rows: rows, gain: gain, epsilon: epsilon, into: out)
      return
    }
    let mark = run.arena.mark
    let normed = run.arena.floats(rows * outputs)
    run.weights.rmsNorm(x, rows: rows, gain: gain, epsilon: epsilon, into: normed)
    for i in 0..<rows * outputs { out[i] = normed[i] + residual[i] }
    run.arena.rewind(to: mark)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    let normed = tape.rmsNorm(x, gain: gain, epsilon: epsilon)
    return residual.map { tape.add(normed, $0) } ?? normed
  }
}
