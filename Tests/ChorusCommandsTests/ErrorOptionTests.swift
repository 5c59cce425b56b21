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

  /// Rows of a table of which every other one has a large error.
  private func wood() throws -> Folder {
    let folder = try Folder()
    try folder.writeModel("t.safetensors") {
      $0.family = .table
      $0.parts.coordinates = TableExperts.coordinates
      $0.width = 32
      $0.inputDimensions = TableExperts.width
      $0.head = .mixture(components: 10, around: 8, units: TableExperts.count)
    }
    var stream = RandomStream(seed: 21)
    var lines = ["kind,size,price,sd,zero"]
    for row in 0..<44 {
      let (kind, size) = (["oak", "ash"][stream.below(2)], stream.uniform(in: 1...9))
      let error = row % 2 == 0 ? 0.5 : 40
      let price = 10 * size + (kind == "oak" ? 20 : 0) + error * stream.normal()
      lines.append("\(kind),\(size),\(row < 36 ? "\(price),\(error)" : ","),0")
    }
    try folder.write("wood.csv", lines.joined(separator: "\n") + "\n")
    return folder
  }

  @Test("A table is read with them, kept with them and scored as it is measured")
  func tables() throws {
    let folder = try wood()
    func ask(_ command: String, _ more: String...) throws -> Outcome {
      try folder.chorus([command, "wood.csv", "--target", "price", "--model", "t.safetensors"] + more)
    }
    let with = try ask("predict", "--input", "kind,size", "--error", "sd")
    let without = try ask("predict", "--input", "kind,size")
    #expect(with.code == 0 && without.code == 0, "\(with.errors)\(without.errors)")
    func width(_ outcome: Outcome) -> Double {
      outcome.rows.dropFirst().reduce(0) { $0 + (Double($1[3]) ?? .nan) - (Double($1[2]) ?? .nan) }
    }
    #expect(width(with) < 0.7 * width(without), "\(width(with)) \(width(without))")
    let zero = try ask("predict", "--input", "kind,size", "--error", "zero")
    #expect(zero.output == without.output && zero.errors.contains("all errors of 'zero' are 0"))
    // Without names the errors are none of the inputs.
    let found = try ask("predict", "--error", "sd", "--as", "zero=skip")
    #expect(
      found.output == with.output && found.errors.contains("by 2 columns: kind, size"), "\(found.errors)")
    let kept = try ask("condition", "--input", "kind,size", "--error", "sd", "--output", "c.safetensors")
    #expect(kept.code == 0, "\(kept.errors)")
    let lines = try folder.read("wood.csv").split(separator: "\n")
    try folder.write("new.csv", ([lines[0]] + lines[37...]).joined(separator: "\n") + "\n")
    try folder.write("old.csv", lines[..<37].joined(separator: "\n") + "\n")
    let later = try folder.chorus(
      "predict", "--context", "c.safetensors", "--model", "t.safetensors", "--at-file", "new.csv")
    let direct = try folder.chorus(
      "predict", "wood.csv", "--target", "price", "--model", "t.safetensors", "--input", "kind,size",
      "--error",
      "sd", "--at-file", "new.csv")
    #expect(later.code == 0 && later.output == direct.output, "\(later.errors)\(direct.errors)")
    let score = try ask("score", "--input", "kind,size", "--error", "sd", "--folds", "3", "--orders", "1")
    #expect(
      score.code == 0 && score.errors.contains("held-out values have errors of their own"), "\(score.errors)")
    let columns = score.rows[0]
    let all = try #require(score.rows.last)
    func cell(_ name: String) -> Double? { columns.firstIndex(of: name).flatMap { Double(all[$0]) } }
    #expect(cell("buffer") == nil && cell("independent") != nil)
    let coverage = try #require(cell("coverage_90"))
    #expect(coverage > 0.6)
    let report = try ask("report", "--input", "kind,size", "--error", "sd", "--output", "r.html")
    #expect(report.code == 0, "\(report.errors)")
  }

  @Test("What is no error of a table's rows is refused with its place")
  func refusalsOfTables() throws {
    let folder = try wood()
    let plain = ["--target", "price", "--input", "kind,size", "--error", "sd"]
    for (cell, words) in [
      ("-0.1", "bad.csv:4: -0.1 is no error (column 'sd')"), ("", "bad.csv:4: no value (column 'sd')"),
      ("abc", "bad.csv:4:9: 'abc' is not a number"),
    ] {
      let rows = (0..<12).map { "oak,\($0),\($0 % 3),\($0 == 2 ? cell : "0.5")\n" }
      try folder.write("bad.csv", "kind,size,price,sd\n" + rows.joined() + "ash,12,,\n")
      let outcome = try folder.chorus(["predict", "bad.csv", "--model", "t.safetensors"] + plain)
      #expect(outcome.code == 65 && outcome.errors.contains(words), "\(outcome.errors)")
    }
    for (words, more) in [
      ("'kind' is none", ["--target", "kind", "--error", "sd"]),
      ("--error is of one target", ["--target", "price,size", "--error", "sd"]),
      ("it can be nothing else", ["--target", "price", "--input", "size,sd", "--error", "sd"]),
      ("has no column 'e'", ["--target", "price", "--error", "e"]),
    ] {
      let outcome = try folder.chorus(["predict", "wood.csv", "--model", "t.safetensors"] + more)
      #expect(outcome.code != 0 && outcome.errors.contains(words), "\(outcome.errors)")
    }
    // Rows of a second file that have targets need errors as well.
    try folder.write("more.csv", "kind,size,price\noak,3,\noak,4,55\n")
    let more = try folder.chorus(
      ["predict", "wood.csv", "--model", "t.safetensors", "--at-file", "more.csv"] + plain)
    #expect(more.code != 0 && more.errors.contains("'sd'"), "\(more.errors)")
  }
}
