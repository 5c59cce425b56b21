import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("Multisensory causal inference")
struct CausalTests {
  typealias Observer = CausalObserver

  /// The middle of the prior, and observers whose percepts or answers are much sharper or much broader.
  static let observers: [[Double]] = [
    [0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, -1.8, 0], [-1.8, -1, 0, -1.5, 1, 0, 1.5],
    [1.9, 1.9, 1.9, 1.9, 1.9, -1.9, -1.9], [0.3, -0.5, 0.4, 0.6, -1.9, 1.8, 0.9],
  ]
  static let stimuli = [
    Observer.Stimulus(heard: 5, seen: 5, level: 0), Observer.Stimulus(heard: -15, seen: 12.5, level: 1),
    Observer.Stimulus(heard: 10, seen: 2.25, level: 2),
  ]

  @Test("The probability of one cause is that of integrals over the places", arguments: observers)
  func judgement(z: [Double]) {
    let observer = Observer(standardised: z, stretch: 1)
    func normal(_ x: Double, _ deviation: Double) -> Double {
      exp(-0.5 * x * x / deviation / deviation) / deviation
    }
    for (heard, seen) in [(3.0, 4.0), (-12, 9), (20, -1)] {
      let (a, v, s) = (observer.auditoryNoise, observer.visualNoise[1], observer.spread)
      // Sums over places of what one cause, a sound alone and a light alone would give.
      var (together, sound, light, place) = (0.0, 0.0, 0.0, 0.0)
      let narrow = 1 / (1 / a / a + 1 / v / v + 1 / s / s).squareRoot()
      let step = narrow / 8
      for i in Int(-9 * s / step)...Int(9 * s / step) {
        let x = Double(i) * step
        let both = normal(heard - x, a) * normal(seen - x, v) * normal(x, s)
        together += both * step
        place += both * step * x
        sound += normal(heard - x, a) * normal(x, s) * step
        light += normal(seen - x, v) * normal(x, s) * step
      }
      // The factors 1/√2π: three in one cause, four in two.
      let one = observer.common * together
      let two = (1 - observer.common) * sound * light / (2 * Double.pi).squareRoot()
      let judged = Judgement(observer, level: 1)
      let expected = one / (one + two)
      #expect(abs(judged.one(heard: heard, seen: seen) - expected) < 1e-6)
      #expect(abs(judged.onHeard * heard + judged.onSeen * seen - place / together) < 1e-6 * s)
    }
  }

  @Test("Densities agree with Monte Carlo", arguments: observers, [1, 4.0 / 3])
  func monteCarlo(z: [Double], stretch: Double) {
    let observer = Observer(standardised: z, stretch: stretch)
    var stream = RandomStream(seed: 17)
    let draws = 40_000
    for stimulus in Self.stimuli {
      let answers = Observer.Report.allCases.flatMap { report in
        (0..<2).map { _ in (report, observer.answer(stimulus, report, from: &stream)) }
      }
      let densities = observer.densities(of: answers, to: stimulus)
      let judgement = Judgement(observer, level: stimulus.level)
      var (sums, squares) = ([Double](repeating: 0, count: 4), [Double](repeating: 0, count: 4))
      for _ in 0..<draws {
        let estimates = judgement.estimates(
          heard: stretch * (stimulus.heard + observer.auditoryNoise * stream.normal()),
          seen: stimulus.seen + observer.visualNoise[stimulus.level] * stream.normal())
        for (index, answer) in answers.enumerated() {
          let estimate = answer.0 == .visual ? estimates.visual : estimates.auditory
          let distance = (answer.1 - estimate) / observer.motorNoise
          let density = exp(-0.5 * distance * distance) / observer.motorNoise / (2 * Double.pi).squareRoot()
          sums[index] += density
          squares[index] += density * density
        }
      }
      for index in answers.indices {
        let mean = sums[index] / Double(draws)
        let error = ((squares[index] / Double(draws) - mean * mean) / Double(draws)).squareRoot()
        let lapse = abs(answers[index].1) <= 45 ? 0.02 / 90 : 0
        let difference = abs(densities[index] - 0.98 * mean - lapse)
        #expect(difference < 4.5 * error + 1e-6, "\(stimulus) \(answers[index])")
        #expect(difference < 1e-3 + 4.5 * max(error - 2e-4, 0))
      }
    }
  }

  @Test("The density of all answers is one, and simulated answers follow it", arguments: observers)
  func wholeDensity(z: [Double]) {
    let observer = Observer(standardised: z, stretch: 4.0 / 3)
    let stimulus = Self.stimuli[1]
    var stream = RandomStream(seed: 5)
    let step = observer.motorNoise / 4
    let reach = 45 + 9 * observer.motorNoise + 6 * max(observer.visualNoise[1], 2 * observer.auditoryNoise)
    let count = Int(2 * min(reach, 400) / step)
    let answers = (0..<count).map {
      (Observer.Report.auditory, (Double($0) - 0.5 * Double(count) + 0.5) * step)
    }
    let densities = observer.densities(of: answers, to: stimulus)
    #expect(abs(densities.reduce(0, +) * step - 1) < 2e-3)
    let draws = 4000
    let drawn = (0..<draws).map { _ in observer.answer(stimulus, .auditory, from: &stream) }
    for edge in [-25.0, -15, -5, 5] {
      let expected = zip(answers, densities).reduce(0) { $1.0.1 < edge ? $0 + $1.1 * step : $0 }
      let found = Double(drawn.count { $0 < edge }) / Double(draws)
      #expect(abs(found - expected) < 0.04, "below \(edge)")
    }
  }

  @Test("Trials of one stimulus together are worth what they are one by one")
  func grouping() {
    let observer = Observer(standardised: Self.observers[0], stretch: 1)
    var stream = RandomStream(seed: 3)
    let trials = CausalPrior.stratified(40, by: observer, from: &stream)
    let sum = observer.logDensities(of: trials).reduce(0, +)
    #expect(abs(observer.logLikelihood(CausalTrials(trials)) - sum) < 1e-9 * abs(sum))
    #expect(CausalTrials(trials).count == 40)
  }

  @Test("Data sets are cut evenly over levels and reports")
  func stratified() {
    var stream = RandomStream(seed: 8)
    let observer = Observer(stretch: 1, from: &stream)
    let trials = CausalPrior.stratified(400, by: observer, from: &stream)
    let cells = Dictionary(grouping: trials) { "\($0.stimulus.level) \($0.report)" }
    #expect(cells.count == 6 && cells.values.allSatisfy { [66, 67].contains($0.count) })
    let together = trials.count { $0.stimulus.heard == $0.stimulus.seen }
    #expect((150...250).contains(together))
    #expect(trials.allSatisfy { CausalObserver.soundPlaces.contains($0.stimulus.heard) })
  }

  @Test("A task has four columns that keep their places, in tens of degrees; its context may be empty")
  func prior() throws {
    let prior = try Priors.named("causal-wide")
    #expect(prior.keepsColumns && !GPPrior.gp.keepsColumns)
    let task = try TaskGenerator(prior, seed: 1).task(
      0, step: 0, shape: .init(context: 0, targets: 200, dimensions: 4))
    #expect(task.x.count == 800 && task.y.allSatisfy { abs($0) < 40 })
    let columns = (0..<4).map { column in Set((0..<200).map { task.x[4 * $0 + column] }) }
    #expect(columns[0] == [0, 1] && columns[3] == [0, 1, 2])
    #expect(columns[1] == Set(CausalObserver.soundPlaces.map { $0 / 10 }))
    #expect(columns[2].allSatisfy { abs($0) <= 2 })
    #expect(throws: PriorError.dimensions(asked: 1, supported: 4...4)) {
      try TaskGenerator(prior, seed: 1).task(0, step: 0, shape: .init(context: 1, targets: 1))
    }
  }
}
