import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// Missing cells of a table drawn together: column after column, what is drawn of one being a feature of the next.
///
/// p(a, b, … | rest) = p(a | rest)·p(b | a, rest)·…: numbers by a `TablePosterior`, categories by a `ClassPosterior`, the rows of
/// either jointly. Cells that are there stay as they are.
///
/// ```swift
/// let steps = [TableChain.Step(column: 0, inputs: [2, 3], levels: 3), TableChain.Step(column: 1, inputs: [0, 2, 3])]
/// let chain = try TableChain(.ofTables(), cells, steps: steps)
/// let drawn = try chain.sample(200, seed: 1)
/// ```
public struct TableChain: Sendable {
  /// One column whose missing cells are drawn.
  public struct Step: Sendable, Hashable {
    public var column: Int
    /// The columns that it is told by; those of earlier steps have drawn values where theirs are missing.
    public var inputs: [Int]
    /// Levels of a category; nil for a number.
    public var levels: Int?
    /// Bounds that numbers have.
    public var limits: ClosedRange<Double>?
    /// Whether numbers are whole.
    public var isWhole: Bool
    /// The column with the known error of each row's number, its standard deviation; nil where none is known.
    public var errors: Int?

    public init(
      column: Int, inputs: [Int], levels: Int? = nil, limits: ClosedRange<Double>? = nil,
      isWhole: Bool = false, errors: Int? = nil
    ) {
      (self.column, self.inputs, self.levels, self.limits) = (column, inputs, levels, limits)
      (self.isWhole, self.errors) = (isWhole, errors)
    }
  }

  /// What is said of one missing cell.
  public struct Cell: Sendable, Hashable {
    public let row: Int
    public let step: Int

    public init(row: Int, step: Int) { (self.row, self.step) = (row, step) }
  }

  /// The value of a missing cell, given.
  public struct Pin: Sendable, Hashable {
    public var row: Int
    public var column: Int
    /// A number, or the number of a level.
    public var value: Double

    public init(row: Int, column: Int, value: Double) {
      (self.row, self.column, self.value) = (row, column, value)
    }
  }

  /// Cells drawn together.
  public struct Drawn: Sendable {
    /// Step by step, in each row by row.
    public let cells: [Cell]
    /// `[paths][cells]`.
    public let paths: [[Double]]
    /// Of each cell the expected number, or the probability of each level: means over paths of what was said before each was drawn.
    public let expected: [[Double]]
    /// What to be careful about.
    public let notes: [String]
  }

  /// What a step says of rows.
  public enum Law: Sendable {
    case number(TablePosterior)
    case category(ClassPosterior)
    /// All rows have the same value.
    case constant(Double)
  }

  public let steps: [Step]
  /// The steps in the order in which they are drawn, and the place of each among `steps`.
  private let chain: [Step]
  private let places: [Int]
  private let table: Cells
  private let laws: [Law]
  /// Of each step, the rows whose cell is missing.
  private let asked: [[Int]]
  /// Of each step, the rows whose cell is given while one of an earlier step is drawn: paths are weighed by it.
  private let weighing: [[Int]]
  private let pool: ThreadPool?

  /// Fits every step to the rows that have its column.
  ///
  /// - Parameters:
  ///   - rows: those whose cells are drawn; nil for all.
  ///   - context: those that are read; nil for all.
  ///   - pins: what is known of missing cells. Columns that have some are drawn first; a cell that is given is read as one that was
  ///     there, but where the same row has a cell that is drawn before it: there paths are weighed by its density (`sample(_:given:)`).
  ///   - model: of tables, with one of classes beside it (`Model.with(ofCategories:)`) or estimators alone for categories; or of
  ///     classes, where no number is drawn.
  /// - Throws: `InferenceError.input` where a column has fewer than two values to learn from or no input, a value lacks the error that its step
  ///   reads, or a pin is of no missing cell. A value that is given has no error.
  public init(
    _ model: Model, _ cells: Cells, steps: [Step], rows: Set<Int>? = nil, context: Set<Int>? = nil,
    pins: [Pin] = [], on pool: ThreadPool? = nil
  ) throws {
    let cells = try Self.pinned(cells, pins, steps)
    self.steps = steps
    (chain, places) = Self.ordered(steps, first: Set(pins.map(\.column)))
    table = cells
    self.pool = pool
    var (laws, asked, weighing) = ([Law](), [[Int]](), [[Int]]())
    for (index, step) in chain.enumerated() {
      if Task.isCancelled { throw InferenceError.cancelled }
      let all = 0..<cells.count
      asked.append(all.filter { cells[$0, step.column].isNaN && rows?.contains($0) ?? true })
      let late = pins.filter { pin in
        pin.column == step.column && asked[..<index].contains { $0.contains(pin.row) }
      }.map(\.row)
      weighing.append(late)
      let known = all.filter {
        !cells[$0, step.column].isNaN && context?.contains($0) ?? true && !late.contains($0)
      }
      let values = known.map { cells[$0, step.column] }
      guard let first = values.first, known.count >= 2 else {
        throw InferenceError.input("column \(step.column) has \(known.count) values; at least 2 are needed")
      }
      guard !step.inputs.isEmpty else {
        throw InferenceError.input("column \(step.column) has no other column to be told by")
      }
      let inputs = cells.rows(known).columns(step.inputs)
      if values.allSatisfy({ $0 == first }) {
        laws.append(.constant(first))
      } else if let levels = step.levels {
        laws.append(
          .category(
            try ClassPosterior(inputs, levels: values.map(Self.level), of: levels, by: model, on: pool)))
      } else {
        let given = Set(pins.filter { $0.column == step.column }.map(\.row))
        let errors = step.errors.map { column in
          known.map { given.contains($0) ? 0 : cells[$0, column] }
        }
        if let place = errors?.firstIndex(where: { $0.isNaN }) {
          throw InferenceError.input(
            "row \(known[place]) has a value and no error; every row that has one needs its error, or 0 for none"
          )
        }
        laws.append(
          .number(
            try TablePosterior(
              model, inputs, y: values, errors: errors ?? [], limits: step.limits, whole: step.isWhole,
              on: pool)))
      }
    }
    (self.laws, self.asked, self.weighing) = (laws, asked, weighing)
  }

  /// The cells with those given.
  private static func pinned(_ cells: Cells, _ pins: [Pin], _ steps: [Step]) throws -> Cells {
    guard !pins.isEmpty else { return cells }
    var values = cells.values
    for pin in pins {
      let levels = steps.first { $0.column == pin.column }?.levels
      guard pin.value.isFinite, levels.map({ (0..<$0).contains(level(pin.value)) }) ?? true else {
        throw InferenceError.input("\(pin.value) is no value of column \(pin.column)")
      }
      guard (0..<cells.count).contains(pin.row), (0..<cells.columns).contains(pin.column),
        values[pin.row * cells.columns + pin.column].isNaN
      else {
        throw InferenceError.input(
          "row \(pin.row), column \(pin.column) is no missing cell, or is given twice")
      }
      values[pin.row * cells.columns + pin.column] = pin.value
    }
    return try Cells(values, categories: cells.categories)
  }

  /// Steps of some columns before the others, each told by the columns that no step draws and by those drawn before it; and where
  /// each was.
  private static func ordered(_ steps: [Step], first: Set<Int>) -> (steps: [Step], places: [Int]) {
    let places =
      steps.indices.filter { first.contains(steps[$0].column) }
      + steps.indices.filter { !first.contains(steps[$0].column) }
    guard places != Array(steps.indices) else { return (steps, places) }
    let drawn = Set(steps.map(\.column))
    let sorted = places.enumerated().map { index, place in
      var step = steps[place]
      step.inputs = step.inputs.filter { !drawn.contains($0) } + places[..<index].map { steps[$0].column }
      return step
    }
    return (sorted, places)
  }

  private init(_ other: TableChain, asking table: Cells) {
    (steps, chain, places) = (other.steps, other.chain, other.places)
    (laws, pool) = (other.laws, other.pool)
    self.table = table
    let rows = other.table.count..<table.count
    asked = chain.map { step in rows.filter { table[$0, step.column].isNaN } }
    weighing = chain.map { _ in [] }
  }

  /// Whether these are the rows that the steps were fitted to, with others after them.
  public func hasRead(_ cells: Cells, steps: [Step]) -> Bool {
    steps == self.steps && !isWeighing && cells.categories == table.categories && cells.count >= table.count
      && zip(cells.values, table.values).allSatisfy {
        $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN
      }
  }

  /// The same laws, asked for rows that follow those they were fitted to; nil where a chain of all these rows would say something
  /// else, because they differ from the rows that were read, or the ones that follow have values to learn from.
  public func asking(_ cells: Cells, steps: [Step]) -> TableChain? {
    guard hasRead(cells, steps: steps),
      steps.allSatisfy({ step in
        (table.count..<cells.count).allSatisfy { cells[$0, step.column].isNaN }
      })
    else { return nil }
    return TableChain(self, asking: cells)
  }

  /// What a step says, told by the steps before it.
  public func law(_ step: Int) -> Law {
    places.firstIndex(of: step).map { laws[$0] } ?? .constant(.nan)
  }

  /// How much each input of a step tells alone; nil where all values are the same, or no estimators are asked.
  public func relevance(_ step: Int) -> [Double]? {
    switch law(step) {
    case .number(let posterior): posterior.fit?.relevance
    case .category(let posterior): posterior.relevance
    case .constant: nil
    }
  }

  /// Draws all missing cells `count` times over.
  ///
  /// A path's draws depend on the seed and the path alone, not on how many there are or on threads.
  public func sample(
    _ count: Int, seed: UInt64 = 0, plan: PlanTemplate = .sequential,
    flopLimit: Double = Posterior.flopLimit, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Drawn {
    try draws(count, seed: seed, plan: plan, flopLimit: flopLimit, progress: progress).drawn
  }

  /// Whether paths count for more or less than others.
  var isWeighing: Bool { weighing.contains { !$0.isEmpty } }

  /// The draws, and the logarithm of what each path counts for by the cells given after others were drawn; nil where all count alike.
  func draws(
    _ count: Int, seed: UInt64, plan: PlanTemplate, flopLimit: Double,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> (drawn: Drawn, logWeights: [Double]?) {
    let cells = chain.indices.flatMap { step in asked[step].map { Cell(row: $0, step: places[step]) } }
    var path = PathsOfTable(count: count)
    for (index, step) in chain.enumerated() {
      var stream = RandomStream(seed: seed, .paths, UInt64(index))
      let own = stream.nextUInt64()
      let rows = asked[index]
      let (plain, late) = (shownRows(rows, step, path), weighing[index])
      let given = late.isEmpty ? nil : shownRows(late, step, path)
      let pins = late.map { table[$0, step.column] }
      switch laws[index] {
      case .constant(let value):
        for pin in pins where pin != value {
          throw InferenceError.input("all rows have \(value) in a column of which \(pin) is given")
        }
        path.append(constant: value, rows: rows.count)
        path.expected += rows.map { _ in
          step.levels == nil ? [value] : Self.certain(Self.level(value), of: step.levels ?? 1)
        }
      case .category(let posterior):
        if let words = posterior.note, !rows.isEmpty { path.notes.append(words) }
        if plain.isShared, given == nil {
          let cells = try plain.cells(0)
          let drawn = try posterior.draws(
            count, at: cells, plan: plan, seed: own, flopLimit: flopLimit, progress: progress)
          path.append(drawn.levels, means: try posterior.probabilities(at: cells))
          path.notes += drawn.notes
        } else {
          let alone = posterior.using(nil)
          let once = try posterior.isJoint ? plain.toldOnce(count, on: pool, posterior.told) : nil
          let drawn = try pool.over(count) { number in
            let (told, density) =
              try given.map { try alone.given(pins.map(Self.level), at: $0.cells(number), seed: own) }
              ?? (alone, 0)
            let path = try told.path(
              number, at: plain.cells(number), told: once?.inputs(number), plan: plan, seed: own,
              flopLimit: flopLimit)
            return (path, density)
          }
          path.append(drawn.map(\.0.levels), means: Self.mean(drawn.map(\.0.said)))
          path.notes += drawn.first?.0.notes ?? []
          if given != nil { path.weigh(drawn.map(\.1)) }
        }
      case .number(let posterior):
        if let words = posterior.note, !rows.isEmpty { path.notes.append(words) }
        if plain.isShared, given == nil {
          let samples = try posterior.sample(
            count, at: plain.cells(0), plan: plan, seed: own, flopLimit: flopLimit, progress: progress)
          path.append(samples.paths, means: samples.means.map { [$0] })
          path.notes += samples.notes.map(\.description)
        } else {
          let alone = posterior.using(nil)
          let once = try plain.toldOnce(count, on: pool, posterior.told)
          let said = try pool.over(count) { number in
            var stream = RandomStream(seed: own, .paths, UInt64(number))
            let seed = stream.nextUInt64()
            let (told, density) =
              try given.map { try alone.given(pins, at: $0.cells(number), seed: seed) } ?? (alone, 0)
            let samples = try told.posterior.sample(
              1, at: once?.inputs(number) ?? told.told(plain.cells(number)), plan: plan, seed: seed,
              flopLimit: flopLimit)
            return (samples, density)
          }
          path.append(
            said.map { $0.0.paths[0] }, means: Self.mean(said.map { $0.0.means.map { [$0] } }))
          path.notes += said.first?.0.notes.map(\.description) ?? []
          if given != nil { path.weigh(said.map(\.1)) }
        }
      }
      for (place, row) in rows.enumerated() {
        path.places[row, default: [:]][step.column] = path.drawn + place
      }
      path.drawn += rows.count
    }
    var seen: Set<String> = []
    let drawn = Drawn(
      cells: cells, paths: path.values, expected: path.expected,
      notes: path.notes.filter { seen.insert($0).inserted })
    return (drawn, path.logWeights)
  }

  /// Rows as a step reads them on each path.
  private func shownRows(_ rows: [Int], _ step: Step, _ path: PathsOfTable) -> ShownRows {
    let places = rows.map { row in step.inputs.map { path.places[row]?[$0] } }
    return ShownRows(
      plain: table.rows(rows).columns(step.inputs), places: places.flatMap { $0 }, paths: path.values)
  }

  /// The level that a number names; −1, which is none, for one that names none.
  private static func level(_ value: Double) -> Int { Int(exactly: value) ?? -1 }

  private static func certain(_ level: Int, of levels: Int) -> [Double] {
    (0..<levels).map { $0 == level ? 1 : 0 }
  }

  /// The means over paths of lists `[paths][cells][numbers]`.
  private static func mean(_ said: [[[Double]]]) -> [[Double]] {
    guard let first = said.first else { return [] }
    return first.indices.map { cell in
      first[cell].indices.map { i in said.reduce(0) { $0 + $1[cell][i] } / Double(said.count) }
    }
  }
}

/// Paths through a table as they grow, column after column.
private struct PathsOfTable {
  /// `[paths][cells]`.
  var values: [[Double]]
  var expected: [[Double]] = []
  var notes: [String] = []
  var logWeights: [Double]?
  /// Where the drawn values of a row's columns stand in a path.
  var places: [Int: [Int: Int]] = [:]
  /// Cells drawn so far.
  var drawn = 0

  init(count: Int) { values = [[Double]](repeating: [], count: count) }

  mutating func append(constant value: Double, rows: Int) {
    for path in values.indices { values[path] += [Double](repeating: value, count: rows) }
  }

  mutating func append(_ more: [[Int]], means: [[Double]]) {
    append(more.map { $0.map(Double.init) }, means: means)
  }

  mutating func append(_ more: [[Double]], means: [[Double]]) {
    for path in values.indices { values[path] += more[path] }
    expected += means
  }

  mutating func weigh(_ logs: [Double]) {
    logWeights = zip(logWeights ?? [Double](repeating: 0, count: logs.count), logs).map { $0 + $1 }
  }
}

extension TablePosterior {
  /// The posterior with further values of rows, read beside the others, and their joint log-density before that.
  fileprivate func given(_ y: [Double], at rows: Cells, seed: UInt64) throws -> (TablePosterior, Double) {
    let inputs = try told(rows)
    let density = try posterior.logDensity(of: y, at: inputs, orders: 1, seed: seed).value
    return (replacing(try posterior.observing(more: Dataset(inputs: inputs, y: y))), density)
  }
}
