import CChorusKernels
import ChorusTensors

/// What stands between a gated recurrent memory and the map back in the papers: every head's read at root-mean-square 1, with
/// a gain a column that all heads share, times silu(x·G) of the row that asks (Sun et al. 2023, eq. 8; the norm as in Yang
/// et al. 2024). Reads of keys at length 1 are small at first, and what they add to a row grows with the state; behind the
/// norm they neither begin small nor grow.
public struct GatedRead: Sendable {
  let gain: Parameter
  let gate: Projection
  private let epsilon: Double

  /// - Parameter width: of the row's representation.
  public init(_ width: Int, _ sizes: AttentionSizes, epsilon: Double, _ scope: inout ParameterScope) {
    gain = scope.parameter("readnorm.gain", 1, sizes.width, .ones)
    gate = .unbiased("readgate", width, sizes.columns, &scope)
    self.epsilon = epsilon
  }

  public var work: Double { gate.work }

  /// Reads in place, `[rows, heads·width]`, of rows whose norms are `normed`.
  public func apply(
    _ read: UnsafeMutablePointer<Float>, _ normed: UnsafePointer<Float>, rows: Int, _ run: Workspace
  ) {
    let mark = run.arena.mark
    let count = rows * gate.outputs
    let gates = run.arena.floats(count)
    gate.apply(normed, rows: rows, into: gates, run)
    run.weights.rmsNorm(read, rows: count / gain.columns, gain: gain, epsilon: epsilon, into: read)
    ck_gated_unit(count, gates, read, read)
    run.arena.rewind(to: mark)
  }

  public func record(_ read: Node, _ normed: Node, on tape: Tape) -> Node {
    let heads = tape.rmsNorm(read.reshaped(columns: gain.columns), gain: gain, epsilon: epsilon)
    return tape.gatedUnit(
      gate: gate.record(normed, on: tape), up: heads.reshaped(columns: gate.outputs))
  }
}
