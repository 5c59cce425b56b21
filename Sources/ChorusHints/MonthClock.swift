import Foundation

/// Counts dates in months of the calendar, for rows that all have the same day of a month or are all the last one.
///
/// Months differ in length, so in days such rows are unevenly spaced and a year has no whole number of them: a spike that comes
/// every sixth month would be spread over its neighbours. In months a quarter is three steps and a year twelve, to the bit
/// (docs/series-hint.md). Between two such days time goes on evenly.
public struct MonthClock: Sendable, Hashable {
  /// Days since 1970-01-01 of a scaled input of 0, and a unit of scaled inputs in days.
  private let origin: Double
  private let unit: Double
  /// Days that are added, so that rows are the first of a month.
  private let shift: Double

  /// Days of a month in the mean.
  private static let meanDays = 365.2425 / 12
  /// Dates are known to this part of a day.
  private static let exactness = 1e-6
  /// Days beyond which no calendar is asked.
  private static let farthest = 1e9

  /// A month's length in scaled inputs, in the mean.
  var month: Double { Self.meanDays / unit }
  /// The months of periods that are likelier than others.
  static let periods = [12.0]

  /// - Parameters:
  ///   - days: of all rows, since 1970-01-01.
  ///   - origin: days of a scaled input of 0.
  ///   - unit: days of a unit of scaled inputs.
  /// Nil where rows share no day of the month.
  public init?(days: [Double], origin: Double, unit: Double) {
    let whole = days.map { $0.rounded() }
    guard !days.isEmpty, unit > 0, unit.isFinite, origin.isFinite,
      zip(days, whole).allSatisfy({ abs($0 - $1) < Self.exactness && abs($0) < Self.farthest })
    else { return nil }
    let dates = whole.map { Self.civil(Int($0)) }
    if let day = dates.first?.day, day <= 28, dates.allSatisfy({ $0.day == day }) {
      shift = Double(1 - day)
    } else if whole.allSatisfy({ Self.civil(Int($0) + 1).day == 1 }) {
      shift = 1
    } else {
      return nil
    }
    (self.origin, self.unit) = (origin, unit)
  }

  /// The months from the beginning of the year 0 to a scaled input.
  func months(_ x: Double) -> Double {
    let days = origin + unit * x + shift
    guard abs(days) < Self.farthest else { return 719_528 / Self.meanDays + days / Self.meanDays }
    // Scaling leaves a date a little beside itself, which must not end up in another month.
    let near = days.rounded()
    let exact = abs(days - near) < Self.exactness ? near : days
    let whole = exact.rounded(.down)
    let date = Self.civil(Int(whole))
    return Double(12 * date.year + date.month - 1) + (Double(date.day - 1) + exact - whole)
      / Double(date.length)
  }

  /// The date of a day since 1970-01-01 and the length of its month, in the Gregorian calendar (Hinnant 2013, "chrono-compatible
  /// low-level date algorithms").
  private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int, length: Int) {
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let ofEra = shifted - era * 146_097
    let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    // From March on.
    let place = (5 * ofYear + 2) / 153
    let first = (153 * place + 2) / 5
    let month = place < 10 ? place + 3 : place - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return (
      year, month, ofYear - first + 1,
      month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    )
  }
}

extension MonthClock: Codable {
  private enum CodingKeys: CodingKey { case origin, unit, shift }

  /// Reads what was kept; refuses numbers that no clock has.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    origin = try fields.decode(Double.self, forKey: .origin)
    unit = try fields.decode(Double.self, forKey: .unit)
    shift = try fields.decode(Double.self, forKey: .shift)
    guard origin.isFinite, unit > 0, unit.isFinite, (-27...1).contains(shift), shift == shift.rounded() else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "no months are counted by these numbers"))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(origin, forKey: .origin)
    try fields.encode(unit, forKey: .unit)
    try fields.encode(shift, forKey: .shift)
  }
}
