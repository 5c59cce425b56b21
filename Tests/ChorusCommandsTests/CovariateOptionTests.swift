import ChorusHints
import ChorusTensors
import Foundation
import Testing

/// `--with` and `--integer`, as a person calls them.
@Suite("--with and --integer", .enabled(if: executable != nil, Comment(rawValue: skipped)))
struct CovariateOptionTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel("s.safetensors") {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
    }
    var stream = RandomStream(seed: 3)
    var lines = ["day,sales,promo,weather"]
    for day in 0..<50 {
      let (promo, weather) = (stream.below(2), ["sun", "rain", "snow"][stream.below(3)])
      let value = (30 + 8 * Double(promo) + (weather == "rain" ? 4 : 0) + stream.normal()).rounded()
      let date =
        day < 31 ? "2024-01-\(day < 9 ? "0" : "")\(day + 1)" : "2024-02-\(day < 40 ? "0" : "")\(day - 30)"
      lines.append("\(date),\(day < 45 ? "\(Int(value))" : ""),\(promo),\(weather)")
    }
    try folder.write("shop.csv", lines.joined(separator: "\n") + "\n")
  }

  private func ask(_ command: String, _ more: String...) throws -> Outcome {
    try folder.chorus([command, "shop.csv", "--target", "sales", "--model", "s.safetensors"] + more)
  }

  @Test("Columns of the file or of another are used and shown; stderr tells what they move")
  func columns() throws {
    let outcome = try ask("predict", "--with", "promo,weather", "--samples", "20")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows[0].prefix(4) == ["day", "promo", "weather", "mean"])
    #expect(outcome.rows.count == 6 && ["sun", "rain", "snow"].contains(outcome.rows[1][2]))
    #expect(
      outcome.errors.contains("'sales' by 'day'") && outcome.errors.contains("'promo' moves 'sales' by"))
    // The points of another file, in another order of columns.
    let lines = try folder.read("shop.csv").split(separator: "\n").suffix(5).map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    try folder.write(
      "next.csv", "weather,day,promo\n" + lines.map { "\($0[3]),\($0[0]),\($0[2])\n" }.joined())
    let next = try ask("predict", "--with", "promo,weather", "--samples", "20", "--at-file", "next.csv")
    #expect(next.output == outcome.output, "\(next.errors)")
    let bound = try ask("predict", "--with", "promo,weather", "--given", "sum>100", "--given", "2024-02-17>0")
    #expect(bound.code == 0 && bound.errors.contains("the conditions hold for"), "\(bound.errors)")
  }

  @Test("What cannot be is refused with what to do")
  func refusals() throws {
    try folder.write("odd.csv", "day,promo,weather\n2024-02-15,1,hail\n")
    try folder.write("gap.csv", "day,promo,weather\n2024-02-15,1,sun\n2024-02-16,,sun\n")
    for (words, more) in [
      ("--horizon: has no values of 'promo', 'weather'", ["--horizon", "3"]),
      ("odd.csv:2", ["--at-file", "odd.csv"]), ("'hail' is no level", ["--at-file", "odd.csv"]),
      ("gap.csv:3", ["--at-file", "gap.csv"]),
      ("a known value is a row of the file", ["--given", "2024-02-15=30"]),
      ("--scale log or root keeps predictions positive", ["--min", "0"]),
    ] {
      let outcome = try folder.chorus(
        ["predict", "shop.csv", "--target", "sales", "--model", "s.safetensors", "--with", "promo,weather"]
          + more)
      #expect(
        outcome.code != 0 && outcome.errors.contains(words) && outcome.output.isEmpty, "\(outcome.errors)")
    }
    let twice = try ask("predict", "--with", "sales")
    #expect(twice.code == 65 && twice.errors.contains("'sales' is asked for twice"), "\(twice.errors)")
  }

  @Test("A score tells whether they help")
  func score() throws {
    let outcome = try ask(
      "score", "--with", "promo,weather", "--last", "5", "--repetitions", "3", "--orders", "1", "--samples",
      "10")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("--with: CRPS ") && outcome.errors.contains("of that without (95 % "))
  }

  @Test("Whole numbers are drawn, scored and kept")
  func integers() throws {
    let outcome = try ask(
      "predict", "--input", "day", "--integer", "--min", "0", "--samples", "30", "--output", "p.csv")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let drawn = try folder.read("p.csv").split(separator: "\n").dropFirst().compactMap {
      $0.split(separator: ",").last.flatMap { Double($0) }
    }
    #expect(drawn.count == 150 && drawn.allSatisfy { $0 == $0.rounded() && $0 >= 0 })
    let kept = try folder.chorus(
      [
        "condition", "shop.csv", "--input", "day", "--target", "sales", "--model", "s.safetensors",
        "--integer",
        "--min", "0", "--output", "c.safetensors",
      ])
    #expect(kept.code == 0, "\(kept.errors)")
    try folder.write("at.csv", "day\n2024-02-15\n2024-02-16\n2024-02-17\n2024-02-18\n2024-02-19\n")
    let later = try folder.chorus([
      "predict", "--context", "c.safetensors", "--model", "s.safetensors", "--at-file", "at.csv", "--samples",
      "30",
    ])
    #expect(later.rows.map { $0.prefix(4) } == outcome.rows.map { $0.prefix(4) }, "\(later.errors)")
    let score = try ask(
      "score", "--input", "day", "--integer", "--last", "5", "--repetitions", "2", "--orders", "1",
      "--samples",
      "10")
    #expect(score.code == 0, "\(score.errors)")
    try folder.write("half.csv", "t,y\n1,2\n2,2.5\n3,3\n4,\n")
    let half = try folder.chorus(
      "predict", "half.csv", "--input", "t", "--target", "y", "--model", "s.safetensors", "--integer")
    #expect(half.code == 65 && half.errors.contains("2.5 is no whole number"), "\(half.errors)")
  }
}
