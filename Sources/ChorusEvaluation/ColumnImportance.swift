import ChorusData
import ChorusTensors

/// How many nats a row a prediction loses when a column's cells are exchanged between the rows that were held out, and all else stays:
/// permutation importance (Breiman 2001, section 10) by the logarithmic score.
///
/// A column counts for what the prediction makes of it beside the others: of two that say the same, each may count for little.
///
/// ```swift
/// let losses = try ColumnImportance.losses(of: [[0], [1, 2]], rows: held, seed: 1) { rows in
///   zip(try posterior.marginals(at: rows), y).map { $0.logDensity($1) }
/// }
/// ```
public struct ColumnImportance: Sendable, Hashable {
  /// The mean over rows and exchanges, in nats.
  public let loss: Double
  /// The standard error of the mean over rows; NaN for one row.
  public let error: Double

  /// One for each set of columns, whose cells of a row stay together (those that stand for one date).
  ///
  /// - Parameters:
  ///   - columns: places in the cells of a row.
  ///   - rows: held-out rows.
  ///   - exchanges: random orders that the mean is taken over.
  ///   - score: the logarithmic score of every row, given rows as they are or with exchanged cells.
  /// - Throws: what `score` throws; `DataError` never, as exchanged cells were cells before.
  public static func losses(
    of columns: [[Int]], rows: Cells, exchanges: Int = 5, seed: UInt64,
    score: (Cells) throws -> [Double]
  ) throws -> [ColumnImportance] {
    let plain = try score(rows)
    return try columns.enumerated().map { index, places in
      var falls = [Double](repeating: 0, count: rows.count)
      for exchange in 0..<exchanges {
        var stream = RandomStream(seed: seed, .evaluation, UInt64(index), UInt64(exchange))
        let order = stream.permutation(rows.count)
        var values = rows.values
        for row in 0..<rows.count {
          for place in places { values[row * rows.columns + place] = rows[order[row], place] }
        }
        let scores = try score(Cells(values, categories: rows.categories))
        for row in falls.indices { falls[row] += (plain[row] - scores[row]) / Double(exchanges) }
      }
      let mean = RepeatedMean(falls)
      return ColumnImportance(loss: mean.mean, error: mean.standardError)
    }
  }
}
