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
