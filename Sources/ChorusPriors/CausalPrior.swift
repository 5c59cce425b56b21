import ChorusTensors

/// Answers of observers who hear and see (`CausalObserver`): a task is one observer, drawn from the prior of Hassan et al. 2026,
/// D.3; its rows are trials.
///
/// Inputs are the report asked for (0 visual, 1 auditory), s_A, s_V and the light's level (0, 1, 2); the output is the answer.
/// Places and answers are in units of ten degrees, since the network of an empty context has no unit of its own: a log density
/// in degrees is log 10 = 2.303 less a trial.
public struct CausalPrior: Prior {
  public let name: String
  public let dimensions = 4...4
  public var keepsColumns: Bool { true }
  /// ρ: how much farther out sounds are heard than they are.
  public let stretch: Double

  /// Degrees in a unit of places and answers.
  public static let degrees = 10.0

  /// `causal`: ρ = 1.
  public static let plain = CausalPrior(name: "causal", stretch: 1)
  /// `causal-wide`: ρ = 4/3.
  public static let wide = CausalPrior(name: "causal-wide", stretch: 4.0 / 3)

  public init(name: String, stretch: Double) {
    self.name = name
    self.stretch = stretch
  }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions)
    let observer = CausalObserver(stretch: stretch, from: &stream)
    var (x, y) = ([Double](), [Double]())
    for _ in 0..<shape.rows {
      let stimulus = CausalObserver.stimulus(level: stream.below(3), from: &stream)
      let report: CausalObserver.Report = stream.below(2) == 0 ? .visual : .auditory
      let trial = CausalObserver.Trial(
        stimulus, report: report, answer: observer.answer(stimulus, report, from: &stream))
      x += Self.input(trial)
      y.append(trial.answer / Self.degrees)
    }
    return PriorTask(shape: shape, x: x, y: y, component: name)
  }

  /// The inputs of a trial as tasks of this prior have them.
  public static func input(_ trial: CausalObserver.Trial) -> [Double] {
    [
      Double(trial.report.rawValue), trial.stimulus.heard / degrees, trial.stimulus.seen / degrees,
      Double(trial.stimulus.level),
    ]
  }

  /// `count` trials of one observer in random order, the six cells of level and report as even as can be: what a participant's
  /// data set is cut to in the paper.
  public static func stratified(
    _ count: Int, by observer: CausalObserver, from stream: inout RandomStream
  ) -> [CausalObserver.Trial] {
    let cells = CausalObserver.levels.flatMap { level in
      CausalObserver.Report.allCases.map { (level: level, report: $0) }
    }
    // Which cells have the trials that are left over is drawn too.
    let order = stream.permutation(cells.count)
    var trials = (0..<count).map { index in
      let cell = cells[order[index % cells.count]]
      let stimulus = CausalObserver.stimulus(level: cell.level, from: &stream)
      return CausalObserver.Trial(
        stimulus, report: cell.report, answer: observer.answer(stimulus, cell.report, from: &stream))
    }
    stream.shuffle(&trials)
    return trials
  }
}
