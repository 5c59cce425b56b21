import ChorusHints
import ChorusTensors
import Foundation
import Testing

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct PredictTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try folder.writeTable()
  }

  private func predict(_ more: String..., file: String = "t.csv", input: String? = nil) throws -> Outcome {
    try folder.start(
      ["predict", file, "--input", "t", "--target", "level", "--model", "m.safetensors"] + more, input: input
    ).1()
  }

  @Test func aClearPeriodIsTold() throws {
    try folder.writeModel("p.safetensors") {
      $0.scaling = .standardise
      $0.hints = Hints([TrendAndWaves(waves: 1)])
    }
    let level = [3, 4, 4, 5, 6, 1, 0]
    let rows = (1...63).map { day in
      let (month, own) = day <= 31 ? (1, day) : day <= 59 ? (2, day - 31) : (3, day - 59)
      return "2026-0\(month)-\(own < 10 ? "0" : "")\(own),\(level[day % 7])\n"
    }
    try folder.write("w.csv", "day,level\n" + rows.joined())
    let outcome = try folder.chorus(
      "predict", "w.csv", "--input", "day", "--target", "level", "--at", "2026-03-05", "--model",
      "p.safetensors")
    #expect(outcome.code == 0)
    let words = try #require(outcome.errors.split(separator: "\n").first { $0.contains("period") })
    let parts = words.split(separator: " ")
    #expect(words.contains("'day' shows a period of ") && words.contains(" days: "), "\(words)")
    #expect(parts.compactMap { Double($0) }.contains { abs($0 - 7) < 0.05 }, "\(words)")
  }

  /// What swings without a clock is told as what it is.
  @Test func aCycleIsTold() throws {
    try folder.writeModel("s.safetensors") {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason()])
    }
    var stream = RandomStream(seed: 5)
    var (now, before) = (0.0, 0.0)
    let rows = (1700..<1860).map { year in
      (now, before) = (1.62 * now - 0.9 * before + stream.normal(), now)
      return "\(year),\(now)\n"
    }
    try folder.write("swing.csv", "year,spots\n" + rows.joined())
    let outcome = try folder.chorus(
      "predict", "swing.csv", "--horizon", "2", "--scale", "raw", "--model", "s.safetensors")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let words = try #require(outcome.errors.split(separator: "\n").first { $0.contains("a cycle") })
    #expect(
      words.hasPrefix("'year' shows a cycle of about 1") && words.hasSuffix(" whose waves differ, no season"))
  }

  @Test func rowsWithoutATarget() throws {
    let outcome = try predict()
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    #expect(outcome.rows.map { $0[0] } == ["t", "12", "13"])
    #expect(outcome.output.hasPrefix("t,q0.5,q0.05,q0.95,mean,outside,note\n"))
    for row in outcome.rows.dropFirst() {
      let numbers = row[1..<5].compactMap(Double.init)
      #expect(numbers.count == 4 && numbers[1] <= numbers[0] && numbers[0] <= numbers[2])
      #expect(row[5].isEmpty && row[6].isEmpty)
    }
    let piped = try predict(file: "-", input: folder.read("t.csv"))
    #expect(piped.output == outcome.output)
  }

  @Test("Digits: as many as the width of a law asks for, or all; whole numbers, paths and order stay")
  func digits() throws {
    let sensible = try predict("--at", "0..20/2.5", "--output", "paths.csv")
    let paths = try folder.read("paths.csv")
    let all = try predict("--at", "0..20/2.5", "--output", "paths.csv", "--digits", "all")
    #expect(try folder.read("paths.csv") == paths)
    #expect(sensible.rows.count == 10 && sensible.rows[0] == all.rows[0])
    for (short, long) in zip(sensible.rows, all.rows).dropFirst() {
      let (few, many) = (short[1...4].compactMap(Double.init), long[1...4].compactMap(Double.init))
      let width = try #require(many.count == 4 ? many[2] - many[1] : nil)
      for (place, (value, exact)) in zip(few, many).enumerated() {
        #expect(abs(value - exact) <= width / 1000, "\(short)")
        #expect(
          short[place + 1].count < long[place + 1].count && short[place + 1].count <= 9, "\(short) \(long)")
      }
      #expect(few[1] <= few[0] && few[0] <= few[2])
    }
    // Large numbers keep their units, and so do small ones.
    try folder.write(
      "l.csv", "t,level\n" + (0..<12).map { "\($0),\(1e9 + Double($0 * 7919 % 13) * 1e6)\n" }.joined())
    let large = try predict("--at", "12..13/1", file: "l.csv")
    #expect(
      large.rows.dropFirst().allSatisfy {
        $0[1...4].allSatisfy { Double($0).map { $0 == $0.rounded() } == true }
      })
    try folder.write(
      "s.csv", "t,level\n" + (0..<12).map { "\($0),\(Double($0 * 7919 % 13) * 1e-9)\n" }.joined())
    let small = try predict("--at", "12..13/1", file: "s.csv")
    #expect(
      small.rows.dropFirst().allSatisfy { $0[1...4].allSatisfy { !$0.isEmpty && $0.count <= 10 } },
      "\(small.output)")
    let shares = try predict("--at", "0..3/0.5", "--functional", "first-above:0", "--samples", "30")
    #expect(shares.rows.dropFirst().allSatisfy { $0[3].count <= 6 && $0[4].count <= 9 }, "\(shares.output)")
    #expect(try predict("--digits", "3").code == 64)
  }

  @Test func quantilesAndJSON() throws {
    let csv = try predict("--at", "0..3/0.5", "--quantiles", "0,0.25,1")
    #expect(csv.rows[0] == ["t", "q0.0", "q0.25", "q1.0", "mean", "outside", "note"])
    #expect(csv.rows.count == 8 && csv.rows[2][0] == "0.5")
    let lines = try predict("--at", "0..3/0.5", "--quantiles", "0,0.25,1", "--format", "jsonl").output
      .split(separator: "\n")
    #expect(lines.count == 7)
    for (line, row) in zip(lines, csv.rows.dropFirst()) {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(object["t"] as? Double == Double(row[0]))
      let (parsed, written) = try (#require(object["q0.25"] as? Double), #require(Double(row[2])))
      #expect(abs(parsed - written) < 1e-12)
      #expect(object["note"] is NSNull)
    }
  }

  @Test func pathsAreTheSameBytesForAnyThreadsAndSamples() throws {
    var files: [String] = []
    for (name, threads, samples) in [("a.csv", "1", "10"), ("b.csv", "2", "10"), ("c.csv", "2", "100")] {
      let outcome = try predict(
        "--at", "0..4/1", "--samples", samples, "--threads", threads, "--seed", "3", "--output", name)
      #expect(outcome.code == 0, "\(outcome.errors)")
      files.append(try folder.read(name))
    }
    #expect(files[0] == files[1])
    #expect(files[0].hasPrefix("path,row,t,level\n0,0,0,"))
    #expect(files[0].split(separator: "\n").count == 51)
    #expect(files[2].hasPrefix(files[0]))
    #expect(files[2].split(separator: "\n").count == 501)
    let one = try predict("--at", "0..4/1", "--threads", "1")
    #expect(try predict("--at", "0..4/1", "--threads", "3").output == one.output)
    #expect(try predict("--at", "0..4/1", "--seed", "1").output != one.output)
    let lines = try predict("--at", "0..4/1", "--samples", "2", "--output", "p.jsonl")
    #expect(lines.code == 0)
    let first = try folder.read("p.jsonl").split(separator: "\n")[0]
    let object = try #require(try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any])
    #expect(Set(object.keys) == ["path", "row", "t", "level"])
    // Nothing but the files asked for: no temporary ones.
    #expect(folder.names == ["a.csv", "b.csv", "c.csv", "m.safetensors", "p.jsonl", "t.csv"])
  }

  @Test func datesAndTwoInputs() throws {
    let days = (1...9).map { "1958-03-\($0 * 3 < 10 ? "0" : "")\($0 * 3),\($0)" }
    try folder.write("d.csv", "day,co2\n" + days.joined(separator: "\n") + "\n")
    let outcome = try folder.chorus(
      "predict", "d.csv", "--input", "day", "--target", "co2", "--model", "m.safetensors", "--at",
      "1958-03-29..1958-04-30/1w")
    #expect(
      outcome.rows.map { $0[0] } == [
        "day", "1958-03-29", "1958-04-05", "1958-04-12", "1958-04-19", "1958-04-26",
      ])
    let mixed = try folder.chorus(
      "predict", "d.csv", "--input", "day", "--target", "co2", "--model", "m.safetensors", "--at", "0..4/1")
    #expect(mixed.code == 64 && mixed.errors.contains("column 'day' holds dates and the grid numbers"))
    try folder.writeModel("two.safetensors") { $0.inputDimensions = 2 }
    try folder.write("xy.csv", "x,y,z\n0,0,1\n1,0,2\n0,1,3\n1,1,4\n")
    let two = try folder.chorus(
      "predict", "xy.csv", "--input", "x,y", "--target", "z", "--model", "two.safetensors", "--at",
      "0..1/0.5,0..1/1")
    #expect(two.code == 0, "\(two.errors)")
    #expect(two.rows.map { $0[0] + " " + $0[1] } == ["x y", "0 0", "0 1", "0.5 0", "0.5 1", "1 0", "1 1"])
  }

  @Test func plansNotesAndQuiet() throws {
    for plan in ["independent", "sequential(capacity:2)", "reencode", "blocks(of:3)"] {
      let outcome = try predict("--plan", plan, "--latent", "--at", "0..6/1")
      #expect(outcome.code == 0 && outcome.rows.count == 8, "\(outcome.errors)")
    }
    try folder.writeModel("short.safetensors") { $0.trainedContext = 2 }
    let outcome = try predict("--model", "short.safetensors")
    #expect(outcome.errors.contains("note: the context was thinned from 12 to 8 rows"))
    #expect(outcome.output.contains("the context was thinned from 12 to 8 rows"))
    let quiet = try predict("--model", "short.safetensors", "--quiet")
    #expect(quiet.errors.isEmpty && quiet.output == outcome.output)
    try folder.write("gap.csv", "t,level\n0,1\n,2\n1,1\n2,3\n3,4\n4,\n")
    let gap = try predict(file: "gap.csv")
    #expect(gap.code == 0 && gap.errors == "note: 1 rows lack an input and were left out\n")
  }

  @Test func aReaderWhoStops() throws {
    let pipe = Pipe()
    let (_, finish) = try folder.start(
      [
        "predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--at",
        "0..20000/1",
        "--plan", "independent", "--samples", "2", "--output", "p.csv",
      ], output: pipe)
    try pipe.fileHandleForReading.close()
    try? pipe.fileHandleForWriting.close()
    let outcome = try finish()
    // Killed quietly by the system, or, where SIGPIPE is ignored, told in one line.
    #expect(outcome.signalled ? outcome.code == SIGPIPE : outcome.code == 74)
    #expect(
      outcome.errors.split(separator: "\n").filter { !$0.hasPrefix("note: ") }.count
        <= (outcome.signalled ? 0 : 1))
    // What was to be kept is kept, and no temporary file is left.
    #expect(try folder.read("p.csv").split(separator: "\n").count == 40_003)
    #expect(folder.names == ["m.safetensors", "p.csv", "t.csv"])
  }
}
