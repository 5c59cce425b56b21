import CChorusKernels
import ChorusTensors

/// Rows of floats, `stride` apart.
struct Floats {
  let pointer: UnsafeMutablePointer<Float>
  let stride: Int

  init(_ pointer: UnsafeMutablePointer<Float>, stride: Int) {
    (self.pointer, self.stride) = (pointer, stride)
  }

  /// Rows that are only read.
  init(reading pointer: UnsafePointer<Float>, stride: Int) {
    self.init(UnsafeMutablePointer(mutating: pointer), stride: stride)
  }

  /// Rows one behind the other, all zeros.
  init(zeros rows: Int, _ columns: Int, _ arena: Arena) {
    self.init(arena.zeros(rows * columns), stride: columns)
  }

  /// Rows one behind the other with anything in them.
  init(_ rows: Int, _ columns: Int, _ arena: Arena) {
    self.init(arena.floats(rows * columns), stride: columns)
  }

  func row(_ index: Int) -> UnsafeMutablePointer<Float> { pointer + index * stride }
  /// The rows from `row` on, without the columns before `column`.
  func from(row: Int = 0, column: Int = 0) -> Floats {
    Floats(pointer + row * stride + column, stride: stride)
  }
}

/// Products of small matrices in Float, counted as a tape's work.
struct FloatProducts {
  let arena: Arena
  let matrices: MatrixTape

  /// c = a·b, or c += a·b, with a `[m, k]` and b `[k, n]`; the one that is told to be transposed is stored the other way
  /// round.
  func callAsFunction(
    _ m: Int, _ n: Int, _ k: Int, _ a: Floats, _ b: Floats, _ transposed: MatrixTape.Transposed = .none,
    into c: Floats, add: Bool = false
  ) {
    let mark = arena.mark
    var arguments = ck_multiply_args()
    (arguments.m, arguments.n, arguments.k) = (Int32(m), Int32(n), Int32(k))
    arguments.a = UnsafePointer(a.pointer)
    (arguments.a_across, arguments.a_along) = transposed == .left ? (1, a.stride) : (a.stride, 1)
    (arguments.b, arguments.ldb) = (UnsafePointer(b.pointer), Int32(b.stride))
    arguments.transposed = transposed == .right ? 1 : 0
    (arguments.c, arguments.ldc, arguments.accumulate) = (c.pointer, Int32(c.stride), add ? 1 : 0)
    if transposed == .right || !n.isMultiple(of: 16) {
      arguments.scratch = arena.floats(ck_packed_count(Int32(k), Int32(n)))
    }
    ck_multiply(&arguments)
    matrices.count(product: m, n, k)
    arena.rewind(to: mark)
  }
}
