import Foundation
import Testing

@testable import ChorusCommands

/// Models of sequences that people train: of a text, and of pairs to recall.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct TextTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.write("book.txt", String(repeating: "the cat sat on the mat. ", count: 60))
    try folder.write(
      "c.json",
      """
      {"prior": "text", "steps": 40, "batch": 4, "context": [0, 0], "buffers": [0], "targets": 48, "rate": 0.01,
       "validationTasks": 4, "validateEvery": 20, "checkpointEvery": 20, "average": 0.9,
       "blueprint": {"version": 2, "family": "sequence", "memories": ["retention"], "width": 24, "layers": 1, "heads": 1,
                     "feedForward": 24, "embedderHidden": 16, "headHidden": 24, "parts": {"convolution": 3},
                     "head": {"name": "categorical", "levels": 256}, "trainedContext": 48, "trainedBuffer": 0}}
      """)
  }

  @Test func aTextIsLearnedAndGoesOn() throws {
    let whole = try folder.chorus("train", "c.json", "book.txt", "--out", "a")
    #expect(whole.code == 0 && whole.errors.contains("bits a byte"), "\(whole.errors)")
    let log = try folder.read("a/log.jsonl").split(separator: "\n")
    let last = try JSONSerialization.jsonObject(with: Data((log.last ?? "").utf8)) as? [String: Any]
    // Of 256 bytes by chance: log 256 = 5.5 nats.
    #expect((last?["validation"] as? Double ?? 9) < 3.2)
    // Stopped and gone on with: the same bytes. Another text is refused.
    let half = try folder.chorus(
      "train", "c.json", "book.txt", "--out", "b", "--steps", "40", "--quiet", "--threads", "1")
    #expect(half.code == 0)
    #expect(try folder.bytes("a/model.safetensors") == folder.bytes("b/model.safetensors"))
    try folder.write("other.txt", String(repeating: "a dog ran in the fog. ", count: 60))
    let other = try folder.chorus("train", "c.json", "other.txt", "--out", "a", "--resume", "--steps", "60")
    #expect(other.code == 65 && other.errors.contains("another --text"), "\(other.errors)")

    func text(_ more: String...) throws -> Outcome {
      try folder.start(
        ["generate", "--model", "a/model.safetensors", "--prompt", "the cat", "--tokens", "20"] + more
      ).1()
    }
    let greedy = try text()
    #expect(greedy.code == 0 && !greedy.output.isEmpty, "\(greedy.errors)")
    let drawn = try text("--temperature", "0.8", "--seed", "3", "--threads", "1").output
    #expect(try text("--temperature", "0.8", "--seed", "3", "--threads", "2").output == drawn)
    #expect(try text("--temperature", "0.8", "--seed", "4").output != drawn)
    let window = try text("--plan", "window(sinks:1,span:4)")
    #expect(window.code == 64 && window.errors.contains("take sequential"), "\(window.errors)")
    let long = try folder.chorus(
      "generate", "--model", "a/model.safetensors", "--prompt", "the", "--tokens", "100")
    #expect(long.code == 65 && long.errors.contains("more than the 48"), "\(long.errors)")
    let surprisal = try folder.chorus(
      "surprisal", "--model", "a/model.safetensors", "--text", "book.txt", "--context", "8", "--tokens", "6")
    #expect(surprisal.code == 0, "\(surprisal.errors)")
  }

  @Test func memoriesOfATextAreCompared() throws {
    let arguments = [
      "memories", "text", "book.txt", "--out", "runs", "--memories", "softmax,retention", "--steps", "2",
      "--width", "24", "--heads", "1", "--layers", "1", "--questions", "3", "--quiet",
    ]
    // A budget that is over before the end is no error, but what ends with 130 says so, however quiet.
    let part = try folder.start(arguments + ["--budget", "1e-300"]).1()
    #expect(part.code == 130 && part.errors.contains("command goes on (folder runs)"), "\(part.errors)")
    let table = try folder.start(arguments + ["--plot", "t.svg"]).1()
    #expect(table.code == 0 && table.rows.count == 3, "\(table.errors)")
    #expect(table.rows[0][0] == "memory" && table.rows[0][6] == "bits_a_byte")
    #expect(table.rows[1][1] == String(4 * (256 * 48 + 3 * 48)) && table.rows[2][0] == "retention")
    #expect(try folder.read("t.svg").contains(">retention<"))
    let again = try folder.start(arguments + ["--table-only", "--format", "markdown"]).1()
    #expect(again.code == 0 && again.output.hasPrefix("| memory | state, bytes |"), "\(again.errors)")
  }

  @Test func pairsAreTrainedAndTold() throws {
    let arguments = [
      "recall", "--out", "runs", "--memories", "deltanet", "--steps", "3", "--width", "16", "--heads", "1",
      "--layers", "1", "--pairs", "2", "--length", "12", "--questions", "4", "--fillers", "random", "--quiet",
    ]
    let table = try folder.start(arguments).1()
    #expect(table.code == 0 && table.rows.count == 2 && table.rows[0][6] == "accuracy", "\(table.errors)")
    #expect(
      Array(table.rows[1].prefix(5)) == ["deltanet", String(4 * (256 + 96)), table.rows[1][2], "3", "1"])
    // A run of other sizes does not go on there.
    let other = try folder.start(arguments + ["--convolution", "1"]).1()
    #expect(other.code == 65 && other.errors.contains("blueprint.parts"), "\(other.errors)")
  }

  /// Keys that are vectors; asked once more about another number of pairs without training.
  @Test func vectorsAreTrainedAndTold() throws {
    let arguments = [
      "recall", "--keys", "vectors", "--out", "vectors", "--memories", "retention", "--steps", "3", "--width",
      "16",
      "--heads", "1", "--pairs", "8", "--dimensions", "4", "--questions", "4", "--quiet",
    ]
    let table = try folder.start(arguments).1()
    #expect(table.code == 0 && table.rows.count == 2 && table.rows[0][6] == "accuracy", "\(table.errors)")
    #expect(Array(table.rows[1].prefix(2)) == ["retention", String(4 * 256)], "one layer, no convolution")
    let asked = try folder.start(
      arguments.map { $0 == "8" ? "20" : $0 } + ["--table-only"]
    ).1()
    #expect(asked.code == 0 && asked.rows.count == 2 && asked.rows[1][3] == "3", "\(asked.errors)")
  }

  /// Systems: a row for the network and one for each of those that are fitted.
  @Test func systemsAreTrainedAndTold() throws {
    let table = try folder.start([
      "memories", "identification", "--out", "systems", "--memories", "mesa", "--steps", "3", "--width", "16",
      "--heads", "1", "--layers", "1", "--taps", "2", "--pairs", "12", "--simulated", "3", "--questions", "4",
      "--quiet",
    ]).1()
    #expect(
      table.code == 0 && table.rows.count == 4 && table.rows[0][6] == "squared_error", "\(table.errors)")
    #expect(
      table.rows.dropFirst().map { $0[0] } == ["mesa", "fitted linear model", "fitted system of the law"])
    #expect(table.rows.dropFirst().allSatisfy { Double($0[6]).map { $0 > 0 } == true })
  }

  @Test func whatCannotBeTrainedIsSaid() throws {
    try folder.write("empty.txt", "")
    try folder.write("short.txt", "the cat sat")
    func refused(
      _ code: Int32, _ part: String, _ arguments: String..., location: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try folder.start(arguments).1()
      #expect(
        outcome.code == code && outcome.errors.contains(part) && outcome.output.isEmpty,
        "\(arguments): \(outcome.code) \(outcome.errors)", sourceLocation: location)
    }
    try refused(65, "empty.txt: the text is empty", "train", "c.json", "empty.txt", "--out", "r")
    try refused(
      65, "short.txt: the text has 11 bytes, fewer than the 48", "train", "c.json", "short.txt", "--out", "r")
    try refused(66, "no such file", "train", "text", "none.txt", "--out", "r")
    try refused(64, "name the text", "train", "text", "--out", "r")
    try refused(64, "leave the text out", "train", "gp", "book.txt", "--out", "r")
    try refused(64, "name it: chorus train c.json FILE", "train", "c.json", "--out", "r")
    try refused(
      64, "'mamba-2' is near", "train", "text", "book.txt", "--out", "r", "--memory", "mamba2")
    try refused(64, "'gated-delta' is near", "recall", "--out", "r", "--memories", "gated_delta")
    try refused(64, "four tokens a pair", "recall", "--out", "r", "--pairs", "8", "--length", "16")
    try refused(
      64, "--length belongs to --keys tokens", "recall", "--keys", "vectors", "--out", "r", "--length", "9")
    try refused(64, "--dimensions belongs to --keys vectors", "recall", "--out", "r", "--dimensions", "8")
    try refused(64, "within 2...16", "memories", "identification", "--out", "r", "--taps", "17")
    try refused(65, "short.txt: the text has 11 bytes", "memories", "text", "short.txt", "--out", "r")
    #expect(!folder.names.contains("r"))
  }
}
