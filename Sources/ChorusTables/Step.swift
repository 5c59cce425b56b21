/// How far it is from one point of a column to the next: `0.5`, `1d`, `30min`, `1M`.
public enum Step: Equatable, Sendable {
  /// In the unit of the column; of dates, in days.
  case length(Double)
  /// Months of the calendar.
  case months(Int)
  /// Days from Monday to Friday.
  case businessDays(Int)

  private static let lengths: [String: Double] = ["w": 7, "d": 1, "": 1]
  /// Units by how many of them are in a day.
  private static let partsOfDay: [String: Double] = ["h": 24, "m": 1440, "min": 1440, "s": 86_400]
  private static let months: [String: Int] = ["M": 1, "mo": 1, "q": 3, "y": 12]

  /// Reads a number and, of dates, its unit: `y`, `q`, `M` or `mo`, `w`, `d`, `B` (Monday to Friday), `h`, `min` or
  /// `m`, `s`, also as capitals but for months and minutes; without a unit it is days. Nil for what is none.
  public init?(_ text: some StringProtocol, ofDates: Bool = true) {
    let (digits, unit) = Self.parts(text)
    guard ofDates || unit.isEmpty else { return nil }
    if let months = Self.months[unit] {
      guard let number = Int(digits), number != 0, number.magnitude < 120_000 else { return nil }
      self = .months(number * months)
      return
    }
    if unit == "b" {
      guard let number = Int(digits), (1...10_000).contains(number) else { return nil }
      self = .businessDays(number)
      return
    }
    guard case .finite(let number) = NumberText.read(ArraySlice(digits.utf8)) else { return nil }
    if let length = Self.lengths[unit] {
      self = .length(number * length)
    } else if let parts = Self.partsOfDay[unit] {
      self = .length(number / parts)
    } else {
      return nil
    }
  }

  /// The number and the unit, which has small letters but for that of months.
  private static func parts(_ text: some StringProtocol) -> (digits: String, unit: String) {
    let letters = String(text.reversed().prefix { $0.isLetter }.reversed())
    let unit = letters == "M" || letters == "Mo" ? letters : letters.lowercased()
    return (String(text.dropLast(letters.count)), unit == "Mo" ? "mo" : unit)
  }

  /// What to give in place of `text`, in words.
  static func form(of text: some StringProtocol, ofDates: Bool) -> String {
    guard ofDates else { return "a number" }
    return months[parts(text).unit] != nil
      ? "a whole number of months or years, as 1mo"
      : "a number of days, or one with y, q, mo, w, d, h, m or s, as 12h"
  }
}
