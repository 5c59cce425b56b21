import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What is said of a category after a table has been read: the probabilities of its levels, and levels drawn for rows together.
///
/// A `ClassFit` says what each row's levels have probability of. A network of the family `classes` reads that of every row and judges it,
/// and what is drawn for one row tells of the next: rows of a group, or that follow each other in time, go together. Without a network
/// rows are independent of each other given the rows that were read.
///
/// ```swift
/// let cells = try Cells([[39.1, 0], [46.0, 1], [.nan, 1], [41.3, 0]], categories: [false, true])
/// let species = try ClassPosterior(cells, levels: [0, 2, 2, 0], of: 3)
/// let likely = try species.probabilities(at: others)      // [others.count][3]
/// let paths = try species.sample(200, at: others)         // [200][others.count], levels
/// ```
public struct ClassPosterior: Sendable {
  private enum Law: Sendable {
    case fit(ClassFit)
    case network(ToldClasses, Posterior)
    /// All rows have the same level.
    case constant(Int)
  }

  /// How many levels there may be.
  public let levels: Int
  /// Rows that were read.
  public let rows: Int
  /// Which columns of the table are categories.
  public let categories: [Bool]
  /// What was left out, in words; nil where nothing was.
  public let note: String?
  private let law: Law

  /// - Parameters:
  ///   - cells: rows whose levels are observed.
  ///   - observed: of each row, its level, from 0.
  ///   - count: how many levels there may be.
  ///   - model: one that estimators tell of tables. A network of the family `classes`, the model itself or one beside it (`Model.ofCategories`), judges
  ///     what estimators say; without one, the estimators speak for themselves.
  ///   - pool: threads to work on; nil keeps to the caller's.
  /// - Throws: `DataError` as `ClassFit`, where all rows have the same level as well; `ModelError.input` for a model that reads no
  ///   tables.
  public init(
    _ cells: Cells, levels observed: [Int], of count: Int, by model: Model? = nil, on pool: ThreadPool? = nil
  ) throws {
    if let model {
      guard model.blueprint.readsTables else { throw TablePosterior.notOfTables }
      guard model.blueprint.isTold else { throw TablePosterior.notOfCategories(model) }
    }
    (levels, rows, categories) = (count, observed.count, cells.categories)
    if let first = observed.first, (0..<count).contains(first), observed.count >= 2,
      observed.count == cells.count, observed.allSatisfy({ $0 == first })
    {
      (law, note) = (.constant(first), nil)
      return
    }
    let some = TablePosterior.strata(cells, observed.map(Double.init), TablePosterior.mostFitted)
    var notes =
      some.map {
        ["estimators were fitted to \($0.count) of \(observed.count) rows, a sample over all values"]
      } ?? []
    let fit = try ClassFit(
      some.map { cells.rows($0) } ?? cells, levels: some.map { $0.map { observed[$0] } } ?? observed,
      of: count)
    if let network = model?.ofCategories {
      let (told, posterior) = try Self.read(fit, by: network, on: pool)
      if posterior.rows < told.observed.y.count {
        notes.append("the network read \(posterior.rows) rows, a sample over all values")
      }
      law = .network(told, posterior)
    } else {
      law = .fit(fit)
    }
    note = notes.isEmpty ? nil : notes.joined(separator: "; ")
  }

  private static func read(
    _ fit: ClassFit, by network: Model, on pool: ThreadPool?
  ) throws -> (ToldClasses, Posterior) {
    let told = ToldClasses(fit)
    // Rows are in the order of their levels, so every (n/most)-th is a sample of all of them.
    let (n, most, width) = (told.observed.y.count, max(network.blueprint.trainedContext, 1), told.width)
    let read = n > most ? (0..<most).map { $0 * n / most } : Array(0..<n)
    let rows = try Dataset(
      inputs: Inputs(
        read.flatMap { told.observed.x[$0 * width..<($0 + 1) * width] }, dimensions: width),
      y: read.map { told.observed.y[$0] })
    return (told, try Posterior(network, rows, values: .raw, scaling: .identity, on: pool))
  }

  /// What the estimators found; nil where all rows have the same level.
  public var fit: ClassFit? {
    switch law {
    case .fit(let fit): fit
    case .network(let told, _): told.fit
    case .constant: nil
    }
  }

  /// The same answers, worked out on other threads.
  func using(_ pool: ThreadPool?) -> ClassPosterior {
    guard case .network(let told, let posterior) = law else { return self }
    return ClassPosterior(self, .network(told, posterior.using(pool)))
  }

  private init(_ other: ClassPosterior, _ law: Law) {
    (levels, rows, categories, note) = (other.levels, other.rows, other.categories, other.note)
    self.law = law
  }

  /// How much each column tells alone; nil where all rows have the same level.
  public var relevance: [Double]? { fit?.relevance }

  /// Whether what is drawn for one row tells of others.
  public var isJoint: Bool { if case .network = law { true } else { false } }

  // MARK: Single rows

  /// The probability of each level in each row, `[asked.count][levels]`.
  ///
  /// - Throws: `DataError.dimensions` for rows with other columns.
  public func probabilities(at asked: Cells) throws -> [[Double]] { try probabilities(at: asked, told: nil) }

  /// - Parameter inputs: what the network is told of the rows; nil where that is still to be found.
  private func probabilities(at asked: Cells, told inputs: Inputs?) throws -> [[Double]] {
    try check(asked)
    switch law {
    case .fit(let fit): return fit.probabilities(asked)
    case .constant(let level):
      return (0..<asked.count).map { _ in (0..<levels).map { $0 == level ? 1 : 0 } }
    case .network(let told, let posterior):
      guard asked.count > 0 else { return [] }
      let shares = shares(told, asked)
      let laws = try posterior.laws(at: inputs ?? Self.inputs(told, asked), flopLimit: .infinity)
      return laws.enumerated().map { row, law in
        let passes = (law as? Categorical)?.probabilities ?? []
        return (0..<levels).map { level in
          let pass = told.pass[level]
          return (pass < passes.count ? passes[pass] : 0) * shares(row, level)
        }
      }
    }
  }

  /// The logarithm of the probability of each row's level by itself, in nats.
  ///
  /// - Throws: `DataError` for a level that is none, or as many as there are not rows.
  public func logProbabilities(of values: [Int], at asked: Cells) throws -> [Double] {
    try check(values, asked)
    return try zip(probabilities(at: asked), values).map { log($0[$1]) }
  }

  private func check(_ asked: Cells) throws {
    guard asked.categories == categories else {
      throw DataError.dimensions(
        what: "the rows asked for", expected: categories.count, found: asked.columns)
    }
  }

  private func check(_ values: [Int], _ asked: Cells) throws {
    guard values.count == asked.count else {
      throw DataError.rowCount(what: "levels for the rows", expected: asked.count, found: values.count)
    }
    if let bad = values.first(where: { !(0..<levels).contains($0) }) {
      throw DataError.size(what: "a level (of \(levels))", found: bad)
    }
  }

  private static func inputs(_ told: ToldClasses, _ rows: Cells) throws -> Inputs {
    try Inputs(told.tell(rows), dimensions: told.width)
  }

  /// What the network is told of rows; without one, their number alone.
  func told(_ rows: Cells) throws -> Inputs {
    guard case .network(let told, _) = law else {
      return try Inputs([Double](repeating: 0, count: rows.count), dimensions: 1)
    }
    return try Self.inputs(told, rows)
  }

  /// The part of its pass's probability that a level has in a row: all of it, or, where levels share a pass or none has been seen, as
  /// the estimators say.
  private func shares(_ told: ToldClasses, _ rows: Cells) -> (_ row: Int, _ level: Int) -> Double {
    guard told.passes.contains(where: { $0.count > 1 }) || told.pass.contains(told.passes.count) else {
      return { _, _ in 1 }
    }
    let said = told.fit.probabilities(rows)
    let members = told.passes + [told.pass.indices.filter { told.pass[$0] == told.passes.count }]
    let totals = said.map { law in members.map { $0.reduce(0) { $0 + law[$1] } } }
    return { row, level in said[row][level] / totals[row][told.pass[level]] }
  }

  // MARK: Rows together

  /// Levels drawn for rows together, `[count][asked.count]`: those that a `TableChain` of one step draws by the same seed.
  ///
  /// A path's levels depend on the seed and the path alone.
  public func sample(
    _ count: Int, at asked: Cells, plan: PlanTemplate = .sequential, seed: UInt64 = 0,
    flopLimit: Double = Posterior.flopLimit, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> [[Int]] {
    try draws(
      count, at: asked, plan: plan, seed: TableChain.seed(of: seed), flopLimit: flopLimit, progress: progress
    ).levels
  }

  /// The same by the seed of a chain's step, and what to be careful about.
  func draws(
    _ count: Int, at asked: Cells, told inputs: Inputs? = nil, plan: PlanTemplate, seed: UInt64,
    flopLimit: Double, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> (levels: [[Int]], notes: [String]) {
    guard count > 0 else { return ([], []) }
    guard case .network(let told, let posterior) = law, asked.count > 0 else {
      let said = try probabilities(at: asked)
      return ((0..<count).map { Self.drawn(said, seed: seed, path: $0) }, [])
    }
    try check(asked)
    let members = told.passes + [told.pass.indices.filter { told.pass[$0] == told.passes.count }]
    let parts = Self.parts(asked.count)
    var (levels, notes) = ([[Int]](repeating: [], count: count), [String]())
    for (number, part) in parts.enumerated() {
      let rows = parts.count > 1 ? asked.rows(part) : asked
      let own = Self.seed(seed, part: number)
      let asked = try inputs?.rows(part) ?? Self.inputs(told, rows)
      let samples = try posterior.sample(
        count, at: asked, plan: plan, seed: own,
        flopLimit: flopLimit / passes / Double(parts.count), progress: progress)
      if number == 0 { notes = samples.notes.map(\.description) }
      let shares = shares(told, rows)
      for (path, values) in samples.paths.enumerated() {
        levels[path] += values.enumerated().map { row, value in
          let members = members[min(max(Int(value), 0), members.count - 1)]
          guard members.count > 1 else { return members.first ?? 0 }
          var stream = RandomStream(seed: own, .paths, UInt64(path), UInt64(row), 1)
          return members[stream.choice(weights: members.map { shares(row, $0) })]
        }
      }
    }
    if parts.count > 1 {
      notes.append("of \(asked.count) rows asked at once, \(Self.together) in turn are drawn together")
    }
    return (levels, notes)
  }

  /// Rows that are drawn together at most: of more, parts in the order asked know nothing of each other, so that what it takes grows with
  /// the rows and not with their square.
  public static let together = 512

  private static func parts(_ count: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: together).map { $0..<min($0 + together, count) }
  }

  private static func seed(_ seed: UInt64, part: Int) -> UInt64 {
    guard part > 0 else { return seed }
    var stream = RandomStream(seed: seed, .evaluation, UInt64(part))
    return stream.nextUInt64()
  }

  /// One path of a chain's step, where what is told of a row differs from path to path; and what is said of each row by itself.
  ///
  /// - Parameter inputs: what the network is told of the rows (``told(_:)``); nil where that is still to be found.
  func path(
    _ number: Int, at asked: Cells, told inputs: Inputs? = nil, plan: PlanTemplate, seed: UInt64,
    flopLimit: Double
  ) throws -> (levels: [Int], said: [[Double]], notes: [String]) {
    let inputs = try isJoint ? inputs ?? told(asked) : nil
    let said = try probabilities(at: asked, told: inputs)
    guard isJoint else { return (Self.drawn(said, seed: seed, path: number), said, []) }
    var stream = RandomStream(seed: seed, .paths, UInt64(number))
    let drawn = try draws(
      1, at: asked, told: inputs, plan: plan, seed: stream.nextUInt64(), flopLimit: flopLimit)
    return (drawn.levels.first ?? [], said, drawn.notes)
  }

  /// What is said after further rows were read, and the logarithm of the probability that their levels had together before that.
  func given(_ values: [Int], at rows: Cells, seed: UInt64) throws -> (ClassPosterior, Double) {
    let before = try logProbability(of: values, at: rows, orders: 1, seed: seed)
    guard case .network(let told, let posterior) = law else { return (self, before) }
    let more = try Dataset(
      inputs: Self.inputs(told, rows), y: values.map { Double(told.pass[$0]) })
    return (ClassPosterior(self, .network(told, try posterior.observing(more: more))), before)
  }

  /// How many times a row goes through the network.
  private var passes: Double {
    if case .network(let told, _) = law { Double(told.passes.count) } else { 1 }
  }

  /// A level of each row by its probabilities, on one path.
  private static func drawn(_ said: [[Double]], seed: UInt64, path: Int) -> [Int] {
    said.enumerated().map { place, law in
      var stream = RandomStream(seed: seed, .paths, UInt64(path), UInt64(place))
      return stream.choice(weights: law)
    }
  }

  /// The logarithm of the probability of levels of rows together, in nats: by the chain rule, averaged over orders of the rows as
  /// `Posterior.logDensity(of:at:)` does, in parts of ``together`` rows.
  ///
  /// - Throws: as `logProbabilities(of:at:)`.
  public func logProbability(
    of values: [Int], at asked: Cells, plan: PlanTemplate = .sequential, orders: Int = 8, seed: UInt64 = 0,
    flopLimit: Double = Posterior.flopLimit
  ) throws -> Double {
    guard case .network(let told, let posterior) = law else {
      return try logProbabilities(of: values, at: asked).reduce(0, +)
    }
    try check(asked)
    try check(values, asked)
    let shares = shares(told, asked)
    let parts = Self.parts(asked.count)
    let joint = try parts.enumerated().reduce(0.0) { sum, one in
      let rows = parts.count > 1 ? asked.rows(one.element) : asked
      return try sum
        + posterior.logDensity(
          of: values[one.element].map { Double(told.pass[$0]) }, at: Self.inputs(told, rows), plan: plan,
          orders: orders, seed: Self.seed(seed, part: one.offset),
          flopLimit: flopLimit / passes / Double(parts.count)
        ).value
    }
    return values.enumerated().reduce(joint) { $0 + log(shares($1.offset, $1.element)) }
  }
}

extension TableChain {
  /// The seed of the draws of the first step, by the seed of all.
  ///
  /// Who asks for one column alone draws by it what the chain draws.
  public static func seed(of seed: UInt64) -> UInt64 {
    var stream = RandomStream(seed: seed, .paths, 0)
    return stream.nextUInt64()
  }
}
