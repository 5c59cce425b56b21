/// What the values of a column are, so that output can write them as they were read.
public enum ColumnKind: Hashable, Sendable {
  case number
  /// Dates or times in the notation of the column; values are days since 1970-01-01T00:00, in UTC where an offset was
  /// given.
  case calendar(DateNotation)
  case text

  /// `YYYY-MM-DD`.
  public static let date = ColumnKind.calendar(DateNotation())

  /// `YYYY-MM-DDTHH:MM`, with seconds where there are any, and a `Z` in UTC.
  public static func dateTime(utc: Bool) -> ColumnKind {
    var notation = DateNotation()
    notation.clock = .twentyFour
    notation.zone = utc ? .z : .none
    return .calendar(notation)
  }

  /// The notation of a column of dates.
  public var notation: DateNotation? { if case .calendar(let notation) = self { notation } else { nil } }
  /// Whether times are in UTC; nil where there are none.
  public var isUTC: Bool? { notation?.isUTC }

  /// A value of such a column as output has it.
  public func text(_ value: Double) -> String { RowEncoder.written(value, self) }
}

/// Dates of the years 0001 to 9999 in the Gregorian calendar, as days since 1970-01-01.
public enum CalendarText {
  /// What a text is, as a date.
  enum Reading: Equatable {
    case moment(days: Double, notation: DateNotation)
    /// Written as a date, of a day or a time that there is not; in words.
    case impossible(String)
    case none
  }

  /// The days and the kind of a date or date-time, or nil where `text` is neither. Where day and month could be
  /// either, the day comes first.
  public static func read(_ text: String) -> (days: Double, kind: ColumnKind)? {
    guard case .moment(let days, let notation) = reading(text, like: nil) else { return nil }
    return (days, .calendar(notation))
  }

  /// - Parameter notation: settles the order of day and month where the text does not.
  static func reading(_ text: String, like notation: DateNotation?) -> Reading {
    Array(text.utf8).withUnsafeBufferPointer { reading($0, like: notation) }
  }

  static func reading(_ text: UnsafeBufferPointer<UInt8>, like notation: DateNotation?) -> Reading {
    var reader = CalendarReader(text, like: notation)
    let reading = reader.reading()
    guard case .moment(let days, var found) = reading, found.isOpen, let notation, !notation.isOpen,
      found.isLike(notation)
    else { return reading }
    (found.order, found.isOpen) = (notation.order, false)
    return .moment(
      days: notation.order == .monthDayYear ? swapped(days) : days, notation: found)
  }

  /// The text of `days` in the form of `kind`, to the millisecond; a date that is not a whole day gets a time.
  /// Days outside the years 0001 to 9999 are written as the number that they are.
  public static func write(_ days: Double, as kind: ColumnKind) -> String {
    guard let milliseconds = milliseconds(days) else { return "\(days)" }
    return (kind.notation ?? DateNotation()).text(milliseconds: milliseconds)
  }

  /// Milliseconds since 1970; nil outside the years 0001 to 9999.
  static func milliseconds(_ days: Double) -> Int? {
    let milliseconds = (days * 86_400_000).rounded()
    guard milliseconds >= -62_135_596_800_000, milliseconds < 253_402_300_800_000 else { return nil }
    return Int(milliseconds)
  }

  /// The time with day and month exchanged; the day is 12 at most.
  static func swapped(_ days: Double) -> Double {
    let whole = days.rounded(.down)
    let (year, month, day) = civil(Int(whole))
    guard day <= 12 else { return days }
    return Double(Self.days(year: year, month: day, day: month)) + (days - whole)
  }

  /// The days of a number like 20120131; nil where that is no date of the years 1000 to 9999.
  static func days(ofDigits value: Double) -> Double? {
    guard value >= 10_000_101, value <= 99_991_231, let number = Int(exactly: value) else { return nil }
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100)
    guard (1...12).contains(month), day >= 1, day <= length(ofMonth: month, year: year) else { return nil }
    return Double(days(year: year, month: month, day: day))
  }

  // MARK: Counting in the calendar

  /// The time of day `days` moved by months of the calendar, on the last day of a month that is too short; nil
  /// outside the years 0001 to 9999.
  static func adding(months: Int, to days: Double) -> Double? {
    let whole = days.rounded(.down)
    guard whole >= -719_162, whole <= 2_932_896 else { return nil }
    let (year, month, day) = civil(Int(whole))
    let total = year * 12 + month - 1 + months
    let (newYear, newMonth) = (total / 12, total % 12 + 1)
    guard total >= 12, newYear <= 9999 else { return nil }
    let newDay = min(day, length(ofMonth: newMonth, year: newYear))
    return Double(Self.days(year: newYear, month: newMonth, day: newDay)) + (days - whole)
  }

  /// How many steps of `months` from `first` do not pass `last`; nil where they lead away from it.
  static func steps(of months: Int, from first: Double, to last: Double) -> Int? {
    func reaches(_ steps: Int) -> Bool {
      guard let point = adding(months: steps * months, to: first) else { return false }
      return months > 0 ? point <= last : point >= last
    }
    guard reaches(0) else { return nil }
    // A month has 28 to 31 days.
    var steps = Int((last - first) / Double(31 * months))
    while reaches(steps + 1) { steps += 1 }
    return steps
  }

  static let monthNames = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
  ]

  static func length(ofMonth month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  // The two below count in years that start in March, so that the leap day is the last of its year.

  static func days(year: Int, month: Int, day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
  }

  static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
    let since = days + 719_468  // since 0000-03-01; not negative from year 1 on
    let era = since / 146_097
    let dayOfEra = since % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  /// The year and the week of ISO 8601 that a day is in, and its weekday, Monday being 0.
  static func isoWeek(of day: Int) -> (year: Int, week: Int, weekday: Int) {
    let weekday = ((day + 3) % 7 + 7) % 7
    // A week is in the year that has its Thursday.
    let year = civil(day - weekday + 3).year
    return (year, (day - weekday - days(ofISOYear: year)) / 7 + 1, weekday)
  }

  /// The Monday of the first week of a year of ISO 8601: the week with January 4.
  static func days(ofISOYear year: Int) -> Int {
    let fourth = days(year: year, month: 1, day: 4)
    return fourth - ((fourth + 3) % 7 + 7) % 7
  }

  static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
