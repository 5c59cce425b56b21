import ChorusEvaluation

/// What an experiment found: a row a column, number of targets and context size, and one over all context sizes.
public struct ExperimentTable: Sendable {
  public struct Row: Sendable {
    public let column: String
    public let size: Experiment.Size
    /// Nil for all context sizes.
    public let context: Int?
    public let seeds: Int
    /// Tasks, every context size and seed counted.
    public let functions: Int
    /// Nats a target. The error is over tasks, whose mean over seeds counts as one value; the spread between seeds is apart.
    public let logDensity: OracleComparison.Estimate
    /// Standard deviation of the seeds' means; nil for one seed.
    public let betweenSeeds: Double?
    /// The exact joint law's log density minus this, paired by task; nil without an oracle.
    public let toOracle: OracleComparison.Estimate?
    /// The paper's figure; it is over all context sizes.
    public let paper: Experiment.Figure?
    /// Seconds that it took.
    public let seconds: Double
  }

  public let rows: [Row]

  public init(_ experiment: Experiment, _ scores: [ExperimentRun.Scores]) {
    var rows: [Row] = []
    let names = [ExperimentRun.oracle, ExperimentRun.oracleIndependent] + experiment.columns.map(\.name)
    // Later lines replace earlier ones: a network that was trained on is scored anew.
    var newest: [String: ExperimentRun.Scores] = [:]
    func key(_ column: String, _ targets: Int, _ layout: String, _ context: Int, _ seed: UInt64) -> String {
      "\(column)|\(targets)|\(layout)|\(context)|\(seed)"
    }
    for score in scores {
      newest[key(score.column, score.targets, score.layout.rawValue, score.context, score.seed)] = score
    }
    let seeds = Set(scores.map(\.seed)).sorted()
    for size in experiment.evaluation.sizes {
      for name in names {
        var all: (values: [Double], gaps: [Double], seconds: Double, bySeed: [UInt64: [Double]]) = (
          [], [], 0, [:]
        )
        var count = 0
        for context in experiment.evaluation.contexts {
          let own = seeds.compactMap { newest[key(name, size.targets, size.layout.rawValue, context, $0)] }
          guard let first = own.first, own.allSatisfy({ $0.values.count == first.values.count }) else {
            continue
          }
          let values = first.values.indices.map { index in
            own.reduce(0) { $0 + $1.values[index] } / Double(own.count)
          }
          let oracle = newest[key(ExperimentRun.oracle, size.targets, size.layout.rawValue, context, 0)]?
            .values
          let gaps = oracle.map { zip($0, values).map { $0 - $1 } } ?? []
          let seconds = own.reduce(0) { $0 + $1.seconds }
          rows.append(
            Self.row(
              name, size, context, own.map(\.values), values, gaps, seconds, paper: nil))
          all.values += values
          all.gaps += gaps
          all.seconds += seconds
          for score in own { all.bySeed[score.seed, default: []] += score.values }
          count = max(count, own.count)
        }
        guard !all.values.isEmpty else { continue }
        rows.append(
          Self.row(
            name, size, nil, seeds.compactMap { all.bySeed[$0] }, all.values, all.gaps, all.seconds,
            paper: experiment.paper[size.key]?[name]))
      }
    }
    self.rows = rows
  }

  private static func row(
    _ name: String, _ size: Experiment.Size, _ context: Int?, _ bySeed: [[Double]], _ values: [Double],
    _ gaps: [Double], _ seconds: Double, paper: Experiment.Figure?
  ) -> Row {
    let means = bySeed.map { $0.reduce(0, +) / Double(max($0.count, 1)) }
    let mean = means.reduce(0, +) / Double(max(means.count, 1))
    let squares = means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return Row(
      column: name, size: size, context: context, seeds: bySeed.count,
      functions: bySeed.reduce(0) { $0 + $1.count }, logDensity: OracleComparison.Estimate(values),
      betweenSeeds: means.count > 1 ? (squares / Double(means.count - 1)).squareRoot() : nil,
      toOracle: gaps.isEmpty || name == ExperimentRun.oracle ? nil : OracleComparison.Estimate(gaps),
      paper: paper, seconds: seconds)
  }
}
