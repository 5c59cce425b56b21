import ChorusTensors
import Foundation

/// The exact law of a sawtooth wave on a line by somebody who knows its height and its noise, but neither sign, frequency
/// nor phase of this wave: in one dimension they are summed out.
///
/// With z = y/height + offset, a row has z = frac(sωx − θ) + noise, θ = ωφ mod 1. The plane of ω and θ is cut into cells,
/// which are halved along both sides until a cell moves no row by more than a part of the noise; a cell goes as soon as even its
/// best point explains the context worse, by `margin` nats, than the centre of another (branch and bound). The centres left
/// are the midpoint rule. So it costs as much for low noise as for high.
public struct SawtoothOracle: Oracle {
  /// The largest number of rows, context and targets together, that is answered.
  public static let limit = 1024
  /// Cells at most: so few rows with so little noise that more are left have no answer.
  static let cells = 1 << 20
  /// Nats by which the best point of a cell must be worse than a known one for the cell to be left out.
  private static let margin = 30.0

  /// What is known of all waves of a law.
  public struct Waves: Sendable, Hashable {
    /// Turns a unit of x.
    public let frequencies: ClosedRange<Double>
    /// Whether the logarithm of the frequency is uniform, not the frequency.
    public var logUniform = false
    /// y = height (wave − offset), the wave within [0, 1).
    public var height = 1.0
    public var offset = 0.0
    /// Standard deviations that the noise of y may have, all as likely.
    public let deviations: [Double]
  }

  public let waves: Waves
  /// Inputs `[rows]`.
  public let x: [Double]
  public let y: [Double]
  /// The most that a row may move within a cell, in standard deviations of a mean over all rows asked.
  let fineness: Double

  public var rows: Int { y.count }

  /// For as many outputs as inputs.
  init(_ waves: Waves, x: [Double], y: [Double], fineness: Double = 0.25) {
    (self.waves, self.x, self.y, self.fineness) = (waves, x, y, fineness)
  }

  /// The centre of a rectangle of waves.
  private struct Cell {
    let sign: Double
    let frequency: Double
    let shift: Double

    func value(at x: Double) -> Double {
      let turns = sign * frequency * x - shift
      return turns - turns.rounded(.down)
    }
  }

  public func density(
    of targets: [Int], given context: [Int], values: [Double]?
  ) throws(OracleError) -> OracleDensity {
    let outputs = values ?? y
    let asked = try question(targets, given: context, outputs: outputs.count, limit: Self.limit)
    let points = asked.map { x[$0] }
    let heights = asked.map { outputs[$0] / waves.height + waves.offset }
    let deviations = waves.deviations.map { $0 / waves.height }
    let cells = try cells(points, heights, given: context.count, deviations)
    // A hypothesis is a wave with a noise; its squares of the rows read so far tell the evidence for it.
    var squares = cells.map { cell in
      (0..<context.count).reduce(0.0) { $0 + Self.square(heights[$1] - cell.value(at: points[$1])) }
    }
    let prior = cells.map { log(share($0)) }
    func evidence(_ squares: [Double], _ count: Int) -> (total: Double, weights: [Double]) {
      var weights: [Double] = []
      weights.reserveCapacity(squares.count * deviations.count)
      for deviation in deviations {
        let precision = 0.5 / (deviation * deviation)
        let constant = -Double(count) * (log(deviation) + 0.5 * log(2 * .pi))
        for (square, share) in zip(squares, prior) { weights.append(constant + share - precision * square) }
      }
      let top = weights.max() ?? 0
      var sum = 0.0
      for index in weights.indices {
        weights[index] = exp(weights[index] - top)
        sum += weights[index]
      }
      for index in weights.indices { weights[index] /= sum }
      return (top + log(sum), weights)
    }
    let before = evidence(squares, context.count)
    var (sequential, marginal, means, variances) = ([Double](), [Double](), [Double](), [Double]())
    var last = before.total
    for (place, target) in (context.count..<asked.count).enumerated() {
      let waveValues = cells.map { $0.value(at: points[target]) }
      var (density, mean, second) = (0.0, 0.0, 0.0)
      for (index, deviation) in deviations.enumerated() {
        for (cell, value) in waveValues.enumerated() {
          let weight = before.weights[index * cells.count + cell]
          if weight == 0 { continue }
          let z = (heights[target] - value) / deviation
          density += weight * exp(-0.5 * z * z) / deviation
          mean += weight * value
          second += weight * (value * value + deviation * deviation)
        }
      }
      marginal.append(log(density) - 0.5 * log(2 * .pi) - log(waves.height))
      means.append(waves.height * (mean - waves.offset))
      variances.append(waves.height * waves.height * (second - mean * mean))
      for cell in cells.indices { squares[cell] += Self.square(heights[target] - waveValues[cell]) }
      let next = evidence(squares, context.count + place + 1).total
      sequential.append(next - last - log(waves.height))
      last = next
    }
    return OracleDensity(sequential: sequential, marginal: marginal, means: means, variances: variances)
  }

  /// The prior's density at a cell's centre, up to a constant: φ is uniform on [0, 1), so that θ = ωφ comes round ⌊ω⌋ times
  /// and once more below the rest.
  private func share(_ cell: Cell) -> Double {
    let turns = cell.frequency.rounded(.down)
    let rounds = cell.shift < cell.frequency - turns ? turns + 1 : turns
    return rounds / cell.frequency / (waves.logUniform ? cell.frequency : 1)
  }

  // MARK: Branch and bound

  /// The cells that the context leaves, small enough for all rows asked.
  private func cells(
    _ points: [Double], _ heights: [Double], given: Int, _ deviations: [Double]
  ) throws(OracleError) -> [Cell] {
    let far = max(points.reduce(0) { max($0, abs($1)) }, 1e-9)
    let (least, most) = (deviations.min() ?? 1, deviations.max() ?? 1)
    let finest = fineness * least / Double(max(points.count, 1)).squareRoot()
    // At first a row moves by an eighth of a turn at most within a cell, half of it along each side.
    let width = waves.frequencies.upperBound - waves.frequencies.lowerBound
    let columns = max(1, Int((width * far * 8).rounded(.up)))
    var (alongFrequency, alongShift) = (width / Double(columns) / 2, 1.0 / 16)
    var cells: [Cell] = []
    for sign in [-1.0, 1.0] {
      for column in 0..<columns {
        let frequency = waves.frequencies.lowerBound + Double(2 * column + 1) * alongFrequency
        for row in 0..<8 {
          cells.append(Cell(sign: sign, frequency: frequency, shift: Double(2 * row + 1) * alongShift))
        }
      }
    }
    while true {
      let kept = keep(cells, alongFrequency, alongShift, points.prefix(given), heights, most)
      if alongFrequency * far + alongShift <= finest { return kept.filter { share($0) > 0 } }
      guard 4 * kept.count <= Self.cells else { throw .unresolved(cells: Self.cells) }
      (alongFrequency, alongShift) = (alongFrequency / 2, alongShift / 2)
      cells = kept.flatMap { cell in
        [(-1.0, -1.0), (-1, 1), (1, -1), (1, 1)].map { side in
          Cell(
            sign: cell.sign, frequency: cell.frequency + side.0 * alongFrequency,
            shift: cell.shift + side.1 * alongShift)
        }
      }
    }
  }

  private func keep(
    _ cells: [Cell], _ alongFrequency: Double, _ alongShift: Double, _ points: ArraySlice<Double>,
    _ heights: [Double], _ deviation: Double
  ) -> [Cell] {
    var best = Double.infinity
    let bounds = cells.map { cell in
      var (centre, least) = (0.0, 0.0)
      for (x, height) in zip(points, heights) {
        let value = cell.value(at: x)
        centre += Self.square(height - value)
        least += Self.square(Self.distance(height, value, within: abs(x) * alongFrequency + alongShift))
      }
      best = min(best, centre)
      return least
    }
    let allowed = best + 2 * Self.margin * deviation * deviation
    return zip(cells, bounds).compactMap { $1 <= allowed ? $0 : nil }
  }

  /// The distance of a height from the nearest value of a wave whose turn is within `reach` of `turn`.
  private static func distance(_ height: Double, _ turn: Double, within reach: Double) -> Double {
    func outside(_ low: Double, _ high: Double) -> Double { max(low - height, height - high, 0) }
    let (low, high) = (turn - reach, turn + reach)
    if reach >= 0.5 { return outside(0, 1) }
    if low < 0 { return min(outside(low + 1, 1), outside(0, high)) }
    if high >= 1 { return min(outside(low, 1), outside(0, high - 1)) }
    return outside(low, high)
  }

  private static func square(_ value: Double) -> Double { value * value }
}
