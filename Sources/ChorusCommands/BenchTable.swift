import ChorusModels
import ChorusTables
import ChorusTensors
import Foundation

/// One measurement.
struct BenchRow {
  let what: String
  let blueprint: Blueprint
  let threads: Int
  let context: Int
  let targets: Int
  let paths: Int
  let repetitions: [BenchClock.Repetition]
  let bandwidth: BenchClock.Bandwidth
  let flops: Double
  let nominal: Double
  let bytes: Int
  var measuredBytes: Int?
  var digest: UInt64?

  var milliseconds: [Double] { repetitions.map { $0.seconds * 1e3 } }
  var shares: [Double] { repetitions.map { flops / $0.seconds / $0.peak } }
}

/// Writes measurements, each as soon as it is there.
struct BenchTable {
  static let columns = [
    "what", "threads", "width", "layers", "heads", "context", "targets", "paths", "ms_min", "ms_median",
    "ms_max", "gflop", "gflop_nominal", "gflop_per_s", "peak_one_thread", "peak", "share", "share_min",
    "share_max", "share_processor", "read_one_thread", "read", "bytes", "bytes_measured", "digest",
  ]

  private let writer: RowWriter

  init(format: TableFormat, to destination: RowWriter.Destination = .standardOutput) throws {
    writer = try RowWriter(columns: Self.columns, format: format, to: destination)
  }

  func write(_ row: BenchRow) throws {
    try writer.write(cells(row))
    try writer.flush()
  }

  func finish() throws { try writer.finish() }

  private func cells(_ row: BenchRow) -> [Cell] {
    let times = row.milliseconds
    let shares = row.shares
    let byProcessor = row.repetitions.map { row.flops / $0.processorSeconds / $0.peakByProcessor }
    var cells: [Cell] = [.text(row.what)]
    cells += [
      row.threads, row.blueprint.width, row.blueprint.layers, row.blueprint.heads, row.context, row.targets,
      row.paths,
    ].map { .integer($0) }
    cells += [times.min() ?? .nan, median(times), times.max() ?? .nan].map { .rounded($0, 3) }
    cells += [
      .rounded(row.flops / 1e9, 4), .rounded(row.nominal / 1e9, 4),
      .rounded(row.flops / median(times) / 1e6, 2),
      .rounded(median(row.repetitions.map(\.single)) / 1e9, 2),
      .rounded(median(row.repetitions.map(\.peak)) / 1e9, 2),
    ]
    cells += [median(shares), shares.min() ?? .nan, shares.max() ?? .nan, median(byProcessor)].map {
      .rounded($0, 4)
    }
    cells += [row.bandwidth.single, row.bandwidth.all].map { .rounded($0 / 1e9, 1) }
    cells += [
      .integer(row.bytes), row.measuredBytes.map { .integer($0) } ?? .missing,
      row.digest.map { .text(String($0, radix: 16)) } ?? .missing,
    ]
    return cells
  }
}

extension Cell {
  /// `value` with at most `digits` digits after the point.
  static func rounded(_ value: Double, _ digits: Int) -> Cell {
    let scale = pow(10, Double(digits))
    return .number((value * scale).rounded() / scale)
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  let half = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}
