import ChorusData
import ChorusTensors
import Foundation

/// A law over the levels of a category of any number of levels: one map, shared by all, makes of what is known of a level its
///
///     logit_c = log p_t,c + λ·(a_t log p_t,c + Σ_{e≠t} a_e,c (log p_e,c − log p_t,c) + f_c),   p = softmax_c(logit),
///
/// where p_e,c is what classical estimator e gives the level, told as units, t the trusted one, and a and f are free numbers: a logarithmic
/// pool whose weights depend on the row (Genest & Zidek 1986). Levels renumbered are levels renumbered in the law. A fresh head says
/// about what the trusted estimator says, however sure that is. λ, within 0 and 1, is how much of what was learned is believed; training
/// has 1, and at 0 the law is the trusted estimator's.
public struct LevelsHead: Head {
  /// Estimators that a logit is around.
  public let around: Int
  /// The one that a fresh head trusts.
  public let trusted: Int
  public let map: FeedForward
  public var takesNumbers: Bool { false }

  public init(_ width: Int, hidden: Int, around: Int, trusted: Int, _ scope: inout ParameterScope) {
    (self.around, self.trusted) = (around, trusted)
    map = FeedForward(width, hidden: hidden, around + 1, start: .fan(in: hidden, times: 0.02), &scope)
  }

  /// The logit of one level without what was learned, and what that adds.
  ///
  /// - Parameters:
  ///   - raw: of the level, `[around + 1]`.
  ///   - logs: the logarithm of what each estimator gives it.
  public func logit(_ raw: UnsafePointer<Float>, _ logs: (Int) -> Double) -> (base: Double, learned: Double) {
    let base = logs(trusted)
    let pooled = (0..<around).reduce(0.0) { $0 + Double(raw[$1]) * slope($1, logs) }
    return (base, pooled + Double(raw[around]))
  }

  /// The derivative of the logit by the weight of an estimator.
  private func slope(_ estimator: Int, _ logs: (Int) -> Double) -> Double {
    estimator == trusted ? logs(trusted) : logs(estimator) - logs(trusted)
  }

  /// The law of a row by what is known of each level.
  ///
  /// - Parameters:
  ///   - raw: `[levels, around + 1]`.
  ///   - units: `[levels, around]`, origin and scale; origins are logarithms of probabilities.
  ///   - unseen: the probability of one more level, of which nothing is known; none where it is 0.
  ///   - belief: λ.
  public func law(
    _ raw: UnsafePointer<Float>, _ units: UnsafePointer<Double>, levels: Int, unseen: Double,
    belief: Double = 1
  ) -> Answer {
    let logits = (0..<levels).map { level in
      let own = logit(raw + level * (around + 1)) { units[2 * (level * around + $0)] }
      return own.base + belief * own.learned
    }
    let seen = Categorical(logits: logits)
    guard unseen > 0 else { return Answer(law: seen) }
    return Answer(law: Categorical(logits: seen.logProbabilities.map { $0 + log1p(-unseen) } + [log(unseen)]))
  }

  /// The law of a row of which one level is known: that one, surely.
  public func answer(_ raw: UnsafePointer<Float>, units: UnsafePointer<Double>?) -> Answer {
    Answer(law: Categorical(logits: [0]))
  }

  /// - Parameters:
  ///   - raw: `[rows, levels · (around + 1)]`.
  ///   - targets: level numbers, and of each row and level `around` units. A value that is none of the levels has no loss.
  public func loss(_ raw: Node, _ targets: Targets, on tape: Tape) -> (loss: Node, logDensities: [Float]) {
    let (columns, units) = (around + 1, targets.units ?? [])
    let levels = raw.columns / columns
    let weights = targets.values.indices.map {
      Int(targets.values[$0]) < levels ? targets.weights[$0] : 0
    }
    return tape.rowLoss(raw, weights: weights) { parameters, gradient, logDensities in
      for row in 0..<raw.rows {
        let (own, slopes) = (parameters + row * raw.columns, gradient + row * raw.columns)
        func logs(_ level: Int) -> (Int) -> Double { { units[(row * levels + level) * around + $0].origin } }
        let law = Categorical(
          logits: (0..<levels).map { level in
            let (base, learned) = logit(own + level * columns, logs(level))
            return base + learned
          })
        let outcome = Int(targets.values[row])
        logDensities[row] = outcome < levels ? Float(law.logProbabilities[outcome]) : 0
        for level in 0..<levels {
          let off = weights[row] * Float(exp(law.logProbabilities[level]) - (level == outcome ? 1 : 0))
          for estimator in 0..<around {
            slopes[level * columns + estimator] = off * Float(slope(estimator, logs(level)))
          }
          slopes[level * columns + around] = off
        }
      }
    }
  }

  public typealias Answer = CategoricalHead.Answer
}

extension LevelsHead {
  /// What a blueprint says of it.
  public struct Specification: HeadSpecification {
    public static let name = "levels"
    public var around: Int
    public var trusted: Int

    public init(around: Int, trusted: Int) { (self.around, self.trusted) = (around, trusted) }

    enum CodingKeys: String, CodingKey, CaseIterable { case name, around, trusted }

    public init(from decoder: any Decoder) throws {
      let fields = try decoder.knownFields(CodingKeys.self)
      around = try fields.decode(Int.self, forKey: .around)
      trusted = try fields.decode(Int.self, forKey: .trusted)
    }

    public func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(around, forKey: .around)
      try fields.encode(trusted, forKey: .trusted)
    }

    public var fault: String? {
      guard (1...64).contains(around) else { return "around is \(around); it must be within 1...64" }
      return (0..<around).contains(trusted)
        ? nil : "trusted is \(trusted); it must be one of the \(around) estimators, from 0"
    }

    public func head(_ width: Int, hidden: Int, _ scope: inout ParameterScope) -> LevelsHead {
      LevelsHead(width, hidden: hidden, around: around, trusted: trusted, &scope)
    }
  }
}

extension HeadChoice {
  /// A category of any number of levels, each around what `around` estimators give it.
  public static func levels(around: Int, trusted: Int) -> HeadChoice {
    HeadChoice(LevelsHead.Specification(around: around, trusted: trusted))
  }
}
