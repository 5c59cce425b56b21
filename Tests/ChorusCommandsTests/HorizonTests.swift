import Foundation
import Testing

/// One command for a forecast: columns, spacing and notation are found, and what leaves a choice is refused.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct HorizonTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
  }

  private func predict(_ file: String, _ more: String...) throws -> Outcome {
    try folder.start(["predict", file, "--model", "m.safetensors", "--samples", "20"] + more).1()
  }

  private func values(_ count: Int) -> [String] { (0..<count).map { "\(($0 * 7) % 11 + $0)" } }

  /// A file of dates in some notation and values.
  private func write(_ name: String, _ dates: [String], header: String = "when,sales") throws {
    try folder.write(
      name, header + "\n" + zip(dates, values(dates.count)).map { "\($0),\($1)\n" }.joined())
  }

  /// The points that were predicted, and all that follows them.
  private func points(_ outcome: Outcome) -> (inputs: [String], answers: [[String]]) {
    let rows = outcome.rows.dropFirst()
    return (rows.map { $0[0] }, rows.map { Array($0.dropFirst()) })
  }

  /// Months in every notation give the same answers, written as they were read.
  @Test func notationsAnswerAlike() throws {
    let months = (0..<30).map { (year: 2018 + $0 / 12, month: $0 % 12 + 1) }
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    try write("iso.csv", months.map { "\($0.year)-\(two($0.month))-01" })
    let expected = try predict("iso.csv", "--horizon", "3")
    #expect(expected.code == 0, "\(expected.errors)")
    #expect(points(expected).inputs == ["2020-07-01", "2020-08-01", "2020-09-01"])
    #expect(
      expected.errors.hasPrefix(
        "'sales' by 'when': months, at their starts; 3 points, 2020-07-01 to 2020-09-01\n"))
    let forms: [(String, [String], [String])] = [
      ("slashes", months.map { "\($0.year)/\($0.month)/1" }, ["2020/7/1", "2020/8/1", "2020/9/1"]),
      ("dots", months.map { "01.\(two($0.month)).\($0.year)" }, ["01.07.2020", "01.08.2020", "01.09.2020"]),
      ("months", months.map { "\($0.year)-\(two($0.month))" }, ["2020-07", "2020-08", "2020-09"]),
      ("digits", months.map { "\($0.year)\(two($0.month))01" }, ["20200701", "20200801", "20200901"]),
    ]
    for (name, dates, next) in forms {
      try write("\(name).csv", dates)
      let outcome = try predict("\(name).csv", "--horizon", "3")
      #expect(points(outcome).inputs == next, "\(outcome.errors)")
      #expect(points(outcome).answers == points(expected).answers, "\(name)")
      // The same points by hand, in the same notation.
      let step = name == "slashes" ? "\(next[0])..\(next[2])/1M" : "\(next[0])..\(next[2])/1mo"
      let grid = try predict("\(name).csv", "--input", "when", "--target", "sales", "--at", step)
      #expect(grid.output == outcome.output, "\(name): \(grid.errors)")
      try folder.write("next.csv", "when\n" + next.joined(separator: "\n") + "\n")
      #expect(try predict("\(name).csv", "--at-file", "next.csv").output == outcome.output)
      let kept = try folder.chorus(
        "condition", "\(name).csv", "--input", "when", "--target", "sales", "--model", "m.safetensors",
        "--output",
        "c.safetensors", "-q")
      #expect(kept.code == 0, "\(kept.errors)")
      let asked = try folder.chorus(
        "predict", "--context", "c.safetensors", "--model", "m.safetensors", "--samples", "20", "--horizon",
        "3")
      #expect(asked.output == outcome.output, "\(name): \(asked.errors)")
    }
    try write("us.csv", months.map { "\($0.month)/1/\($0.year)" })
    let open = try predict("us.csv", "--horizon", "3")
    #expect(
      open.code == 65 && open.errors.contains("pass --date-format '%-d/%-m/%Y' or --date-format '%-m/%-d/%Y'")
    )
    let told = try predict("us.csv", "--horizon", "3", "--date-format", "%m/%d/%Y")
    #expect(points(told).inputs == ["7/1/2020", "8/1/2020", "9/1/2020"])
    #expect(points(told).answers == points(expected).answers)
    #expect(try predict("us.csv", "--horizon", "3", "--date-format", "D/M").code == 64)
  }

  @Test func everySpacingIsTold() throws {
    try folder.write("one.csv", "level\n" + values(20).joined(separator: "\n") + "\n")
    let counted = try predict("one.csv", "--horizon", "2")
    #expect(points(counted).inputs == ["21", "22"], "\(counted.errors)")
    #expect(counted.errors.hasPrefix("'level' by the number of the row: steps of 1; 2 points, 21 to 22\n"))
    #expect(try predict("one.csv", "--at", "21..22/1").output == counted.output)
    try write("x.csv", (0..<20).map { "\(Double($0) / 2)" })
    #expect(points(try predict("x.csv", "--horizon", "2")).inputs == ["10", "10.5"])
    #expect(points(try predict("x.csv", "--horizon", "2", "--every", "0.25")).inputs == ["9.75", "10"])
    try write("d.csv", (10..<28).map { "2020-02-\($0)" })
    #expect(points(try predict("d.csv", "--horizon", "1", "--every", "1M")).inputs == ["2020-03-27"])
    #expect(
      points(try predict("d.csv", "--horizon", "2", "--every", "12h")).inputs == [
        "2020-02-27T12:00", "2020-02-28",
      ])
    // After the last row with a value, whatever rows lack one.
    try folder.write("gap.csv", "t,y\n0,1\n1,2\n2,3\n3,\n4,\n")
    #expect(points(try predict("gap.csv", "--horizon", "1")).inputs == ["3"])
    #expect(points(try predict("gap.csv")).inputs == ["3", "4"])
    let report = try folder.chorus(
      "report", "d.csv", "--input", "when", "--target", "sales", "--horizon", "3", "--model", "m.safetensors",
      "--output", "r.html", "--holdout", "0")
    #expect(report.code == 0, "\(report.errors)")
    #expect(try folder.read("r.html").contains("2020-03-01"))
  }

  @Test func seriesAndTargets() throws {
    var rows: [String] = []
    for month in 1...9 { rows.append("a,2020-0\(month)-01,\(month),\(month * month % 5)") }
    for day in 10...19 { rows.append("b,2020-03-\(day),\(day % 4),") }
    try folder.write("g.csv", "shop,when,sales,visits\n" + rows.joined(separator: "\n") + "\n")
    let grouped = try predict("g.csv", "--group", "shop", "--target", "sales", "--horizon", "1")
    #expect(grouped.rows.dropFirst().map { $0[1] } == ["2020-10-01", "2020-03-20"], "\(grouped.errors)")
    #expect(grouped.errors.contains("(each series from its own last row)"))
    let wide = try predict(
      "g.csv", "--input", "when", "--target", "sales,visits", "--horizon", "1", "--every", "1M")
    #expect(
      wide.rows.dropFirst().map { $0[0] + " " + $0[1] } == ["sales 2020-10-01", "visits 2020-10-01"],
      "\(wide.errors)")
  }

  /// What leaves a choice is refused, and names it.
  @Test func refusals() throws {
    func refused(
      _ code: Int32, _ part: String, _ text: String, _ more: String...,
      location: SourceLocation = #_sourceLocation
    )
      throws
    {
      try folder.write("bad.csv", text)
      let outcome = try folder.start(["predict", "bad.csv", "--model", "m.safetensors"] + more).1()
      let what = Comment(rawValue: "\(outcome.code) \(outcome.errors)")
      #expect(outcome.code == code && outcome.errors.contains(part), what, sourceLocation: location)
      #expect(outcome.output.isEmpty && !outcome.signalled, what, sourceLocation: location)
    }
    try refused(
      64, "could be predicted; name one with --target, or several, separated by commas: y, z.",
      "t,y,z\n1,2,3\n2,3,5\n", "--horizon", "2")
    try refused(
      64, "has several columns of dates; name the input with --input: a, b.",
      "a,b,y\n2020-01-01,2020-01-02,3\n2020-02-01,2020-02-02,5\n", "--horizon", "2")
    try refused(
      64, "tells the order of the rows; name the input with --input: x, y.", "x,y\n3,2\n1,3\n2,1\n",
      "--horizon", "2")
    try refused(
      64, "has no column of numbers to predict", "when,who\n2020-01-01,a\n2020-01-02,b\n", "--horizon", "2")
    try refused(
      64, "rows repeat 'when', and column 'who' tells 2 series apart; pass --group who",
      "when,who,y\n" + (1...4).map { "2020-01-0\($0),a,1\n2020-01-0\($0),b,\($0)\n" }.joined(), "--horizon",
      "2")
    try refused(
      64, "the rows are not evenly spaced in 't'; tell the step with --every",
      "t,y\n1,2\n2,3\n5,1\n11,2\n12.5,3\n",
      "--horizon", "2")
    try refused(64, "'1M' is a step of dates", "t,y\n1,2\n2,3\n", "--horizon", "2", "--every", "1M")
    try refused(
      64, "goes along one input column", "a,b,y\n1,2,3\n2,3,5\n", "--input", "a,b", "--target", "y",
      "--horizon", "2")
    try refused(64, "beyond the year 9999", "t,y\n9999-10-01,2\n9999-11-01,3\n", "--horizon", "2")
    try refused(64, "is no step forward", "t,y\n1,2\n2,3\n", "--horizon", "2", "--every", "-1d")
    try refused(64, "--every goes with --horizon", "t,y\n1,2\n2,3\n", "--every", "1d")
    try refused(64, "one of --at, --at-file and --horizon", "t,y\n1,2\n2,3\n", "--horizon", "2", "--at", "3")
    try refused(64, "--horizon must be within", "t,y\n1,2\n2,3\n", "--horizon", "0")
  }

  /// A value that begins with a minus is a value.
  @Test func valuesThatBeginWithAMinus() throws {
    try folder.write("t.csv", "t,y\n" + (0..<9).map { "\($0),\($0 % 4)\n" }.joined() + "9,-999\n")
    #expect(points(try predict("t.csv", "--at", "-20..-10/5")).inputs == ["-20", "-15", "-10"])
    #expect(points(try predict("t.csv", "--at", "-20")).inputs == ["-20"])
    #expect(points(try predict("t.csv", "--at=-1e1..-5/5")).inputs == ["-10", "-5"])
    #expect(points(try predict("t.csv", "--missing", "-999")).inputs == ["9"])
    #expect(points(try predict("t.csv", "--missing", "-999", "--missing", "gone", "-q")).inputs == ["9"])
  }
}
