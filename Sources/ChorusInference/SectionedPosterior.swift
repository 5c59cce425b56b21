import ChorusData
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors

/// A series with more rows than the model reads, asked anywhere along it: every point is answered by the rows around it.
///
/// Windows of as many rows as the model reads begin half a window apart, and the last one ends with the rows. Which of them answers a
/// point follows from how many rows lie before it, and so from the rows alone: what else is asked changes no byte of an answer,
/// as below that number of rows. A point between two rows has a quarter of a window or more on either side, where there are so many.
/// Points of one window are drawn together, those of different ones apart; a gap without rows is never divided.
package final class SectionedPosterior<Part: Answering>: Conditionable {
  /// All rows.
  private let data: Dataset
  /// Their first inputs in order.
  private let times: [Double]
  /// The numbers of the rows by their first inputs, of equal ones the smaller value first.
  private let order: [Int]
  /// Rows of a window.
  private let limit: Int
  private let read: @Sendable (Dataset) throws -> Part
  private let parts = Lock<[Int: Part]>([:])
  /// Rows that known errors hide.
  private let hidden: Int

  /// nil where the model reads all rows at once, or not as a series.
  ///
  /// - Parameter read: what becomes of the rows of a window.
  package init?(
    _ model: Model, _ data: Dataset, covariates: Int = 0,
    read: @escaping @Sendable (Dataset) throws -> Part
  ) {
    let dimensions = data.dimensions - covariates
    let sent = data.count
    let data = Posterior.telling(data)
    hidden = sent - data.count
    let limit = Posterior.contextLimit(model.blueprint, dimensions: dimensions)
    guard data.count > limit, Posterior.isSeries(model.blueprint, dimensions: dimensions) else { return nil }
    let (all, y) = (data.firstInputs, data.y)
    let order = y.indices.sorted { (all[$0], y[$0]) < (all[$1], y[$1]) }
    self.order = order
    times = order.map { all[$0] }
    (self.data, self.limit, self.read) = (data, limit, read)
  }

  /// `other` with further rows.
  private init(_ other: SectionedPosterior, with more: Dataset) throws {
    let told = Posterior.telling(more)
    data = try other.data.appending(told)
    (limit, read, hidden) = (other.limit, other.read, other.hidden + more.count - told.count)
    let (all, y) = (data.firstInputs, data.y)
    order = y.indices.sorted { (all[$0], y[$0]) < (all[$1], y[$1]) }
    times = order.map { all[$0] }
  }

  // MARK: Further rows

  /// How many rows there are.
  package var count: Int { data.count + hidden }

  /// What reads the latest rows.
  package func newest() throws -> Part { try part(last) }

  /// What becomes of all rows when they are read at once.
  package func whole() throws -> Part { try read(data) }

  /// The same with further rows, as if they had been there from the first: every window is read when it is asked for.
  package func rereading(_ more: Dataset) throws -> SectionedPosterior {
    try SectionedPosterior(self, with: more)
  }

  /// The same with further rows. Where they follow on the others, what has read the latest rows takes them in.
  ///
  /// - Parameter extended: what becomes of what has read rows when it reads some more.
  package func appending(_ more: Dataset, _ extended: (Part) throws -> Part) throws -> SectionedPosterior {
    let longer = try SectionedPosterior(self, with: more)
    if let end = times.last, more.firstInputs.allSatisfy({ $0 > end }) {
      let newest = try extended(try newest())
      longer.parts.withLock { $0[longer.last] = newest }
    }
    return longer
  }

  // MARK: Windows

  private var last: Int { (data.count - limit + limit / 2 - 1) / (limit / 2) }

  /// The window that answers a point.
  func window(of point: Double) -> Int {
    var (low, high) = (0, times.count)
    while low < high {
      let middle = (low + high) / 2
      if times[middle] < point { low = middle + 1 } else { high = middle }
    }
    return min(max(low - limit / 4, 0) / (limit / 2), last)
  }

  /// The numbers of a window's rows, ascending.
  func rows(of window: Int) -> [Int] {
    guard window < last else {
      return Posterior.nearestRows(times: data.firstInputs, y: data.y, to: limit, nil) ?? Array(order.indices)
    }
    let start = window * (limit / 2)
    return order[start..<start + limit].sorted()
  }

  private func part(_ window: Int) throws -> Part {
    if let known = parts.withLock({ $0[window] }) { return known }
    let new = try read(data.rows(rows(of: window)))
    return parts.withLock { parts in
      parts[window] = parts[window] ?? new
      return parts[window] ?? new
    }
  }

  /// The points of each window, by their numbers.
  private func divided(_ inputs: Inputs) -> [(window: Int, points: [Int])] {
    let windows = (0..<inputs.count).map { window(of: inputs[$0].first ?? 0) }
    return Set(windows).sorted().map { window in
      (window, windows.indices.filter { windows[$0] == window })
    }
  }

  /// What answers most of some points.
  package func main(at inputs: Inputs) throws -> Part {
    let most = divided(inputs).max { ($0.points.count, $0.window) < ($1.points.count, $1.window) }
    return try part(most?.window ?? last)
  }

  /// What the last window draws has the seed of a series that is read whole; every other one a stream of its own.
  private func seed(_ seed: UInt64, _ window: Int) -> UInt64 {
    guard window < last else { return seed }
    var stream = RandomStream(seed: seed, .paths, UInt64(data.count), UInt64(window))
    return stream.nextUInt64()
  }

  /// Words about the rows that answer some points, or about the latest.
  package func notes(at inputs: Inputs?) -> [Note] {
    let windows = inputs.map { divided($0).map(\.window) } ?? []
    return notes(windows.isEmpty ? [last] : windows)
  }

  private func notes(_ windows: [Int]) -> [Note] {
    let read = windows.reduce(into: Set<Int>()) { $0.formUnion(rows(of: $1)) }
    let chosen: Note =
      windows == [last]
      ? .contextLatest(from: data.count, to: limit)
      : .contextSections(from: data.count, each: limit, read: read.count, sections: windows.count)
    return [chosen] + (hidden > 0 ? [.hiddenByErrors(hidden)] : [])
  }

  // MARK: Answers

  package func paths(
    _ count: Int, at inputs: Inputs, plan: PlanTemplate, seed: UInt64, latent: Bool, flopLimit: Double,
    progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples {
    let sections = divided(inputs)
    guard !sections.isEmpty else {
      return try part(last).paths(
        count, at: inputs, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit, progress: progress)
    }
    var paths = [[Double]](repeating: [Double](repeating: 0, count: inputs.count), count: max(count, 0))
    var means = [Double](repeating: 0, count: count > 0 ? inputs.count : 0)
    var outside = [Outside](repeating: [], count: inputs.count)
    var notes = notes(sections.map(\.window))
    var drawn: [Posterior.Samples] = []
    for (place, (window, points)) in sections.enumerated() {
      let own = try part(window).paths(
        count, at: inputs.rows(points), plan: plan, seed: self.seed(seed, window), latent: latent,
        flopLimit: flopLimit * Double(points.count) / Double(inputs.count),
        progress: sections.count == 1 ? progress : nil)
      for (column, point) in points.enumerated() {
        for path in own.paths.indices { paths[path][point] = own.paths[path][column] }
        if column < own.means.count { means[point] = own.means[column] }
        if column < own.outside.count { outside[point] = own.outside[column].union(.context) }
      }
      notes += own.notes.filter { !notes.contains($0) }
      drawn.append(own)
      if sections.count > 1 { progress?(count * (place + 1) / sections.count) }
    }
    let largest = drawn.max { $0.plan.targets < $1.plan.targets } ?? drawn[0]
    return Posterior.Samples(
      paths: paths, means: means, plan: largest.plan, trace: drawn.count == 1 ? largest.trace : nil,
      notes: notes, outside: outside)
  }

  /// Among those that meet conditions, as `Posterior.sample(_:at:given:)`.
  package func paths(
    _ count: Int, at inputs: Inputs, given conditions: [PathEvent], plan: PlanTemplate, seed: UInt64,
    latent: Bool, flopLimit: Double, progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples {
    guard !conditions.isEmpty, count > 0, inputs.count > 0 else {
      return try paths(
        count, at: inputs, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit, progress: progress)
    }
    let (all, places) = try Posterior.drawn(inputs, for: conditions)
    return try Posterior.kept(count, of: inputs.count, conditions, places, seed: seed, progress: progress) {
      try paths(
        $0, at: all, plan: plan, seed: $1, latent: latent, flopLimit: flopLimit, progress: nil)
    }
  }

  /// Windows know nothing of each other: the density of values together is the product of theirs.
  package func density(
    of y: [Double], at inputs: Inputs, plan: PlanTemplate, orders: Int, seed: UInt64, flopLimit: Double
  ) throws -> Posterior.LogDensity {
    let sections = divided(inputs)
    guard !sections.isEmpty, y.count == inputs.count else {
      return try part(last).density(
        of: y, at: inputs, plan: plan, orders: orders, seed: seed, flopLimit: flopLimit)
    }
    let own = try sections.map { window, points in
      try part(window).density(
        of: points.map { y[$0] }, at: inputs.rows(points), plan: plan, orders: orders,
        seed: self.seed(seed, window),
        flopLimit: flopLimit * Double(points.count) / Double(inputs.count))
    }
    var notes = notes(sections.map(\.window))
    for density in own { notes += density.notes.filter { !notes.contains($0) } }
    let largest = own.max { $0.plan.targets < $1.plan.targets } ?? own[0]
    let value = own.reduce(0) { $0 + $1.value }
    return Posterior.LogDensity(
      value: value, orders: own.count == 1 ? largest.orders : [value], plan: largest.plan, notes: notes)
  }

  package func laws(of inputs: Inputs, flopLimit: Double) throws -> [any ContinuousLaw] {
    var laws = [(any ContinuousLaw)?](repeating: nil, count: inputs.count)
    for (window, points) in divided(inputs) {
      let own = try part(window).laws(
        of: inputs.rows(points), flopLimit: flopLimit * Double(points.count) / Double(inputs.count))
      for (law, point) in zip(own, points) { laws[point] = law }
    }
    return laws.compactMap { $0 }
  }
}

extension Dataset {
  fileprivate var firstInputs: [Double] {
    let all = x
    return (0..<count).map { all[$0 * dimensions] }
  }
}
