import ChorusTables
import ChorusTensors
import Foundation

/// Measures how fast a file is read into columns of numbers, on one thread.
enum BenchReading {
  static let columns = [
    "file", "rows", "columns", "megabytes", "ms_min", "ms_median", "ms_max", "mb_per_s", "mb_per_s_max",
  ]

  /// - Parameter kept: the columns to keep, separated by commas; nil for all.
  static func run(_ file: String, kept: String?, repetitions: Int, format: TableFormat) throws {
    var options = TableOptions()
    options.expansionLimit = .max
    options.numbers = kept?.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    if options.numbers == nil { options.numbers = try Table.read(path: file, options: options).columns }
    guard let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? NSNumber else {
      throw TableError(.system, file, "has no size.")
    }
    let clock = ContinuousClock()
    var times: [Double] = []
    var rows = 0
    for _ in 0..<repetitions {
      // No table outlives its reading, so the process holds one at a time.
      let time = try clock.measure { rows = try Table.read(path: file, options: options).rowCount }
      times.append(time / .milliseconds(1))
    }
    let megabytes = size.doubleValue / 1e6
    let writer = try RowWriter(columns: columns, format: format, to: .standardOutput)
    try writer.write(
      [
        .text(file), .integer(rows), .integer(options.numbers?.count ?? 0), .rounded(megabytes, 1),
        .rounded(times.min() ?? .nan, 1), .rounded(median(times), 1), .rounded(times.max() ?? .nan, 1),
        .rounded(megabytes / median(times) * 1e3, 1), .rounded(megabytes / (times.min() ?? .nan) * 1e3, 1),
      ])
    try writer.finish()
  }
}
