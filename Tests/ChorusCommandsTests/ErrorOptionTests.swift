import ChorusHints
import ChorusTensors
import Foundation
import Testing

/// `--error`, as a person calls it.
@Suite("--error", .enabled(if: executable != nil, Comment(rawValue: skipped)))
struct ErrorOptionTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel("s.safetensors") {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
    }
    var stream = RandomStream(seed: 3)
    var lines = ["t,level,sd,zero,who"]
    for who in ["a", "b"] {
      for row in 0..<24 {
        let error = row % 4 == 1 ? 20.0 : 0.1
        let value = 5 + sin(Double(row) / 3) + error * stream.normal()
        lines.append("\(row),\(row < 20 ? "\(value)" : ""),\(row < 20 ? "\(error)" : ""),0,\(who)")
      }
    }
    try folder.write("both.csv", lines.joined(separator: "\n") + "\n")
    try folder.write("a.csv", lines.prefix(25).joined(separator: "\n") + "\n")
  }

  private func ask(_ command: String, _ file: String = "a.csv", _ more: String...) throws -> Outcome {
    try folder.chorus(
      [command, file, "--input", "t", "--target", "level", "--model", "s.safetensors"] + more)
  }

  @Test("Known errors narrow a forecast; errors of 0 change no byte; a group has the numbers of its own file")
  func predict() throws {
    let with = try ask("predict", "a.csv", "--error", "sd")
    let without = try ask("predict")
    #expect(with.code == 0 && without.code == 0, "\(with.errors)\(without.errors)")
    #expect(with.errors.contains("errors of 20 rows are known (0.1 to 20, half of them up to 0.1)"))
    func width(_ outcome: Outcome) -> Double {
      outcome.rows.dropFirst().reduce(0) { $0 + (Double($1[4]) ?? .nan) - (Double($1[2]) ?? .nan) }
    }
    #expect(width(with) < 0.5 * width(without), "\(width(with)) \(width(without))")
    #expect(try ask("predict", "a.csv", "--error", "zero").output == without.output)
    let groups = try ask("predict", "both.csv", "--error", "sd", "--group", "who")
    #expect(groups.code == 0, "\(groups.errors)")
    #expect(
      groups.output.split(separator: "\n").filter { $0.hasPrefix("a,") }.map { $0.dropFirst(2) }
        == with.output.split(separator: "\n").dropFirst().map { Substring($0) })
    let pinned = try ask("predict", "a.csv", "--error", "sd", "--given", "21=9")
    #expect(pinned.code == 0 && pinned.output != with.output, "\(pinned.errors)")
  }

  @Test("A kept context has them")
  func kept() throws {
    let kept = try ask("condition", "a.csv", "--error", "sd", "--output", "c.safetensors")
    #expect(kept.code == 0, "\(kept.errors)")
    let later = try folder.chorus(
      "predict", "--context", "c.safetensors", "--model", "s.safetensors", "--at", "20..23/1")
    #expect(try later.output == ask("predict", "a.csv", "--error", "sd").output, "\(later.errors)")
    let more = try folder.chorus(
      "condition", "a.csv", "--append", "c.safetensors", "--model", "s.safetensors", "--output",
      "d.safetensors")
    #expect(more.code == 65 && more.errors.contains("condition on all rows anew"), "\(more.errors)")
  }

  @Test("Held-out values are scored as they are measured")
  func score() throws {
    let outcome = try ask(
      "score", "a.csv", "--error", "sd", "--last", "4", "--repetitions", "3", "--orders", "1")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("held-out values have errors of their own"))
    let columns = outcome.rows[0]
    let all = try #require(outcome.rows.last)
    func cell(_ name: String) -> String { columns.firstIndex(of: name).map { all[$0] } ?? "none" }
    #expect(cell("buffer").isEmpty && Double(cell("independent")) != nil && Double(cell("crps")) != nil)
    let report = try ask("report", "a.csv", "--error", "sd", "--output", "r.html")
    #expect(report.code == 0, "\(report.errors)")
    #expect(try folder.read("r.html").contains("as independent values; more is better"))
  }

  @Test("What is no error, or cannot be taken, is refused with its place")
  func refusals() throws {
    for (cell, code, words) in [
      ("-0.1", 65, "bad.csv:4: -0.1 is no error (column 'sd')"),
      ("", 65, "bad.csv:4: no value (column 'sd')"),
      ("abc", 65, "bad.csv:4:5: 'abc' is not a number"), ("inf", 65, "bad.csv:4:5: 'inf' is not finite"),
    ] {
      let rows = (0..<12).map { "\($0),\($0 % 3),\($0 == 2 ? cell : "0.5")\n" }
      try folder.write("bad.csv", "t,level,sd\n" + rows.joined() + "12,,\n")
      let outcome = try ask("predict", "bad.csv", "--error", "sd")
      #expect(outcome.code == code && outcome.errors.contains(words), "\(outcome.errors)")
    }
    try folder.write("few.csv", "t,level,sd\n0,1,1\n1,2,1\n2,1,1\n3,,\n")
    let plain = ["--input", "t", "--target", "level", "--error", "sd"]
    for (file, words, more) in [
      ("few.csv", "at least 8 are needed where errors are known", plain),
      ("a.csv", "'level' is asked for twice", ["--input", "t", "--target", "level", "--error", "level"]),
      ("a.csv", "--error goes along one input column", ["--input", "t,zero"] + plain.dropFirst(2)),
      ("a.csv", "--error goes with a series", plain + ["--as", "who=category"]),
      ("a.csv", "--context has its own rows", plain + ["--context", "c.safetensors"]),
      ("a.csv", "'a' is not a number", ["--input", "t", "--target", "who", "--error", "sd"]),
    ] {
      let outcome = try folder.chorus(["predict", file, "--model", "s.safetensors"] + more)
      #expect(
        outcome.code != 0 && outcome.output.isEmpty && outcome.errors.contains(words), "\(outcome.errors)")
    }
    let score = try ask("score", "a.csv", "--error", "sd", "--last", "4", "--min", "0")
    #expect(score.code == 64 && score.errors.contains("--min is of values without their errors"))
  }
}
