import ArgumentParser
import ChorusTensors
import Foundation
import Testing

@testable import ChorusCommands

@Suite struct CommandTests {
  @Test func parses() throws {
    let command = try Chorus.parseAsRoot(["predict", "t.csv", "--input", "a,b", "--target", "y", "-q"])
    let predict = try #require(command as? Predict)
    #expect(predict.input == "a,b" && predict.plan == nil && predict.common.quiet)
    #expect(predict.common.seed == 0 && predict.common.givenSeed == nil && predict.samples == 100)
    let evaluate = try #require(
      try Chorus.parseAsRoot(["evaluate", "--prior", "gp", "--seed", "7"]) as? Evaluate)
    #expect(evaluate.common.seed == 7 && evaluate.model == "functions")
    for bad in [
      ["predict"], ["evaluate"], ["train", "gp"], ["info"],
      ["predict", "t", "--input", "a", "--target", "y", "--seed", "-1"],
      ["evaluate", "--prior", "gp", "--dimensions", "0"], ["evaluate", "--prior", "gp", "--orders", "5000"],
    ] {
      let error = #expect(throws: (any Error).self) { _ = try Chorus.parseAsRoot(bad) }
      if let error { #expect(Chorus.exitCode(for: error).rawValue == 64) }
    }
  }

  /// A command that says nothing of its name would be asked for it by looking at every conformance of the program.
  @Test func everyCommandHasItsName() {
    func names(_ command: any ParsableCommand.Type) -> [String?] {
      let own = command.configuration
      return [own.commandName] + own.subcommands.flatMap(names)
    }
    let names = names(Chorus.self)
    #expect(names.count > 30 && names.allSatisfy { $0 != nil })
  }

  /// A command parses its arguments alone as it does as one of all, and what goes wrong is said in the same words.
  @Test(arguments: [
    ["predict", "t.csv", "--input", "a,b", "--at=-3..4", "-q"], ["info", "gp"], ["memories", "list"],
    ["condition", "t.csv", "--append", "c.safetensors", "--output", "d.safetensors"],
  ]) func commandsAreParsedAlone(arguments: [String]) throws {
    let (one, other) = try (Chorus.command(arguments), Chorus.parseAsRoot(arguments))
    var (left, right) = ("", "")
    dump(one, to: &left)
    dump(other, to: &right)
    #expect(left == right && !left.isEmpty)
  }

  @Test(arguments: [
    [], ["--help"], ["--version"], ["predict", "--help"], ["predict", "--version"], ["help", "predict"],
    ["predict"], ["predict", "--quantiles", "2", "t.csv"], ["predict", "--nosuch"], ["nosuch"],
    ["memories", "--help"], ["memories", "help", "list"],
    ["predict", "--generate-completion-script", "bash"],
  ]) func wordsOfTheParserStay(arguments: [String]) {
    func words(_ parse: ([String]) throws -> any ParsableCommand) -> String {
      do {
        var command = try parse(arguments)
        try command.run()
        return ""
      } catch { return "\(Chorus.exitCode(for: error).rawValue) " + Chorus.fullMessage(for: error) }
    }
    let own = words(Chorus.command)
    #expect(own == words { try Chorus.parseAsRoot($0) } && !own.isEmpty)
  }

  @Test func numberLists() throws {
    #expect(try numberList("0.5, 1e-3,-2", option: "x") == [0.5, 1e-3, -2])
    #expect(try sizeList("0,16", option: "x") == [0, 16])
    #expect(try numberList("\t0.5 , 1,\u{a0}2", option: "x") == [0.5, 1, 2])
    for bad in ["", "1,,2", "nan", "1,inf", "0x", "1;2", "1\n", " ", "1 2"] {
      #expect(throws: ValidationError.self) { try numberList(bad, option: "x") }
      #expect(throws: ValidationError.self) { try sizeList(bad, option: "x") }
    }
    #expect(throws: ValidationError.self) { try sizeList("99999999999999999999", option: "x") }
    #expect(throws: ValidationError.self) { try sizeList("-1", option: "x") }
  }

  @Test func runsInProcess() throws {
    let folder = try Folder()
    try folder.writeModel()
    let command = try Chorus.parseAsRoot(["info", folder.path + "/nosuch.safetensors"])
    let info = try #require(command as? Info)
    let error = #expect(throws: ExitCode.self) { try info.run() }
    #expect(error?.rawValue == 66)
  }
}

/// Suites that run the program are skipped where it is missing; where CI is set that would hide a fault.
@Test(.enabled(if: ProcessInfo.processInfo.environment["CI"] != nil, "asked where CI is set"))
func theProgramIsThere() { #expect(executable != nil, Comment(rawValue: skipped)) }

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ProgramTests {
  @Test func exports() throws {
    let folder = try Folder()
    try folder.writeModel()
    let (model, full, half) = (
      folder.path + "/m.safetensors", folder.path + "/full.safetensors", folder.path + "/half.safetensors"
    )
    #expect(try folder.chorus("export", model, "--output", full, "--full", "--quiet").code == 0)
    let line = "licence=a=b"
    #expect(try folder.chorus("export", model, "--output", half, "--card", line, "--quiet").code == 0)
    let (whole, small) = try (folder.bytes("full.safetensors"), folder.bytes("half.safetensors"))
    #expect(small.count < whole.count)
    #expect(
      try folder.chorus(
        "export", full, "--output", folder.path + "/half2.safetensors", "--card", line, "--quiet"
      ).code == 0)
    #expect(try folder.bytes("half2.safetensors") == small)
    #expect(try folder.chorus("info", half).output.contains("licence,a=b"))
    for (arguments, code) in [
      (["--card", "licence"], Int32(64)), (["--card", "format=x"], 64), (["--output", "/nosuch/x"], 74),
    ] {
      let target = folder.path + "/refused"
      let given = arguments.contains("--output") ? arguments : arguments + ["--output", target]
      #expect(try folder.start(["export", model] + given).1().code == code)
      #expect(!FileManager.default.fileExists(atPath: target))
    }
  }

  @Test func versionAndHelp() throws {
    let folder = try Folder()
    let version = try folder.chorus("--version")
    #expect(version.code == 0 && version.output == Chorus.version + "\n" && version.errors.isEmpty)
    let help = try folder.chorus("--help")
    #expect(help.code == 0 && help.errors.isEmpty)
    for name in ["predict", "evaluate", "train", "info", "export", "bench"] {
      #expect(help.output.contains(name))
      let own = try folder.chorus(name, "--help")
      #expect(own.code == 0 && own.errors.isEmpty && own.output.contains("USAGE: chorus \(name)"))
      // Those that draw or compute say by what; no other has an option that would change nothing.
      let works = !["info", "export"].contains(name)
      #expect(own.output.contains("--seed <seed>") == works && own.output.contains("--threads <n>") == works)
    }
    // Alone it explains itself.
    #expect(try folder.chorus().output.contains("SUBCOMMANDS"))
  }

  @Test func info() throws {
    let folder = try Folder()
    try folder.writeModel()
    let csv = try folder.chorus("info", "m.safetensors")
    #expect(csv.code == 0 && csv.output.hasPrefix("property,value\nfile,m.safetensors\nparameters,"))
    #expect(csv.output.contains("licence,\"test, \"\"only\"\"\"\n"))
    #expect(csv.output.contains("scaling,standardise\n"))
    let lines = try folder.chorus("info", "./m.safetensors", "--format", "jsonl").output.split(
      separator: "\n")
    let properties = try lines.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: String])["property"]
    }
    #expect(properties.contains("trained_context") && properties.count == csv.rows.count - 1)
  }

  @Test func theMachineIsToldOf() throws {
    let folder = try Folder()
    try folder.writeModel()
    let told = try folder.chorus("info", "--machine")
    #expect(
      told.code == 0
        && told.output.hasPrefix("property,value\ninstruction_set,\(Machine.instructionSet)\nbf16,"))
    #expect(told.output.contains("\nbf16,\(Precision.bfloat16Path.rawValue)\nbf16_rate,"))
    let rate = told.rows.first { $0.first == "bf16_rate" }?.last.flatMap { Double($0) }
    #expect(try #require(rate) > 0.1)
    #expect(try folder.chorus("info").code == 64)
    #expect(try folder.chorus("info", "m.safetensors", "--machine").code == 64)
  }

  @Test func precisionChangesTheBytesAndLittleElse() throws {
    let folder = try Folder()
    try folder.writeModel()
    try folder.write("a.csv", "x,y\n0,1\n1,2\n2,1.5\n3,0.5\n4,1\n")
    let ask = [
      "predict", "a.csv", "--model", "m.safetensors", "--at", "5..6/1", "--samples", "50", "--digits", "all",
      "--threads",
    ]
    func run(_ more: String...) throws -> String {
      let answer = try folder.chorus(ask + more)
      #expect(answer.code == 0, "\(answer.errors)")
      return answer.output
    }
    let (plain, rounded) = (try run("1"), try run("1", "--precision", "bf16"))
    #expect(try run("1", "--precision", "f32") == plain && run("2", "--precision", "bf16") == rounded)
    func numbers(_ text: String) -> [Double] { text.split { ",\n".contains($0) }.compactMap { Double($0) } }
    let (a, b) = (numbers(plain), numbers(rounded))
    #expect(plain != rounded && a.count == b.count)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 0.05 })
    #expect(try folder.chorus(ask + ["1", "--precision", "f16"]).code == 64)
    #expect(PrecisionOption.warning(.bf16, path: .float32) != nil)
    for path in [Precision.BFloat16Path.pairs, .amx] {
      #expect(PrecisionOption.warning(.bf16, path: path) == nil)
    }
    #expect(PrecisionOption.warning(.f32, path: .float32) == nil)
  }
}
