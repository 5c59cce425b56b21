import CChorusKernels
import Foundation

/// Local linear attention on a tape: the gradient is that of the solved equation, found by one more solve
/// a query.
public enum LocalLinear {
  public static func arguments(_ sizes: AttentionSizes, _ steps: Int, _ rows: Int) -> ck_local_linear_args {
    var arguments = ck_local_linear_args()
    (arguments.rows, arguments.heads) = (Int32(rows), Int32(sizes.heads))
    (arguments.width, arguments.steps) = (Int32(sizes.width), Int32(steps))
    arguments.scale = sizes.scale
    (arguments.ldq, arguments.ldo) = (Int32(sizes.columns), Int32(sizes.columns))
    return arguments
  }

  /// What a recorded pass keeps for its gradients.
  struct Pass {
    let queries: Node
    let keyValues: Node
    let sizes: AttentionSizes
    let steps: Int
    let parameter: Parameter
    let ridge: UnsafeMutablePointer<Float>
    let blocks: [VisibleBlock]
  }
}

extension Tape {
  /// Queries `[rows, d]`, keys and values side by side `[stored, 2d]`; ridge = softplus(parameter) + floor a head.
  public func localLinear(
    queries: Node, keyValues: Node, sizes: AttentionSizes, steps: Int, ridge parameter: Parameter,
    floor: Double, blocks: [VisibleBlock]
  ) -> Node {
    let out = arena.zeros(queries.rows * queries.columns)
    let ridge = arena.floats(sizes.heads)
    ck_softplus(sizes.heads, weights[parameter], ridge)
    for head in 0..<sizes.heads { ridge[head] += Float(floor) }
    let pass = LocalLinear.Pass(
      queries: queries, keyValues: keyValues, sizes: sizes, steps: steps, parameter: parameter, ridge: ridge,
      blocks: blocks)
    run(pass) { arguments, offset, _, _ in arguments.out = out + offset }
    return append(.localLinear(pass), out, queries.rows, queries.columns, reads: [queries, keyValues])
  }

  private func run(
    _ pass: LocalLinear.Pass,
    _ complete: (inout ck_local_linear_args, _ queries: Int, _ shared: Int, _ own: Int) -> Void
  ) {
    let d = pass.sizes.columns
    let rows = UnsafePointer(values(pass.keyValues))
    for block in pass.blocks where !block.queries.isEmpty {
      let mark = arena.mark
      let (query, shared) = (block.queries.lowerBound * d, block.shared.lowerBound * 2 * d)
      let own = block.visibleOwn.lowerBound * 2 * d
      var arguments = LocalLinear.arguments(pass.sizes, pass.steps, block.queries.count)
      arguments.ridge = UnsafePointer(pass.ridge)
      arguments.q = UnsafePointer(values(pass.queries) + query)
      arguments.shared_count = Int32(block.shared.count)
      (arguments.shared_keys, arguments.shared_values) = (rows + shared, rows + shared + d)
      (arguments.ld_shared, arguments.ld_own) = (Int32(2 * d), Int32(2 * d))
      (arguments.own_keys, arguments.own_values) = (rows + own, rows + own + d)
      if !block.visibleOwn.isEmpty {
        arguments.capacity = Int32(block.own.count)
        arguments.limits = UnsafePointer(arena.integers(block.limits))
      }
      arguments.scratch = arena.floats(
        ck_local_linear_scratch(arguments.width, arguments.shared_count, arguments.capacity))
      complete(&arguments, query, shared, own)
      ck_local_linear(&arguments)
      arena.rewind(to: mark)
    }
  }

  func backwardLocalLinear(
    _ pass: LocalLinear.Pass, _ dy: UnsafeMutablePointer<Float>, _ gradients: UnsafeMutablePointer<Float>
  ) {
    let d = pass.sizes.columns
    let dq = gradient(pass.queries) ?? arena.zeros(pass.queries.rows * d)
    let dkv = gradient(pass.keyValues) ?? arena.zeros(pass.keyValues.rows * 2 * d)
    let dridge = arena.zeros(pass.sizes.heads)
    run(pass) { arguments, query, shared, own in
      arguments.dout = UnsafePointer(dy + query)
      arguments.dq = dq + query
      (arguments.d_shared_keys, arguments.d_shared_values) = (dkv + shared, dkv + shared + d)
      (arguments.d_own_keys, arguments.d_own_values) = (dkv + own, dkv + own + d)
      arguments.dridge = dridge
    }
    let raw = weights[pass.parameter]
    for head in 0..<pass.sizes.heads {
      gradients[pass.parameter.offset + head] += dridge[head] / (1 + exp(-raw[head]))
    }
  }
}
