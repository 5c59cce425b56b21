import Foundation
import Testing

/// Files with more rows than the model reads, and with rows at some hours only.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct LongFileTests {
  let cases: CaseTests

  init() throws { cases = try CaseTests() }

  /// A value for each step, none at some of them.
  private static func rows(_ count: Int, without gaps: Set<Int>) -> String {
    "t,y\n"
      + (0..<count).map { step in
        let wave: Double = sin(Double(step) / 4)
        return "\(step)," + (gaps.contains(step) ? "" : "\(wave)") + "\n"
      }.joined()
  }

  /// What the program says of each step, line by line.
  private func found(_ gaps: Set<Int>) throws -> (lines: [String: String], errors: String) {
    let found = try cases.predict(
      Self.rows(2500, without: gaps), "--plan", "independent", "--samples", "20")
    let lines = found.output.split(separator: "\n").dropFirst().map(String.init)
    return (
      Dictionary(uniqueKeysWithValues: lines.map { (String($0.prefix { $0 != "," }), $0) }), found.errors
    )
  }

  @Test("A value more to be predicted elsewhere changes no byte of the others, and words say what was read")
  func leakage() throws {
    // The note counts sections: what is compared is all before it.
    func values(_ line: String?) -> String {
      (line ?? "").split(separator: ",").prefix(5).joined(separator: ",")
    }
    // A value that is asked for is not observed: all files lack those of both.
    let points = "t\n300\n2000\n2600\n"
    try cases.folder.write("few.csv", "t\n300\n")
    try cases.folder.write("more.csv", points)
    func asked(_ file: String) throws -> [String] {
      let outcome = try cases.predict(
        Self.rows(2500, without: [300, 2000]), "--at-file", file, "--plan", "independent", "--samples", "20")
      return outcome.output.split(separator: "\n").dropFirst().map(String.init)
    }
    let (few, more) = (try asked("few.csv"), try asked("more.csv"))
    #expect(few.count == 1 && more.count == 3)
    #expect(values(few.first) == values(more.first) && !values(few.first).isEmpty)
    let both = try found([300, 2000])
    #expect(values(both.lines["300"]) == values(few.first))
    #expect(
      both.errors.contains("note: of 2498 rows the 1024 around each point were read, in 2 sections")
        && both.errors.contains("rows were left out"), "\(both.errors)")
    let latest = try cases.predict(Self.rows(2500, without: []), "--horizon", "2")
    #expect(
      latest.errors.contains("note: of 2500 rows the latest 1024 were read; 1476 before them were left out"),
      "\(latest.errors)")
  }

  /// Half-hours of working days.
  private static func hours() -> String {
    "time,y\n"
      + (0..<12).flatMap { day in
        (0..<14).map { half -> String in
          let (hour, minute) = (9 + half / 2, half % 2 * 30)
          let level: Double = 40 + 8 * sin(Double(half) / 4)
          return
            "2024-03-\(day < 9 ? "0" : "")\(day + 1)T\(hour < 10 ? "0" : "")\(hour):\(minute == 0 ? "00" : "30"),\(level)\n"
        }
      }.joined()
  }

  @Test("Outside of the hours that rows have a word is said, and within them none")
  func hoursSeen() throws {
    let word = "outside the hours seen in 'time' (09:00 to 15:30)"
    let night = try cases.predict(Self.hours(), "--at", "2024-03-13T00:00")
    #expect(night.errors.contains("note: 1 point lies \(word)"), "\(night.errors)")
    let day = try cases.predict(Self.hours(), "--at", "2024-03-12T15:00..2024-03-12T17:00/30min")
    #expect(day.errors.contains("note: 3 points lie \(word)"), "\(day.errors)")
    for inside in [["--horizon", "14"], ["--at", "2024-03-13T09:00..2024-03-13T15:30/30min"]] {
      let found = try cases.predict(Self.hours(), inside)
      #expect(!found.errors.contains("outside the hours"), "\(found.errors)")
    }
    // Days have no hours.
    let days = "day,y\n" + (1...28).map { "2024-01-\($0 < 10 ? "0" : "")\($0),\($0 % 7)\n" }.joined()
    #expect(
      try !cases.predict(days, "--at", "2024-02-01T12:00").errors.contains("outside the hours"))
  }
}
