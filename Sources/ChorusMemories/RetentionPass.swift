import CChorusKernels
import ChorusTensors
import Foundation

/// A retention's map of one matrix in training: in single precision, many numbers at a time, with what its derivative takes.
struct RetentionPass {
  let retention: MemorySpec.Retention
  let rows: Int
  let columns: Int
  let scale: Float
  /// W.
  let out: UnsafeMutablePointer<Float>
  /// Of a norm: what is divided, and one over what it is divided by. Of a softmax: the exponentials of the signs that W has,
  /// those of both signs, and one over each column's sum of the latter.
  private let top: UnsafeMutablePointer<Float>
  private let under: UnsafeMutablePointer<Float>
  private let sums: UnsafeMutablePointer<Float>
  private let total: Double
  private let arena: Arena

  private var count: Int { rows * columns }

  init(
    _ retention: MemorySpec.Retention, _ a: UnsafePointer<Float>, rows: Int, columns: Int, scale: Double,
    into out: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    (self.retention, self.rows, self.columns) = (retention, rows, columns)
    (self.out, self.arena) = (out, arena)
    self.scale = Float(scale)
    let count = rows * columns
    switch retention {
    case .quadratic:
      out.update(from: a, count: count)
      (top, under, sums, total) = (out, out, out, 1)
    case .norm(let q), .printedNorm(let q):
      let powers = arena.floats(count)
      Self.powers(count, a, q, times: a, into: powers)
      let sum = Self.dot(rows, columns, powers, a, arena) + MemorySpec.Retention.least
      out.update(from: retention == .norm(q) ? UnsafePointer(powers) : a, count: count)
      ck_scale(count, Float(pow(sum, -(q - 2) / q)), out)
      (top, under, sums, total) = (powers, powers, powers, sum)
    case .simplex, .signedSimplex:
      let signed = retention == .signedSimplex
      let (most, over, sums) = (arena.floats(columns), arena.floats(count), arena.zeros(columns))
      most.update(repeating: -.infinity, count: columns)
      for i in 0..<rows {
        let a = a + i * columns
        for j in 0..<columns {
          let x = signed ? abs(a[j]) : a[j]
          most[j] = most[j] > x ? most[j] : x
        }
      }
      for i in 0..<rows {
        let (a, over) = (a + i * columns, over + i * columns)
        for j in 0..<columns { over[j] = a[j] - most[j] }
      }
      var both = over
      if signed {
        both = arena.floats(count)
        for i in 0..<rows {
          let (a, back) = (a + i * columns, both + i * columns)
          for j in 0..<columns { back[j] = -a[j] - most[j] }
        }
        ck_exp(count, both, both)
      }
      ck_exp(count, over, over)
      if signed {
        for i in 0..<count { (over[i], both[i]) = (over[i] - both[i], over[i] + both[i]) }
      }
      for i in 0..<rows { ck_add(columns, both + i * columns, sums) }
      for j in 0..<columns { sums[j] = 1 / sums[j] }
      let whole = Float(scale) * Float(rows)
      for i in 0..<rows {
        let (over, out) = (over + i * columns, out + i * columns)
        for j in 0..<columns { out[j] = whole * over[j] * sums[j] }
      }
      (top, under, self.sums, total) = (over, both, sums, 1)
    }
  }

  /// From the gradient by W to that by A, in place; adds that by a softmax's number.
  func backward(
    _ a: UnsafePointer<Float>, by dy: UnsafeMutablePointer<Float>, toScale: inout Double
  ) {
    let mark = arena.mark
    switch retention {
    case .quadratic: break
    case .norm(let q):
      // With W = top·total^(−(q − 2)/q), top = A |A|^(q − 2) and total = Σ |A|^q.
      let factor = pow(total, -(q - 2) / q)
      let along = Float((q - 2) * Self.dot(rows, columns, dy, top, arena) * factor / total)
      let (slopes, own) = (arena.floats(count), Float((q - 1) * factor))
      Self.powers(count, a, q, times: nil, into: slopes)
      for i in 0..<count { dy[i] = own * slopes[i] * dy[i] - along * top[i] }
    case .printedNorm(let q):
      let factor = pow(total, -(q - 2) / q)
      let along = Float((q - 2) * Self.dot(rows, columns, dy, a, arena) * factor / total)
      let own = Float(factor)
      for i in 0..<count { dy[i] = own * dy[i] - along * top[i] }
    case .simplex, .signedSimplex:
      let shares = arena.zeros(columns)
      for i in 0..<rows {
        let (dy, out) = (dy + i * columns, out + i * columns)
        for j in 0..<columns { shares[j] += dy[j] * out[j] }
      }
      for j in 0..<columns { toScale += Double(shares[j]) / Double(scale) }
      let whole = scale * Float(rows)
      for i in 0..<rows {
        let (dy, top, under) = (dy + i * columns, top + i * columns, under + i * columns)
        for j in 0..<columns { dy[j] = sums[j] * (whole * under[j] * dy[j] - top[j] * shares[j]) }
      }
    }
    arena.rewind(to: mark)
  }

  /// |x|^(q − 2), times another number where there is one.
  private static func powers(
    _ count: Int, _ x: UnsafePointer<Float>, _ q: Double, times other: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>
  ) {
    if q == 4 {
      if let other {
        for i in 0..<count { out[i] = x[i] * x[i] * other[i] }
      } else {
        for i in 0..<count { out[i] = x[i] * x[i] }
      }
      return
    }
    if q == 2 {
      out.update(repeating: 1, count: count)
    } else {
      // Numbers whose squares have no logarithm in Float count as the least one that has.
      let least = Float.leastNormalMagnitude
      for i in 0..<count {
        let square = x[i] * x[i]
        out[i] = square > least ? square : least
      }
      ck_log(count, out, out)
      ck_scale(count, Float(q / 2 - 1), out)
      ck_exp(count, out, out)
    }
    if let other { for i in 0..<count { out[i] *= other[i] } }
  }

  /// Σ a ⊙ b, row by row in Float and over the rows in Double.
  private static func dot(
    _ rows: Int, _ columns: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ arena: Arena
  ) -> Double {
    let mark = arena.mark
    let parts = arena.zeros(rows)
    ck_row_products(Int32(rows), Int32(columns), a, Int32(columns), b, Int32(columns), 1, parts)
    var sum = 0.0
    for i in 0..<rows { sum += Double(parts[i]) }
    arena.rewind(to: mark)
    return sum
  }
}
