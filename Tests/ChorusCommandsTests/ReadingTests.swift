import Foundation
import Testing

/// Files that people have: what is read, and what is refused with which words.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ReadingTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try folder.writeTable()
  }

  private func predict(
    _ file: String, _ more: String..., input: String = "t", target: String = "level", stdin: String? = nil
  ) throws -> Outcome {
    let arguments = ["predict", file, "--input", input, "--target", target, "--model", "m.safetensors"]
    return try folder.start(arguments + more, input: stdin).1()
  }

  /// One line of error, its code, and nothing else.
  private func refused(
    _ code: Int32, _ error: String, _ text: String?, file: String = "bad.csv", _ more: String...,
    input: String = "t", stdin: String? = nil, location: SourceLocation = #_sourceLocation
  ) throws {
    if let text { try folder.write(file, text) }
    let arguments = ["predict", file, "--input", input, "--target", "level", "--model", "m.safetensors"]
    let outcome = try folder.start(arguments + more, input: stdin).1()
    #expect(outcome.code == code, "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.errors == "error: \(error)\n", sourceLocation: location)
    #expect(outcome.output.isEmpty && !outcome.signalled, sourceLocation: location)
  }

  /// The same rows in each format give the same bytes.
  @Test func everyFormatIsRead() throws {
    let expected = try predict("t.csv")
    #expect(expected.code == 0 && expected.rows.count == 3, "\(expected.errors)")
    let text = try folder.read("t.csv")
    let rows = text.split(separator: "\n").dropFirst().map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    try folder.write("t.tsv", text.replacingOccurrences(of: ",", with: "\t"))
    let commas = text.replacingOccurrences(of: ",", with: ";").replacingOccurrences(of: ".", with: ",")
    try folder.write("semicolons.csv", commas)
    try folder.write(
      "t.jsonl",
      rows.map { "{\"t\":\($0[0]),\"level\":\(Double($0[1]).map { "\($0)" } ?? "null")}" }.joined(
        separator: "\n"))
    #expect(try predict("t.tsv").output == expected.output)
    #expect(try predict("semicolons.csv", "--decimal", "comma").output == expected.output)
    #expect(try predict("t.jsonl").output == expected.output)
    #expect(try predict("-", stdin: text).output == expected.output)
    #expect(try predict("-", stdin: try folder.read("t.jsonl")).output == expected.output)
    #expect(try predict("t.csv", "--delimiter", "tab").code == 65)
  }

  @Test func pointsFromAFile() throws {
    let expected = try predict("t.csv", "--at", "3..5/0.5")
    try folder.write(
      "points.csv", "name,t\n" + [3, 3.5, 4, 4.5, 5].map { "p,\($0)" }.joined(separator: "\n"))
    #expect(expected.code == 0 && expected.rows.count == 6)
    #expect(try predict("t.csv", "--at-file", "points.csv").output == expected.output)
    try folder.write("points.jsonl", [3, 3.5, 4, 4.5, 5].map { "{\"t\":\($0)}" }.joined(separator: "\n"))
    #expect(try predict("t.csv", "--at-file", "points.jsonl").output == expected.output)
    #expect(
      try predict("t.csv", "--at-file", "-", stdin: try folder.read("points.csv")).output == expected.output)
    try folder.write("gap.csv", "t\n1\nNA\n")
    try refused(
      65, "gap.csv:3:1: no value (column 't'); every row needs one: fill it in or leave the row out.", nil,
      file: "t.csv", "--at-file", "gap.csv")
    try folder.write("dates.csv", "t\n2000-01-01\n")
    try refused(
      64, "dates.csv: column 't' holds numbers and the points dates.", nil, file: "t.csv", "--at-file",
      "dates.csv")
    try refused(
      65, "gap.csv: has no column 'time'; it has: t.", "time,level\n0,1\n1,2\n", "--at-file", "gap.csv",
      input: "time")
    try refused(66, "none.csv: no such file. Check the path.", nil, file: "t.csv", "--at-file", "none.csv")
    #expect(try predict("t.csv", "--at", "1", "--at-file", "points.csv").code == 64)
    #expect(try predict("-", "--at-file", "-").code == 64)
  }

  @Test func datesStepThroughTheCalendar() throws {
    let rows = (1...9).map { "2020-0\($0)-15,\($0 % 3)" }.joined(separator: "\n")
    try folder.write("dates.csv", "t,level\n\(rows)\n")
    let months = try predict("dates.csv", "--at", "2020-01-31..2020-04-30/1mo")
    #expect(
      months.rows.dropFirst().map { $0[0] } == ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"])
    let years = try predict("dates.csv", "--at", "2020-02-29..2022-12-31/1y")
    #expect(years.rows.dropFirst().map { $0[0] } == ["2020-02-29", "2021-02-28", "2022-02-28"])
    let zones = (1...9).map { "2020-01-0\($0)T01:00+0\($0):00,\($0 % 3)" }.joined(separator: "\n")
    try folder.write("zones.csv", "t,level\n\(zones)\n")
    let hours = try predict("zones.csv", "--at", "2020-01-01T00:00+01:00..2020-01-01T00:00Z/30m")
    #expect(
      hours.rows.dropFirst().map { $0[0] } == ["2019-12-31T23:00Z", "2019-12-31T23:30Z", "2020-01-01T00:00Z"])
    try refused(
      64,
      "--at: the times of column 't' have an offset from UTC and the grid none; write them alike.", nil,
      file: "zones.csv", "--at", "2020-01-01T00:00..2020-01-02T00:00/1h")
  }

  @Test func wordsForBadTables() throws {
    try refused(
      65, "bad.csv:1:9: columns 2 and 3 are both called 'level'; rename one.",
      "t,level,level\n1,2,3\n")
    try refused(
      65,
      "bad.csv:4:3: 'high' is not a number (column 'level'); write a number, leave the cell empty where it is missing, or name its marker with --missing; if the column is a category, say --as COLUMN=category.",
      "t,level\n0,1\n1,\n2,high\n")
    try refused(
      65,
      "bad.csv:3:1: '03/01/2000' is not a date like those above it (column 't'); write dates as "
        + "2012-01-31, or leave the cell empty where it is missing.",
      "t,level\n2000-01-02,1\n03/01/2000,2\n")
    try refused(
      65,
      "bad.csv:3:1: '20000103' is not a date like those above it (column 't'); write dates as "
        + "2012-01-31, or leave the cell empty where it is missing.",
      "t,level\n2000-01-02,1\n20000103,2\n")
    try refused(
      65,
      "bad.csv:3:1: some times of column 't' have an offset from UTC and some have none; give all or none.",
      "t,level\n2000-01-01T00:00Z,1\n2000-01-01T00:00,2\n")
    try refused(
      65, "bad.csv:3:3: the quote that opens here is never closed; close it, or double it to keep it.",
      "t,level\n0,1\n1,\"2\n3,4\n")
    try refused(
      65,
      "bad.csv:2: expected 2 cells as in the header (line 1), found 4; are its commas decimal commas? Then "
        + "separate cells by ';' or tabs and pass --decimal comma.", "t,level\n0,5,1,5\n")
    try refused(
      65,
      "bad.csv:2:1: '0,5' is not a number or a date (column 't'); if its comma is a decimal comma, pass "
        + "--decimal comma; else write the decimal point as '.'.", "t;level\n0,5;1,5\n")
    try refused(
      65, "bad.csv:1: the row has more than 100000 columns; keep only the columns that are needed.",
      (0..<300_000).map { "c\($0)" }.joined(separator: ",") + "\n1\n")
    try refused(
      65,
      "bad.jsonl:2:6: 'low' is not a number (column 't'); write a number, leave the cell empty where it is missing, or name its marker with --missing; if the column is a category, say --as COLUMN=category.",
      "{\"t\":1,\"level\":2}\n{\"t\":\"low\",\"level\":2}\n", file: "bad.jsonl")
  }

  @Test func wordsForOtherEncodings() throws {
    let text = "t,level\n0,1\n1,ä\n"
    try Data(text.data(using: .isoLatin1) ?? Data()).write(to: folder.url("latin.csv"))
    try refused(
      65, "latin.csv:3:3: the byte 0xe4 is not UTF-8; save the file as UTF-8 (iconv -f latin1 -t utf-8).",
      nil,
      file: "latin.csv")
    try Data(text.data(using: .utf16) ?? Data()).write(to: folder.url("wide.csv"))
    try refused(
      65, "wide.csv:1:1: is UTF-16 text; save it as UTF-8 (iconv -f utf-16 -t utf-8).", nil, file: "wide.csv")
    try Data(text.data(using: .utf16LittleEndian) ?? Data()).write(to: folder.url("wide.csv"))
    try refused(
      65, "wide.csv:1:2: a zero byte: this is UTF-16 text or no text; save it as UTF-8.", nil,
      file: "wide.csv")
  }

  @Test func inputThatEndsEarly() throws {
    try refused(
      65, "standard input:3: expected 2 cells as in the header (line 1), found 1; is the row cut off?", nil,
      file: "-", stdin: "t,level\n0,1\n1")
    try refused(
      65, "standard input: is empty; the first line must name the columns.", nil, file: "-", stdin: "")
    try refused(
      65, "standard input:2:10: the string does not end on its line.", nil, file: "-",
      stdin: "{\"t\":1,\"level\":2}\n{\"t\":1,\"l")
  }

  /// What is odd and no error: a value is the same throughout, rows are the same, one input has two values.
  @Test func constantColumnsAndEqualRows() throws {
    for (name, rows) in [
      ("constant target", (0..<9).map { "\($0),7" }), ("constant input", (0..<9).map { "3,\($0)" }),
      ("equal inputs", (0..<9).map { "\($0 / 3),\($0)" }), ("equal rows", (0..<9).map { _ in "1,2" }),
    ] {
      try folder.write("odd.csv", "t,level\n" + rows.joined(separator: "\n") + "\n5,\n")
      let outcome = try predict("odd.csv")
      #expect(outcome.code == 0, "\(name): \(outcome.errors)")
      let mean = outcome.rows.last.flatMap { Double($0[1]) }
      #expect(mean?.isFinite == true, "\(name): \(outcome.output)")
    }
  }

  #if os(Linux)
    @Test func aFullDisk() throws {
      let words = "error: /dev/full: can not be written: "
      let paths = try predict("t.csv", "--output", "/dev/full")
      #expect(paths.code == 74 && paths.errors.hasPrefix(words) && paths.output.isEmpty, "\(paths.errors)")
      let full = try FileHandle(forWritingTo: URL(fileURLWithPath: "/dev/full"))
      let arguments = ["predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors"]
      let output = try folder.start(arguments, output: full).1()
      #expect(output.code == 74 && output.errors.hasPrefix("error: standard output: can not be written: "))
    }

    /// Ended at any moment, the program leaves the file of before, or all of the new one, and nothing beside it.
    @Test func interruptedWhileWriting() throws {
      let before = folder.names + ["p.csv"]
      let arguments = [
        "predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--plan",
        "independent",
        "--at", "0..99/1", "--samples", "20000", "--output", "p.csv", "--quiet",
      ]
      var interrupted = 0
      for delay in [0.1, 0.5, 1, 1.5, 2, 2.5, 3] {
        try folder.write("p.csv", "old")
        let (process, outcome) = try folder.start(arguments)
        Thread.sleep(forTimeInterval: delay)
        process.interrupt()
        let end = try outcome()
        if end.signalled { interrupted += 1 }
        let text = try folder.read("p.csv")
        let whole = text.hasPrefix("path,row,t,level\n") && text.utf8.count { $0 == 10 } == 2_000_001
        #expect(text == "old" || whole, "\(delay): \(text.utf8.count) bytes")
        #expect(Set(folder.names) == Set(before), "\(delay): \(folder.names)")
        if !end.signalled { break }
      }
      #expect(interrupted > 0)
    }
  #endif
}
