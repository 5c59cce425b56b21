import CChorusKernels
import ChorusTensors
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct KernelTestsFloat64 {
  static let sizes = [1, 2, 3, 5, 8, 31, 32, 33, 40, 64, 65, 97] + KernelShapes.matrices

  /// A positive definite matrix whose upper triangle holds a mark that nothing may touch.
  private func matrix(_ memory: Memory, _ n: Int, stride: Int) -> UnsafeMutablePointer<Double> {
    let root = memory.doubles(n * n)
    let a = memory.doubles(n * stride)
    for i in 0..<n {
      for j in 0..<stride {
        guard j <= i else {
          a[i * stride + j] = 777
          continue
        }
        a[i * stride + j] = (0..<n).reduce(i == j ? 0.1 * Double(n) : 0) {
          $0 + root[i * n + $1] * root[j * n + $1]
        }
      }
    }
    return a
  }

  @Test(arguments: instances, sizes)
  func choleskyAndSolves(isa: Int32, n: Int) {
    let table = kernels(isa)
    withMemory(seed: n) { memory in
      let stride = n + 1
      let a = matrix(memory, n, stride: stride)
      let l = memory.doubles(n * stride)
      l.update(from: a, count: n * stride)
      #expect(table.cholesky_f64(Int32(n), l, Int32(stride)) == Int32(n))
      var deviation = Deviation()
      for i in 0..<n {
        for j in 0...i {
          let product = (0...j).reduce(0.0) { $0 + l[i * stride + $1] * l[j * stride + $1] }
          deviation.note(product, a[i * stride + j], allowed: 1e-12 * Double(n + 10), "\(i), \(j)")
        }
        for j in (i + 1)..<stride { #expect(l[i * stride + j] == 777) }
      }
      deviation.expectSmall("L L^T of \(n)")

      for transposed in [false, true] {
        for columns in [1, 2, 7, 8, 9, 17] {
          let ldb = columns + columns % 2
          let b = memory.doubles(n * ldb)
          let x = memory.doubles(n * ldb)
          x.update(from: b, count: n * ldb)
          table.solve_lower_f64(Int32(n), l, Int32(stride), transposed ? 1 : 0, x, Int32(columns), Int32(ldb))
          var deviation = Deviation()
          for c in 0..<columns {
            for i in 0..<n {
              let sum = (transposed ? i..<n : 0..<(i + 1)).reduce(0.0) {
                $0 + (transposed ? l[$1 * stride + i] : l[i * stride + $1]) * x[$1 * ldb + c]
              }
              deviation.note(sum, b[i * ldb + c], allowed: 1e-10, "\(i), \(c)")
            }
          }
          deviation.expectSmall("solve \(n), \(columns) columns, transposed: \(transposed)")
        }
      }
      let x = memory.doubles(n)
      let y = memory.doubles(n)
      table.multiply_lower_f64(Int32(n), l, Int32(stride), x, y)
      for i in 0..<n {
        let sum = (0...i).reduce(0.0) { $0 + l[i * stride + $1] * x[$1] }
        #expect(abs(y[i] - sum) < 1e-11 * Double(n + 10))
      }
    }
  }

  @Test(arguments: instances)
  func choleskyNamesTheBadPivot(isa: Int32) {
    let table = kernels(isa)
    for n in [1, 5, 40, 100] {
      for bad in [0, n / 2, n - 1] {
        for value in [-1, 0, Double.nan] {
          withMemory(seed: n) { memory in
            let a = memory.doubles(n * n)
            for i in 0..<n { for j in 0..<n { a[i * n + j] = i == j ? (i == bad ? value : 1) : 0 } }
            #expect(table.cholesky_f64(Int32(n), a, Int32(n)) == Int32(bad))
          }
        }
      }
    }
    #expect(table.cholesky_f64(0, nil, 1) == 0)
  }

  /// [A, B; C, D] with B = A X leaves D - C X, whatever the order of A's rows and where its diagonal is zero.
  @Test(arguments: instances, [1, 2, 3, 4, 7, 13, 14, 15, 24, 33])
  func schurComplement(isa: Int32, n: Int) {
    let table = kernels(isa)
    withMemory(seed: n) { memory in
      let (sides, more) = (2, 3)
      let stride = (n + sides + 3) / 4 * 4
      let a = memory.doubles((n + more) * stride)
      let x = memory.doubles(n * sides)
      let order = (0..<n).map { ($0 * 5 + 2) % n }
      if n % 5 != 0 {
        // Big elements off the diagonal, as nowhere near it as the order says.
        for i in 0..<n { for j in 0..<n { a[i * stride + j] *= i == j ? 0 : 0.1 } }
        for i in 0..<n { a[i * stride + order[i]] = 3 + Double(i) }
      }
      for i in 0..<n {
        for side in 0..<sides {
          a[i * stride + n + side] = (0..<n).reduce(0) { $0 + a[i * stride + $1] * x[$1 * sides + side] }
        }
      }
      for i in 0..<n + more { for j in n + sides..<stride { a[i * stride + j] = 0 } }
      let before = Array(UnsafeBufferPointer(start: a, count: (n + more) * stride))
      #expect(table.schur_f64(Int32(n), Int32(n + more), a, Int32(stride)) == Int32(n))
      var deviation = Deviation()
      for row in n..<n + more {
        for side in 0..<sides {
          let sum = (0..<n).reduce(before[row * stride + n + side]) {
            $0 - before[row * stride + $1] * x[$1 * sides + side]
          }
          deviation.note(a[row * stride + n + side], sum, allowed: 1e-10 * Double(n), "\(row), \(side)")
        }
      }
      deviation.expectSmall("Schur complement of \(n)")
    }
  }

  @Test(arguments: instances)
  func schurNamesTheColumnWithoutAPivot(isa: Int32) {
    let table = kernels(isa)
    for bad in [0, 3, 5] {
      for value in [0, Double.nan, .infinity] {
        var a = [Double](repeating: 0, count: 8 * 8)
        for i in 0..<6 { a[i * 8 + i] = i == bad ? value : 2 }
        #expect(table.schur_f64(6, 8, &a, 8) == Int32(bad))
      }
    }
    #expect(table.schur_f64(0, 2, nil, 4) == 0)
  }

  @Test(arguments: instances)
  func exponential(isa: Int32) {
    let table = kernels(isa)
    let count = 20_003
    let x = (0..<count).map { -744 + 1453.5 * Double($0) / Double(count) }
    var y = [Double](repeating: 0, count: count)
    table.exp_f64(count, x, &y)
    var deviation = Deviation()
    for i in 0..<count {
      deviation.note(y[i], exp(x[i]), allowed: x[i] > -700 ? 2 * exp(x[i]).ulp : 1e-300, "x = \(x[i])")
    }
    deviation.expectSmall("exp")
    let special: [Double] = [.infinity, -.infinity, .nan, 0, 800]
    table.exp_f64(5, special, &y)
    #expect(y[0] == .infinity && y[1] == 0 && y[2].isNaN && y[3] == 1 && y[4] == .infinity)
  }
}

@Suite struct KernelTestsDispatch {
  @Test func theProcessUsesAnInstanceOfThisMachine() {
    #expect(instances.contains(ck_isa()))
    #expect(instances.contains(Int32(CK_BASELINE)))
    #expect(ck_select_isa(99) == 0)
    #expect(ck_select_isa(ck_isa()) == 1)
    for isa in instances {
      #expect(kernels(isa).isa == isa)
      #expect(String(cString: ck_isa_name(isa)) != "unknown")
    }
    #expect(String(cString: ck_isa_name(99)) == "unknown")
  }

  /// Every instance stays within rounding of the baseline.
  @Test(arguments: instances)
  func instancesAgree(isa: Int32) {
    withMemory(seed: 5) { memory in
      let (m, k, n) = (17, 128, 96)
      let a = memory.normals(m * k)
      let b = memory.normals(k * n)
      for i in 0..<(m * k) { a[i] *= 0.1 }
      let packed = memory.floats(ck_packed_count(Int32(k), Int32(n)))
      let one = memory.floats(m * n)
      let two = memory.floats(m * n)
      for (table, c) in [(kernels(isa), one), (kernels(Int32(CK_BASELINE)), two)] {
        table.pack(Int32(k), Int32(n), b, Int32(n), 0, packed)
        var args = ck_matmul_args()
        (args.m, args.k, args.n, args.activation) = (Int32(m), Int32(k), Int32(n), Int32(CK_GELU))
        (args.a, args.lda, args.packed) = (UnsafePointer(a), Int32(k), UnsafePointer(packed))
        (args.c, args.ldc) = (c, Int32(n))
        table.matmul(&args)
      }
      var deviation = Deviation()
      for i in 0..<(m * n) { deviation.note(one[i], Double(two[i]), allowed: 1e-5, "\(i)") }
      deviation.expectSmall("matmul")
    }
  }

  /// The probes only have to run and to count.
  @Test(arguments: instances)
  func probes(isa: Int32) {
    let table = kernels(isa)
    var sink: Float = 0
    #expect(table.probe_fma(10, &sink) > 0 && sink.isFinite)
    withMemory(seed: 9) { memory in
      let x = memory.floats(1001, filledWith: 1)
      #expect(table.probe_read(1001, x) == 1001)
    }
  }
}
