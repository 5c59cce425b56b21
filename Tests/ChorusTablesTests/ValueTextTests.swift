import Foundation
import Testing

@testable import ChorusTables

@Suite struct NumberTextTests {
  func read(_ text: String) -> NumberText.Reading { NumberText.read(ArraySlice(text.utf8)) }

  @Test(arguments: [
    "0", "-0", "+1", "1.", ".5", "-.5e-3", "123456789012345678", "9007199254740993", "0.1", "1e22", "1e23",
    "5e-324",
    "2.2250738585072011e-308", "1.7976931348623157e308", "0.000000000000000000000000000001",
    "3.14159265358979323846",
    "179769313486231570000000000000000000000", "00012", "1E+5", "8.5e-5", "90071992547409910e-1",
  ])
  func exactlyAsTheStandardLibrary(_ text: String) throws {
    let expected = try #require(Double(text))
    guard case .finite(let value) = read(text) else {
      Issue.record("\(text) is not read")
      return
    }
    #expect(value.bitPattern == expected.bitPattern)
  }

  @Test func randomDecimalsAreExact() {
    var state: UInt64 = 7
    var wrong = 0
    for _ in 0..<50_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let value = Double(Int64(bitPattern: state) >> 20) / pow(10, Double(state % 13))
      if read(value.description) != .finite(value) { wrong += 1 }
      let bits = Double(bitPattern: state)
      if bits.isFinite, read(bits.description) != .finite(bits) { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test(arguments: [
    "abc", "1e", "1e+", "0x10", "1 2", "1,5", "--1", ".", "+", "e5", "1_000", "5%", "1f", "١",
  ])
  func refusesTheRest(_ text: String) { #expect(read(text) == .other) }
}

@Suite struct CalendarTextTests {
  @Test(
    arguments: [
      ("1970-01-01", 0.0), ("1969-12-31", -1), ("2000-03-01", 11017), ("0001-01-01", -719_162),
      ("9999-12-31", 2_932_896), ("1970-01-01T12:00", 0.5), ("1970-01-02T00:00:00.500", 1 + 0.5 / 86400),
      ("1969-12-31T18:00Z", -0.25),
    ] as [(String, Double)])
  func roundTrips(_ text: String, _ days: Double) throws {
    let read = try #require(CalendarText.read(text))
    #expect(read.days == days)
    #expect(CalendarText.write(read.days, as: read.kind) == text)
  }

  @Test func everyDayOfACenturiesLongSpan() {
    var wrong = 0
    for day in stride(from: -719_162, through: 2_932_896, by: 13) {
      let text = CalendarText.write(Double(day), as: .date)
      if CalendarText.read(text)?.days != Double(day) { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test func offsetsAndForms() {
    #expect(CalendarText.read("1970-01-01 02:00+02:00")?.days == 0)
    #expect(CalendarText.read("1970-01-01T00:00-0530")?.days == 5.5 / 24)
    #expect(CalendarText.write(0.5, as: .date) == "1970-01-01T12:00")
    #expect(CalendarText.write(.infinity, as: .date) == "inf")
    #expect(CalendarText.write(1e300, as: .date) == "1e+300")
  }

  @Test(arguments: [
    "1970-1-1", "1970-02-29", "1900-02-29", "1970-00-01", "1970-01-32", "0000-01-01", "1970-01-01T24:00",
    "1970-01-01T00:60", "1970-01-01T00:00:60", "1970-01-01T", "1970-01-01T00:00+1", "1970-01-01x", "70-01-01",
    "1970-01-01T00:00:00.", "",
  ])
  func refusesTheRest(_ text: String) { #expect(CalendarText.read(text) == nil) }
}

@Suite struct GridSpecificationTests {
  func values(_ text: String) throws -> [Double] { try GridSpecification.parse(text).axes.flatMap(\.values) }

  @Test func stepsToTheLastPoint() throws {
    #expect(try values("0..1/0.1") == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    #expect(try values("0..1/0.3") == [0, 0.3, 0.6, 0.9])
    #expect(try values("1..-1/-1") == [1, 0, -1])
    #expect(try values("-2.5e1..-2.4e1/5e-1") == [-25, -24.5, -24])
    #expect(try values("0...5/.25") == [0, 0.25, 0.5])
    #expect(try values("3..3/1") == [3])
    #expect(try values("7") == [7])
    #expect(try values("0..1/1e-5").count == 100_001)
    #expect(try values("0..1000000/3").last == 999_999)
  }

  @Test func datesStepInTheirUnits() throws {
    let weeks = try GridSpecification.parse("1970-01-01..1970-01-20/1w")
    #expect(weeks.axes == [.init(values: [0, 7, 14], kind: .date)])
    #expect(try values("1970-01-01..1970-01-02/12h") == [0, 0.5, 1])
    #expect(try values("1970-01-01..1970-01-05/2") == [0, 2, 4])
    #expect(try values("1970-01-03..1970-01-01/-1d") == [2, 1, 0])
    #expect(try values("1970-01-01T00:00..1970-01-01T01:00/30m").count == 3)
    #expect(
      try GridSpecification.parse("1970-01-01..1970-01-01T06:00/6h").axes[0].kind == .dateTime(utc: false))
    #expect(try values("1970-01-01..1970-01-02/10s").count == 8641)
  }

  @Test func severalColumnsAreCrossed() throws {
    let grid = try GridSpecification.parse("0..1/1,5..7/1", dimensions: 2)
    #expect(grid.count == 6)
    #expect(grid.points == [0, 5, 0, 6, 0, 7, 1, 5, 1, 6, 1, 7])
  }

  @Test(arguments: [
    ("0..1/0", 1, "step of zero"), ("0..1/-0.1", 1, "sign"), ("1..0/0.1", 1, "sign"),
    ("0..1", 1, "lacks a step"),
    ("0..nan/1", 1, "not finite"), ("0..1/nan", 1, "the step 'nan'"), ("inf..1/1", 1, "not finite"),
    ("", 1, "no number"), ("..", 1, "lacks a step"), ("../", 1, "no number"), ("a..b/c", 1, "no number"),
    ("0..1/1h", 1, "give a number"), ("1970-01-01..5/1", 1, "to a date, or back"),
    ("1970-01-01..1970-02-01/1y", 1, "w, d, h, m or s"), ("1970-01-01..1970-02-01/h", 1, "w, d, h, m or s"),
    ("1970-01-01T00:00Z..1970-01-02T00:00/1", 1, "offset"),
    ("0..1000000000/1", 1, "has 1000000001 points; the limit is 1000000"),
    ("0..1/1e-320", 1, "points; the limit"),
    ("-1e308..1e308/1", 1, "about inf points"), ("0..999/1,0..1000/1", 2, "has 1001000 points"),
    ("0..1/1", 2, "one grid for 2 input columns"), ("0..1/1,2", 1, "2 grids for 1 input column;"),
  ])
  func refuses(_ text: String, _ dimensions: Int, _ words: String) {
    let error = refusal { _ = try GridSpecification.parse(text, dimensions: dimensions) }
    #expect(error?.description.hasPrefix("--at: ") == true)
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "no error")")
  }
}
