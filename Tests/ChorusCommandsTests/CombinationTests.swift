import Foundation
import Testing

@testable import ChorusTables

/// Files of every kind in every command that reads one; series, targets and kept contexts with points from a file.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct CombinationTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    // Series 1 and "b,c" in turn; a column that no command asks for and that holds no numbers.
    var rows = (0..<10).map {
      "\($0 % 2 == 0 ? "1" : "\"b,c\""),words,\($0),\(Double($0 * 3 % 7) / 2),\($0 % 4)"
    }
    rows += ["1,x,10,,1", "\"b,c\",y,11,,", "d,z,1,5,2", "d,,2,,3"]
    try folder.write("g.csv", "who,text,t,level,other\n" + rows.joined(separator: "\n") + "\n")
    let objects = try Self.objects(folder.read("g.csv"))
    try folder.write("g.jsonl", objects)
    try Self.gzip(Data(folder.read("g.csv").utf8)).write(to: folder.url("g.csv.gz"))
    try Self.gzip(Data(objects.utf8)).write(to: folder.url("g.jsonl.gz"))
  }

  private func run(_ command: String, _ arguments: [String], input: String? = nil) throws -> Outcome {
    try folder.start([command] + arguments + ["--model", "m.safetensors"], input: input).1()
  }

  private func predict(_ arguments: String..., input: String? = nil) throws -> Outcome {
    try run("predict", arguments, input: input)
  }

  /// Rows as JSON lines; a group of digits is written as a number, and empty cells are null or left out in turn.
  private static func objects(_ csv: String) throws -> String {
    let table = try Table(bytes: Array(csv.utf8), source: "g.csv")
    let columns = try table.columns.map { (name: $0, cells: try table.texts($0)) }
    return (0..<table.rowCount).map { row in
      let members = columns.compactMap { name, cells -> String? in
        if cells[row].isEmpty { return row % 2 == 0 ? nil : "\"\(name)\": null" }
        return "\"\(name)\": " + (Double(cells[row]) == nil ? "\"\(cells[row])\"" : cells[row])
      }
      return "{" + members.joined(separator: ", ") + "}\n"
    }.joined()
  }

  /// A gzip member of one stored block (RFC 1952), so that no program is needed to make it.
  private static func gzip(_ data: Data) -> Data {
    func bytes(_ value: UInt32, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let length = UInt32(data.count)
    var sum = Checksum32()
    data.withUnsafeBytes { sum.add($0) }
    let head: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1]
    return Data(head + bytes(length, 2) + bytes(~length, 2)) + data
      + Data(bytes(sum.value, 4) + bytes(length, 4))
  }

  @Test func groupsAndTargetsOfEveryFormat() throws {
    let more = ["--input", "t", "--target", "level,other", "--group", "who"]
    let expected = try run("predict", ["g.csv"] + more)
    #expect(expected.code == 0, "\(expected.errors)")
    #expect(expected.output.contains("\n1,level,10,") && expected.output.contains("\n\"b,c\",level,11,"))
    for file in ["g.csv.gz", "g.jsonl", "g.jsonl.gz"] {
      let outcome = try run("predict", [file] + more)
      #expect(outcome.output == expected.output, "\(file): \(outcome.errors)")
    }
    let piped = try run("predict", ["-"] + more, input: folder.read("g.jsonl"))
    #expect(piped.output == expected.output, "\(piped.errors)")
    let unknown = try run("predict", ["g.jsonl", "--input", "t", "--target", "level,others"])
    #expect(unknown.code == 65)
    #expect(
      unknown.errors
        == "error: g.jsonl: has no column 'others'; it has: who, text, t, level, other. Did you mean 'other'?\n"
    )
    let group = try run("predict", ["g.csv.gz", "--input", "t", "--target", "level", "--group", "whom"])
    #expect(group.code == 65 && group.errors.contains("has no column 'whom'"))
    // One column that has a comma in its name.
    try folder.write(
      "comma.jsonl", (0..<4).map { "{\"t\": \($0), \"a, b\": \($0 == 3 ? "null" : "\($0 % 2)")}\n" }.joined())
    let comma = try run("predict", ["comma.jsonl", "--input", "t", "--target", "a, b"])
    #expect(comma.code == 0 && comma.rows.count == 2, "\(comma.errors)")
  }

  @Test func scoresOfEveryFormat() throws {
    let more = [
      "--input", "t", "--target", "other", "--orders", "2", "--samples", "10", "--repetitions", "2",
    ]
    let expected = try run("score", ["g.csv"] + more)
    #expect(expected.code == 0 && expected.rows.count == 7, "\(expected.errors)")
    for file in ["g.csv.gz", "g.jsonl", "g.jsonl.gz"] {
      let outcome = try run("score", [file] + more)
      #expect(outcome.output == expected.output, "\(file): \(outcome.errors)")
    }
    let commas = try folder.read("g.csv").split(separator: "\n").filter { !$0.contains("\"") }
      .joined(separator: "\n")
    try folder.write("point.csv", commas)
    try folder.write(
      "comma.csv", commas.replacingOccurrences(of: ",", with: "\t").replacingOccurrences(of: ".", with: ","))
    let point = try run("score", ["point.csv", "--last", "2"] + more.dropLast(2))
    let comma = try run("score", ["comma.csv", "--last", "2", "--decimal", "comma"] + more.dropLast(2))
    #expect(point.code == 0 && comma.output == point.output, "\(comma.errors)")
    #expect(try run("score", ["g.csv", "--delimiter", "tab"] + more).code == 65)
  }

  @Test func contextsOfEveryFormat() throws {
    let rows = (0..<9).map { ($0, Double($0 * $0 % 7) / 4) }
    try folder.write("p.csv", "t,level\n" + rows.map { "\($0.0).5,\($0.1)\n" }.joined())
    let german = rows.map { "\($0.0),5;\($0.1)\n".replacingOccurrences(of: ".", with: ",") }.joined()
    try folder.write("c.csv", "t;level\n" + german)
    try folder.write("p.jsonl", rows.map { "{\"level\": \($0.1), \"t\": \($0.0).5}\n" }.joined())
    try Self.gzip(folder.bytes("p.csv")).write(to: folder.url("p.csv.gz"))
    try folder.write("points.csv", "t\n1.25\n9.5\n-2\n")
    try folder.write("commas.csv", "t;u\n1,25;a\n9,5;b\n-2;c\n")
    let columns = ["--input", "t", "--target", "level"]
    let expected = try run("predict", ["p.csv"] + columns + ["--at-file", "points.csv"])
    #expect(expected.rows.dropFirst().map { $0[0] } == ["1.25", "9.5", "-2"], "\(expected.errors)")
    for (file, more) in [
      ("p.csv", []), ("c.csv", ["--decimal", "comma"]), ("p.jsonl", []), ("p.csv.gz", []),
    ] {
      let made = try run("condition", [file] + columns + more + ["--output", "c.safetensors"])
      #expect(made.code == 0 && made.errors.contains("9 rows kept"), "\(file): \(made.errors)")
      let kept = try predict("--context", "c.safetensors", "--at-file", "points.csv")
      #expect(kept.output == expected.output, "\(file): \(kept.errors)")
    }
    let comma = try predict("--context", "c.safetensors", "--at-file", "commas.csv", "--decimal", "comma")
    #expect(comma.output == expected.output, "\(comma.errors)")
    let piped = try predict("--context", "c.safetensors", "--at-file", "-", input: folder.read("points.csv"))
    #expect(piped.output == expected.output, "\(piped.errors)")
    let wrong = try run("condition", ["c.csv"] + columns + ["--output", "x.safetensors"])
    #expect(wrong.code == 65 && wrong.errors.contains("pass --decimal comma"), "\(wrong.errors)")
    for (option, value) in [("--decimal", "comma"), ("--delimiter", "tab"), ("--max-expansion", "7")] {
      let outcome = try predict("--context", "c.safetensors", "--at", "1", option, value)
      #expect(outcome.code == 64 && outcome.errors.contains("\(option) is for files"), "\(outcome.errors)")
    }
    let both = try predict("--context", "c.safetensors", "--at", "1", "--at-file", "points.csv")
    #expect(both.code == 64 && both.errors.contains("give one of --at, --at-file and --horizon"))
    try folder.write("days.csv", "t\n2020-01-01\n")
    let days = try predict("--context", "c.safetensors", "--at-file", "days.csv")
    #expect(days.code == 64)
    #expect(days.errors == "error: days.csv: column 't' holds numbers and the points dates.\n")
  }

  /// The calendar is that of the rows, though a context has only their days.
  @Test func contextsStepThroughTheCalendar() throws {
    let rows = (1...9).map { "2020-0\($0)-15,\($0 % 3)\n" }.joined()
    try folder.write("d.csv", "t,level\n" + rows)
    let columns = ["--input", "t", "--target", "level"]
    #expect(try run("condition", ["d.csv"] + columns + ["--output", "d.safetensors"]).code == 0)
    for (grid, days) in [
      ("2020-01-31..2020-04-30/1mo", ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]),
      ("2020-02-29..2022-12-31/1y", ["2020-02-29", "2021-02-28", "2022-02-28"]),
    ] {
      let kept = try predict("--context", "d.safetensors", "--at", grid)
      #expect(kept.rows.dropFirst().map { $0[0] } == days, "\(kept.errors)")
      #expect(try run("predict", ["d.csv"] + columns + ["--at", grid]).output == kept.output)
      try folder.write("days.csv", "t\n" + days.joined(separator: "\n"))
      #expect(try predict("--context", "d.safetensors", "--at-file", "days.csv").output == kept.output)
    }
  }

  @Test func pointsOfSeries() throws {
    let series = ["g.csv", "--input", "t", "--target", "level", "--group", "who"]
    func predict(_ more: String..., input: String? = nil) throws -> Outcome {
      try run("predict", series + more, input: input)
    }
    // Without the group's column every series has all points, as of a grid.
    try folder.write("all.csv", "t\n3\n4\n")
    let grid = try predict("--at", "3..4/1")
    #expect(grid.code == 0 && grid.rows.count == 7, "\(grid.errors)")
    #expect(try predict("--at-file", "all.csv").output == grid.output)
    // With it a row is a point of its series.
    try folder.write("own.csv", "t,who\n3,\"b,c\"\n8,1\n4,\"b,c\"\n")
    let own = try predict("--at-file", "own.csv")
    let lines = own.output.split(separator: "\n")
    #expect(lines.count == 4, "\(own.errors)")
    #expect(
      zip(lines.dropFirst(), ["1,8,", "\"b,c\",3,", "\"b,c\",4,"]).allSatisfy { $0.hasPrefix($1) },
      "\(own.output)")
    #expect(own.errors.contains("note: 1 of 3 series have nothing to predict and were left out"))
    #expect(grid.output.split(separator: "\n").filter { $0.hasPrefix("\"b,c\"") } == Array(lines.suffix(2)))
    try folder.write(
      "own.jsonl", "{\"who\":\"b,c\",\"t\":3}\n{\"t\":8,\"who\":1}\n{\"who\":\"b,c\",\"t\":4}\n")
    #expect(try predict("--at-file", "own.jsonl").output == own.output)
    #expect(try predict("--at-file", "-", input: folder.read("own.csv")).output == own.output)
    let two = try run(
      "predict",
      ["g.jsonl", "--input", "t", "--target", "level,other", "--group", "who", "--at-file", "own.csv"])
    #expect(
      two.output.split(separator: "\n").filter { $0.contains(",level,") }.map {
        $0.replacingOccurrences(of: ",level,", with: ",")
      } == lines.dropFirst().map(String.init), "\(two.errors)")
    for (text, words) in [
      (
        "t,who\n3,1\n\n4,e\n",
        "x.csv:4: group 'e' has no row in g.csv, so nothing is known of it; leave the row out."
      ),
      (
        "t,who\n3,1\n4, \n",
        "x.csv:3: no value (column 'who'); every row needs one: fill it in or leave the row out."
      ), ("who\n1\n", "x.csv: has no column 't'; it has: who."),
    ] {
      try folder.write("x.csv", text)
      let outcome = try predict("--at-file", "x.csv")
      #expect(outcome.code == 65 && outcome.output.isEmpty)
      #expect(outcome.errors == "error: \(words)\n")
    }
  }

  @Test func reportsAndExplanationsOfEveryFormat() throws {
    try folder.write("at.jsonl", "{\"t\": 3.5}\n{\"t\": 4.5}\n")
    let report = try run(
      "report",
      ["g.jsonl.gz", "--input", "t", "--target", "other", "--at-file", "at.jsonl", "--output", "r.html"])
    #expect(report.code == 0, "\(report.errors)")
    #expect(try folder.read("r.html").contains("g.jsonl.gz"))
    try folder.write("x.csv", "x\n0.5\n2\n9\n")
    try folder.write("x.tsv", "x\n0,5\n2\n9\n")
    let plan = ["--context", "8", "--plan", "coarse-to-fine(r:2)", "--inputs"]
    let expected = try run("explain", plan + ["x.csv"])
    #expect(expected.code == 0, "\(expected.errors)")
    #expect(try run("explain", plan + ["x.tsv", "--decimal", "comma"]).output == expected.output)
    let lost = try run("explain", ["--context", "8", "--targets", "3", "--decimal", "comma"])
    #expect(
      lost.code == 64 && lost.errors.contains("--decimal is for files, and without --inputs none is read"))
  }
}
