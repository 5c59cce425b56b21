import CChorusKernels
import ChorusTensors

/// SwiGLU, y = (silu(x·G) ⊙ x·U)·D with silu(a) = a/(1 + e^−a), no biases (Shazeer 2020, eq. 6).
public struct GatedFeedForward: Layer {
  let gate: Projection
  let up: Projection
  let down: Projection
  public var inputs: Int { up.inputs }
  public var outputs: Int { down.outputs }
  public var work: Double { gate.work + up.work + down.work }

  /// - Parameter shrink: what the map back is shrunk by at the start, so that a deep residual stream begins level.
  public init(_ inputs: Int, hidden: Int, _ outputs: Int, shrink: Double = 1, _ scope: inout ParameterScope) {
    gate = .unbiased("gate", inputs, hidden, &scope)
    up = .unbiased("up", inputs, hidden, &scope)
    down = .unbiased("down", hidden, outputs, start: .fan(in: hidden, times: shrink), &scope)
  }

  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let mark = run.arena.mark
    let (gates, hidden) = (run.arena.floats(rows * up.outputs), run.arena.floats(rows * up.outputs))
    gate.apply(x, rows: rows, into: gates, run)
    up.apply(x, rows: rows, into: hidden, run)
    ck_gated_unit(rows * up.outputs, gates, hidden, hidden)
    down.apply(hidden, rows: rows, residual: residual, into: out, run)
    run.arena.rewind(to: mark)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    let hidden = tape.gatedUnit(gate: gate.record(x, on: tape), up: up.record(x, on: tape))
    return down.record(hidden, residual: residual, on: tape)
  }
}
