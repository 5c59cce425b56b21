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
    let places = (asked.map(\.values) ?? []).filter(\.isFinite).sorted()
    let targets = places.isEmpty ? [data.x.max() ?? 0] : places
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
    let far = data.x.map(distance)
    let order = (0..<data.count).sorted { a, b in
      if far[a] != far[b] { return far[a] < far[b] }
      return data.x[a] != data.x[b] ? data.x[a] > data.x[b] : data.y[a] < data.y[b]
    }
    return data.rows(order.prefix(count).sorted())
  }
}
