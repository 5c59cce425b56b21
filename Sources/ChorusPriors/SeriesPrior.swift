import ChorusTensors
import Foundation

/// What real series have: seasons of several harmonics that change slowly, one inside the other, in sum or in
/// proportion with the level; levels that wander, turn and jump; outliers, counts, working hours.
///
/// A task is drawn in these steps, all from its own stream.
///
/// 1. Periods in rows: none (0.3), one (0.5), or a second one of two to thirteen of the first (0.2). The first is that of
///    a calendar (4, 12, 7, 24, 48, 52.18 rows) or log-uniform, with at least one and a half cycles in
///    as many rows as the context has.
/// 2. Times (`SeriesClock`): even, months of unequal length, five days of seven, or some hours of each day. What is asked
///    is all that comes after the context (0.5, unless that is more than twice as much), one to three gaps (0.2), or some of the
///    last rows and others at random (0.3); buffer and targets are in random order.
/// 3. A level: constant, a straight line, a random walk, a smooth walk whose slope is forgotten, or one that returns to
///    its mean; shifted once to three times in 0.1 of the tasks.
/// 4. Seasons: Gaussian coefficients that decay with the harmonic, or in 0.25 a value of its own for each phase; in half of
///    the tasks they wander from cycle to cycle.
/// 5. Noise: normal, or in 0.2 Student's t with 3 to 6 degrees of freedom; in 0.1 a row in fifty is far off; in 0.12 its
///    deviation changes with time.
/// 6. In 0.25 all of this is the logarithm of what is seen, and in 0.07 the logarithm of a rate of which counts are seen (with
///    a uniform number of ±1/2 added: a count stands for its interval).
///
/// There is no oracle: shapes of seasons that wander, jumps and counts have none in closed form.
public struct SeriesPrior: Prior {
  public let name = "series"
  public let dimensions = 1...1

  public init() {}

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    let periods = Self.periods(rows: max(shape.context, shape.rows / 2), &stream)
    let clock = SeriesClock.draw(period: periods.first, from: &stream)
    // Rows in time, then which of them are shown.
    let times = clock.times(shape.rows)
    let extent = max((times.last ?? 1) - (times.first ?? 0), 1)
    let signal = Self.signal(times, periods: periods, &stream)
    let y = Self.seen(signal, times, &stream)
    let half = InputLayout.half
    let order = Self.order(shape, &stream)
    return PriorTask(
      shape: shape, x: order.map { half * (2 * (times[$0] - (times.first ?? 0)) / extent - 1) },
      y: order.map { y[$0] }, component: name)
  }

  // MARK: What is asked

  /// The rows in the order context, buffer, targets; `weights` of a future, gaps, some of both, and rows at random.
  static func order(
    _ shape: TaskShape, weights: [Double] = [0.5, 0.2, 0.3], _ stream: inout RandomStream
  ) -> [Int] {
    let rows = shape.rows
    var hidden = [Bool](repeating: false, count: rows)
    var left = shape.buffer + shape.targets
    func hide(_ range: Range<Int>) {
      for row in range where !hidden[row] && left > 0 {
        hidden[row] = true
        left -= 1
      }
    }
    switch stream.choice(weights: weights) {
    case 0 where left <= 2 * shape.context: hide(rows - left..<rows)
    case 1:
      let gaps = stream.integer(in: 1...3)
      let width = (left + gaps - 1) / gaps
      for _ in 0..<gaps {
        let start = stream.below(rows - width + 1)
        hide(start..<start + width)
      }
    case 3: break
    default: hide(rows - min(left, stream.integer(in: 1...max(2, shape.context)))..<rows)
    }
    // What is left lies among the rows.
    let open = (0..<rows).filter { !hidden[$0] }
    for index in stream.sample(left, of: open.count) { hidden[open[index]] = true }
    let shown = (0..<rows).filter { !hidden[$0] }
    let questions = (0..<rows).filter { hidden[$0] }
    return stream.permutation(shown.count).map { shown[$0] }
      + stream.permutation(questions.count).map { questions[$0] }
  }

  // MARK: What happens

  private static func periods(rows: Int, _ stream: inout RandomStream) -> [Double] {
    let count = stream.choice(weights: [0.3, 0.5, 0.2])
    let longest = Double(rows) / 1.5
    guard count > 0, longest > 4 else { return [] }
    let calendar = [4, 7, 12, 24, 48, 52.18].filter { $0 <= longest }
    let first: Double
    if !calendar.isEmpty, stream.uniform() < 0.6 {
      first = calendar[stream.below(calendar.count)]
    } else {
      let drawn = stream.logUniform(in: 2.5...longest)
      first = stream.uniform() < 0.5 ? max(3, drawn.rounded()) : drawn
    }
    guard count > 1 else { return [first] }
    let second = first * Double(stream.integer(in: 2...13))
    return second <= longest ? [first, second] : [first]
  }

  /// Level and seasons, with a deviation of about one.
  private static func signal(
    _ times: [Double], periods: [Double], _ stream: inout RandomStream
  ) -> [Double] {
    var parts = [(weight: stream.logUniform(in: 0.05...1), values: level(times, &stream))]
    for period in periods {
      parts.append((stream.logUniform(in: 0.1...1), SeasonDraw(period, times, &stream).values(times)))
    }
    if stream.uniform() < 0.1 {
      var shifted = [Double](repeating: 0, count: times.count)
      for _ in 0..<stream.integer(in: 1...3) {
        let (start, size) = (stream.below(times.count), stream.normal())
        for row in start..<times.count { shifted[row] += size }
      }
      parts.append((stream.logUniform(in: 0.1...1), shifted))
    }
    var sum = [Double](repeating: 0, count: times.count)
    var squares = 0.0
    for part in parts {
      for row in sum.indices { sum[row] += part.weight * part.values[row] }
      squares += part.weight * part.weight
    }
    return sum.map { $0 / squares.squareRoot() }
  }

  /// A level whose deviation over the rows is of the order of one.
  private static func level(_ times: [Double], _ stream: inout RandomStream) -> [Double] {
    let rows = Double(max(times.count, 1))
    let span = max((times.last ?? 0) - (times.first ?? 0), 1)
    var value = stream.normal()
    switch stream.choice(weights: [0.15, 0.15, 0.3, 0.2, 0.2]) {
    case 0: return times.map { _ in value }
    case 1:
      let slope = 2 * stream.normal()
      return times.map { value + slope * ($0 - (times.first ?? 0)) / span }
    case 2:  // a walk, with a drift in half of the tasks
      let drift = stream.uniform() < 0.5 ? stream.normal() / rows : 0
      let step = 1.5 / rows.squareRoot()
      return times.map { _ in
        value += drift + step * stream.normal()
        return value
      }
    case 3:  // a walk whose slope is forgotten after `memory` rows
      let memory = stream.logUniform(in: 3...max(4, rows))
      let keep = exp(-1 / memory)
      let deviation = 2 / (memory * rows).squareRoot()
      var slope = deviation * stream.normal()
      return times.map { _ in
        slope = keep * slope + deviation * (1 - keep * keep).squareRoot() * stream.normal()
        value += slope
        return value
      }
    default:  // returns to its mean
      let keep = exp(-1 / stream.logUniform(in: 1...max(2, rows / 2)))
      return times.map { _ in
        value = keep * value + (1 - keep * keep).squareRoot() * stream.normal()
        return value
      }
    }
  }

  // MARK: What is seen

  private static func seen(
    _ signal: [Double], _ times: [Double], _ stream: inout RandomStream
  ) -> [Double] {
    let deviation = stream.logUniform(in: 0.01...0.8)
    let degrees = stream.uniform() < 0.2 ? stream.integer(in: 3...6) : 0
    let far = stream.uniform() < 0.1 ? 0.02 : 0
    let change = stream.uniform() < 0.12 ? log(stream.logUniform(in: 1.5...6)) : 0
    let centre = stream.uniform(in: 0...Double(max(times.count, 1)))
    let width = Double(max(times.count, 1)) * stream.uniform(in: 0.05...0.5)
    let noisy = signal.indices.map { row in
      var error = stream.normal()
      if degrees > 0 {
        var squares = 0.0
        for _ in 0..<degrees { squares += pow(stream.normal(), 2) }
        error /= (squares / Double(degrees)).squareRoot()
      }
      if far > 0, stream.uniform() < far {
        error += (stream.uniform() < 0.5 ? -1 : 1) * stream.uniform(in: 5...15)
      }
      let strength = exp(change * tanh((Double(row) - centre) / width))
      return signal[row] + deviation * strength * error
    }
    switch stream.choice(weights: [0.68, 0.25, 0.07]) {
    case 0: return noisy
    case 1:
      let rate = stream.logUniform(in: 0.1...1)
      return noisy.map { expm1(min(rate * $0, 30)) / rate }
    default:
      let (rate, size) = (stream.uniform(in: 0.2...0.8), log(stream.logUniform(in: 1...100)))
      return signal.map { Double(stream.poisson(exp(min(size + rate * $0, 12)))) + stream.uniform() - 0.5 }
    }
  }
}

/// The draw of one season: coefficients of its waves, or a value for each phase, and how they wander.
private struct SeasonDraw {
  let period: Double
  /// Coefficients of cosine and sine of each harmonic at each knot, `[knots][2 · harmonics]`.
  let knots: [[Double]]
  let knotRows: Double
  /// A value for each phase, in place of waves.
  let phases: [Double]?

  init(_ period: Double, _ times: [Double], _ stream: inout RandomStream) {
    self.period = period
    let span = (times.last ?? 0) - (times.first ?? 0)
    let harmonics = max(1, min(Int(period / 2), stream.uniform() < 0.3 ? 1 : 20))
    let decay = stream.uniform(in: 0.5...2.5)
    let scales = (0..<harmonics).map { pow(Double($0 + 1), -decay) }
    let norm = scales.reduce(0) { $0 + $1 * $1 }.squareRoot()
    func coefficients(_ stream: inout RandomStream) -> [Double] {
      scales.flatMap { [$0 / norm * stream.normal(), $0 / norm * stream.normal()] }
    }
    var now = coefficients(&stream)
    // Knots two cycles apart at least; between them coefficients go straight.
    let wander = stream.uniform() < 0.5 ? stream.logUniform(in: 0.05...0.6) : 0
    knotRows = max(2 * period, span / 12, 1)
    var knots = [now]
    if wander > 0 {
      let keep = (1 - wander * wander).squareRoot()
      for _ in 0..<Int((span / knotRows).rounded(.up)) + 1 {
        let new = coefficients(&stream)
        now = zip(now, new).map { keep * $0 + wander * $1 }
        knots.append(now)
      }
    }
    self.knots = knots
    phases =
      period >= 3 && period <= 400 && stream.uniform() < 0.25 && period == period.rounded()
      ? stream.normals(Int(period)) : nil
  }

  func values(_ times: [Double]) -> [Double] {
    times.map { time in
      let place = (time - (times.first ?? 0)) / knotRows
      let knot = min(Int(place), knots.count - 1)
      let next = min(knot + 1, knots.count - 1)
      let share = place - Double(knot)
      if let phases {
        // A pattern that repeats; where coefficients wander, its size does.
        let size = knots.count > 1 ? 1 + 0.5 * tanh((1 - share) * knots[knot][0] + share * knots[next][0]) : 1
        let phase = Int(time.truncatingRemainder(dividingBy: period).rounded(.down))
        return size * phases[min(max(phase, 0), phases.count - 1)]
      }
      var (cosine, sine) = (1.0, 0.0)
      let angle = 2 * Double.pi * time / period
      let (c, s) = (cos(angle), sin(angle))
      var sum = 0.0
      for index in stride(from: 0, to: knots[knot].count, by: 2) {
        (cosine, sine) = (cosine * c - sine * s, sine * c + cosine * s)
        let a = (1 - share) * knots[knot][index] + share * knots[next][index]
        let b = (1 - share) * knots[knot][index + 1] + share * knots[next][index + 1]
        sum += a * cosine + b * sine
      }
      return sum
    }
  }
}

/// When rows are taken, in rows of an even series: what a season's period is counted in.
private enum SeriesClock {
  case even
  /// Months as days: a period of twelve rows is a year.
  case months
  /// `open` rows of every `cycle`.
  case hours(open: Int, cycle: Int)

  static func draw(period: Double?, from stream: inout RandomStream) -> SeriesClock {
    let drawn = stream.uniform()
    if let period, period == 12, drawn < 0.5 { return .months }
    if let period, period == 7, drawn < 0.3 { return .hours(open: 5, cycle: 7) }
    if let period, period == 24 || period == 48, drawn < 0.2 {
      return .hours(open: Int(period) * stream.integer(in: 3...6) / 8, cycle: Int(period))
    }
    return .even
  }

  func times(_ count: Int) -> [Double] {
    (0..<count).map { row in
      switch self {
      case .even: return Double(row)
      case .months:
        let days = [0.0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
        return Double(row / 12) * 12 + days[row % 12] / 365.2425 * 12
      case .hours(let open, let cycle): return Double(row / open * cycle + row % open)
      }
    }
  }
}

/// Functions (`FunctionsPrior`) and, of one input, in two thirds of the tasks series (`SeriesPrior`): what people bring.
public struct ObservationsPrior: Prior {
  public let name = "observations"
  public let dimensions = 1...3

  public init() {}

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    guard shape.dimensions == 1, stream.uniform() < 2.0 / 3 else {
      return try FunctionsPrior().draw(shape, from: &stream)
    }
    return try SeriesPrior().draw(shape, from: &stream)
  }
}

extension RandomStream {
  /// A Poisson number: by products of uniform ones up to 30, then as a rounded normal number.
  mutating func poisson(_ mean: Double) -> Int {
    guard mean < 30 else { return max(0, Int((mean + mean.squareRoot() * normal()).rounded())) }
    let limit = exp(-mean)
    var (count, product) = (0, uniform())
    while product > limit {
      count += 1
      product *= uniform()
    }
    return count
  }
}
