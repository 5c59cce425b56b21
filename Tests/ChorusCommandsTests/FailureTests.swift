import Foundation
import Testing

/// Every failure: one clear line on stderr, its exit code, nothing on stdout, no file written.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct FailureTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try folder.writeTable()
  }

  private func check(
    _ code: Int32, _ part: String, _ arguments: [String], input: String? = nil,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let before = folder.names
    let outcome = try folder.start(arguments, input: input).1()
    let what = Comment(rawValue: "\(arguments): \(outcome.code) \(outcome.errors)")
    #expect(outcome.code == code && !outcome.signalled, what, sourceLocation: location)
    #expect(outcome.output.isEmpty, what, sourceLocation: location)
    #expect(outcome.errors.contains(part), what, sourceLocation: location)
    let lines = outcome.errors.split(separator: "\n")
    if lines.first?.hasPrefix("Error: ") == true {  // ArgumentParser's, with the usage after it
      #expect(code == 64 && lines.count > 1, what, sourceLocation: location)
    } else {
      #expect(lines.count == 1 && outcome.errors.hasPrefix("error: "), what, sourceLocation: location)
    }
    #expect(folder.names == before, what, sourceLocation: location)
  }

  /// A prediction with `--output p.csv`, which must not appear.
  private func refused(
    _ code: Int32, _ part: String, file: String = "t.csv", input: String = "t", target: String = "level",
    model: String = "m.safetensors", _ more: String..., location: SourceLocation = #_sourceLocation
  ) throws {
    try check(
      code, part,
      ["predict", file, "--input", input, "--target", target, "--model", model, "--output", "p.csv"] + more,
      location: location)
  }

  private func table(
    _ code: Int32, _ part: String, _ text: String, _ location: SourceLocation = #_sourceLocation
  ) throws {
    try folder.write("bad.csv", text)
    try refused(code, part, file: "bad.csv", location: location)
  }

  @Test func tables() throws {
    try refused(66, "nosuch.csv: no such file", file: "nosuch.csv")
    try refused(74, "is a folder", file: ".")
    try refused(65, "has no column 'lvel'; it has: t, level. Did you mean 'level'?", target: "lvel")
    try refused(65, "has no column ''", input: "")
    try refused(65, "asked for twice", input: "level")
    try table(65, "bad.csv: is empty", "")
    try table(65, "has a header and no rows", "t,level\n")
    try table(65, "bad.csv:2:3: 'low' is not a number or a date (column 'level')", "t,level\n0,low\n1,high\n")
    try table(65, "0 rows have both t and level", "t,level\n0,\n1,NA\n2,\n")
    try table(65, "1 rows have both t and level", "t,level\n0,1\n1,\n")
    try table(65, "bad.csv:3:3: 'inf' is not finite", "t,level\n0,1\n1,inf\n2,\n")
    try table(65, "bad.csv:3:1: 'NaN' is not finite", "t,level\n0,1\nNaN,1\n2,\n")
    try table(65, "bad.csv:3: expected 2 cells", "t,level\n0,1\n1\n2,\n")
    try table(65, "there is nothing to predict; pass --horizon STEPS, --at", "t,level\n0,1\n1,2\n")
    try table(65, "not finite", "t,level\n0,1.7e308\n1,-1.7e308\n2,\n")
    try folder.write("bytes.csv", "t,level\n0,1\n")
    try Data([0x74, 0x2C, 0xFF, 0xFE, 0x0A]).write(to: folder.url("bytes.csv"))
    try refused(65, "is not UTF-8", file: "bytes.csv")
  }

  @Test func requests() throws {
    try refused(
      64, "'nosuch' is not a plan: no plan is named 'nosuch'; valid forms: independent", "--plan", "nosuch")
    try refused(64, "is not a whole number of at least 1", "--plan", "blocks(of:0)")
    try refused(64, "has 1000000001 points; the limit is 1000000", "--at", "0..1e9/1")
    try refused(64, "'0..1' lacks a step", "--at", "0..1")
    try refused(64, "has 2 grids for 1 input column", "--at", "0..1/1,0..1/1")
    try refused(64, "TFLOP", "--at", "0..20000/1", "--plan", "reencode")
    try refused(64, "TFLOP", "--flop-limit", "1")
    try refused(
      64, "does not fit a 64-bit integer", "--at", "0..999999/1", "--samples", "10000000", "--plan",
      "sequential")
    try refused(64, "ask for fewer targets", "--at", "0..999999/1")
    try refused(64, "--samples must be within", "--samples", "0")
    try refused(64, "--flop-limit must be positive", "--flop-limit", "nan")
    try refused(64, "--threads must be within", "--threads", "0")
    try refused(64, "--quantiles: 'x' is not a number", "--quantiles", "0.5,x")
    try refused(64, "--quantiles: 1.5 is not between", "--quantiles", "1.5")
    try refused(64, "is not a number", "--quantiles", "")
    try refused(64, "--quantiles: 0.5 is named twice", "--quantiles", "0.5,0.9,0.50")
    try refused(64, "is invalid", "--format", "xml")
    try check(64, "Missing expected argument", ["predict", "--input", "t"])
    try check(64, "nosuch", ["nosuch"])
    try refused(65, "in the network's units, too far", "--at", "1e200")
  }

  @Test func outputs() throws {
    func output(_ path: String, _ part: String, location: SourceLocation = #_sourceLocation) throws {
      try check(
        74, part,
        [
          "predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--output",
          path,
        ],
        location: location)
    }
    try output("nosuch/p.csv", "nosuch/p.csv: can not be made: its folder is not there")
    try FileManager.default.createDirectory(atPath: folder.path + "/inner", withIntermediateDirectories: true)
    try output("inner", "inner: is a folder")
    // Names of one character, on which a function of Foundation traps.
    for (name, command) in [
      (
        "p",
        [
          "predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--output",
          "p",
        ]
      ),
      ("e", ["export", "m.safetensors", "--output", "e"]),
    ] {
      let outcome = try folder.start(command).1()
      #expect(outcome.code == 0 && folder.names.contains(name), "\(command): \(outcome.errors)")
    }
    try output("t.csv/p.csv", "t.csv/p.csv: can not be made")
  }

  @Test func weights() throws {
    try refused(66, "nosuch.safetensors: no such file", model: "nosuch.safetensors")
    try refused(66, "no model 'nosuch'; give a path, or one of functions, gp", model: "nosuch")
    try refused(74, "is a folder", model: "./")
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    try refused(74, "pipe: is a pipe, not a regular file", model: "./pipe")
    try refused(74, "/dev/zero: is a device, not a regular file", model: "/dev/zero")
    let whole = try folder.bytes("m.safetensors")
    try whole.prefix(whole.count - 40).write(to: folder.url("cut.safetensors"))
    try refused(65, "cut.safetensors: ", model: "cut.safetensors")
    try whole.prefix(5).write(to: folder.url("stub.safetensors"))
    try refused(65, "stub.safetensors: ", model: "stub.safetensors")
    try Data().write(to: folder.url("none.safetensors"))
    try refused(65, "none.safetensors: ", model: "none.safetensors")
    for place in [9, 700, whole.count - 100] {
      var flipped = whole
      flipped[flipped.startIndex + place] ^= 0x10
      try flipped.write(to: folder.url("flip.safetensors"))
      try refused(65, "flip.safetensors: ", model: "flip.safetensors")
    }
    try folder.write("xy.csv", "x,y,level\n0,0,1\n1,0,2\n0,1,3\n1,1,\n")
    try refused(65, "the data has 2 input columns; this model takes 1 to 1", file: "xy.csv", input: "x,y")
  }

  @Test func evaluation() throws {
    func refused(
      _ code: Int32, _ part: String, _ more: String..., location: SourceLocation = #_sourceLocation
    ) throws {
      try check(
        code, part, ["evaluate", "--model", "m.safetensors", "--functions", "2"] + more, location: location)
    }
    try refused(64, "there is no prior named \"nosuch\"; known are gp,", "--prior", "nosuch")
    try refused(64, "'x' is not a size", "--prior", "gp", "--context", "8,x")
    try refused(64, "--targets must be within", "--prior", "gp", "--targets", "0")
    try refused(64, "--functions must be", "--prior", "gp", "--functions", "0")
    // Sizes that were done are told, whatever comes after.
    let half = try folder.chorus(
      "evaluate", "--model", "m.safetensors", "--functions", "2", "--prior", "gp", "--context", "8,1")
    #expect(half.code == 65 && half.rows.map { $0[0] } == ["context", "8"])
    // A standardising model cannot see one row. The header of the table is held back until there is a row.
    try refused(65, "needs at least 2 observed rows", "--prior", "gp", "--context", "1")
    try refused(65, "rows are asked of an oracle that takes 1024", "--prior", "gp", "--context", "1500")
    try refused(
      65, "2 input columns; this model takes 1 to 1", "--prior", "gp", "--dimensions", "2", "--context", "8")
    try refused(65, "a task cannot have 9000 rows", "--prior", "gp", "--context", "9000")
  }

  @Test func training() throws {
    try folder.write("c.json", tinyConfiguration)
    func refused(
      _ code: Int32, _ part: String, _ arguments: String..., location: SourceLocation = #_sourceLocation
    ) throws {
      try check(code, part, ["train"] + arguments, location: location)
    }
    func configuration(_ part: String, _ text: String, location: SourceLocation = #_sourceLocation) throws {
      try folder.write("bad.json", text)
      try refused(64, part, "bad.json", "--out", "run", location: location)
    }
    try refused(64, "no prior 'nosuch'; give gp, gp-noisy", "nosuch", "--out", "run")
    try refused(66, "nosuch.json: no such file", "nosuch.json", "--out", "run")
    try configuration("bad.json cannot be read: ", "{\"steps\": 10,")
    try configuration("bad.json is no JSON object of settings", "[1]")
    try configuration("bad.json has in 'steps' something that is no Int", "{\"steps\": \"ten\"}")
    try configuration("bad.json cannot be read", "{\"batch\": 1e30}")
    try configuration("inputDimensions is 0", "{\"blueprint\": {\"inputDimensions\": 0}}")
    try configuration("width is -8", "{\"blueprint\": {\"width\": -8}}")
    try configuration(
      "parameters; at most", "{\"blueprint\": {\"width\": 4096, \"layers\": 128, \"heads\": 8}}")
    try configuration("validationTasks must be within", "{\"validationTasks\": -1}")
    try configuration("context must be two sizes", "{\"context\": [8, 4]}")
    try configuration("steps must be within", "{\"steps\": 0}")
    try configuration("draws 1 to", "{\"blueprint\": {\"inputDimensions\": 64}, \"dimensions\": [64]}")
    try configuration("bad.json: unknown field 'stepz'; did you mean 'steps'?", "{\"stepz\": 10}")
    try configuration(
      "blueprint: unknown field 'with'; did you mean 'width'?", "{\"blueprint\": {\"with\": 16}}")
    let spec =
      "\"weights\": \"uniform\", \"features\": \"identity\", \"function\": \"linear\", \"loss\": \"squared\","
      + " \"optimiser\": {\"exact\": {}}, \"readOut\": \"raw\""
    try configuration(
      "blueprint.memories.0.context: unknown field 'wieghts'; did you mean 'weights'?",
      "{\"blueprint\": {\"memories\": [{\"context\": {\(spec), \"wieghts\": \"uniform\"}}]}}")
    try configuration("there is no prior named \"x\"", "{\"prior\": \"x\"}")
    try refused(74, "t.csv", "c.json", "--out", "t.csv")
    #expect(mkfifo(folder.path + "/pipe.json", 0o600) == 0)
    try refused(74, "pipe.json: is a pipe", "pipe.json", "--out", "run")
    try refused(74, "pipe.json: is a pipe", "c.json", "--out", "run", "--start", "./pipe.json")
    try refused(66, "no such file", "c.json", "--out", "run", "--start", "nosuch.safetensors")
    try refused(64, "another blueprint", "c.json", "--out", "run", "--start", "m.safetensors")
    try refused(64, "steps must be within", "gp", "--out", "run", "--steps", "0")
  }
}
