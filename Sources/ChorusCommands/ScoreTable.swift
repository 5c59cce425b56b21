import ChorusEvaluation
import ChorusInference
import ChorusTables
import Foundation

/// The scores of held-out values: two lines for each repetition, by units, and two over all of them; of several series those
/// of each, and two over all series.
struct ScoreTable {
  /// What came of each series, with its name where there are several.
  let series: [(group: String?, results: [HeldOutScoring.Result])]
  /// The column that tells the series apart.
  let groupColumn: String?
  /// See `RepeatedMean`.
  let overlap: Double
  /// Whether every repetition has lines of its own.
  let lines: Bool

  enum Units: String, CaseIterable { case file, standardised }

  static let coverages = [0.5, 0.8, 0.9, 0.95]
  static let bins = 10

  /// The simple methods that are beside the model.
  var baselines = Baseline.ofSeries

  static func columns(_ baselines: [Baseline] = Baseline.ofSeries) -> [String] {
    var columns = ["repetition", "units", "context", "held_out", "targets"]
    func mean(_ name: String) { columns += [name, name + "_se"] }
    func difference(_ name: String) { columns += [name, name + "_se", name + "_low", name + "_high"] }
    mean("independent")
    mean("buffer")
    mean("reencode")
    difference("buffer_minus_independent")
    difference("reencode_minus_buffer")
    mean("crps")
    for name in ["energy", "variogram"] {
      mean(name + "_independent")
      mean(name + "_buffer")
      difference(name + "_buffer_minus_independent")
    }
    for coverage in coverages { mean("coverage_\(Int(coverage * 100))") }
    columns += (1...bins).map { "pit_\($0)" }
    columns += ["rmse", "mae", "mase", "r2"]
    for baseline in baselines {
      columns += ["rmse", "mae", "mase", "r2", "crps"].map { "\(baseline.rawValue)_\($0)" }
      difference("crps_minus_\(baseline.rawValue)")
    }
    return columns + ["note"]
  }

  var results: [HeldOutScoring.Result] { series.flatMap(\.results) }

  /// What to be careful about, each once.
  var notes: [String] {
    var seen: Set<String> = []
    return results.flatMap(\.notes).map(\.description).filter { seen.insert($0).inserted }
  }

  func write(_ format: TableFormat) throws {
    let writer = try RowWriter(
      columns: ((groupColumn.map { [.file($0)] } ?? []) + Self.columns(baselines).map(OutputName.own)).header,
      format: format, to: .standardOutput)
    func write(_ group: String?, _ label: Cell, _ results: [HeldOutScoring.Result]) throws {
      let key: [Cell] = groupColumn == nil ? [] : [group.map { .text($0) } ?? .missing]
      for units in Units.allCases { try writer.write(key + cells(label, units, results)) }
    }
    for (group, results) in series {
      if lines {
        for (index, result) in results.enumerated() { try write(group, .integer(index + 1), [result]) }
      }
      if groupColumn != nil { try write(group, .text("all"), results) }
    }
    try write(nil, .text("all"), results)
    try writer.finish()
  }

  private func cells(_ label: Cell, _ units: Units, _ results: [HeldOutScoring.Result]) -> [Cell] {
    func mean(_ value: (HeldOutScoring.Result) -> Double) -> [Cell] {
      let mean = RepeatedMean(results.map(value), overlap: overlap)
      return [.number(mean.mean), .number(mean.standardError)]
    }
    func difference(_ value: (HeldOutScoring.Result) -> Double) -> [Cell] {
      let mean = RepeatedMean(results.map(value), overlap: overlap)
      return [.number(mean.mean), .number(mean.standardError), .number(mean.low), .number(mean.high)]
    }
    // A density has one over the unit of the value, the other scores have the unit.
    func density(_ value: @escaping (HeldOutScoring.Result) -> Double) -> [Cell] {
      mean { value($0) + (units == .file ? 0 : log($0.scale)) }
    }
    func scaled(_ value: @escaping (HeldOutScoring.Result) -> Double) -> (HeldOutScoring.Result) -> Double {
      { value($0) / (units == .file ? 1 : $0.scale) }
    }
    func count(_ value: (HeldOutScoring.Result) -> Int) -> Cell {
      .number(RepeatedMean(results.map { Double(value($0)) }).mean)
    }
    var cells: [Cell] = [
      label, .text(units.rawValue), count { $0.split.context.count }, count { $0.split.held.count },
      count { $0.split.joint.count },
    ]
    cells += density { $0.independent } + density { $0.joint } + density { $0.reencode }
    cells += difference { $0.joint - $0.independent } + difference { $0.reencode - $0.joint }
    cells += mean(scaled { $0.crps.reduce(0, +) / Double($0.crps.count) })
    for score in [\HeldOutScoring.Result.energy, \.variogram] {
      cells += mean(scaled { $0[keyPath: score].independent }) + mean(scaled { $0[keyPath: score].joint })
      cells += difference(scaled { $0[keyPath: score].joint - $0[keyPath: score].independent })
    }
    for coverage in Self.coverages { cells += mean { $0.calibration.coverage([coverage])[0].observed } }
    let all = Calibration(levels: results.flatMap(\.calibration.levels))
    cells += all.counts(bins: Self.bins).map { .integer($0) }
    func single(_ value: @escaping (HeldOutScoring.Result) -> Double) -> Cell {
      .number(RepeatedMean(results.map(value)).mean)
    }
    func accuracy(_ own: @escaping (HeldOutScoring.Result) -> HeldOutScoring.Accuracy?) -> [Cell] {
      [
        single(scaled { own($0)?.rmse ?? .nan }), single(scaled { own($0)?.mae ?? .nan }),
        single { own($0)?.mase ?? .nan }, single { own($0)?.r2 ?? .nan },
      ]
    }
    cells += accuracy(\.accuracy)
    for baseline in baselines {
      cells += accuracy { $0.baselines[baseline] }
      cells.append(single(scaled { $0.baselines[baseline]?.crps ?? .nan }))
      cells += difference(scaled { $0.accuracy.crps - ($0.baselines[baseline]?.crps ?? .nan) })
    }
    let notes = results.count == 1 ? results[0].notes.map(\.description) : self.notes
    return cells + [notes.isEmpty ? .missing : .text(notes.joined(separator: "; "))]
  }

  /// One sentence on joint and independent draws.
  var verdict: String {
    let gain = RepeatedMean(results.map { $0.joint - $0.independent }, overlap: overlap)
    func text(_ value: Double) -> String { String(format: "%.3f", value) }
    let unit = lines ? "repetition" : "window"
    guard gain.mean.isFinite else {
      let none = results.count { $0.joint == -.infinity }
      guard none == 0 else {
        return "joint: values have density 0 in \(none) of \(results.count) \(unit)s, so there is no mean"
      }
      let joint = RepeatedMean(results.map(\.joint), overlap: overlap)
      guard joint.mean.isFinite else {
        return
          "held-out values have errors of their own, which are added to what is said of each; how values go together is scored by energy and variogram"
      }
      return
        "joint: \(text(joint.mean)) nats a value; this model predicts no value on its own to be compared with"
    }
    guard gain.margin.isFinite else {
      return
        "joint less independent: \(text(gain.mean)) nats a value in one \(unit); more of them give an interval"
    }
    let side =
      gain.low > 0 ? "joint is better" : gain.high < 0 ? "independent is better" : "no difference shown"
    return
      "joint less independent: \(text(gain.mean)) nats a value, 95 % interval \(text(gain.low)) to \(text(gain.high))"
      + " (paired t over \(results.count) \(unit)s): \(side)"
  }
}

/// How the claims about a number made of all held-out values came true.
struct ClaimTable {
  let functionals: [Functional]
  /// `[repetitions][functionals]`.
  let claims: [[(independent: HeldOutScoring.Claim?, joint: HeldOutScoring.Claim)]]
  let overlap: Double

  static let columns =
    ["functional", "draws", "repetitions"]
    + ScoreTable.coverages.flatMap { level -> [String] in
      let name = "coverage_\(Int(level * 100))"
      return [name, name + "_low", name + "_high"]
    }
    + [
      "width_90", "crps", "crps_se", "crps_minus_independent", "crps_minus_independent_se",
      "crps_minus_independent_low", "crps_minus_independent_high",
    ] + (1...ScoreTable.bins).map { "pit_\($0)" }

  func write(_ format: TableFormat) throws {
    let writer = try RowWriter(columns: Self.columns, format: format, to: .standardOutput)
    for (index, functional) in functionals.enumerated() {
      let independent = claims.compactMap { $0[index].independent }
      try writer.write(cells(functional, "joint", claims.map { $0[index].joint }, against: independent))
      if !independent.isEmpty {
        try writer.write(cells(functional, "independent", independent, against: independent))
      }
    }
    try writer.finish()
  }

  private func cells(
    _ functional: Functional, _ draws: String, _ own: [HeldOutScoring.Claim],
    against independent: [HeldOutScoring.Claim]
  ) -> [Cell] {
    let calibration = Calibration(levels: own.map(\.level))
    let crps = RepeatedMean(own.map(\.crps), overlap: overlap)
    let less = RepeatedMean(zip(own, independent).map { $0.crps - $1.crps }, overlap: overlap)
    var cells: [Cell] = [.text(functional.description), .text(draws), .integer(own.count)]
    for coverage in calibration.coverage(ScoreTable.coverages) {
      let range = Calibration.interval(share: coverage.observed, of: own.count)
      cells += [.number(coverage.observed), .number(range.lowerBound), .number(range.upperBound)]
    }
    cells += [
      .number(RepeatedMean(own.map(\.width)).mean), .number(crps.mean), .number(crps.standardError),
    ]
    cells +=
      draws == "independent" || independent.isEmpty
      ? [.missing, .missing, .missing, .missing]
      : [.number(less.mean), .number(less.standardError), .number(less.low), .number(less.high)]
    return cells + calibration.counts(bins: ScoreTable.bins).map { .integer($0) }
  }
}
