import Foundation
import Testing

@testable import ChorusCommands

@Suite struct MemoriesTests {
  /// The README's table of memories is the registry's.
  @Test func readmeShowsTheRegistry() throws {
    let here = URL(fileURLWithPath: #filePath)
    let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    let table = try ListMemories.parse([]).markdown()
    #expect(readme.contains(table), "chorus memories list --format markdown makes it")
  }

  @Test func wrongOptionsAreRefused() {
    #expect(throws: (any Error).self) { try ListMemories.parse(["--width", "63"]) }
    #expect(throws: (any Error).self) { try ListMemories.parse(["--format", "xml"]) }
    #expect(throws: (any Error).self) {
      try CompareMemories.parse(["--prior", "gp", "--out", "x", "--memories", "softmax,rigde"])
    }
  }

  /// A whole comparison in small: trains, scores, times, draws, and goes on from what is there.
  @Test func comparesInSmall() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/chorus-memories-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let arguments = [
      "--prior", "gp-noisy", "--memories", "softmax,ridge", "--steps", "2", "--layers", "1", "--context", "8",
      "--functions", "4", "--orders", "1", "--times", "8", "--out", folder, "--quiet",
    ]
    for _ in 0..<2 { try CompareMemories.parse(arguments).run() }
    let quality = try String(contentsOfFile: folder + "/quality.csv", encoding: .utf8)
    #expect(quality.split(whereSeparator: \.isNewline).count == 3)
    let times = try String(contentsOfFile: folder + "/time.csv", encoding: .utf8)
    #expect(times.contains("ridge,8,"))
    for picture in ["quality.svg", "time.svg"] {
      #expect(try String(contentsOfFile: "\(folder)/\(picture)", encoding: .utf8).contains("ridge"))
    }
  }
}
