import ChorusTensors
import Foundation
import Testing

/// Files of which some rows are odd, or that say the same in another way: answers are those of the file that is meant.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct CaseRowsTests {
  let cases: CaseTests

  init() throws { cases = try CaseTests() }

  // MARK: Mistyped dates

  private func days(_ count: Int, from first: Int = 0, _ text: (Int, Int, Int) -> String) -> [String] {
    var stream = RandomStream(seed: 5, .paths, UInt64(count))
    return (first..<first + count).map { day in
      // Months of 28 days: dates that there are in every month.
      let (year, month, date) = (2011 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
      return text(year, month, date) + ",\((300 + 40 * Double(day % 7) + 20 * stream.normal()).rounded())"
    }
  }

  private static func iso(_ year: Int, _ month: Int, _ day: Int) -> String {
    "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
  }

  /// Rows far from the others and out of order move no byte of the answer, and are told.
  @Test(arguments: [("1911-03-05", 1), ("2111-03-05", 1), ("1951-12-31", 3)])
  func mistypedDates(odd: String, rows: Int) throws {
    let good = days(60, Self.iso)
    func text(_ rows: [String]) -> String { "when,used\n" + rows.joined(separator: "\n") + "\n" }
    let expected = try cases.predict(text(good), "--horizon", "10")
    let bad = [String](repeating: "\(odd),0", count: rows)
    let places = odd < "2000" ? [20, 60] : [20, 40]
    for place in places {
      let file = Array(good.prefix(place)) + bad + Array(good.dropFirst(place))
      let found = try cases.predict(text(file), "--horizon", "10")
      #expect(found.output == expected.output, "\(odd) at row \(place): \(found.errors)")
      #expect(
        found.errors.contains(
          rows == 1
            ? "note: one row lies far from the others and out of order in 'when': \(odd) (line \(place + 2)); it is taken"
            : "note: \(rows) rows lie far from the others and out of order in 'when', the first at \(odd) (from line \(place + 2)); they"
        ), "\(found.errors)")
    }
    // In order they may be meant, and are read.
    let sorted = (good + bad).sorted()
    let read = try cases.predict(text(sorted), "--at", "2011-06-01")
    #expect(!read.errors.contains("taken to be mistyped") && read.errors.contains("far from the others"))
  }

  @Test func mistypedDatesOfOneOfManySeries() throws {
    let good = days(40, Self.iso)
    let (a, b) = (good.map { $0 + ",a" }, good.map { $0 + ",b" })
    func file(_ rows: [String]) -> String { "when,used,shop\n" + rows.joined(separator: "\n") + "\n" }
    let expected = try cases.predict(file(a + b), "--group", "shop", "--horizon", "3")
    let found = try cases.predict(file(a + ["1911-01-05,7,a"] + b), "--group", "shop", "--horizon", "3")
    #expect(found.output == expected.output)
    #expect(
      found.errors.contains("group 'a': one row lies far") && !found.errors.contains("group 'b': one row"),
      "\(found.errors)")
  }

  // MARK: Clocks

  /// A recording is answered alike in seconds, in milliseconds since 1970 and as dates; to the bit where clocks are far from 0.
  @Test(arguments: [UInt64(1), 2, 3])
  func clocks(seed: UInt64) throws {
    var stream = RandomStream(seed: seed, .paths, 17)
    let times = (0..<60).map { _ in stream.below(1000) }.sorted()
    let values = times.map { (time: Int) -> Double in
      let wave: Double = sin(6 * Double.pi * Double(time) / 1000)
      return wave + 0.3 * stream.normal()
    }
    func file(_ time: (Int) -> String) -> String {
      "t,y\n" + zip(times, values).map { "\(time($0)),\($1)\n" }.joined()
    }
    func padded(_ time: Int) -> String { String(String(1000 + time % 1000).dropFirst()) }
    let asked = [1050, 1500]
    func seconds(_ time: Int) -> String { "\(time / 1000).\(padded(time))" }
    func since(_ time: Int) -> String { "\(1_700_000_000 + time / 1000).\(padded(time))" }
    func milliseconds(_ time: Int) -> String { "\(1_700_000_000_000 + time)" }
    func date(_ time: Int) -> String { "2024-01-01T12:00:0\(time / 1000).\(padded(time))" }
    for point in asked {
      let rows = try [seconds, since, milliseconds, date].map { clock in
        try cases.predict(file(clock), "--at", clock(point), "--samples", "400").rows
      }
      for other in rows.dropFirst(2) { #expect(other[0].all == rows[1][0].all, "at \(point)") }
      for other in rows.dropFirst() {
        let (a, b) = (rows[0][0], other[0])
        let width = a.high - a.low
        for (x, y) in zip(a.all, b.all) { #expect(abs(x - y) < 0.02 * width, "at \(point): \(a), \(b)") }
      }
    }
  }

  // MARK: Ties

  /// Rows of equal inputs may come in any order, for every shipped model.
  @Test(arguments: ["functions", "gp", "gp-noisy", "sawtooth"])
  func ties(model: String) throws {
    for seed in 1...2 {
      var stream = RandomStream(seed: UInt64(seed), .paths, 23)
      let rows = (0..<14).map {
        "\([0, 1, 2, 3, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10][$0] / 5.0 - 1),\(stream.normal())"
      }
      let swapped = [0, 1, 2, 4, 3, 5, 8, 6, 7, 9, 10, 11, 12, 13].map { rows[$0] }
      func found(_ rows: [String]) throws -> CaseTests.Row {
        try #require(
          cases.predict(
            "x,y\n" + rows.joined(separator: "\n") + "\n", "--input", "x", "--target", "y", "--at", "0.9",
            "--model", model
          ).rows.first)
      }
      let (a, b) = (try found(rows), try found(swapped))
      for (x, y) in zip(a.all, b.all) { #expect(abs(x - y) < 1e-3, "\(model): \(a), \(b)") }
    }
  }

  /// A table is read in an order of its own: tied rows, and whole rows, may come in any, to the byte.
  @Test func tiesOfATable() throws {
    for seed in 1...2 {
      var stream = RandomStream(seed: UInt64(seed), .paths, 29)
      let rows = (0..<16).map {
        "\($0 / 3),\(["red", "blue"][$0 % 2]),\((10 * stream.normal()).rounded() / 10)"
      }
      let swapped = [1, 0, 2, 5, 4, 3, 6, 8, 7, 9, 11, 10, 14, 13, 12, 15].map { rows[$0] }
      func found(_ rows: [String]) throws -> CaseTests.Found {
        try cases.predict(
          "a,b,y\n" + rows.joined(separator: "\n") + "\n2,red,\n4,blue,\n", "--model", "tables", "--target",
          "y")
      }
      let (one, other) = (try found(rows), try found(swapped))
      #expect(one.rows.count == 2 && one.output == other.output)
    }
  }
}
