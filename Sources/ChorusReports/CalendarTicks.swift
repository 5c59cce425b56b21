import Foundation

/// Ticks at units of the calendar, for values in days since 1970-01-01 (Gregorian, no time zone).
enum CalendarTicks {
  enum Unit: Equatable {
    case seconds(Int)
    case minutes(Int)
    case hours(Int)
    case days(Int)
    case months(Int)
    case years(Int)

    /// Its mean length in days.
    var length: Double {
      switch self {
      case .seconds(let n): Double(n) / 86_400
      case .minutes(let n): Double(n) / 1440
      case .hours(let n): Double(n) / 24
      case .days(let n): Double(n)
      case .months(let n): Double(n) * 30.436_875
      case .years(let n): Double(n) * 365.242_5
      }
    }
  }

  private static let units: [Unit] =
    [1, 2, 5, 10, 15, 30].map(Unit.seconds) + [1, 2, 5, 10, 15, 30].map(Unit.minutes)
    + [1, 2, 3, 6, 12].map(Unit.hours) + [1, 2, 7, 14].map(Unit.days) + [1, 2, 3, 6].map(Unit.months)
    + [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].map(Unit.years)

  /// The days for which dates of the years 1 to 9999 exist.
  static let reach = -719_162.0..<2_932_897.0

  /// Ticks within `range` at the smallest unit that gives at most `count` of them.
  static func ticks(_ range: ClosedRange<Double>, count: Int) -> [Tick] {
    guard reach.contains(range.lowerBound), reach.contains(range.upperBound) else {
      return Ticks.linear(range, count: count)
    }
    let rough = (range.upperBound - range.lowerBound) / Double(max(count, 1))
    guard let unit = units.first(where: { $0.length >= rough }) ?? units.last else { return [] }
    return named(places(range, unit).filter { range.contains($0) }, unit)
  }

  private static func places(_ range: ClosedRange<Double>, _ unit: Unit) -> [Double] {
    switch unit {
    case .seconds, .minutes, .hours, .days(1), .days(2):
      let first = (range.lowerBound / unit.length - 1e-6).rounded(.up)
      let last = (range.upperBound / unit.length + 1e-6).rounded(.down)
      guard last >= first else { return [] }
      return (0...Int(last - first)).map { (first + Double($0)) * unit.length }
    case .days(let n):
      // Mondays; 1970-01-05 was one.
      let first = ((range.lowerBound - 4) / Double(n)).rounded(.up)
      let last = ((range.upperBound - 4) / Double(n)).rounded(.down)
      guard last >= first else { return [] }
      return (0...Int(last - first)).map { (first + Double($0)) * Double(n) + 4 }
    case .months(let n):
      let first = Date(days: range.lowerBound)
      let last = Date(days: range.upperBound)
      let months = (first.year * 12 + first.month - 1)...(last.year * 12 + last.month - 1)
      return months.filter { $0.isMultiple(of: n) }.map {
        Date.days(year: $0 / 12, month: $0 % 12 + 1, day: 1)
      }
    case .years(let n):
      let years = Date(days: range.lowerBound).year...Date(days: range.upperBound).year
      return years.filter { $0.isMultiple(of: n) && $0 > 0 }.map { Date.days(year: $0, month: 1, day: 1) }
    }
  }

  private static func named(_ places: [Double], _ unit: Unit) -> [Tick] {
    var before: String?
    return places.map { place in
      let date = Date(days: place)
      let label: String
      var context: String? = String(date.year)
      switch unit {
      case .seconds:
        (label, context) = (date.clock(seconds: true), "\(date.day) \(date.monthName) \(date.year)")
      case .minutes, .hours:
        (label, context) = (date.clock(seconds: false), "\(date.day) \(date.monthName) \(date.year)")
      case .days: label = "\(date.day) \(date.monthName)"
      case .months: label = date.monthName
      case .years: (label, context) = (String(date.year), nil)
      }
      defer { before = context }
      return Tick(value: place, label: label, context: context == before ? nil : context)
    }
  }

  /// A place in the calendar to the second.
  struct Date: Equatable {
    let year: Int
    let month: Int
    let day: Int
    let second: Int

    /// From days since 1970-01-01, rounded to the second. Counted in years that begin in March, whose last day may be
    /// the leap day, and in eras of 400 of them.
    init(days: Double) {
      let seconds = Int((days * 86_400).rounded())
      let whole = Int((Double(seconds) / 86_400).rounded(.down))
      second = seconds - whole * 86_400
      let since = whole + 719_468
      let era = Int((Double(since) / 146_097).rounded(.down))
      let dayOfEra = since - era * 146_097
      let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
      let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
      let shifted = (5 * dayOfYear + 2) / 153
      month = shifted < 10 ? shifted + 3 : shifted - 9
      day = dayOfYear - (153 * shifted + 2) / 5 + 1
      year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    }

    static func days(year: Int, month: Int, day: Int) -> Double {
      let shifted = month <= 2 ? year - 1 : year
      let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
      let leaps = shifted / 4 - shifted / 100 + shifted / 400
      return Double(shifted * 365 + leaps + dayOfYear - 719_468)
    }

    var monthName: String {
      ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1]
    }

    func clock(seconds: Bool) -> String {
      func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
      return "\(two(second / 3600)):\(two(second / 60 % 60))" + (seconds ? ":" + two(second % 60) : "")
    }
  }
}
