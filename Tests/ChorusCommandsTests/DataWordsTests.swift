import Foundation
import Testing

/// What is said of the rows before the answer: each once, and nothing where nothing is odd.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct DataWordsTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel { $0.inputDimensions = 2 }
  }

  private func notes(_ text: String, _ more: String..., command: String = "predict") throws -> [String] {
    try folder.write("d.csv", text)
    let outcome = try folder.start([command, "d.csv", "--model", "m.safetensors"] + more).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    return outcome.errors.split(separator: "\n").filter { $0.hasPrefix("note: ") }.map {
      String($0.dropFirst(6))
    }
  }

  private func days(_ count: Int) -> [String] {
    (0..<count).map { "2020-0\($0 / 28 + 1)-\($0 % 28 < 9 ? "0" : "")\($0 % 28 + 1),\($0 * 5 % 7)" }
  }

  private func file(_ rows: [String]) -> String { "when,y\n" + rows.joined(separator: "\n") + "\n" }

  @Test func nothingOdd() throws {
    #expect(try notes(file(days(28)), "--horizon", "2").isEmpty)
    #expect(try notes(file(days(28).reversed()), "--horizon", "2").isEmpty)
    let shuffled = (0..<40).map { "\($0 * 17 % 40),\($0 % 5)" }
    #expect(
      try notes(
        "x,y\n" + shuffled.joined(separator: "\n") + "\n", "--input", "x", "--target", "y", "--at", "3"
      ).isEmpty)
    // Numbers that were measured twice are no fault.
    let twice = (0..<40).map { "\($0 / 2),\($0 % 5)" }
    #expect(try notes("x,y\n" + twice.joined(separator: "\n") + "\n", "--at", "3").isEmpty)
  }

  @Test func constantColumns() throws {
    let rows = (0..<9).map { "\($0),7,0.1" }.joined(separator: "\n")
    let found = try notes("a,b,y\n\(rows)\n", "--input", "a,b", "--target", "y", "--at", "9,5")
    #expect(
      found == [
        "column 'y' is constant: 0.1 in all 9 rows",
        "column 'b' is constant: 7 in all 9 rows, so nothing is known of other values",
        "1 point lies farther from the observed rows than training went",
      ])
  }

  @Test func mistypedRows() throws {
    let rows = days(28) + ["2002-01-29,3"]
    #expect(
      try notes(file(rows), "--horizon", "1") == [
        "one row lies far from the others and out of order in 'when': 2002-01-29 (line 30); it is taken to be mistyped and left out: put the rows in order to have it read"
      ])
    #expect(
      try notes(file(["2002-01-29,3"] + days(28)), "--horizon", "1") == [
        "one row lies far from the others in 'when': 2002-01-29 (line 2); is it mistyped?"
      ])
    let order = days(20).prefix(10) + ["2020-01-03,2"] + days(20).suffix(10)
    let found = try notes(file(Array(order)), "--horizon", "1")
    #expect(
      found.count == 1 && found[0].hasPrefix("1 of 21 rows repeat the 'when' of another; they are read"))
    let swapped = days(20).prefix(9) + [days(20)[10], days(20)[9]] + days(20).suffix(9)
    #expect(
      try notes(file(Array(swapped)), "--horizon", "1") == [
        "rows are out of order in 'when': line 12: 2020-01-10 comes after 2020-01-11"
      ])
  }

  @Test func seriesThatWerePooled() throws {
    let rows = days(20).flatMap { ["\($0),north", "\($0),south"] }
    let text = "when,y,place\n" + rows.joined(separator: "\n") + "\n"
    for command in ["predict", "condition", "score"] {
      let more = [
        "predict": ["--horizon", "1"], "condition": ["--output", "c.safetensors"], "score": ["--last", "2"],
      ]
      try folder.write("d.csv", text)
      let outcome = try folder.start(
        [command, "d.csv", "--model", "m.safetensors", "--input", "when", "--target", "y"]
          + (more[command] ?? [])
      ).1()
      #expect(
        outcome.errors.contains(
          "note: 20 of 40 rows repeat the 'when' of another, and column 'place' tells 2 series apart: pass --group "
            + "place to predict each from its own rows"), "\(command): \(outcome.errors)")
    }
    #expect(try notes(text, "--group", "place", "--horizon", "1").isEmpty)
  }

  @Test func shortContextsAndComments() throws {
    #expect(
      try notes(file(days(10)), "--horizon", "1") == [
        "10 rows are fewer than two times the 7 of a week: what comes back every week can not be told from the trend"
      ])
    #expect(
      try notes(file(days(16) + ["# the end"]), "--horizon", "1")
        == ["1 line that begins with '#' was read as a comment"])
    // Once for many series.
    let rows = ["a", "b", "c"].flatMap { name in days(10).map { "\($0),\(name)" } }
    let found = try notes(
      "when,y,who\n" + rows.joined(separator: "\n") + "\n", "--group", "who", "--horizon", "1")
    #expect(
      found.count == 1 && found[0].hasPrefix("group 'a': 10 rows are fewer")
        && found[0].hasSuffix("(and the like in 2 more of 3 series)"))
  }
}
