import ChorusTensors
import Foundation

/// An observer who hears and sees, and judges whether both have one cause (Körding et al. 2007; the experiment and the prior of
/// Hassan et al. 2026, App. D.2 and D.3).
///
/// Places are in degrees. A sound at s_A is heard at x_A ~ N(ρ s_A, ρ²σ_A²), a light at s_V is seen at x_V ~ N(s_V, σ_V²) with
/// σ_V one of three by how reliable the light is. The observer takes places to be N(0, σ_S²) and a common cause to have
/// probability p, and reports the average of both explanations, weighed by how probable each is given x_A and x_V. The answer is
/// N(report, σ_M²), or anything in ±45° with probability 0.02. ρ stretches what is heard; the observer does not know of it.
public struct CausalObserver: Sendable, Hashable {
  /// What the observer is asked to report.
  public enum Report: Int, Sendable, CaseIterable { case visual, auditory }

  /// What an observer is shown: places in degrees, and how reliable the light is, 0 (most) to 2.
  public struct Stimulus: Sendable, Hashable {
    public var heard: Double
    public var seen: Double
    public var level: Int

    /// - Precondition: `level` is within 0...2.
    public init(heard: Double, seen: Double, level: Int) {
      precondition(CausalObserver.levels.contains(level), "a light has one of three levels")
      (self.heard, self.seen, self.level) = (heard, seen, level)
    }
  }

  /// One answer of an observer.
  public struct Trial: Sendable, Hashable {
    public var stimulus: Stimulus
    public var report: Report
    public var answer: Double

    public init(_ stimulus: Stimulus, report: Report, answer: Double) {
      (self.stimulus, self.report, self.answer) = (stimulus, report, answer)
    }
  }

  /// Standard deviations σ_V of what is seen, by level.
  public var visualNoise: [Double]
  /// σ_A.
  public var auditoryNoise: Double
  /// σ_S.
  public var spread: Double
  /// σ_M.
  public var motorNoise: Double
  /// p, the probability of a common cause.
  public var common: Double
  /// ρ.
  public var stretch: Double

  public static let levels = 0...2
  /// Where sounds come from, in degrees.
  public static let soundPlaces = [-15.0, -10, -5, 0, 5, 10, 15]
  /// Where a light of its own may be.
  static let lightPlaces = -20.0...20.0
  static let lapse = 0.02
  static let answers = -45.0...45.0

  /// Parameters of an observer.
  public static let parameterCount = 7
  /// Each standardised parameter is a standard normal between −2 and 2.
  public static let parameterBound = 2.0

  /// The observer of standardised parameters: log σ_V low = 1.5 z₀; log σ_V medium = log low + 1 + z₁;
  /// log σ_V high = log medium + 0.75 + 0.5 z₂; log σ_A = 1.75 + 0.5 z₃; log σ_S = 2.5 + z₄; log σ_M = 0.5 z₅;
  /// logit p = 1.5 + 1.5 z₆.
  ///
  /// - Precondition: there are `parameterCount` of them.
  public init(standardised z: [Double], stretch: Double) {
    precondition(z.count == Self.parameterCount, "an observer has seven parameters")
    let low = 1.5 * z[0]
    let medium = low + 1 + z[1]
    visualNoise = [low, medium, medium + 0.75 + 0.5 * z[2]].map { exp($0) }
    auditoryNoise = exp(1.75 + 0.5 * z[3])
    spread = exp(2.5 + z[4])
    motorNoise = exp(0.5 * z[5])
    common = 1 / (1 + exp(-1.5 - 1.5 * z[6]))
    self.stretch = stretch
  }

  /// An observer drawn from the prior.
  public init(stretch: Double, from stream: inout RandomStream) {
    self.init(standardised: Self.standardised(from: &stream), stretch: stretch)
  }

  /// Standardised parameters drawn from the prior.
  public static func standardised(from stream: inout RandomStream) -> [Double] {
    (0..<parameterCount).map { _ in
      var z = stream.normal()
      while abs(z) > parameterBound { z = stream.normal() }
      return z
    }
  }

  /// A stimulus of the experiment: in half of the trials the light is where the sound is, else anywhere within ±20°.
  public static func stimulus(level: Int, from stream: inout RandomStream) -> Stimulus {
    let heard = soundPlaces[stream.below(soundPlaces.count)]
    let apart = stream.uniform() < 0.5
    return Stimulus(heard: heard, seen: apart ? stream.uniform(in: lightPlaces) : heard, level: level)
  }

  /// What the observer answers.
  public func answer(_ stimulus: Stimulus, _ report: Report, from stream: inout RandomStream) -> Double {
    let heard = stretch * (stimulus.heard + auditoryNoise * stream.normal())
    let seen = stimulus.seen + visualNoise[stimulus.level] * stream.normal()
    if stream.uniform() < Self.lapse { return stream.uniform(in: Self.answers) }
    let estimates = Judgement(self, level: stimulus.level).estimates(heard: heard, seen: seen)
    return (report == .visual ? estimates.visual : estimates.auditory) + motorNoise * stream.normal()
  }
}

/// How an observer judges percepts at one level: the closed forms of Körding et al. 2007.
struct Judgement {
  /// E[s | one cause] = onHeard·x_A + onSeen·x_V.
  let onHeard: Double
  let onSeen: Double
  /// E[s_A | two causes] = heardAlone·x_A, and the same of s_V.
  let heardAlone: Double
  let seenAlone: Double
  /// log odds of one cause = constant + heardSquare·x_A² + product·x_A x_V + seenSquare·x_V².
  private let constant: Double
  private let heardSquare: Double
  private let product: Double
  private let seenSquare: Double

  init(_ observer: CausalObserver, level: Int) {
    func square(_ x: Double) -> Double { x * x }
    let (a, v) = (square(observer.auditoryNoise), square(observer.visualNoise[level]))
    let s = square(observer.spread)
    let precision = 1 / a + 1 / v + 1 / s
    (onHeard, onSeen) = (1 / a / precision, 1 / v / precision)
    (heardAlone, seenAlone) = (s / (a + s), s / (v + s))
    // p(x | one cause) = exp(−[(x_A − x_V)² s + x_A² v + x_V² a] / 2D) / 2π√D with D = av + as + vs; with two causes x_A and
    // x_V are independent with variances a + s and v + s.
    let d = a * v + a * s + v * s
    heardSquare = -(s + v) / (2 * d) + 1 / (2 * (a + s))
    seenSquare = -(s + a) / (2 * d) + 1 / (2 * (v + s))
    product = s / d
    constant =
      log(observer.common / (1 - observer.common)) + 0.5 * (log(a + s) + log(v + s) - log(d))
  }

  /// The probability of one cause.
  @inline(__always)
  func one(heard: Double, seen: Double) -> Double {
    let odds =
      constant + heardSquare * heard * heard + product * heard * seen + seenSquare * seen * seen
    return 1 / (1 + exp(-odds))
  }

  @inline(__always)
  func estimates(heard: Double, seen: Double) -> (auditory: Double, visual: Double) {
    let one = one(heard: heard, seen: seen)
    let together = one * (onHeard * heard + onSeen * seen)
    return (together + (1 - one) * heardAlone * heard, together + (1 - one) * seenAlone * seen)
  }

  /// How fast both estimates change with what is heard, and with what is seen: the larger of both.
  func slopes(heard: Double, seen: Double) -> (heard: Double, seen: Double) {
    let one = one(heard: heard, seen: seen)
    let turn = one * (1 - one)
    let together = onHeard * heard + onSeen * seen
    let onHeardOdds = turn * (2 * heardSquare * heard + product * seen)
    let onSeenOdds = turn * (2 * seenSquare * seen + product * heard)
    let (auditory, visual) = (together - heardAlone * heard, together - seenAlone * seen)
    return (
      max(
        abs(one * onHeard + (1 - one) * heardAlone + onHeardOdds * auditory),
        abs(one * onHeard + onHeardOdds * visual)),
      max(
        abs(one * onSeen + onSeenOdds * auditory),
        abs(one * onSeen + (1 - one) * seenAlone + onSeenOdds * visual))
    )
  }
}
