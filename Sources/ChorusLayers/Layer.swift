import ChorusTensors

/// What the inference form of a layer works with: the weights, and memory of the calling thread.
public struct Workspace {
  public let weights: Weights
  public let arena: Arena
  /// Threads that share one call, where rows are few and maps large; nil where every thread has calls of its own.
  public let pool: ThreadPool?

  public init(_ weights: Weights, _ arena: Arena, on pool: ThreadPool? = nil) {
    self.weights = weights
    self.arena = arena
    self.pool = pool
  }
}

/// A map of rows `[rows, inputs]` to rows `[rows, outputs]`, in two forms that give the same numbers.
///
/// `apply` is for inference: packed weights, memory from an arena, everything fused. `record` is for training: the same on a
/// tape. A layer holds handles of its parameters, no values, so one layer serves any weights of its network. The suite
/// `LayerTests` holds both forms and a float64 reference equal for every layer.
public protocol Layer: Sendable {
  var inputs: Int { get }
  var outputs: Int { get }
  /// Floating-point operations a row, multiply-adds counted twice; element-wise work left out.
  var work: Double { get }

  /// out = f(x) + residual. `residual` may be `out`; `x` may not, unless the layer says so.
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace)
  func record(_ x: Node, residual: Node?, on tape: Tape) -> Node
}

extension Layer {
  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    apply(x, rows: rows, residual: nil, into: out, run)
  }
  public func record(_ x: Node, on tape: Tape) -> Node { record(x, residual: nil, on: tape) }
}
