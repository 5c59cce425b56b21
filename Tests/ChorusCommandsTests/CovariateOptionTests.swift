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
    #expect(outcome.rows[0].prefix(4) == ["day", "promo", "weather", "q0.5"])
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
      ("is of no point that is asked for", ["--given", "2024-03-15=30"]),
      ("is above the largest that values are said to have", ["--max", "20"]),
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

  @Test("Known values, bounds and whole numbers go with them")
  func together() throws {
    // A known value is a row of the file with its columns.
    let lines = try folder.read("shop.csv").split(separator: "\n").map(String.init)
    let last = try #require(lines.last?.components(separatedBy: ","))
    try folder.write("next.csv", "day,promo,weather\n\(last[0]),\(last[2]),\(last[3])\n")
    let pinned = try ask(
      "predict", "--with", "promo,weather", "--at-file", "next.csv", "--given", "\(last[0])=90")
    let row = "\(last[0]),90,\(last[2]),\(last[3])"
    try folder.write("pinned.csv", (lines.dropLast() + [row]).joined(separator: "\n") + "\n")
    let written = try folder.chorus(
      "predict", "pinned.csv", "--target", "sales", "--model", "s.safetensors", "--with", "promo,weather",
      "--at-file", "next.csv")
    #expect(pinned.code == 0 && written.code == 0, "\(pinned.errors)\(written.errors)")
    for (a, b) in zip(pinned.rows[1][3...6], written.rows[1][3...6]) {
      #expect(abs((Double(a) ?? .nan) - (Double(b) ?? .nan)) < 0.01)
    }
    let whole = try ask(
      "predict", "--with", "promo,weather", "--integer", "--min", "28", "--max", "45", "--samples", "50",
      "--output", "p.csv", "--plot", "p.svg")
    #expect(whole.code == 0, "\(whole.errors)")
    let drawn = try folder.read("p.csv").split(separator: "\n").dropFirst().compactMap {
      $0.split(separator: ",").last.flatMap { Double($0) }
    }
    #expect(drawn.count == 250 && drawn.allSatisfy { $0 == $0.rounded() && (28...45).contains($0) })
    #expect(try folder.read("p.svg").contains("from 45 rows of shop.csv"))
    let score = try ask(
      "score", "--with", "promo,weather", "--integer", "--min", "0", "--last", "5", "--repetitions", "2",
      "--orders", "1", "--samples", "10")
    #expect(score.code == 0 && score.errors.contains("--with: CRPS "), "\(score.errors)")
  }

  @Test("They are kept with their rows, and asked with the same bytes")
  func kept() throws {
    let options = ["--with", "promo,weather", "--integer", "--min", "0"]
    let kept = try folder.chorus(
      ["condition", "shop.csv", "--target", "sales", "--model", "s.safetensors", "--output", "c.safetensors"]
        + options)
    #expect(kept.code == 0 && kept.errors.contains("45 rows kept in c.safetensors"), "\(kept.errors)")
    let lines = try folder.read("shop.csv").split(separator: "\n").suffix(5).map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    try folder.write(
      "next.csv", "day,promo,weather\n" + lines.map { "\($0[0]),\($0[2]),\($0[3])\n" }.joined())
    let asked = try folder.chorus(
      "predict", "--context", "c.safetensors", "--model", "s.safetensors", "--at-file", "next.csv", "--given",
      "2024-02-15=31")
    let whole = try folder.chorus(
      ["predict", "shop.csv", "--target", "sales", "--model", "s.safetensors", "--at-file", "next.csv"]
        + ["--given", "2024-02-15=31"] + options)
    #expect(asked.code == 0 && asked.output == whole.output, "\(asked.errors)\(whole.errors)")
    for (words, arguments) in [
      (
        "--horizon: has no values of 'promo', 'weather'",
        ["predict", "--context", "c.safetensors", "--horizon", "2"]
      ),
      (
        "make it anew with chorus condition",
        ["condition", "shop.csv", "--append", "c.safetensors", "--output", "d.safetensors"]
      ),
    ] {
      let outcome = try folder.chorus(arguments + ["--model", "s.safetensors"])
      #expect(outcome.code != 0 && outcome.errors.contains(words), "\(outcome.errors)")
    }
    // A file that somebody changed.
    var bytes = try folder.bytes("c.safetensors")
    bytes[bytes.count - 3] ^= 1
    try bytes.write(to: folder.url("bad.safetensors"))
    let bad = try folder.chorus(
      "predict", "--context", "bad.safetensors", "--model", "s.safetensors", "--at-file", "next.csv")
    #expect(bad.code == 65 && bad.output.isEmpty, "\(bad.errors)")
  }

  @Test("More columns than a series' rows tell apart are read as a table, and it is said")
  func tables() throws {
    let lines = try folder.read("shop.csv").split(separator: "\n").map(String.init)
    let shops = lines.enumerated().map { $0 == 0 ? "\($1),shop" : "\($1),s\($0 % 30)" }
    try folder.write("many.csv", shops.joined(separator: "\n") + "\n")
    let outcome = try folder.chorus(
      "predict", "many.csv", "--target", "sales", "--with", "promo,shop", "--samples", "20")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("'shop' has 30 levels: read as a table"), "\(outcome.errors)")
    #expect(outcome.rows.count == 6)
    let series = try folder.chorus(
      "predict", "many.csv", "--target", "sales", "--with", "promo,shop", "--model", "s.safetensors")
    #expect(series.code == 65 && series.errors.contains("has 30 levels"), "\(series.errors)")
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
