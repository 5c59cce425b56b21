import Foundation
import Testing

@testable import ChorusTables

@Suite struct SpacingTests {
  /// The next points of a column, as it is written, and the words for its spacing.
  private func next(_ cells: [String], _ count: Int = 3, every: String? = nil) throws -> (
    points: [String], words: String
  )? {
    let column = try table("t\n" + cells.joined(separator: "\n") + "\n", .semicolon).values(of: "t")
    let values = column.values.compactMap { $0 }
    let last = try #require(values.max())
    let step = every.flatMap { Step($0, ofDates: column.kind.notation != nil) }
    guard
      let spacing = step.map({ Spacing($0, after: values, kind: column.kind) })
        ?? Spacing(of: values, kind: column.kind)
    else { return nil }
    // A saved context keeps it.
    #expect(try JSONDecoder().decode(Spacing.self, from: JSONEncoder().encode(spacing)) == spacing)
    let points = spacing.points(count, after: last).map { RowEncoder.written($0, column.kind) }
    return (points, spacing.words(after: last))
  }

  @Test(arguments: [
    (
      ["2020-01-01", "2020-02-01", "2020-04-01"], ["2020-05-01", "2020-06-01", "2020-07-01"],
      "months, at their starts"
    ),
    (
      ["2019-12-31", "2020-01-31", "2020-02-29"], ["2020-03-31", "2020-04-30", "2020-05-31"],
      "months, at their ends"
    ),
    (["2019-11-15", "2019-12-15", "2020-01-15"], ["2020-02-15", "2020-03-15", "2020-04-15"], "months"),
    (
      ["2019-12-30", "2020-01-30", "2020-02-29", "2020-03-30"], ["2020-04-30", "2020-05-30", "2020-06-30"],
      "months"
    ),
    (["2019Q3", "2019Q4", "2020Q1"], ["2020Q2", "2020Q3", "2020Q4"], "quarters, at their starts"),
    (
      ["2019-09-30", "2019-12-31", "2020-03-31"], ["2020-06-30", "2020-09-30", "2020-12-31"],
      "quarters, at their ends"
    ),
    (["2020-W51", "2020-W52", "2020-W53"], ["2021-W01", "2021-W02", "2021-W03"], "weeks"),
    (["2018-01-01", "2019-01-01", "2020-01-01"], ["2021-01-01", "2022-01-01", "2023-01-01"], "years"),
    (["2020-01-06", "2020-01-13", "2020-01-27"], ["2020-02-03", "2020-02-10", "2020-02-17"], "weeks"),
    (["2020-02-27", "2020-02-28", "2020-03-01"], ["2020-03-02", "2020-03-03", "2020-03-04"], "days"),
    (
      ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09"],
      ["2020-01-10", "2020-01-13", "2020-01-14"], "business days"
    ),
    (
      ["2020-01-01T00:00", "2020-01-01T01:00", "2020-01-01T02:00"],
      ["2020-01-01T03:00", "2020-01-01T04:00", "2020-01-01T05:00"], "hours"
    ),
    (
      ["2020-01-01 23:00", "2020-01-01 23:30"], ["2020-01-02 00:00", "2020-01-02 00:30", "2020-01-02 01:00"],
      "every 30 minutes"
    ),
    (["0", "0.1", "0.2", "0.4"], ["0.5", "0.6", "0.7"], "steps of 0.1"),
    (["1", "2", "3"], ["4", "5", "6"], "steps of 1"),
    (["5", "4", "3"], ["6", "7", "8"], "steps of 1"),
    (["2018", "2019", "2020"], ["2021", "2022", "2023"], "steps of 1"),
    (["2019.75", "2020", "2020.25"], ["2020.5", "2020.75", "2021"], "steps of 0.25"),
    (
      ["2019.0", "2019.083", "2019.167", "2019.25", "2019.333", "2019.417"],
      ["2019.5", "2019.583", "2019.667"], "months of decimal years"
    ),
    (
      ["2019.04", "2019.12", "2019.21", "2019.29", "2019.38"], ["2019.46", "2019.54", "2019.62"],
      "months of decimal years"
    ),
  ])
  func goesOn(_ cells: [String], _ points: [String], _ words: String) throws {
    let found = try #require(try next(cells))
    #expect(found.points == points)
    #expect(found.words == words)
  }

  /// Rows at the hours of a working day go on at those hours, past the night and the weekend.
  @Test func workingHours() throws {
    var cells: [String] = []
    for day in ["15", "16", "17", "20", "21"] {
      for time in ["09:00", "09:30", "10:00", "10:30"] { cells.append("2020-01-\(day) \(time)") }
    }
    let whole = try #require(try next(cells))
    #expect(whole.points == ["2020-01-22 09:00", "2020-01-22 09:30", "2020-01-22 10:00"])
    #expect(whole.words == "every 30 minutes, 09:00 to 10:30, Monday to Friday")
    let friday = try #require(try next(Array(cells.dropLast(8)) + ["2020-01-24 09:00", "2020-01-24 10:30"]))
    #expect(friday.points == ["2020-01-27 09:00", "2020-01-27 09:30", "2020-01-27 10:00"])
    // One night's record goes on through the night.
    let night = ["2020-01-15 22:00", "2020-01-15 23:00", "2020-01-16 00:00", "2020-01-16 01:00"]
    #expect(try next(night)?.points.first == "2020-01-16 02:00")
  }

  @Test func stepsThatWereTold() throws {
    #expect(
      try next(["2020-01-01", "2020-01-09"], every: "1M")?.points == [
        "2020-02-09", "2020-03-09", "2020-04-09",
      ])
    #expect(try next(["2020-01-31"], every: "1M")?.points.first == "2020-02-29")
    #expect(try next(["2020-02-29", "2020-04-30"], every: "1M")?.points.first == "2020-05-31")
    #expect(try next(["2020-01-03"], every: "1B")?.points == ["2020-01-06", "2020-01-07", "2020-01-08"])
    #expect(try next(["2020-01-03"], every: "30min")?.points.first == "2020-01-03T00:30")
    #expect(try next(["2020-01-03"], every: "1q")?.points.first == "2020-04-03")
    #expect(try next(["3"], every: "0.25")?.points == ["3.25", "3.5", "3.75"])
  }

  @Test func nothingWhereRowsAreUneven() throws {
    #expect(try next(["1"]) == nil)
    #expect(try next(["1", "2", "5", "11", "12.5"]) == nil)
    #expect(try next(["2020-01-01", "2020-01-03", "2020-02-17", "2020-02-18", "2020-05-01"]) == nil)
    #expect(try next(["9999-11-01", "9999-12-01"])?.points.isEmpty == true)
    // A context may hold any numbers.
    #expect(Spacing(of: [1, 1e300], kind: .date) == nil)
    let told = Spacing(.businessDays(1), after: [1e300], kind: .date)
    #expect(told.points(2, after: 1e300).isEmpty)
    for rule in [
      "\"months\":{\"_0\":9223372036854775807,\"atEnd\":false}", "\"businessDays\":{\"_0\":-1}",
      "\"hours\":{\"_0\":[],\"step\":1,\"weekdays\":true}",
    ] {
      let text = "{\"rule\":{\(rule)},\"isCalendar\":true}"
      let error = #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(Spacing.self, from: Data(text.utf8))
      }
      if case .dataCorrupted? = error {} else { Issue.record("\(text): \(String(describing: error))") }
    }
  }

  @Test func seasons() throws {
    func rows(_ cells: [String]) throws -> Int? {
      let column = try table("t\n" + cells.joined(separator: "\n") + "\n", .semicolon).values(of: "t")
      return Spacing(of: column.values.compactMap { $0 }, kind: column.kind)?.season?.rows
    }
    #expect(try rows(["2020-01", "2020-02"]) == 12)
    #expect(try rows(["2020Q1", "2020Q2"]) == 4)
    #expect(try rows(["2020-01-01", "2020-01-02"]) == 7)
    #expect(try rows(["2020-01-01 00:00", "2020-01-01 00:30"]) == 48)
    #expect(try rows(["1", "2", "3"]) == nil)
  }

  /// Gap by gap: months are steps although they differ in length, a missing one counts, a weekend does not.
  @Test func numbersOfSteps() throws {
    func steps(_ cells: [String]) throws -> [Int] {
      let column = try table("t\n" + cells.joined(separator: "\n") + "\n", .semicolon).values(of: "t")
      let values = column.values.compactMap { $0 }
      return Spacing.steps(of: values, Spacing(of: values, kind: column.kind))
    }
    #expect(
      try steps(["2020-01", "2020-02", "2020-03", "2020-05", "2020-06", "2021-06"]) == [0, 1, 2, 4, 5, 17])
    #expect(try steps(["3", "1", "2", "2", "6"]) == [2, 0, 1, 1, 5])
    let days = (0..<15).map { "2024-01-\($0 / 5 * 7 + $0 % 5 + 1 < 10 ? "0" : "")\($0 / 5 * 7 + $0 % 5 + 1)" }
    #expect(try steps(days) == Array(0..<15))
    #expect(Spacing.steps(of: [], nil).isEmpty && Spacing.steps(of: [4], nil) == [0])
    #expect(Spacing.steps(of: [0, 1, 2, 1e300], nil) == [0, 1, 2, 1_000_002])
  }

  @Test func stepsInText() {
    #expect(Step("1M") == .months(1) && Step("1mo") == .months(1) && Step("2Q") == .months(6))
    #expect(Step("1Y") == .months(12) && Step("1B") == .businessDays(1) && Step("2W") == .length(14))
    #expect(Step("30min") == Step("30m") && Step("36H") == .length(1.5) && Step("-1d") == .length(-1))
    #expect(Step("0.5", ofDates: false) == .length(0.5) && Step("1d", ofDates: false) == nil)
    for text in ["", "M", "x", "1x", "1.5M", "0M", "1e", "nan", "B", "-1B"] {
      #expect(Step(text) == nil, "\(text)")
    }
  }
}
