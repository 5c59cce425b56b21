import ChorusData
import Foundation

/// What a reader of the data would see in it at once: a trend, waves with their periods, and how much else there is.
///
/// A network hardly finds a period by itself: it would have to compare all pairs of rows at all lags. A least-squares
/// periodogram does it in closed form for rows at any places (Lomb 1976; Scargle 1982): a cubic in the input, the trend, is
/// taken out, the frequency whose sine and cosine explain most of the rest is a wave, that wave with its first harmonic
/// is taken out too, and so on (Roberts, Lehár and Dreher 1987). Frequencies run from 1.5 cycles over the range of the rows
/// (slower ones are trends) to half a cycle a row, at most `highest`. Time O(rows · frequencies) a wave.
///
/// Trends (straight, then bent) and waves of all inputs are then fitted together, with at most a quarter as many columns as
/// there are rows, and eight parts of the range are each foretold from the other seven. As much of the trend and as many
/// waves are kept as foretell best, and the `skill` says how well: near 1 for a season, 0 for a wave that was read into a
/// smooth curve or into noise.
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
    /// How many of the waves, the strongest, are in the fit.
    public var kept: Int { shape.frequencies.count }
    /// From the least row to the largest.
    public var range: Double { shape.range }
    /// What of this line is in the fit.
    let shape: Shape
    /// Factors of the shape's columns, the constant left out.
    let factors: [Double]

    /// The trend of the fit along this input, up to the fit's `constant`; from an eighth of the range outside of the rows on
    /// its mean slope alone.
    public func trend(at x: Double) -> Double {
      zip(shape.powers(of: x).dropFirst(), factors).reduce(0) { $0 + $1.0 * $1.1 }
    }

    /// How far `x` is outside of the rows, in ranges of theirs; 0 between them.
    func outside(_ x: Double) -> Double {
      max(0, shape.low - x, x - shape.low - shape.range) / shape.range
    }

    /// The waves of the fit at `x`.
    public func season(at x: Double) -> Double {
      zip(shape.turns(at: x), factors.dropFirst(shape.degree)).reduce(0) { $0 + $1.0 * $1.1 }
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

    /// The same place with other columns.
    func with(degree: Int, frequencies: [Double]) -> Shape {
      Shape(low: low, range: range, degree: degree, harmonics: harmonics, frequencies: frequencies)
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

    /// 1, u and what u² and u³ are within an eighth of the range outside of the rows: a line goes on, a bend says nothing far
    /// out.
    func powers(of x: Double) -> [Double] {
      let u = 2 * (x - low) / range - 1
      let near = max(-1.25, min(1.25, u))
      return (0...degree).map { power in
        power == 1 ? u : (0..<power).reduce(1) { product, _ in product * near }
      }
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

  /// Along each input; nil where there are too few rows, or they have no extent.
  public let lines: [Line?]
  /// What the fit says where all trends and waves are 0.
  public let constant: Double
  /// The part of the variance that the fit foretells of parts of the range that it has not seen, 0...1, less what as many
  /// waves would take of noise.
  public let skill: Double

  /// The size of what the fit misses of a part between others that it has not seen, beside what it leaves of the rows.
  public let inside: Double
  /// The same of a part beyond the others: how far the fit can be trusted to go on.
  public let beyond: Double
  /// The size of what a row's neighbours do not tell of it, beside what the fit leaves: 1 for noise, near 0 for a smooth
  /// curve seen closely.
  public let roughness: Double

  /// Nothing along any input.
  public static let none = Periods(lines: [], constant: 0, skill: 0, inside: 1, beyond: 1, roughness: 1)

  init(
    lines: [Line?], constant: Double, skill: Double, inside: Double, beyond: Double, roughness: Double
  ) {
    (self.lines, self.constant, self.skill) = (lines, constant, skill)
    (self.inside, self.beyond, self.roughness) = (inside, beyond, roughness)
  }

  /// Reads what was seen and refuses numbers that no fit has.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    lines = try values.decode([Line?].self, forKey: .lines)
    constant = try values.decode(Double.self, forKey: .constant)
    skill = try values.decode(Double.self, forKey: .skill)
    inside = try values.decode(Double.self, forKey: .inside)
    beyond = try values.decode(Double.self, forKey: .beyond)
    roughness = try values.decode(Double.self, forKey: .roughness)
    guard constant.isFinite, (0...1).contains(skill),
      [inside, beyond, roughness].allSatisfy({ $0 > 0 && $0.isFinite })
    else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "no fit has these errors"))
    }
  }

  /// What the fit says at a row `[dimensions]`, times its skill.
  public func foretold(at x: some RandomAccessCollection<Double>) -> Double {
    guard skill > 0 else { return 0 }
    return skill
      * zip(lines, x).reduce(constant) { sum, pair in
        sum + (pair.0.map { $0.trend(at: pair.1) + $0.season(at: pair.1) } ?? 0)
      }
  }

  /// How much larger the fit's errors are at a row than among the rows it was made from: 1 between them, an eighth of the
  /// range outside of them as much as they were beyond parts of the rows (at least 1), and farther out by the root of the
  /// distance, as of a random walk.
  public func growth(at x: some RandomAccessCollection<Double>) -> Double {
    guard skill > 0, beyond > 1 else { return 1 }
    let outside = zip(lines, x).reduce(0.0) { most, pair in max(most, pair.0?.outside(pair.1) ?? 0) }
    return 1 + (beyond - 1) * min(8 * outside, (8 * outside).squareRoot())
  }

  /// The highest frequency that is looked for, in cycles a unit of the input.
  public static let highest = 30.0
  /// Rows below which nothing is looked for.
  public static let fewest = 8

  /// Looks for `count` waves along each input, and keeps as many of all in the fit: `x` `[rows, dimensions]`, `y` `[rows]`.
  public init(
    x: some RandomAccessCollection<Float>, y: some RandomAccessCollection<Float>, dimensions: Int,
    count: Int
  ) {
    guard count > 0, y.count >= Self.fewest, dimensions > 0, x.count == y.count * dimensions else {
      self = .none
      return
    }
    let outputs = y.map(Double.init)
    // No more waves than the fit can have beside the trend.
    let room =
      max(0, y.count / JointFit.rowsPerColumn - JointFit.degree - 1)
      / (2 * WaveSearch.harmonics(rows: y.count))
    let waves = min(count, room)
    let searches = (0..<dimensions).map { column in
      WaveSearch(
        (0..<y.count).map { Double(x[x.index(x.startIndex, offsetBy: $0 * dimensions + column)]) }, outputs,
        count: waves)
    }
    self = JointFit(searches, outputs, waves: waves).periods
  }
}
