import ChorusData
import ChorusTensors
import Foundation

/// A law over the levels of a category: probabilities by softmax of one raw number a level.
public struct CategoricalHead: Head {
  public let levels: Int
  public let map: FeedForward
  public var valueFeatures: Int { levels }

  /// One of the levels is 1, the others 0.
  public func describe(_ value: Float, into features: UnsafeMutablePointer<Float>) {
    for level in 0..<levels { features[level] = Int(value) == level ? 1 : 0 }
  }

  public init(_ width: Int, hidden: Int, levels: Int, _ scope: inout ParameterScope) {
    self.levels = levels
    map = FeedForward(
      width, hidden: hidden, levels, start: .fan(in: hidden, times: 0.1), bias: .zeros, &scope)
  }

  public func answer(_ raw: UnsafePointer<Float>, units: UnsafePointer<Double>?) -> Answer {
    Answer(law: Categorical(logits: (0..<levels).map { Double(raw[$0]) }))
  }

  public func loss(_ raw: Node, _ targets: Targets, on tape: Tape) -> (loss: Node, logDensities: [Float]) {
    tape.rowLoss(raw, weights: targets.weights) { parameters, gradient, logDensities in
      for row in 0..<raw.rows {
        let (own, slope) = (parameters + row * levels, gradient + row * levels)
        let law = Categorical(logits: (0..<levels).map { Double(own[$0]) })
        let level = min(max(Int(targets.values[row]), 0), levels - 1)
        logDensities[row] = Float(law.logDensity(.level(level)))
        for k in 0..<levels {
          slope[k] = targets.weights[row] * Float(exp(law.logProbabilities[k]) - (k == level ? 1 : 0))
        }
      }
    }
  }

  public struct Answer: ChorusLayers.Answer {
    public let law: Categorical
  }
}

extension CategoricalHead {
  /// What a blueprint says of it.
  public struct Specification: HeadSpecification {
    public static let name = "categorical"
    public var levels: Int

    public init(levels: Int) { self.levels = levels }

    enum CodingKeys: String, CodingKey, CaseIterable { case name, levels }

    public init(from decoder: any Decoder) throws {
      levels = try decoder.knownFields(CodingKeys.self).decode(Int.self, forKey: .levels)
    }

    public func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(levels, forKey: .levels)
    }

    public var fault: String? {
      (2...4096).contains(levels) ? nil : "levels is \(levels); it must be within 2...4096"
    }

    public func head(_ width: Int, hidden: Int, _ scope: inout ParameterScope) -> CategoricalHead {
      CategoricalHead(width, hidden: hidden, levels: levels, &scope)
    }
  }
}

extension HeadChoice {
  /// A category of that many levels.
  public static func categorical(levels: Int) -> HeadChoice {
    HeadChoice(CategoricalHead.Specification(levels: levels))
  }
}

/// The law of a category's level.
public struct Categorical: Predictive, Hashable {
  /// Logarithms of the levels' probabilities, normalised.
  public let logProbabilities: [Double]

  /// Softmax of one number a level.
  public init(logits: [Double]) {
    let top = logits.max() ?? 0
    let normaliser = top + log(logits.reduce(0) { $0 + exp($1 - top) })
    logProbabilities = logits.map { $0 - normaliser }
  }

  public var probabilities: [Double] { logProbabilities.map { exp($0) } }
  public var mean: Double { probabilities.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element } }

  public func logDensity(_ value: Value) -> Double {
    guard case .level(let level) = value, logProbabilities.indices.contains(level) else { return -.infinity }
    return logProbabilities[level]
  }

  public static func value(_ stored: Float) -> Value { .level(Int(stored)) }

  public func draw(from stream: inout RandomStream) -> Value {
    .level(Self.choose(probabilities, stream.uniform()))
  }

  public func divergence(from other: Categorical) -> Double {
    zip(probabilities, zip(logProbabilities, other.logProbabilities)).reduce(0) {
      $1.0 > 0 ? $0 + $1.0 * ($1.1.0 - $1.1.1) : $0
    }
  }

  /// Exact, in one draw: the positive parts of p − q are known level by level.
  public func residual(beyond draft: Categorical, from stream: inout RandomStream) -> Value {
    let rest = zip(probabilities, draft.probabilities).map { max($0 - $1, 0) }
    let total = rest.reduce(0, +)
    // Equal laws leave nothing beyond each other, up to rounding; then no draft is refused but by rounding.
    guard total > 0 else { return draw(from: &stream) }
    return .level(Self.choose(rest, stream.uniform() * total))
  }

  /// The level at which the running sum of `weights` first exceeds `point`.
  private static func choose(_ weights: [Double], _ point: Double) -> Int {
    var rest = point
    for (level, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return level }
    }
    return weights.lastIndex { $0 > 0 } ?? 0
  }
}
