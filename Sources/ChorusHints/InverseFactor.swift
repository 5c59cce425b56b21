import ChorusTensors

/// L⁻¹ of K + cI = LLᵀ: what leave-one-out answers and the variances of other rows are made of.
struct InverseFactor: Sendable {
  let count: Int
  /// L⁻¹, row-major, zeros above the diagonal.
  private let values: [Double]
  /// log det(K + cI).
  let logDeterminant: Double

  /// - Parameter matrix: K, `[count, count]`; its lower triangle is read.
  /// - Returns: nil where the matrix is not positive definite.
  init?(_ matrix: [Double], _ count: Int, adding noise: Double) {
    var lower = matrix
    for i in 0..<count { lower[i * count + i] += noise }
    guard let factor = try? CholeskyFactor(lower: lower, count: count) else { return nil }
    logDeterminant = factor.logDeterminant
    var inverse = [Double](repeating: 0, count: count * count)
    for i in 0..<count { inverse[i * count + i] = 1 }
    inverse.withUnsafeMutableBufferPointer { inverse in
      factor.lower.withUnsafeBufferPointer { lower in
        guard let inverse = inverse.baseAddress, let lower = lower.baseAddress else { return }
        // Columns from `first` on are zero above it, so that they are solved for from there.
        for first in stride(from: 0, to: count, by: 32) {
          let place = first * count + first
          DoubleKernels.solveLower(
            count - first, lower + place, count, false, inverse + place, min(32, count - first), count)
        }
      }
    }
    self.count = count
    values = inverse
  }

  /// The diagonal of (K + cI)⁻¹.
  var diagonal: [Double] {
    var sums = [Double](repeating: 0, count: count)
    sums.withUnsafeMutableBufferPointer { sums in
      values.withUnsafeBufferPointer { values in
        for row in 0..<count {
          let own = UnsafeBufferPointer(rebasing: values[row * count..<row * count + row + 1])
          for column in 0...row { sums[column] += own[column] * own[column] }
        }
      }
    }
    return sums
  }

  /// (K + cI)⁻¹ y.
  func solve(_ y: [Double]) -> [Double] {
    var out = [Double](repeating: 0, count: count)
    out.withUnsafeMutableBufferPointer { out in
      values.withUnsafeBufferPointer { values in
        y.withUnsafeBufferPointer { y in
          for row in 0..<count {
            let own = UnsafeBufferPointer(rebasing: values[row * count..<row * count + row + 1])
            var white = 0.0
            for column in 0...row { white += own[column] * y[column] }
            for column in 0...row { out[column] += own[column] * white }
          }
        }
      }
    }
    return out
  }

  /// kᵀ(K + cI)⁻¹k for each row k of `rows` `[many, count]`.
  func squares(_ rows: [Double], _ many: Int) -> [Double] {
    var white = [Double](repeating: 0, count: many * count)
    DoubleKernels.products(rows, rows: many, values, rows: count, columns: count, into: &white)
    return (0..<many).map { row in
      var sum = 0.0
      for column in 0..<count { sum += white[row * count + column] * white[row * count + column] }
      return sum
    }
  }
}

extension DoubleKernels {
  /// c [m, n] += a bᵀ for a `[m, columns]` and b `[n, columns]`.
  static func products(
    _ a: [Double], rows m: Int, _ b: [Double], rows n: Int, columns: Int, into c: inout [Double]
  ) {
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          multiply(m, n, columns, a, b, c)
        }
      }
    }
  }
}
