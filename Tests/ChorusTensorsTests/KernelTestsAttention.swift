import CChorusKernels
import ChorusTensors
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// softmax(scale * q k) v of one row and head in float64, with the log-sum-exp.
private func attend(_ q: [Double], _ keys: [[Double]], _ values: [[Double]], scale: Double) -> (
  out: [Double], lse: Double
) {
  let scores = keys.map { key in scale * zip(q, key).reduce(0) { $0 + $1.0 * $1.1 } }
  guard let best = scores.max() else { return (q.map { _ in 0 }, -.infinity) }
  let total = scores.reduce(0) { $0 + exp($1 - best) }
  var out = q.map { _ in 0.0 }
  for (score, value) in zip(scores, values) {
    for j in out.indices { out[j] += exp(score - best) / total * value[j] }
  }
  return (out, best + log(total))
}

private func row(_ p: UnsafePointer<Float>, _ count: Int) -> [Double] {
  (0..<count).map { Double(p[$0]) }
}

@Suite struct KernelTestsAttention {
  struct Shape: CustomTestStringConvertible, Sendable {
    var rows: Int, heads = 2, width: Int, shared: Int, perPath = 1, capacity = 0
    var limit: Int?  // of every row; nil: drawn
    var ragged = false  // paths of 0...4 rows instead of perPath each
    var masked = false
    var testDescription: String {
      "rows \(rows) heads \(heads) width \(width) shared \(shared) per path \(perPath) capacity \(capacity)"
        + (ragged ? " ragged" : "") + (masked ? " masked" : "")
    }
  }

  static let counts = [0, 1, 7, 8, 9, 63, 64, 65, 200]
  static let widths = [8, 16, 20, 32, 5, 64]

  static let forwardShapes: [Shape] =
    counts.flatMap { count in
      widths.map { width in Shape(rows: 1 + (count + width) % 13, width: width, shared: count) }
    }
    + counts.flatMap { count in
      widths.map { width in
        Shape(
          rows: 1 + (count * 3 + width) % 13, width: width, shared: count % 70,
          perPath: 1 + width % 3,
          capacity: count)
      }
    }
    + (0...13).map { Shape(rows: $0, heads: 1, width: 32, shared: 65, perPath: 2, capacity: 33) }
    + [
      Shape(rows: 110, heads: 1, width: 32, shared: 20, perPath: 110, capacity: 100),
      Shape(rows: 64, heads: 4, width: 16, shared: 70, perPath: 2, capacity: 9),
      Shape(rows: 7, heads: 1, width: 8, shared: 0, perPath: 7, capacity: 12, limit: 0),
      Shape(rows: 7, heads: 1, width: 8, shared: 3, perPath: 3, capacity: 200, limit: 200),
    ]
    + [0, 1, 9, 64, 65, 200].flatMap { capacity in
      [(8, 1), (20, 5), (32, 50), (64, 23)].flatMap { width, rows in
        [(0, true), (70, true), (33, false)].map { shared, ragged in
          Shape(
            rows: rows, width: width, shared: shared, perPath: 9, capacity: capacity,
            ragged: ragged,
            masked: true)
        }
      }
    }
    + [Shape(rows: 100, heads: 1, width: 16, shared: 9, capacity: 130, ragged: true)]
    + KernelShapes.readings.map {
      Shape(
        rows: $0.rows, heads: $0.heads, width: $0.width, shared: $0.shared, perPath: $0.rowsPerPath,
        capacity: $0.capacity)
    }

  @Test(arguments: instances, forwardShapes)
  func forward(isa: Int32, shape: Shape) {
    let table = kernels(isa)
    withMemory(seed: shape.rows + shape.shared) { memory in
      let (rows, heads, width, shared) = (shape.rows, shape.heads, shape.width, shape.shared)
      let d = heads * width
      let ldq = d + 3
      let ldo = d + 1
      let capacity = shape.capacity
      let pathOf = Self.paths(shape, &memory.numbers)
      let paths = (pathOf.last ?? 0) + 1
      let q = memory.matrix(rows, d, stride: ldq)
      let out = memory.matrix(rows, d, stride: ldo)
      let lse = memory.floats(heads * rows)
      let k = memory.normals(shared * d)
      let v = memory.normals(shared * d)
      let sizes = (Int32(shared), Int32(heads), Int32(width))
      let keys = memory.floats(ck_shared_keys_count(sizes.0, sizes.1, sizes.2), filledWith: .nan)
      let values = memory.floats(
        ck_shared_values_count(sizes.0, sizes.1, sizes.2), filledWith: .nan)
      // In parts, as threads do; the forward test below notices a part that is not where it belongs.
      let part = 16 * (1 + rows % 3)
      for first in stride(from: 0, to: shared, by: part) {
        table.pack_shared(
          Int32(first), Int32(min(part, shared - first)), sizes.0, sizes.1, sizes.2, k + first * d,
          Int32(d),
          v + first * d, Int32(d), keys, values)
      }

      // What a path has not appended stays NaN: nothing may read it.
      let keyStride = ck_private_keys_count(Int32(capacity), sizes.1, sizes.2)
      let valueStride = ck_private_values_count(Int32(capacity), sizes.1, sizes.2)
      let privateKeys = memory.floats(paths * keyStride, filledWith: .nan)
      let privateValues = memory.floats(paths * valueStride, filledWith: .nan)
      let ownKeys = memory.normals(paths * capacity * d)
      let ownValues = memory.normals(paths * capacity * d)
      let limits = (0..<rows).map { _ in shape.limit ?? memory.numbers.below(capacity + 1) }
      let (masks, starts) = Self.masks(shape, limits, &memory.numbers)
      let sees = (0..<rows).map { row in
        (0..<limits[row]).filter {
          starts[row] < 0 || masks[starts[row] + $0 / 64] >> UInt64($0 % 64) & 1 == 1
        }
      }
      // Of each block of 64 the rows up to the last one that somebody sees.
      var highest: [Int: Int] = [:]
      for row in 0..<rows {
        for slot in sees[row] {
          let block = pathOf[row] * 1000 + slot / 64
          highest[block] = max(highest[block] ?? 0, slot)
        }
      }
      for (block, slot) in highest {
        let path = block / 1000
        for index in slot / 64 * 64...slot {
          let from = (path * capacity + index) * d
          table.append_private(
            Int32(index), Int32(capacity), sizes.1, sizes.2, ownKeys + from, ownValues + from,
            privateKeys + path * keyStride, privateValues + path * valueStride)
        }
      }
      let scale = 1 / Double(width).squareRoot()
      let visible = memory.integers(limits)
      var args = ck_attention_args()
      (args.rows, args.heads, args.width, args.scale) = (
        Int32(rows), sizes.1, sizes.2, Float(scale)
      )
      (args.q, args.ldq, args.out, args.ldo, args.lse) = (
        UnsafePointer(q), Int32(ldq), out, Int32(ldo), lse
      )
      args.shared_count = sizes.0
      if shared > 0 {
        (args.shared_keys, args.shared_values) = (UnsafePointer(keys), UnsafePointer(values))
      }
      if capacity > 0 {
        args.capacity = Int32(capacity)
        (args.private_keys, args.private_keys_stride) = (UnsafePointer(privateKeys), keyStride)
        (args.private_values, args.private_values_stride) = (
          UnsafePointer(privateValues), valueStride
        )
        args.limits = UnsafePointer(visible)
        args.paths = UnsafePointer(memory.integers(pathOf))
        args.mask_starts = UnsafePointer(memory.integers(starts))
        if shape.masked { args.masks = UnsafePointer(memory.words(masks)) }
      }
      args.scratch = memory.floats(ck_attention_scratch(Int32(rows), sizes.1, sizes.2, sizes.0))
      table.attention(&args)

      var deviation = Deviation()
      let alone = memory.floats(d)
      let aloneLse = memory.floats(heads)
      for r in 0..<rows {
        let path = pathOf[r]
        for h in 0..<heads {
          let column = h * width
          let own = sees[r].map { (path * capacity + $0) * d + column }
          let (wanted, wantedLse) = attend(
            row(q + r * ldq + column, width),
            (0..<shared).map { row(k + $0 * d + column, width) }
              + own.map { row(ownKeys + $0, width) },
            (0..<shared).map { row(v + $0 * d + column, width) }
              + own.map { row(ownValues + $0, width) },
            scale: Double(Float(scale)))
          deviation.note(lse[h * rows + r], wantedLse, allowed: 5e-6, "lse \(h), \(r)")
          for j in 0..<width {
            deviation.note(
              out[r * ldo + column + j], wanted[j], allowed: 5e-6, "\(r), \(column + j)")
          }
        }
        // The row alone, in a call of its own.
        var single = args
        (single.rows, single.q, single.out, single.lse) = (
          1, UnsafePointer(q + r * ldq), alone, aloneLse
        )
        if capacity > 0 {
          single.private_keys = UnsafePointer(privateKeys + path * keyStride)
          single.private_values = UnsafePointer(privateValues + path * valueStride)
          single.limits = UnsafePointer(visible + r)
          single.paths = nil
          single.mask_starts = args.mask_starts + r
        }
        table.attention(&single)
        #expect(sameBytes(alone, out + r * ldo, d), "row \(r)")
        for h in 0..<heads {
          #expect(sameBytes(aloneLse + h, lse + h * rows + r, 1), "lse \(h) of row \(r)")
        }
      }
      deviation.expectSmall(shape.testDescription)
    }
  }

  private static func paths(_ shape: Shape, _ numbers: inout Numbers) -> [Int] {
    guard shape.ragged else { return (0..<shape.rows).map { $0 / shape.perPath } }
    var path = 0
    return (0..<shape.rows).map { _ in
      path += [0, 0, 0, 1, 2][numbers.below(5)]
      return path
    }
  }

  /// Words of each row's mask and where they begin: for a third of the rows none, else bits of any density, whole
  /// blocks of 64 left out now and then.
  private static func masks(_ shape: Shape, _ limits: [Int], _ numbers: inout Numbers) -> (
    [UInt64], [Int]
  ) {
    var words: [UInt64] = []
    var starts: [Int] = []
    for limit in limits {
      guard shape.masked, numbers.below(3) > 0 else {
        starts.append(-1)
        continue
      }
      starts.append(words.count)
      for _ in 0..<(limit + 63) / 64 {
        switch numbers.below(5) {
        case 0: words.append(0)
        case 1: words.append(1 << UInt64(numbers.below(64)))
        case 2: words.append(numbers.bits() | numbers.bits())
        case 3: words.append(numbers.bits() & numbers.bits() & numbers.bits())
        default: words.append(numbers.bits())
        }
      }
    }
    return (words, starts)
  }

  /// A mask that hides nothing gives the bytes of no mask.
  @Test(arguments: instances)
  func aFullMaskChangesNoByte(isa: Int32) {
    let table = kernels(isa)
    withMemory(seed: 3) { memory in
      let (rows, heads, width, capacity) = (11, 2, 16, 150)
      let d = heads * width
      let keys = memory.normals(ck_private_keys_count(Int32(capacity), Int32(heads), Int32(width)))
      let values = memory.normals(
        ck_private_values_count(Int32(capacity), Int32(heads), Int32(width)))
      var args = ck_attention_args()
      (args.rows, args.heads, args.width, args.scale) = (
        Int32(rows), Int32(heads), Int32(width), 0.25
      )
      (args.q, args.ldq, args.ldo) = (UnsafePointer(memory.normals(rows * d)), Int32(d), Int32(d))
      (args.private_keys, args.private_values) = (UnsafePointer(keys), UnsafePointer(values))
      args.capacity = Int32(capacity)
      args.limits = UnsafePointer(memory.integers((0..<rows).map { $0 * 15 }))
      args.scratch = memory.floats(ck_attention_scratch(args.rows, args.heads, args.width, 0))
      let outs = [memory.floats(rows * d), memory.floats(rows * d)]
      args.out = outs[0]
      table.attention(&args)
      args.masks = UnsafePointer(memory.words([UInt64](repeating: .max, count: 3)))
      args.mask_starts = UnsafePointer(memory.integers([Int](repeating: 0, count: rows)))
      args.out = outs[1]
      table.attention(&args)
      #expect(sameBytes(outs[0], outs[1], rows * d))
    }
  }

  static let backwardShapes: [Shape] =
    counts.flatMap { count in
      widths.map { width in Shape(rows: 1 + (count * 5 + width) % 60, width: width, shared: count) }
    } + (0...13).map { Shape(rows: $0, heads: 3, width: 32, shared: 65) }
    + [Shape(rows: 120, heads: 1, width: 32, shared: 130)]
    + KernelShapes.readingsBackward.map {
      Shape(rows: $0.rows, heads: $0.heads, width: $0.width, shared: $0.shared + $0.capacity)
    }

  /// Gradients against the formula in float64; that formula against finite differences in the next test.
  @Test(arguments: instances, backwardShapes)
  func backward(isa: Int32, shape: Shape) {
    for limited in [false, true] {
      runBackward(kernels(isa), shape, limited: limited) { reference, row, head in
        let (keys, values, q, slope) = (
          reference.keys, reference.values, reference.q, reference.slope
        )
        let (out, lse) = attend(q, keys, values, scale: reference.scale)
        let delta = zip(out, slope).reduce(0) { $0 + $1.0 * $1.1 }
        var dq = q.map { _ in 0.0 }
        var dk = keys
        var dv = values
        for i in keys.indices {
          let weight = exp(reference.scale * zip(q, keys[i]).reduce(0) { $0 + $1.0 * $1.1 } - lse)
          let ds =
            weight * (zip(slope, values[i]).reduce(0) { $0 + $1.0 * $1.1 } - delta)
            * reference.scale
          for j in q.indices {
            dq[j] += ds * keys[i][j]
            dk[i][j] = ds * q[j]
            dv[i][j] = weight * slope[j]
          }
        }
        return (dq, dk, dv)
      }
    }
  }

  @Test(arguments: instances)
  func backwardByFiniteDifferences(isa: Int32) {
    for (rows, width, count) in [(3, 8, 5), (7, 5, 9), (2, 16, 17)] {
      runBackward(kernels(isa), Shape(rows: rows, width: width, shared: count), limited: true) {
        reference, _, _ in
        func slope(_ vary: (inout [Double], inout [[Double]], inout [[Double]], Double) -> Void)
          -> Double
        {
          func loss(_ step: Double) -> Double {
            var (q, keys, values) = (reference.q, reference.keys, reference.values)
            vary(&q, &keys, &values, step)
            return zip(attend(q, keys, values, scale: reference.scale).out, reference.slope)
              .reduce(0) { $0 + $1.0 * $1.1 }
          }
          return (loss(1e-5) - loss(-1e-5)) / 2e-5
        }
        return (
          reference.q.indices.map { j in slope { q, _, _, step in q[j] += step } },
          reference.keys.indices.map { i in
            reference.q.indices.map { j in slope { _, keys, _, step in keys[i][j] += step } }
          },
          reference.keys.indices.map { i in
            reference.q.indices.map { j in slope { _, _, values, step in values[i][j] += step } }
          }
        )
      }
    }
  }

  private struct Problem {
    var q: [Double], slope: [Double], keys: [[Double]], values: [[Double]], scale: Double
  }

  /// Runs the kernel; `gradients` gives what one row and head adds to its dq and to dk and dv of its keys.
  private func runBackward(
    _ table: ck_table, _ shape: Shape, limited: Bool,
    gradients: (Problem, Int, Int) -> (dq: [Double], dk: [[Double]], dv: [[Double]])
  ) {
    withMemory(seed: shape.rows + shape.shared + shape.width) { memory in
      let (rows, heads, width, count) = (shape.rows, shape.heads, shape.width, shape.shared)
      let d = heads * width
      let ld = d + 1
      let ldg = d + 2
      let q = memory.matrix(rows, d, stride: ld)
      let slope = memory.matrix(rows, d, stride: ldg)
      let k = memory.matrix(count, d, stride: ld)
      let v = memory.matrix(count, d, stride: ldg)
      let dq = memory.matrix(rows, d, stride: ld)
      let dk = memory.matrix(count, d, stride: ld)
      let dv = memory.matrix(count, d, stride: ldg)
      let out = memory.floats(rows * d)
      let lse = memory.floats(heads * rows)
      let delta = memory.floats(heads * rows)
      let limits = (0..<rows).map { _ in limited ? memory.numbers.below(count + 1) : count }
      let scale = Float(1 / Double(width).squareRoot())
      var wantedQ = row(dq, rows == 0 ? 0 : (rows - 1) * ld + d)
      var wantedK = row(dk, count == 0 ? 0 : (count - 1) * ld + d)
      var wantedV = row(dv, count == 0 ? 0 : (count - 1) * ldg + d)
      for r in 0..<rows {
        for h in 0..<heads {
          let column = h * width
          let problem = Problem(
            q: row(q + r * ld + column, width), slope: row(slope + r * ldg + column, width),
            keys: (0..<limits[r]).map { row(k + $0 * ld + column, width) },
            values: (0..<limits[r]).map { row(v + $0 * ldg + column, width) }, scale: Double(scale))
          let forward = attend(problem.q, problem.keys, problem.values, scale: problem.scale)
          lse[h * rows + r] = Float(forward.lse)
          for j in 0..<width { out[r * d + column + j] = Float(forward.out[j]) }
          let adds = gradients(problem, r, h)
          for j in 0..<width {
            wantedQ[r * ld + column + j] += adds.dq[j]
            for i in 0..<limits[r] {
              wantedK[i * ld + column + j] += adds.dk[i][j]
              wantedV[i * ldg + column + j] += adds.dv[i][j]
            }
          }
        }
      }
      let sizes = (Int32(rows), Int32(heads), Int32(width), Int32(count))
      table.attention_delta(sizes.0, sizes.1, sizes.2, out, Int32(d), slope, Int32(ldg), delta)
      let visible = memory.integers(limits)
      let scratch = memory.floats(ck_attention_backward_scratch(sizes.0, sizes.1, sizes.2, sizes.3))
      var args = ck_attention_backward_args(
        rows: sizes.0, heads: sizes.1, width: sizes.2, key_heads: 0, scale: scale, q: q, ldq: Int32(ld),
        dout: slope,
        lddout: Int32(ldg), lse: lse, delta: delta, count: sizes.3, k: k, v: v, ldk: Int32(ld),
        ldv: Int32(ldg),
        limits: limited ? UnsafePointer(visible) : nil, dq: dq, lddq: Int32(ld), dk: dk, dv: dv,
        lddk: Int32(ld),
        lddv: Int32(ldg), scratch: scratch)
      table.attention_backward(&args)
      var deviation = Deviation()
      for (i, wanted) in wantedQ.enumerated() {
        deviation.note(dq[i], wanted, allowed: 2e-5, "dq \(i)")
      }
      for (i, wanted) in wantedK.enumerated() {
        deviation.note(dk[i], wanted, allowed: 4e-5, "dk \(i)")
      }
      for (i, wanted) in wantedV.enumerated() {
        deviation.note(dv[i], wanted, allowed: 4e-5, "dv \(i)")
      }
      deviation.expectSmall("\(shape.testDescription), limited: \(limited)")
    }
  }
}
