import ChorusData
import ChorusTensors
import Foundation

/// The last value before a row along the first input, and how far values move until then: what is known of a state that holds
/// until it changes, whatever the other inputs are. Splines (`LocalSplines`) ask instead which rows are near by all inputs.
///
/// Of the rows read whose first input does not exceed the row's, the last one in order of inputs and value tells, the row itself
/// left out. The variance of its error after a gap g is a + b·g, which is twice a variogram with a nugget (Matheron 1963): it
/// meets the mean squares of the context's differences, and their mean gaps, from one row to the next and to the fourth.
public struct LastValue: RowHint {
  public static let name = "last-value"
  /// Told: a quarter of the value, half the logarithm of the error, half of that of 1 + gap.
  public var features: Int { 3 }
  /// In the network's units: the largest value told, and the bounds of the error.
  private static let mostValue = 8.0
  private static let errors = 0.001...8.0

  public init() {}

  enum CodingKeys: String, CodingKey, CaseIterable { case name }

  public init(from decoder: any Decoder) throws { _ = try decoder.knownFields(CodingKeys.self) }

  public func encode(to encoder: any Encoder) throws { _ = encoder.container(keyedBy: CodingKeys.self) }

  public func validate() throws(DataError) {}

  public func read(_ rows: NetworkRows, _ fits: HintFits) -> any RowTellerContext { Context(rows) }

  public func paths(_ rows: PathRows) -> any RowTellerPaths { Paths(rows) }

  /// What a row, `[inputs, value]`, says of a place after it; nil where there is none.
  private static func tell(
    _ row: UnsafePointer<Float>?, at place: Float, _ context: Context,
    into features: UnsafeMutablePointer<Float>
  ) -> Scaling.Unit? {
    let gap = row.map { Double(place) - Double($0[0]) } ?? 0
    let error = row == nil ? errors.upperBound : context.error(after: gap)
    let value = min(max(Double(row?[context.dimensions] ?? 0), -mostValue), mostValue)
    features[0] = Float(value / 4)
    features[1] = Float(log(error) / 2)
    features[2] = Float(log1p(gap) / 2)
    return row == nil ? nil : Scaling.Unit(origin: value, scale: error)
  }

  private final class Context: RowTellerContext {
    let dimensions: Int
    private let count: Int
    /// In order, `[count, dimensions + 1]`.
    private let rows: FloatBuffer
    /// Where each row is in the order.
    private let places: [Int]
    /// a and b.
    private let (noise, slope): (Double, Double)

    init(_ observed: NetworkRows) {
      let d = observed.dimensions
      (dimensions, count) = (d, observed.count)
      let numbers = observed.y.indices.map { Array(observed.x[$0 * d..<($0 + 1) * d]) + [observed.y[$0]] }
      let order = numbers.indices.sorted { LocalSpline.precedes(numbers[$0], numbers[$1], d) }
      rows = FloatBuffer(order.flatMap { numbers[$0] })
      var places = [Int](repeating: 0, count: count)
      for (place, row) in order.enumerated() { places[row] = place }
      self.places = places
      (noise, slope) = Self.law(rows, count: observed.count, d)
    }

    private static func law(_ rows: FloatBuffer, count: Int, _ d: Int) -> (noise: Double, slope: Double) {
      /// The mean square of the differences between rows so many places apart, and their mean gap.
      func differences(lag: Int) -> (square: Double, gap: Double) {
        var (square, gap) = (0.0, 0.0)
        for place in lag..<count {
          let own = rows.pointer + place * (d + 1)
          let before = own - lag * (d + 1)
          let difference = Double(own[d]) - Double(before[d])
          square += difference * difference
          gap += Double(own[0]) - Double(before[0])
        }
        return (square / Double(count - lag), gap / Double(count - lag))
      }
      guard count > 1 else { return (1, 0) }
      let (next, far) = (differences(lag: 1), differences(lag: min(4, count - 1)))
      guard far.gap > next.gap else { return (next.square, 0) }
      let slope = max((far.square - next.square) / (far.gap - next.gap), 0)
      return (max(next.square - slope * next.gap, 0), slope)
    }

    private func row(_ place: Int) -> UnsafePointer<Float> {
      UnsafePointer(rows.pointer + place * (dimensions + 1))
    }

    func error(after gap: Double) -> Double {
      min(max((noise + slope * gap).squareRoot(), errors.lowerBound), errors.upperBound)
    }

    /// The last row whose first input does not exceed `place`, but for the one at `own` in the order.
    func last(before place: Float, except own: Int = -1) -> UnsafePointer<Float>? {
      var (low, high) = (0, count)
      while low < high {
        let middle = (low + high) / 2
        if row(middle)[0] <= place { low = middle + 1 } else { high = middle }
      }
      let found = low - 1 == own ? low - 2 : low - 1
      return found < 0 ? nil : row(found)
    }

    func tell(
      _ range: Range<Int>, into features: UnsafeMutablePointer<Float>, pitch: Int
    ) -> [Scaling.Unit?] {
      range.enumerated().map { index, row in
        let place = self.row(places[row])[0]
        return LastValue.tell(
          last(before: place, except: places[row]), at: place, self, into: features + index * pitch)
      }
    }

    func asked(_ x: [Float]) -> (any RowTellerInputs)? { Inputs(x, dimensions) }

    func changed(to rows: NetworkRows, by some: NetworkRows, removing: Bool) -> any RowTellerContext {
      Context(rows)
    }
  }

  private final class Inputs: RowTellerInputs {
    /// The first number of each.
    let first: [Float]

    init(_ x: [Float], _ dimensions: Int) {
      first = stride(from: 0, to: x.count, by: dimensions).map { x[$0] }
    }
  }

  private final class Paths: RowTellerPaths {
    private let rows: PathRows
    private var askedIn = AskedIn<Context, Inputs>()

    init(_ rows: PathRows) { self.rows = rows }

    func tell(
      _ row: RowRead, _ context: any RowTellerContext, _ inputs: any RowTellerInputs,
      into features: UnsafeMutablePointer<Float>
    ) -> Scaling.Unit? {
      guard let (context, inputs) = askedIn.these(context, inputs) else { return nil }
      let place = inputs.first[row.input]
      var last = context.last(before: place)
      row.forEachSlot(from: 0) { slot in
        let own = rows[row.path, slot]
        guard own[0] <= place else { return }
        if let known = last, LocalSpline.precedes(own, known, context.dimensions) { return }
        last = own
      }
      return LastValue.tell(last, at: place, context, into: features)
    }
  }
}
