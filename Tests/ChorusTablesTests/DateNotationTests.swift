import Foundation
import Testing

@testable import ChorusTables

/// The dates that a column has, written in ISO, and again as they were read.
private func dates(
  _ cells: [String], _ change: (inout TableOptions) -> Void = { _ in }
) throws(TableError) -> (iso: [String], written: [String], kind: ColumnKind) {
  var options = TableOptions(delimiter: .semicolon)
  change(&options)
  let text = "t\n" + cells.joined(separator: "\n") + "\n"
  let numbers = try Table(bytes: Array(text.utf8), source: "t.csv", options: options).values(of: "t")
  let days = numbers.values.compactMap { $0 }
  let iso = numbers.kind.isUTC == nil ? ColumnKind.date : .dateTime(utc: numbers.kind.isUTC ?? false)
  return (
    days.map { CalendarText.write($0, as: iso) }, days.map { CalendarText.write($0, as: numbers.kind) },
    numbers.kind
  )
}

@Suite struct DateNotationTests {
  /// Every notation reads as its ISO twin, and is written as it was read.
  @Test(arguments: [
    (["2012/01/31", "2012/02/01"], ["2012-01-31", "2012-02-01"]),
    (["2012/1/31", "2012/2/1"], ["2012-01-31", "2012-02-01"]),
    (["2012.01.31", "2012.02.01"], ["2012-01-31", "2012-02-01"]),
    (["31.01.2012", "01.02.2012"], ["2012-01-31", "2012-02-01"]),
    (["1.2.2012", "2.2.2012"], ["2012-02-01", "2012-02-02"]),
    (["1/30/2012", "1/31/2012", "2/1/2012"], ["2012-01-30", "2012-01-31", "2012-02-01"]),
    (["2/1/2012", "1/30/2012"], ["2012-02-01", "2012-01-30"]),
    (["1/2/2012", "30/1/2012", "2/2/2012"], ["2012-02-01", "2012-01-30", "2012-02-02"]),
    (["12-31-2011", "01-01-2012"], ["2011-12-31", "2012-01-01"]),
    (["2020-01", "2020-02"], ["2020-01-01", "2020-02-01"]),
    (["2020/1", "2020/12"], ["2020-01-01", "2020-12-01"]),
    (["01/2020", "12/2020"], ["2020-01-01", "2020-12-01"]),
    (["2020M01", "2020M12"], ["2020-01-01", "2020-12-01"]),
    (["2020Q1", "2020Q4"], ["2020-01-01", "2020-10-01"]),
    (["2020-Q1", "2020-Q4"], ["2020-01-01", "2020-10-01"]),
    (["2020 Q1", "2020 Q4"], ["2020-01-01", "2020-10-01"]),
    (["Q1 2020", "Q4 2020"], ["2020-01-01", "2020-10-01"]),
    (["2020-W01", "2020-W05", "2020-W53"], ["2019-12-30", "2020-01-27", "2020-12-28"]),
    (["2021W01", "2021W09"], ["2021-01-04", "2021-03-01"]),
    (["2013-1st Quarter", "2013-4th Quarter"], ["2013-01-01", "2013-10-01"]),
    (["2020 Jan", "2020 May", "2020 Sep"], ["2020-01-01", "2020-05-01", "2020-09-01"]),
    (["2020 May", "2020 January"], ["2020-05-01", "2020-01-01"]),
    (["Jan 2020", "Dec 2020"], ["2020-01-01", "2020-12-01"]),
    (["31 Jan 2012", "01 Feb 2012"], ["2012-01-31", "2012-02-01"]),
    (["31-JAN-2012", "01-FEB-2012"], ["2012-01-31", "2012-02-01"]),
    (["Jan 31, 2012", "Feb 1, 2012"], ["2012-01-31", "2012-02-01"]),
    (["20200131", "20200201", "20200202"], ["2020-01-31", "2020-02-01", "2020-02-02"]),
    (["20200131 12:00", "20200201 00:30"], ["2020-01-31T12:00", "2020-02-01T00:30"]),
    (["2018-04-16 09:00", "2018-04-16 09:30"], ["2018-04-16T09:00", "2018-04-16T09:30"]),
    (["2018-04-16 09:00:00", "2018-04-16 09:30:05"], ["2018-04-16T09:00", "2018-04-16T09:30:05"]),
    (["1/31/2012 9:05 AM", "1/31/2012 12:00 PM"], ["2012-01-31T09:05", "2012-01-31T12:00"]),
    (["2012-01-31 12:30am", "2012-01-31 11:59pm"], ["2012-01-31T00:30", "2012-01-31T23:59"]),
    (["2012-01-31 05:00+00", "2012-01-31 06:00+00"], ["2012-01-31T05:00Z", "2012-01-31T06:00Z"]),
    (["2012-01-31 05:00 UTC", "2012-01-31 06:00 UTC"], ["2012-01-31T05:00Z", "2012-01-31T06:00Z"]),
    (["2012-01-31T05:00+02:00", "2012-01-31T05:00Z"], ["2012-01-31T03:00Z", "2012-01-31T05:00Z"]),
  ])
  func readAsIsoAndWrittenAsRead(_ cells: [String], _ iso: [String]) throws {
    let found = try dates(cells)
    #expect(found.iso == iso)
    let differs = ["2020 January", "2012-01-31T05:00+02:00"]
    if !cells.contains(where: differs.contains) { #expect(found.written == cells) }
    // The pattern is all that a saved context keeps of it.
    let notation = try #require(found.kind.notation)
    let again = try #require(DateNotation(pattern: notation.pattern), "\(notation.pattern)")
    #expect(again.pattern == notation.pattern)
    let days = try #require(try dates(cells).written.first)
    #expect(CalendarText.reading(days, like: again) == CalendarText.reading(days, like: notation))
  }

  /// What is no date stays what it was.
  @Test func numbersStayNumbers() throws {
    for cells in [
      ["1958.2027", "1958.2877"], ["2019", "2020"], ["20200131", "20200231", "20200301"],
      ["20200131", "20200201"], ["202001", "202002"], ["2020.01", "2020.02"],
    ] {
      #expect(try dates(cells).kind == .number, "\(cells)")
    }
    var days = TableOptions()
    days.dateNotation = DateNotation(pattern: "%Y%m%d")
    let text = Array("t\n20200131\n".utf8)
    #expect(try Table(bytes: text, source: "t", options: days).values(of: "t").values == [18292])
  }

  /// One number that is no date among many that are is a mistake.
  @Test func oneOddNumberAmongDates() throws {
    let days = (10...30).map { "202001\($0)" }
    let error = refusal { _ = try dates(days + ["20200231"]) }
    #expect(
      error?.description
        == "t.csv:23: '20200231' is no date, and other numbers of column 't' are dates like 20120131; correct it."
    )
    #expect(try dates(days + [""]).written == days)
  }

  @Test(arguments: [
    (
      ["1/2/2012", "2/3/2012"],
      "t.csv:2:1: '1/2/2012' has the day or the month first, and no date of column 't' tells which; "
        + "pass --date-format '%-d/%-m/%Y' or --date-format '%-m/%-d/%Y'."
    ),
    (["01/02/2012"], "--date-format '%d/%m/%Y' or --date-format '%m/%d/%Y'"),
    (
      ["13/1/2012", "1/13/2012"],
      "t.csv:3:1: '1/13/2012' has day and month the other way round than dates above it"
    ),
    (["2019-02-29"], "t.csv:2:1: '2019-02-29' is no date: February 2019 has 28 days (column 't')"),
    (["2019-04-31"], "April 2019 has 30 days"), (["31.06.2020"], "June 2020 has 30 days"),
    (["2019-13-01"], "there is no month 13"), (["2019-01-00"], "there is no day 0"),
    (["13/13/2012"], "there is no month 13"), (["2019-01-01T24:00"], "there is no hour 24"),
    (["2019-01-01T10:60"], "there is no minute 60"),
    (["2019-01-01 13:00 PM"], "there is no hour 13 before or after noon"),
    (["0001-01-01T00:00+01:00"], "outside the years 1 to 9999"),
    (
      ["2012-01-31", "1/30/2012"], "is not a date like those above it (column 't'); write dates as 2012-01-31"
    ),
    (["2012Q1", "2012-01-31"], "write dates as 2012Q1"), (["31/01/12"], "--date-format '%d/%m/%y'"),
    (["2012-01-01 10:00 UTC", "2012-01-01 10:00"], "some times of column 't' have an offset from UTC"),
  ])
  func refusedInWords(_ cells: [String], _ words: String) {
    let error = refusal { _ = try dates(cells) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "no error")")
  }

  /// Where nothing stands between the parts, a byte 0 is not what stands there.
  @Test func aByteZeroSeparatesNothing() {
    for text in ["2014Jan\u{0}10", "2014\u{0}Jan\u{0}10", "2014\u{0}01\u{0}10", "Jan\u{0}2014"] {
      #expect(CalendarText.read(text) == nil, "\(text.debugDescription)")
    }
    #expect(CalendarText.read("2014Jan") != nil)
  }

  @Test func theFormatSettlesTheOrder() throws {
    for (pattern, first) in [("%d/%m/%Y", "2012-02-01"), ("%m/%d/%Y", "2012-01-02")] {
      let found = try dates(["1/2/2012", "2/3/2012"]) { $0.dateNotation = DateNotation(pattern: pattern) }
      #expect(found.iso[0] == first)
    }
    let other = refusal {
      _ = try dates(["2012-01-31"]) { $0.dateNotation = DateNotation(pattern: "%d/%m/%Y") }
    }
    #expect(other?.detail.hasPrefix("'2012-01-31' is not written as %d/%m/%Y") == true)
    for pattern in ["", "%", "%d", "%x", "%d/%m", "%d/%y", "31/01/2012", "%Y-%m-%d%", "%M:%S", "%d/%d/%Y"] {
      #expect(DateNotation(pattern: pattern) == nil, "\(pattern)")
    }
  }

  /// Points in the notation of the column.
  @Test func gridsFollowTheColumn() throws {
    func written(_ cells: [String], _ grid: String) throws -> [String] {
      let kind = try dates(cells).kind
      let axis = try GridSpecification.parse(grid, kinds: [kind]).axes[0]
      return axis.values.map { CalendarText.write($0, as: kind) }
    }
    #expect(
      try written(["1/30/2012", "2/1/2012"], "2/1/2012..4/1/2012/1M") == ["2/1/2012", "3/1/2012", "4/1/2012"])
    #expect(try written(["30/1/2012"], "1/2/2012..3/2/2012/1d") == ["1/2/2012", "2/2/2012", "3/2/2012"])
    #expect(try written(["2020Q1"], "2020Q3..2021Q1/1q") == ["2020Q3", "2020Q4", "2021Q1"])
    #expect(try written(["2020-01"], "2020-03..2020-05/1M") == ["2020-03", "2020-04", "2020-05"])
    #expect(try written(["2020-01"], "2020-03-15") == ["2020-03-15"])
    let digits = ["20200101", "20200102", "20200103"]
    #expect(try written(digits, "20200131..20200202/1d") == ["20200131", "20200201", "20200202"])
    #expect(
      refusal { _ = try GridSpecification.parse("1/2/2012") }?.detail.contains("the day or the month first")
        == true)
    #expect(
      refusal { _ = try GridSpecification.parse("2019-02-29") }?.detail.contains("February 2019 has 28 days")
        == true)
  }

  /// A second table takes what is open from the first.
  @Test func pointsFollowTheColumn() throws {
    let held = try dates(["1/30/2012", "2/1/2012"]).kind
    let table = try table("t\n3/1/2012\n3/2/2012\n")
    #expect(
      try table.values(of: "t", like: held).values.map { $0.map { CalendarText.write($0, as: .date) } }
        == ["2012-03-01", "2012-03-02"])
    let digits = try dates(["20200101", "20200102", "20200103"]).kind
    #expect(try ChorusTablesTests.table("t\n20200104\n").values(of: "t", like: digits).values == [18265])
  }

  @Test(
    "Years of two digits are read where they are told, and 69 is 1969",
    arguments: [
      ("%d/%m/%y", ["31/01/12", "01/02/68", "01/02/69"], ["2012-01-31", "2068-02-01", "1969-02-01"]),
      ("%-m/%-d/%y", ["1/2/12", "12/31/99"], ["2012-01-02", "1999-12-31"]),
      ("%y-%m-%d", ["12-01-31", "12-02-01"], ["2012-01-31", "2012-02-01"]),
      ("%d-%b-%y", ["31-Jan-12", "01-Feb-12"], ["2012-01-31", "2012-02-01"]),
      ("%b-%y", ["Jan-12", "Feb-12"], ["2012-01-01", "2012-02-01"]),
      ("%m/%y", ["01/12", "02/12"], ["2012-01-01", "2012-02-01"]),
    ])
  func shortYears(_ pattern: String, _ cells: [String], _ iso: [String]) throws {
    let notation = try #require(DateNotation(pattern: pattern))
    #expect(notation.pattern == pattern)
    let found = try dates(cells) { $0.dateNotation = notation }
    #expect(found.iso == iso && found.written == cells)
    // Not told, they are refused with the patterns that they could have.
    do {
      _ = try dates(cells)
      Issue.record("\(cells) were read")
    } catch { #expect("\(error)".contains("--date-format '\(pattern)'"), "\(error)") }
  }

  @Test("Weeks that a year has not are refused; a week's pattern is its own")
  func weeks() throws {
    #expect(throws: TableError.self) { try dates(["2021-W53"]) }
    #expect(throws: TableError.self) { try dates(["2021-W00"]) }
    #expect(DateNotation(pattern: "%G-W%V")?.pattern == "%G-W%V")
    let (_, _, kind) = try dates(["2020-W01", "2020-W05"])
    #expect(kind.notation?.pattern == "%G-W%V")
    // A day that begins no week is written as a date.
    #expect(CalendarText.write(18_270, as: kind) == "2020-01-09")
  }
}
