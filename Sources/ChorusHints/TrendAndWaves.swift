import ChorusData
import ChorusTensors
import Foundation

/// Trend and seasonal waves of a context by a least-squares periodogram and one joint fit (`Periods`).
public struct TrendAndWaves: Hint {
  public static let name = "trend-and-waves"

  /// Waves that a fit may have along each input.
  public var waves: Int
  /// Whether the network predicts what the fit leaves, in the unit of that, or is only told of the fit.
  public var subtracts: Bool

  public init(waves: Int, subtracts: Bool = false) {
    self.waves = waves
    self.subtracts = subtracts
  }

  enum CodingKeys: String, CodingKey, CaseIterable { case name, waves, subtracts }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    waves = try fields.decode(Int.self, forKey: .waves)
    subtracts = try fields.decodeIfPresent(Bool.self, forKey: .subtracts) ?? false
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(waves, forKey: .waves)
    try fields.encode(subtracts, forKey: .subtracts)
  }

  /// For each column the fit's skill, then its trend and its waves at the row, each times the skill: what the fit says is there
  /// to be copied where it can be trusted, and away where it cannot.
  private static let lineFeatures = 3
  /// How much larger than the rest the fit's errors are where it has not seen rows, and how rough the rest is.
  private static let fitFeatures = 3

  public func features(dimensions: Int) -> Int { dimensions * Self.lineFeatures + Self.fitFeatures }

  public func validate() throws(DataError) {
    guard (1...8).contains(waves) else { throw .size(what: "the number of waves (1 to 8)", found: waves) }
  }

  public func fit(_ rows: ObservedRows) -> Fit {
    let (x, unit) = (rows.x, rows.unit)
    let outputs = rows.y.map { (unit.scaled($0)) }
    let periods = Periods(
      x: x.map { Float($0) }, y: outputs.map { Float($0) }, dimensions: rows.dimensions, count: waves)
    guard subtracts, rows.count > 0 else { return Fit(periods: periods, rest: nil) }
    let rest = outputs.indices.map {
      outputs[$0] - periods.foretold(at: x[$0 * rows.dimensions..<($0 + 1) * rows.dimensions])
    }
    let (centre, deviation) = Scaling.moments(rest)
    // A rest smaller than a thousandth of the outputs' standard deviation is taken to be that large.
    let spread = outputs.contains { abs($0 - outputs[0]) > 0 } ? max(deviation, 1e-3) : 1
    return Fit(
      periods: periods,
      rest: Fit.Rest(
        unit: Scaling.Unit(origin: unit.origin + unit.scale * centre, scale: unit.scale * spread),
        fitScale: unit.scale))
  }

  public struct Fit: HintFit {
    public let periods: Periods
    /// What the network predicts, where the fit is subtracted.
    let rest: Rest?

    /// The unit of what is left, and the scale that the fit itself is in, all in the data's unit.
    struct Rest: Sendable, Hashable, Codable {
      let unit: Scaling.Unit
      let fitScale: Double
    }

    init(periods: Periods, rest: Rest?) {
      self.periods = periods
      self.rest = rest
    }

    /// A fit that is told and not subtracted.
    public init(periods: Periods) { self.init(periods: periods, rest: nil) }

    /// A fit as files of the first version have it: beside the scale of the rest.
    public init(periods: Periods, origin: Double, scale: Double, fitScale: Double) {
      self.init(
        periods: periods, rest: Rest(unit: Scaling.Unit(origin: origin, scale: scale), fitScale: fitScale))
    }

    private enum CodingKeys: CodingKey { case periods, rest }

    /// Reads a fit and refuses units that none has.
    public init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      periods = try fields.decode(Periods.self, forKey: .periods)
      rest = try fields.decodeIfPresent(Rest.self, forKey: .rest)
      if let rest {
        guard rest.unit.origin.isFinite, rest.unit.scale > 0, rest.unit.scale.isFinite, rest.fitScale > 0,
          rest.fitScale.isFinite
        else {
          throw DecodingError.dataCorrupted(
            .init(codingPath: decoder.codingPath, debugDescription: "no fit leaves a rest in this unit"))
        }
      }
    }

    public func fits(dimensions: Int) -> Bool { periods.lines.count <= dimensions }

    public func unit(at x: ArraySlice<Double>) -> Scaling.Unit? {
      guard let rest else { return nil }
      return Scaling.Unit(
        origin: rest.unit.origin + rest.fitScale * periods.foretold(at: x),
        scale: rest.unit.scale * periods.growth(at: x))
    }

    public func tell(
      _ x: UnsafePointer<Float>, dimensions: Int, size: Int, into features: UnsafeMutablePointer<Float>
    ) {
      let count = size * TrendAndWaves.lineFeatures
      features.update(repeating: 0, count: count)
      for (column, line) in periods.lines.prefix(min(dimensions, size)).enumerated() {
        guard let line else { continue }
        let (out, x) = (features + column * TrendAndWaves.lineFeatures, Double(x[column]))
        out[0] = Float(periods.skill)
        out[1] = Float(periods.skill * line.trend(at: x))
        out[2] = Float(periods.skill * line.season(at: x))
      }
      let last = features + count
      last[0] = Float(log(periods.inside))
      last[1] = Float(log(periods.beyond))
      last[2] = Float(log(periods.roughness))
    }
  }
}
