import Foundation
import Testing

@testable import ChorusReports

@Suite struct TickTests {
  @Test func linear() {
    #expect(Ticks.linear(0...1, count: 5).map(\.label) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    #expect(Ticks.linear(-3...5, count: 4).map(\.label) == ["−2", "0", "2", "4"])
    #expect(Ticks.linear(0...43_000, count: 5).map(\.label) == ["0", "10,000", "20,000", "30,000", "40,000"])
    #expect(Ticks.linear(0.00031...0.00034, count: 3).map(\.value).count == 4)
    for (low, high) in [(0.0, 1e-9), (1e9, 1e9 + 1), (-1e100, 1e100), (0.1, 0.3), (5, 5.0000001)] {
      for count in 2...12 {
        let ticks = Ticks.linear(low...high, count: count)
        #expect((1...2 * count + 2).contains(ticks.count), "\(low) \(high) \(count)")
        #expect(
          ticks.allSatisfy { $0.value >= low - (high - low) * 1e-6 && $0.value <= high + (high - low) * 1e-6 }
        )
      }
    }
  }

  @Test func largeAndSmallValuesHaveTheirUnitInTheTitle() {
    var extent = Extent()
    for value in [0, 5e6] { extent.add(value) }
    let large = Projection(Axis("state", unit: "bytes"), extent, padding: 0)
    #expect(large.title == "state (10⁶ bytes)")
    #expect(large.ticks(count: 5).map(\.label) == ["0", "1", "2", "3", "4", "5"])
    #expect(large.ticks(count: 5).last?.value == 5e6)
    var tiny = Extent()
    for value in [0, 2e-5] { tiny.add(value) }
    #expect(Projection(Axis("p"), tiny, padding: 0).title == "p (×10⁻⁶)")
    #expect(Projection(Axis("p", scale: .log10), extent, padding: 0).title == "p")
  }

  @Test func logarithmic() {
    #expect(Ticks.logarithmic(1...1000, count: 5).map(\.label) == ["1", "10", "100", "1000"])
    #expect(Ticks.logarithmic(1...10, count: 5).map(\.label) == ["1", "2", "5", "10"])
    #expect(
      Ticks.logarithmic(1...1000, count: 7).map(\.label) == ["1", "3", "10", "30", "100", "300", "1000"])
    #expect(Ticks.logarithmic(1e-8...1e8, count: 5).map(\.label) == ["10⁻⁶", "0.001", "1", "1000", "10⁶"])
    #expect(Ticks.logarithmic(20...45, count: 6).map(\.label) == ["20", "25", "30", "35", "40", "45"])
  }

  @Test func numbers() {
    #expect(NumberFormat.short(0.00001) == "10⁻⁵")
    #expect(NumberFormat.short(-25e6) == "−2.5×10⁷")
    #expect(NumberFormat.short(0.25) == "0.25" && NumberFormat.short(1000) == "1000")
    #expect(NumberFormat.short(12_500) == "12,500" && NumberFormat.short(9.999) == "10")
    #expect(NumberFormat.short(999_999) == "10⁶" || NumberFormat.short(999_999) == "999,999")
    #expect(
      NumberFormat.fixed(-0.04, decimals: 1) == "0.0" && NumberFormat.fixed(-1.25, decimals: 1) == "−1.3")
    #expect(NumberFormat.short(.nan) == "–" && NumberFormat.short(-.infinity) == "−∞")
  }

  /// Days since 1970-01-01, from Foundation's calendar.
  private func day(_ year: Int, _ month: Int, _ day: Int) throws -> Double {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
    let date = try #require(calendar.date(from: DateComponents(year: year, month: month, day: day)))
    return (date.timeIntervalSince1970 / 86_400).rounded()
  }

  @Test func datesAgreeWithTheCalendar() throws {
    for (year, month, date) in [
      (1600, 2, 29), (1899, 12, 31), (1970, 1, 1), (2000, 2, 29), (2026, 11, 21), (9999, 12, 31),
    ] {
      let days = try day(year, month, date)
      #expect(CalendarTicks.Date.days(year: year, month: month, day: date) == days)
      let back = CalendarTicks.Date(days: days)
      #expect(back.year == year && back.month == month && back.day == date && back.second == 0)
    }
    #expect(CalendarTicks.Date(days: -0.25).clock(seconds: false) == "18:00")
  }

  @Test func calendarTicks() throws {
    let years = CalendarTicks.ticks(try day(1958, 3, 29)...day(2001, 12, 29), count: 6)
    #expect(years.map(\.label) == ["1960", "1970", "1980", "1990", "2000"])
    #expect(years[0].value == (try day(1960, 1, 1)) && years.allSatisfy { $0.context == nil })
    let months = CalendarTicks.ticks(try day(2019, 11, 10)...day(2020, 6, 3), count: 8)
    #expect(months.map(\.label) == ["Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun"])
    #expect(months.map(\.context) == ["2019", "2020", nil, nil, nil, nil, nil])
    #expect(months[1].value == (try day(2020, 1, 1)))
    let days = CalendarTicks.ticks(try day(2014, 1, 1)...day(2014, 1, 8), count: 8)
    #expect(days.map(\.label) == (1...8).map { "\($0) Jan" } && days[0].context == "2014")
    let hours = CalendarTicks.ticks(try day(2014, 1, 1)...day(2014, 1, 2), count: 4)
    #expect(hours.map(\.label) == ["00:00", "06:00", "12:00", "18:00", "00:00"])
    #expect(hours.map(\.context) == ["1 Jan 2014", nil, nil, nil, "2 Jan 2014"])
    let weeks = CalendarTicks.ticks(try day(2014, 1, 1)...day(2014, 2, 15), count: 8)
    #expect(weeks.map(\.label) == ["6 Jan", "13 Jan", "20 Jan", "27 Jan", "3 Feb", "10 Feb"])
    let long = CalendarTicks.ticks(try day(1700, 7, 1)...day(2008, 7, 1), count: 7)
    #expect(long.map(\.label) == ["1750", "1800", "1850", "1900", "1950", "2000"])
    #expect(!CalendarTicks.ticks(-1e9...1e9, count: 5).isEmpty)
  }

  @Test func ticksAlongAnAxisDoNotTouch() {
    let axes: [(Axis, Double, Double)] = [
      (Axis(), 0, 1e5), (Axis(), 1e6 + 0.001, 1e6 + 0.002), (Axis(scale: .date), 0, 3000),
      (Axis(scale: .date), 0.1, 0.2),
      (Axis(scale: .log10), 1e-7, 1e7), (Axis(scale: .date), 300, 420),
      (Axis(ticks: [32, 64, 128, 8192, 16384]), 1, 2e4),
    ]
    for (axis, low, high) in axes {
      for length in [90.0, 200, 400, 800] {
        var extent = Extent()
        for value in [low, high] { extent.add(value) }
        let projection = Projection(axis, extent, padding: 0.02)
        let ticks = projection.ticks(along: length, size: 11.5).filter { !$0.label.isEmpty }
        for (one, other) in zip(ticks, ticks.dropFirst()) {
          let gap = ((projection(other.value) ?? 0) - (projection(one.value) ?? 0)) * length
          let widths = [one, other].map { TextMetrics.width($0.label, size: 11.5) }
          #expect(gap > (widths[0] + widths[1]) / 2 + 3, "\(one.label) \(other.label) on \(length)")
        }
        #expect(!ticks.isEmpty)
      }
    }
  }
}
