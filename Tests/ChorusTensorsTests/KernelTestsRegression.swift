import CChorusKernels
import ChorusTensors
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The kernels of memories that are regressions, each against plain loops in Double.
@Suite struct KernelTestsRegression {
  static let products: [(m: Int, n: Int, k: Int)] = [
    (1, 1, 1), (4, 8, 16), (5, 9, 3), (3, 7, 130), (9, 17, 128), (13, 31, 257), (0, 5, 4), (4, 0, 3),
    (4, 5, 0),
    (33, 1, 5), (1, 40, 2),
  ]

  @Test(arguments: instances, products)
  func productsOfDoubles(isa: Int32, shape: (m: Int, n: Int, k: Int)) {
    let table = kernels(isa)
    let (m, n, k) = shape
    for transposed in 0..<4 {
      withMemory(seed: m + 7 * n + 31 * k) { memory in
        // Strides beyond the widths, so that what lies between rows is seen to be left alone.
        let (turnA, turnB) = (transposed & 1 == 1, transposed & 2 == 2)
        let (lda, ldb, ldc) = ((turnA ? m : k) + 3, (turnB ? k : n) + 2, n + 1)
        let a = memory.doubles((turnA ? k : m) * lda)
        let b = memory.doubles((turnB ? n : k) * ldb)
        let c = memory.doubles(m * ldc)
        let before = (0..<m * ldc).map { c[$0] }
        var arguments = ck_multiply_f64_args()
        (arguments.m, arguments.n, arguments.k) = (Int32(m), Int32(n), Int32(k))
        arguments.alpha = -0.75
        arguments.a = UnsafePointer(a)
        (arguments.a_across, arguments.a_along) = turnA ? (1, lda) : (lda, 1)
        arguments.b = UnsafePointer(b)
        (arguments.b_across, arguments.b_along) = turnB ? (1, ldb) : (ldb, 1)
        (arguments.c, arguments.ldc) = (c, ldc)
        table.multiply_f64(&arguments)
        var deviation = Deviation()
        for i in 0..<m {
          for j in 0..<n {
            let sum = (0..<k).reduce(0.0) {
              $0 + (turnA ? a[$1 * lda + i] : a[i * lda + $1]) * (turnB ? b[j * ldb + $1] : b[$1 * ldb + j])
            }
            deviation.note(
              c[i * ldc + j], before[i * ldc + j] - 0.75 * sum, allowed: 1e-14 * Double(k + 10), "\(i), \(j)")
          }
          #expect(c[i * ldc + n] == before[i * ldc + n])
        }
        deviation.expectSmall("\(m) x \(n) x \(k), transposed \(transposed)")
      }
    }
  }

  // MARK: Rows that see some of a path's rows

  /// What every row of a read sees, with the arguments that say so.
  struct Sight {
    let paths: [Int]
    let limits: [Int]
    var words: [UInt64] = []
    var starts: [Int] = []

    init(rows: Int, paths count: Int, capacity: Int, masked: Bool, _ numbers: inout Numbers) {
      paths = (0..<rows).map { $0 * count / max(rows, 1) }
      limits = (0..<rows).map { $0 == 0 ? capacity : numbers.below(capacity + 1) }
      for limit in limits {
        guard masked, numbers.below(4) > 0 else {
          starts.append(-1)
          continue
        }
        starts.append(words.count)
        for _ in 0..<(limit + 63) / 64 { words.append(numbers.bits() & numbers.bits()) }
      }
    }

    func sees(_ row: Int) -> [Int] {
      (0..<limits[row]).filter {
        starts[row] < 0 || words[starts[row] + $0 / 64] >> UInt64($0 % 64) & 1 == 1
      }
    }
  }

  struct Reading: CustomTestStringConvertible, Sendable {
    var rows: Int, heads: Int, rank: Int, width: Int, capacity: Int
    var masked = false
    var testDescription: String {
      "rows \(rows) heads \(heads) rank \(rank) width \(width) capacity \(capacity)"
        + (masked ? " masked" : "")
    }
  }

  static let readings = [1, 8, 63, 64, 65, 150].flatMap { capacity in
    [(8, 8), (5, 3), (16, 17), (45, 8), (9, 64)].flatMap { rank, width in
      [false, true].map {
        Reading(rows: 5, heads: 2, rank: rank, width: width, capacity: capacity, masked: $0)
      }
    }
  }

  @Test(arguments: instances, readings)
  func sumsOverFactors(isa: Int32, shape: Reading) {
    let table = kernels(isa)
    withMemory(seed: shape.rank + shape.capacity * 100) { memory in
      let (rows, heads, rank, width) = (shape.rows, shape.heads, shape.rank, shape.width)
      let (probeHead, outHead) = (rank + 2, width + 1)
      let (ldProbes, ldOut) = (heads * probeHead + 1, heads * outHead + 3)
      let paths = 2
      let sight = Sight(
        rows: rows, paths: paths, capacity: shape.capacity, masked: shape.masked, &memory.numbers)
      let probes = memory.normals(rows * ldProbes)
      let factorsStride = heads * shape.capacity * rank + 4
      let valuesStride = heads * shape.capacity * width + 2
      let (factors, values) = (memory.normals(paths * factorsStride), memory.normals(paths * valuesStride))
      let out = memory.normals(rows * ldOut)
      let before = (0..<rows * ldOut).map { out[$0] }
      let (sums, squares) = (memory.normals(rows * heads), memory.normals(rows * heads))
      var arguments = ck_factor_args()
      (arguments.rows, arguments.heads) = (Int32(rows), Int32(heads))
      (arguments.rank, arguments.width) = (Int32(rank), Int32(width))
      (arguments.probes, arguments.ld_probes) = (UnsafePointer(probes), Int32(ldProbes))
      arguments.probe_head = Int32(probeHead)
      arguments.paths = UnsafePointer(memory.integers(sight.paths))
      arguments.limits = UnsafePointer(memory.integers(sight.limits))
      arguments.mask_starts = UnsafePointer(memory.integers(sight.starts))
      if shape.masked { arguments.masks = UnsafePointer(memory.words(sight.words)) }
      arguments.capacity = Int32(shape.capacity)
      (arguments.factors, arguments.values) = (UnsafePointer(factors), UnsafePointer(values))
      (arguments.factors_stride, arguments.values_stride) = (factorsStride, valuesStride)
      arguments.shift = 0.5
      (arguments.out, arguments.ld_out, arguments.out_head) = (out, Int32(ldOut), Int32(outHead))
      (arguments.sums, arguments.squares) = (sums, squares)
      table.factor_read(&arguments)

      var deviation = Deviation()
      var wanted = before.map { Double($0) }
      var size = [Double](repeating: 1, count: wanted.count)
      for row in 0..<rows {
        for head in 0..<heads {
          var (sum, square, absolute) = (0.0, 0.0, 1.0)
          for slot in sight.sees(row) {
            let factor = sight.paths[row] * factorsStride + (head * shape.capacity + slot) * rank
            let value = sight.paths[row] * valuesStride + (head * shape.capacity + slot) * width
            let score = (0..<rank).reduce(0.5) {
              $0 + Double(probes[row * ldProbes + head * probeHead + $1]) * Double(factors[factor + $1])
            }
            sum += score
            square += score * score
            absolute += abs(score) + Double(rank)
            for j in 0..<width {
              wanted[row * ldOut + head * outHead + j] += score * Double(values[value + j])
              size[row * ldOut + head * outHead + j] +=
                (abs(score) + Double(rank)) * abs(Double(values[value + j]))
            }
          }
          deviation.note(sums[row * heads + head], sum, allowed: 3e-7 * absolute, "sum \(row), \(head)")
          deviation.note(
            squares[row * heads + head], square, allowed: 1e-6 * (square + absolute), "square \(row), \(head)"
          )
        }
      }
      for i in wanted.indices { deviation.note(out[i], wanted[i], allowed: 3e-7 * size[i], "out \(i)") }
      deviation.expectSmall(shape.testDescription)
    }
  }

  struct Fit: CustomTestStringConvertible, Sendable {
    var width: Int, shared: Int, capacity: Int, masked = false
    var testDescription: String {
      "width \(width) shared \(shared) capacity \(capacity)" + (masked ? " masked" : "")
    }
  }

  static let fits = [
    Fit(width: 8, shared: 40, capacity: 0), Fit(width: 8, shared: 0, capacity: 33),
    Fit(width: 5, shared: 17, capacity: 9),
    Fit(width: 3, shared: 1, capacity: 0), Fit(width: 16, shared: 70, capacity: 70, masked: true),
    Fit(width: 7, shared: 0, capacity: 130, masked: true),
    Fit(width: 12, shared: 3, capacity: 65, masked: true),
    Fit(width: 4, shared: 0, capacity: 3),
  ]

  /// Against the weighted least-squares problem itself, solved by elimination.
  @Test(arguments: instances, fits)
  func localLinearFits(isa: Int32, shape: Fit) {
    let table = kernels(isa)
    withMemory(seed: shape.width + shape.capacity * 100) { memory in
      let (rows, heads, width) = (6, 2, shape.width)
      let (d, paths) = (2 * shape.width, 2)
      let sight = Sight(
        rows: rows, paths: paths, capacity: shape.capacity, masked: shape.masked, &memory.numbers)
      let (ld, ldq, ldo) = (2 * d + 3, d + 1, d + 2)
      let q = memory.normals(rows * ldq)
      let out = memory.normals(rows * ldo)
      let shared = memory.normals(shape.shared * ld)
      let own = memory.normals(paths * (shape.capacity * ld + 5))
      let ridge: [Float] = [0.3, 0.05]
      var arguments = LocalLinear.arguments(AttentionSizes(heads: heads, width: width), 2 * width, rows)
      (arguments.ldq, arguments.ldo) = (Int32(ldq), Int32(ldo))
      let ridges = memory.floats(2)
      (ridges[0], ridges[1]) = (ridge[0], ridge[1])
      arguments.ridge = UnsafePointer(ridges)
      (arguments.q, arguments.out) = (UnsafePointer(q), out)
      arguments.shared_count = Int32(shape.shared)
      (arguments.shared_keys, arguments.shared_values) = (UnsafePointer(shared), UnsafePointer(shared + d))
      (arguments.ld_shared, arguments.ld_own) = (Int32(ld), Int32(ld))
      arguments.paths = UnsafePointer(memory.integers(sight.paths))
      arguments.limits = UnsafePointer(memory.integers(sight.limits))
      arguments.mask_starts = UnsafePointer(memory.integers(sight.starts))
      if shape.masked { arguments.masks = UnsafePointer(memory.words(sight.words)) }
      arguments.capacity = Int32(shape.capacity)
      (arguments.own_keys, arguments.own_values) = (UnsafePointer(own), UnsafePointer(own + d))
      arguments.own_stride = shape.capacity * ld + 5
      arguments.scratch = memory.floats(
        ck_local_linear_scratch(Int32(width), Int32(shape.shared), Int32(shape.capacity)))
      table.local_linear(&arguments)

      var deviation = Deviation()
      for row in 0..<rows {
        for head in 0..<heads {
          let column = head * width
          func vector(_ base: UnsafePointer<Float>) -> [Double] {
            (0..<width).map { Double(base[column + $0]) }
          }
          let seen =
            (0..<shape.shared).map { UnsafePointer(shared + $0 * ld) }
            + sight.sees(row).map {
              UnsafePointer(own + sight.paths[row] * (shape.capacity * ld + 5) + $0 * ld)
            }
          let wanted = Self.intercept(
            vector(UnsafePointer(q + row * ldq)), seen.map { vector($0) }, seen.map { vector($0 + d) },
            scale: Double(arguments.scale), ridge: Double(ridge[head]))
          for j in 0..<width {
            deviation.note(out[row * ldo + column + j], wanted[j], allowed: 5e-5, "\(row), \(head), \(j)")
          }
        }
      }
      deviation.expectSmall(shape.testDescription)
    }
  }

  /// argmin over b and W of Σ p |v − b − W(k − q)|² + ridge·|W|², its b; p the softmax of scale·q·k.
  private static func intercept(
    _ q: [Double], _ keys: [[Double]], _ values: [[Double]], scale: Double, ridge: Double
  ) -> [Double] {
    guard !keys.isEmpty else { return q.map { _ in 0 } }
    let scores = keys.map { key in scale * zip(q, key).reduce(0) { $0 + $1.0 * $1.1 } }
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    let n = q.count + 1
    var a = [[Double]](repeating: [Double](repeating: 0, count: n + q.count), count: n)
    for (index, key) in keys.enumerated() {
      let f = [1] + zip(key, q).map { $0 - $1 }
      for i in 0..<n {
        for j in 0..<n { a[i][j] += weights[index] / total * f[i] * f[j] }
        for j in 0..<q.count { a[i][n + j] += weights[index] / total * f[i] * values[index][j] }
      }
    }
    for i in 1..<n { a[i][i] += ridge }
    for pivot in 0..<n {
      let best = (pivot..<n).max { abs(a[$0][pivot]) < abs(a[$1][pivot]) } ?? pivot
      a.swapAt(pivot, best)
      for row in 0..<n where row != pivot {
        let factor = a[row][pivot] / a[pivot][pivot]
        for column in pivot..<n + q.count { a[row][column] -= factor * a[pivot][column] }
      }
    }
    return (0..<q.count).map { a[0][n + $0] / a[0][0] }
  }
}
