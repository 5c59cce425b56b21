import ChorusMemories
import ChorusTensors

/// Rows that carry their place: after the columns of its representation a row has coordinates c, then |c|², then 1, then zeros up to
/// a multiple of four.
///
/// Norms leave these columns as they are, so that scores between queries and keys can fall with distance: with
/// q = (2βc, −β) and k = (c, |c|²), q·k = −β|c − c′|² + β|c|², of which the last is the same for all keys. Heads begin with
/// β = 0, ½, 2, 8, …, and learn on from there.
public struct RowPlaces: Sendable, Hashable {
  public let coordinates: Int

  public init(coordinates: Int) { self.coordinates = coordinates }

  /// Columns behind a representation.
  public var columns: Int { coordinates == 0 ? 0 : (coordinates + 2 + 3) / 4 * 4 }

  /// Writes the columns of a row.
  public func write(_ place: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
    out.update(repeating: 0, count: columns)
    var square: Float = 0
    for i in 0..<coordinates {
      out[i] = place[i]
      square += place[i] * place[i]
    }
    (out[coordinates], out[coordinates + 1]) = (square, 1)
  }

  /// How the maps to queries and to keys beside values begin, of rows `width` wide; nil without places.
  func starts(_ width: Int, _ sizes: AttentionSizes) -> (query: Start, stored: Start)? {
    guard coordinates > 0, coordinates + 1 <= sizes.width, sizes.keyHeads == sizes.heads else { return nil }
    let first = width - columns
    var (query, stored) = ([Int: Float](), [Int: Float]())
    for head in 0..<sizes.heads {
      // Scores are divided by √width.
      let beta = head == 0 ? 0 : 0.5 * Double(1 << (2 * min(head - 1, 10)))
      let scale = Float((beta * Double(sizes.width).squareRoot()).squareRoot())
      let column = head * sizes.width
      for i in 0..<coordinates {
        query[(first + i) * sizes.columns + column + i] = 2 * scale
        stored[(first + i) * 2 * sizes.columns + column + i] = scale
      }
      query[(first + coordinates + 1) * sizes.columns + column + coordinates] = -scale
      stored[(first + coordinates) * 2 * sizes.columns + column + coordinates] = scale
    }
    let bound = 1 / Double(width).squareRoot()
    return (.adding(bound: bound, query), .adding(bound: bound, stored))
  }
}
