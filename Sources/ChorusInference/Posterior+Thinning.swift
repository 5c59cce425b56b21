import ChorusData

/// Which rows of a long data set are read.
extension Posterior {
  /// Keeps `count` rows: sorted by their inputs, then their values, every (n/count)-th one.
  static func thin(_ data: Dataset, to count: Int) -> Dataset {
    let d = data.dimensions
    let order = (0..<data.count).sorted { a, b in
      for column in 0..<d where data.x[a * d + column] != data.x[b * d + column] {
        return data.x[a * d + column] < data.x[b * d + column]
      }
      return data.y[a] < data.y[b]
    }
    return data.rows((0..<count).map { order[$0 * data.count / count] }.sorted())
  }

  /// Keeps the `count` rows nearest to the inputs asked for, or to the last one; of two that are as near, the later.
  static func nearest(_ data: Dataset, to count: Int, _ asked: Inputs?) -> Dataset {
    nearestRows(times: data.x, y: data.y, to: count, asked?.values).map { data.rows($0) } ?? data
  }

  /// Whether something asked for lies before the last of some times: behind it the rows nearest are the latest.
  static func isAmid(_ asked: [Double]?, _ times: [Double]) -> Bool {
    let last = times.max() ?? .infinity
    return asked?.contains { $0 < last } ?? false
  }

  /// The rows that are kept, in their order; nil for all.
  static func nearestRows(times: [Double], y: [Double], to count: Int, _ asked: [Double]?) -> [Int]? {
    guard times.count > count else { return nil }
    let places = (asked ?? []).filter(\.isFinite).sorted()
    let targets = places.isEmpty ? [times.max() ?? 0] : places
    func distance(_ x: Double) -> Double {
      // The first place that is not before x, and the one before it.
      var (low, high) = (0, targets.count)
      while low < high {
        let middle = (low + high) / 2
        if targets[middle] < x { low = middle + 1 } else { high = middle }
      }
      return min(
        low < targets.count ? targets[low] - x : .infinity, low > 0 ? x - targets[low - 1] : .infinity)
    }
    let far = times.map(distance)
    let order = times.indices.sorted { a, b in
      if far[a] != far[b] { return far[a] < far[b] }
      return times[a] != times[b] ? times[a] > times[b] : y[a] < y[b]
    }
    return order.prefix(count).sorted()
  }
}
