import ChorusData
import ChorusTensors
import Foundation

/// Level, trend and seasons of a series as a Gaussian process chosen by its evidence (docs/series-hint.md).
///
/// It is for contexts with one input that behaves like time; with several inputs, or where nothing can be said, it tells
/// nothing and leaves the unit alone. At the place of a row it says what the rows elsewhere foretell: a context's outputs
/// then reach the network as left-out residuals in units of their deviation, as outputs asked for do.
public struct SeriesLevelAndSeason: Hint {
  public static let name = "series"
  /// Rows that a series needs; of one with fewer nothing is said.
  public static var fewestRows: Int { SeriesModel.rows.lowerBound }
  /// Rows that a series may have; of one with more nothing is said.
  public static var mostRows: Int { SeriesModel.rows.upperBound }

  /// Whether the network predicts what is left of the foretold values, in units of their deviation, or is only told of them.
  public var subtracts: Bool

  /// Whether a network that is told of every row (`Hints.rows`) is also told what the values drawn before on a
  /// path say of the next by the series' joint law, and predicts around that where it is the surer of the two.
  public var joins: Bool

  public init(subtracts: Bool = false, joins: Bool = false) {
    (self.subtracts, self.joins) = (subtracts, joins)
  }

  enum CodingKeys: String, CodingKey, CaseIterable { case name, subtracts, joins }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    subtracts = try fields.decodeIfPresent(Bool.self, forKey: .subtracts) ?? false
    joins = try fields.decodeIfPresent(Bool.self, forKey: .joins) ?? false
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(subtracts, forKey: .subtracts)
    try fields.encode(joins, forKey: .joins)
  }

  public func features(dimensions: Int) -> Int { Fit.seriesFeatures + Fit.rowFeatures }

  public func validate() throws(DataError) {}

  public static let choosesScale = true

  public func valueScale(_ rows: ObservedRows) -> ValueScale? {
    rows.dimensions == 1
      ? SeriesModel.valueScale(x: rows.x, y: rows.y, known: rows.periods, clock: rows.clock) : nil
  }

  public var ofRows: (any RowTeller)? { joins ? SeriesOnPaths() : nil }

  public func fit(_ rows: ObservedRows) -> Fit {
    guard rows.dimensions == 1,
      let model = SeriesModel(
        x: rows.x, y: rows.y, errors: rows.errors, known: rows.periods, clock: rows.clock)
    else {
      return Fit(said: nil, plain: rows.unit, hint: self)
    }
    return Fit(said: Fit.Said(model), plain: rows.unit, hint: self)
  }

  public struct Fit: HintFit {
    /// What was found; nil where nothing can be said.
    let said: Said?
    /// The unit that outputs have without the hint.
    let plain: Scaling.Unit
    let subtracts: Bool
    let joins: Bool

    /// A model, compared and kept as its rows and what was chosen for them: the rest follows from these.
    struct Said: Sendable, Hashable, Codable {
      let model: SeriesModel

      init(_ model: SeriesModel) { self.model = model }

      static func == (a: Said, b: Said) -> Bool {
        a.model.rows.x == b.model.rows.x && a.model.rows.y == b.model.rows.y
          && a.model.choice == b.model.choice && a.model.rows.clock == b.model.rows.clock
      }
      func hash(into hasher: inout Hasher) {
        hasher.combine(model.rows.x)
        hasher.combine(model.rows.y)
        hasher.combine(model.choice)
        hasher.combine(model.rows.clock)
      }

      private enum CodingKeys: CodingKey { case x, y, choice, clock }

      /// Fits what was chosen again, and refuses what no fit has chosen.
      init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let (x, y) = try (fields.decode([Double].self, forKey: .x), fields.decode([Double].self, forKey: .y))
        let choice = try fields.decode(SeriesModel.Choice.self, forKey: .choice)
        let clock = try fields.decodeIfPresent(MonthClock.self, forKey: .clock)
        guard let rows = SeriesModel.Rows(x: x, y: y, clock: clock), rows.x == x, rows.y == y,
          let model = SeriesModel(rows: rows, choice: choice)
        else {
          throw DecodingError.dataCorrupted(
            .init(codingPath: decoder.codingPath, debugDescription: "no fit of a series has these numbers"))
        }
        self.model = model
      }

      func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(model.rows.x, forKey: .x)
        try fields.encode(model.rows.y, forKey: .y)
        try fields.encode(model.choice, forKey: .choice)
        try fields.encodeIfPresent(model.rows.clock, forKey: .clock)
      }
    }

    init(said: Said?, plain: Scaling.Unit, hint: SeriesLevelAndSeason) {
      (self.said, self.plain, subtracts, joins) = (said, plain, hint.subtracts, hint.joins)
    }

    private enum CodingKeys: CodingKey { case said, plain, subtracts, joins }

    public init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      said = try fields.decodeIfPresent(Said.self, forKey: .said)
      plain = try fields.decode(Scaling.Unit.self, forKey: .plain)
      subtracts = try fields.decode(Bool.self, forKey: .subtracts)
      joins = try fields.decodeIfPresent(Bool.self, forKey: .joins) ?? false
      guard plain.origin.isFinite, plain.scale > 0, plain.scale.isFinite else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "no context has outputs in this unit"))
      }
    }

    /// The seasons found, the one with the largest share of the variance first; nil where nothing is said.
    public var seasons: [Season]? {
      guard let summary = said?.model.summary else { return nil }
      let beside = summary.noise + summary.seasons.reduce(0) { $0 + $1.fixed + $1.changing }
      return summary.seasons.map {
        Season(
          period: $0.period, cycles: $0.cycles, share: ($0.fixed + $0.changing) / beside,
          skill: min(max(summary.skill, 0), 1))
      }.sorted { $0.share > $1.share }
    }

    /// The swing of a series without a season, whose waves differ in length; nil where none was found.
    public var cycle: Season? {
      guard let model = said?.model, model.choice.setting.level.kind == .cycle, model.choice.periods.isEmpty
      else { return nil }
      let (period, summary) = (model.choice.setting.level.period, model.summary)
      let rows = model.rows
      return Season(
        period: period * rows.pace, cycles: rows.times[rows.times.count - 1] / period,
        share: min(max(1 - summary.noise, 0), 1), skill: min(max(summary.skill, 0), 1))
    }

    /// A season of a series.
    public struct Season: Sendable, Hashable {
      /// In the unit of scaled inputs.
      public let period: Double
      /// How often it is seen in the rows.
      public let cycles: Double
      /// Of the variance that seasons and noise have together.
      public let share: Double
      /// How much of the variance rows left out are foretold by the others, 0...1.
      public let skill: Double
    }

    public func fits(dimensions: Int) -> Bool { said == nil || dimensions == 1 }

    /// Whether anything is said of the series.
    public var isSaid: Bool { said != nil }

    /// What the rows say of a value at a place; nil where nothing can be said.
    public func law(at place: Double) -> (mean: Double, deviation: Double)? {
      said.map { $0.model.foretold(at: place) }.map { ($0.mean, $0.deviation) }
    }

    public func unit(at x: ArraySlice<Double>) -> Scaling.Unit? {
      guard subtracts, let said, let place = x.first else { return nil }
      // Rows are kept as 32-bit numbers, and taken back by the same unit.
      let law = said.model.elsewhere(at: said.model.rows.place(of: Float(place)))
      guard law.mean.isFinite, law.deviation > 0, law.deviation.isFinite else { return nil }
      return Scaling.Unit(origin: law.mean, scale: law.deviation)
    }

    /// Told of a series: whether anything is said, the level's kind, ratio and length, shares of slope, seasons and noise, skill
    /// and the share of far rows.
    static let seriesFeatures = 16
    /// Told of a row: mean, deviation, deviation beside that of the noise, how far it is outside of the rows.
    static let rowFeatures = 4

    public func tell(
      _ x: UnsafePointer<Float>, dimensions: Int, size: Int, into features: UnsafeMutablePointer<Float>
    ) {
      features.update(repeating: 0, count: Self.seriesFeatures + Self.rowFeatures)
      guard let model = said?.model, dimensions == 1 else { return }
      let (level, summary) = (model.choice.setting.level, model.summary)
      func logarithm(_ value: Double) -> Double { log(max(value, 1e-12)) }
      var told: [Double] = [
        1, level.kind == .walk ? 1 : 0, level.kind == .trend ? 1 : 0, level.isStationary ? 1 : 0,
        log1p(level.ratio), log1p(level.length), summary.slope,
      ]
      for place in 0..<SeriesPeriods.most {
        guard place < summary.seasons.count else {
          told += [0, 0, 0]
          continue
        }
        let season = summary.seasons[place]
        told += [log1p(season.cycles), season.fixed, season.changing]
      }
      told += [summary.noise, max(summary.skill, -1), Double(summary.far) / Double(model.rows.x.count)]
      // The network has the place as a `Float`: of a row whose place is told so, the place is meant.
      let place = model.rows.place(of: x[0])
      let law = model.elsewhere(at: place)
      told += [
        plain.scaled(law.mean), logarithm(law.deviation / plain.scale),
        logarithm(law.deviation / model.noise),
        log1p(model.outside(place)),
      ]
      for (index, value) in told.enumerated() where value.isFinite {
        features[index] = Float(min(max(value, -1e6), 1e6))
      }
    }
  }
}
