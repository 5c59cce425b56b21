import ChorusTensors
import Foundation
import Testing

/// Shapes of files that tools of this kind have had trouble with, each as a kind: several sizes, units and seeds. What is right is
/// what a user would call right. Data are made here, and the shipped models are asked by the program.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct CaseTests {
  let folder: Folder

  init() throws { folder = try Folder() }

  // MARK: Seasons

  /// A clean wave goes on, however often it has been seen: it was lost from 104 cycles on, in silence.
  @Test(arguments: [(700, 7), (770, 7), (1100, 12), (2400, 24)])
  func manyCycles(rows: Int, period: Int) throws {
    func wave(_ t: Int) -> Double { sin(2 * .pi * Double(t) / Double(period)) }
    for (seed, unit) in [(UInt64(1), 1.0), (2, 1e4)] {
      var noise = RandomStream(seed: seed, .paths, UInt64(rows))
      let values = (0..<rows).map { unit * (wave($0) + 0.1 * noise.normal()) }
      let found = try predict(values, "--horizon", "\(2 * period)")
      let off = found.rows.indices.map { abs(found.rows[$0].median / unit - wave(rows + $0)) }
      #expect(off.reduce(0, +) / Double(off.count) < 0.05, "\(rows) rows, period \(period): \(off)")
      #expect(found.errors.contains("shows a period of \(period)"), "\(found.errors)")
    }
  }

  /// A pattern that repeats goes on as well as the last season says, behind whatever number of seasons and in any unit.
  @Test(arguments: [(210, 7, 0.1), (365, 7, 0.5), (48, 12, 0.3), (24, 4, 0), (240, 24, 0.1), (40, 5, 0)])
  func patterns(rows: Int, period: Int, slope: Double) throws {
    var (off, naive) = (0.0, 0.0)
    for (seed, unit) in [(UInt64(1), 1.0), (2, 1e-4), (3, 1e5)] {
      var stream = RandomStream(seed: seed, .paths, UInt64(rows + period))
      var pattern = (0..<period).map { _ in 30 * stream.normal() }
      pattern[period - 1] -= 120
      func clean(_ t: Int) -> Double { 100 + slope * Double(t) + pattern[t % period] }
      let values = (0..<rows).map { unit * (clean($0) + stream.normal()) }
      let found = try predict(values, "--horizon", "\(2 * period)")
      for step in 0..<2 * period {
        off += abs(found.rows[step].median / unit - clean(rows + step)) / Double(2 * period)
        naive += abs(values[rows - period + step % period] / unit - clean(rows + step)) / Double(2 * period)
      }
    }
    #expect(off <= max(naive, 3), "\(rows) rows, period \(period): \(off / 3) against \(naive / 3)")
  }

  /// Months that are 0 but for one in so many: spikes where they belong, nothing between, and surely so.
  @Test(arguments: [(6, 71.0), (4, 0.071), (12, 7100)])
  func spikesOfMonths(every: Int, height: Double) throws {
    for (name, day) in [("starts", "01"), ("middles", "15"), ("ends", "")] {
      let rows = (0..<48).map { month -> String in
        let (year, number) = (2020 + (month + 3) / 12, (month + 3) % 12 + 1)
        let text = day.isEmpty ? "\(Self.lastDay(year, number))" : day
        return "\(year)-\(number < 10 ? "0" : "")\(number)-\(text),\(month % every == 1 ? height : 0)"
      }
      let found = try predict("date,value\n" + rows.joined(separator: "\n") + "\n", "--horizon", "12")
      for (step, row) in found.rows.enumerated() {
        let expected = (48 + step) % every == 1 ? height : 0
        let what = Comment(rawValue: "\(name), every \(every): step \(step) is \(row)")
        #expect(abs(row.median - expected) < 0.1 * height, what)
        #expect(row.high - row.low < 0.2 * height, what)
      }
    }
  }

  private static func lastDay(_ year: Int, _ month: Int) -> Int {
    month == 2 ? (year % 4 == 0 ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  /// Quarters that grow with their season: a season of one year, and the next ones where they have to be.
  @Test func quarters() throws {
    for (seed, unit) in [(UInt64(1), 1.0), (2, 1000), (3, 0.01)] {
      var stream = RandomStream(seed: seed, .paths, 4)
      let pattern = [-6.0, 8, -2, 15]
      func clean(_ quarter: Int) -> Double { 122 + 2.6 * Double(quarter) + pattern[quarter % 4] }
      let rows = (0..<24).map { quarter in
        "\(2013 + quarter / 4)-\(["01", "04", "07", "10"][quarter % 4])-01,\(unit * (clean(quarter) + 2 * stream.normal()))"
      }
      let text = "quarter,sales\n" + rows.joined(separator: "\n") + "\n"
      let found = try predict(text, "--at", "2019-01-01..2020-10-01/3mo")
      #expect(found.rows.count == 8 && found.errors.contains("a period of 365.2 days"), "\(found.errors)")
      for (step, row) in found.rows.enumerated() {
        #expect(
          abs(row.median / unit - clean(24 + step)) < 0.06 * clean(24 + step), "quarter \(step): \(row)")
      }
      #expect(try predict(text, "--horizon", "8").rows == found.rows)
    }
  }

  // MARK: Values

  /// Demand that is often 0 is never foretold below, though nobody has said so.
  @Test(arguments: [UInt64(1), 2, 3])
  func intermittentDemand(seed: UInt64) throws {
    var stream = RandomStream(seed: seed, .paths, 11)
    let count = 60 + 40 * Int(seed)
    let plateau = (0..<count).map { day -> Double in
      let away = Double(abs(day % 30 - 14))
      return away < 3 ? 0 : max(0, (min(1, (away - 2) / 4) * 600 + 40 * stream.normal()).rounded())
    }
    let sporadic = (0..<count).map { _ in stream.uniform() < 0.7 ? 0 : (5 + 15 * stream.uniform()).rounded() }
    let weekdays = (0..<count).map { $0 % 7 > 4 ? 0.0 : (80 + 40 * stream.uniform()).rounded() }
    for (name, values) in [("plateau", plateau), ("sporadic", sporadic), ("weekdays", weekdays)] {
      for unit in [1.0, 1e-3] {
        let found = try predict(values.map { unit * $0 }, "--horizon", "30")
        #expect(found.rows.count == 30)
        for row in found.rows {
          #expect(row.low >= 0 && row.mean >= 0, "\(name) in units of \(unit): \(row)")
        }
      }
    }
  }

  /// A column that does not change is foretold to go on, by the same numbers in any unit, and with a word.
  @Test func constants() throws {
    let plain = try predict([Double](repeating: 1, count: 30), "--horizon", "4")
    for (value, text) in [
      (0.1, "0.1"), (1e-6, "1e-06"), (1e9, "1000000000"), (1e-300, "1e-300"), (1e300, "1e+300"),
    ] {
      let found = try predict([Double](repeating: value, count: 30), "--horizon", "4")
      #expect(found.errors.contains("column 'y' is constant: \(text) in all 30 rows"), "\(found.errors)")
      for (row, other) in zip(found.rows, plain.rows) {
        for (a, b) in zip(row.all, other.all) { #expect(abs(a / value - b) < 1e-5, "\(value): \(row)") }
        #expect(row.all.allSatisfy { abs($0 / value - 1) < 1e-4 }, "\(value): \(row)")
      }
    }
  }

  // MARK: What is asked for

  struct Row: Equatable {
    let mean, low, median, high: Double
    var all: [Double] { [mean, low, median, high] }
  }

  struct Found {
    let rows: [Row]
    let output: String
    let errors: String
  }

  func predict(_ values: [Double], _ more: String...) throws -> Found {
    try predict("t,y\n" + values.enumerated().map { "\($0),\($1)\n" }.joined(), more)
  }

  func predict(_ text: String, _ more: String...) throws -> Found { try predict(text, more) }

  func predict(_ text: String, _ more: [String]) throws -> Found {
    try folder.write("d.csv", text)
    let outcome = try folder.start(["predict", "d.csv", "--threads", "1", "--digits", "all"] + more).1()
    #expect(outcome.code == 0, "\(outcome.errors)")
    let header = outcome.rows.first ?? []
    let columns = ["mean", "q0.05", "q0.5", "q0.95"].map { header.firstIndex(of: $0) }
    let rows = outcome.rows.dropFirst().compactMap { cells -> Row? in
      let values = columns.compactMap { $0 }.compactMap { $0 < cells.count ? Double(cells[$0]) : nil }
      return values.count == 4
        ? Row(mean: values[0], low: values[1], median: values[2], high: values[3]) : nil
    }
    return Found(rows: rows, output: outcome.output, errors: outcome.errors)
  }
}
