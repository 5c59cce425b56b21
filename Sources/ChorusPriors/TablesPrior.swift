import ChorusTensors
import Foundation

/// Tables of numbers and categories with missing cells, made by random causal graphs; in a quarter of the tasks the rows
/// are ordered in time or come from groups.
///
/// A task is drawn in these steps, all from its own stream.
///
/// 1. Rows: independent (0.75), ordered in time (`OrderedRows`, 0.13) or grouped (`GroupedRows`, 0.12).
///    `PriorTask.component` is "unordered", "ordered" or "grouped".
/// 2. Roots: one to F + 2 columns, normal, uniform, bimodal or log-normal, in 0.6 of the tables mixed linearly. In
///    ordered and grouped tables some of them go with time or group.
/// 3. Up to three layers of 2 to 16 nodes, each layer a `Mechanism` of all columns before it, with noise whose deviation
///    is log-uniform on [0.01, 0.7]. The columns that are shown are a random choice of roots and nodes.
/// 4. y follows by mechanisms from shown columns, and often a hidden one (0.6), or is a node itself. Its noise has a
///    deviation log-uniform on [0.02, 1.5] ([0.1, 3] where rows belong together, so that what they have in common
///    shows), one of the laws of `NoiseLaw`, and in 0.4 changes with the columns. Ordered rows drift, have seasons and
///    autocorrelated residuals; rows of a group share effects. These are 0.2 to 0.95 of the noise's variance.
/// 5. y is seen through exp (0.25), sinh (0.07), censored (0.08) or rounded (0.1).
/// 6. In 0.25 of the tables a third of the columns is irrelevant. Columns are cut into 2 to 12 levels with a probability
///    u² that is the table's own (mostly categories: the levels are renumbered at random), or warped.
/// 7. In 0.25 of the tables cells are missing: at random, or (a quarter of the columns) above some value.
///
/// A table of independent rows whose y neither a column nor near rows tell anything of is drawn again with probability
/// 0.7. So is, always, one whose y is constant in the context or lies beyond 15 of its deviations there. There is no oracle.
///
/// Of `classes` y is a level, of two to ten, numbered at random (`LevelTable`), and 0.4 of the tables have rows that belong together. A
/// level may follow from the columns (0.4 of the tables of independent rows, 0.7 of the others): it is where a number as above lies among
/// cuts at values that it has, or the one of several such numbers that is the largest. It may come first, with columns drawn given it (0.4
/// and 0.3), or go by rules (0.2 and none). `PriorTask.ceiling` is then known of tables of independent rows: what Bayes' rule says of itself.
public struct TablesPrior: Prior {
  public let name: String
  public let dimensions = 1...30
  /// Whether y is a level of a category.
  private let isOfLevels: Bool

  public init() { (name, isOfLevels) = ("tables", false) }
  private init(levels name: String) { (self.name, isOfLevels) = (name, true) }

  /// Tables whose y is a category.
  public static let classes = TablesPrior(levels: "classes")

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    guard shape.rows > 0 else {
      return PriorTask(shape: shape, x: [], y: [], component: IndependentRows(shape).component)
    }
    let kind = stream.choice(weights: isOfLevels ? [0.6, 0.2, 0.2] : [0.75, 0.13, 0.12])
    for _ in 0..<20 {
      let rows: any RowStructure
      switch kind {
      case 0: rows = IndependentRows(shape)
      case 1: rows = OrderedRows(shape, from: &stream)
      default: rows = GroupedRows(shape, from: &stream)
      }
      if let task = Self.attempt(shape, rows, levels: isOfLevels, &stream) { return task }
    }
    return Self.linear(shape, levels: isOfLevels, &stream)
  }

  // MARK: A table

  /// A task of these rows; nil when it is to be drawn again.
  private static func attempt(
    _ shape: TaskShape, _ rows: any RowStructure, levels: Bool, _ stream: inout RandomStream
  ) -> PriorTask? {
    let world = World(shape.rows, columns: shape.dimensions - rows.shown.count, rows, &stream)
    let table =
      levels
      ? LevelTable.draw(world, rows, from: &stream) { outcome(world, rows, &$0) }
      : LevelTable(
        columns: world.columns, y: seen(outcome(world, rows, &stream), &stream), law: nil)
    let y = table.y
    guard isUsable(y, rows.order.prefix(shape.context)) else { return nil }
    var columns = finished(table.columns, &stream)
    if rows.share == 0, !isPredictable(y, from: columns), stream.uniform() < 0.7 { return nil }
    hideCells(&columns, &stream)
    for column in rows.shown { columns.insert(column, at: stream.below(columns.count + 1)) }
    let values = columns.map(\.values)
    var x = [Double]()
    x.reserveCapacity(shape.rows * values.count)
    for row in rows.order {
      for column in values { x.append(column[row]) }
    }
    return PriorTask(
      shape: shape, x: x, y: rows.order.map { y[$0] },
      ceiling: table.ceiling(Array(rows.order.suffix(shape.targets))), component: rows.component,
      categories: columns.map(\.isCategory))
  }

  /// What there is always: a linear function of normal columns.
  private static func linear(
    _ shape: TaskShape, levels: Bool, _ stream: inout RandomStream
  ) -> PriorTask {
    let columns = (0..<shape.dimensions).map { _ in stream.normals(shape.rows) }
    var y = stream.normals(shape.rows)
    y.scale(by: stream.logUniform(in: 0.1...1))
    for column in columns { y.add(column, times: stream.normal()) }
    if levels {
      // Between the first two rows, so that both levels are there.
      let middle = y.prefix(2).reduce(0, +) / 2
      y.transform { $0 > middle ? 1 : 0 }
    }
    return PriorTask(
      shape: shape, x: (0..<shape.rows).flatMap { row in columns.map { $0[row] } }, y: y,
      component: IndependentRows(shape).component,
      categories: Array(repeating: false, count: shape.dimensions))
  }

  // MARK: y

  private static func outcome(
    _ world: World, _ rows: any RowStructure, _ stream: inout RandomStream
  ) -> Column {
    var y = world.outcome(&stream)
    if let signal = rows.signal(&stream) { y.add(signal, times: 1) }
    let deviation = stream.logUniform(in: rows.noise)
    var own = NoiseLaw.draw(from: &stream).values(y.count, from: &stream)
    if stream.uniform() < 0.4, !world.columns.isEmpty {
      var strength = Mechanism.one(of: world.columns, from: &stream)
      let change = stream.uniform()
      strength.transform { exp(change * min(max($0, -3), 3)) }
      for row in own.indices { own[row] *= strength[row] }
    }
    y.add(own, times: deviation * (1 - rows.share).squareRoot())
    if let common = rows.common(world.columns, &stream) {
      y.add(common, times: deviation * rows.share.squareRoot())
    }
    return y
  }

  /// y on the scale it is seen on.
  private static func seen(_ y: Column, _ stream: inout RandomStream) -> Column {
    var y = y
    switch stream.choice(weights: [0.25, 0.07, 0.08, 0.1, 0.5]) {
    case 0:
      y.standardise()
      let rate = stream.uniform(in: 0.2...1)
      y.transform { exp(rate * $0) }
    case 1:
      y.standardise()
      let rate = stream.uniform(in: 0.3...1.2)
      y.transform { sinh(rate * $0) }
    case 2:
      let low = y.quantile(stream.uniform(in: 0...0.2))
      let high = y.quantile(stream.uniform(in: 0.85...1))
      y.transform { min(max($0, low), high) }
    case 3:
      y.standardise()
      let scale = stream.logUniform(in: 1...30)
      y.transform { (scale * $0).rounded() }
    default: break
    }
    return y
  }

  /// Whether y varies in the context and stays within 15 deviations of it.
  private static func isUsable(_ y: Column, _ context: ArraySlice<Int>) -> Bool {
    guard y.allSatisfy(\.isFinite) else { return false }
    // A single row has no deviation.
    guard context.count > 1 else { return true }
    let (mean, deviation) = context.map { y[$0] }.moments
    return deviation > 1e-6 && y.allSatisfy { abs($0 - mean) <= 15 * deviation }
  }

  // MARK: Columns

  /// The columns as a table shows them: some replaced by noise, cut into levels, or warped.
  private static func finished(_ columns: [Column], _ stream: inout RandomStream) -> [TableColumn] {
    let levels = pow(stream.uniform(), 2)
    let warps = (1 - levels) * stream.uniform()
    var irrelevant = [Int]()
    if !columns.isEmpty, stream.uniform() < 0.25 {
      irrelevant = stream.sample(max(1, columns.count / 3), of: columns.count)
    }
    return columns.indices.map { index in
      var values = irrelevant.contains(index) ? stream.normals(columns[index].count) : columns[index]
      let fate = stream.uniform()
      guard fate < levels + warps else { return TableColumn(values: values) }
      values.standardise()
      guard fate < levels else { return TableColumn(values: warped(values, &stream)) }
      let count = min(2 + stream.geometric(0.35), 12)
      let cuts = (1..<count).map { _ in values[stream.below(values.count)] }
      let isCategory = stream.uniform() < 0.7
      let codes = isCategory ? stream.permutation(count) : Array(0..<count)
      values.transform { value in
        var level = 0
        for cut in cuts where value > cut { level += 1 }
        return Double(codes[level])
      }
      return TableColumn(values: values, isCategory: isCategory)
    }
  }

  private static func warped(_ values: Column, _ stream: inout RandomStream) -> Column {
    var values = values
    switch stream.below(6) {
    case 0:
      let rate = stream.uniform(in: 0.3...1.3)
      values.transform { exp(rate * $0) }
    case 1:
      let least = values.quantile(stream.uniform(in: 0.1...0.7))
      values.transform { max($0, least) }
    case 2:
      let scale = exp(stream.uniform(in: 0...3))
      values.transform { (scale * $0).rounded() }
    case 3:
      let power = stream.uniform(in: 0.4...2.5)
      values.transform { ($0 < 0 ? -1 : 1) * pow(abs($0), power) }
    case 4:
      for (rank, row) in values.indices.sorted(by: { values[$0] < values[$1] }).enumerated() {
        values[row] = Double(rank) / Double(values.count)
      }
    default: break
    }
    return values
  }

  /// Takes cells out of about half of the columns, and one at least, in a quarter of the tables.
  private static func hideCells(_ columns: inout [TableColumn], _ stream: inout RandomStream) {
    guard !columns.isEmpty, stream.uniform() < 0.25 else { return }
    let always = stream.below(columns.count)
    for index in columns.indices where index == always || stream.uniform() < 0.5 {
      if stream.uniform() < 0.75 {
        let share = stream.uniform(in: 0...0.35)
        columns[index].values.transform { stream.uniform() < share ? .nan : $0 }
      } else {
        let most = columns[index].values.quantile(stream.uniform(in: 0.6...0.98))
        columns[index].values.transform { $0 > most ? .nan : $0 }
      }
    }
  }
}

/// The causal graph of one table: the columns it shows and where its outcome comes from.
struct World {
  let columns: [Column]
  private let rows: Int
  private let hidden: Column

  init(_ rows: Int, columns count: Int, _ structure: any RowStructure, _ stream: inout RandomStream) {
    var all = Self.roots(rows, columns: count, structure, &stream)
    for _ in 0..<stream.below(4) {
      var nodes = Mechanism.draw(min(Int(stream.logUniform(in: 2...17)), 16), of: all, from: &stream)
      let activation = stream.uniform() < 0.5 ? Activation.draw(from: &stream) : nil
      let gain = exp(0.4 * stream.normal())
      let noise = stream.logUniform(in: 0.01...0.7)
      for index in nodes.indices {
        nodes[index].standardise()
        if let activation {
          nodes[index].scale(by: gain)
          activation.apply(to: &nodes[index])
          nodes[index].standardise()
        }
        nodes[index].transform { $0 + noise * stream.normal() }
        nodes[index].standardise()
      }
      all += nodes
    }
    while all.count < count + 1 { all.append(stream.normals(rows)) }
    let order = stream.permutation(all.count)
    self.rows = rows
    columns = order.prefix(count).map { all[$0] }
    hidden = all[order[count]]
  }

  private static func roots(
    _ rows: Int, columns: Int, _ structure: any RowStructure, _ stream: inout RandomStream
  ) -> [Column] {
    var roots = (0..<stream.integer(in: 1...columns + 2)).map { _ in
      var root: Column
      switch stream.below(6) {
      case 0: root = (0..<rows).map { _ in stream.uniform(in: -1...1) }
      case 1:
        let (centres, width) = (stream.normals(2), stream.uniform(in: 0.05...0.6))
        root = (0..<rows).map { _ in centres[stream.below(2)] + width * stream.normal() }
      case 2:
        root = stream.normals(rows)
        let rate = stream.uniform(in: 0.3...1)
        root.transform { exp(rate * $0) }
      default: root = stream.normals(rows)
      }
      root.standardise()
      return structure.blended(root, &stream)
    }
    if roots.count > 1, stream.uniform() < 0.6 {
      let strength = stream.uniform()
      roots = roots.map { root in
        var mixed = root
        for other in roots { mixed.add(other, times: strength * stream.normal()) }
        return mixed
      }
    }
    for index in roots.indices { roots[index].standardise() }
    return roots
  }

  /// The outcome without noise: of shown columns, often with a hidden one, or a column that is not shown.
  func outcome(_ stream: inout RandomStream) -> Column {
    guard !columns.isEmpty else { return Column(repeating: 0, count: rows) }
    guard stream.uniform() < 0.6 else { return hidden }
    var parents = stream.sample(stream.integer(in: 1...columns.count), of: columns.count).map { columns[$0] }
    if stream.uniform() < 0.4 { parents.append(hidden) }
    var outcome = Mechanism.one(of: parents, from: &stream)
    if stream.uniform() < 0.35 {
      outcome.add(Mechanism.one(of: parents, from: &stream), times: stream.normal())
      outcome.standardise()
    }
    if stream.uniform() < 0.35 {
      let line = Mechanism.sum(of: parents, about: parents.count, &stream).standardised
      outcome.add(line, times: stream.normal())
      outcome.standardise()
    }
    return outcome
  }
}
