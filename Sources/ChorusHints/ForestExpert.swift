import ChorusData
import Foundation

/// A forest of extremely randomised trees (Geurts et al. 2006) on bootstrap samples, with out-of-bag statements: the mean over trees,
/// the deviation within leaves, and the disagreement between trees.
///
/// Of a node max(2, columns) random cuts are tried. A number is cut between its extremes at random, a category into one of its levels
/// and the others; missing cells go to a random side. Rows with known errors count less in means, and what errors add to squares is taken
/// off, so that a node whose outputs differ by no more than their errors is not cut.
struct ForestExpert: TableEstimator {
  static let count = 48

  /// A cut or a leaf, in twelve bytes: a forest on thousands of rows has hundreds of thousands of them.
  struct Node: Sendable {
    /// Of a cut four times its column and its flags; −1 for a leaf.
    private let cut: Int32
    /// The threshold of a cut; the mean of a leaf.
    private let value: Float
    /// Where a cut's children stand, the right one behind the left one; of a leaf the bits of the mean square.
    private var more: UInt32

    private static let equality: Int32 = 1
    private static let missingLeft: Int32 = 2

    init(mean: Float, square: Float) { (cut, value, more) = (-1, mean, square.bitPattern) }

    init(column: Int, threshold: Float, equals: Bool, missingLeft: Bool) {
      cut = Int32(column) << 2 | (equals ? Self.equality : 0) | (missingLeft ? Self.missingLeft : 0)
      (value, more) = (threshold, 0)
    }

    var isLeaf: Bool { cut < 0 }
    var column: Int { Int(cut >> 2) }
    var left: Int {
      get { Int(more) }
      set { more = UInt32(newValue) }
    }
    var mean: Float { value }
    var square: Float { Float(bitPattern: more) }

    func goesLeft(_ cell: Float) -> Bool {
      cell.isNaN ? cut & Self.missingLeft != 0 : cut & Self.equality != 0 ? cell == value : cell <= value
    }
  }

  let observed: [Estimate]
  /// How far trees are from each other, of the context's rows.
  let disagreement: [Double]
  /// Of each tree its nodes, the root first.
  private let trees: [[Node]]
  private let columns: Int
  /// What deviations within leaves are multiplied by, and what is added in squares, so that they are those of out-of-bag errors.
  private let rescale: Double
  private let least: Double
  private let plain: Estimate

  private struct Sum {
    var count = 0.0
    var mean = 0.0
    var meanSquare = 0.0
    var square = 0.0
    mutating func add(_ node: Node) {
      let mean = Double(node.mean)
      count += 1
      self.mean += mean
      meanSquare += mean * mean
      square += Double(node.square)
    }
    /// The mean, the deviation within leaves, and between trees.
    func law(_ plain: Estimate) -> (value: Double, within: Double, between: Double) {
      guard count > 0 else { return (plain.value, plain.deviation, 0) }
      let value = mean / count
      return (
        value, max(square / count - value * value, 0).squareRoot(),
        max(meanSquare / count - value * value, 0).squareRoot()
      )
    }
  }

  /// - Parameter variance: by which outputs vary beside their known errors where something is told of them.
  init(_ context: TableContext, beside variance: Double = 1) {
    let (n, f) = (context.count, context.rows.cells.columns)
    let cells = context.rows.cuttable
    let weights = context.weights(beside: variance)
    let mean = context.mean(weights)
    let squares = context.y.indices.reduce(0.0) { sum, row in
      let error = context.y[row] - mean
      return sum + weights[row] * (error * error - context.errors.variance(row))
    }
    let plain = Estimate(
      value: mean,
      deviation: max(squares / max(weights.reduce(0, +), .leastNormalMagnitude), 0).squareRoot())
    let outputs = context.y.indices.map { row in
      let value = Double(Float(context.y[row]))
      return Grower.Output(
        weight: weights[row], sum: weights[row] * value,
        square: weights[row] * (value * value - context.errors.variance(row)))
    }
    var grower = Grower(
      cells: cells, categories: context.rows.cells.categories, outputs: outputs, columns: f,
      leaf: n < 24 ? 1 : 2,
      state: context.seed | 1)
    var sums = [Sum](repeating: Sum(), count: n)
    var trees: [[Node]] = []
    for _ in 0..<Self.count where n > 0 {
      var bag = [Bool](repeating: false, count: n)
      var rows = [Int32](repeating: 0, count: n)
      for place in 0..<n {
        rows[place] = Int32(grower.below(n))
        bag[Int(rows[place])] = true
      }
      let tree = grower.grow(&rows)
      cells.withUnsafeBufferPointer { cells in
        tree.withUnsafeBufferPointer { nodes in
          for row in 0..<n where !bag[row] {
            sums[row].add(
              Self.leaf(nodes, UnsafeBufferPointer(rebasing: cells[row * f..<(row + 1) * f])))
          }
        }
      }
      trees.append(tree)
    }
    self.trees = trees
    columns = f
    self.plain = plain
    let laws = sums.map { $0.law(plain) }
    let error = context.errors.deviation(of: zip(laws, context.y).map { $0.value - $1 }) + 1e-3
    least = 0.05 * error
    let least = least
    let within = laws.map { ($0.within * $0.within + least * least).squareRoot() }
    rescale = error / max(Self.rootMeanSquare(within), 1e-9)
    let rescale = rescale
    observed = zip(laws, within).map { Estimate(value: $0.value, deviation: $1 * rescale) }
    disagreement = laws.map(\.between)
  }

  func estimates(_ rows: TableRows) -> [Estimate] { laws(rows).map(\.estimate) }

  /// With the disagreement between trees.
  func laws(_ rows: TableRows) -> [(estimate: Estimate, disagreement: Double)] {
    var sums = [Sum](repeating: Sum(), count: rows.count)
    rows.cuttable.withUnsafeBufferPointer { cells in
      for tree in trees {
        tree.withUnsafeBufferPointer { nodes in
          for row in sums.indices {
            let own = UnsafeBufferPointer(rebasing: cells[row * columns..<(row + 1) * columns])
            sums[row].add(Self.leaf(nodes, own))
          }
        }
      }
    }
    return sums.map { sum in
      let law = sum.law(plain)
      let deviation = (law.within * law.within + least * least).squareRoot() * rescale
      return (Estimate(value: law.value, deviation: deviation), law.between)
    }
  }

  static func rootMeanSquare(_ values: [Double]) -> Double {
    (values.reduce(0) { $0 + $1 * $1 } / Double(max(values.count, 1))).squareRoot()
  }

  private static func leaf(_ nodes: UnsafeBufferPointer<Node>, _ row: UnsafeBufferPointer<Float>) -> Node {
    var node = nodes[0]
    while !node.isLeaf { node = nodes[node.left + (node.goesLeft(row[node.column]) ? 0 : 1)] }
    return node
  }
}

/// Grows trees one after the other.
private struct Grower {
  /// Of a row, how much it counts, and its output and the square of what would be seen without its error, times that.
  struct Output {
    let weight: Double
    let sum: Double
    let square: Double
  }

  let cells: [Float]
  let categories: [Bool]
  let outputs: [Output]
  let columns: Int
  /// Rows of a leaf, at least.
  let leaf: Int
  var state: UInt64
  private var nodes: [ForestExpert.Node] = []

  private static let deepest = 24

  init(
    cells: [Float], categories: [Bool], outputs: [Output], columns: Int, leaf: Int, state: UInt64
  ) {
    (self.cells, self.categories, self.outputs) = (cells, categories, outputs)
    (self.columns, self.leaf, self.state) = (columns, leaf, state)
  }

  /// xorshift64* (Vigna 2016): cuts need many numbers and no more quality than this.
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 2_685_821_657_736_338_717
  }
  mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }
  mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  /// The nodes of a tree, the root first, in a list that is no longer than they are.
  mutating func grow(_ rows: inout [Int32]) -> [ForestExpert.Node] {
    nodes.removeAll(keepingCapacity: true)
    nodes.append(Self.open)
    // The arrays are lent to the recursion as pointers, so that nothing is copied or counted on the way down.
    let (cells, categories, outputs) = (cells, categories, outputs)
    rows.withUnsafeMutableBufferPointer { rows in
      cells.withUnsafeBufferPointer { cells in
        categories.withUnsafeBufferPointer { categories in
          outputs.withUnsafeBufferPointer { outputs in
            split(0, rows, Table(cells: cells, categories: categories, outputs: outputs), depth: 0)
          }
        }
      }
    }
    return nodes.withUnsafeBufferPointer { Array($0) }
  }

  /// The place of a node that is still to be grown.
  private static let open = ForestExpert.Node(mean: 0, square: 0)

  private struct Table {
    let cells: UnsafeBufferPointer<Float>
    let categories: UnsafeBufferPointer<Bool>
    let outputs: UnsafeBufferPointer<Output>
  }

  private mutating func split(
    _ place: Int, _ rows: UnsafeMutableBufferPointer<Int32>, _ table: Table, depth: Int
  ) {
    let n = rows.count
    var (sum, squares, weight) = (0.0, 0.0, 0.0)
    for row in rows {
      let output = table.outputs[Int(row)]
      sum += output.sum
      squares += output.square
      weight += output.weight
    }
    let mean = sum / weight
    nodes[place] = ForestExpert.Node(mean: Float(mean), square: Float(squares / weight))
    guard n >= 2 * leaf, squares / weight - mean * mean > 1e-10, depth < Self.deepest else { return }
    var best: (gain: Double, node: ForestExpert.Node)?
    for _ in 0..<max(2, columns) {
      guard let cut = cut(rows, table) else { continue }
      var (part, own, count) = (0.0, 0.0, 0)
      let column = cut.column
      for row in rows where cut.goesLeft(table.cells[Int(row) * columns + column]) {
        let output = table.outputs[Int(row)]
        part += output.sum
        own += output.weight
        count += 1
      }
      guard count >= leaf, n - count >= leaf else { continue }
      let gain = part * part / own + (sum - part) * (sum - part) / (weight - own) - sum * mean
      if gain > best?.gain ?? -1 { best = (gain, cut) }
    }
    guard let best else { return }
    let column = best.node.column
    var left = 0
    for i in 0..<n where best.node.goesLeft(table.cells[Int(rows[i]) * columns + column]) {
      rows.swapAt(i, left)
      left += 1
    }
    let children = nodes.count
    nodes.append(Self.open)
    nodes.append(Self.open)
    nodes[place] = best.node
    nodes[place].left = children
    split(children, UnsafeMutableBufferPointer(rebasing: rows[0..<left]), table, depth: depth + 1)
    split(children + 1, UnsafeMutableBufferPointer(rebasing: rows[left..<n]), table, depth: depth + 1)
  }

  /// A random cut of a random column; nil where the column has nothing to cut.
  private mutating func cut(
    _ rows: UnsafeMutableBufferPointer<Int32>, _ table: Table
  ) -> ForestExpert.Node? {
    let column = below(columns)
    var (low, high, missing) = (Float.infinity, -Float.infinity, 0)
    for row in rows {
      let value = table.cells[Int(row) * columns + column]
      if value.isNaN { missing += 1 } else { (low, high) = (min(low, value), max(high, value)) }
    }
    let missingLeft = next() & 1 == 1
    func node(_ threshold: Float, equals: Bool = false, missingLeft: Bool) -> ForestExpert.Node {
      ForestExpert.Node(column: column, threshold: threshold, equals: equals, missingLeft: missingLeft)
    }
    if high > low {
      if table.categories[column] {
        let value = table.cells[Int(rows[below(rows.count)]) * columns + column]
        return value.isNaN ? nil : node(value, equals: true, missingLeft: missingLeft)
      }
      return node(low + (high - low) * uniform(), missingLeft: missingLeft)
    }
    // All the same: cells that are missing against the others, where there are both.
    return missing > 0 && missing < rows.count ? node(.infinity, missingLeft: false) : nil
  }
}
