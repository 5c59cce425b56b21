import CChorusKernels
import ChorusTensors

/// A kernel that can be measured alone.
enum KernelOperation: String, CaseIterable {
  case matmul
  /// A product with bias, GELU and residual in its epilogue.
  case matmulFused = "matmul-fused"
  /// The gradient of weights.
  case matmulGradient = "matmul-gradient"
  case pack
  case columnSum = "column-sum"
  case attention
  case attentionBackward = "attention-backward"
  case exp, log, softplus, gelu
  case positiveElu = "positive-elu"
  case geluBackward = "gelu-backward"
  case layerNorm = "layer-norm"
  case layerNormBackward = "layer-norm-backward"
  case mixture
  case mixtureBackward = "mixture-backward"
  case adamw
  case cholesky
  case solve
  /// Systems as small as a spline's.
  case schur

  func cases() -> [KernelBench.Case] {
    switch self {
    case .matmul: KernelShapes.products.map { Self.product($0, fused: false) }
    case .matmulFused: KernelShapes.products.map { Self.product($0, fused: true) }
    case .matmulGradient: KernelShapes.gradients.map(Self.gradient)
    case .pack:
      Set(KernelShapes.products.map { [$0.k, $0.n] }).sorted { $0[0] * $0[1] < $1[0] * $1[1] }.map(Self.pack)
    case .columnSum: KernelShapes.norms.map(Self.columnSum)
    case .attention: KernelShapes.readings.map(Self.attention)
    case .attentionBackward: KernelShapes.readingsBackward.map(Self.attentionBackward)
    case .exp: Self.elementwise { ck_exp($0, $1, $2) }
    case .log: Self.elementwise { ck_log($0, $1, $2) }
    case .softplus: Self.elementwise { ck_softplus($0, $1, $2) }
    case .positiveElu: Self.elementwise { ck_positive_elu($0, $1, $2) }
    case .gelu: Self.elementwise { ck_activate(Int32(CK_GELU), $0, $1, $2) }
    case .geluBackward: Self.elementwise { ck_activate_backward(Int32(CK_GELU), $0, $1, $1, $2) }
    case .layerNorm: KernelShapes.norms.map { Self.layerNorm($0, backward: false) }
    case .layerNormBackward: KernelShapes.norms.map { Self.layerNorm($0, backward: true) }
    case .mixture: KernelShapes.mixtures.map { Self.mixture($0, backward: false) }
    case .mixtureBackward: KernelShapes.mixtures.map { Self.mixture($0, backward: true) }
    case .adamw: KernelShapes.vectors.map(Self.adamw)
    case .cholesky: KernelShapes.matrices.map { Self.cholesky($0, solve: false) }
    case .solve: KernelShapes.matrices.map { Self.cholesky($0, solve: true) }
    case .schur: KernelShapes.systems.map(Self.schur)
    }
  }

  /// Numbers in (0, 1), where every elementwise kernel is defined.
  private static func numbers(_ count: Int) -> FloatBuffer {
    let buffer = FloatBuffer(count: count)
    var stream = RandomStream(seed: 7, UInt64(count))
    for index in 0..<count { buffer.pointer[index] = stream.uniformFloat() + 0x1p-25 }
    return buffer
  }

  // MARK: Products

  private static func product(_ shape: KernelShapes.Product, fused: Bool) -> KernelBench.Case {
    let (m, k, n) = (Int32(shape.m), Int32(shape.k), Int32(shape.n))
    let (a, b, c) = (numbers(shape.m * shape.k), numbers(shape.k * shape.n), numbers(shape.m * shape.n))
    let (bias, residual) = (numbers(shape.n), numbers(shape.m * shape.n))
    let packed = FloatBuffer(count: ck_packed_count(k, n))
    ck_pack(k, n, b.pointer, n, 0, packed.pointer)
    return KernelBench.Case(
      shape: "\(shape)", flops: 2 * Double(shape.m * shape.k * shape.n),
      bytes: 4 * (shape.m * (shape.k + shape.n) + shape.k * shape.n)
    ) {
      var args = ck_matmul_args()
      (args.m, args.k, args.n) = (m, k, n)
      (args.a, args.lda, args.packed) = (UnsafePointer(a.pointer), k, UnsafePointer(packed.pointer))
      (args.c, args.ldc) = (c.pointer, n)
      if fused {
        (args.bias, args.activation) = (UnsafePointer(bias.pointer), Int32(CK_GELU))
        (args.residual, args.ldres) = (UnsafePointer(residual.pointer), n)
      }
      ck_matmul(&args)
    }
  }

  private static func gradient(_ shape: KernelShapes.Product) -> KernelBench.Case {
    let (rows, m, n) = (Int32(shape.m), Int32(shape.k), Int32(shape.n))
    let (a, b, c) = (numbers(shape.m * shape.k), numbers(shape.m * shape.n), numbers(shape.k * shape.n))
    let scratch = FloatBuffer(count: ck_matmul_tn_scratch(m, n, rows))
    return KernelBench.Case(shape: "\(shape)", flops: 2 * Double(shape.m * shape.k * shape.n)) {
      ck_matmul_tn(m, n, rows, a.pointer, m, b.pointer, n, c.pointer, n, 0, scratch.pointer)
    }
  }

  private static func pack(_ sides: [Int]) -> KernelBench.Case {
    let (k, n) = (sides[0], sides[1])
    let b = numbers(k * n)
    let packed = FloatBuffer(count: ck_packed_count(Int32(k), Int32(n)))
    return KernelBench.Case(shape: "\(k)x\(n)", numbers: k * n, bytes: 8 * k * n) {
      ck_pack(Int32(k), Int32(n), b.pointer, Int32(n), 0, packed.pointer)
    }
  }

  private static func columnSum(_ shape: KernelShapes.Rows) -> KernelBench.Case {
    let (a, sum) = (numbers(shape.rows * shape.width), numbers(shape.width))
    let count = shape.rows * shape.width
    return KernelBench.Case(shape: "\(shape)", numbers: count, bytes: 4 * count) {
      ck_column_sum(Int32(shape.rows), Int32(shape.width), a.pointer, Int32(shape.width), sum.pointer, 0)
    }
  }

  // MARK: Attention

  private static func attention(_ shape: KernelShapes.Reading) -> KernelBench.Case {
    let d = shape.heads * shape.width
    let (rows, heads, width) = (Int32(shape.rows), Int32(shape.heads), Int32(shape.width))
    let (shared, capacity) = (Int32(shape.shared), Int32(shape.capacity))
    let paths = shape.rows / shape.rowsPerPath
    let (q, out) = (numbers(shape.rows * d), FloatBuffer(count: shape.rows * d))
    let (k, v) = (numbers(shape.shared * d), numbers(shape.shared * d))
    let keys = FloatBuffer(count: ck_shared_keys_count(shared, heads, width))
    let values = FloatBuffer(count: ck_shared_values_count(shared, heads, width))
    ck_pack_shared(
      0, shared, shared, heads, width, k.pointer, Int32(d), v.pointer, Int32(d), keys.pointer, values.pointer)
    let keyStride = ck_private_keys_count(capacity, heads, width)
    let valueStride = ck_private_values_count(capacity, heads, width)
    let (ownKeys, ownValues) = (
      FloatBuffer(count: paths * keyStride), FloatBuffer(count: paths * valueStride)
    )
    for path in 0..<paths where shape.capacity > 0 {
      for index in 0..<shape.capacity {
        ck_append_private(
          Int32(index), capacity, heads, width, k.pointer + index * d, v.pointer + index * d,
          ownKeys.pointer + path * keyStride, ownValues.pointer + path * valueStride)
      }
    }
    // As in a call that commits rows and asks: row r of a path sees the rows before it.
    let limits = (0..<shape.rows).map { row in
      Int32(max(0, shape.capacity - (shape.rowsPerPath - 1 - row % shape.rowsPerPath)))
    }
    let owners = (0..<shape.rows).map { Int32($0 / shape.rowsPerPath) }
    let scratch = FloatBuffer(count: ck_attention_scratch(rows, heads, width, shared))
    let pairs = shape.rows * shape.shared + limits.reduce(0) { $0 + Int($1) }
    return KernelBench.Case(shape: "\(shape)", flops: 4 * Double(d * pairs)) {
      limits.withUnsafeBufferPointer { limits in
        var args = ck_attention_args()
        (args.rows, args.heads, args.width, args.scale) = (rows, heads, width, 1 / Float(width).squareRoot())
        (args.q, args.ldq, args.out, args.ldo) = (UnsafePointer(q.pointer), Int32(d), out.pointer, Int32(d))
        args.shared_count = shared
        (args.shared_keys, args.shared_values) = (UnsafePointer(keys.pointer), UnsafePointer(values.pointer))
        if capacity > 0 {
          args.capacity = capacity
          (args.private_keys, args.private_keys_stride) = (UnsafePointer(ownKeys.pointer), keyStride)
          (args.private_values, args.private_values_stride) = (UnsafePointer(ownValues.pointer), valueStride)
          args.limits = limits.baseAddress
        }
        args.scratch = scratch.pointer
        owners.withUnsafeBufferPointer { owners in
          args.paths = owners.baseAddress
          ck_attention(&args)
        }
      }
    }
  }

  private static func attentionBackward(_ shape: KernelShapes.Reading) -> KernelBench.Case {
    let d = shape.heads * shape.width
    let (rows, heads, width) = (Int32(shape.rows), Int32(shape.heads), Int32(shape.width))
    let limited = shape.capacity > 0
    let count = limited ? shape.capacity : shape.shared
    let (q, slope) = (numbers(shape.rows * d), numbers(shape.rows * d))
    let (k, v) = (numbers(count * d), numbers(count * d))
    let (dq, dk, dv) = (numbers(shape.rows * d), numbers(count * d), numbers(count * d))
    // Any log-sum-exp and delta do: the kernel takes them as given.
    let (lse, delta) = (numbers(shape.heads * shape.rows), numbers(shape.heads * shape.rows))
    for index in 0..<lse.count { lse.pointer[index] += 20 }
    let limits = (0..<shape.rows).map { Int32(limited ? 1 + $0 % count : count) }
    let scratch = FloatBuffer(count: ck_attention_backward_scratch(rows, heads, width, Int32(count)))
    let pairs = limits.reduce(0) { $0 + Int($1) }
    return KernelBench.Case(shape: "\(shape)", flops: 10 * Double(d * pairs)) {
      limits.withUnsafeBufferPointer { limits in
        var args = ck_attention_backward_args()
        (args.rows, args.heads, args.width, args.scale) = (rows, heads, width, 1 / Float(width).squareRoot())
        (args.q, args.ldq) = (UnsafePointer(q.pointer), Int32(d))
        (args.dout, args.lddout) = (UnsafePointer(slope.pointer), Int32(d))
        (args.lse, args.delta) = (UnsafePointer(lse.pointer), UnsafePointer(delta.pointer))
        (args.count, args.k, args.v) = (Int32(count), UnsafePointer(k.pointer), UnsafePointer(v.pointer))
        (args.ldk, args.ldv, args.lddk, args.lddv) = (Int32(d), Int32(d), Int32(d), Int32(d))
        args.limits = limited ? limits.baseAddress : nil
        (args.dq, args.lddq, args.dk, args.dv) = (dq.pointer, Int32(d), dk.pointer, dv.pointer)
        args.scratch = scratch.pointer
        ck_attention_backward(&args)
      }
    }
  }

  // MARK: The rest

  private static func elementwise(
    _ kernel: @escaping (Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) -> [KernelBench.Case] {
    KernelShapes.vectors.map { count in
      let (x, y) = (numbers(count), FloatBuffer(count: count))
      return KernelBench.Case(shape: "\(count)", numbers: count, bytes: 8 * count) {
        kernel(count, x.pointer, y.pointer)
      }
    }
  }

  private static func layerNorm(_ shape: KernelShapes.Rows, backward: Bool) -> KernelBench.Case {
    let (rows, d) = (Int32(shape.rows), Int32(shape.width))
    let count = shape.rows * shape.width
    let (x, y, slope) = (numbers(count), numbers(count), numbers(count))
    let (gain, bias, stats) = (numbers(shape.width), numbers(shape.width), numbers(2 * shape.rows))
    let (dgain, dbias) = (numbers(shape.width), numbers(shape.width))
    ck_layer_norm(rows, d, x.pointer, d, gain.pointer, bias.pointer, 1e-5, y.pointer, d, stats.pointer)
    return KernelBench.Case(shape: "\(shape)", numbers: count, bytes: (backward ? 12 : 8) * count) {
      if backward {
        ck_layer_norm_backward(
          rows, d, x.pointer, d, gain.pointer, stats.pointer, slope.pointer, d, y.pointer, d, 0,
          dgain.pointer, dbias.pointer)
      } else {
        ck_layer_norm(rows, d, x.pointer, d, gain.pointer, bias.pointer, 1e-5, y.pointer, d, nil)
      }
    }
  }

  private static func mixture(_ shape: KernelShapes.Rows, backward: Bool) -> KernelBench.Case {
    let count = 3 * shape.rows * shape.width
    let (parameters, slope) = (numbers(count), FloatBuffer(count: count))
    let (y, density) = (numbers(shape.rows), FloatBuffer(count: shape.rows))
    return KernelBench.Case(shape: "\(shape)", numbers: shape.rows * shape.width) {
      var arguments = ck_mixture_args()
      (arguments.rows, arguments.components) = (Int32(shape.rows), Int32(shape.width))
      (arguments.params, arguments.y) = (UnsafePointer(parameters.pointer), UnsafePointer(y.pointer))
      (arguments.floor, arguments.logp) = (1e-3, density.pointer)
      arguments.dparams = backward ? slope.pointer : nil
      ck_mixture(&arguments)
    }
  }

  private static func adamw(_ count: Int) -> KernelBench.Case {
    let buffers = (0..<5).map { _ in numbers(count) }
    return KernelBench.Case(shape: "\(count)", numbers: count, bytes: 36 * count) {
      ck_adamw(
        count, buffers[0].pointer, buffers[1].pointer, buffers[2].pointer, buffers[3].pointer, 1, 1e-9, 0.9,
        0.99,
        0.5, 0.5, 1e-8, 0, buffers[4].pointer, 0.999)
    }
  }

  /// The factor of I + 11ᵀ/n, made anew each time; or a solve with it for 32 columns.
  private static func cholesky(_ n: Int, solve: Bool) -> KernelBench.Case {
    let matrix = (0..<n * n).map { $0 / n == $0 % n ? 1 + 1 / Double(n) : 1 / Double(n) }
    let work = Scratch(matrix)
    let ones = [Double](repeating: 1, count: 32 * n)
    let right = Scratch(ones)
    if solve { _ = ck_cholesky_f64(Int32(n), work.pointer, Int32(n)) }
    let cube = Double(n * n * n)
    return KernelBench.Case(shape: "\(n)", flops: solve ? 32 * Double(n * n) : cube / 3) {
      if solve {
        right.fill(ones)
        ck_solve_lower_f64(Int32(n), work.pointer, Int32(n), 0, right.pointer, 32, 32)
      } else {
        work.fill(matrix)
        _ = ck_cholesky_f64(Int32(n), work.pointer, Int32(n))
      }
    }
  }

  /// Elimination of n columns with two rows and columns more, as a spline through a few rows needs.
  private static func schur(_ n: Int) -> KernelBench.Case {
    let stride = (n + 5) / 4 * 4
    let matrix = (0..<(n + 2) * stride).map { index in
      let (i, j) = (index / stride, index % stride)
      return j >= n + 2 || (i == j && i >= n) ? 0 : 1 / Double(1 + abs(i - j))
    }
    let work = Scratch(matrix)
    return KernelBench.Case(shape: "\(n)", flops: 2 * Double(n * n * n) / 3 + 4 * Double(n * n)) {
      work.fill(matrix)
      _ = ck_schur_f64(Int32(n), Int32(n + 2), work.pointer, Int32(stride))
    }
  }

  /// Doubles on the heap, from the beginning of a line of the cache on, freed with the last reference.
  private final class Scratch {
    let pointer: UnsafeMutablePointer<Double>
    private let memory: UnsafeMutableRawPointer
    init(_ values: [Double]) {
      memory = .allocate(byteCount: values.count * MemoryLayout<Double>.stride, alignment: 64)
      pointer = memory.initializeMemory(as: Double.self, repeating: 0, count: values.count)
      fill(values)
    }
    deinit { memory.deallocate() }
    func fill(_ values: [Double]) {
      values.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { pointer.update(from: base, count: source.count) }
      }
    }
  }
}
