import ArgumentParser
import ChorusPriors
import ChorusTables
import Foundation
import Testing

@testable import ChorusCommands

/// What stands beside the experiments: models of other projects, recordings, observers.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct PaperTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  private static let hasPython: Bool = {
    let python = Process()
    python.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    python.arguments = ["python3", "-c", ""]
    (python.standardOutput, python.standardError) = (nil, nil)
    guard (try? python.run()) != nil else { return false }
    python.waitUntilExit()
    return python.terminationStatus == 0
  }()

  @Test(.enabled(if: hasPython, "needs python3"))
  func syntheticRecordingsAreTrainedOnAndForecast() throws {
    let folder = try Folder()
    let made = try folder.shell("python3 '\(Self.root)/tools/fetch_eeg' eeg --synthetic --samples 16")
    #expect(made.code == 0, "\(made.errors)")
    #expect(
      folder.names == ["eeg"]
        && made.output.contains("synthetic-test.jsonl: 64 windows of 16 samples and 3 channels"))
    let again = try folder.shell(
      "python3 '\(Self.root)/tools/fetch_eeg' again --synthetic --samples 16 && diff -r eeg again")
    #expect(again.code == 0, "the same signals every time")
    let file = try TaskFile(path: folder.path + "/eeg/synthetic-train.jsonl")
    #expect(file.columns == ["time", "c1", "c2", "c3"] && file.tasks.count == 18 * 8)
    for channel in 0..<3 {
      let values = file.tasks.flatMap { task in
        task.y.indices.filter { task.x[4 * $0 + 1 + channel] == 1 }.map { task.y[$0] }
      }
      let mean = values.reduce(0, +) / Double(values.count)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
      #expect(abs(mean) < 1e-4 && abs(variance - 1) < 1e-4)
    }
    try folder.write(
      "c.json",
      tinyConfiguration.replacingOccurrences(of: "\"width\"", with: "\"inputDimensions\": 4, \"width\"")
        .replacingOccurrences(of: "\"seed\"", with: "\"dimensions\": [4], \"seed\""))
    let trained = try folder.chorus("train", "c.json", "--tasks", "eeg/synthetic-train.jsonl", "--out", "run")
    #expect(trained.code == 0, "\(trained.errors)")
    for split in [["--split", "future", "--plan", "sequential(order:given)"], []] {
      let scored = try folder.start(
        [
          "evaluate", "--model", "run/model.safetensors", "--tasks", "eeg/synthetic-test.jsonl", "--context",
          "6", "--targets", "3", "--functions", "4", "--orders", "2",
        ] + split
      ).1()
      #expect(scored.code == 0 && scored.rows.count == 3, "\(scored.errors)")
    }
  }

  @Test func whatIsNoModelOrNoSplitIsRefused() throws {
    let folder = try Folder()
    let missing = try folder.chorus("import", "nanoace", "none", "--output", "m.safetensors")
    #expect(missing.code == 66 && missing.errors.contains("manifest.json"), "\(missing.errors)")
    try folder.write("manifest.json", "{}")
    let other = try folder.chorus("import", "nanoace", ".", "--output", "m.safetensors")
    #expect(other.code == 65 && other.errors.contains("not a manifest of nanoACE's"), "\(other.errors)")
    for arguments in [
      ["evaluate"], ["evaluate", "--prior", "gp", "--tasks", "t.jsonl"],
      ["evaluate", "--prior", "gp", "--split", "future"],
    ] {
      #expect(try folder.start(arguments).1().code == 64)
    }
  }

  @Test func trialsAreReadOrRefusedByLine() throws {
    func read(_ text: String) throws -> [CausalObserver.Trial] {
      try CausalTrialFile.read(Table(bytes: Array(text.utf8), source: "t.csv"))
    }
    let head = "report,heard,seen,level,answer\n"
    let trials = try read(head + "1,-5,3.25,2,-4.5\n0,10,10,0,9\n")
    #expect(
      trials == [
        .init(.init(heard: -5, seen: 3.25, level: 2), report: .auditory, answer: -4.5),
        .init(.init(heard: 10, seen: 10, level: 0), report: .visual, answer: 9),
      ])
    for (row, words) in [
      ("2,0,0,0,0", "t.csv:3: 'report'"), ("1,0,0,3,0", "'level' is 3.0"), ("1,0,0,0.5,0", "0, 1 or 2"),
      ("1,200,0,0,0", "within ±180°"),
    ] {
      let error = #expect(throws: TableError.self) { try read(head + "0,10,10,0,9\n" + row + "\n") }
      #expect(error?.description.contains(words) == true)
    }
    let stretches = try ExperimentLML.stretches("1, 4/3")
    #expect(stretches.map(\.value) == [1, 4.0 / 3] && stretches.map(\.text) == ["1", "4/3"])
    for text in ["", "a", "1/0", "4/3/2", "-1", "1,"] {
      #expect(throws: ValidationError.self) { try ExperimentLML.stretches(text) }
    }
  }
}
