import CChorusKernels
import ChorusTensors
import Testing

@Suite struct KernelTestsMatmul {
  struct Shape: CustomTestStringConvertible, Sendable {
    let m: Int, k: Int, n: Int
    var testDescription: String { "\(m)x\(k)x\(n)" }
  }

  static let shapes: [Shape] =
    (0...13).map { Shape(m: $0, k: 5 + 3 * $0, n: 1 + 7 * $0) }
    + [
      (1, 128, 128), (2, 16, 64), (3, 33, 100), (7, 1, 1), (13, 17, 15), (25, 64, 48), (97, 40, 33),
      (200, 24, 16),
    ]
    .map { Shape(m: $0.0, k: $0.1, n: $0.2) } + [Shape(m: 5, k: 0, n: 20)]
    + KernelShapes.products.map { Shape(m: $0.m, k: $0.k, n: $0.n) }

  @Test(arguments: instances, shapes)
  func matmulEqualsTheReference(isa: Int32, shape: Shape) {
    let table = kernels(isa)
    let (m, k, n) = (shape.m, shape.k, shape.n)
    for variant in 0..<8 {
      withMemory(seed: 100 * m + variant) { memory in
        let lda = k + 3
        let ldc = n + variant % 2
        let ldpre = n + 2
        let ldres = n + 1
        let activation = variant % 3
        let a = memory.matrix(m, k, stride: lda)
        let b = memory.normals(k * n)
        let c = memory.matrix(m, n, stride: ldc)
        let bias = variant & 1 != 0 ? memory.normals(n) : nil
        let pre = variant & 2 != 0 ? memory.matrix(m, n, stride: ldpre) : nil
        let residual = variant & 4 != 0 ? memory.matrix(m, n, stride: ldres) : nil
        let accumulate = variant > 5
        let packed = memory.floats(ck_packed_count(Int32(k), Int32(n)))
        table.pack(Int32(k), Int32(n), b, Int32(n), 0, packed)

        var before: [Float] = []
        for i in 0..<m { for j in 0..<n { before.append(c[i * ldc + j]) } }
        var args = ck_matmul_args(
          m: Int32(m), k: Int32(k), n: Int32(n), a: a, lda: Int32(lda), packed: packed, c: c, ldc: Int32(ldc),
          bias: bias, activation: Int32(activation), pre: pre, ldpre: Int32(ldpre), residual: residual,
          ldres: Int32(ldres), accumulate: accumulate ? 1 : 0)
        table.matmul(&args)

        var deviation = Deviation()
        for i in 0..<m {
          for j in 0..<n {
            var sum = Double(bias?[j] ?? 0)
            for p in 0..<k { sum += Double(a[i * lda + p]) * Double(b[p * n + j]) }
            // Partial sums of normal products grow as √i, and each is rounded: the error grows as k.
            let allowed = 1e-5 + 2.5e-7 * Double(k)
            if let pre { deviation.note(pre[i * ldpre + j], sum, allowed: allowed, "pre \(i), \(j)") }
            var value = referenceActivation(activation, sum) + Double(residual?[i * ldres + j] ?? 0)
            if accumulate { value += Double(before[i * n + j]) }
            deviation.note(c[i * ldc + j], value, allowed: allowed, "\(i), \(j)")
          }
        }
        deviation.expectSmall("matmul \(shape.testDescription) variant \(variant)")

        // A row alone gives the bytes that it gives among others.
        let row = memory.floats(n)
        for i in 0..<m {
          for j in 0..<n { row[j] = before[i * n + j] }
          var single = args
          single.m = 1
          single.a = UnsafePointer(a + i * lda)
          single.c = row
          single.pre = nil
          single.residual = residual.map { UnsafePointer($0 + i * ldres) }
          table.matmul(&single)
          #expect(sameBytes(row, c + i * ldc, n), "row \(i) of \(shape.testDescription)")
        }
      }
    }
  }

  @Test(arguments: instances)
  func residualMayBeTheResult(isa: Int32) {
    let table = kernels(isa)
    withMemory(seed: 1) { memory in
      let (m, k, n) = (9, 20, 37)
      let a = memory.normals(m * k)
      let b = memory.normals(k * n)
      let c = memory.normals(m * n)
      let other = memory.floats(m * n)
      let old = memory.floats(m * n)
      old.update(from: c, count: m * n)
      let packed = memory.floats(ck_packed_count(Int32(k), Int32(n)))
      table.pack(Int32(k), Int32(n), b, Int32(n), 0, packed)
      var args = ck_matmul_args()
      (args.m, args.k, args.n) = (Int32(m), Int32(k), Int32(n))
      (args.a, args.lda, args.packed) = (UnsafePointer(a), Int32(k), UnsafePointer(packed))
      (args.c, args.ldc, args.residual, args.ldres) = (c, Int32(n), UnsafePointer(c), Int32(n))
      table.matmul(&args)
      (args.c, args.residual) = (other, UnsafePointer(old))
      table.matmul(&args)
      #expect(sameBytes(c, other, m * n))
    }
  }

  @Test(arguments: instances)
  func packingPadsWithZeros(isa: Int32) {
    let table = kernels(isa)
    for (k, n) in [(1, 1), (3, 5), (8, 16), (9, 17), (20, 31), (7, 40)] {
      withMemory(seed: k * n) { memory in
        let ldb = n + 1
        let ldt = k + 2
        let b = memory.matrix(k, n, stride: ldb)
        let transposed = memory.matrix(n, k, stride: ldt)
        for p in 0..<k { for j in 0..<n { transposed[j * ldt + p] = b[p * ldb + j] } }
        let count = ck_packed_count(Int32(k), Int32(n))
        #expect(count == (n + 15) / 16 * 16 * k)
        let one = memory.floats(count, filledWith: .nan)
        let two = memory.floats(count, filledWith: .nan)
        table.pack(Int32(k), Int32(n), b, Int32(ldb), 0, one)
        table.pack(Int32(k), Int32(n), transposed, Int32(ldt), 1, two)
        #expect(sameBytes(one, two, count))
        var right = true
        for j in 0..<(n + 15) / 16 * 16 {
          for p in 0..<k {
            let wanted = j < n ? b[p * ldb + j] : 0
            if one[j / 16 * 16 * k + 16 * p + j % 16] != wanted { right = false }
          }
        }
        #expect(right, "\(k)x\(n)")
      }
    }
  }

  @Test(arguments: instances, [false, true])
  func transposedProductsEqualTheReference(isa: Int32, accumulate: Bool) {
    let table = kernels(isa)
    let shapes =
      [
        (1, 1, 0), (1, 1, 1), (5, 3, 7), (6, 16, 8), (7, 17, 9), (12, 32, 63), (13, 40, 64), (24, 15, 65),
        (31, 50, 200),
        (20, 33, 300), (48, 64, 600),
      ] + KernelShapes.gradients.map { ($0.k, $0.n, $0.m) }
    for (m, n, rows) in shapes {
      withMemory(seed: m + n + rows) { memory in
        let lda = m + 1
        let ldb = n + 2
        let ldc = n + 3
        let a = memory.matrix(rows, m, stride: lda)
        let b = memory.matrix(rows, n, stride: ldb)
        let c = memory.matrix(m, n, stride: ldc)
        let sums = memory.normals(n)
        let scratch = memory.floats(ck_matmul_tn_scratch(Int32(m), Int32(n), Int32(rows)))
        let before = Array(UnsafeBufferPointer(start: c, count: (m - 1) * ldc + n))
        let sumsBefore = Array(UnsafeBufferPointer(start: sums, count: n))
        let flag: Int32 = accumulate ? 1 : 0
        table.matmul_tn(
          Int32(m), Int32(n), Int32(rows), a, Int32(lda), b, Int32(ldb), c, Int32(ldc), flag, scratch)
        table.column_sum(Int32(rows), Int32(n), b, Int32(ldb), sums, flag)
        var deviation = Deviation()
        let allowed = 1e-5 + 2e-6 * Double(rows).squareRoot() * 2
        for j in 0..<n {
          var column = accumulate ? Double(sumsBefore[j]) : 0
          for r in 0..<rows { column += Double(b[r * ldb + j]) }
          deviation.note(sums[j], column, allowed: allowed, "column \(j)")
          for i in 0..<m {
            var sum = accumulate ? Double(before[i * ldc + j]) : 0
            for r in 0..<rows { sum += Double(a[r * lda + i]) * Double(b[r * ldb + j]) }
            deviation.note(c[i * ldc + j], sum, allowed: allowed, "\(i), \(j)")
          }
        }
        deviation.expectSmall("\(m)x\(n) over \(rows) rows")
        // Nothing between the rows is touched.
        for i in 0..<max(m - 1, 0) { for j in n..<ldc { #expect(c[i * ldc + j] == before[i * ldc + j]) } }
      }
    }
  }

  /// Small products, with either side transposed.
  @Test(arguments: instances, shapes)
  func multiplyEqualsTheReference(isa: Int32, shape: Shape) {
    let table = kernels(isa)
    let (m, k, n) = (shape.m, shape.k, shape.n)
    for variant in 0..<8 {
      withMemory(seed: 300 * m + variant) { memory in
        let (byColumns, transposed) = (variant & 1 != 0, variant & 2 != 0)
        let accumulate = variant & 4 != 0
        let ldc = n + 3
        let a = memory.normals(m * k + 1)
        let b = memory.normals(n * k + 1)
        let c = memory.matrix(m, n, stride: ldc)
        let (across, along) = byColumns ? (1, m) : (k, 1)
        var before: [Float] = []
        for i in 0..<m { for j in 0..<n { before.append(c[i * ldc + j]) } }
        var arguments = ck_multiply_args()
        (arguments.m, arguments.n, arguments.k) = (Int32(m), Int32(n), Int32(k))
        (arguments.a, arguments.a_across, arguments.a_along) = (UnsafePointer(a), across, along)
        (arguments.b, arguments.ldb) = (UnsafePointer(b), Int32(transposed ? k : n))
        arguments.transposed = transposed ? 1 : 0
        (arguments.c, arguments.ldc, arguments.accumulate) = (c, Int32(ldc), accumulate ? 1 : 0)
        arguments.scratch = memory.floats(ck_packed_count(Int32(k), Int32(n)))
        table.multiply(&arguments)
        var deviation = Deviation()
        for i in 0..<m {
          for j in 0..<n {
            var sum = accumulate ? Double(before[i * n + j]) : 0
            for p in 0..<k {
              sum += Double(a[i * across + p * along]) * Double(b[transposed ? j * k + p : p * n + j])
            }
            deviation.note(c[i * ldc + j], sum, allowed: 1e-5 + 2.5e-7 * Double(k), "\(i), \(j)")
          }
        }
        deviation.expectSmall("\(shape), variant \(variant)")
      }
    }
  }

  /// (I − L)⁻¹ b and (I − L)⁻ᵀ b times the system give b again; products of rows are sums.
  @Test(arguments: instances, [(1, 1), (5, 3), (12, 16), (13, 20), (31, 33), (64, 64)])
  func unitLowerSystemsAreSolved(isa: Int32, shape: (n: Int, columns: Int)) {
    let table = kernels(isa)
    let (n, columns) = shape
    for transposed in [false, true] {
      withMemory(seed: 17 * n + columns) { memory in
        let (ldl, ldb) = (n + 2, columns + 1)
        let l = memory.matrix(n, n, stride: ldl)
        for i in 0..<n { for j in 0..<n { l[i * ldl + j] *= j < i ? 0.2 : .nan } }
        let b = memory.matrix(n, columns, stride: ldb)
        let x = memory.floats(n * ldb)
        x.update(from: b, count: (n - 1) * ldb + columns)
        table.solve_unit_lower(
          Int32(n), l, Int32(ldl), transposed ? 1 : 0, x, Int32(columns), Int32(ldb))
        var deviation = Deviation()
        for i in 0..<n {
          for j in 0..<columns {
            var (sum, size) = (Double(x[i * ldb + j]), 1.0)
            for p in transposed ? i + 1..<max(n, i + 1) : 0..<i {
              let term = Double(l[transposed ? p * ldl + i : i * ldl + p]) * Double(x[p * ldb + j])
              sum -= term
              size += abs(term)
            }
            deviation.note(b[i * ldb + j], sum, allowed: 1e-6 * size, "\(i), \(j)")
          }
        }
        deviation.expectSmall("\(n) rows of \(columns), transposed \(transposed)")

        let products = memory.normals(n)
        let before = (0..<n).map { Double(products[$0]) }
        table.row_products(Int32(n), Int32(columns), b, Int32(ldb), x, Int32(ldb), -0.5, products)
        var sums = Deviation()
        for i in 0..<n {
          let terms = (0..<columns).map { Double(b[i * ldb + $0]) * Double(x[i * ldb + $0]) }
          sums.note(
            products[i], before[i] - 0.5 * terms.reduce(0, +),
            allowed: 1e-6 * (1 + terms.reduce(0) { $0 + abs($1) }), "\(i)")
        }
        sums.expectSmall("products of \(n) rows")
      }
    }
  }
}
