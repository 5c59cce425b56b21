import ChorusTensors

/// L⁻¹ of K + cI = LLᵀ: what leave-one-out answers and the variances of other rows are made of.
///
/// Kept in bands of rows, each as wide as its last row is long, so that next to nothing of the zeros above the diagonal is held.
struct InverseFactor: Sendable {
  let count: Int
  /// L⁻¹, band after band, row-major.
  private let values: [Double]
  /// log det(K + cI).
  let logDeterminant: Double

  /// Rows of a band. Products take eight at once, and their bytes are those of whole rows: zeros add nothing.
  private static let band = 64

  /// The rows of each band, and where it begins; a row of it has `rows.upperBound` numbers.
  private static func bands(_ count: Int) -> [(rows: Range<Int>, first: Int)] {
    var first = 0
    return stride(from: 0, to: count, by: band).map { row in
      let rows = row..<min(row + band, count)
      defer { first += rows.count * rows.upperBound }
      return (rows, first)
    }
  }

  /// - Parameters:
  ///   - matrix: K, `[count, count]`; its lower triangle is read.
  ///   - own: what is added to the diagonal beside c, row by row; empty for nothing.
  /// - Returns: nil where the matrix is not positive definite.
  init?(_ matrix: consuming [Double], _ count: Int, adding noise: Double, _ own: [Double] = []) {
    var lower = consume matrix
    for i in 0..<count { lower[i * count + i] += own.isEmpty ? noise : noise + own[i] }
    guard let factor = try? CholeskyFactor(lower: consume lower, count: count) else { return nil }
    logDeterminant = factor.logDeterminant
    self.count = count
    let bands = Self.bands(count)
    var values = [Double](
      repeating: 0, count: bands.reduce(0) { $0 + $1.rows.count * $1.rows.upperBound })
    // Columns from `first` on are zero above it, so that they are solved for from there; some at a time, so that no more is held.
    for first in stride(from: 0, to: count, by: Self.together) {
      let width = min(Self.together, count - first)
      let columns = Self.columns(first, width, of: factor)
      for band in bands where band.rows.upperBound > first {
        for row in max(band.rows.lowerBound, first)..<band.rows.upperBound {
          let place = band.first + (row - band.rows.lowerBound) * band.rows.upperBound + first
          for i in 0..<width { values[place + i] = columns[(row - first) * width + i] }
        }
      }
    }
    self.values = values
  }

  /// Columns of L⁻¹ that are solved for at once; a band's rows are as many or more.
  private static let together = 32

  /// Columns `first` and those after it of L⁻¹, from row `first` on, `[count − first, width]`.
  private static func columns(_ first: Int, _ width: Int, of factor: CholeskyFactor) -> [Double] {
    let (count, rows) = (factor.count, factor.count - first)
    var columns = [Double](repeating: 0, count: rows * width)
    for i in 0..<width { columns[i * width + i] = 1 }
    columns.withUnsafeMutableBufferPointer { columns in
      factor.lower.withUnsafeBufferPointer { lower in
        guard let columns = columns.baseAddress, let lower = lower.baseAddress else { return }
        DoubleKernels.solveLower(rows, lower + first * count + first, count, false, columns, width, width)
      }
    }
    return columns
  }

  /// A⁻¹ of A = LLᵀ, `[count, count]`, of which only the lower triangle counts.
  static func lowerInverse(of factor: CholeskyFactor) -> [Double] {
    let count = factor.count
    var inverse = [Double](repeating: 0, count: count * count)
    for first in stride(from: 0, to: count, by: together) {
      let (width, rows) = (min(together, count - first), count - first)
      // Rows from `first` on of A⁻¹ are made of the same rows of L⁻¹.
      var columns = columns(first, width, of: factor)
      columns.withUnsafeMutableBufferPointer { columns in
        factor.lower.withUnsafeBufferPointer { lower in
          guard let columns = columns.baseAddress, let lower = lower.baseAddress else { return }
          DoubleKernels.solveLower(rows, lower + first * count + first, count, true, columns, width, width)
        }
      }
      for row in 0..<rows {
        for i in 0..<width { inverse[(first + row) * count + first + i] = columns[row * width + i] }
      }
    }
    return inverse
  }

  /// Calls `body` with each row up to the diagonal.
  private func forEachRow(_ body: (_ row: Int, UnsafeBufferPointer<Double>) -> Void) {
    values.withUnsafeBufferPointer { values in
      for band in Self.bands(count) {
        for (place, row) in band.rows.enumerated() {
          let begin = band.first + place * band.rows.upperBound
          body(row, UnsafeBufferPointer(rebasing: values[begin..<begin + row + 1]))
        }
      }
    }
  }

  /// The diagonal of (K + cI)⁻¹.
  var diagonal: [Double] {
    var sums = [Double](repeating: 0, count: count)
    sums.withUnsafeMutableBufferPointer { sums in
      forEachRow { row, own in
        for column in 0...row { sums[column] += own[column] * own[column] }
      }
    }
    return sums
  }

  /// (K + cI)⁻¹ y.
  func solve(_ y: [Double]) -> [Double] {
    var out = [Double](repeating: 0, count: count)
    out.withUnsafeMutableBufferPointer { out in
      y.withUnsafeBufferPointer { y in
        forEachRow { row, own in
          var white = 0.0
          for column in 0...row { white += own[column] * y[column] }
          for column in 0...row { out[column] += own[column] * white }
        }
      }
    }
    return out
  }

  /// kᵀ(K + cI)⁻¹k for each row k of `rows` `[many, count]`.
  func squares(_ rows: [Double], _ many: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: many)
    var white = [Double](repeating: 0, count: many * Self.band)
    values.withUnsafeBufferPointer { values in
      rows.withUnsafeBufferPointer { rows in
        white.withUnsafeMutableBufferPointer { white in
          guard let values = values.baseAddress, let rows = rows.baseAddress, let out = white.baseAddress
          else { return }
          for (band, first) in Self.bands(count) {
            let width = band.count
            white.update(repeating: 0)
            DoubleKernels.multiply(
              many, width, band.upperBound, rows, across: count, values + first, across: band.upperBound, out)
            for row in 0..<many {
              for column in 0..<width { sums[row] += out[row * width + column] * out[row * width + column] }
            }
          }
        }
      }
    }
    return sums
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
