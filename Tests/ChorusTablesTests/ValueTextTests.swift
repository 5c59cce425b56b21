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

  /// Digits of every length, places of every number: both quick ways and the slow one.
  @Test func randomDigitsAreExact() {
    var state: UInt64 = 3
    func next(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    var wrong: [String] = []
    for _ in 0..<300_000 {
      let count = 1 + Int(next(21))
      let point = Int(next(UInt64(count) + 1))
      var text = next(2) == 0 ? "-" : ""
      for place in 0..<count {
        if place == point { text += "." }
        // Runs of nines and zeros lie near the middle between two values more often.
        text += ["\(next(10))", "9", "0", "5"][Int(next(6)) % 4]
      }
      if next(4) == 0 { text += "e\(Int(next(40)) - 30)" }
      guard case .finite(let value) = read(text), let expected = Double(text) else {
        wrong.append(text)
        continue
      }
      if value.bitPattern != expected.bitPattern { wrong.append(text) }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(5))")
  }

  @Test func readsADecimalComma() {
    func read(_ text: String) -> NumberText.Reading { NumberText.read(ArraySlice(text.utf8), mark: .comma) }
    #expect(read("-1,5e3") == .finite(-1500))
    #expect(read(",25") == .finite(0.25))
    #expect(read("3,14159265358979323846264338327950288") == .finite(Double.pi))
    #expect(read("1.5") == .other)
    #expect(read("NA") == .missing)
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
    "abc", "1e", "1e+", "0x10", "1 2", "1,5", "--1", "+", "e5", "1_000", "5%", "1f", "١",
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
    #expect(CalendarText.read("1970-01-01t12:00:00,0z")?.days == 0.5)
    #expect(CalendarText.read("1970-01-01T00:00-0530")?.days == 5.5 / 24)
    #expect(CalendarText.write(0.5, as: .date) == "1970-01-01T12:00")
    #expect(CalendarText.write(.infinity, as: .date) == "inf")
    #expect(CalendarText.write(1e300, as: .date) == "1e+300")
  }

  @Test(arguments: [
    "1970-02-29", "1900-02-29", "1970-00-01", "1970-01-32", "0000-01-01", "1970-01-01T24:00",
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

  @Test func monthsAndYearsAreThoseOfTheCalendar() throws {
    func dates(_ text: String) throws -> [String] {
      let axis = try GridSpecification.parse(text).axes[0]
      return axis.values.map { CalendarText.write($0, as: axis.kind) }
    }
    #expect(
      try dates("2023-12-31..2024-05-01/1mo")
        == ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"])
    #expect(try dates("2024-02-29..2028-02-29/1y").last == "2028-02-29")
    #expect(try dates("2024-02-29..2028-02-28/1y").last == "2027-02-28")
    #expect(try dates("2024-03-31..2023-11-30/-2mo") == ["2024-03-31", "2024-01-31", "2023-11-30"])
    #expect(
      try dates("2024-01-31T06:00Z..2024-03-31T05:00Z/1mo") == ["2024-01-31T06:00Z", "2024-02-29T06:00Z"])
    #expect(try dates("0001-01-01..9999-12-31/1y").count == 9999)
    #expect(try dates("9999-12-01..9999-12-31/1mo") == ["9999-12-01"])
    #expect(
      try dates("2000-01-01T02:00+02:00..2000-01-02T00:00Z/1d") == ["2000-01-01T00:00Z", "2000-01-02T00:00Z"])
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
    ("1970-01-01..1970-02-01/1.5y", 1, "a whole number of months"),
    ("1970-01-01..1970-02-01/0mo", 1, "a whole number of months"),
    ("1970-01-01..1970-02-01/99999999999999999999y", 1, "a whole number of months"),
    ("1970-01-01..1970-02-01/-1mo", 1, "sign"), ("0..10/1mo", 1, "give a number"),
    ("1970-01-01..1970-02-01/h", 1, "w, d, h, m or s"),
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
