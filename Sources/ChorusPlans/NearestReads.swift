/// The targets drawn so far that lie nearest to others: along one input by the input, with more by distance, axes counted by
/// the range of their inputs.
struct NearestReads {
  private let geometry: Plan.Geometry
  private let order: [Int]
  private let count: Int
  private let scales: [Double]
  /// The positions drawn, with their first input; along one input sorted by it.
  private var drawn: [(x: Double, position: Int)] = []

  /// - Parameters:
  ///   - count: how many a target reads at most.
  ///   - order: the target at each position.
  init(_ count: Int, _ geometry: Plan.Geometry, order: [Int]) {
    (self.count, self.geometry, self.order) = (count, geometry, order)
    scales = geometry.scales
  }

  mutating func draw(_ positions: Range<Int>) {
    drawn += positions.map { (x($0), $0) }
    if geometry.dimensions == 1 { drawn.sort { $0 < $1 } }
  }

  /// What the target at a position reads.
  func reads(_ position: Int) -> RangeSet<Int> {
    guard drawn.count > count else { return .prefix(drawn.count) }
    var set = RangeSet<Int>()
    for other in geometry.dimensions == 1 ? beside(x(position)) : near(position) {
      set.insert(contentsOf: other..<other + 1)
    }
    return set
  }

  private func x(_ position: Int) -> Double { geometry.inputs[order[position] * geometry.dimensions] }

  private func beside(_ x: Double) -> [Int] {
    var (low, high) = (0, drawn.count)
    while low < high {
      let middle = (low + high) / 2
      if drawn[middle].x < x { low = middle + 1 } else { high = middle }
    }
    var (left, right) = (low, low)
    while right - left < count {
      let takesLeft = right == drawn.count || left > 0 && x - drawn[left - 1].x <= drawn[right].x - x
      if takesLeft { left -= 1 } else { right += 1 }
    }
    return drawn[left..<right].map(\.position)
  }

  private func near(_ position: Int) -> [Int] {
    // The nearest so far, nearest first; most of the others are farther than the last.
    var found: [(distance: Double, position: Int)] = []
    for (_, other) in drawn {
      let distance = geometry.distance(order[position], order[other], scales)
      if found.count == count {
        guard let last = found.last, distance < last.distance else { continue }
        found.removeLast()
      }
      let place = found.lastIndex { $0.distance <= distance }.map { $0 + 1 } ?? 0
      found.insert((distance, other), at: place)
    }
    return found.map(\.position)
  }
}
