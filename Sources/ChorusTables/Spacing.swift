import Foundation

/// How the rows of a series follow one another, so that it can be gone on with: months of the calendar, business days,
/// the hours of a working day, or plain steps.
public struct Spacing: Equatable, Codable, Sendable {
  private enum Rule: Equatable, Codable {
    /// Steps from a base, or from the last row where there is none.
    case steps(Double, base: Double?)
    case months(Int, atEnd: Bool)
    case businessDays(Int)
    /// Times of day in days, the step between them, and whether Saturday and Sunday have none.
    case hours([Double], step: Double, weekdays: Bool)
  }

  private let rule: Rule
  private let isCalendar: Bool
  /// Places behind the decimal mark that the values have, where they are few.
  private let places: Int?
  /// Words for a step of a decimal year.
  private var yearPart: Int?

  /// The part of the steps that have to be alike.
  private static let share = 0.5

  /// What is found in the values of a column; nil where most of them are not evenly spaced.
  public init?(of values: [Double], kind: ColumnKind) {
    let sorted = Set(values).sorted()
    guard sorted.count >= 2, kind.notation == nil || sorted.allSatisfy(Self.isInCalendar) else { return nil }
    isCalendar = kind.notation != nil
    if isCalendar {
      guard let rule = Self.calendarRule(sorted) else { return nil }
      (self.rule, places) = (rule, nil)
      return
    }
    places = Self.places(sorted)
    let steps = zip(sorted.dropFirst(), sorted).map { $0 - $1 }
    let step = Self.mode(steps, tolerance: 1e-6)
    let isExact = step.map { step in
      steps.allSatisfy { abs($0 / step - ($0 / step).rounded()) < 1e-6 * ($0 / step) }
    }
    // Decimal years are mostly rounded, so that a step may be the most frequent by chance.
    if isExact != true, let part = Self.yearPart(sorted, steps) {
      yearPart = part
      // Rounded values lie around the places that are meant.
      let offsets = sorted.map { value in
        let steps = ((value - sorted[0]) * Double(part)).rounded()
        return value - sorted[0] - steps / Double(part)
      }
      rule = .steps(
        1 / Double(part), base: sorted[0] + offsets.reduce(0, +) / Double(offsets.count))
    } else if let step {
      let scale = places.map { pow(10, Double($0)) }
      rule = .steps(scale.map { (step * $0).rounded() / $0 } ?? step, base: nil)
    } else {
      return nil
    }
  }

  /// Steps that were told, after the values of a column.
  public init(_ step: Step, after values: [Double], kind: ColumnKind) {
    isCalendar = kind.notation != nil
    places = isCalendar ? nil : Self.places(values)
    switch step {
    case .length(let length): rule = .steps(length, base: nil)
    case .months(let months):
      rule = .months(
        months, atEnd: values.count > 1 && values.allSatisfy { Self.isInCalendar($0) && Self.isMonthEnd($0) })
    case .businessDays(let days): rule = .businessDays(days)
    }
  }

  /// Reads what was encoded; its numbers have to be such as are found.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    rule = try values.decode(Rule.self, forKey: .rule)
    isCalendar = try values.decode(Bool.self, forKey: .isCalendar)
    places = try values.decodeIfPresent(Int.self, forKey: .places)
    yearPart = try values.decodeIfPresent(Int.self, forKey: .yearPart)
    let isSound =
      switch rule {
      case .steps(let step, let base): step.isFinite && (base ?? 0).isFinite
      case .months(let months, _): (1...1_440_000).contains(months)
      case .businessDays(let days): (1...10_000).contains(days)
      case .hours(let times, let step, _):
        !times.isEmpty && times.allSatisfy { (0..<1).contains($0) } && step.isFinite
      }
    guard isSound, (0...9).contains(places ?? 0), (1...12).contains(yearPart ?? 1) else {
      throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "no spacing of rows"))
    }
  }

  /// The next points after `last`; fewer where the calendar ends.
  public func points(_ count: Int, after last: Double) -> [Double] {
    guard !isCalendar || Self.isInCalendar(last) else { return [] }
    var points: [Double] = []
    for index in 1...max(count, 1) where index <= count {
      let point: Double?
      switch rule {
      case .steps(let step, nil): point = last + Double(index) * step
      case .steps(let step, let base?):
        point = base + (((last - base) / step).rounded() + Double(index)) * step
      case .months(let months, let atEnd):
        point = CalendarText.adding(months: index * months, to: last).map { atEnd ? Self.monthEnd($0) : $0 }
      case .businessDays(let days):
        point = Self.adding(businessDays: days, to: points.last ?? last)
      case .hours(let times, _, let weekdays):
        point = Self.next(times, weekdays: weekdays, after: points.last ?? last)
      }
      guard let point, point.isFinite, !isCalendar || Self.isInCalendar(point) else { break }
      points.append(rounded(point))
    }
    return points
  }

  private func rounded(_ value: Double) -> Double {
    if isCalendar {
      // To the millisecond, in which times are written.
      guard case .steps = rule else { return value }
      return (value * 86_400_000).rounded() / 86_400_000
    }
    guard let places, case let scale = pow(10, Double(places + (isFinerStep ? 3 : 0))) else { return value }
    return abs(value) * scale < 0x1p53 ? (value * scale).rounded() / scale : value
  }

  /// Whether the step was told and is no multiple of the values' last place.
  private var isFinerStep: Bool {
    guard case .steps(let step, nil) = rule, let places else { return false }
    let scaled = step * pow(10, Double(places))
    return abs(scaled - scaled.rounded()) > 1e-6
  }

  // MARK: Words

  /// The spacing in words, as `months, from their first days`.
  public func words(after last: Double) -> String {
    switch rule {
    case .steps(let step, _):
      if let yearPart {
        let name = [12: "months", 4: "quarters", 2: "half years"][yearPart] ?? "\(yearPart) parts of a year"
        return "\(name) of decimal years"
      }
      return isCalendar ? Self.words(days: step) : "steps of \(RowEncoder.written(step, .number))"
    case .months(let months, let atEnd):
      let unit = [1: "months", 3: "quarters", 12: "years"][months] ?? "every \(months) months"
      if atEnd { return "\(unit), at their ends" }
      return Self.day(last) == 1 && months < 12 ? "\(unit), at their starts" : unit
    case .businessDays(let days): return days == 1 ? "business days" : "every \(days) business days"
    case .hours(let times, let step, let weekdays):
      func time(_ value: Double?) -> String {
        String(CalendarText.write(value ?? 0, as: .dateTime(utc: false)).dropFirst(11))
      }
      return "\(Self.words(days: step)), \(time(times.first)) to \(time(times.last))"
        + (weekdays ? ", Monday to Friday" : "")
    }
  }

  private static func words(days: Double) -> String {
    let seconds = (days * 86_400_000).rounded() / 1000
    for (length, one, many) in [
      (604_800.0, "weeks", "weeks"), (86_400, "days", "days"), (3600, "hours", "hours"),
      (60, "minutes", "minutes"),
    ] where seconds >= length && seconds.truncatingRemainder(dividingBy: length) == 0 {
      let count = seconds / length
      return count == 1 ? one : "every \(RowEncoder.written(count, .number)) \(many)"
    }
    return seconds == 1 ? "seconds" : "every \(RowEncoder.written(seconds, .number)) seconds"
  }

  /// Rows in the season that such a spacing mostly has, and its name; nil where there is no such season.
  public var season: (rows: Int, name: String)? {
    switch rule {
    case .months(let months, _): return months < 12 && 12 % months == 0 ? (12 / months, "year") : nil
    case .businessDays(let days): return days == 1 ? (5, "week") : nil
    case .hours(let times, _, _): return (times.count, "day")
    case .steps(let step, _):
      if let yearPart { return (yearPart, "year") }
      guard isCalendar else { return nil }
      if step == 1 { return (7, "week") }
      if step == 7 { return (52, "year") }
      let count = (1 / step).rounded()
      return step < 1 && count <= 1440 && abs(count * step - 1) < 1e-9 ? (Int(count), "day") : nil
    }
  }
}

// MARK: - Steps between rows

extension Spacing {
  /// Whether days or hours are left out by rule, so that a gap between rows is no missing row.
  private var skips: Bool {
    switch rule {
    case .businessDays, .hours: true
    case .months, .steps: false
    }
  }

  /// The number of the step of each value, counted from the smallest: gap by gap in parts of the median one.
  public static func steps(of values: [Double], _ spacing: Spacing?) -> [Int] {
    let sorted = Set(values).sorted()
    let gaps = zip(sorted.dropFirst(), sorted).map { $0 - $1 }
    let median = gaps.sorted()[safe: gaps.count / 2] ?? 1
    var (number, last) = ([Double: Int](), 0)
    for (index, value) in sorted.enumerated() {
      if index > 0 {
        let count = spacing?.skips == true ? 1 : max((gaps[index - 1] / median).rounded(), 1)
        last += Int(min(count, 1e6))
      }
      number[value] = last
    }
    return values.map { number[$0] ?? 0 }
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}

// MARK: - What is found

extension Spacing {
  private static func calendarRule(_ sorted: [Double]) -> Rule? {
    let days = sorted.map { $0.rounded(.down) }
    let isDaily = zip(sorted, days).allSatisfy { abs(($0 - $1) - (sorted[0] - days[0])) < 1e-6 }
    if isDaily, let rule = monthRule(days) { return rule }
    let steps = zip(sorted.dropFirst(), sorted).map { $0 - $1 }
    // To the millisecond: a time of day is no sum of powers of two.
    guard let found = mode(steps.map { ($0 * 86_400_000).rounded() }, tolerance: 0) else { return nil }
    let step = found / 86_400_000
    let weekdays = days.allSatisfy { weekday($0) < 5 } && week(days[0]) != week(days[days.count - 1])
    if isDaily { return weekdays && step == 1 ? .businessDays(1) : .steps(step, base: nil) }
    return hours(sorted, days, step: step, weekdays: weekdays) ?? .steps(step, base: nil)
  }

  /// Months, if there is one row at most in each, on the same day or the last.
  private static func monthRule(_ days: [Double]) -> Rule? {
    let dates = days.map { CalendarText.civil(Int($0)) }
    let last = dates.map(\.day).max() ?? 1
    let atEnd = days.allSatisfy(isMonthEnd)
    guard
      atEnd
        || dates.allSatisfy({ $0.day == min(last, CalendarText.length(ofMonth: $0.month, year: $0.year)) })
    else { return nil }
    let months = dates.map { $0.year * 12 + $0.month }
    let steps = zip(months.dropFirst(), months).map { Double($0 - $1) }
    guard steps.allSatisfy({ $0 >= 1 }), let step = mode(steps, tolerance: 0) else { return nil }
    return .months(Int(step), atEnd: atEnd)
  }

  /// The times of a working day: the same on most days, and none at night.
  private static func hours(
    _ sorted: [Double], _ days: [Double], step: Double, weekdays: Bool
  ) -> Rule? {
    var seen: [Int: Double] = [:]
    for (value, day) in zip(sorted, days) { seen[Int(((value - day) * 86_400).rounded())] = value - day }
    let times = seen.keys.sorted().compactMap { seen[$0] }
    let count = Set(days).count
    guard step < 1, count >= 2, times.count >= 2, let first = times.first, let last = times.last,
      last - first + step < 1 - step / 2, Double(sorted.count) >= 0.75 * Double(times.count * count)
    else { return nil }
    return .hours(times, step: step, weekdays: weekdays)
  }

  /// The part of a year, of 2, 4 and 12, of which decimal years are multiples but for rounding.
  private static func yearPart(_ sorted: [Double], _ steps: [Double]) -> Int? {
    guard sorted[0] >= 1000, sorted[sorted.count - 1] < 3000 else { return nil }
    return [2, 4, 12].first { part in
      steps.allSatisfy { step in
        let parts = step * Double(part)
        return parts.rounded() >= 1 && abs(parts - parts.rounded()) < 0.15
      } && Double(steps.count { ($0 * Double(part)).rounded() == 1 }) >= share * Double(steps.count)
    }
  }

  /// The step that at least half of the steps are, within a part of it; nil where none is.
  private static func mode(_ steps: [Double], tolerance: Double) -> Double? {
    let sorted = steps.sorted()
    var best = (count: 0, first: 0)
    var first = 0
    for index in sorted.indices {
      while sorted[index] - sorted[first] > 2 * tolerance * sorted[index] { first += 1 }
      if index - first + 1 > best.count { best = (index - first + 1, first) }
    }
    guard Double(best.count) >= share * Double(steps.count) else { return nil }
    return sorted[best.first + best.count / 2]
  }

  /// Places behind the decimal mark with which all values can be written; nil where they need more than nine.
  private static func places(_ values: [Double]) -> Int? {
    (0...9).first { places in
      let scale = pow(10, Double(places))
      return values.allSatisfy { value in
        abs(value) * scale < 0x1p50 && abs(value * scale - (value * scale).rounded()) < 1e-6
      }
    }
  }

  // MARK: Days

  private static func isInCalendar(_ value: Double) -> Bool { CalendarText.milliseconds(value) != nil }

  /// Monday is 0.
  private static func weekday(_ day: Double) -> Int { ((Int(day) + 3) % 7 + 7) % 7 }
  private static func week(_ day: Double) -> Int { Int(((day + 3) / 7).rounded(.down)) }
  private static func day(_ value: Double) -> Int { CalendarText.civil(Int(value.rounded(.down))).day }

  private static func isMonthEnd(_ value: Double) -> Bool {
    let (year, month, day) = CalendarText.civil(Int(value.rounded(.down)))
    return day == CalendarText.length(ofMonth: month, year: year)
  }

  private static func monthEnd(_ value: Double) -> Double {
    let (year, month, day) = CalendarText.civil(Int(value.rounded(.down)))
    return value + Double(CalendarText.length(ofMonth: month, year: year) - day)
  }

  private static func adding(businessDays count: Int, to value: Double) -> Double {
    var (point, left) = (value, count)
    while left > 0 {
      point += 1
      if weekday(point.rounded(.down)) < 5 { left -= 1 }
    }
    return point
  }

  private static func next(_ times: [Double], weekdays: Bool, after last: Double) -> Double? {
    var day = last.rounded(.down)
    if let later = times.first(where: { $0 > last - day + 1e-6 }) { return day + later }
    repeat { day += 1 } while weekdays && weekday(day) >= 5
    return times.first.map { day + $0 }
  }
}
