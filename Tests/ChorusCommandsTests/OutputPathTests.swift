import Foundation
import Testing

@testable import ChorusCommands

/// Files that would be lost, mixed up or misnamed are refused before anything is read; what they hold is never in danger.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct OutputPathTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try folder.writeTable()
  }

  private static let rows = ["t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors"]

  private func refused(
    _ arguments: [String], _ words: String, input: String? = nil, location: SourceLocation = #_sourceLocation
  ) throws {
    func contents() throws -> [String: Data] {
      try Dictionary(uniqueKeysWithValues: folder.names.map { ($0, try folder.bytes($0)) })
    }
    let before = try contents()
    let outcome = try folder.start(arguments, input: input).1()
    let what = Comment(rawValue: "\(arguments): \(outcome.code) \(outcome.errors)")
    #expect(outcome.code == 64 && outcome.output.isEmpty, what, sourceLocation: location)
    #expect(outcome.errors.contains(words), what, sourceLocation: location)
    #expect(try contents() == before, what, sourceLocation: location)
  }

  @Test func anOutputThatIsAnInput() throws {
    try FileManager.default.createSymbolicLink(
      atPath: folder.path + "/link.csv", withDestinationPath: "t.csv")
    try FileManager.default.linkItem(atPath: folder.path + "/t.csv", toPath: folder.path + "/hard.csv")
    for path in ["t.csv", "./t.csv", "link.csv", "hard.csv", folder.path + "/t.csv"] {
      for command in ["predict", "score"] {
        try refused([command] + Self.rows + ["--output", path], "is read as FILE")
      }
      try refused(
        ["predict", "hard.csv"] + Self.rows.dropFirst() + ["--at-file", "hard.csv", "--output", path],
        "is read as")
    }
    try folder.write("t.html", folder.read("t.csv"))
    try refused(["report", "t.html"] + Self.rows.dropFirst() + ["--output", "t.html"], "is read as FILE")
    try refused(["predict", "t.html"] + Self.rows.dropFirst() + ["--plot", "t.html"], "is read as FILE")
    try refused(
      ["score", "t.html"] + Self.rows.dropFirst() + ["--calibration", "t.html"], "is read as FILE")
    for command in [["export", "m.safetensors"], ["condition"] + Self.rows] {
      try refused(command + ["--output", "./m.safetensors"], "is read as the model")
    }
    #expect(
      try folder.start(["condition"] + Self.rows + ["--output", "c.safetensors"]).1().code == 0)
    try refused(
      ["predict", "--context", "c.safetensors", "--at", "0..1/1", "--output", "c.safetensors"],
      "is read as --context")
    try folder.write("c.json", tinyConfiguration)
    try refused(
      ["train", "c.json", "--out", ".", "--start", "model.safetensors"], "is read as --start")
  }

  @Test func anOutputThatIsAnother() throws {
    try refused(["predict"] + Self.rows + ["--output", "a", "--plot", "a"], "must end in .svg or .html")
    let same = try folder.shell(
      "\"$CHORUS\" predict t.csv --input t --target level --model m.safetensors --output s.csv >s.csv")
    #expect(same.code == 64 && same.errors.contains("'s.csv' is where stdout goes"))
    let input = try folder.shell(
      "\"$CHORUS\" predict - --input t --target level --model m.safetensors --output t.csv <t.csv")
    #expect(input.code == 64 && input.errors.contains("is read as FILE"))
    #expect(try folder.read("t.csv").hasPrefix("t,level\n"))
  }

  @Test func anOutputWithoutAName() throws {
    for option in ["--output", "--plot"] {
      try refused(
        ["predict"] + Self.rows + [option, ""], option == "--plot" ? "must end in" : "path is empty")
    }
    try refused(["score"] + Self.rows + ["--output", ""], "path is empty")
    try refused(["condition"] + Self.rows + ["--output", ""], "path is empty")
    try refused(["export", "m.safetensors", "--output", ""], "path is empty")
    try refused(["report"] + Self.rows + ["--output", ""], "must end in .html")
    try refused(["train", "gp", "--out", ""], "path is empty")
    try refused(["memories", "compare", "--prior", "gp", "--out", ""], "path is empty")
    try refused(["bench", "--scaling", ""], "path is empty")
  }

  @Test func anOutputWithTheNameOfSomethingElse() throws {
    for name in ["p.parquet", "p.csv.gz", "p.npy", "p.xlsx", "p.json", "p.tsv"] {
      for command in ["predict", "score"] {
        try refused([command] + Self.rows + ["--output", name], "must end in .csv or .jsonl")
      }
      try refused(["condition"] + Self.rows + ["--output", name], "must end in .safetensors")
      try refused(["export", "m.safetensors", "--output", name], "must end in .safetensors")
    }
    for (name, start) in [("P.CSV", "path,"), ("p.ndjson", "{"), ("p.JSONL", "{"), ("p", "path,")] {
      #expect(try folder.start(["predict"] + Self.rows + ["--output", name]).1().code == 0)
      #expect(try folder.read(name).hasPrefix(start))
    }
  }

  @Test func everyFileThatIsReplacedKeepsItsPermissions() throws {
    let commands: [(String, [String])] = [
      ("p.csv", ["predict"] + Self.rows + ["--output"]), ("p.svg", ["predict"] + Self.rows + ["--plot"]),
      ("v.csv", ["score"] + Self.rows + ["--output"]), ("r.html", ["report"] + Self.rows + ["--output"]),
      ("c.safetensors", ["condition"] + Self.rows + ["--output"]),
      ("e.safetensors", ["export", "m.safetensors", "--output"]),
    ]
    for (name, command) in commands {
      try folder.write(name, "old")
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o600], ofItemAtPath: folder.path + "/" + name)
      let outcome = try folder.start(command + [name]).1()
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(try folder.bytes(name) != Data("old".utf8))
      let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)[
        .posixPermissions]
      #expect(mode as? Int == 0o600, "\(name)")
    }
    #expect(!folder.names.contains { $0.hasPrefix(".") })
  }

  // MARK: Words

  @Test func nothingThatIsQuotedIsActedOn() throws {
    let evil = "a\u{1B}[2J\r\nerror: b\u{7}\u{9B}0m"
    let seen = #"a\u{1B}[2J\r\nerror: b\u{7}\u{9B}0m"#
    let rows = (0..<6).map { "\($0),\($0 % 3),\"\(evil)\"\n" }.joined()
    let table = "\"\(evil)\",level,who\n" + rows + "6,,\"\(evil)\"\n7,1,lone\n8,,lone\n"
    try folder.write("e.csv", table)
    try folder.write(evil + ".csv", "t,level\n0,\"\(evil)\"\n")
    try folder.write("c.json", String(decoding: JSONEncoder().encode([evil: 1]), as: UTF8.self))
    let model = ["--model", "m.safetensors"]
    let runs: [([String], Int32)] = [
      (["predict", "e.csv", "--input", "t", "--target", "level"] + model, 65),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--show"] + model, 0),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--group", "who"] + model, 0),
      (["predict", "e.csv", "--input", evil, "--target", "who"] + model, 65),
      (["predict", evil + ".csv", "--input", "t", "--target", "level"] + model, 65),
      (["predict", evil, "--input", "t", "--target", "level"] + model, 66),
      (["predict", "--context", evil, "--at", "0..1/1"], 66), (["info", evil], 66), ([evil], 64),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--format", evil], 64),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--format=" + evil], 64),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--plan", evil], 64),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--at", evil] + model, 64),
      (["predict", "e.csv", "--input", evil, "--target", "level", "--units", evil] + model, 64),
      (["condition", "e.csv", "--input", evil, "--target", "level", "--output", evil + ".csv"], 64),
      (["train", "gp", "--out", "x", "--memory", evil], 64), (["train", "c.json", "--out", "x"], 64),
    ]
    for (arguments, code) in runs {
      let outcome = try folder.start(arguments).1()
      #expect(outcome.code == code && !outcome.signalled, "\(arguments): \(outcome.code) \(outcome.errors)")
      #expect(
        outcome.errors.unicodeScalars.allSatisfy {
          $0 == "\n" || $0.properties.generalCategory != .control
        }, "\(outcome.errors)")
      #expect(
        !outcome.errors.split(separator: "\n").contains { $0.hasPrefix("error: b") }, "\(outcome.errors)")
      let quotes = outcome.errors.contains(seen) || outcome.errors.contains(#"\u{1B}[2J"#)
      #expect(code == 0 || quotes, "\(arguments): \(outcome.errors)")
    }
  }

  @Test func whatBeginsWithADashAndADigitIsAValue() throws {
    func joined(_ arguments: String...) -> [String] { Chorus.joiningNegatives(arguments) }
    #expect(joined("predict", "--at", "-20..-10/5", "-q") == ["predict", "--at=-20..-10/5", "-q"])
    #expect(joined("--at", "-.5..1/1") == ["--at=-.5..1/1"])
    #expect(joined("--at=-1", "-2") == ["--at=-1", "-2"])
    #expect(joined("--quiet", "--at") == ["--quiet", "--at"] && joined("-1") == ["-1"])
    #expect(joined("x", "--", "--at", "-1") == ["x", "--", "--at", "-1"])
    let outcome = try folder.start(["predict"] + Self.rows + ["--at", "-20..-10/5"]).1()
    #expect(outcome.code == 0 && outcome.rows.map { $0[0] } == ["t", "-20", "-15", "-10"])
    try refused(["predict"] + Self.rows + ["--seed", "-1"], "The value '-1' is invalid for '--seed")
  }
}

/// Many series take the memory of some.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ManyGroupsTests {
  @Test func groupsAreAnsweredAsTheyCome() throws {
    let folder = try Folder()
    try folder.writeModel()
    let groups = 3000
    try folder.write(
      "g.csv", "g,x,y\n" + (0..<groups).map { "k\($0),0,1\nk\($0),1,\($0 % 7)\nk\($0),2,\n" }.joined())
    // Held all at once the paths alone are 3000 · 2000 · 8 bytes and as much again of overhead.
    let outcome = try folder.shell(
      "ulimit -v 400000; \"$CHORUS\" predict g.csv --group g --input x --target y --model m.safetensors"
        + " --samples 2000 --threads 2 --plan independent --quiet")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows.count == groups + 1)
    #expect(outcome.rows.dropFirst().enumerated().allSatisfy { $1[0] == "k\($0)" })
  }
}
