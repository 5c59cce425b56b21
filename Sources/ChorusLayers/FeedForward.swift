import ChorusTensors

/// Two linear maps around a GELU, y = gelu(x·U + a)·D + b (Vaswani et al. 2017, sec. 3.3; Hendrycks & Gimpel 2016).
public struct FeedForward: Layer {
  package let up: Projection
  package let down: Projection
  public var inputs: Int { up.inputs }
  public var outputs: Int { down.outputs }
  public var work: Double { up.work + down.work }

  /// - Parameter shrink: what the map back is shrunk by at the start, so that a deep residual stream begins level.
  public init(
    _ inputs: Int, hidden: Int, _ outputs: Int, shrink: Double = 1, start: Start? = nil, bias: Start? = nil,
    _ scope: inout ParameterScope
  ) {
    up = Projection("up", inputs, hidden, activation: .gelu, &scope)
    down = Projection(
      "down", hidden, outputs, start: start ?? .fan(in: hidden, times: shrink), bias: bias, &scope)
  }

  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let mark = run.arena.mark
    let hidden = run.arena.floats(rows * up.outputs)
    up.apply(x, rows: rows, into: hidden, run)
    down.apply(hidden, rows: rows, residual: residual, into: out, run)
    run.arena.rewind(to: mark)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    down.record(up.record(x, on: tape), residual: residual, on: tape)
  }
}
