/// What the values of a column are, so that output can write them as they were read.
public enum ColumnKind: Equatable, Sendable {
  case number
  /// `YYYY-MM-DD`; values are days since 1970-01-01.
  case date
  /// `YYYY-MM-DDTHH:MM[:SS[.fff]]`, with or without an offset from UTC; values are days since
  /// 1970-01-01T00:00, in UTC where an offset was given.
  case dateTime(utc: Bool)
  case text
}

/// ISO 8601 dates of the years 0001 to 9999 in the Gregorian calendar, as days since 1970-01-01.
public enum CalendarText {
  /// The days and the kind of a date or date-time, or nil where `text` is neither.
  public static func read(_ text: String) -> (days: Double, kind: ColumnKind)? {
    read(ArraySlice(text.utf8))
  }

  static func read(_ text: ArraySlice<UInt8>) -> (days: Double, kind: ColumnKind)? {
    var reader = Reader(rest: NumberText.trimmed(text))
    guard let year = reader.digits(4), year >= 1, reader.take("-"), let month = reader.digits(2),
      (1...12).contains(month), reader.take("-"), let day = reader.digits(2), day >= 1,
      day <= length(ofMonth: month, year: year)
    else { return nil }
    let days = Self.days(year: year, month: month, day: day)
    if reader.rest.isEmpty { return (Double(days), .date) }
    guard reader.take("T") || reader.take("t") || reader.take(" "), let hour = reader.digits(2), hour <= 23,
      reader.take(":"),
      let minute = reader.digits(2), minute <= 59
    else { return nil }
    var seconds = 0.0
    if reader.take(":") {
      guard let whole = reader.digits(2), whole <= 59 else { return nil }
      seconds = Double(whole)
      if reader.take(".") || reader.take(",") {
        guard let fraction = reader.fraction() else { return nil }
        seconds += fraction
      }
    }
    var minutes = hour * 60 + minute
    var utc = false
    if reader.take("Z") || reader.take("z") {
      utc = true
    } else if !reader.rest.isEmpty {
      let east = reader.take("+")
      guard east || reader.take("-"), let hours = reader.digits(2), hours <= 23 else { return nil }
      _ = reader.take(":")
      guard let more = reader.digits(2), more <= 59 else { return nil }
      minutes += (east ? -1 : 1) * (hours * 60 + more)
      utc = true
    }
    guard reader.rest.isEmpty else { return nil }
    return (Double(days) + (Double(minutes) * 60 + seconds) / 86400, .dateTime(utc: utc))
  }

  /// The text of `days` in the form of `kind`, to the millisecond; a date that is not a whole day gets a time.
  /// Days outside the years 0001 to 9999 are written as the number that they are.
  public static func write(_ days: Double, as kind: ColumnKind) -> String {
    let milliseconds = (days * 86_400_000).rounded()
    guard milliseconds >= -62_135_596_800_000, milliseconds < 253_402_300_800_000 else { return "\(days)" }
    let total = Int(milliseconds)
    let whole = (total - (((total % 86_400_000) + 86_400_000) % 86_400_000)) / 86_400_000
    let rest = total - whole * 86_400_000
    let (year, month, day) = civil(whole)
    let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    if kind == .date && rest == 0 { return date }
    var text = date + "T\(padded(rest / 3_600_000, 2)):\(padded(rest / 60_000 % 60, 2))"
    if rest % 60_000 != 0 { text += ":\(padded(rest / 1000 % 60, 2))" }
    if rest % 1000 != 0 { text += ".\(padded(rest % 1000, 3))" }
    return kind == .dateTime(utc: true) ? text + "Z" : text
  }

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

  private struct Reader {
    var rest: ArraySlice<UInt8>

    mutating func digits(_ count: Int) -> Int? {
      guard rest.count >= count else { return nil }
      var value = 0
      for byte in rest.prefix(count) {
        guard byte &- 0x30 <= 9 else { return nil }
        value = value * 10 + Int(byte &- 0x30)
      }
      rest.removeFirst(count)
      return value
    }

    /// One to nine digits as a fraction of one.
    mutating func fraction() -> Double? {
      let digits = rest.prefix { $0 &- 0x30 <= 9 }
      guard (1...9).contains(digits.count) else { return nil }
      rest.removeFirst(digits.count)
      return digits.reversed().reduce(0.0) { ($0 + Double($1 &- 0x30)) / 10 }
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard rest.first == UInt8(ascii: character) else { return false }
      rest.removeFirst()
      return true
    }
  }

  private static func length(ofMonth month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  // The two below count in years that start in March, so that the leap day is the last of its year.

  private static func days(year: Int, month: Int, day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
  }

  private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
    let since = days + 719_468  // since 0000-03-01; not negative from year 1 on
    let era = since / 146_097
    let dayOfEra = since % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
