import Foundation
import Testing

@testable import ChorusCommands

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ScoreTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    let rows = (0..<60).map {
      "2020-01-\($0 % 30 < 9 ? "0" : "")\($0 % 30 + 1)T\($0 / 30 * 12 < 10 ? "0" : "")\($0 / 30 * 12):00,\(Double($0 * 37 % 60) / 7)"
    }
    try folder.write("s.csv", "time,level\n" + rows.joined(separator: "\n") + "\n2020-03-01T00:00,\n")
  }

  private func score(_ more: String...) throws -> Outcome {
    try folder.start(
      [
        "score", "s.csv", "--input", "time", "--target", "level", "--model", "m.safetensors", "--orders", "2",
        "--samples", "10",
      ] + more
    ).1()
  }

  private func objects(_ outcome: Outcome) throws -> [[String: Any]] {
    try outcome.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test func linesOfRepetitions() throws {
    let outcome = try score("--holdout", "0.2", "--repetitions", "3", "--reencode", "--format", "jsonl")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let lines = try objects(outcome)
    #expect(lines.map { "\($0["repetition"] ?? "")" } == ["1", "1", "2", "2", "3", "3", "all", "all"])
    #expect(lines.map { $0["units"] as? String } == (0..<8).map { $0 % 2 == 0 ? "file" : "standardised" })
    for name in ScoreTable.columns() { #expect(lines.allSatisfy { $0[name] != nil }, "\(name)") }
    for key in ["independent", "buffer", "reencode", "crps", "energy_buffer", "coverage_90"] {
      let single = lines[..<6].enumerated().filter { $0.offset % 2 == 0 }.compactMap {
        $0.element[key] as? Double
      }
      let all = try #require(lines[6][key] as? Double)
      #expect(single.count == 3 && abs(single.reduce(0, +) / 3 - all) < 1e-9, "\(key)")
      #expect(lines[0][key + "_se"] is NSNull && lines[6][key + "_se"] is Double)
    }
    // A density in standardised units has the logarithm of the scale more, a score is divided by it.
    func number(_ line: Int, _ key: String) throws -> Double { try #require(lines[line][key] as? Double) }
    let shift = try number(1, "buffer") - number(0, "buffer")
    #expect(try abs(number(1, "independent") - number(0, "independent") - shift) < 1e-9)
    #expect(try abs(number(0, "crps") / number(1, "crps") - exp(shift)) < 1e-9)
    #expect(try abs(number(0, "variogram_buffer") / number(1, "variogram_buffer") - exp(shift)) < 1e-9)
    #expect(try number(6, "held_out") == 12 && number(6, "context") == 48 && number(6, "targets") == 12)
    #expect(try (1...10).reduce(0) { try $0 + number(6, "pit_\($1)") } == 36)
    #expect(
      try number(6, "buffer_minus_independent_low") <= number(6, "buffer_minus_independent")
        && number(6, "buffer_minus_independent") <= number(6, "buffer_minus_independent_high"))
    #expect(
      outcome.errors.contains("95 % interval") && outcome.errors.contains("paired t over 3 repetitions"))
  }

  @Test func theSameBytesForAnyThreads() throws {
    let one = try score("--last", "6", "--repetitions", "4", "--threads", "1", "--output", "a.csv")
    let four = try score("--last", "6", "--repetitions", "4", "--threads", "3", "--output", "b.csv")
    #expect(one.code == 0 && one.output == four.output, "\(one.errors)")
    #expect(try folder.read("a.csv") == folder.read("b.csv"))
    let values = try folder.read("a.csv").split(separator: "\n")
    #expect(values.count == 25 && values[0] == "repetition,time,level,pit,crps,log_density")
    // The last by time and not by the file.
    #expect(values[1].hasPrefix("1,2020-01-28T00:00,") && values[6].hasPrefix("1,2020-01-30T12:00,"))
    let other = try score("--last", "6", "--repetitions", "4", "--seed", "1")
    #expect(other.output != one.output)
    let alone = try score("--last", "6")
    #expect(alone.rows.count == 5 && alone.errors.contains("more of them give an interval"))
  }

  @Test func reencodingIsAskedFor() throws {
    let line = try #require(objects(score("--last", "6", "--format", "jsonl")).last)
    let asked = try #require(objects(score("--last", "6", "--reencode", "--format", "jsonl")).last)
    #expect(line["reencode"] is NSNull && line["reencode_minus_buffer"] is NSNull)
    #expect(asked["reencode"] is Double && asked["reencode_minus_buffer"] is Double)
    #expect(line["buffer"] as? Double == asked["buffer"] as? Double && line["buffer"] is Double)
    #expect(try score("--last", "6", "--reencode", "--functional", "sum").code == 64)
  }

  @Test(arguments: [
    (0, 5.0, "0 of 10 windows"), (2, 3, "2 of 10 windows, 12 s left"), (1, 60, "1 of 10 windows, 9 min left"),
    (1, 3600, "1 of 10 windows, 9.0 h left"), (10, 5, "10 of 10 windows"),
  ]) func progressTellsTheTimeLeft(done: Int, seconds: Double, text: String) {
    #expect(Progress.text(done, of: 10, "windows", after: .seconds(seconds)) == text)
  }

  @Test func windowsAndFunctionals() throws {
    let windows = try score("--windows", "4", "--context", "12", "--targets", "5", "--format", "jsonl")
    let lines = try objects(windows)
    #expect(lines.count == 2 && lines[0]["context"] as? Double == 12 && lines[0]["targets"] as? Double == 5)
    #expect(windows.errors.contains("over 4 windows"))
    let claims = try score(
      "--windows", "4", "--context", "12", "--targets", "5", "--functional", "sum,first-above:100")
    #expect(claims.code == 0, "\(claims.errors)")
    #expect(claims.rows[0] == ClaimTable.columns)
    #expect(
      claims.rows.dropFirst().map { $0[0] + " " + $0[1] } == [
        "sum joint", "sum independent", "first-above:100.0 joint", "first-above:100.0 independent",
      ])
    for row in claims.rows[1...2] {
      let share = try #require(Double(row[9]))
      #expect(try #require(Double(row[10])) <= share && share <= #require(Double(row[11])))
      #expect(row[2] == "4" && row[16].isEmpty == false)
    }
  }

  @Test func valuesOfDensityZeroAreScoredAndSaid() throws {
    // Sales that grow and swing as logarithms see them, and one day below 0 among those held out.
    let rows = (0..<60).map { day in
      let level = exp(0.08 * Double(day)) * (1 + 0.4 * sin(Double(day) * .pi / 6))
      return "\(day),\(day == 57 ? -3 : level * (day % 2 == 0 ? 1.04 : 0.96))"
    }
    try folder.write("z.csv", "t,y\n" + rows.joined(separator: "\n") + "\n")
    let outcome = try folder.start([
      "score", "z.csv", "--last", "6", "--model", "functions", "--scale", "log", "--orders", "2",
      "--samples", "20",
    ]).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("density 0 in 1 of 1"), "\(outcome.errors)")
    #expect(outcome.output.contains("1 value has density 0"))
    #expect(!outcome.errors.contains("errors of their own"))
  }

  @Test func splitsByColumns() throws {
    // The last six by columns of the file are the last six by --last; a second column leaves rows out.
    let rows = (0..<40).map {
      "\($0),\(Double($0 * 37 % 60) / 7),\($0 < 34 ? "context" : "held-out"),\($0 < 20 ? "" : $0 < 34 ? "context" : "held-out")"
    }
    try folder.write("m.csv", "t,level,one,two\n" + rows.joined(separator: "\n") + "\n40,,context,held-out\n")
    func run(_ more: String...) throws -> Outcome {
      try folder.start(
        [
          "score", "m.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--orders", "2",
          "--samples", "10", "--format", "jsonl",
        ] + more
      ).1()
    }
    let outcome = try run("--splits", "one,two", "--calibration", "c.svg", "--reencode")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let lines = try objects(outcome)
    let last = try objects(run("--last", "6", "--reencode"))
    for key in ["independent", "buffer", "reencode", "crps", "energy_buffer", "coverage_90"] {
      #expect(lines[0][key] as? Double == last[0][key] as? Double, "\(key)")
    }
    #expect(lines[0]["context"] as? Double == 34 && lines[2]["context"] as? Double == 14)
    #expect(lines[2]["buffer"] as? Double != lines[0]["buffer"] as? Double)
    let picture = try folder.read("c.svg")
    #expect(
      picture.contains("12 values of 2 repetitions") && picture.contains("Coverage of central intervals"))
    let claims = try run("--splits", "one,two", "--functional", "sum")
    #expect(try objects(claims).map { $0["repetitions"] as? Int } == [2, 2])
    for (part, arguments) in [
      ("no column 'three'", ["--splits", "three"]), ("column 't' has '0'", ["--splits", "t"]),
    ] {
      let refused = try folder.start(
        ["score", "m.csv", "--input", "level", "--target", "t", "--model", "m.safetensors"] + arguments
      ).1()
      #expect(refused.code == 65 && refused.errors.contains(part), "\(refused.errors)")
    }
  }

  @Test func refusals() throws {
    func refused(
      _ code: Int32, _ part: String, _ arguments: String..., location: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try folder.start(
        ["score", "s.csv", "--input", "time", "--target", "level", "--model", "m.safetensors"] + arguments
      ).1()
      let what = Comment(rawValue: "\(arguments): \(outcome.code) \(outcome.errors)")
      #expect(outcome.code == code && outcome.errors.contains(part), what, sourceLocation: location)
      #expect(outcome.output.isEmpty && !outcome.signalled, what, sourceLocation: location)
    }
    try refused(64, "exclude one another", "--holdout", "0.2", "--last", "3")
    try refused(64, "exclude one another", "--splits", "a", "--last", "3")
    try refused(64, "every column is one", "--splits", "a", "--repetitions", "3")
    try refused(64, "must end in .svg or .html", "--calibration", "c.png")
    try refused(64, "does not go with --functional", "--functional", "sum", "--calibration", "c.svg")
    try refused(74, "nosuch/c.svg: can not be made", "--calibration", "nosuch/c.svg")
    try refused(64, "--holdout must be above 0", "--holdout", "0")
    try refused(64, "--holdout must be above 0", "--holdout", "nan")
    try refused(64, "--last must be at least 1", "--last", "0")
    try refused(64, "--windows must be within", "--windows", "0")
    try refused(64, "--context goes with --windows", "--context", "9")
    try refused(64, "every window is one", "--windows", "3", "--repetitions", "2")
    try refused(64, "--context must be at least 2", "--windows", "3", "--context", "1")
    try refused(64, "--targets must be within", "--targets", "0")
    try refused(64, "--repetitions must be within", "--repetitions", "0")
    try refused(64, "--orders must be within", "--orders", "0")
    try refused(64, "--samples must be within", "--samples", "1")
    try refused(64, "--functional: 'total' is none of sum", "--functional", "total")
    try refused(64, "does not go with --functional", "--functional", "sum", "--output", "v.csv")
    try refused(64, "is not a plan", "--plan", "nosuch")
    try refused(64, "TFLOP", "--flop-limit", "1")
    try refused(65, "leaves fewer than 2 to learn from", "--last", "59")
    try refused(65, "hold out 20 at most 2 times", "--last", "20", "--repetitions", "3")
    try refused(65, "leaves none to hold out", "--holdout", "0.001")
    try refused(
      65, "60 rows have 9 windows of 12 + 5 rows", "--windows", "10", "--context", "12", "--targets", "5")
    try refused(74, "nosuch/v.csv: can not be made", "--output", "nosuch/v.csv")
    #expect(folder.names == ["m.safetensors", "s.csv"])
    try folder.write("p.csv", "pit,level\n" + (0..<9).map { "\($0),\($0 % 4)\n" }.joined())
    let taken = try folder.chorus(
      "score", "p.csv", "--input", "pit", "--target", "level", "--model", "m.safetensors", "--output",
      "v.csv",
      "--orders", "1", "--samples", "2")
    #expect(taken.code == 0 && taken.errors.contains("'pit' is called '_pit'"), "\(taken.errors)")
    #expect(try folder.read("v.csv").hasPrefix("repetition,pit,level,_pit,crps,log_density\n"))
  }

  /// A yearly season and a trend by months, for which columns are found.
  private func writeMonths(_ name: String, groups: [String] = []) throws {
    let rows = (groups.isEmpty ? [""] : groups).enumerated().flatMap { place, group in
      (0..<60).map { month in
        let value =
          20 + 0.2 * Double(month) + 6 * sin(Double(month) * .pi / 6) + Double(month * (37 + place) % 11) / 10
        let key = groups.isEmpty ? "" : group + ","
        return "\(key)\(2010 + month / 12)-\(month % 12 < 9 ? "0" : "")\(month % 12 + 1)-01,\(value)"
      }
    }
    try folder.write(
      name, (groups.isEmpty ? "" : "shop,") + "month,sales\n" + rows.joined(separator: "\n") + "\n")
  }

  private let small = ["--model", "m.safetensors", "--orders", "2", "--samples", "10"]

  @Test func tellsWhereAUserStands() throws {
    try writeMonths("m.csv")
    let arguments = ["score", "m.csv", "--last", "6", "--repetitions", "3"] + small
    let outcome = try folder.start(arguments + ["--format", "jsonl"]).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    let all = try #require(try objects(outcome).dropLast().last)
    func number(_ key: String) throws -> Double { try #require(all[key] as? Double, "\(key)") }
    for key in ["rmse", "mae", "mase", "naive_mase", "naive_crps", "smoothing_crps", "structural_crps"] {
      #expect(try number(key) > 0, "\(key)")
    }
    for method in ["naive", "smoothing", "structural"] {
      #expect(try number("\(method)_mae") <= number("\(method)_rmse") * 1.000001)
      let less = try number("crps_minus_\(method)")
      #expect(try abs(less - (number("crps") - number("\(method)_crps"))) < 1e-9)
      #expect(try number("crps_minus_\(method)_low") <= less && less <= number("crps_minus_\(method)_high"))
    }
    #expect(try number("structural_r2") > number("r2") && number("structural_r2") < 1)
    // A random network is behind what knows the season.
    #expect(try number("structural_crps") < number("naive_crps") && number("structural_mase") < 1)
    #expect(try number("crps") > number("structural_crps"))
    let words = outcome.errors.split(separator: "\n")
    #expect(words[0] == "'sales' by 'month'")
    #expect(words.contains { $0.hasPrefix("forecasts are off by ") && $0.contains("MASE") })
    #expect(words.contains { $0.contains("seasonal naive (the value of 12 rows before, a year)") })
    #expect(words.last?.hasPrefix("verdict: ") == true && words.last?.contains("ahead") == false)
    // The season of the calendar is the one that is told, and columns are those that are named.
    let named = try folder.start(arguments + ["--format", "jsonl", "--input", "month", "--target", "sales"])
      .1()
    #expect(named.output == outcome.output)
    #expect(
      try folder.start(arguments + ["--format", "jsonl", "--season", "12"]).1().output == outcome.output)
    let other = try folder.start(arguments + ["--format", "jsonl", "--season", "5"]).1()
    #expect(try objects(other)[6]["naive_crps"] as? Double != number("naive_crps"))
    let single = try folder.start(["score", "m.csv", "--last", "6"] + small).1()
    #expect(single.errors.contains("in one repetition; more of them"))
  }

  @Test func scoresSeriesByGroups() throws {
    try writeMonths("g.csv", groups: ["north", "south"])
    try folder.write("g.csv", try folder.read("g.csv") + "west,2010-01-01,3\n")
    let arguments =
      ["score", "g.csv", "--group", "shop", "--last", "6", "--repetitions", "2", "--format", "jsonl"] + small
    let outcome = try folder.start(arguments + ["--output", "v.csv", "--threads", "1"]).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    let lines = try objects(outcome)
    #expect(
      lines.map { "\($0["shop"] as? String ?? "-") \($0["repetition"] ?? "")" }
        == ["north 1", "north 1", "north 2", "north 2", "north all", "north all"]
        + ["south 1", "south 1", "south 2", "south 2", "south all", "south all"] + ["- all", "- all"])
    #expect(outcome.errors.contains("1 of 3 series have too few rows"))
    #expect(outcome.errors.contains("of 2 series") && outcome.errors.contains("verdict: "))
    let values = try folder.read("v.csv").split(separator: "\n")
    #expect(
      values.count == 25 && values[0].hasPrefix("shop,repetition,month,sales")
        && values[1].hasPrefix("north,1,"))
    #expect(try folder.start(arguments + ["--threads", "3"]).1().output == outcome.output)
    // Each series is scored as if it were alone.
    try writeMonths("n.csv")
    let alone = try folder.start(
      ["score", "n.csv", "--last", "6", "--repetitions", "2", "--format", "jsonl"] + small
    ).1()
    let (one, other) = (try objects(alone)[4], lines[4])
    for key in ["buffer", "crps", "naive_crps", "smoothing_crps", "structural_crps"] {
      #expect(one[key] as? Double == other[key] as? Double, "\(key)")
    }
    let open = try folder.start(["score", "g.csv", "--last", "6"] + small).1()
    #expect(open.code != 0 && open.errors.contains("--group shop"), "\(open.errors)")
    #expect(try folder.start(arguments + ["--functional", "sum"]).1().code == 64)
  }

  @Test func conditionAndReportFindColumns() throws {
    try writeMonths("m.csv")
    let model = ["--model", "m.safetensors"]
    for more in [[], ["--input", "month", "--target", "sales"]] {
      let kept = try folder.start(
        ["condition", "m.csv", "--output", "c\(more.count).safetensors"] + model + more
      ).1()
      #expect(kept.code == 0 && kept.errors.contains("'sales' by 'month'") == more.isEmpty, "\(kept.errors)")
    }
    #expect(try folder.bytes("c0.safetensors") == folder.bytes("c4.safetensors"))
    let report = ["report", "m.csv", "--horizon", "3", "--samples", "9", "--output", "r.html"] + model
    let last = try folder.start(report + ["--last", "7"]).1()
    #expect(last.code == 0 && last.errors.contains("'sales' by 'month'"), "\(last.errors)")
    #expect(try folder.read("r.html").contains("7 of the rows, the last ones, were held out"))
    #expect(try folder.start(report + ["--last", "59"]).1().code == 65)
    #expect(try folder.start(report + ["--last", "7", "--holdout", "0.2"]).1().code == 64)
    #expect(try folder.start(report + ["--last", "0"]).1().code == 64)
  }
}
