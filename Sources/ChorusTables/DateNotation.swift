/// How a column writes its dates and times, so that output can write them alike: `2012-01-31`, `31.01.2012`,
/// `1/31/2012 3:45 PM`, `2020Q1`, `Jan 2020`, `2020-W05`.
public struct DateNotation: Hashable, Sendable {
  /// Which parts of a date are written, and in which order.
  enum Order: Sendable {
    case yearMonthDay, dayMonthYear, monthDayYear, yearMonth, monthYear, yearQuarter, quarterYear
    /// Weeks of ISO 8601, which begin on Mondays.
    case yearWeek

    var hasDay: Bool { self == .yearMonthDay || self == .dayMonthYear || self == .monthDayYear }
  }

  enum Month: Sendable {
    case digits
    /// `Jan`
    case short
    /// `January`
    case long
    /// `M01`
    case letter

    var isName: Bool { self == .short || self == .long }
  }

  enum Clock: Sendable { case none, twentyFour, twelve }

  /// AM or PM behind a time.
  enum Half: String, Sendable, CaseIterable {
    case upper = "PM"
    case lower = "pm"
    case spaceUpper = " PM"
    case spaceLower = " pm"
  }

  /// What stands behind a time in UTC. Other offsets are counted in UTC and written as `Z`.
  enum Zone: String, Sendable, CaseIterable {
    case none = ""
    case z = "Z"
    case hours = "+00"
    case minutes = "+00:00"
    case digits = "+0000"
    case utc = " UTC"
    case gmt = " GMT"
  }

  var order = Order.yearMonthDay
  /// Between the parts of a date; 0 where nothing is.
  var separator = UInt8(ascii: "-")
  /// Whether a month and a day below 10 have a zero before them.
  var isPadded = true
  var month = Month.digits
  /// `JAN`
  var isUpperCase = false
  /// `Jan 31, 2012`
  var hasComma = false
  /// `1st Quarter` and not `Q1`.
  var hasOrdinal = false
  /// Whether years have two digits, 69 being 1969 and 68 being 2068; only where it is told.
  var isShortYear = false
  /// Whether day and month might be the other way round; values are counted as if the day came first.
  var isOpen = false

  var clock = Clock.none
  /// Between date and time.
  var gap = UInt8(ascii: "T")
  var isHourPadded = true
  /// Whether seconds are written where they are none.
  var hasSeconds = false
  var half = Half.spaceUpper
  var zone = Zone.none

  /// ISO 8601 dates.
  init() {}

  /// Whether day and month are known; with dots the day comes first wherever dates are written so.
  var isSettled: Bool { !isOpen || separator == UInt8(ascii: ".") }

  /// Whether this is all digits, which alone would be a number: `20120131`.
  var isDigits: Bool { separator == 0 && order == .yearMonthDay && month == .digits }

  /// Whether times are in UTC; nil where there are none.
  var isUTC: Bool? { clock == .none ? nil : zone != .none }

  /// Whether dates are written with the same parts in the same order; an open order is any of the two.
  func isLike(_ other: DateNotation) -> Bool {
    func days(_ order: Order) -> Bool { order == .dayMonthYear || order == .monthDayYear }
    let sameOrder = order == other.order || (isOpen || other.isOpen) && days(order) && days(other.order)
    let sameMonth = month == other.month || month.isName && other.month.isName
    return sameOrder && sameMonth && separator == other.separator && hasComma == other.hasComma
      && hasOrdinal == other.hasOrdinal && isShortYear == other.isShortYear
  }

  /// The notation of a column that has dates of this one and of `other`; nil where they differ in more than zeros,
  /// times and the zone. What is open is settled by what is not.
  func joined(_ other: DateNotation) -> DateNotation? {
    guard isLike(other) else { return nil }
    var result = isOpen ? other : self
    result.isPadded = isPadded && other.isPadded
    // May is the one month that does not tell.
    if other.month == .long || month == .long { result.month = .long }
    guard clock != .none, other.clock != .none else {
      result.setTime(of: clock == .none ? other : self)
      return result
    }
    result.setTime(of: self)
    result.isHourPadded = isHourPadded && other.isHourPadded
    result.hasSeconds = hasSeconds || other.hasSeconds
    if zone != other.zone { result.zone = .z }
    return result
  }

  mutating func setTime(of other: DateNotation) {
    (clock, gap, isHourPadded, hasSeconds) = (other.clock, other.gap, other.isHourPadded, other.hasSeconds)
    (half, zone) = (other.half, other.zone)
  }

  // MARK: Patterns

  /// The notation as a pattern of `strftime`: `%d/%m/%Y %H:%M`; a quarter is `%q`, or `%Q` as `1st Quarter`; a week
  /// is `%G-W%V`, a year of two digits `%y`.
  public var pattern: String {
    let name = isUpperCase ? "^" : ""
    let month =
      switch month {
      case .digits: isPadded ? "%m" : "%-m"
      case .short: "%\(name)b"
      case .long: "%\(name)B"
      case .letter: isPadded ? "M%m" : "M%-m"
      }
    let day = isPadded ? "%d" : "%-d"
    let date = dateText(
      year: order == .yearWeek ? "%G" : isShortYear ? "%y" : "%Y", month: month, day: day,
      quarter: hasOrdinal ? "%Q" : "Q%q", week: isPadded ? "W%V" : "W%-V")
    guard clock != .none else { return date }
    let zero = isHourPadded ? "" : "-"
    let hour = clock == .twelve ? "%\(zero)I" : "%\(zero)H"
    let half = half.rawValue.replacingLetters(with: half == .lower || half == .spaceLower ? "%P" : "%p")
    return date + timeText(time: "\(hour):%M" + (hasSeconds ? ":%S" : ""), half: half)
  }

  /// A notation from its pattern; nil where that is none of those that are read.
  public init?(pattern: String) {
    // The pattern is read as the date it would write.
    let examples: [String: String] = [
      "Y": "2001", "m": "02", "-m": "2", "d": "03", "-d": "3", "b": "Feb", "B": "February", "^b": "FEB",
      "^B": "FEBRUARY", "q": "1", "Q": "1st Quarter", "H": "04", "-H": "4", "I": "04", "-I": "4", "M": "05",
      "S": "06", "p": "AM", "P": "am", "z": "+00:00", "y": "01", "G": "2001", "V": "05", "-V": "5",
    ]
    var (example, order) = ("", [String]())
    var rest = Substring(pattern)
    while let character = rest.popFirst() {
      guard character == "%" else {
        example.append(character)
        continue
      }
      guard var key = rest.popFirst().map(String.init) else { return nil }
      if key == "-" || key == "^", let more = rest.popFirst() { key.append(more) }
      guard let text = examples[key] else { return nil }
      example += text
      order.append(key)
    }
    var told: DateNotation?
    if order.contains("y") {
      told = DateNotation()
      told?.isShortYear = true
      let hasDay = order.contains { $0.hasSuffix("d") }
      told?.order =
        order.first == "y" ? hasDay ? .yearMonthDay : .yearMonth : hasDay ? .dayMonthYear : .monthYear
    }
    guard case .moment(_, var notation) = CalendarText.reading(example, like: told), !order.isEmpty else {
      return nil
    }
    if notation.isOpen, let day = order.firstIndex(where: { $0.hasSuffix("d") }),
      let month = order.firstIndex(where: { $0.hasSuffix("m") })
    {
      notation.order = day < month ? .dayMonthYear : .monthDayYear
      notation.isOpen = false
    }
    guard notation.pattern == pattern || pattern.place(of: "%z") != nil else { return nil }
    self = notation
  }

  // MARK: Writing

  /// The text of a time, `days` since 1970-01-01T00:00 and within the years 0001 to 9999, to the millisecond.
  func text(milliseconds total: Int) -> String {
    let rest = ((total % 86_400_000) + 86_400_000) % 86_400_000
    let (year, month, day) = CalendarText.civil((total - rest) / 86_400_000)
    let isStart = day == 1 && rest == 0
    // A month or a quarter has no room for a day in it.
    let (weekYear, week, weekday) = CalendarText.isoWeek(of: (total - rest) / 86_400_000)
    let isWhole =
      order == .yearWeek
      ? weekday == 0 && rest == 0 : isStart && (!order.hasQuarter || month % 3 == 1)
    guard order.hasDay || isWhole, !isShortYear || (1969...2068).contains(year) else {
      return DateNotation().text(milliseconds: total)
    }
    var notation = self
    if clock == .none, rest != 0 {
      notation.clock = .twentyFour
      notation.gap = self.isLike(DateNotation()) ? UInt8(ascii: "T") : UInt8(ascii: " ")
    }
    func digits(_ number: Int) -> String { CalendarText.padded(number, isPadded ? 2 : 1) }
    let name = CalendarText.monthNames[month - 1]
    let monthText =
      switch self.month {
      case .digits: digits(month)
      case .short: isUpperCase ? name.prefix(3).uppercased() : String(name.prefix(3))
      case .long: isUpperCase ? name.uppercased() : name
      case .letter: "M" + digits(month)
      }
    let quarter = (month + 2) / 3
    let ordinal = ["1st", "2nd", "3rd", "4th"][quarter - 1] + " Quarter"
    let date = notation.dateText(
      year: isShortYear
        ? CalendarText.padded(year % 100, 2) : CalendarText.padded(order == .yearWeek ? weekYear : year, 4),
      month: monthText, day: digits(day), quarter: hasOrdinal ? ordinal : "Q\(quarter)",
      week: "W" + digits(week))
    guard notation.clock != .none else { return date }
    var hour = rest / 3_600_000
    let half = half.rawValue.replacingLetters(
      with: half == .lower || half == .spaceLower ? (hour < 12 ? "am" : "pm") : hour < 12 ? "AM" : "PM")
    if clock == .twelve { hour = (hour + 11) % 12 + 1 }
    var time =
      CalendarText.padded(hour, isHourPadded ? 2 : 1) + ":" + CalendarText.padded(rest / 60_000 % 60, 2)
    if hasSeconds || rest % 60_000 != 0 { time += ":" + CalendarText.padded(rest / 1000 % 60, 2) }
    if rest % 1000 != 0 { time += "." + CalendarText.padded(rest % 1000, 3) }
    return date + notation.timeText(time: time, half: half)
  }

  private func dateText(year: String, month: String, day: String, quarter: String, week: String) -> String {
    let between = separator == 0 ? "" : String(Unicode.Scalar(separator))
    return switch order {
    case .yearMonthDay: year + between + month + between + day
    case .dayMonthYear: day + between + month + between + year
    case .monthDayYear: month + between + day + (hasComma ? "," : "") + between + year
    case .yearMonth: year + between + month
    case .monthYear: month + between + year
    case .yearQuarter: year + between + quarter
    case .quarterYear: quarter + between + year
    case .yearWeek: year + between + week
    }
  }

  private func timeText(time: String, half: String) -> String {
    String(Unicode.Scalar(gap)) + time + (clock == .twelve ? half : "") + zone.rawValue
  }
}

extension DateNotation.Order {
  var hasQuarter: Bool { self == .yearQuarter || self == .quarterYear }
}

extension String {
  /// The text with `PM` or `pm` in it replaced.
  fileprivate func replacingLetters(with text: String) -> String { prefix { $0 == " " } + text }
}
