import ChorusHints
import Foundation
import Testing

@Suite("Rows added to a context", .enabled(if: executable != nil, Comment(rawValue: skipped)))
struct AppendTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel("s.safetensors") {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
    }
    try folder.write("first.csv", Self.rows(0..<40))
    try folder.write("more.csv", Self.rows(40..<43))
    let made = try folder.chorus(
      "condition", "first.csv", "--input", "day", "--target", "level", "--model", "s.safetensors", "--output",
      "c.safetensors")
    #expect(made.code == 0, "\(made.errors)")
  }

  private static func rows(_ range: Range<Int>) -> String {
    "day,level\n"
      + range.map { "2026-0\(1 + $0 / 28)-\($0 % 28 < 9 ? "0" : "")\($0 % 28 + 1),\(3 + sin(Double($0)))\n" }
      .joined()
  }

  @Test("The rows join the context, and a horizon goes on from the last of them")
  func joins() throws {
    let added = try folder.chorus(
      "condition", "more.csv", "--append", "c.safetensors", "--model", "s.safetensors", "--output",
      "d.safetensors")
    #expect(added.code == 0 && added.errors.contains("43 rows kept in d.safetensors"), "\(added.errors)")
    func next(_ context: String) throws -> Outcome {
      try folder.chorus("predict", "--context", context, "--horizon", "2", "--model", "s.safetensors")
    }
    let (before, after) = (try next("c.safetensors"), try next("d.safetensors"))
    #expect(before.rows.dropFirst().map { $0[0] } == ["2026-02-13", "2026-02-14"], "\(before.errors)")
    #expect(after.rows.dropFirst().map { $0[0] } == ["2026-02-16", "2026-02-17"], "\(after.errors)")
    // One row is enough, and the first context stays as it was.
    try folder.write("one.csv", Self.rows(40..<41))
    #expect(
      try folder.chorus(
        "condition", "one.csv", "--append", "c.safetensors", "--model", "s.safetensors", "--output",
        "e.safetensors"
      ).code == 0)
    #expect(try next("c.safetensors").output == before.output)
  }

  @Test("A context in 16 bits stays one when rows join it")
  func halves() throws {
    func size(_ name: String) throws -> Int {
      try #require(FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)[.size] as? Int)
    }
    let made = try folder.chorus(
      "condition", "first.csv", "--input", "day", "--target", "level", "--model", "s.safetensors", "--half",
      "--output", "h.safetensors")
    #expect(made.code == 0, "\(made.errors)")
    for (from, to) in [("c", "d"), ("h", "i")] {
      let added = try folder.chorus(
        "condition", "more.csv", "--append", from + ".safetensors", "--model", "s.safetensors", "--output",
        to + ".safetensors")
      #expect(added.code == 0, "\(added.errors)")
    }
    let saved = try (
      size("c.safetensors") - size("h.safetensors"), size("d.safetensors") - size("i.safetensors")
    )
    #expect(saved.0 > 0 && saved.1 > saved.0, "two bytes a number of 40 rows, and of 43")
    let asked = try folder.chorus(
      "predict", "--context", "i.safetensors", "--horizon", "2", "--model", "s.safetensors")
    #expect(asked.code == 0 && asked.rows.count == 3, "\(asked.errors)")
    let again = try folder.chorus(
      "condition", "more.csv", "--append", "c.safetensors", "--half", "--output", "e.safetensors")
    #expect(again.code == 64 && again.errors.contains("leave out --half"), "\(again.errors)")
    let kept = try folder.chorus(
      "condition", "first.csv", "--target", "level", "--with", "day", "--half", "--output", "e.safetensors")
    #expect(kept.code == 64 && kept.errors.contains("--half is of rows"), "\(kept.errors)")
  }

  @Test("What an earlier context has fixed cannot be told again")
  func refusals() throws {
    func append(_ more: String...) throws -> Outcome {
      try folder.start(
        [
          "condition", "more.csv", "--append", "c.safetensors", "--model", "s.safetensors", "--output",
          "d.safetensors",
        ]
          + more
      ).1()
    }
    for more in [["--input", "day"], ["--target", "level"], ["--units", "level=m"], ["--scale", "log"]] {
      let outcome = try append(more[0], more[1])
      #expect(outcome.code == 64 && outcome.errors.contains("leave out \(more[0])"), "\(outcome.errors)")
    }
    try folder.write("more.csv", "day,level\n3,4\n")
    let numbers = try append()
    #expect(
      (numbers.code == 64 || numbers.code == 65) && numbers.errors.contains("holds dates"),
      "\(numbers.errors)")
    #expect(!folder.names.contains("d.safetensors"))
  }
}
