import ChorusData
import Foundation

/// Tells of a row what the series of a context says of it, the values committed before it on its path among those that are
/// known (`SeriesPaths`). Of rows of the context it tells nothing: what the others say of them is in their unit.
struct SeriesOnPaths: RowTeller {
  /// A quarter of the foretold value, half the logarithm of its deviation.
  let features = 2
  /// In the network's units: the largest value, and the least deviation, that is told.
  private static let (mostValue, leastDeviation) = (8.0, 0.001)

  func read(_ rows: NetworkRows, _ fits: HintFits) -> any RowTellerContext { SeriesContext(rows, fits) }

  func paths(_ rows: PathRows) -> any RowTellerPaths { SeriesPaths(paths: rows.paths) }

  func bytes(capacity: Int) -> Int { SeriesPaths.bytes(capacity: capacity) }

  static func write(_ law: Scaling.Unit?, to features: UnsafeMutablePointer<Float>) {
    features[0] = Float(min(max(law?.origin ?? 0, -mostValue), mostValue) / 4)
    features[1] = Float(log(max(law?.scale ?? 1, leastDeviation)) / 2)
  }
}

/// What a context's fits say of its series, and the rows that they have not seen.
final class SeriesContext: RowTellerContext {
  private let fits: HintFits
  private let dimensions: Int
  let later: [SeriesRow]

  init(_ rows: NetworkRows, _ fits: HintFits) {
    (self.fits, dimensions) = (fits, rows.dimensions)
    later = rows.dimensions == 1 ? SeriesRow.later(fits, x: rows.x, y: rows.y) : []
  }

  private init(_ other: SeriesContext, later: [SeriesRow]) {
    (fits, dimensions, self.later) = (other.fits, other.dimensions, later)
  }

  func tell(
    _ range: Range<Int>, into features: UnsafeMutablePointer<Float>, pitch: Int
  ) -> [Scaling.Unit?] {
    for row in 0..<range.count { SeriesOnPaths.write(nil, to: features + row * pitch) }
    return [Scaling.Unit?](repeating: nil, count: range.count)
  }

  func asked(_ x: [Float]) -> (any RowTellerInputs)? {
    SeriesInputs(fits, x: x, dimensions: dimensions, later: later)
  }

  func changed(to rows: NetworkRows, by some: NetworkRows, removing: Bool) -> any RowTellerContext {
    guard dimensions == 1 else { return self }
    let some = zip(some.x, some.y).map { SeriesRow(x: $0, y: $1) }
    return SeriesContext(
      self,
      later: removing ? later.filter { !some.contains($0) } : (later + some).suffix(SeriesPaths.most))
  }
}

/// A row that a context has read after its hints were fitted, as the network holds it.
package struct SeriesRow: Sendable, Hashable {
  let x: Float
  let y: Float

  package init(x: Float, y: Float) { (self.x, self.y) = (x, y) }

  /// The last rows of a context, which the fits have not seen; no more than `SeriesPaths.most`.
  package static func later(_ fits: HintFits, x: [Float], y: [Float]) -> [SeriesRow] {
    guard let seen = fits.first(SeriesLevelAndSeason.Fit.self)?.said?.model.rows.x.count, x.count == y.count
    else { return [] }
    return zip(x, y).dropFirst(max(seen, y.count - SeriesPaths.most)).map { SeriesRow(x: $0, y: $1) }
  }
}
