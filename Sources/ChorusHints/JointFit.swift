import Foundation

/// Trends and waves of all inputs fitted together, and judged by parts of the range that the fit has not seen.
struct JointFit {
  /// Parts of the range, each foretold from the others.
  private static let parts = 8
  /// The highest power of the trend.
  static let degree = 2
  /// Rows that a column of the fit needs: with fewer it would follow the noise.
  static let rowsPerColumn = 4
  /// Added to the squares of every factor: enough to keep a fit of few rows in bounds.
  private static let ridge = 1e-3

  /// What one more step of the fit adds: a power of every input, or a wave along one.
  private enum Level {
    case power(Int)
    case wave(along: Int, index: Int)
  }

  private let searches: [WaveSearch?]
  /// What the columns of the fit are, in their order, and how many there are with each, after the constant.
  private var levels: [Level] = []
  private var ends = [1]
  /// The columns, and y as one more `[rows][]`.
  private var rows: [[Double]]

  /// A fit of at most `waves` waves, the strongest of all `searches` (one an input).
  init(_ searches: [WaveSearch?], _ y: [Double], waves: Int) {
    self.searches = searches
    rows = y.map { _ in [1.0] }
    for level in Self.levels(searches, waves) {
      let parts = searches.enumerated().compactMap { line, search in
        search.flatMap { Self.columns(level, line, $0) }
      }
      let end = parts.reduce(ends[ends.count - 1]) { $0 + $1[0].count }
      guard end * Self.rowsPerColumn <= y.count else { break }
      for part in parts {
        for row in rows.indices { rows[row] += part[row] }
      }
      levels.append(level)
      ends.append(end)
    }
    for row in rows.indices { rows[row].append(y[row]) }
  }

  /// The fit with as many levels as foretell best.
  var periods: Periods {
    let all = Products(rows, columns: rows[0].count)
    let splits = searches.compactMap { $0.map { Split($0.x, rows, all, ridge: Self.ridge) } }
    let (skill, level) = best(splits)
    let factors = all.solved(ends[level], ridge: Self.ridge)
    let lines = searches.indices.map { self.line($0, levels: level, factors: factors) }
    // What is subtracted is the fit times its skill, and so it is judged.
    let rest = rows.map { Split.missed($0, factors, weight: skill) }
    let left = rest.reduce(0) { $0 + $1 * $1 } / Double(rows.count)
    let errors = splits.map { $0.errors(columns: ends[level], weight: skill) }
    func beside(_ square: Double?) -> Double { (max(square ?? left, 1e-12) / max(left, 1e-12)).squareRoot() }
    return Periods(
      lines: lines, constant: skill > 0 ? factors[0] : 0, skill: skill,
      inside: beside(errors.map(\.inside).max()),
      beyond: beside(errors.map(\.beyond).max()), roughness: beside(roughness(rest)))
  }

  /// The mean square by which a rest differs from what its neighbours say, in units in which it is the variance where all
  /// is noise: neighbours on a line between which it lies (Gasser, Sroka and Jennen-Steinmetz 1986); with
  /// several inputs the nearest one.
  private func roughness(_ rest: [Double]) -> Double? {
    let x = searches.compactMap { $0?.x }
    guard x.count > 1 else { return x.first.map { Self.roughness(rest, $0) } }
    let squares = rest.indices.map { row in
      var (nearest, least) = (row, Double.infinity)
      for other in rest.indices where other != row {
        let distance = x.reduce(0) { $0 + ($1[row] - $1[other]) * ($1[row] - $1[other]) }
        if distance < least { (nearest, least) = (other, distance) }
      }
      return (rest[row] - rest[nearest]) * (rest[row] - rest[nearest]) / 2
    }
    return squares.reduce(0, +) / Double(squares.count)
  }

  private static func roughness(_ rest: [Double], _ x: [Double]) -> Double {
    let order = x.indices.sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] < x[$1] }
    let squares = order.indices.dropFirst().dropLast().map { place in
      let (before, row, after) = (order[place - 1], order[place], order[place + 1])
      let apart = x[after] - x[before]
      let weight = apart > 0 ? (x[after] - x[row]) / apart : 0.5
      let miss = weight * rest[before] + (1 - weight) * rest[after] - rest[row]
      return miss * miss / (weight * weight + (1 - weight) * (1 - weight) + 1)
    }
    return squares.reduce(0, +) / Double(squares.count)
  }

  /// The number of levels that foretells best, and its skill.
  private func best(_ splits: [Split]) -> (skill: Double, level: Int) {
    let y = rows.map { $0[$0.count - 1] }
    let mean = y.reduce(0, +) / Double(y.count)
    let spread = y.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    // The best of many frequencies explains 2 log(choices) times the variance of a row where there is only noise, as
    // the largest of so many exponential powers does (Scargle 1982).
    let choices = searches.reduce(0) { $0 + ($1?.choices ?? 0) }
    let price = 2 * log(max(choices, 1)) / Double(y.count)
    var best = (skill: 0.0, level: 0)
    for level in ends.indices.dropFirst() {
      let found = levels.prefix(level).count { if case .wave = $0 { true } else { false } }
      let missed = splits.map { $0.missed(columns: ends[level]).reduce(0, +) }.max() ?? spread
      let skill = 1 - missed / spread * exp(price * Double(found))
      if skill > best.skill { best = (skill, level) }
    }
    return best
  }

  /// What the first `count` levels have of an input, with the factors of its columns.
  private func line(_ line: Int, levels count: Int, factors: [Double]) -> Periods.Line? {
    guard let search = searches[line] else { return nil }
    let before = searches.prefix(line).count { $0 != nil }
    var (own, degree, kept) = ([Double](), 0, 0)
    for (level, start) in zip(levels.prefix(count), ends) {
      switch level {
      case .power(let power):
        own.append(factors[start + before])
        degree = power
      case .wave(let along, _):
        guard along == line else { continue }
        own += factors[start..<start + 2 * search.shape.harmonics]
        kept += 1
      }
    }
    return Periods.Line(
      waves: search.waves,
      shape: search.shape.with(degree: degree, frequencies: search.waves.prefix(kept).map(\.frequency)),
      factors: own)
  }

  /// Straight lines, squares, then waves: always the strongest that is left along any input.
  private static func levels(_ searches: [WaveSearch?], _ waves: Int) -> [Level] {
    var next = [Int](repeating: 0, count: searches.count)
    var levels = (1...Self.degree).map(Level.power)
    for _ in 0..<waves {
      let heads = searches.indices.filter { next[$0] < (searches[$0]?.waves.count ?? 0) }
      func strength(_ line: Int) -> Double { searches[line]?.explained[next[line]] ?? 0 }
      guard let line = heads.max(by: { strength($0) < strength($1) }) else { break }
      levels.append(.wave(along: line, index: next[line]))
      next[line] += 1
    }
    return levels
  }

  /// The columns `[rows][]` that a level adds along an input; nil for none.
  private static func columns(_ level: Level, _ line: Int, _ search: WaveSearch) -> [[Double]]? {
    let shape: Periods.Shape
    switch level {
    case .power(let power):
      shape = search.shape.with(degree: power, frequencies: [])
      return search.x.map { [shape.powers(of: $0)[power]] }
    case .wave(let along, let index):
      guard along == line else { return nil }
      shape = search.shape.with(degree: 0, frequencies: [search.waves[index].frequency])
      return search.x.map(shape.turns)
    }
  }

  /// The rows in parts along one input.
  private struct Split {
    private let all: Products
    private let ridge: Double
    private let parts: [(rows: [[Double]], products: Products)]

    init(_ x: [Double], _ rows: [[Double]], _ all: Products, ridge: Double) {
      (self.all, self.ridge) = (all, ridge)
      let order = x.indices.sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] < x[$1] }
      parts = (0..<JointFit.parts).map { part in
        let members = order[part * x.count / JointFit.parts..<(part + 1) * x.count / JointFit.parts]
          .map { rows[$0] }
        return (members, Products(members, columns: all.columns))
      }
    }

    /// The sum of squares that the first `columns` times a weight miss of each part, foretold from the others.
    func missed(columns: Int, weight: Double = 1) -> [Double] {
      parts.map { rows, own in
        let factors = all.plus(own, -1).solved(columns, ridge: ridge)
        return rows.reduce(0) { sum, row in
          let miss = Self.missed(row, factors, weight: weight)
          return sum + miss * miss
        }
      }
    }

    /// The mean squares missed of the parts between others, and of the two outermost.
    func errors(columns: Int, weight: Double) -> (inside: Double, beyond: Double) {
      let missed = missed(columns: columns, weight: weight)
      func mean(_ indices: some Sequence<Int>) -> Double {
        let (sum, count) = indices.reduce((0.0, 0)) { ($0.0 + missed[$1], $0.1 + parts[$1].rows.count) }
        return sum / Double(max(count, 1))
      }
      return (mean(1..<parts.count - 1), mean([0, parts.count - 1]))
    }

    static func missed(_ row: [Double], _ factors: [Double], weight: Double) -> Double {
      row[row.count - 1] - weight * zip(row, factors).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }

  /// Sums of products of columns, the last of which is y.
  private struct Products {
    let columns: Int
    var values: [Double]

    init(_ rows: [[Double]], columns: Int) {
      self.columns = columns
      values = [Double](repeating: 0, count: columns * columns)
      for row in rows {
        for i in 0..<columns {
          for j in 0...i { values[i * columns + j] += row[i] * row[j] }
        }
      }
    }

    func plus(_ other: Products, _ sign: Double) -> Products {
      var out = self
      for index in values.indices { out.values[index] += sign * other.values[index] }
      return out
    }

    /// The factors of the first `count` columns that fit y best, by a Cholesky factor.
    func solved(_ count: Int, ridge: Double) -> [Double] {
      var l = [Double](repeating: 0, count: count * count)
      var z = [Double](repeating: 0, count: count)
      for i in 0..<count {
        for j in 0...i {
          var sum = values[i * columns + j] + (i == j ? ridge : 0)
          for k in 0..<j { sum -= l[i * count + k] * l[j * count + k] }
          l[i * count + j] = i == j ? max(sum, ridge).squareRoot() : sum / l[j * count + j]
        }
        z[i] = values[(columns - 1) * columns + i]
        for k in 0..<i { z[i] -= l[i * count + k] * z[k] }
        z[i] /= l[i * count + i]
      }
      for i in (0..<count).reversed() {
        for k in i + 1..<count { z[i] -= l[k * count + i] * z[k] }
        z[i] /= l[i * count + i]
      }
      return z
    }
  }
}
