/// Inputs to predict at, from text: `FIRST..LAST/STEP` for each input column, separated by commas; several grids
/// are crossed.
///
/// `0..10/0.5`, `10..-10/-1e-1`, `7` (one point), `1958-03-29..1960-01-01/1w`, `2014-01-01T00:00..2014-01-02/12h`.
/// Dates are written as in the column, or in any other notation that can be read. The step of a grid of dates is a
/// ``Step``; months and years are those of the calendar, counted from FIRST; from the 31st they go to the last day of a
/// shorter month.
/// The last point is LAST when the steps reach it (within 1e-9 of a step), else the one before it.
public struct GridSpecification: Equatable, Sendable {
  /// The points along one input column.
  public struct Axis: Equatable, Sendable {
    public let values: [Double]
    public let kind: ColumnKind
  }

  /// The most points without another limit.
  public static let defaultLimit = 1_000_000

  public let axes: [Axis]
  public var dimensions: Int { axes.count }
  /// Number of points of the crossed grid.
  public var count: Int { axes.reduce(1) { $0 * $1.values.count } }

  /// The points of the crossed grid, row after row; the last column runs fastest.
  public var points: [Double] {
    var result: [Double] = []
    result.reserveCapacity(count * dimensions)
    for index in 0..<count {
      var rest = index
      var row: [Double] = []
      for axis in axes.reversed() {
        row.append(axis.values[rest % axis.values.count])
        rest /= axis.values.count
      }
      result.append(contentsOf: row.reversed())
    }
    return result
  }

  /// Reads a grid of `dimensions` input columns, with at most `limit` points.
  ///
  /// - Parameters:
  ///   - kinds: What the columns hold, which tells how their dates are written.
  ///   - option: What errors call the text.
  /// - Throws: `TableError` (`grid`) that names the part at fault.
  public static func parse(
    _ text: String, dimensions: Int = 1, kinds: [ColumnKind]? = nil, limit: Int = defaultLimit,
    option: String = "--at"
  ) throws(TableError) -> GridSpecification {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == dimensions else {
      throw TableError(
        .grid, option,
        "'\(text)' has \(parts.count == 1 ? "one grid" : "\(parts.count) grids") for \(dimensions) input "
          + "column\(dimensions == 1 ? "" : "s"); give one FIRST..LAST/STEP for each, separated by commas.")
    }
    // All counts first: nothing is made before the product is known to be within the limit.
    var ranges: [Range] = []
    for (index, part) in parts.enumerated() {
      ranges.append(
        try Range(part, kind: kinds.flatMap { index < $0.count ? $0[index] : nil }, option: option))
    }
    let total = ranges.reduce(1.0) { $0 * $1.count }
    guard total <= Double(limit) else {
      let count = total < 1e15 ? String(Int(total)) : "about \(total)"
      throw TableError(
        .grid, option, "'\(text)' has \(count) points; the limit is \(limit). Take a larger step.")
    }
    return GridSpecification(axes: ranges.map { Axis(values: $0.values, kind: $0.kind) })
  }

  /// One grid, read and checked, its points not yet made.
  private struct Range {
    let first: Double
    let last: Double
    let step: Double
    let kind: ColumnKind
    /// A whole number, kept as a `Double` because it may be too large for an `Int`.
    let count: Double
    /// Places after the decimal point of FIRST and STEP; nil where points are no short decimals.
    let places: Int?
    /// The step in months of the calendar, where it is in months or years.
    var months: Int?

    init(_ text: String, kind held: ColumnKind?, option: String) throws(TableError) {
      func failure(_ detail: String) -> TableError { TableError(.grid, option, "'\(text)' \(detail)") }
      func point(_ word: Substring) throws(TableError) -> (value: Double, kind: ColumnKind) {
        if held?.notation?.isDigits != true {
          switch NumberText.read(ArraySlice(word.utf8)) {
          case .finite(let value): return (value, .number)
          case .infinite, .notANumber: throw failure("has '\(word)', which is not finite; give a number.")
          case .missing, .other: break
          }
        }
        switch CalendarText.reading(String(word), like: held?.notation) {
        case .moment(_, let notation) where !notation.isSettled:
          throw failure("has '\(word)', which has the day or the month first; write YYYY-MM-DD.")
        case .moment(let days, let notation): return (days, .calendar(notation))
        case .impossible(let reason): throw failure("has '\(word)', and \(reason).")
        case .none:
          throw failure(
            "has '\(word)', which is no number and no date; write FIRST..LAST/STEP, as 0..10/0.5.")
        }
      }
      guard let dots = text.place(of: "..") else {
        let only = try point(Substring(text))
        (first, last, step, kind, count, places) = (only.value, only.value, 1, only.kind, 1, nil)
        return
      }
      let from = text[..<dots.lowerBound]
      guard let slash = text[dots.upperBound...].lastIndex(of: "/") else {
        throw failure("lacks a step; write FIRST..LAST/STEP, as 0..10/0.5.")
      }
      let size = text[text.index(after: slash)...]
      let start = try point(from)
      let end = try point(text[dots.upperBound..<slash])
      guard (start.kind == .number) == (end.kind == .number) else {
        throw failure("goes from a number to a date, or back; give two of the same kind.")
      }
      if let one = start.kind.isUTC, let other = end.kind.isUTC, one != other {
        throw failure("has one time with an offset from UTC and one without; give both or none.")
      }
      let timed = start.kind.isUTC == nil ? end.kind : start.kind
      let step: Double
      switch Step(size, ofDates: timed != .number) {
      case .months(let months)?:
        guard let steps = CalendarText.steps(of: months, from: start.value, to: end.value) else {
          throw failure("never gets from FIRST to LAST: turn the sign of the step.")
        }
        (first, last, kind, count, places) = (start.value, end.value, timed, Double(steps + 1), nil)
        (self.step, self.months) = (Double(months), months)
        return
      case .length(let length)?: step = length
      case .businessDays?, nil:
        throw failure("has the step '\(size)'; give \(Step.form(of: size, ofDates: timed != .number)).")
      }
      guard step != 0 else { throw failure("has a step of zero; give one that leads from FIRST to LAST.") }
      let steps = (end.value - start.value) / step
      guard steps >= -1e-9 else {
        throw failure("never gets from FIRST to LAST: turn the sign of the step.")
      }
      (first, last, kind) = (start.value, end.value, timed)
      self.step = step
      count = (steps + 1e-9).rounded(.down) + 1
      places = timed == .number ? max(Self.places(from), Self.places(size)) : nil
    }

    /// Each point on its own from FIRST, so no error adds up; as the decimal it would be written as, so that
    /// 0..1/0.1 has 0.3 and not 0.30000000000000004.
    var values: [Double] {
      (0..<Int(count)).map { index in
        if let months { return CalendarText.adding(months: index * months, to: first) ?? first }
        let value = first + Double(index) * step
        if abs(value - last) <= 1e-9 * abs(step) { return last }
        guard let places, (0...22).contains(places), case let scale = Self.power(places),
          abs(value) * scale < 0x1p53
        else { return value }
        return (value * scale).rounded() / scale
      }
    }

    /// Exact up to 10²².
    private static func power(_ exponent: Int) -> Double {
      (0..<exponent).reduce(1.0) { power, _ in power * 10 }
    }

    private static func places(_ number: Substring) -> Int {
      let parts = number.lowercased().split(separator: "e")
      let fraction = parts.first?.split(separator: ".", omittingEmptySubsequences: false).dropFirst().first
      let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
      return max(0, (fraction?.count ?? 0) - max(-1000, min(1000, exponent)))
    }
  }
}
