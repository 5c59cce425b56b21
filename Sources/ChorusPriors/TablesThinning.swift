extension TablesPrior {
  /// Whether a column alone, or the nearest rows, tell at least 0.03 of the variance of y, left out one by one: a cheap
  /// stand-in for a fitted model.
  static func isPredictable(_ y: Column, from columns: [TableColumn]) -> Bool {
    let scaled = columns.map { $0.isCategory ? $0.values : $0.values.standardised }
    for (column, values) in zip(columns, scaled) {
      let bins =
        column.isCategory
        ? values.map { Int($0) }
        // Half deviations, from -2 to 2.
        : values.map { Int(2 * min(max($0 + 2, 0), 3.99)) }
      if explained(y, by: binMeans(y, bins)) >= 0.03 { return true }
    }
    return explained(y, by: neighbourMeans(y, columns, scaled)) >= 0.03
  }

  /// The share of the variance of the first rows of y that `guesses` explain.
  private static func explained(_ y: Column, by guesses: Column) -> Double {
    let known = Array(y.prefix(guesses.count))
    let (mean, deviation) = known.moments
    var squares = 0.0
    for (value, guess) in zip(known, guesses) { squares += (value - mean - guess) * (value - mean - guess) }
    return 1 - squares / (Double(known.count) * deviation * deviation + 1e-12)
  }

  /// For each row the mean of y, less the mean of all, over the other rows of its bin, pulled to 0 by one row.
  private static func binMeans(_ y: Column, _ bins: [Int]) -> Column {
    let mean = y.moments.mean
    var sums = [(total: Double, count: Double)](repeating: (0, 0), count: 1 + (bins.max() ?? 0))
    for (value, bin) in zip(y, bins) {
      sums[bin].total += value - mean
      sums[bin].count += 1
    }
    return zip(y, bins).map { (sums[$1].total - ($0 - mean)) / sums[$1].count }
  }

  /// The same over the five nearest of the first 96 rows.
  private static func neighbourMeans(
    _ y: Column, _ columns: [TableColumn], _ scaled: [Column]
  ) -> Column {
    let rows = min(y.count, 96)
    let mean = Array(y.prefix(rows)).moments.mean
    var distances = Column(repeating: 0, count: rows)
    return (0..<rows).map { row in
      distances.fill(0)
      for (column, values) in zip(columns, scaled) {
        let own = values[row]
        values.withUnsafeBufferPointer { values in
          distances.withUnsafeMutableBufferPointer { distances in
            for other in 0..<rows {
              let off = values[other] - own
              distances[other] += column.isCategory ? (off == 0 ? 0 : 1) : min(off * off, 4)
            }
          }
        }
      }
      distances[row] = .infinity
      let limit = distances.sorted()[min(4, rows - 1)]
      var (total, count) = (0.0, 1.0)
      for other in 0..<rows where distances[other] <= limit && other != row {
        total += y[other] - mean
        count += 1
      }
      return total / count
    }
  }
}
