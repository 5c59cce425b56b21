import CChorusKernels
import ChorusData
import ChorusTensors
import Foundation

/// A mixture of Gaussians (Hassan et al. 2026, D.1): raw numbers are logits | means | raw scales, with standard deviation
/// softplus(raw) + floor. The first `around` components are in the units that hints have for the row, as many in each.
public struct MixtureHead: Head {
  public let components: Int
  /// Components around hints' values, in the units of their errors; the others are in the network's units.
  public let around: Int
  /// Units that a row has: the first of the components around hints are in the first, and so on.
  public let units: Int
  /// Least standard deviation of a component, in its unit.
  public let floor: Float
  public let map: FeedForward

  public init(
    _ width: Int, hidden: Int, components: Int, around: Int, units: Int = 1, floor: Float,
    _ scope: inout ParameterScope
  ) {
    self.components = components
    self.around = around
    self.units = units
    self.floor = floor
    map = FeedForward(
      width, hidden: hidden, 3 * components, start: .fan(in: hidden, times: 0.1),
      bias: .values(
        units == 1 ? Self.start(components, around) : Self.start(components, around, units: units)), &scope)
  }

  /// Biases at the start: components around a hint are as many sizes of one bell, from a twentieth of its unit to ten of it;
  /// the others lie evenly over [-1, 1].
  private static func start(_ count: Int, _ around: Int) -> [Float] {
    var values = [Float](repeating: 0, count: 3 * count)
    for c in 0..<around {
      let deviation = 0.05 * pow(200, Double(c) / Double(max(around - 1, 1)))
      values[2 * count + c] = Float(log(expm1(deviation)))
    }
    let spread = count - around
    let spacing = spread > 1 ? 2 / Double(spread - 1) : 1
    for c in 0..<spread {
      values[count + around + c] = spread > 1 ? Float(-1 + spacing * Double(c)) : 0
      values[2 * count + around + c] = Float(log(exp(spacing / 2) - 1))
    }
    return values
  }

  /// The same around several hints: near each a narrow bell, a plain one, and one to either side; the others lie evenly over
  /// [-1.5, 1.5] and begin with little weight.
  private static func start(_ count: Int, _ around: Int, units: Int) -> [Float] {
    var values = [Float](repeating: 0, count: 3 * count)
    let bells = [(0.0, 0.41), (0, 1.1), (-0.7, 0.82), (0.7, 0.82)]
    for c in 0..<around {
      let (mean, deviation) = bells[c % (around / units) % bells.count]
      values[count + c] = Float(mean)
      values[2 * count + c] = Float(log(expm1(deviation)))
    }
    let spread = count - around
    for c in 0..<spread {
      values[around + c] = -2.5
      values[count + around + c] = spread > 1 ? Float(-1.5 + 3 * Double(c) / Double(spread - 1)) : 0
      values[2 * count + around + c] = Float(log(expm1(5 / Double(spread))))
    }
    return values
  }

  public func answer(_ raw: UnsafePointer<Float>, units: UnsafePointer<Double>?) -> Answer {
    Answer(
      raw: raw, components: components, around: units == nil ? 0 : around, count: self.units, floor: floor,
      units: units)
  }

  public func loss(_ raw: Node, _ targets: Targets, on tape: Tape) -> (loss: Node, logDensities: [Float]) {
    let units = targets.units ?? []
    let own = units.indices.map { Float(units[$0].scaled(Double(targets.values[$0 / self.units]))) }
    let logUnits = units.map { Float(log($0.scale)) }
    return tape.rowLoss(raw, weights: targets.weights) { parameters, gradient, logDensities in
      var arguments = ck_mixture_args()
      (arguments.rows, arguments.components) = (Int32(raw.rows), Int32(components))
      (arguments.params, arguments.dparams, arguments.floor) = (parameters, gradient, floor)
      arguments.local = units.isEmpty ? 0 : Int32(around)
      arguments.units = Int32(self.units)
      arguments.logp = logDensities
      targets.values.withUnsafeBufferPointer { y in
        targets.weights.withUnsafeBufferPointer { weights in
          own.withUnsafeBufferPointer { own in
            logUnits.withUnsafeBufferPointer { logUnits in
              (arguments.y, arguments.weight) = (y.baseAddress, weights.baseAddress)
              (arguments.own_y, arguments.log_unit) = (own.baseAddress, logUnits.baseAddress)
              ck_mixture(&arguments)
            }
          }
        }
      }
    }
  }

  /// The raw numbers of one row.
  public struct Answer: ChorusLayers.Answer {
    let raw: UnsafePointer<Float>
    let components: Int
    let around: Int
    /// Units of the row, each with as many components.
    let count: Int
    let floor: Float
    let units: UnsafePointer<Double>?
    /// What lies outside is taken from the law.
    var range = -Double.infinity...Double.infinity

    private static let plain = Scaling.Unit(origin: 0, scale: 1)
    func own(_ component: Int) -> Scaling.Unit {
      component < around ? unit(component / (around / count)) : Self.plain
    }
    /// What a hint has for the row.
    package func unit(_ index: Int) -> Scaling.Unit {
      guard let units else { return Self.plain }
      return Scaling.Unit(origin: units[2 * index], scale: units[2 * index + 1])
    }
    /// The components in each unit.
    private func places(_ index: Int) -> Range<Int> {
      index * (around / count)..<(index + 1) * (around / count)
    }

    /// sd = softplus(raw) + floor.
    func deviation(_ component: Int) -> Double {
      let value = Double(raw[2 * components + component])
      return max(value, 0) + log1p(exp(-abs(value))) + Double(floor)
    }

    public func bounded(to range: ClosedRange<Double>) -> Answer {
      var answer = self
      answer.range = range
      return answer
    }

    public var law: GaussianMixture { isInside ? whole : whole.within(range) ?? whole }

    /// Whether the range certainly holds all of the law, to the last bits. Deviations are only bounded, since
    /// softplus(s) ≤ max(s, 0) + log 2 costs nothing.
    private var isInside: Bool {
      (0..<count).allSatisfy { isInside(places($0), unit($0)) } && isInside(around..<components, Self.plain)
    }

    private func isInside(_ places: Range<Int>, _ unit: Scaling.Unit) -> Bool {
      let (means, scales) = (raw + components, raw + 2 * components)
      var (low, high, widest) = (Float.infinity, -Float.infinity, Float(0))
      for c in places {
        low = min(low, means[c])
        high = max(high, means[c])
        widest = max(widest, scales[c])
      }
      let deviation = unit.scale * (Double(widest) + 0.7 + Double(floor))
      return places.isEmpty
        || GaussianMixture.isInside(unit.raw(Double(low)), deviation, range)
          && GaussianMixture.isInside(unit.raw(Double(high)), deviation, range)
    }

    /// The law with all of its tails.
    private var whole: GaussianMixture {
      let logits = (0..<components).map { Double(raw[$0]) }
      let top = logits.max() ?? 0
      let normaliser = top + log(logits.reduce(0) { $0 + exp($1 - top) })
      return GaussianMixture(
        logWeights: logits.map { $0 - normaliser },
        means: (0..<components).map { own($0).raw(Double(raw[components + $0])) },
        deviations: (0..<components).map { own($0).scale * deviation($0) })
    }

    /// Only one deviation is needed, unless the tails reach out of the range.
    public func drawn(from stream: inout RandomStream) -> (value: Value, mean: Double) {
      guard isInside else { return drawnInside(range, from: &stream) }
      let uniform = stream.uniform()
      let normal = stream.normal()
      var top = Double(raw[0])
      for c in 1..<max(components, 1) { top = max(top, Double(raw[c])) }
      // Weights and weighted means of the components around the hint, then of the others.
      var (sum, all) = (0.0, 0.0)
      for index in 0..<count {
        var own = (sum: 0.0, all: 0.0)
        for c in places(index) {
          let weight = exp(Double(raw[c]) - top)
          own.sum += weight
          own.all += weight * Double(raw[components + c])
        }
        let unit = unit(index)
        all += unit.origin * own.sum + unit.scale * own.all
        sum += own.sum
      }
      for c in around..<components {
        let weight = exp(Double(raw[c]) - top)
        sum += weight
        all += weight * Double(raw[components + c])
      }
      let normaliser = top + log(sum)
      var remaining = uniform
      var chosen = 0
      while chosen < components - 1 {
        remaining -= exp(Double(raw[chosen]) - normaliser)
        if remaining < 0 { break }
        chosen += 1
      }
      let own = own(chosen)
      let mean = own.raw(Double(raw[components + chosen]))
      return (.number(mean + own.scale * deviation(chosen) * normal), all / sum)
    }
  }
}

extension MixtureHead {
  /// What a blueprint says of it.
  public struct Specification: HeadSpecification {
    public static let name = "mixture"
    public var components: Int
    public var around: Int
    /// Hints that a row has units of.
    public var units: Int
    public var floor: Float

    public init(components: Int = 20, around: Int = 0, units: Int = 1, floor: Float = 1e-3) {
      self.components = components
      self.around = around
      self.units = units
      self.floor = floor
    }

    enum CodingKeys: String, CodingKey, CaseIterable { case name, components, around, units, floor }

    /// Fields that are absent take their defaults.
    public init(from decoder: any Decoder) throws {
      let fields = try decoder.knownFields(CodingKeys.self)
      let standard = Specification()
      components = try fields.decodeIfPresent(Int.self, forKey: .components) ?? standard.components
      around = try fields.decodeIfPresent(Int.self, forKey: .around) ?? standard.around
      units = try fields.decodeIfPresent(Int.self, forKey: .units) ?? standard.units
      floor = try fields.decodeIfPresent(Float.self, forKey: .floor) ?? standard.floor
    }

    public func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(components, forKey: .components)
      try fields.encode(around, forKey: .around)
      if units != 1 { try fields.encode(units, forKey: .units) }
      try fields.encode(floor, forKey: .floor)
    }

    public func widened(around: Int) -> (any HeadSpecification)? {
      Specification(components: components + around, around: around, units: units, floor: floor)
    }

    /// logits | means | raw scales, each with the components around a hint first.
    public func places(of count: Int, among all: Int) -> [Int] {
      let (kept, own) = (count / 3, all / 3)
      return (0..<3).flatMap { part in (0..<kept).map { part * own + own - kept + $0 } }
    }

    public var fault: String? {
      guard (1...256).contains(components) else {
        return "components is \(components); it must be within 1...256"
      }
      guard (0...components).contains(around) else {
        return "around is \(around); it must be within 0...\(components)"
      }
      guard (1...64).contains(units), around.isMultiple(of: units) else {
        return "units is \(units); it must be within 1...64 and divide around (\(around))"
      }
      return floor.isFinite && floor > 0 ? nil : "floor must be a positive number"
    }

    public func head(_ width: Int, hidden: Int, _ scope: inout ParameterScope) -> MixtureHead {
      MixtureHead(
        width, hidden: hidden, components: components, around: around, units: units, floor: floor, &scope)
    }
  }
}

extension HeadChoice {
  /// A mixture of Gaussians, the first `around` of them around what hints say, as many around each.
  public static func mixture(
    components: Int = 20, around: Int = 0, units: Int = 1, floor: Float = 1e-3
  ) -> HeadChoice {
    HeadChoice(
      MixtureHead.Specification(components: components, around: around, units: units, floor: floor))
  }
}
