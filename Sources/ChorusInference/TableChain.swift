import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors

/// Missing cells of a table drawn together: column after column, what is drawn of one being a feature of the next.
///
/// p(a, b, … | rest) = p(a | rest)·p(b | a, rest)·…: numbers by a `TablePosterior`, whose rows are joint; categories by a `ClassFit`,
/// whose rows are drawn each by itself. Cells that are there stay as they are.
///
/// ```swift
/// let steps = [TableChain.Step(column: 0, inputs: [2, 3], levels: 3), TableChain.Step(column: 1, inputs: [0, 2, 3])]
/// let chain = try TableChain(Model(named: "tables"), cells, steps: steps)
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

    public init(column: Int, inputs: [Int], levels: Int? = nil, limits: ClosedRange<Double>? = nil) {
      (self.column, self.inputs, self.levels, self.limits) = (column, inputs, levels, limits)
    }
  }

  /// What is said of one missing cell.
  public struct Cell: Sendable, Hashable {
    public let row: Int
    public let step: Int
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

  private enum Law: Sendable {
    case number(TablePosterior)
    case category(ClassFit)
    /// All rows have the same value.
    case constant(Double)
  }

  public let steps: [Step]
  private let table: Cells
  private let laws: [Law]
  /// Of each step, the rows whose cell is missing.
  private let asked: [[Int]]
  private let pool: ThreadPool?

  /// Fits every step to the rows that have its column.
  ///
  /// - Parameters:
  ///   - rows: those whose cells are drawn; nil for all.
  ///   - context: those that are read; nil for all.
  /// - Throws: `InferenceError.input` where a column has fewer than two values to learn from.
  public init(
    _ model: Model, _ cells: Cells, steps: [Step], rows: Set<Int>? = nil, context: Set<Int>? = nil,
    on pool: ThreadPool? = nil
  ) throws {
    self.steps = steps
    table = cells
    self.pool = pool
    var (laws, asked) = ([Law](), [[Int]]())
    for step in steps {
      if Task.isCancelled { throw InferenceError.cancelled }
      let all = 0..<cells.count
      asked.append(all.filter { cells[$0, step.column].isNaN && rows?.contains($0) ?? true })
      let known = all.filter { !cells[$0, step.column].isNaN && context?.contains($0) ?? true }
      let values = known.map { cells[$0, step.column] }
      guard let first = values.first, known.count >= 2 else {
        throw InferenceError.input("column \(step.column) has \(known.count) values; at least 2 are needed")
      }
      let inputs = cells.rows(known).columns(step.inputs)
      if values.allSatisfy({ $0 == first }) {
        laws.append(.constant(first))
      } else if let levels = step.levels {
        let some = TablePosterior.strata(inputs, values, TablePosterior.mostFitted)
        laws.append(
          .category(
            try ClassFit(
              some.map { inputs.rows($0) } ?? inputs,
              levels: (some.map { $0.map { values[$0] } } ?? values).map(Self.level),
              of: levels)))
      } else {
        laws.append(.number(try TablePosterior(model, inputs, y: values, limits: step.limits, on: pool)))
      }
    }
    (self.laws, self.asked) = (laws, asked)
  }

  /// How much each input of a step tells alone; nil where all values are the same.
  public func relevance(_ step: Int) -> [Double]? {
    switch laws[step] {
    case .number(let posterior): posterior.fit.relevance
    case .category(let fit): fit.relevance
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
    let cells = steps.indices.flatMap { step in asked[step].map { Cell(row: $0, step: step) } }
    var paths = [[Double]](repeating: [], count: count)
    var expected: [[Double]] = []
    var notes: [String] = []
    // Where the drawn values of a row's columns stand in a path.
    var places: [Int: [Int: Int]] = [:]
    var first = 0
    for (index, step) in steps.enumerated() {
      let rows = asked[index]
      let isShared = !rows.contains { row in step.inputs.contains { places[row]?[$0] != nil } }
      let plain = table.rows(rows).columns(step.inputs)
      let known = places
      let drawn = paths
      @Sendable func shown(_ path: Int) throws -> Cells {
        var values = plain.values
        for (place, row) in rows.enumerated() {
          guard let own = known[row] else { continue }
          for (column, input) in step.inputs.enumerated() {
            if let at = own[input] { values[place * step.inputs.count + column] = drawn[path][at] }
          }
        }
        return try Cells(values, categories: plain.categories)
      }
      var stream = RandomStream(seed: seed, .paths, UInt64(index))
      let own = stream.nextUInt64()
      switch laws[index] {
      case .constant(let value):
        for path in 0..<count { paths[path] += [Double](repeating: value, count: rows.count) }
        expected += rows.map { _ in
          step.levels == nil ? [value] : Self.certain(Self.level(value), of: step.levels ?? 1)
        }
      case .category(let fit):
        let shared = isShared ? fit.probabilities(plain) : nil
        let said = try pool.over(count) { path in try shared ?? fit.probabilities(shown(path)) }
        for path in 0..<count {
          for (place, row) in said[path].enumerated() {
            var stream = RandomStream(seed: own, .paths, UInt64(path), UInt64(place))
            paths[path].append(Double(stream.choice(weights: row)))
          }
        }
        expected += Self.mean(said)
      case .number(let posterior):
        if let words = posterior.note, !rows.isEmpty { notes.append(words) }
        if isShared {
          let samples = try posterior.sample(
            count, at: plain, plan: plan, seed: own, flopLimit: flopLimit, progress: progress)
          for path in 0..<count { paths[path] += samples.paths[path] }
          expected += samples.means.map { [$0] }
          notes += samples.notes.map(\.description)
        } else {
          let alone = posterior.using(nil)
          let said = try pool.over(count) { path in
            var stream = RandomStream(seed: own, .paths, UInt64(path))
            return try alone.sample(
              1, at: shown(path), plan: plan, seed: stream.nextUInt64(), flopLimit: flopLimit)
          }
          for path in 0..<count { paths[path] += said[path].paths[0] }
          expected += Self.mean(said.map { $0.means.map { [$0] } })
          notes += said.first?.notes.map(\.description) ?? []
        }
      }
      for (place, row) in rows.enumerated() { places[row, default: [:]][step.column] = first + place }
      first += rows.count
    }
    var seen: Set<String> = []
    return Drawn(
      cells: cells, paths: paths, expected: expected, notes: notes.filter { seen.insert($0).inserted })
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

extension ThreadPool? {
  /// What `body` makes of each number below `count`, on the threads there are.
  fileprivate func over<R: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> R
  ) throws -> [R] {
    guard let pool = self else { return try (0..<count).map(body) }
    return try pool.map(count) { index, _ in try body(index) }
  }
}
