import ChorusTensors

/// Features to a row's representation, with a residual perceptron on top: out = t + down(gelu(up(t))), t = in(features)
/// (Hassan et al. 2026, App. A.1).
public struct Embedder: Layer {
  public let first: Projection
  public let feed: FeedForward
  public var inputs: Int { first.inputs }
  public var outputs: Int { first.outputs }
  public var work: Double { first.work + feed.work }

  public init(_ features: Int, hidden: Int, _ width: Int, _ scope: inout ParameterScope) {
    first = Projection("in", features, width, &scope)
    feed = FeedForward(width, hidden: hidden, width, &scope)
  }

  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    let mark = run.arena.mark
    let t = run.arena.floats(rows * outputs)
    first.apply(x, rows: rows, into: t, run)
    var sum = UnsafePointer(t)
    if let residual {
      let both = run.arena.floats(rows * outputs)
      for i in 0..<rows * outputs { both[i] = t[i] + residual[i] }
      sum = UnsafePointer(both)
    }
    feed.apply(t, rows: rows, residual: sum, into: out, run)
    run.arena.rewind(to: mark)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    let t = first.record(x, on: tape)
    return feed.record(t, residual: residual.map { tape.add(t, $0) } ?? t, on: tape)
  }
}
