/// Reads one date or time, in whichever of the usual notations it is.
struct CalendarReader {
  private let text: UnsafeBufferPointer<UInt8>
  private var position = 0
  private var end: Int
  private var notation = DateNotation()
  private var (year, month, day) = (0, 1, 1)
  /// The first day of a week.
  private var monday: Int?
  /// How dates are said to be written.
  private let told: DateNotation?
  /// Why the date or the time is none, where it is written like one.
  private var fault: String?

  /// - Parameter told: how dates are said to be written: only then years of two digits are read.
  init(_ text: UnsafeBufferPointer<UInt8>, like told: DateNotation? = nil) {
    self.text = text
    self.told = told
    end = text.count
    while position < end, Self.isSpace(text[position]) { position += 1 }
    while end > position, Self.isSpace(text[end - 1]) { end -= 1 }
  }

  mutating func reading() -> CalendarText.Reading {
    guard date(), year >= 1 else { return .none }
    var seconds = 0.0
    if position < end {
      guard notation.order.hasDay, let time = time() else { return .none }
      seconds = time
    }
    if let fault = fault ?? dayFault { return .impossible(fault) }
    let date = monday ?? CalendarText.days(year: year, month: month, day: day)
    let days = Double(date) + seconds / 86400
    guard CalendarText.milliseconds(days) != nil else {
      return .impossible("in UTC it is outside the years 1 to 9999")
    }
    return .moment(days: days, notation: notation)
  }

  private var dayFault: String? {
    guard (1...12).contains(month) else { return "there is no month \(month)" }
    guard day >= 1 else { return "there is no day 0" }
    let length = CalendarText.length(ofMonth: month, year: year)
    return day <= length ? nil : "\(CalendarText.monthNames[month - 1]) \(year) has \(length) days"
  }

  // MARK: Dates

  private mutating func date() -> Bool {
    let digits = digitCount
    if digits == 4 { return yearFirst() }
    if digits == 8 {
      (year, month, day) = (number(4), number(2), number(2))
      notation.separator = 0
      return true
    }
    if digits == 2, hasShortYear, told?.order == .yearMonthDay || told?.order == .yearMonth {
      return yearFirst()
    }
    if digits == 1 || digits == 2 { return dayOrMonthFirst() }
    return wordFirst()
  }

  private var hasShortYear: Bool { told?.isShortYear ?? false }

  private mutating func yearFirst() -> Bool {
    guard takeYear() else { return false }
    notation.separator = takeSeparator()
    if takeLetter("q") { return quarter(.yearQuarter) }
    if takeLetter("w") { return week() }
    if digitCount == 0 {
      if takeLetter("m") {
        if (1...2).contains(digitCount) {
          (notation.order, notation.month) = (.yearMonth, .letter)
          return takeMonth()
        }
        position -= 1
      }
      guard takeMonthName() else { return false }
      if isDigit(position + 1), take(notation.separator) { return takeDay() }
      notation.order = .yearMonth
      return true
    }
    guard notation.separator != 0, (1...2).contains(digitCount) else { return false }
    let isQuarter = digitCount == 1 && takeOrdinalQuarter()
    if isQuarter { return true }
    guard takeMonth() else { return false }
    if take(notation.separator) { return takeDay() }
    notation.order = .yearMonth
    return notation.separator == UInt8(ascii: "-") || notation.separator == UInt8(ascii: "/")
  }

  private mutating func dayOrMonthFirst() -> Bool {
    notation.isPadded = digitCount == 2
    let first = number(digitCount)
    notation.separator = takeSeparator()
    guard notation.separator != 0 else { return false }
    if digitCount == 0 {
      day = first
      notation.order = .dayMonthYear
      return takeMonthName() && take(notation.separator) && takeYear()
    }
    guard notation.separator != UInt8(ascii: " ") else { return false }
    if digitCount == 4 || told?.order == .monthYear {
      month = first
      notation.order = .monthYear
      return notation.separator != UInt8(ascii: ".") && takeYear()
    }
    guard (1...2).contains(digitCount) else { return false }
    notation.isPadded = notation.isPadded && digitCount == 2
    let second = number(digitCount)
    guard take(notation.separator), takeYear() else { return false }
    let isMonthFirst = first <= 12 && second > 12
    (day, month) = isMonthFirst ? (second, first) : (first, second)
    notation.order = isMonthFirst ? .monthDayYear : .dayMonthYear
    notation.isOpen = (1...12).contains(first) && (1...12).contains(second)
    return true
  }

  private mutating func wordFirst() -> Bool {
    if takeLetter("q") { return quarter(.quarterYear) }
    guard takeMonthName() else { return false }
    notation.separator = takeSeparator()
    guard notation.separator != 0 else { return false }
    if digitCount == 4 || told?.order == .monthYear {
      notation.order = .monthYear
      return takeYear()
    }
    notation.order = .monthDayYear
    guard takeDay() else { return false }
    notation.hasComma = take(UInt8(ascii: ","))
    return take(notation.separator) && takeYear()
  }

  /// The number of a week.
  private mutating func week() -> Bool {
    guard (1...2).contains(digitCount), !notation.isShortYear else { return false }
    (notation.order, notation.isPadded) = (.yearWeek, digitCount == 2)
    let week = number(digitCount)
    let first = CalendarText.days(ofISOYear: year)
    if week < 1 || first + 7 * week > CalendarText.days(ofISOYear: year + 1) {
      fault = "\(year) has no week \(week)"
    }
    monday = first + 7 * (week - 1)
    return true
  }

  /// The digit of a quarter, and the year where it comes behind.
  private mutating func quarter(_ order: DateNotation.Order) -> Bool {
    notation.order = order
    guard digitCount == 1, case let quarter = number(1), (1...4).contains(quarter) else { return false }
    month = quarter * 3 - 2
    guard order == .quarterYear else { return true }
    notation.separator = takeSeparator()
    return notation.separator != 0 && takeYear()
  }

  /// `1st Quarter`
  private mutating func takeOrdinalQuarter() -> Bool {
    guard end - position == 11 else { return false }
    for (index, word) in ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"].enumerated() {
      guard zip(text[position..<end], word.utf8).allSatisfy({ $0 | 0x20 == $1 }) else { continue }
      position = end
      (notation.order, notation.hasOrdinal, month) = (.yearQuarter, true, index * 3 + 1)
      return true
    }
    return false
  }

  private mutating func takeYear() -> Bool {
    if digitCount == 2, hasShortYear {
      let last = number(2)
      (year, notation.isShortYear) = (last < 69 ? 2000 + last : 1900 + last, true)
      return true
    }
    guard digitCount == 4 else { return false }
    year = number(4)
    return true
  }

  private mutating func takeMonth() -> Bool {
    if digitCount == 1 { notation.isPadded = false }
    month = number(digitCount)
    return true
  }

  private mutating func takeDay() -> Bool {
    guard (1...2).contains(digitCount) else { return false }
    if digitCount == 1 { notation.isPadded = false }
    day = number(digitCount)
    return true
  }

  private mutating func takeMonthName() -> Bool {
    var length = 0
    while position + length < end, case let letter = text[position + length] | 0x20,
      (0x61...0x7A).contains(letter)
    { length += 1 }
    guard (3...9).contains(length) else { return false }
    let word = text[position..<position + length]
    for (index, name) in CalendarText.monthNames.enumerated() {
      let isShort = length == 3 || length == 4 && index == 8  // Sept
      guard isShort || length == name.utf8.count,
        zip(word, name.utf8).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
      else { continue }
      month = index + 1
      notation.month = isShort ? .short : .long
      notation.isUpperCase = word.dropFirst().first.map { $0 & 0x20 == 0 } ?? false
      position += length
      return true
    }
    return false
  }

  // MARK: Times

  /// Seconds since midnight, less the offset from UTC.
  private mutating func time() -> Double? {
    let gap = text[position]
    guard gap == UInt8(ascii: "T") || gap == UInt8(ascii: "t") || gap == UInt8(ascii: " ") else { return nil }
    notation.gap = gap == UInt8(ascii: " ") ? gap : UInt8(ascii: "T")
    position += 1
    if gap == UInt8(ascii: " ") { takeSpaces() }
    guard (1...2).contains(digitCount) else { return nil }
    (notation.clock, notation.isHourPadded) = (.twentyFour, digitCount == 2)
    var hour = number(digitCount)
    guard take(UInt8(ascii: ":")), digitCount == 2 else { return nil }
    let minute = number(2)
    var seconds = 0.0
    if take(UInt8(ascii: ":")) {
      guard digitCount == 2 else { return nil }
      notation.hasSeconds = true
      let whole = number(2)
      if whole > 59 { fault = "there is no second \(whole)" }
      seconds = Double(whole)
      if take(UInt8(ascii: ".")) || take(UInt8(ascii: ",")) {
        let places = digitCount
        guard (1...9).contains(places) else { return nil }
        let digits = text[position..<position + places]
        seconds += digits.reversed().reduce(0.0) { ($0 + Double($1 &- 0x30)) / 10 }
        position += places
      }
    }
    if minute > 59 { fault = "there is no minute \(minute)" }
    guard let halfDay = takeHalf() else { return nil }
    if notation.clock == .twelve {
      if !(1...12).contains(hour) { fault = "there is no hour \(hour) before or after noon" }
      hour = hour % 12 + halfDay
    }
    if hour > 23 { fault = "there is no hour \(hour)" }
    guard let east = takeZone() else { return nil }
    return Double((hour * 60 + minute - east) * 60) + seconds
  }

  /// Hours to add for AM or PM, 0 where neither is there; nil for other letters.
  private mutating func takeHalf() -> Int? {
    let start = position
    takeSpaces()
    let hasSpace = position > start
    let isLower = position < end && text[position] & 0x20 != 0
    let isAfternoon = takeLetter("p")
    guard isAfternoon || takeLetter("a") else {
      position = start
      return 0
    }
    guard takeLetter("m") else { return nil }
    notation.clock = .twelve
    notation.half = isLower ? hasSpace ? .spaceLower : .lower : hasSpace ? .spaceUpper : .upper
    return isAfternoon ? 12 : 0
  }

  /// Minutes east of UTC, 0 where no zone is there; nil for what is none.
  private mutating func takeZone() -> Int? {
    takeSpaces()
    guard position < end else { return 0 }
    let letters = text[position..<end].map { $0 & 0xDF }
    for (word, zone) in [("Z", DateNotation.Zone.z), ("UTC", .utc), ("GMT", .gmt)]
    where letters.elementsEqual(word.utf8) {
      notation.zone = zone
      position = end
      return 0
    }
    let isEast = take(UInt8(ascii: "+"))
    guard isEast || take(UInt8(ascii: "-")) else { return nil }
    var (hours, minutes) = (0, 0)
    switch digitCount {
    case 4:
      notation.zone = .digits
      (hours, minutes) = (number(2), number(2))
    case 2:
      notation.zone = .hours
      hours = number(2)
      if take(UInt8(ascii: ":")) {
        notation.zone = .minutes
        guard digitCount == 2 else { return nil }
        minutes = number(2)
      }
    default: return nil
    }
    guard position == end, hours <= 23, minutes <= 59 else { return nil }
    let offset = (isEast ? 1 : -1) * (hours * 60 + minutes)
    if offset != 0 { notation.zone = .z }
    return offset
  }

  // MARK: Characters

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  private func isDigit(_ place: Int) -> Bool { place < end && text[place] &- 0x30 <= 9 }

  /// Digits that come next.
  private var digitCount: Int {
    var count = 0
    while isDigit(position + count) { count += 1 }
    return count
  }

  /// The number of the next digits, which are there.
  private mutating func number(_ count: Int) -> Int {
    defer { position += count }
    return text[position..<position + count].reduce(0) { $0 * 10 + Int($1 &- 0x30) }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard position < end, text[position] == byte, byte != 0 else { return false }
    position += 1
    return true
  }

  /// A letter in any case.
  private mutating func takeLetter(_ letter: Unicode.Scalar) -> Bool {
    guard position < end, text[position] | 0x20 == UInt8(ascii: letter) else { return false }
    position += 1
    return true
  }

  private mutating func takeSpaces() { while position < end, text[position] == 0x20 { position += 1 } }

  /// What stands between the parts of a date; 0 where nothing does.
  private mutating func takeSeparator() -> UInt8 {
    guard position < end else { return 0 }
    switch text[position] {
    case UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: " "):
      position += 1
      return text[position - 1]
    default: return 0
    }
  }
}
