import ChorusTensors
import Foundation

/// A column of a table before it is asked about.
struct TableColumn {
  var values: Column
  /// Whether the values are level numbers in no particular order.
  var isCategory = false
}

/// How the rows of a table belong together, and which of them are asked about.
protocol RowStructure {
  /// The name tasks are told apart by.
  var component: String { get }
  /// The rows in the order context, buffer, targets.
  var order: [Int] { get }
  /// Columns that say where a row belongs; at most as many as a row has.
  var shown: [TableColumn] { get }
  /// Deviations of the noise relative to what the other columns say.
  var noise: ClosedRange<Double> { get }
  /// The share of the noise's variance that rows have in common.
  var share: Double { get }
  /// What a root of the table's other columns becomes: a part of it may go with time or group.
  func blended(_ root: Column, _ stream: inout RandomStream) -> Column
  /// What is added to y whatever the other columns say; nil for nothing.
  func signal(_ stream: inout RandomStream) -> Column?
  /// Noise of variance 1 that rows have in common, given the other columns.
  func common(_ columns: [Column], _ stream: inout RandomStream) -> Column?
}

/// Rows that are independent of each other.
struct IndependentRows: RowStructure {
  let component = "unordered"
  let order: [Int]
  let shown = [TableColumn]()
  let noise = 0.02...1.5
  let share = 0.0

  init(_ shape: TaskShape) { order = Array(0..<shape.rows) }

  func blended(_ root: Column, _ stream: inout RandomStream) -> Column { root }
  func signal(_ stream: inout RandomStream) -> Column? { nil }
  func common(_ columns: [Column], _ stream: inout RandomStream) -> Column? { nil }
}

/// Rows in time: y drifts, has seasons, and its residuals forget themselves slowly.
struct OrderedRows: RowStructure {
  let component = "ordered"
  let order: [Int]
  let shown: [TableColumn]
  let noise = 0.1...3.0
  let share: Double
  /// When the rows were taken, ascending from 0; one apart on average.
  let times: [Double]
  /// The share of roots that are processes in time.
  let processes: Double
  let season: Double?

  init(_ shape: TaskShape, from stream: inout RandomStream) {
    order = SeriesPrior.order(shape, weights: [0.35, 0.35, 0, 0.3], &stream)
    times = Self.times(shape.rows, &stream)
    share = stream.uniform(in: 0.2...0.95)
    processes = stream.uniform() < 0.6 ? 0.5 : 0
    let longest = Double(shape.rows) / 2
    if longest > 3, stream.uniform() < 0.35 {
      let calendar = [7, 12, 24].filter { $0 <= longest }
      season =
        !calendar.isEmpty && stream.uniform() < 0.6
        ? calendar[stream.below(calendar.count)] : stream.logUniform(in: 3...longest)
    } else {
      season = nil
    }
    var shown = [TableColumn(values: Self.shownTime(times, &stream))]
    let most = min(2, shape.dimensions - 1)
    if most > 0, stream.uniform() < (season == nil ? 0.2 : 0.7) {
      let period = season ?? stream.logUniform(in: 3...max(4, longest))
      for _ in 0..<stream.integer(in: 1...most) {
        shown.append(Self.calendar(times, period: period, &stream))
      }
    }
    self.shown = shown
  }

  func blended(_ root: Column, _ stream: inout RandomStream) -> Column {
    guard stream.uniform() < processes else { return root }
    return root.mixed(with: process(&stream), share: stream.uniform(in: 0.5...1))
  }

  func signal(_ stream: inout RandomStream) -> Column? {
    var sum = Column(repeating: 0, count: times.count)
    let end = max(times.last ?? 1, 1)
    let drift = stream.choice(weights: [0.35, 0.3, 0.35])
    if drift > 0 {
      let size = stream.logUniform(in: 0.1...2)
      var walk = stream.normal()
      for row in times.indices {
        if drift == 1 {
          sum[row] = size * walk * (2 * times[row] / end - 1)
        } else {
          sum[row] = size * walk
          let step = row + 1 < times.count ? times[row + 1] - times[row] : 0
          walk += 2 * (step / end).squareRoot() * stream.normal()
        }
      }
    }
    if let season {
      let size = stream.logUniform(in: 0.1...1.5)
      var waves = Column(repeating: 0, count: times.count)
      for harmonic in 1...stream.integer(in: 1...3) {
        let phase = stream.uniform()
        waves.addWave(
          times.map { Double(harmonic) * $0 / season + phase }, times: stream.normal() / Double(harmonic))
      }
      waves.standardise()
      sum.add(waves, times: size)
    }
    return sum
  }

  func common(_ columns: [Column], _ stream: inout RandomStream) -> Column? { process(&stream) }

  /// A process of variance 1 with a length from two rows to a third of the table: Ornstein-Uhlenbeck or Matern-3/2.
  func process(_ stream: inout RandomStream) -> Column {
    let length = stream.logUniform(in: 2...max(3, Double(times.count) / 3))
    let smooth = stream.uniform() < 0.4
    var (value, slope) = (stream.normal(), stream.normal())
    var column = Column()
    column.reserveCapacity(times.count)
    for row in times.indices {
      if row > 0 {
        let step = (times[row] - times[row - 1]) / length
        if smooth {
          // The exact transition of value and (scaled) slope, whose stationary covariance is the identity.
          let a = 3.0.squareRoot() * step
          let keep = exp(-a)
          let (vv, vs, ss) = (keep * (1 + a), keep * a, keep * (1 - a))
          let valueVariance = max(1 - vv * vv - vs * vs, 0)
          let covariance = vv * vs - vs * ss
          let deviation = valueVariance.squareRoot()
          let shared = deviation > 0 ? covariance / deviation : 0
          let slopeVariance = max(1 - vs * vs - ss * ss - shared * shared, 0)
          let (z, w) = (stream.normal(), stream.normal())
          (value, slope) = (
            vv * value + vs * slope + deviation * z,
            ss * slope - vs * value + shared * z + slopeVariance.squareRoot() * w
          )
        } else {
          let keep = exp(-step)
          value = keep * value + max(1 - keep * keep, 0).squareRoot() * stream.normal()
        }
      }
      column.append(value)
    }
    return column
  }

  /// Regular, at random, or regular with rows left out.
  private static func times(_ rows: Int, _ stream: inout RandomStream) -> [Double] {
    var time = 0.0
    switch stream.choice(weights: [0.55, 0.25, 0.2]) {
    case 0: return (0..<rows).map(Double.init)
    case 1:
      return (0..<rows).map { _ in
        defer { time += stream.exponential() }
        return time
      }
    default:
      let shown = stream.uniform(in: 0.4...0.95)
      return (0..<rows).map { _ in
        defer { time += Double(1 + stream.geometric(shown)) * shown }
        return time
      }
    }
  }

  /// Time as a column shows it: as it is, as a number of the row, warped, in whole units, or backwards.
  private static func shownTime(_ times: [Double], _ stream: inout RandomStream) -> Column {
    let end = max(times.last ?? 1, 1)
    switch stream.choice(weights: [0.55, 0.1, 0.1, 0.15, 0.1]) {
    case 0: return times
    case 1: return times.indices.map(Double.init)
    case 2:
      let power = stream.uniform(in: 0.5...2)
      return times.map { pow($0 / end, power) }
    case 3:
      let unit = stream.logUniform(in: 1...7)
      return times.map { ($0 / unit).rounded(.down) }
    default: return times.map { end - $0 }
    }
  }

  /// The phase of a period: as a category, as a number, or as a wave.
  private static func calendar(
    _ times: [Double], period: Double, _ stream: inout RandomStream
  ) -> TableColumn {
    let phases = times.map { ($0 / period).truncatingRemainder(dividingBy: 1) }
    let levels = period <= 24 ? max(2, Int(period.rounded())) : 12
    let level = phases.map { min(Int($0 * Double(levels)), levels - 1) }
    switch stream.choice(weights: [0.4, 0.3, 0.3]) {
    case 0:
      let codes = stream.permutation(levels)
      return TableColumn(values: level.map { Double(codes[$0]) }, isCategory: true)
    case 1: return TableColumn(values: level.map(Double.init))
    default:
      let start = 2 * Double.pi * stream.uniform()
      return TableColumn(values: phases.map { sin(2 * Double.pi * $0 + start) })
    }
  }
}

/// Rows of subjects, places or batches: rows of one group have a level in common, and sometimes a slope.
struct GroupedRows: RowStructure {
  let component = "grouped"
  let order: [Int]
  let shown: [TableColumn]
  let noise = 0.1...3.0
  let share: Double
  /// The group of each row.
  let groups: [Int]
  let count: Int
  /// The share of roots that groups differ in.
  let differing: Double

  /// All that is asked about lies in one to three groups, of each of which the context has no row, or a few.
  init(_ shape: TaskShape, from stream: inout RandomStream) {
    let (context, asked) = (shape.context, shape.buffer + shape.targets)
    let count = Int(stream.logUniform(in: 3...Double(min(40, max(3, shape.rows / 3))) + 0.999))
    self.count = count
    let uneven = stream.uniform() < 0.5
    let weights = (0..<count).map { _ in uneven ? stream.gamma(1.5) : 1 }
    let questions = min(stream.integer(in: 1...3), count - 1)
    let known = stream.uniform() < 0.6 ? min(5, context / 3) : 0
    var groups = [Int]()
    groups.reserveCapacity(shape.rows)
    for question in 0..<questions {
      for _ in 0..<stream.integer(in: 0...known) where groups.count < context { groups.append(question) }
    }
    while groups.count < context {
      groups.append(questions + stream.choice(weights: weights[questions...]))
    }
    for _ in 0..<asked { groups.append(stream.choice(weights: weights[..<questions])) }
    self.groups = groups
    order = stream.permutation(context) + (context..<shape.rows)
    share = stream.uniform(in: 0.2...0.95)
    let codes = stream.permutation(count)
    let column = groups.map { Double(codes[$0]) }
    let form = stream.choice(weights: [0.7, 0.2, 0.1])
    switch form {
    case 0: shown = [TableColumn(values: column, isCategory: true)]
    case 1: shown = [TableColumn(values: column.map { $0 + 1 })]
    default: shown = []
    }
    // A group that no column names shows in what its rows have alike.
    differing = form == 2 ? 0.7 : stream.uniform() < 0.5 ? 0.4 : 0
  }

  func blended(_ root: Column, _ stream: inout RandomStream) -> Column {
    guard stream.uniform() < differing else { return root }
    return root.mixed(with: levels(&stream), share: stream.uniform(in: 0.3...1))
  }

  func signal(_ stream: inout RandomStream) -> Column? { nil }

  func common(_ columns: [Column], _ stream: inout RandomStream) -> Column? {
    var effects = levels(&stream)
    if !columns.isEmpty, stream.uniform() < 0.3 {
      let slopes = levels(&stream)
      let column = columns[stream.below(columns.count)].standardised
      effects = effects.mixed(
        with: zip(slopes, column).map { $0 * $1 }, share: stream.uniform(in: 0.1...0.9))
    }
    return effects
  }

  /// A normal number per group.
  private func levels(_ stream: inout RandomStream) -> Column {
    let values = stream.normals(count)
    return groups.map { values[$0] }
  }
}

extension Column {
  /// A sum of variance 1 of two columns of variance 1, `share` of it from `other`.
  fileprivate func mixed(with other: Column, share: Double) -> Column {
    var sum = self
    sum.scale(by: (1 - share).squareRoot())
    sum.add(other, times: share.squareRoot())
    return sum
  }
}
