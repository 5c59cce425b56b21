import ChorusTensors
import Foundation

/// A table whose y is a level of a category, from two to ten of them, numbered at random.
///
/// How level and columns come from each other differs:
///
/// - *columns first*: the level is where a number that follows from the columns lies among cuts (`TablesPrior`), or which of up to six such
///   numbers, each with a y of its own in the table, is the largest;
/// - *level first*: rows of a level are draws of its own normal law or mixture of such (`ClassMixture`), so that levels are anything from
///   told apart surely to the same;
/// - *rules*: a tree asks columns one by one, and each of its leaves has a law over levels (`ClassTree`).
///
/// Of the latter two Bayes' rule is known, and with it how well the levels can be told at best.
struct LevelTable {
  var columns: [Column]
  let y: Column
  /// The probability of each level in each row by all columns as they were drawn, `[rows][levels]`; nil where it is not known.
  let law: [[Double]]?

  /// How sure of itself, on average over some rows, one is who knows the law: Σ_c p_c log p_c.
  func ceiling(_ rows: [Int]) -> Double? {
    guard let law, !rows.isEmpty else { return nil }
    return rows.reduce(0.0) { sum, row in
      law[row].reduce(sum) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
    } / Double(rows.count)
  }
}

/// Classes that columns are drawn from: each is a mixture of normal laws in some of the columns.
struct ClassMixture {
  struct Part {
    let level: Int
    /// The logarithm of its share among all parts.
    let share: Double
    let mean: [Double]
    /// The lower factor of its covariance, row-major.
    let factor: [Double]
  }

  let levels: Int
  /// Columns that tell of the level.
  let told: Int
  let parts: [Part]

  init(_ levels: Int, told: Int, parts: [Part]) {
    (self.levels, self.told, self.parts) = (levels, told, parts)
  }

  /// - Parameter most: columns there are.
  init(_ levels: Int, columns most: Int, from stream: inout RandomStream) {
    let told = stream.uniform() < 0.4 ? most : stream.integer(in: 1...most)
    let shares = stream.dirichlet(levels, stream.logUniform(in: 0.7...20))
    // One law a level with the covariance that all share, one a level with its own, or several.
    let form = stream.choice(weights: [0.4, 0.3, 0.3])
    let common = Self.factor(told, &stream)
    // How far the means are from each other, in deviations.
    let apart = stream.logUniform(in: 0.5...15) / (2 * Double(told)).squareRoot()
    var parts: [Part] = []
    for level in 0..<levels {
      let count = form == 2 ? min(1 + stream.geometric(0.45), 4) : 1
      let weights = stream.dirichlet(count, 3)
      for weight in weights {
        let place = stream.normals(told).map { apart * $0 }
        var factor = common
        if form > 0, form == 1 || stream.uniform() < 0.5 {
          factor = Self.factor(told, &stream)
          let size = exp(0.4 * stream.normal())
          factor = factor.map { size * $0 }
        }
        parts.append(
          Part(
            level: level, share: log(max(shares[level] * weight, 1e-12)),
            mean: Self.times(common, place, told), factor: factor))
      }
    }
    self.init(levels, told: told, parts: parts)
  }

  private static func factor(_ count: Int, _ stream: inout RandomStream) -> [Double] {
    let tied = stream.uniform() / Double(max(count, 1)).squareRoot()
    var factor = [Double](repeating: 0, count: count * count)
    for row in 0..<count {
      for column in 0..<row { factor[row * count + column] = 2 * tied * stream.normal() }
      factor[row * count + row] = exp(0.3 * stream.normal())
    }
    return factor
  }

  /// The product of a lower factor and a column.
  private static func times(_ factor: [Double], _ column: [Double], _ count: Int) -> [Double] {
    (0..<count).map { row in (0...row).reduce(0) { $0 + factor[row * count + $1] * column[$1] } }
  }

  /// A row of some level: its columns.
  ///
  /// - Parameter level: nil for one by the shares.
  func row(of level: Int?, from stream: inout RandomStream) -> (level: Int, values: [Double]) {
    let own = parts.indices.filter { level == nil || parts[$0].level == level }
    let part = parts[own[stream.choice(weights: own.map { exp(parts[$0].share) })]]
    let noise = Self.times(part.factor, stream.normals(told), told)
    return (part.level, zip(part.mean, noise).map { $0 + $1 })
  }

  /// Bayes' rule: p(level | columns).
  func law(_ values: [Double]) -> [Double] {
    var logs = [Double](repeating: -.infinity, count: levels)
    for part in parts {
      // Forward substitution: ε with factor · ε = values − mean.
      var (noise, density) = ([Double](), part.share)
      for row in 0..<told {
        var rest = values[row] - part.mean[row]
        for column in 0..<row { rest -= part.factor[row * told + column] * noise[column] }
        let deviation = part.factor[row * told + row]
        noise.append(rest / deviation)
        density -= log(deviation) + 0.5 * noise[row] * noise[row]
      }
      let (a, b) = (max(logs[part.level], density), min(logs[part.level], density))
      logs[part.level] = a + log1p(exp(b - a))
    }
    let top = logs.max() ?? 0
    let parts = logs.map { exp($0 - top) }
    let total = parts.reduce(0, +)
    return parts.map { $0 / total }
  }
}

/// Levels by rules: each leaf of a tree has a law over them.
struct ClassTree {
  private indirect enum Node {
    case leaf([Double])
    case asks(column: Int, cut: Double, below: Node, above: Node)
  }

  private let root: Node

  /// - Parameter columns: at least one.
  init(_ levels: Int, asking columns: [Column], from stream: inout RandomStream) {
    let depth = stream.integer(in: 1...5)
    // From one level a leaf to nearly the same law in all.
    let sureness = stream.logUniform(in: 0.02...1)
    let used = stream.sample(min(columns.count, 1 + stream.geometric(0.3)), of: columns.count)
    func node(_ rows: [Int], _ depth: Int, _ stream: inout RandomStream) -> Node {
      guard depth > 0, rows.count > 1 else { return .leaf(stream.dirichlet(levels, sureness)) }
      let column = used[stream.below(used.count)]
      let cut = columns[column][rows[stream.below(rows.count)]]
      let parted = [true, false].map { side in rows.filter { (columns[column][$0] <= cut) == side } }
      return .asks(
        column: column, cut: cut, below: node(parted[0], depth - 1, &stream),
        above: node(parted[1], depth - 1, &stream))
    }
    root = node(Array(columns[0].indices), depth, &stream)
  }

  /// p(level | columns).
  func law(_ value: (_ column: Int) -> Double) -> [Double] {
    var node = root
    while case .asks(let column, let cut, let below, let above) = node {
      node = value(column) <= cut ? below : above
    }
    guard case .leaf(let law) = node else { return [] }
    return law
  }
}

extension RandomStream {
  /// Shares that sum to 1, more even the larger `evenness` is; at least 1e-9 before they are brought to that sum.
  mutating func dirichlet(_ count: Int, _ evenness: Double) -> [Double] {
    let parts = (0..<count).map { _ in gamma(evenness) + 1e-9 }
    let total = parts.reduce(0, +)
    return parts.map { $0 / total }
  }
}

extension LevelTable {
  private static func count(_ stream: inout RandomStream) -> Int {
    stream.uniform() < 0.4 ? 2 : min(3 + stream.geometric(0.4), 10)
  }

  /// - Parameters:
  ///   - world: the columns, where the level does not come first.
  ///   - outcome: draws a number that follows from the columns.
  static func draw(
    _ world: World, _ rows: any RowStructure, from stream: inout RandomStream,
    outcome: (inout RandomStream) -> Column
  ) -> LevelTable {
    let count = rows.order.count
    let hasColumns = !world.columns.isEmpty
    // Rules belong to rows by themselves; a level that comes first may go with time or group.
    let form =
      hasColumns ? stream.choice(weights: rows.share == 0 ? [0.4, 0.4, 0.2] : [0.7, 0.3, 0]) : 0
    switch form {
    case 1: return levelFirst(count, world.columns.count, rows, &stream)
    case 2:
      let tree = ClassTree(Self.count(&stream), asking: world.columns, from: &stream)
      let law = (0..<count).map { row in tree.law { world.columns[$0][row] } }
      return numbered(world.columns, law.map { stream.choice(weights: $0) }, law, &stream)
    default: return columnsFirst(world, from: &stream, outcome: outcome)
    }
  }

  private static func levelFirst(
    _ count: Int, _ columns: Int, _ rows: any RowStructure, _ stream: inout RandomStream
  ) -> LevelTable {
    let levels = Self.count(&stream)
    let mixture = ClassMixture(levels, columns: columns, from: &stream)
    // Rows that belong together have levels that do: the largest of numbers with common noise.
    var told: [Int]?
    if rows.share > 0 {
      let heights = (0..<levels).map { _ in
        var height = stream.normals(count)
        height.scale(by: (1 - rows.share).squareRoot(), plus: 0.5 * stream.normal())
        if let common = rows.common([], &stream) { height.add(common, times: rows.share.squareRoot()) }
        if let signal = rows.signal(&stream) { height.add(signal, times: 1) }
        return height
      }
      told = (0..<count).map { row in
        (0..<levels).max { heights[$0][row] < heights[$1][row] } ?? 0
      }
    }
    let drawn = (0..<count).map { mixture.row(of: told?[$0], from: &stream) }
    var made = (0..<mixture.told).map { column in drawn.map { $0.values[column] } }
    // The other columns tell nothing, alone or beside those: noise, or noisy copies.
    while made.count < columns {
      var noise = stream.normals(count)
      if stream.uniform() < 0.4 {
        noise.scale(by: stream.logUniform(in: 0.1...2))
        noise.add(made[stream.below(mixture.told)].standardised, times: 1)
      }
      made.append(noise)
    }
    let order = stream.permutation(columns)
    return numbered(
      order.map { made[$0] }, drawn.map(\.level), told == nil ? drawn.map { mixture.law($0.values) } : nil,
      &stream)
  }

  /// The same with levels numbered at random.
  private static func numbered(
    _ columns: [Column], _ levels: [Int], _ law: [[Double]]?, _ stream: inout RandomStream
  ) -> LevelTable {
    let count = max(law?.first?.count ?? 0, (levels.max() ?? 0) + 1)
    let codes = stream.permutation(count)
    let renumbered = law?.map { own in
      var moved = own
      for (level, code) in codes.enumerated() { moved[code] = own[level] }
      return moved
    }
    return LevelTable(columns: columns, y: levels.map { Double(codes[$0]) }, law: renumbered)
  }

  private static func columnsFirst(
    _ world: World, from stream: inout RandomStream, outcome: (inout RandomStream) -> Column
  ) -> LevelTable {
    guard stream.uniform() < 0.4 else {
      let count = Self.count(&stream)
      return LevelTable(columns: world.columns, y: cut(outcome(&stream), count, &stream), law: nil)
    }
    let count = min(2 + stream.geometric(0.4), 6)
    // How alike the levels' numbers are in height, so that some are rare.
    let apart = stream.uniform(in: 0...1)
    let heights = (0..<count).map { _ in
      var height = outcome(&stream).standardised
      let own = apart * stream.normal()
      height.transform { $0 + own }
      return height
    }
    let y = heights[0].indices.map { row in
      Double((0..<count).max { heights[$0][row] < heights[$1][row] } ?? 0)
    }
    return LevelTable(columns: world.columns, y: y, law: nil)
  }

  /// Which of `count` intervals, numbered at random, each value lies in.
  private static func cut(_ values: Column, _ count: Int, _ stream: inout RandomStream) -> Column {
    let cuts = (1..<count).map { _ in values[stream.below(values.count)] }
    let codes = stream.permutation(count)
    return values.map { value in Double(codes[cuts.count { value > $0 }]) }
  }
}
