import Foundation

/// Trials of one observer, those with the same stimulus together: their percepts follow one law, and the integral over it is done
/// once for all answers to it.
public struct CausalTrials: Sendable {
  struct Group: Sendable {
    let stimulus: CausalObserver.Stimulus
    var answers: [(report: CausalObserver.Report, value: Double)]
  }

  let groups: [Group]
  public let count: Int

  public init(_ trials: [CausalObserver.Trial]) {
    var groups: [Group] = []
    var places: [CausalObserver.Stimulus: Int] = [:]
    for trial in trials {
      let place = places[trial.stimulus, default: groups.count]
      if place == groups.count {
        places[trial.stimulus] = place
        groups.append(Group(stimulus: trial.stimulus, answers: []))
      }
      groups[place].answers.append((trial.report, trial.answer))
    }
    self.groups = groups
    count = trials.count
  }
}

extension CausalObserver {
  /// log p(answers | stimuli, parameters) in nats, answers in degrees.
  public func logLikelihood(_ trials: CausalTrials) -> Double {
    trials.groups.reduce(0) { sum, group in
      densities(of: group.answers, to: group.stimulus).reduce(sum) { $0 + log($1) }
    }
  }

  /// log p(answer) of each trial.
  public func logDensities(of trials: [Trial]) -> [Double] {
    trials.map { log(densities(of: [($0.report, $0.answer)], to: $0.stimulus)[0]) }
  }

  /// How far percepts are followed, in standard deviations: e^(−5.2²/2) of them, 1.3e-6, lie beyond.
  private static let reach = 5.2
  /// Most points of a grid: beyond them its spacing is widened.
  private static let mostPoints = 4_000_000.0

  /// Densities of answers to one stimulus, by the trapezoidal rule over what is heard and seen.
  ///
  /// The integrand is a product of Gaussians where estimates are linear in the percepts, and for those the rule's error falls as
  /// exp(−2π²/h²) with the spacing h in standard deviations of the product. The steepest slope of the estimates, looked for on a
  /// coarse grid, tells the narrowest product. h = 1.3 of it keeps log densities within 1e-4 of a grid twice as fine.
  func densities(of answers: [(report: Report, value: Double)], to stimulus: Stimulus) -> [Double] {
    let judgement = Judgement(self, level: stimulus.level)
    let heardNoise = stretch * auditoryNoise
    let seenNoise = visualNoise[stimulus.level]
    let heardCentre = stretch * stimulus.heard
    let spacing = spacing(judgement, stimulus)
    let (heardSteps, seenSteps) = (Int(Self.reach / spacing.heard), Int(Self.reach / spacing.seen))
    let weights = (-heardSteps...heardSteps).map { exp(-0.5 * pow(Double($0) * spacing.heard, 2)) }
    let precision = 1 / motorNoise
    var sums = [Double](repeating: 0, count: answers.count)
    var total = 0.0
    for row in -seenSteps...seenSteps {
      let along = Double(row) * spacing.seen
      let seen = stimulus.seen + seenNoise * along
      let weight = exp(-0.5 * along * along)
      let steps = min(
        Int((Self.reach * Self.reach - along * along).squareRoot() / spacing.heard), heardSteps)
      for column in -steps...steps {
        let heard = heardCentre + heardNoise * Double(column) * spacing.heard
        let estimates = judgement.estimates(heard: heard, seen: seen)
        let own = weight * weights[column + heardSteps]
        total += own
        for (index, answer) in answers.enumerated() {
          let estimate = answer.report == .visual ? estimates.visual : estimates.auditory
          let distance = (answer.value - estimate) * precision
          let square = distance * distance
          if square < 1400 { sums[index] += own * exp(-0.5 * square) }
        }
      }
    }
    let scale = (1 - Self.lapse) * precision / (2 * Double.pi).squareRoot() / total
    let width = Self.answers.upperBound - Self.answers.lowerBound
    return zip(answers, sums).map { answer, sum in
      // An answer that nothing explains is all but impossible, and no more than that, so that log densities are finite.
      max(sum * scale + (Self.answers.contains(answer.value) ? Self.lapse / width : 0), .leastNormalMagnitude)
    }
  }

  /// The spacing of the grid, in standard deviations of what is heard and seen.
  private func spacing(_ judgement: Judgement, _ stimulus: Stimulus) -> (heard: Double, seen: Double) {
    var steepest = (heard: 0.0, seen: 0.0)
    let (heardNoise, seenNoise) = (stretch * auditoryNoise, visualNoise[stimulus.level])
    for row in -6...6 {
      for column in -6...6 {
        let slopes = judgement.slopes(
          heard: stretch * stimulus.heard + heardNoise * Double(column) * 0.6,
          seen: stimulus.seen + seenNoise * Double(row) * 0.6)
        steepest = (max(steepest.heard, slopes.heard), max(steepest.seen, slopes.seen))
      }
    }
    func step(_ slope: Double) -> Double { 1.3 / (1 + slope * slope).squareRoot() }
    var spacing = (
      heard: step(steepest.heard * heardNoise / motorNoise),
      seen: step(steepest.seen * seenNoise / motorNoise)
    )
    let points = pow(2 * Self.reach, 2) / (spacing.heard * spacing.seen)
    if points > Self.mostPoints {
      let wider = (points / Self.mostPoints).squareRoot()
      spacing = (spacing.heard * wider, spacing.seen * wider)
    }
    return spacing
  }
}
