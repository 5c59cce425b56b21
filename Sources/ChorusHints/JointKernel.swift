import ChorusTensors
import Foundation

/// The kernel of a joint process, of unit variance: Matérn-3/2 of Σ_c d_c²/ℓ_c².
///
/// In a column of numbers d is the difference of two rows. In one of names of levels d² is 0 where two rows have the same level, and
/// else 2, which is what two rows of a column of unit deviation have on average.
struct JointKernel: Sendable {
  /// Columns of a row, names included.
  let columns: Int
  /// How many of them, the last, name levels.
  let names: Int
  /// 1/ℓ of each column.
  let inverseLengths: [Double]

  /// The square of the distance of two levels.
  static let apart = 2.0

  /// Rows in units of the lengths.
  struct Rows: Sendable {
    let count: Int
    /// `[count, columns − names]`, and their squared lengths.
    fileprivate let numbers, squares: [Double]
    /// `[count, names]`, as they came.
    fileprivate let names: [Double]
  }

  /// Reads rows `[count, columns]`.
  func read(_ x: [Double]) -> Rows {
    let (count, width) = (x.count / columns, columns - names)
    var (numbers, squares, named) = ([Double](), [Double](), [Double]())
    numbers.reserveCapacity(count * width)
    named.reserveCapacity(count * names)
    for row in 0..<count {
      var square = 0.0
      for c in 0..<width {
        let value = x[row * columns + c] * inverseLengths[c]
        numbers.append(value)
        square += value * value
      }
      squares.append(square)
      named += x[row * columns + width..<(row + 1) * columns]
    }
    return Rows(count: count, numbers: numbers, squares: squares, names: named)
  }

  /// The covariances of rows `a` with rows `b`, `[a, b]`.
  func covariances(_ a: Rows, _ b: Rows) -> [Double] {
    let (m, n, width) = (a.count, b.count, columns - names)
    let weights = inverseLengths.suffix(names).map { Self.apart * $0 * $0 }
    var all = [Double](repeating: 0, count: m * n)
    if width > 0 {
      DoubleKernels.products(a.numbers, rows: m, b.numbers, rows: n, columns: width, into: &all)
    }
    var (arguments, exponentials) = ([Double](repeating: 0, count: n), [Double](repeating: 0, count: n))
    all.withUnsafeMutableBufferPointer { all in
      arguments.withUnsafeMutableBufferPointer { arguments in
        exponentials.withUnsafeMutableBufferPointer { exponentials in
          guard let from = arguments.baseAddress, let to = exponentials.baseAddress else { return }
          for i in 0..<m {
            let row = UnsafeMutableBufferPointer(rebasing: all[i * n..<(i + 1) * n])
            for j in 0..<n { row[j] = max(a.squares[i] + b.squares[j] - 2 * row[j], 0) }
            for c in 0..<names {
              let own = a.names[i * names + c]
              for j in 0..<n where b.names[j * names + c] != own { row[j] += weights[c] }
            }
            for j in 0..<n { arguments[j] = -(3 * row[j]).squareRoot() }
            DoubleKernels.exp(n, from, to)
            for j in 0..<n { row[j] = (1 - arguments[j]) * exponentials[j] }
          }
        }
      }
    }
    return all
  }
}
