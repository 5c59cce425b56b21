import CChorusKernels
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Products of numbers rounded to bfloat16, against the same products of the rounded numbers in Double.
@Suite struct KernelTestsBF16 {
  /// The kernels of each instruction set, by each path that the machine has.
  struct Kernels: CustomTestStringConvertible, Sendable {
    let isa: Int32
    let path: Int32
    var testDescription: String {
      String(cString: ck_isa_name(isa)) + ", " + String(cString: ck_bf16_path_name(path))
    }
    var table: ck_bf16_kernels? { ck_bf16_for(isa, path)?.pointee }
    /// By AMX sums are added up in another order.
    var hasOwnBytes: Bool { path == CK_BF16_AMX }
  }

  static let all = instances.flatMap { isa in
    [CK_BF16_BY_FLOAT32, CK_BF16_PAIRS, CK_BF16_AMX].map { Kernels(isa: isa, path: Int32($0)) }
  }.filter { $0.table != nil }

  /// The nearest bfloat16, of two as near the even one, and zero below 2^-56: from the definition, by what is near in Double.
  static func rounded(_ x: Float) -> Float {
    guard x.isFinite, abs(x) >= 0x1p-56 else { return x.isFinite ? 0 : x }
    let step = Double(sign: .plus, exponent: Int(x.exponent) - 7, significand: 1)
    let value = (Double(x) / step).rounded(.toNearestOrEven) * step
    return Float(value)
  }

  @Test func roundingIsToTheNearestEven() {
    for (x, wanted) in [
      (Float(1), Float(1)), (1.00390625, 1), (1.01171875, 1.015625), (1.004, 1.0078125),
      (-3.1415927, -3.140625),
      (0x1p-57, 0), (0x1p-56, 0x1p-56), (3.4e38, .infinity), (.infinity, .infinity),
    ] {
      #expect(Self.rounded(x) == wanted || (wanted.isInfinite && Double(Self.rounded(x)) > 3.3e38))
      for kernels in Self.all {
        // One by one: the product is the rounded number itself.
        let found = Self.product(kernels, 1, 1, 1, [x], [1])[0]
        #expect(found == wanted, "\(kernels.testDescription): \(x) is \(found)")
      }
    }
    for kernels in Self.all {
      let found = Self.product(kernels, 1, 1, 1, [Float(bitPattern: 0x7fff_ffff)], [1])[0]
      #expect(found.isNaN, "\(kernels.testDescription)")
    }
  }

  private static func product(
    _ kernels: Kernels, _ m: Int, _ k: Int, _ n: Int, _ a: [Float], _ b: [Float]
  ) -> [Float] {
    guard let table = kernels.table else { return [] }
    var packed = [Float](repeating: .nan, count: ck_packed_count(Int32(k), Int32(n)))
    table.pack(Int32(k), Int32(n), b, Int32(n), 0, &packed)
    var c = [Float](repeating: .nan, count: m * n)
    a.withUnsafeBufferPointer { a in
      packed.withUnsafeBufferPointer { packed in
        c.withUnsafeMutableBufferPointer { c in
          var args = ck_matmul_args()
          (args.m, args.k, args.n) = (Int32(m), Int32(k), Int32(n))
          (args.a, args.lda, args.packed) = (a.baseAddress, Int32(k), packed.baseAddress)
          (args.c, args.ldc) = (c.baseAddress, Int32(n))
          table.matmul(&args)
        }
      }
    }
    return c
  }

  static let shapes: [KernelTestsMatmul.Shape] =
    [
      (1, 1, 1), (2, 2, 16), (3, 7, 17), (7, 33, 100), (13, 14, 60), (25, 64, 48), (97, 40, 33),
      (24, 128, 128),
      (5, 4096, 20),
    ].map { KernelTestsMatmul.Shape(m: $0.0, k: $0.1, n: $0.2) }

  @Test(arguments: shapes)
  func productsEqualTheReferenceAndEachOther(shape: KernelTestsMatmul.Shape) throws {
    let (m, k, n) = (shape.m, shape.k, shape.n)
    try withMemory(seed: 3 * m + n) { memory in
      let (a, b) = (memory.normals(m * k), memory.normals(k * n))
      // Numbers of any size, down to those that are rounded to zero.
      for i in 0..<m * k where i % 5 == 0 {
        a[i] *= Float(sign: .plus, exponent: -memory.numbers.below(70), significand: 1)
      }
      let transposed = memory.floats(k * n)
      for p in 0..<k { for j in 0..<n { transposed[j * k + p] = b[p * n + j] } }
      let (bias, residual) = (memory.normals(n), memory.normals(m * n))
      var first: UnsafeMutablePointer<Float>?
      for kernels in Self.all {
        let table = try #require(kernels.table)
        let packed = memory.floats(ck_packed_count(Int32(k), Int32(n)), filledWith: .nan)
        table.pack(Int32(k), Int32(n), b, Int32(n), 0, packed)
        let c = memory.floats(m * n)
        var args = ck_matmul_args()
        (args.m, args.k, args.n) = (Int32(m), Int32(k), Int32(n))
        (args.a, args.lda, args.packed) = (UnsafePointer(a), Int32(k), UnsafePointer(packed))
        (args.c, args.ldc, args.bias) = (c, Int32(n), UnsafePointer(bias))
        (args.residual, args.ldres) = (UnsafePointer(residual), Int32(n))
        table.matmul(&args)
        var deviation = Deviation()
        for i in 0..<m {
          for j in 0..<n {
            var sum = Double(bias[j]) + Double(residual[i * n + j])
            for p in 0..<k { sum += Double(Self.rounded(a[i * k + p])) * Double(Self.rounded(b[p * n + j])) }
            deviation.note(c[i * n + j], sum, allowed: 1e-5 + 2.5e-7 * Double(k), "\(i), \(j)")
          }
        }
        deviation.expectSmall("\(kernels.testDescription) \(shape.testDescription)")
        if kernels.hasOwnBytes {
          // KernelTestsAMX compares them.
        } else if let first {
          #expect(sameBytes(first, c, m * n), "\(kernels.testDescription) \(shape.testDescription)")
        } else {
          first = c
        }
        // From a transposed right side, and a row alone.
        let again = memory.floats(ck_packed_count(Int32(k), Int32(n)), filledWith: .nan)
        table.pack(Int32(k), Int32(n), transposed, Int32(k), 1, again)
        let row = memory.floats(n)
        args.packed = UnsafePointer(again)
        (args.m, args.a, args.c) = (1, UnsafePointer(a + (m - 1) * k), row)
        args.residual = UnsafePointer(residual + (m - 1) * n)
        table.matmul(&args)
        #expect(sameBytes(row, c + (m - 1) * n, n), "the last row of \(shape.testDescription)")
      }
    }
  }

  @Test(arguments: [false, true])
  func gradientsOfWeightsEqualTheReferenceAndEachOther(accumulate: Bool) throws {
    for (m, n, rows) in [
      (1, 1, 1), (5, 3, 7), (13, 40, 64), (24, 15, 65), (31, 50, 201), (20, 33, 300), (48, 64, 600),
    ] {
      try withMemory(seed: m + n + rows) { memory in
        let (a, b) = (memory.normals(rows * m), memory.normals(rows * n))
        let before = memory.normals(m * n)
        var first: UnsafeMutablePointer<Float>?
        for kernels in Self.all {
          let table = try #require(kernels.table)
          let c = memory.floats(m * n)
          c.update(from: before, count: m * n)
          let scratch = memory.floats(ck_matmul_tn_scratch(Int32(m), Int32(n), Int32(rows)))
          table.matmul_tn(
            Int32(m), Int32(n), Int32(rows), a, Int32(m), b, Int32(n), c, Int32(n), accumulate ? 1 : 0,
            scratch)
          var deviation = Deviation()
          for i in 0..<m {
            for j in 0..<n {
              var sum = accumulate ? Double(before[i * n + j]) : 0
              for r in 0..<rows {
                sum += Double(Self.rounded(a[r * m + i])) * Double(Self.rounded(b[r * n + j]))
              }
              deviation.note(
                c[i * n + j], sum, allowed: 1e-5 + 4e-6 * Double(rows).squareRoot(), "\(i), \(j)")
            }
          }
          deviation.expectSmall("\(kernels.testDescription) \(m)x\(n) over \(rows) rows")
          if kernels.hasOwnBytes {
            // KernelTestsAMX compares them.
          } else if let first {
            #expect(sameBytes(first, c, m * n), "\(kernels.testDescription) \(m)x\(n) over \(rows) rows")
          } else {
            first = c
          }
        }
      }
    }
  }

  /// Keys and values come back rounded; a read is that of the float32 kernel over them, but for queries and weights, which
  /// are rounded too: each by at most 2^-9 of itself.
  @Test func attentionIsThatOverRoundedRows() throws {
    for (rows, heads, width, count) in [
      (1, 1, 1, 1), (5, 2, 7, 17), (50, 2, 32, 100), (24, 4, 32, 256), (70, 3, 16, 65),
    ] {
      try withMemory(seed: rows + count) { memory in
        let d = heads * width
        let (q, k, v) = (memory.normals(rows * d), memory.normals(count * d), memory.normals(count * d))
        let half = count / 32 * 16
        for isa in instances {
          var native: UnsafeMutablePointer<Float>?
          for kernels in Self.all where kernels.isa == isa {
            let table = try #require(kernels.table)
            let keys = memory.floats(
              ck_shared_keys_count(Int32(count), Int32(heads), Int32(width)), filledWith: .nan)
            let values = memory.floats(
              ck_shared_values_count(Int32(count), Int32(heads), Int32(width)), filledWith: .nan)
            for (begin, end) in [(half, count), (0, half)] where end > begin {
              table.pack_shared(
                Int32(begin), Int32(end - begin), Int32(count), Int32(heads), Int32(width), k + begin * d,
                Int32(d),
                v + begin * d, Int32(d), keys, values)
            }
            let (ownKeys, ownValues) = (memory.floats(count * d), memory.floats(count * d))
            table.unpack_shared(
              Int32(count), Int32(heads), Int32(width), keys, values, ownKeys, Int32(d), ownValues, Int32(d))
            #expect((0..<count * d).allSatisfy { ownKeys[$0] == Self.rounded(k[$0]) })
            #expect((0..<count * d).allSatisfy { ownValues[$0] == Self.rounded(v[$0]) })
            let out = memory.floats(rows * d)
            var args = ck_attention_args()
            (args.rows, args.heads, args.width) = (Int32(rows), Int32(heads), Int32(width))
            args.scale = 1 / Float(width).squareRoot()
            (args.q, args.ldq, args.out, args.ldo) = (UnsafePointer(q), Int32(d), out, Int32(d))
            args.shared_count = Int32(count)
            (args.shared_keys, args.shared_values) = (UnsafePointer(keys), UnsafePointer(values))
            args.scratch = memory.floats(
              ck_attention_bf16_scratch(Int32(rows), Int32(heads), Int32(width), Int32(count)))
            table.attention(&args)
            var deviation = Deviation()
            for row in 0..<rows {
              for head in 0..<heads {
                let place = row * d + head * width
                let scores = (0..<count).map { i in
                  (0..<width).reduce(0.0) {
                    $0 + Double(Self.rounded(q[place + $1])) * Double(ownKeys[i * d + head * width + $1])
                  } / Double(width).squareRoot()
                }
                let most = scores.max() ?? 0
                let weights = scores.map { exp($0 - most) }
                let total = weights.reduce(0, +)
                for j in 0..<width {
                  let terms = (0..<count).map {
                    weights[$0] / total * Double(ownValues[$0 * d + head * width + j])
                  }
                  deviation.note(
                    out[place + j], terms.reduce(0, +),
                    allowed: 1e-5 + terms.reduce(0) { $0 + abs($1) } / 256,
                    "\(row), \(head), \(j)")
                }
              }
            }
            deviation.expectSmall("\(kernels.testDescription) \(rows)x\(heads)x\(width):\(count)")
            if kernels.hasOwnBytes {
              // KernelTestsAMX compares them.
            } else if let native {
              #expect(sameBytes(native, out, rows * d), "\(kernels.testDescription)")
            } else {
              native = out
            }
          }
        }
      }
    }
  }
}
