import ChorusReports
import Foundation

/// Measurements of a sweep beside the laws of the causal buffer (Hassan et al. 2026, appendix C): attention reads
/// N² + B(NK + K²) keys, rows cost the same each, and caches hold 2·L·d·(N + BK) numbers.
struct ScalingPicture {
  let sweep: Sweep
  let rows: [BenchRow]

  private var kinds: [String] {
    rows.map(\.what).reduce(into: []) { kinds, kind in if !kinds.contains(kind) { kinds.append(kind) } }
  }

  private func rows(_ kind: String) -> [BenchRow] { rows.filter { $0.what == kind } }
  private func sizes(_ rows: [BenchRow]) -> [Double] { rows.map { Double(sweep.size(of: $0)) } }

  private var axis: Axis {
    Axis(sweep.axis, scale: .log10, ticks: sweep.sizes.map(Double.init))
  }

  var figure: Figure {
    guard sweep != .threads else {
      return Figure(title: sweep.title, charts: [speedUp], columns: 1, caption: caption, width: 640)
    }
    return Figure(title: sweep.title, charts: [time, memory], columns: 2, caption: caption)
  }

  /// Medians with their spread; dashed, what the arithmetic takes at the best speed of the sweep.
  private var time: Chart {
    var series: [Series] = []
    for (index, kind) in kinds.enumerated() {
      let rows = rows(kind)
      let speed = rows.map { $0.flops / median($0.milliseconds) }.max() ?? 1
      series.append(
        .law(
          index == 0 ? "arithmetic at the best speed" : "", x: sizes(rows), y: rows.map { $0.flops / speed }))
      series.append(
        .law(index == 0 ? "its attention alone" : "", x: sizes(rows), y: rows.map { attention($0) / speed }))
      series[series.count - 1].opacity = 0.5
      series.append(
        Series(
          "",
          .intervals(
            zip(sizes(rows), rows).map { size, row in
              let times = row.milliseconds
              return .init(size, low: times.min() ?? .nan, high: times.max() ?? .nan)
            }), colour: .palette(index), labelling: .none))
      series.append(
        .points(kind, x: sizes(rows), y: rows.map { median($0.milliseconds) }, colour: .palette(index)))
    }
    return Chart(title: "Time", x: axis, y: Axis("time of a call", unit: "ms", scale: .log10), series: series)
  }

  /// Floating-point operations of scores and weighted sums, by the law: in all layers for what is asked, in all but
  /// the last for what is stored.
  private func attention(_ row: BenchRow) -> Double {
    let (n, k, b) = (Double(row.context), Double(row.targets), Double(row.paths))
    let (d, layers) = (Double(row.blueprint.width), Double(row.blueprint.layers))
    guard row.what != "encode" else { return 4 * d * (layers - 1) * n * n }
    // Every drawn value was a query and, but for the last, becomes a buffer row; both read what came before.
    let queries = k * n + k * (k - 1) / 2
    let stored = (k - 1) * n + k * (k - 1) / 2
    return 4 * d * b * (layers * queries + (layers - 1) * stored)
  }

  /// Growth of residence beside what caches hold, and what they would hold were the context copied for each path.
  private var memory: Chart {
    var series: [Series] = []
    for (index, kind) in kinds.enumerated() {
      let rows = rows(kind)
      let first = series.isEmpty
      series.append(
        .law(
          first ? "weights, context, all buffers" : "", x: sizes(rows), y: rows.map { Double($0.bytes) / 1e6 }
        ))
      if kind == "sample" {
        var copied = Series.law(
          "context copied for each path", x: sizes(rows), y: rows.map { copying($0) / 1e6 })
        copied.opacity = 0.5
        series.append(copied)
      }
      let measured = rows.filter { $0.measuredBytes != nil }
      series.append(
        .points(
          kind, x: sizes(measured), y: measured.map { Double($0.measuredBytes ?? 0) / 1e6 },
          colour: .palette(index)))
    }
    return Chart(
      title: "Memory", x: axis, y: Axis("growth of residence", unit: "MB", scale: .log10), series: series)
  }

  private func copying(_ row: BenchRow) -> Double {
    let numbers = 2 * row.blueprint.layers * row.blueprint.width * row.paths * row.context
    return Double(row.bytes) + 4 * Double(numbers)
  }

  private var speedUp: Chart {
    let counts = sweep.sizes.map(Double.init)
    var series: [Series] = [.law("as many times as threads", x: counts, y: counts)]
    for (index, kind) in kinds.enumerated() {
      let rows = rows(kind)
      let speeds = rows.map { $0.flops / median($0.milliseconds) }
      series.append(
        .line(kind, x: sizes(rows), y: speeds.map { $0 / (speeds.first ?? 1) }, colour: .palette(index)))
    }
    let peaks = rows(kinds.first ?? "").map { row in median(row.repetitions.map(\.peak)) }
    series.append(
      Series(
        "the probed peak", .line(zip(counts, peaks).map { .init($0, $1 / (peaks.first ?? 1)) }), colour: .ink)
    )
    return Chart(
      title: "Speed against one thread", x: Axis("threads", ticks: counts),
      y: Axis("speed", unit: "times", includesZero: true), series: series)
  }

  private var caption: String {
    let fixed =
      switch sweep {
      case .context: "sample: K = 16, B = 32."
      case .targets: "N = 256; sample: B = 32; density: 8 orders."
      case .paths: "N = 256, K = 32."
      case .orders: "N = 256, K = 16."
      case .threads: "N = 256; sample: K = 32, B = 128; density: K = 16, 128 orders; train: 16 tasks."
      }
    let blueprint = rows.first?.blueprint
    let shares = rows.flatMap(\.shares)
    return
      "Width \(blueprint?.width ?? 0), \(blueprint?.layers ?? 0) layers. \(fixed) Medians and the range of"
      + " \(rows.first?.repetitions.count ?? 0) repetitions at \(rounded(shares.min())) to"
      + " \(rounded(shares.max())) of the peak probed beside them."
  }

  private func rounded(_ value: Double?) -> String { value.map { "\((100 * $0).rounded() / 100)" } ?? "?" }
}
