import Foundation

/// What a reader of the data would see in it at once, along each input on its own: a trend, and waves with their periods.
///
/// A network hardly finds a period by itself: it would have to compare all pairs of rows at all lags. A least-squares
/// periodogram does it in closed form for rows at any places (Lomb 1976; Scargle 1982): a cubic in the input, the trend, is
/// taken out, the frequency whose sine and cosine explain most of the rest is a wave, that wave with its first harmonic
/// is taken out too, and so on (Roberts, Lehár and Dreher 1987). Frequencies run from 1.5 cycles over the range of the rows
/// (slower ones are trends) to half a cycle a row, at most `highest`. Time O(rows · frequencies) a wave.
///
/// Trend and waves are then fitted together, and eight parts of the range are each foretold from the other seven. As
/// many waves are kept as foretell best, and the `skill` says how well: near 1 for a season, 0 for a wave that was read
/// into a smooth curve or into noise.
public struct Periods: Sendable, Hashable, Codable {
  public struct Wave: Sendable, Hashable, Codable {
    /// Cycles a unit of the input.
    public let frequency: Double
    /// The part of the variance left by the waves before that this one explains, 0...1.
    public let share: Double
    /// share/(1 − share) · (rows − 3)/2, near 1 at any one frequency of noise alone: the F statistic of the fit.
    public let evidence: Double
  }

  /// What was seen along one input.
  public struct Line: Sendable, Hashable, Codable {
    /// Strongest first; fewer than asked for where the rows cannot tell them.
    public let waves: [Wave]
    /// The part of the variance that the fit foretells of parts of the range that it has not seen, 0...1.
    public let skill: Double
    /// How many of the waves, the strongest, are in the fit.
    public var kept: Int { shape.frequencies.count }
    /// From the least row to the largest.
    public var range: Double { shape.range }
    let shape: Shape
    /// Factors of the fit's columns.
    let factors: [Double]

    /// The cubic of the fit at `x`; from an eighth of the range outside of the rows on what it is there, as a cubic says
    /// nothing far out.
    public func trend(at x: Double) -> Double {
      zip(shape.powers(of: x), factors).reduce(0) { $0 + $1.0 * $1.1 }
    }

    /// The waves of the fit at `x`.
    public func season(at x: Double) -> Double {
      zip(shape.turns(at: x), factors.dropFirst(shape.degree + 1)).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }

  /// The columns of a fit: powers of the input, then cosines and sines of waves and their harmonics.
  struct Shape: Sendable, Hashable, Codable {
    let low: Double
    let range: Double
    let degree: Int
    let harmonics: Int
    let frequencies: [Double]

    init(low: Double, range: Double, degree: Int, harmonics: Int, frequencies: [Double]) {
      (self.low, self.range, self.degree) = (low, range, degree)
      (self.harmonics, self.frequencies) = (harmonics, frequencies)
    }

    /// Reads a shape and refuses one that no search can find.
    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      low = try values.decode(Double.self, forKey: .low)
      range = try values.decode(Double.self, forKey: .range)
      degree = try values.decode(Int.self, forKey: .degree)
      harmonics = try values.decode(Int.self, forKey: .harmonics)
      frequencies = try values.decode([Double].self, forKey: .frequencies)
      guard low.isFinite, range > 0, range.isFinite, (0...3).contains(degree), (1...2).contains(harmonics),
        frequencies.allSatisfy(\.isFinite)
      else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "no fit has this shape"))
      }
    }

    func powers(of x: Double) -> [Double] {
      let u = max(-1.25, min(1.25, 2 * (x - low) / range - 1))
      return (0...degree).map { (0..<$0).reduce(1) { power, _ in power * u } }
    }

    func turns(at x: Double) -> [Double] {
      frequencies.flatMap { frequency in
        (1...harmonics).flatMap { harmonic in
          let phase = 2 * Double.pi * Double(harmonic) * frequency * x
          return [cos(phase), sin(phase)]
        }
      }
    }
  }

  /// What the fit along one input says at a row `[dimensions]`, times its skill: the most skilful of all inputs.
  public func foretold(at x: some RandomAccessCollection<Double>) -> Double {
    var (best, skill) = (0.0, 0.0)
    for (line, x) in zip(lines, x) {
      guard let line, line.skill > skill else { continue }
      (best, skill) = (line.skill * (line.trend(at: x) + line.season(at: x)), line.skill)
    }
    return best
  }

  /// Along each input; nil where there are too few rows, or they have no extent.
  public let lines: [Line?]

  /// Nothing along any input.
  public static let none = Periods(lines: [])

  private init(lines: [Line?]) { self.lines = lines }

  /// The highest frequency that is looked for, in cycles a unit of the input.
  public static let highest = 30.0
  /// Rows below which nothing is looked for.
  public static let fewest = 8

  /// Looks for `count` waves along each input: `x` `[rows, dimensions]`, `y` `[rows]`.
  public init(
    x: some RandomAccessCollection<Float>, y: some RandomAccessCollection<Float>, dimensions: Int,
    count: Int
  ) {
    guard count > 0, y.count >= Self.fewest, dimensions > 0, x.count == y.count * dimensions else {
      self = .none
      return
    }
    let outputs = y.map(Double.init)
    lines = (0..<dimensions).map { column in
      let inputs = (0..<y.count).map { Double(x[x.index(x.startIndex, offsetBy: $0 * dimensions + column)]) }
      guard var search = WaveSearch(inputs, outputs) else { return nil }
      let waves = (0..<count).compactMap { _ in search.next() }
      return JointFit(inputs, outputs, search.shape, waves).line
    }
  }
}
