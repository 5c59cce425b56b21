/// Observed rows in the network's units: `x` `[count, dimensions]`, `y` `[count]`.
public struct NetworkRows: Sendable, Hashable {
  public var x: [Float]
  public var y: [Float]
  public var dimensions: Int
  public var count: Int { y.count }

  public init(x: [Float], y: [Float], dimensions: Int) {
    (self.x, self.y, self.dimensions) = (x, y, dimensions)
  }

  /// These rows and further ones.
  public func appending(_ more: NetworkRows) -> NetworkRows {
    NetworkRows(x: x + more.x, y: y + more.y, dimensions: dimensions)
  }

  /// Some of the rows, by their numbers.
  public func rows(_ places: [Int]) -> NetworkRows {
    NetworkRows(
      x: places.flatMap { x[$0 * dimensions..<($0 + 1) * dimensions] }, y: places.map { y[$0] },
      dimensions: dimensions)
  }

  /// Without rows like these, one for each.
  package func removing(_ gone: NetworkRows) -> NetworkRows {
    var left = Array(0..<count)
    let d = dimensions
    for row in 0..<gone.count {
      let own = gone.x[row * d..<(row + 1) * d]
      let place = left.firstIndex {
        y[$0] == gone.y[row] && x[$0 * d..<($0 + 1) * d].elementsEqual(own)
      }
      if let place { left.remove(at: place) }
    }
    return rows(left)
  }
}
