import ChorusData
import ChorusTensors
import Foundation

/// A law of a number that is told by its quantiles at k/(Q + 1), k = 1 … Q, as TabICL's regressors tell it: uniform between
/// neighbours, exponential beyond the first and the last.
public struct QuantileHead: Head {
  public let count: Int
  public let map: FeedForward

  public init(_ width: Int, hidden: Int, count: Int, _ scope: inout ParameterScope) {
    self.count = count
    let normal = (1...count).map { Float(NormalQuantile.value(Double($0) / Double(count + 1))) }
    map = FeedForward(
      width, hidden: hidden, count, start: .fan(in: hidden, times: 0.1), bias: .values(normal), &scope)
  }

  public func answer(_ raw: UnsafePointer<Float>, units: UnsafePointer<Double>?) -> Answer {
    Answer(law: QuantileLaw((0..<count).map { Double(raw[$0]) }))
  }

  public func loss(_ raw: Node, _ targets: Targets, on tape: Tape) -> (loss: Node, logDensities: [Float]) {
    tape.rowLoss(raw, weights: targets.weights) { parameters, gradient, logDensities in
      for row in 0..<raw.rows {
        let (own, slope) = (parameters + row * count, gradient + row * count)
        slope.update(repeating: 0, count: count)
        let order = (0..<count).sorted { own[$0] < own[$1] }
        let law = QuantileLaw(order.map { Double(own[$0]) })
        let y = Double(targets.values[row])
        logDensities[row] = Float(law.logDensity(y))
        for (place, value) in law.slopes(y) {
          slope[order[place]] = -targets.weights[row] * Float(value)
        }
      }
    }
  }

  public struct Answer: ChorusLayers.Answer {
    public let law: QuantileLaw
  }
}

extension QuantileHead {
  /// What a blueprint says of it.
  public struct Specification: HeadSpecification {
    public static let name = "quantiles"
    public var count: Int

    public init(count: Int) { self.count = count }

    enum CodingKeys: String, CodingKey, CaseIterable { case name, count }

    public init(from decoder: any Decoder) throws {
      count = try decoder.knownFields(CodingKeys.self).decode(Int.self, forKey: .count)
    }

    public func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(count, forKey: .count)
    }

    public var fault: String? {
      (2...4096).contains(count) ? nil : "count is \(count); it must be within 2...4096"
    }

    public func head(_ width: Int, hidden: Int, _ scope: inout ParameterScope) -> QuantileHead {
      QuantileHead(width, hidden: hidden, count: count, &scope)
    }
  }
}

extension HeadChoice {
  /// So many quantiles of a number.
  public static func quantiles(_ count: Int) -> HeadChoice {
    HeadChoice(QuantileHead.Specification(count: count))
  }
}

/// The law with given quantiles at k/(Q + 1).
///
/// Between neighbours it is uniform. Each end has the mass 1/(Q + 1), which falls exponentially from the density that is next to it,
/// so the density has no jump there.
public struct QuantileLaw: ContinuousLaw, Hashable {
  /// Ascending, two or more.
  public let quantiles: [Double]

  /// - Parameter quantiles: in any order: where they cross, they are put into order.
  public init(_ quantiles: [Double]) { self.quantiles = quantiles.sorted() }

  /// The least width of a part, so that equal quantiles have a density.
  private static let least = 1e-6

  private var count: Int { quantiles.count }
  /// The mass of each part, and of each end.
  private var mass: Double { 1 / Double(count + 1) }
  private func width(_ part: Int) -> Double { max(quantiles[part + 1] - quantiles[part], Self.least) }
  private var left: Double { width(0) }
  private var right: Double { width(count - 2) }
  private var low: Double { quantiles[0] }
  private var high: Double { quantiles[count - 1] }

  /// The part between two quantiles in which y lies; the last that begins below it.
  private func part(_ y: Double) -> Int {
    var (first, end) = (0, count - 1)
    while end - first > 1 {
      let middle = (first + end) / 2
      if quantiles[middle] <= y { first = middle } else { end = middle }
    }
    return first
  }

  public func logDensity(_ y: Double) -> Double {
    if y.isNaN { return -.infinity }
    if y < low { return log(mass / left) - (low - y) / left }
    if y > high { return log(mass / right) - (y - high) / right }
    return log(mass / width(part(y)))
  }

  /// The slopes of log p(y) by those quantiles that it depends on.
  func slopes(_ y: Double) -> [(place: Int, value: Double)] {
    /// What a width w between two quantiles adds, −log w − distance/w, by w; none for one that is held.
    func slope(_ part: Int, _ distance: Double) -> Double {
      let w = width(part)
      return quantiles[part + 1] - quantiles[part] < Self.least ? 0 : -1 / w + distance / (w * w)
    }
    if y < low {
      let own = slope(0, low - y)
      return [(0, -own - 1 / left), (1, own)]
    }
    if y > high {
      let own = slope(count - 2, y - high)
      return [(count - 2, -own), (count - 1, own + 1 / right)]
    }
    let part = part(y)
    let own = slope(part, 0)
    return [(part, -own), (part + 1, own)]
  }

  public func cdf(_ y: Double) -> Double {
    if y < low { return mass * exp(-(low - y) / left) }
    if y > high { return 1 - mass * exp(-(y - high) / right) }
    let part = part(y)
    return mass * (Double(part + 1) + min((y - quantiles[part]) / width(part), 1))
  }

  public func quantile(_ level: Double) -> Double {
    guard !level.isNaN else { return .nan }
    if level <= mass { return level <= 0 ? -.infinity : low + left * log(level / mass) }
    if level >= 1 - mass { return level >= 1 ? .infinity : high - right * log((1 - level) / mass) }
    let place = level / mass - 1
    let part = min(Int(place), count - 2)
    return quantiles[part] + (place - Double(part)) * (quantiles[part + 1] - quantiles[part])
  }

  public func draw(from stream: inout RandomStream) -> Value { .number(quantile(stream.uniform())) }

  public var mean: Double {
    // The middles of the parts.
    let inner = quantiles.reduce(0, +) - (low + high) / 2
    return mass * (inner + (low - left) + (high + right))
  }

  public var variance: Double {
    let centre = mean
    var inner = 0.0
    for part in 0..<count - 1 {
      let (a, b) = (quantiles[part] - centre, quantiles[part + 1] - centre)
      inner += (a * a + a * b + b * b) / 3
    }
    func end(_ edge: Double, _ scale: Double) -> Double {
      (edge + scale) * (edge + scale) + scale * scale
    }
    return mass * (inner + end(centre - low, left) + end(high - centre, right))
  }

  /// ∫ (F(x) − 1{x ≥ y})² dx, part by part (Gneiting & Raftery 2007, eq. 20).
  public func crps(_ y: Double) -> Double {
    /// ∫ (m e^(−t/s))² dt from 0 to `to`, and ∫ (1 − m e^(−t/s))² dt.
    func tail(_ scale: Double, to distance: Double) -> Double {
      mass * mass * scale / 2 * (1 - exp(-2 * distance / scale))
    }
    func rest(_ scale: Double, to distance: Double) -> Double {
      distance - 2 * mass * scale * (1 - exp(-distance / scale)) + tail(scale, to: distance)
    }
    /// Of an end beyond its edge, in which y lies `distance` outside of it (0 for not at all).
    func end(_ scale: Double, _ distance: Double) -> Double {
      let whole = mass * mass * scale / 2
      return distance <= 0 ? whole : whole - tail(scale, to: distance) + rest(scale, to: distance)
    }
    var sum = end(left, low - y) + end(right, y - high)
    for part in 0..<count - 1 {
      let (a, b) = (quantiles[part], quantiles[part + 1])
      guard b > a else { continue }
      let (from, to) = (mass * Double(part + 1), mass * Double(part + 2))
      /// ∫ p² over the part of the levels between two, times the slope of x by the level.
      let slope = (b - a) / mass
      func integral(_ p: Double, _ q: Double) -> Double { slope * (q * q * q - p * p * p) / 3 }
      let share = min(max((y - a) / (b - a), 0), 1)
      let at = share * mass + from
      sum += integral(from, at) + integral(1 - to, 1 - at)
    }
    return sum
  }

  public func scaled(by scale: Double, offset: Double) -> QuantileLaw {
    QuantileLaw(quantiles.map { offset + scale * $0 })
  }
}
