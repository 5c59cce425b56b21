import ChorusStorage
import Foundation
import Testing

/// Series of one file, several targets, and contexts that are kept.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct SeriesTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try folder.writeTable()
    // Series a and "b,c" in turn, one row of d, none observed of e, one row without a name.
    var rows = (0..<10).map { "\($0 % 2 == 0 ? "a" : "\"b,c\""),\($0),\($0 * 3 % 7),\($0 % 4)" }
    rows += ["a,10,,1", "\"b,c\",11,,", "d,1,5,2", "d,2,,3", "e,1,,", ",3,4,5"]
    try folder.write("g.csv", "who,t,level,other\n" + rows.joined(separator: "\n") + "\n")
  }

  private func predict(_ arguments: String...) throws -> Outcome {
    try folder.start(["predict"] + arguments + ["--model", "m.safetensors"]).1()
  }

  @Test func groups() throws {
    let base = ["g.csv", "--input", "t", "--target", "level", "--group", "who"]
    let outcome = try folder.start(
      ["predict"] + base + ["--model", "m.safetensors", "--output", "p.csv", "--threads", "1"]
    ).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n").map(String.init)
    #expect(lines[0] == "who,t,q0.5,q0.05,q0.95,mean,outside,note")
    #expect(lines.count == 5 && lines[1].hasPrefix("a,10,") && lines[2].hasPrefix("\"b,c\",11,"))
    #expect(
      lines[3] == "d,2,,,,,,\"not predicted: 1 rows have both t and level; at least 2 are needed\"")
    #expect(lines[4].hasPrefix("e,1,,,,,,\"not predicted: 0 rows"))
    #expect(outcome.errors.contains("note: 1 rows have no value of 'who' and were left out"))
    #expect(outcome.errors.contains("note: group 'd': not predicted: 1 rows"))
    // Each series is as if it were alone in the file.
    try folder.write(
      "a.csv", "t,level\n" + (0..<5).map { "\($0 * 2),\($0 * 6 % 7)\n" }.joined() + "10,\n")
    let alone = try predict("a.csv", "--input", "t", "--target", "level")
    #expect(lines[1] == "a," + alone.output.split(separator: "\n")[1])
    let paths = try folder.read("p.csv")
    #expect(paths.hasPrefix("who,path,row,t,level\na,0,0,10,") && paths.split(separator: "\n").count == 201)
    for threads in ["2", "3", "8"] {
      let again = try folder.start(
        ["predict"] + base + ["--model", "m.safetensors", "--output", "q.csv", "--threads", threads]
      ).1()
      #expect(again.output == outcome.output)
      #expect(try folder.read("q.csv") == paths)
    }
    let grid = try predict(
      "g.csv", "--input", "t", "--target", "level", "--group", "who", "--at", "0..1/1", "--functional", "sum")
    #expect(grid.output.hasPrefix("who,functional,draws,paths,"))
    #expect(grid.rows.count == 9 && grid.output.contains("\nd,sum,joint,0,,,"))
  }

  /// Parts of the series, one after another, are the bytes of all at once.
  @Test(arguments: [1, 2, 3, 7]) func shards(count: Int) throws {
    let base = ["g.csv", "--input", "t", "--target", "level,other", "--group", "who", "--at", "0..1/1"]
    func predict(_ more: [String], _ paths: String) throws -> (rows: String, paths: String) {
      let outcome = try folder.start(
        ["predict"] + base + more + ["--model", "m.safetensors", "--samples", "5", "--output", paths]
      ).1()
      #expect(outcome.code == 0, "\(outcome.errors)")
      return (outcome.output, try folder.read(paths))
    }
    func body(_ text: String) -> Substring {
      text[(text.firstIndex(of: "\n").map(text.index(after:)) ?? text.endIndex)...]
    }
    let whole = try predict([], "whole.csv")
    var (rows, paths) = ("", "")
    for index in 1...count {
      let part = try predict(["--shard", "\(index)/\(count)"], "part.csv")
      rows += body(part.rows)
      paths += body(part.paths)
    }
    #expect(rows == body(whole.rows) && paths == body(whole.paths))
    for wrong in ["0/2", "3/2", "1", "a/b", "1/0"] {
      #expect(try folder.start(["predict"] + base + ["--shard", wrong]).1().code == 64)
    }
  }

  @Test func severalTargets() throws {
    let outcome = try predict("g.csv", "--input", "t", "--target", "level,other", "--output", "p.csv")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows[0][0...2] == ["target", "t", "q0.5"])
    #expect(
      outcome.rows.dropFirst().map { $0[0] + " " + $0[1] } == [
        "level 10", "level 11", "level 2", "level 1", "other 11", "other 1",
      ])
    #expect(try folder.read("p.csv").hasPrefix("target,path,row,t,value\nlevel,0,0,10,"))
    let alone = try predict("g.csv", "--input", "t", "--target", "other")
    #expect(
      outcome.output.split(separator: "\n").suffix(2)
        == alone.output.split(separator: "\n").suffix(2).map {
          "other," + $0
        })
    try folder.write("comma.csv", "t,\"level, m\"\n0,1\n1,2\n2,1\n3,\n")
    #expect(try predict("comma.csv", "--input", "t", "--target", "level, m").rows.count == 2)
    let both = try predict(
      "g.csv", "--input", "t", "--target", "level,other", "--group", "who", "--format", "jsonl")
    let first = try #require(both.output.split(separator: "\n").first)
    #expect(first.hasPrefix("{\"who\":\"a\",\"target\":\"level\",\"t\":10,"))
  }

  @Test func badSeries() throws {
    func refused(
      _ code: Int32, _ part: String, _ arguments: [String], location: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try folder.start(["predict"] + arguments + ["--model", "m.safetensors"]).1()
      let what = Comment(rawValue: "\(arguments): \(outcome.code) \(outcome.errors)")
      #expect(outcome.code == code && outcome.errors.contains(part), what, sourceLocation: location)
      #expect(outcome.output.isEmpty && !outcome.signalled, what, sourceLocation: location)
    }
    let level = ["g.csv", "--input", "t", "--target", "level"]
    try refused(
      65, "has no column 'whom'; it has: who, t, level, other. Did you mean 'who'?",
      level + ["--group", "whom"])
    try refused(65, "'t' is asked for twice", level + ["--group", "t"])
    try refused(65, "'level' is asked for twice", ["g.csv", "--input", "t", "--target", "level,level"])
    try refused(65, "has no column ''", ["g.csv", "--input", "t", "--target", "level,"])
    try refused(
      65, "'a' is not a number or a date (column 'who')", ["g.csv", "--input", "t", "--target", "level,who"])
    try refused(
      65, "taken into account along one input column by model 'functions'; leave them out",
      level + ["--error", "other"])
    try folder.write("few.csv", "who,t,level\na,1,2\na,2,\nb,1,\n")
    try refused(
      65, "no group has enough rows; group 'a': 1 rows have both",
      ["few.csv", "--input", "t", "--target", "level", "--group", "who"])
    try folder.write("none.csv", "who,t,level\na,1,2\na,2,3\nb,1,2\n")
    try refused(
      65, "nothing to predict; pass --horizon STEPS, --at",
      ["none.csv", "--input", "t", "--target", "level", "--group", "who"])
    try folder.write("empty.csv", "who,t,level\n,1,2\n ,2,3\n,3,\n")
    try refused(
      65, "column 'who' is empty", ["empty.csv", "--input", "t", "--target", "level", "--group", "who"])
    try folder.write("mean.csv", "mean,t,level\na,1,2\na,2,3\na,3,\n")
    let named = try folder.chorus(
      [
        "predict", "mean.csv", "--model", "m.safetensors", "--input", "t", "--target", "level", "--group",
        "mean",
      ])
    #expect(
      named.rows[0].prefix(6) == ["mean", "t", "q0.5", "q0.05", "q0.95", "_mean"]
        && named.errors.contains("is called '_mean'"))
    // Numbers so large that answers leave the finite ones, in one series of two.
    try folder.write("huge.csv", "who,t,level\na,1,2\na,2,3\na,3,\nb,1,1.7e308\nb,2,-1.7e308\nb,3,\n")
    try refused(
      65, "not finite", ["huge.csv", "--input", "t", "--target", "level", "--group", "who"])
  }

  @Test func aContextAnswersAsItsFile() throws {
    let days = (1...9).map { "2020-03-0\($0),\($0 * $0 % 7)" }
    try folder.write("d.csv", "day (d),level\n" + days.joined(separator: "\n") + "\n")
    let columns = ["d.csv", "--input", "day (d)", "--target", "level", "--model", "m.safetensors"]
    let made = try folder.start(
      ["condition"] + columns + ["--output", "c.safetensors", "--units", "level=m"]
    ).1()
    #expect(made.code == 0 && made.output.isEmpty, "\(made.errors)")
    #expect(made.errors.contains("9 rows kept in c.safetensors; it reveals them"))
    for more in [["--at", "2020-03-08..2020-03-12/1d"], ["--at", "2020-03-08", "--functional", "sum"]] {
      let kept = try folder.start(
        ["predict", "--context", "c.safetensors", "--model", "m.safetensors"] + more
      ).1()
      let fresh = try folder.start(["predict"] + columns + more).1()
      #expect(kept.code == 0 && kept.output == fresh.output, "\(kept.errors)")
    }
    let picture = try folder.chorus(
      "predict", "--context", "c.safetensors", "--model", "m.safetensors", "--at",
      "2020-03-08..2020-03-12/1d",
      "--plot", "p.svg")
    #expect(picture.code == 0)
    let drawn = try folder.read("p.svg")
    #expect(drawn.contains("9 rows of c.safetensors") && drawn.contains("level (m)"))
    #expect(try folder.chorus("condition", "--help").output.contains("reveals the data"))
  }

  @Test func badContexts() throws {
    let columns = ["t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors"]
    #expect(
      try folder.start(["condition"] + columns + ["--output", "c.safetensors", "-q"]).1().errors.isEmpty)
    try folder.writeModel("two.safetensors") { $0.layers = 2 }
    func refused(
      _ code: Int32, _ part: String, _ arguments: String..., location: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try folder.start(["predict"] + arguments).1()
      let what = Comment(rawValue: "\(arguments): \(outcome.code) \(outcome.errors)")
      #expect(outcome.code == code && outcome.errors.contains(part), what, sourceLocation: location)
      #expect(outcome.output.isEmpty && !outcome.signalled, what, sourceLocation: location)
    }
    let (context, model) = ("--context", "--model")
    try refused(
      65, "encoded by model 'm'", context, "c.safetensors", model, "two.safetensors", "--at", "0..1/1")
    try refused(66, "needs model 'm'", context, "c.safetensors", "--at", "0..1/1")
    try refused(
      66, "which is not one that comes with Chorus; give the model's file with --model (fingerprint ",
      context, "c.safetensors", "--at", "0..1/1")
    // A bare name is no path either, though a file is there.
    try FileManager.default.copyItem(at: folder.url("m.safetensors"), to: folder.url("m"))
    try refused(66, "needs model 'm'", context, "c.safetensors", "--at", "0..1/1")
    try refused(66, "no such file", context, "nosuch.safetensors", "--at", "0..1/1")
    try refused(74, "is a device", context, "/dev/zero", "--at", "0..1/1")
    try refused(65, "is no saved context", context, "m.safetensors", "--at", "0..1/1")
    try refused(65, "not a safetensors file", context, "t.csv", "--at", "0..1/1")
    try refused(64, "give --horizon STEPS, --at", context, "c.safetensors", model, "m.safetensors")
    try refused(64, "leave out FILE", "t.csv", context, "c.safetensors", "--at", "0..1/1")
    try refused(64, "leave out --target", context, "c.safetensors", "--target", "level", "--at", "0..1/1")
    try refused(64, "--units are given when", context, "c.safetensors", "--units", "t=s", "--at", "0..1/1")
    try refused(
      64, "holds numbers and the grid dates", context, "c.safetensors", model, "m.safetensors", "--at",
      "2020-01-01")
    // A context that a stranger made, with a good checksum: no path in it is opened.
    try Data("{\"hunter2\": \"hunter2\"}".utf8).write(to: folder.url("secret"))
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    let content = try Safetensors(path: folder.path + "/c.safetensors")
    for path in ["/dev/zero", "./pipe", folder.path + "/secret", "../secret", "m.safetensors"] {
      var metadata = content.metadata
      metadata["context"] = metadata["context"]?.replacingOccurrences(
        of: "\"model\":\"m\"", with: "\"model\":\"\(path)\"")
      var writer = SafetensorsWriter(metadata: metadata)
      for tensor in content.tensors {
        try writer.add(
          tensor.name, shape: tensor.shape, floats: content.floats(tensor.name, shape: tensor.shape))
      }
      try writer.write(to: folder.path + "/forged.safetensors")
      try refused(
        66, "names the path of its model, and a path is taken from --model alone", context,
        "forged.safetensors",
        "--at", "0..1/1")
      let asked = try folder.chorus(
        "predict", context, "forged.safetensors", model, "m.safetensors", "--at", "0..1/1")
      #expect(asked.code == 0, "\(asked.errors)")
    }
    try refused(64, "Missing expected argument '<file>'", "--at", "0..1/1")
    let whole = try folder.bytes("c.safetensors")
    for place in [9, 200, whole.count / 2, whole.count - 3] {
      var flipped = whole
      flipped[flipped.startIndex + place] ^= 4
      try flipped.write(to: folder.url("x.safetensors"))
      try refused(65, "x.safetensors: ", context, "x.safetensors", model, "m.safetensors", "--at", "0..1/1")
    }
    func condition(_ code: Int32, _ part: String, _ output: String, _ file: String = "t.csv") throws {
      let outcome = try folder.chorus(
        "condition", file, "--input", "t", "--target", "level", "--model", "m.safetensors", "--output", output
      )
      #expect(outcome.code == code && outcome.errors.contains(part), "\(outcome.errors)")
    }
    try condition(74, "can not be made", "nosuch/c.safetensors")
    try condition(64, "--output needs a file", "-")
    try folder.write("one.csv", "t,level\n1,2\n2,\n")
    try condition(65, "1 rows have both", "y.safetensors", "one.csv")
    #expect(!folder.names.contains("y.safetensors"))
  }

  @Test func outside() throws {
    let source = try folder.chorus(
      "export", "m.safetensors", "--output", "r.safetensors", "--card", "input_reach=2", "-q")
    #expect(source.code == 0)
    let outcome = try folder.chorus(
      "predict", "t.csv", "--input", "t", "--target", "level", "--model", "r.safetensors", "--at", "0..90/30")
    #expect(outcome.rows.map { $0[5] } == ["outside", "", "inputs", "inputs", "inputs"])
    #expect(
      outcome.errors
        == "note: 3 points lie farther from the observed rows than training went\n"
    )
    try folder.writeModel("short.safetensors") { ($0.trainedContext, $0.trainedBuffer) = (8, 2) }
    let long = try folder.chorus(
      "predict", "t.csv", "--input", "t", "--target", "level", "--model", "short.safetensors", "--at",
      "0..3/1")
    #expect(long.rows[1][5] == "\"context;reads\"")
  }
}
