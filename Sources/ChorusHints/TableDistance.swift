import ChorusTensors

/// How far rows of a table are from each other, for what is to be foretold: D² = Σ_c w_c(x_c − x′_c)² over columns of the design, the
/// weights in proportion to relevance + 0.02 and of sum 1.
struct TableDistance: Sendable {
  /// Coordinates that stand for the columns of the design.
  static let coordinates = 12
  /// From the design to the coordinates, `[width, coordinates]`.
  private let map: [Double]
  private let width: Int

  static func weights(_ relevance: [Double]) -> [Double] {
    let total = relevance.reduce(0) { $0 + $1 + 0.02 }
    return relevance.map { ($0 + 0.02) / max(total, 1e-12) }
  }

  /// Up to twelve columns are taken as they are; more are projected at random, which keeps distances on average
  /// (Johnson & Lindenstrauss 1984).
  init(relevance: [Double]) {
    let weights = Self.weights(relevance)
    let k = Self.coordinates
    width = relevance.count
    var map = [Double](repeating: 0, count: width * k)
    if width <= k {
      for column in 0..<width { map[column * k + column] = weights[column].squareRoot() }
    } else {
      // The heaviest columns keep coordinates of their own; the others share the last ones.
      let order = weights.indices.sorted { weights[$0] != weights[$1] ? weights[$0] > weights[$1] : $0 < $1 }
      let own = k - Self.shared
      for (coordinate, column) in order.prefix(own).enumerated() {
        map[column * k + coordinate] = weights[column].squareRoot()
      }
      for (place, column) in order.dropFirst(own).enumerated() {
        var stream = RandomStream(seed: 0x7AB1E, UInt64(place))
        for coordinate in own..<k {
          map[column * k + coordinate] =
            (weights[column] / Double(Self.shared)).squareRoot() * (stream.uniform() < 0.5 ? -1 : 1)
        }
      }
    }
    self.map = map
  }

  private static let shared = 4

  /// The coordinates of rows of the design.
  func places(_ design: [Double], count: Int) -> [[Double]] {
    let k = Self.coordinates
    return (0..<count).map { row in
      var place = [Double](repeating: 0, count: k)
      for column in 0..<width {
        let value = design[row * width + column]
        for coordinate in 0..<k { place[coordinate] += value * map[column * k + coordinate] }
      }
      return place
    }
  }
}
