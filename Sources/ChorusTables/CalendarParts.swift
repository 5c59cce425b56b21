/// What estimators are told of a date beside its day: the weekday, a category, and the month and the hour, numbers; each where rows
/// differ in it.
public enum CalendarParts {
  /// - Parameter days: since 1970-01-01; NaN for a missing cell.
  public static func of(_ days: [Double]) -> [(values: [Double], isCategory: Bool)] {
    func part(_ value: (Double) -> Double) -> [Double] { days.map { $0.isNaN ? .nan : value($0) } }
    func differs(_ values: [Double]) -> Bool {
      let present = values.lazy.filter { !$0.isNaN }
      guard let first = present.first else { return false }
      return present.contains { $0 != first }
    }
    // 1970-01-01 was a Thursday, the fourth day of its week.
    let weekday = part {
      (($0.rounded(.down) + 3).truncatingRemainder(dividingBy: 7) + 7).truncatingRemainder(dividingBy: 7)
    }
    let month = part {
      Double(CalendarText.civil(Int(min(max($0.rounded(.down), -719_162), 2_932_896))).month)
    }
    let hour = part { 24 * ($0 - $0.rounded(.down)) }
    return [(weekday, true), (month, false), (hour, false)].filter { differs($0.0) }
  }
}
