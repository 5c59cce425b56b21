import Foundation
import Testing

@testable import ChorusTables

/// What the columns of a table are found to be.
@Suite struct TableFrameTests {
  private func frame(
    _ text: String, _ told: [String: TableFrame.Told] = [:], like other: TableFrame? = nil
  ) throws -> TableFrame {
    try Table(bytes: Array(text.utf8), source: "t.csv").frame(as: told, like: other)
  }

  @Test func kindsAreFound() throws {
    let found = try frame(
      """
      n,price,on,flag,word,none,part
      1,$3.50,2024-01-05,yes,b,,3%
      2,$4.00,2024-02-05,no,NA,,4%
      NA,,,yes,a,NA,5%

      """)
    #expect(found.columns[0].kind == .number && found.columns[0].values[2].isNaN)
    #expect(found.columns[1].values[..<2] == [3.5, 4])
    guard case .date = found.columns[2].kind else { throw TableError(.notANumber, "t", "no date") }
    #expect(found.columns[3].kind == .category(["no", "yes"]) && found.columns[3].values == [1, 0, 1])
    #expect(found.columns[4].kind == .category(["a", "b"]) && found.columns[4].values[1].isNaN)
    #expect(found.columns[5].kind == .unused("all cells are missing"))
    #expect(found.columns[6].kind == .number)
    #expect(found.columns[4].cell(1) == .text("b") && found.columns[0].cell(2) == .number(2))
  }

  @Test func whatIsToldCounts() throws {
    let text = "code,word\n1,x\n2,y\n1,x\n"
    #expect(try frame(text, ["code": .category]).columns[0].kind == .category(["1", "2"]))
    #expect(try frame(text, ["word": .skip]).columns[1].kind == .unused("left out as told"))
    #expect(throws: TableError.self) { try frame(text, ["word": .number]) }
    #expect(throws: TableError.self) { try frame(text, ["nothing": .skip]) }
  }

  @Test func textsThatTellNothingAreLeftOut() throws {
    let rows = (0..<30).map { "name \($0),\($0 % 2 == 0 ? "u" : "v")" }.joined(separator: "\n")
    let found = try frame("who,what\n" + rows + "\n")
    guard case .unused(let reason) = found.columns[0].kind else { throw TableError(.choice, "t", "used") }
    #expect(
      reason.contains("30 different texts in 30 rows") && found.columns[1].kind == .category(["u", "v"]))
  }

  @Test func furtherRowsKeepTheNumbersOfLevels() throws {
    let first = try frame("a,b\nx,1\nz,2\n")
    let second = try frame("b,a\n3,y\n,z\n", like: first)
    #expect(second.columns[1].kind == .category(["x", "z", "y"]) && second.columns[1].values == [2, 1])
    let both = first.appending(second)
    #expect(both.rowCount == 4 && both.columns[0].values == [0, 1, 2, 1])
    #expect(both.columns[0].kind == .category(["x", "z", "y"]) && both.columns[1].values[..<3] == [1, 2, 3])
    #expect(both.appending(try frame("b\n7\n", like: both)).columns[0].values.last?.isNaN == true)
  }

  @Test func partsOfDates() {
    // 1970-01-05 was a Monday; a column of Mondays at noon tells no weekday and no hour.
    let mondays = CalendarParts.of([4.5, 11.5, 46.5, .nan])
    #expect(mondays.count == 1 && mondays[0].values[..<3] == [1, 1, 2] && !mondays[0].isCategory)
    let days = CalendarParts.of([0, 1, 2.25])
    #expect(
      days.map(\.isCategory) == [true, false] && days[0].values == [3, 4, 5] && days[1].values == [0, 0, 6])
  }
}
