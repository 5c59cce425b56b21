import CChorusKernels
import ChorusTensors

/// Σ left·rightᵀ over the rows of a set, a head: summed in tiles that threads may write side by side, and added up in
/// Double in the tiles' order, so that the sums do not depend on who wrote which.
final class Moments: Sendable {
  /// Rows of a tile.
  static var tile: Int { 32 }

  let rows: Int
  private let heads: Int
  private let rank: Int
  private let columns: Int
  /// `[tiles][heads][rank, columns]`.
  private let parts: FloatBuffer

  init(rows: Int, heads: Int, rank: Int, columns: Int) {
    (self.rows, self.heads, self.rank, self.columns) = (rows, heads, rank, columns)
    parts = FloatBuffer(count: (rows + Self.tile - 1) / Self.tile * heads * rank * columns)
  }

  /// Sums up rows `range`, which begins with a tile. `terms` writes left `[rank]` and right `[columns]` of a head of a row,
  /// counted from the range's first; both are zeros before.
  func write(
    rows range: Range<Int>, _ scratch: Arena,
    _ terms: (
      _ row: Int, _ head: Int, _ left: UnsafeMutablePointer<Float>, _ right: UnsafeMutablePointer<Float>
    ) -> Void
  ) {
    for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.tile) {
      let count = min(Self.tile, range.upperBound - first)
      for head in 0..<heads {
        let mark = scratch.mark
        let (left, right) = (scratch.zeros(count * rank), scratch.zeros(count * columns))
        for index in 0..<count {
          terms(first - range.lowerBound + index, head, left + index * rank, right + index * columns)
        }
        let (m, n, k) = (Int32(rank), Int32(columns), Int32(count))
        ck_matmul_tn(
          m, n, k, left, m, right, n,
          parts.pointer + (first / Self.tile * heads + head) * rank * columns, n, 0,
          scratch.floats(ck_matmul_tn_scratch(m, n, k)))
        scratch.rewind(to: mark)
      }
    }
  }

  /// The sums, `[heads][rank, columns]`.
  var total: [Double] {
    let count = heads * rank * columns
    var sums = [Double](repeating: 0, count: count)
    for part in 0..<parts.count / max(1, count) {
      for i in sums.indices { sums[i] += Double(parts.pointer[part * count + i]) }
    }
    return sums
  }
}
