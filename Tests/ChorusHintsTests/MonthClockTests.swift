import ChorusTensors
import Foundation
import Testing

@testable import ChorusHints

/// Dates of months are counted in months.
@Suite("Months of the calendar")
struct MonthClockTests {
  /// Days since 1970 of `day` (0 for the last) of months one after another, from January 2010.
  private static func days(_ count: Int, day: Int, every: Int = 1) -> [Double] {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var (days, first) = ([Double](), 14_610)
    for month in 0..<count * every {
      let length = month % 12 == 1 && (2010 + month / 12) % 4 == 0 ? 29 : lengths[month % 12]
      if month % every == 0 { days.append(Double(first + (day == 0 ? length : day) - 1)) }
      first += length
    }
    return days
  }

  @Test(
    "Rows that share a day of the month, or are all its last, are whole months apart",
    arguments: [1, 15, 28, 0])
  func whole(day: Int) throws {
    for (every, origin, unit) in [(1, 0.0, 1.0), (3, 15_000.25, 812.7), (12, 14_000, 0.01)] {
      let days = Self.days(80, day: day, every: every)
      let clock = try #require(MonthClock(days: days, origin: origin, unit: unit))
      let months = days.map { clock.months(($0 - origin) / unit) }
      for (row, month) in months.enumerated() {
        #expect(month - months[0] == Double(row * every), "row \(row) of day \(day)")
      }
      #expect(abs(clock.month * unit - 30.436875) < 1e-9)
    }
  }

  @Test("Between two such days time goes on without a jump")
  func continuous() throws {
    let days = Self.days(40, day: 15)
    let clock = try #require(MonthClock(days: days, origin: 0, unit: 1))
    var last = clock.months(days[0] - 500)
    for step in 1..<20_000 {
      let next = clock.months(days[0] - 500 + 0.1 * Double(step))
      #expect(next > last && next - last < 0.1 / 27.9, "\(step)")
      last = next
    }
    for far in [1e10, 1e300] { #expect(clock.months(far).isFinite && clock.months(-far) < clock.months(far)) }
    #expect(abs(clock.months(1e9 - 1e3) - clock.months(1e9 + 1e3)) < 100)
  }

  @Test("Other dates have no such clock")
  func others() {
    #expect(MonthClock(days: (0..<40).map(Double.init), origin: 0, unit: 1) == nil)
    #expect(MonthClock(days: [], origin: 0, unit: 1) == nil)
    #expect(MonthClock(days: Self.days(12, day: 1) + [14_611], origin: 0, unit: 1) == nil)
    #expect(MonthClock(days: Self.days(12, day: 1).map { $0 + 0.5 }, origin: 0, unit: 1) == nil)
    #expect(MonthClock(days: Self.days(12, day: 1), origin: 0, unit: 0) == nil)
    #expect(MonthClock(days: [.nan, 1e300], origin: 0, unit: 1) == nil)
  }

  @Test(
    "A series of dates is fitted as the same series of month numbers is",
    arguments: [(60, 1, 1), (48, 0, 1), (40, 1, 3)])
  func fits(rows: Int, day: Int, every: Int) throws {
    var stream = RandomStream(seed: 9, .paths, UInt64(rows))
    let y = (0..<rows).map { (row: Int) -> Double in
      let month = row * every
      let wave: Double = 20 * sin(Double.pi * Double(month) / 6)
      let spike: Double = month % 12 == 6 ? 60 : 0
      return 100 + Double(row) + wave + spike + stream.normal()
    }
    let days = Self.days(rows, day: day, every: every)
    let (origin, unit) = (15_000.0, 400.0)
    let x = days.map { ($0 - origin) / unit }
    let dated = try #require(
      SeriesModel(
        x: x, y: y, known: [365.2425 / unit, 7 / unit],
        clock: MonthClock(days: days, origin: origin, unit: unit)))
    let counted = try #require(
      SeriesModel(x: (0..<rows).map { Double($0 * every) }, y: y, known: [12]))
    #expect(dated.choice == counted.choice && !dated.choice.periods.isEmpty)
    #expect(abs(dated.evidence - counted.evidence) < 1e-6)
    for (step, day) in Self.days(rows + 8, day: day, every: every).enumerated() {
      let (a, b) = (dated.foretold(at: (day - origin) / unit), counted.foretold(at: Double(step * every)))
      #expect(abs(a.mean - b.mean) < 1e-6 && abs(a.deviation - b.deviation) < 1e-6, "row \(step)")
    }
    let season = try #require(dated.summary.seasons.first)
    #expect(abs(season.period * unit - 365.2425) < 1e-6)
    // The joint law is in months, too.
    let asked = Self.days(rows + 2, day: day, every: every).suffix(2)
    let joint = try #require(SeriesJoint(dated, places: asked.map { ($0 - origin) / unit }))
    let plain = try #require(
      SeriesJoint(counted, places: [Double(rows * every), Double((rows + 1) * every)]))
    #expect(abs(joint.correlation(0, 1) - plain.correlation(0, 1)) < 1e-6)
  }

  @Test("A clock is kept in files, and what no clock has is refused")
  func kept() throws {
    let clock = try #require(MonthClock(days: Self.days(12, day: 15), origin: 3.5, unit: 20))
    let data = try JSONEncoder().encode(clock)
    #expect(try JSONDecoder().decode(MonthClock.self, from: data) == clock)
    for text in [
      #"{"origin": 0, "unit": 0, "shift": 0}"#, #"{"origin": 0, "unit": -1, "shift": 0}"#,
      #"{"origin": 0, "unit": 1, "shift": 0.5}"#, #"{"origin": 0, "unit": 1, "shift": 400}"#,
      #"{"origin": 0}"#,
    ] {
      #expect(throws: (any Error).self) { try JSONDecoder().decode(MonthClock.self, from: Data(text.utf8)) }
    }
  }
}
