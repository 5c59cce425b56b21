import ChorusData
import ChorusTensors

/// A classical estimator that is fitted to a context and tells the network what it says of every input.
///
/// A small network need not find again what has a closed form: it is told the answer, and how far to trust it. A hint may
/// also say in which unit outputs reach the network (`HintFit.unit`): the network then predicts what the hint leaves.
///
/// To add one, write a file with a type that conforms and name it in `Hints.all`; `TrendAndWaves` is an example.
public protocol Hint: Sendable, Hashable, Codable {
  associatedtype Fit: HintFit
  /// What blueprints and saved contexts call it.
  static var name: String { get }
  /// How many numbers it tells of an input, for a network of `dimensions` input columns.
  func features(dimensions: Int) -> Int
  /// Refuses options out of range; throws `DataError.size`.
  func validate() throws(DataError)
  /// Whether it can tell on which scale values are most likely.
  static var choosesScale: Bool { get }
  /// The scale on which the values of a context are most likely; nil where the hint cannot tell.
  func valueScale(_ rows: ObservedRows) -> ValueScale?
  /// Fits it to a context.
  func fit(_ rows: ObservedRows) -> Fit
  /// What it has to say of the rows of a path, where a network is told of rows; nil for nothing.
  var ofRows: (any RowTeller)? { get }
}

extension Hint {
  public static var choosesScale: Bool { false }
  public func valueScale(_ rows: ObservedRows) -> ValueScale? { nil }
  public var ofRows: (any RowTeller)? { nil }
}

/// What a hint found in a context; kept with a saved context.
public protocol HintFit: Sendable, Hashable, Codable {
  /// Writes what is told of one input `x` `[dimensions]`, in the units of scaled inputs, zero-padded.
  ///
  /// - Parameter size: input columns of the network, at least `dimensions`.
  func tell(
    _ x: UnsafePointer<Float>, dimensions: Int, size: Int, into features: UnsafeMutablePointer<Float>)
  /// The unit that outputs at a row of scaled inputs reach the network in; nil where the hint leaves it alone.
  func unit(at x: ArraySlice<Double>) -> Scaling.Unit?
  /// Whether it may belong to rows with that many inputs; a file may hold anything.
  func fits(dimensions: Int) -> Bool
}

extension HintFit {
  public func unit(at x: ArraySlice<Double>) -> Scaling.Unit? { nil }
}

/// The rows of a context as hints see them: in order of their inputs, then of their values, so that nothing a hint finds
/// depends on the order in which they came.
public struct ObservedRows: Sendable {
  /// Scaled inputs, `[count, dimensions]`.
  public let x: [Double]
  /// Outputs as they are seen (`ValueScale`), and their unit.
  public let y: [Double]
  public let unit: Scaling.Unit
  public let dimensions: Int
  /// Known standard deviations of the outputs' errors of measurement, in the unit of `y`; empty where none is known.
  public let errors: [Double]
  /// Periods that are likelier than others, in the unit of `x`: those of the calendar where the one input is a date.
  public let periods: [Double]
  /// Counts the one input in months, where that is a date and all rows share a day of the month.
  public let clock: MonthClock?
  public var count: Int { y.count }

  public init(
    x: [Double], y: [Double], errors: [Double] = [], unit: Scaling.Unit, dimensions: Int,
    periods: [Double] = [], clock: MonthClock? = nil
  ) {
    let order = Self.order(x, y, errors, dimensions)
    self.x = order.flatMap { x[$0 * dimensions..<($0 + 1) * dimensions] }
    self.y = order.map { y[$0] }
    self.errors = errors.isEmpty ? [] : order.map { errors[$0] }
    (self.unit, self.dimensions, self.periods, self.clock) = (unit, dimensions, periods, clock)
  }

  /// The numbers of the rows by their inputs, then their values, then their errors.
  static func order(_ x: [Double], _ y: [Double], _ errors: [Double] = [], _ dimensions: Int) -> [Int] {
    y.indices.sorted { a, b in
      for column in 0..<dimensions where x[a * dimensions + column] != x[b * dimensions + column] {
        return x[a * dimensions + column] < x[b * dimensions + column]
      }
      return y[a] != y[b] || errors.isEmpty ? y[a] < y[b] : errors[a] < errors[b]
    }
  }
}
