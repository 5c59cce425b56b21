import ChorusLanguageFixtures
import Foundation
import Testing

@testable import ChorusCommands

/// `generate` and `surprisal` on a language model that the tests make themselves.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct LanguageTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try TinyModel.writer().encoded().write(to: folder.url("m.gguf"))
    let words = ["the", "ring", "and", "an", "hour", "all", "in", "her", "out", "5"]
    let text = (0..<300).map { words[($0 * $0 + 3 * $0) % 10] }.joined(separator: " ")
    try folder.write("book.txt", text + "\n")
  }

  private func generate(_ more: String...) throws -> Outcome {
    try folder.start(["generate", "--model", "m.gguf"] + more).1()
  }

  @Test func whatATextCostsIsExplained() throws {
    let plans = "sequential;window(sinks:2,span:8);window(sinks:2,span:8,renewed:4)"
    let told = try folder.chorus(
      "explain", "--model", "m.gguf", "--context", "20", "--targets", "30", "--plan", plans, "--format", "csv"
    )
    #expect(told.code == 0 && told.errors.isEmpty, "\(told.errors)")
    #expect(told.rows.count == 4)
    let column = try #require(told.rows[0].firstIndex(of: "reads"))
    let reads = told.rows.dropFirst().compactMap { Int($0[column]) }
    #expect(reads.count == 3 && reads[0] == 49 * 50 / 2 && reads[1] < reads[0] && reads[2] < reads[0])
    let words = try folder.chorus(
      "explain", "--model", "m.gguf", "--context", "20", "--targets", "30", "--format", "text")
    for part in ["encodes     49 tokens", "reads       1225 pairs", "GFLOP"] {
      #expect(words.output.contains(part), "\(words.output)")
    }
    for wrong in [
      ["--context", "0", "--targets", "3"], ["--context", "3"], ["--context", "3", "--targets", "0"],
      ["--context", "3", "--targets", "3", "--reencode"],
      ["--context", "3", "--targets", "3", "--plan", "reencode"],
    ] {
      let outcome = try folder.chorus(["explain", "--model", "m.gguf"] + wrong)
      #expect(outcome.code == 64 && outcome.output.isEmpty, "\(wrong): \(outcome.errors)")
    }
    let long = try folder.chorus("explain", "--model", "m.gguf", "--context", "3", "--targets", "3000")
    #expect(long.code == 65 && long.errors.contains("take fewer"), "\(long.errors)")
  }

  @Test func aTextGoesOn() throws {
    let greedy = try generate("--prompt", "the ring", "--tokens", "20")
    #expect(greedy.code == 0 && greedy.output.hasSuffix("\n") && greedy.output.count > 1)
    #expect(greedy.errors.contains("tokens read in") && greedy.errors.contains("made in"))
    try folder.write("p.txt", "the ring")
    let file = try generate("--prompt-file", "p.txt", "--tokens", "20", "--quiet", "--threads", "1")
    #expect(file.output == greedy.output && file.errors.isEmpty)
    let drawn = ["--prompt", "the ring", "--tokens", "30", "--temperature", "1.5", "--top-p", "0.9"]
    func run(_ more: String...) throws -> String {
      try folder.start(["generate", "--model", "m.gguf", "--quiet"] + drawn + more).1().output
    }
    let first = try run("--seed", "3", "--threads", "1")
    #expect(try run("--seed", "3", "--threads", "3") == first && !first.isEmpty)
    #expect(try run("--seed", "4") != first)
    #expect(try run("--seed", "3", "--plan", "sequential(order:given)") == first)
    #expect(try run("--seed", "3", "--plan", "window(sinks:1,span:2)") != first)
    let input = try folder.chorus(
      "generate", "--model", "m.gguf", "--prompt-file", "-", "--tokens", "20", "--quiet", input: "the ring")
    #expect(input.output == greedy.output)
  }

  @Test func aDraftProposes() throws {
    try TinyModel.writer(seed: 2).encoded().write(to: folder.url("draft.gguf"))
    let plain = try generate("--prompt", "the ring", "--tokens", "30", "--quiet")
    let drafted = try generate(
      "--prompt", "the ring", "--tokens", "30", "--draft", "draft.gguf", "--draft-tokens", "3")
    #expect(drafted.code == 0 && drafted.output == plain.output && !plain.output.isEmpty)
    #expect(drafted.errors.contains("proposed tokens stand") && drafted.errors.contains("of the draft"))
    func drawn(_ threads: String) throws -> String {
      try generate(
        "--prompt", "the ring", "--tokens", "30", "--draft", "draft.gguf", "--temperature", "1.2", "--seed",
        "3", "--threads", threads
      ).output
    }
    #expect(try drawn("1") == drawn("3"))
    var writer = TinyModel.writer()
    writer.set("tokenizer.ggml.eos_token_id", .integer(7))
    try writer.encoded().write(to: folder.url("other.gguf"))
    for (code, part, more) in [
      (65, "has other tokens than the model", ["--draft", "other.gguf"]),
      (66, "no such file", ["--draft", "none.gguf"]),
      (64, "--draft-tokens is for --draft", ["--draft-tokens", "3"]),
      (64, "--draft-tokens must be within 1...64", ["--draft", "draft.gguf", "--draft-tokens", "0"]),
    ] as [(Int32, String, [String])] {
      let outcome = try folder.start(["generate", "--model", "m.gguf", "--prompt", "the"] + more).1()
      #expect(outcome.code == code && outcome.errors.contains(part), "\(outcome.errors)")
    }
  }

  @Test func surprisalsFallByScheme() throws {
    let arguments = [
      "surprisal", "--model", "m.gguf", "--text", "book.txt", "--context", "16", "--tokens", "12",
    ]
    let outcome = try folder.start(
      arguments + [
        "--schemes", "sequential,hierarchical,lags", "--passages", "2", "--every", "every.csv", "--plot",
        "s.svg",
      ]
    ).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows[0] == ["scheme", "context", "measure", "value", "standard_error"])
    func value(_ scheme: String, _ context: String, _ measure: String) -> Double? {
      outcome.rows.first { Array($0.prefix(3)) == [scheme, context, measure] }.flatMap { Double($0[3]) }
    }
    for context in ["1", "2", "4", "8", "16"] {
      #expect(value("sequential", context, "nats") == value("hierarchical", context, "nats"))
    }
    #expect(value("hierarchical", "13", "nats") == value("sequential", "8", "nats"))
    #expect(value("sequential", "", "iterations") == 16 && value("hierarchical", "", "encodes") == 31)
    #expect(value("sequential", "", "reads_of_refining") == 1 && value("hierarchical", "", "bound") == nil)
    #expect(
      value("hierarchical", "16", "bound") == 5 && value("lags", "", "encodes_of_one_pass") == 15.0 / 16)
    #expect(
      (value("sequential", "16", "rank_1e-06") ?? 0) > (value("sequential", "16", "rank_0.01") ?? 99) - 1)
    #expect(value("sequential", "", "power_law") != nil)
    let every = try folder.read("every.csv").split(separator: "\n")
    #expect(every.count == 1 + 2 * 12 * 16 && every[0] == "passage,position,token,context,nats")
    let picture = try folder.read("s.svg")
    #expect(picture.hasPrefix("<svg") && picture.contains(">windows<"))
    // Nothing depends on the threads.
    let one = try folder.start(arguments + ["--threads", "1", "--quiet"]).1()
    let three = try folder.start(arguments + ["--threads", "3", "--quiet"]).1()
    #expect(one.output == three.output && !one.output.isEmpty && one.errors.isEmpty)
  }

  @Test func linesOfAParagraphBecomeOne() throws {
    #expect(
      Surprisal.joiningLines("the ring\nand an hour\n\nall in\r\nher out\n\n\nend")
        == "the ring and an hour\n\nall in her out\n\n\nend")
    #expect(Surprisal.joiningLines("") == "" && Surprisal.joiningLines("\n") == "\n")
    try folder.write("lines.txt", String(repeating: "the ring\nand an hour ", count: 9))
    func output(_ more: String...) throws -> String {
      let arguments = ["surprisal", "--model", "m.gguf", "--text", "lines.txt", "--context", "9"]
      return try folder.start(arguments + ["--tokens", "9"] + more).1().output
    }
    #expect(try output() != output("--join-lines"))
  }

  private func refused(
    _ code: Int32, _ part: String, _ arguments: String..., location: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try folder.start(arguments).1()
    let what = Comment(rawValue: "\(arguments): \(outcome.code) \(outcome.errors)")
    #expect(
      outcome.code == code && !outcome.signalled && outcome.output.isEmpty, what, sourceLocation: location)
    #expect(outcome.errors.contains(part), what, sourceLocation: location)
    guard code != 64 || outcome.errors.hasPrefix("error: ") else { return }
    #expect(outcome.errors.split(separator: "\n").count == 1, what, sourceLocation: location)
  }

  @Test func whatCannotBeAskedForIsSaidInOneLine() throws {
    let bytes = try folder.bytes("m.gguf")
    try bytes.prefix(900).write(to: folder.url("cut.gguf"))
    try (Data("GGML".utf8) + bytes.dropFirst(4)).write(to: folder.url("magic.gguf"))
    var other = bytes
    other.replaceSubrange(8..<16, with: [UInt8](repeating: 0xFF, count: 8))
    try other.write(to: folder.url("absurd.gguf"))
    let name = try #require(bytes.range(of: Data("output_norm.weight".utf8)))
    other = bytes
    other[name.upperBound + 12] = 23
    try other.write(to: folder.url("type.gguf"))
    try Data([0x61, 0xC3, 0x28]).write(to: folder.url("latin.txt"))
    var writer = TinyModel.writer()
    writer.set("tokenizer.ggml.tokens", nil)
    try writer.encoded().write(to: folder.url("mute.gguf"))
    func generate(
      _ code: Int32, _ part: String, _ model: String, _ location: SourceLocation = #_sourceLocation
    )
      throws
    {
      try refused(code, part, "generate", "--model", model, "--prompt", "the", location: location)
    }
    try generate(66, "none.gguf: no such file", "none.gguf")
    try generate(65, "cut.gguf: not a GGUF file, or a damaged one", "cut.gguf")
    try generate(65, "four letters GGUF", "magic.gguf")
    try generate(65, "tensors; at most", "absurd.gguf")
    try generate(65, "is of type 23; known are", "type.gguf")
    try generate(65, "has no 'tokenizer.ggml.tokens'", "mute.gguf")
    try generate(65, "not a GGUF file", "book.txt")
    try refused(65, "is not UTF-8 at byte 1", "generate", "--model", "m.gguf", "--prompt-file", "latin.txt")
    try refused(66, "no such file", "generate", "--model", "m.gguf", "--prompt-file", "none.txt")
    try refused(
      65, "129 tokens are more than the 128", "generate", "--model", "m.gguf", "--prompt", "a", "--tokens",
      "128")
    try refused(65, "the text has 0 tokens", "generate", "--model", "m.gguf", "--prompt", "")
    try refused(
      64, "another order than they come", "generate", "--model", "m.gguf", "--prompt", "a", "--plan",
      "coarse-to-fine(r:2)")
    try refused(64, "--temperature", "generate", "--model", "m.gguf", "--prompt", "a", "--top-k", "3")
    try refused(64, "give --prompt or --prompt-file", "generate", "--model", "m.gguf")
    try folder.write("short.txt", "the")
    try refused(
      65, "tokens, and 100 are needed", "surprisal", "--model", "m.gguf", "--text", "short.txt", "--context",
      "4")
    try refused(
      65, "200 tokens are more than the 128", "surprisal", "--model", "m.gguf", "--text", "book.txt",
      "--context", "200", "--tokens", "2")
    try refused(
      64, "--schemes", "surprisal", "--model", "m.gguf", "--text", "book.txt", "--schemes", "spiral")
    try refused(
      64, "'book.txt' is read as --text", "surprisal", "--model", "m.gguf", "--text", "book.txt", "--every",
      "book.txt")
  }
}
