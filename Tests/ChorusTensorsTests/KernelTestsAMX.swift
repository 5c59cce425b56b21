import CChorusKernels
import Testing

/// Products of bfloat16 by AMX tiles, bit for bit against plain loops in the same order. On processors without AMX nothing
/// of it can be run, and the tests are left out.
@Suite(.enabled(if: ck_bf16_for(Int32(CK_AVX512), Int32(CK_BF16_AMX)) != nil))
struct KernelTestsAMX {
  private static func table() throws -> ck_bf16_kernels {
    try #require(ck_bf16_for(Int32(CK_AVX512), Int32(CK_BF16_AMX))).pointee
  }

  /// Sizes around whole tiles and blocks, and any others.
  private static func sizes(_ index: Int, _ memory: Memory) -> (m: Int, k: Int, n: Int) {
    let edges = [
      (1, 1, 1), (16, 32, 16), (17, 33, 17), (32, 31, 48), (33, 64, 32), (100, 2, 15), (3, 4096, 20),
      (97, 0, 5),
    ]
    if index < edges.count { return edges[index] }
    return (1 + memory.numbers.below(100), 1 + memory.numbers.below(180), 1 + memory.numbers.below(140))
  }

  /// Numbers of many magnitudes, some of which are rounded to zero.
  private static func mixed(_ count: Int, _ memory: Memory) -> UnsafeMutablePointer<Float> {
    let x = memory.normals(count)
    for i in 0..<count where i % 5 == 0 {
      x[i] *= Float(sign: .plus, exponent: -memory.numbers.below(70), significand: 1)
    }
    return x
  }

  @Test(arguments: 0..<60)
  func productsHaveTheBytesOfPlainLoops(index: Int) throws {
    let table = try Self.table()
    withMemory(seed: index + 1) { memory in
      let (m, k, n) = Self.sizes(index, memory)
      let (a, b) = (Self.mixed(m * k, memory), Self.mixed(k * n, memory))
      let packed = memory.floats(ck_packed_count(Int32(k), Int32(n)), filledWith: .nan)
      table.pack(Int32(k), Int32(n), b, Int32(n), 0, packed)
      let (c, wanted) = (memory.floats(m * n, filledWith: .nan), memory.floats(m * n, filledWith: .nan))
      var args = ck_matmul_args()
      (args.m, args.k, args.n) = (Int32(m), Int32(k), Int32(n))
      (args.a, args.lda, args.packed) = (UnsafePointer(a), Int32(k), UnsafePointer(packed))
      (args.c, args.ldc) = (c, Int32(n))
      table.matmul(&args)
      ck_tiles_reference(Int32(m), Int32(n), Int32(k), a, Int32(k), b, Int32(n), wanted, Int32(n), 0)
      #expect(sameBytes(c, wanted, m * n), "\(m)x\(k)x\(n)")
      // What is written does not depend on the rows and columns beside it.
      let (row, from) = (memory.numbers.below(m), memory.numbers.below(n))
      let one = memory.floats(ck_packed_count(Int32(k), Int32(n - from)), filledWith: .nan)
      table.pack(Int32(k), Int32(n - from), b + (k > 0 ? from : 0), Int32(n), 0, one)
      let alone = memory.floats(n - from)
      (args.m, args.n, args.a) = (1, Int32(n - from), UnsafePointer(a + row * k))
      (args.packed, args.c, args.ldc) = (UnsafePointer(one), alone, Int32(n - from))
      table.matmul(&args)
      #expect(
        sameBytes(alone, c + row * n + from, n - from), "row \(row), columns from \(from) of \(m)x\(k)x\(n)")
    }
  }

  @Test(arguments: 0..<60)
  func gradientsOfWeightsHaveTheBytesOfPlainLoops(index: Int) throws {
    let table = try Self.table()
    withMemory(seed: 100 + index) { memory in
      var (m, rows, n) = Self.sizes(index, memory)
      if index % 9 == 0 { rows += 500 }
      let (a, b) = (Self.mixed(rows * m, memory), Self.mixed(rows * n, memory))
      // The reference takes its left side row by row.
      let transposed = memory.floats(m * rows)
      for r in 0..<rows { for i in 0..<m { transposed[i * rows + r] = a[r * m + i] } }
      let before = memory.normals(m * n)
      for accumulate: Int32 in [0, 1] {
        let (c, wanted) = (memory.floats(m * n), memory.floats(m * n))
        c.update(from: before, count: m * n)
        wanted.update(from: before, count: m * n)
        let scratch = memory.floats(ck_matmul_tn_scratch(Int32(m), Int32(n), Int32(rows)), filledWith: .nan)
        table.matmul_tn(
          Int32(m), Int32(n), Int32(rows), a, Int32(m), b, Int32(n), c, Int32(n), accumulate, scratch)
        ck_tiles_reference(
          Int32(m), Int32(n), Int32(rows), transposed, Int32(rows), b, Int32(n), wanted, Int32(n), accumulate)
        #expect(sameBytes(c, wanted, m * n), "\(m)x\(n) over \(rows) rows, accumulate \(accumulate)")
      }
    }
  }

  /// A row's read is the same alone and among others, and whatever the parts were that the context was packed in.
  @Test(arguments: [
    (1, 1, 1, 1), (5, 2, 7, 17), (50, 2, 32, 100), (24, 4, 32, 256), (70, 3, 16, 65), (33, 1, 70, 130),
  ])
  func readsDoNotDependOnOtherRows(shape: (Int, Int, Int, Int)) throws {
    let table = try Self.table()
    let (rows, heads, width, count) = shape
    withMemory(seed: rows + count) { memory in
      let d = heads * width
      let (q, k, v) = (memory.normals(rows * d), memory.normals(count * d), memory.normals(count * d))
      func packed(_ parts: [(Int, Int)]) -> (
        keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>
      ) {
        let (n, h, w) = (Int32(count), Int32(heads), Int32(width))
        let keys = memory.floats(ck_shared_keys_count(n, h, w), filledWith: .nan)
        let values = memory.floats(ck_shared_values_count(n, h, w), filledWith: .nan)
        for (begin, end) in parts where end > begin {
          table.pack_shared(
            Int32(begin), Int32(end - begin), n, h, w, k + begin * d, Int32(d), v + begin * d, Int32(d), keys,
            values)
        }
        return (keys, values)
      }
      func read(
        _ first: Int, _ some: Int,
        _ context: (keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>)
      )
        -> UnsafeMutablePointer<Float>
      {
        let out = memory.floats(some * d)
        var args = ck_attention_args()
        (args.rows, args.heads, args.width) = (Int32(some), Int32(heads), Int32(width))
        args.scale = 1 / Float(width).squareRoot()
        (args.q, args.ldq, args.out, args.ldo) = (UnsafePointer(q + first * d), Int32(d), out, Int32(d))
        args.shared_count = Int32(count)
        (args.shared_keys, args.shared_values) = (UnsafePointer(context.keys), UnsafePointer(context.values))
        args.scratch = memory.floats(
          ck_attention_bf16_scratch(Int32(some), Int32(heads), Int32(width), Int32(count)), filledWith: .nan)
        table.attention(&args)
        return out
      }
      let half = count / 32 * 16
      let all = read(0, rows, packed([(0, count)]))
      #expect(sameBytes(all, read(0, rows, packed([(half, count), (0, half)])), rows * d))
      let context = packed([(0, count)])
      for row in 0..<rows { #expect(sameBytes(read(row, 1, context), all + row * d, d), "row \(row)") }
    }
  }
}
