import ChorusData
import ChorusTensors
import Foundation

/// A law over the levels of a category of any number of levels: one map, shared by all, makes of what is known of a level its
///
///     logit_c = log Σ_e w_c,e p_e,c + f_c,   w_c = softmax(raw weights),   p = softmax_c(logit),
///
/// where p_e,c is what classical estimators give the level, told as units, and f_c a free number. Levels renumbered are levels
/// renumbered in the law. A fresh head says about what its most trusted estimator says.
public struct LevelsHead: Head {
  /// Estimators that a logit is around.
  public let around: Int
  /// The one that a fresh head trusts.
  public let trusted: Int
  public let map: FeedForward
  public var takesNumbers: Bool { false }

  public init(_ width: Int, hidden: Int, around: Int, trusted: Int, _ scope: inout ParameterScope) {
    (self.around, self.trusted) = (around, trusted)
    let bias = (0..<around).map { $0 == trusted ? Self.trust : Float(0) } + [0]
    map = FeedForward(
      width, hidden: hidden, around + 1, start: .fan(in: hidden, times: 0.1), bias: .values(bias), &scope)
  }

  private static let trust: Float = 3

  /// The logit of one level, the weights of the estimators, and the responsibility of each.
  ///
  /// - Parameters:
  ///   - raw: of the level, `[around + 1]`.
  ///   - logs: the logarithm of what each estimator gives it.
  func logit(
    _ raw: UnsafePointer<Float>, _ logs: (Int) -> Double
  ) -> (value: Double, weights: [Double], responsibilities: [Double]) {
    let weights = Categorical(logits: (0..<around).map { Double(raw[$0]) }).logProbabilities
    let parts = (0..<around).map { weights[$0] + logs($0) }
    let top = parts.max() ?? 0
    let sum = parts.reduce(0) { $0 + exp($1 - top) }
    return (
      top + log(sum) + Double(raw[around]), weights.map { exp($0) }, parts.map { exp($0 - top) / sum }
    )
  }

  /// The law of a row by what is known of each level.
  ///
  /// - Parameters:
  ///   - raw: `[levels, around + 1]`.
  ///   - units: `[levels, around]`, origin and scale; origins are logarithms of probabilities.
  ///   - unseen: the probability of one more level, of which nothing is known; none where it is 0.
  public func law(
    _ raw: UnsafePointer<Float>, _ units: UnsafePointer<Double>, levels: Int, unseen: Double
  ) -> Answer {
    let logits = (0..<levels).map { level in
      logit(raw + level * (around + 1)) { units[2 * (level * around + $0)] }.value
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
        let (own, slope) = (parameters + row * raw.columns, gradient + row * raw.columns)
        let found = (0..<levels).map { level in
          logit(own + level * columns) { units[(row * levels + level) * around + $0].origin }
        }
        let law = Categorical(logits: found.map(\.value))
        let outcome = Int(targets.values[row])
        logDensities[row] = outcome < levels ? Float(law.logProbabilities[outcome]) : 0
        for level in 0..<levels {
          let off = weights[row] * Float(exp(law.logProbabilities[level]) - (level == outcome ? 1 : 0))
          for estimator in 0..<around {
            let apart = found[level].responsibilities[estimator] - found[level].weights[estimator]
            slope[level * columns + estimator] = off * Float(apart)
          }
          slope[level * columns + around] = off
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
