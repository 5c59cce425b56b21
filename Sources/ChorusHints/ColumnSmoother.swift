import ChorusData
import Foundation

/// How much a column alone tells of the output: the part of its variance that a smoother of that column explains of rows it has
/// not seen, r = max(0, 1 − MSE/MSE₀), both errors leave-one-out.
///
/// Numbers: the mean over a window of about √n rows of near rank, those with equal values first, with one pseudo-row at the mean.
/// Levels, and numbers of fewer than eight different values: (Σ_{n≠i} y + 2 ȳ₋ᵢ)/(n + 2). Rows with known errors count less, and what
/// errors add to squares is taken off.
enum ColumnSmoother {
  /// - Parameters:
  ///   - column: NaN where a cell is missing.
  ///   - y: outputs, of about unit deviation without their errors.
  static func relevance(
    of column: [Double], isCategory: Bool, y: [Double], errors: KnownErrors = .none
  ) -> Double {
    let count = y.count
    guard count > 2 else { return 0 }
    let weights = errors.weights(beside: 1, count: count)
    let (total, all) = (y.indices.reduce(0) { $0 + weights[$1] * y[$1] }, weights.reduce(0, +))
    func mean(without row: Int) -> Double { (total - weights[row] * y[row]) / (all - weights[row]) }
    let present = column.indices.filter { !column[$0].isNaN }
    // Levels in the order in which rows first have them: sums must not depend on what levels are called.
    var firsts: [Double: Int] = [:]
    if isCategory { for row in present where firsts[column[row]] == nil { firsts[column[row]] = row } }
    let keys = isCategory ? column.map { Double(firsts[$0] ?? 0) } : column
    let order = present.sorted { keys[$0] != keys[$1] ? keys[$0] < keys[$1] : $0 < $1 }
    var distinct = 0
    for (place, row) in order.enumerated() where place == 0 || column[order[place - 1]] != column[row] {
      distinct += 1
    }
    var (error, plain) = (0.0, 0.0)
    func judge(_ row: Int, _ foretold: Double) {
      let (own, noise, level) = (weights[row], errors.variance(row), mean(without: row))
      error += own * ((y[row] - foretold) * (y[row] - foretold) - noise)
      plain += own * ((y[row] - level) * (y[row] - level) - noise)
    }
    /// The sum of some rows' outputs as they count, and how much they count.
    func tied(_ rows: some Collection<Int>) -> (sum: Double, weight: Double) {
      rows.reduce((0, 0)) { ($0.0 + weights[$1] * y[$1], $0.1 + weights[$1]) }
    }
    /// Rows of one level, or without a cell.
    func judge(level rows: some Collection<Int>) {
      let (sum, weight) = tied(rows)
      for row in rows {
        judge(
          row, (sum - weights[row] * y[row] + 2 * mean(without: row)) / (weight - weights[row] + 2))
      }
    }
    judge(level: column.indices.filter { column[$0].isNaN })
    let isDiscrete = isCategory || distinct < 8
    let window = max(3, Double(order.count).squareRoot().rounded(.down))
    var first = 0
    while first < order.count {
      var end = first
      while end < order.count, column[order[end]] == column[order[first]] { end += 1 }
      let ties = order[first..<end]
      if isDiscrete {
        judge(level: ties)
      } else {
        let value = column[order[first]]
        // Neighbours on both sides by distance, with weights that fall to a half of nothing; the same for all ties but one's own.
        var near: [(weight: Double, y: Double)] = []
        var (low, high) = (first - 1, end)
        var need = window - Double(ties.count - 1)
        var taken = 0.0
        while need > 0, low >= 0 || high < order.count, taken < 2 * window {
          let isLeft =
            high >= order.count
            || (low >= 0 && value - column[order[low]] <= column[order[high]] - value)
          let row = isLeft ? order[low] : order[high]
          if isLeft { low -= 1 } else { high += 1 }
          near.append((weights[row] * (1 - taken / (2 * window)), y[row]))
          taken += 1
          need -= 0.5
        }
        let weight = near.reduce(0) { $0 + $1.weight }
        let sum = near.reduce(0) { $0 + $1.weight * $1.y }
        let own = tied(ties)
        for row in ties {
          let rest = sum + own.sum - weights[row] * y[row] + mean(without: row)
          judge(row, rest / (weight + (own.weight - weights[row] + 1)))
        }
      }
      first = end
    }
    return plain > 0 ? min(max(0, 1 - error / plain), 1) : 0
  }
}
