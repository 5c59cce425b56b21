import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What a model of tables says after it has read one: a number column given the others, rows jointly.
///
/// Of the family `table` estimators are fitted to the rows (`TableFit`), the network reads what they say of each, and answers as a `Posterior` does: paths
/// over rows, joint densities, laws of single rows. A tenth of the paths, and up to nine tenths where it explains the rows far better, are drawn
/// by a Gaussian process with a length for every column (`JointProcess`): of rows in the order of time it knows how they go together. The order of rows and columns and the names of levels change no byte of an
/// answer.
///
/// A network of the family `cells` reads the cells as numbers (`NumberedCells`) and is told nothing: there are no estimators, no process
/// and no known errors. The order of rows changes no byte; columns have places to it, and levels are their numbers.
///
/// ```swift
/// let cells = try Cells([[39.1, 0], [46.0, 1], [.nan, 1], [41.3, 0]], categories: [false, true])
/// let posterior = try Model(named: "tables").condition(on: cells, y: [3750, 5100, 4850, 3900])
/// let paths = try posterior.sample(200, at: others, seed: 1).paths      // [200][others.count]
/// ```
public struct TablePosterior: Sendable {
  private enum Reading: Sendable {
    case told(TableFit)
    case numbers(NumberedCells)
  }
  private let reading: Reading
  /// The same questions in the terms that the network reads: told rows (`TableExperts.width` numbers) in place of cells, or the cells as
  /// numbers.
  public let posterior: Posterior
  /// Share of the paths that a Gaussian process of the rows draws in the network's place (`JointProcess`); 0 where none fits the rows.
  public let share: Double
  /// Rows that estimators were fitted to, none where there are no estimators, and rows observed.
  public let rows: (fitted: Int, observed: Int)
  /// What was left out, in words; nil where nothing was.
  public let note: String?

  static let notOfTables = ModelError.input("this model does not read tables; take model 'tables'")

  package static func notOfCategories(_ model: Model) -> ModelError {
    .input(
      "model '\(model.name)' predicts numbers, and a target is a category; take model 'classes', or none")
  }

  /// How likely a path is the process's: a tenth, and more where it says what each row is given the others better than the stack of
  /// estimators, by more than rows in no order ever gain. That is up to six tenths, and from 128 rows on, which tell it surely, nine.
  /// All numbers are of tables to choose on (docs/models.md).
  private static func share(of process: JointProcess, _ fit: TableFit) -> Double {
    let few = 64 / Double(fit.y.count)
    let most = 1 - 0.4 * min(1, max(0.25, few * few))
    return 0.1 + (most - 0.1) / (1 + exp((0.35 - (process.leftOut - fit.leftOut)) / 0.08))
  }

  /// Estimators are fitted to this many rows at most.
  public static let mostFitted = 20_000

  /// - Parameters:
  ///   - cells: rows whose outputs are observed.
  ///   - errors: the standard deviation of each output's known error of measurement, in the unit of the outputs, or none: what is said
  ///     is of outputs without such errors. Limits and wholeness do not refuse an output that its error has moved.
  ///   - limits: bounds that values have: what is drawn lies within, and densities are those of laws cut there.
  ///   - whole: whether values are whole numbers, as `Model.condition(on:)` has it.
  ///   - share: of the paths that a process draws, 0 for the network alone; nil for as many as it deserves.
  ///   - pool: threads to work on; nil keeps to the caller's.
  /// - Throws: `ModelError.input` for a model that does not read tables, and of one that reads cells for known errors, a share, or more
  ///   columns than it has inputs; `DataError` for rows, outputs and errors that do not fit each
  ///   other, fewer than two rows, or an error that is negative or not finite.
  public init(
    _ model: Model, _ cells: Cells, y: [Double], errors: [Double] = [], limits: ClosedRange<Double>? = nil,
    whole: Bool = false, share: Double? = nil, on pool: ThreadPool? = nil
  ) throws {
    guard model.blueprint.readsTables else { throw Self.notOfTables }
    guard model.blueprint.family != .classes else {
      throw ModelError.input(
        "this model predicts categories, and the target is a number; name model 'tables', or none")
    }
    let exact = errors.isEmpty ? y : zip(y, errors).filter { $0.1 == 0 }.map(\.0)
    if let limits, let value = exact.first(where: { !limits.contains($0) }) {
      throw DataError.beyondBounds(value: value, bounds: limits)
    }
    if let value = exact.first(where: { whole && $0 != $0.rounded() }) {
      throw DataError.notWhole(value: value)
    }
    self =
      try model.blueprint.isTold
      ? Self.told(model, cells, y, errors, limits, whole, share, on: pool)
      : Self.numbered(model, cells, y, errors, limits, whole, share, on: pool)
  }

  /// What a network says that is told by estimators.
  private static func told(
    _ model: Model, _ cells: Cells, _ y: [Double], _ errors: [Double], _ limits: ClosedRange<Double>?,
    _ whole: Bool, _ share: Double?, on pool: ThreadPool?
  ) throws -> TablePosterior {
    let (fit, leftOut) = try estimators(cells, y: y, errors: errors)
    // Rows are in the order of their outputs, so every (n/most)-th is a sample of all strata.
    let (n, most) = (fit.observed.y.count, max(model.blueprint.trainedContext, 1))
    let read = n > most ? (0..<most).map { $0 * n / most } : Array(0..<n)
    let width = TableExperts.width
    let told = try Dataset(
      inputs: Inputs(
        read.flatMap { fit.observed.x[$0 * width..<($0 + 1) * width] }, dimensions: width),
      y: read.map { row in
        // Back from the unit a value at a bound may come to lie a rounding beyond it.
        let back = fit.unit.raw(fit.observed.y[row])
        let value = limits.map { min(max(back, $0.lowerBound), $0.upperBound) } ?? back
        return whole ? value.rounded() : value
      })
    let network = try Posterior(
      model, told, values: .raw, limits: limits, whole: whole,
      scaling: Scaling(
        inputCentres: [], inputScales: [], outputCentre: fit.unit.origin, outputScale: fit.unit.scale),
      on: pool)
    let (posterior, own) = beside(network, fit, read, share: share)
    let notes =
      leftOut
      + (read.count < n ? ["the network read \(read.count) rows, a sample over all values"] : [])
    return TablePosterior(
      .told(fit), posterior, (fit.y.count, y.count), share: own,
      notes.isEmpty ? nil : notes.joined(separator: "; "))
  }

  /// What a network says that reads the cells. Rows go into it in one order, whatever order they came in.
  private static func numbered(
    _ model: Model, _ cells: Cells, _ y: [Double], _ errors: [Double], _ limits: ClosedRange<Double>?,
    _ whole: Bool, _ share: Double?, on pool: ThreadPool?
  ) throws -> TablePosterior {
    guard errors.allSatisfy({ $0 == 0 }) else {
      throw ModelError.input("model '\(model.name)' takes no known errors of rows; take model 'tables'")
    }
    guard share ?? 0 == 0 else {
      throw ModelError.input("model '\(model.name)' has no process beside it that could draw paths")
    }
    guard model.blueprint.takes(dimensions: cells.columns) else {
      throw ModelError.input(
        "the table has \(cells.columns) columns to predict from (a date is several: its day, its weekday, its month), and model"
          + " '\(model.name)' reads up to \(model.blueprint.inputDimensions); name the inputs, or take model 'tables'"
      )
    }
    guard cells.count == y.count else {
      throw DataError.rowCount(what: "outputs", expected: cells.count, found: y.count)
    }
    let order = TableFit.order(cells, y)
    let context = cells.rows(order)
    let numbers = NumberedCells(context: context)
    let posterior = try Posterior(
      model,
      Dataset(
        inputs: Inputs(numbers.numbers(context), dimensions: context.columns), y: order.map { y[$0] }),
      values: .raw, limits: limits, whole: whole, on: pool)
    return TablePosterior(.numbers(numbers), posterior, (0, y.count), share: 0, nil)
  }

  /// The estimators of a table's rows, or of a sample of them where they are many; and what was left out, in words.
  package static func estimators(
    _ cells: Cells, y: [Double], errors: [Double] = []
  ) throws -> (fit: TableFit, notes: [String]) {
    let telling = try telling(cells, y, errors)
    let fitted = strata(cells, y, errors: errors, mostFitted, of: telling)
    let picked = fitted ?? telling
    let fit = try TableFit(
      picked.map { cells.rows($0) } ?? cells, y: picked.map { $0.map { y[$0] } } ?? y,
      errors: errors.isEmpty ? [] : picked.map { $0.map { errors[$0] } } ?? errors)
    var notes = telling.map { [Note.hiddenByErrors(y.count - $0.count).description] } ?? []
    if let fitted {
      notes.append("estimators were fitted to \(fitted.count) of \(y.count) rows, a sample over all values")
    }
    return (fit, notes)
  }

  /// What the estimators found; nil of a network that reads cells.
  public var fit: TableFit? { if case .told(let fit) = reading { fit } else { nil } }

  /// Which columns of the table are categories; one element a column.
  public var categories: [Bool] {
    switch reading {
    case .told(let fit): fit.cells.categories
    case .numbers(let numbers): numbers.categories
    }
  }

  /// `most` rows that are spread over all outputs, by what the rows hold and not by their places; nil where there are no more.
  ///
  /// - Parameter some: rows to choose from; nil for all.
  static func strata(
    _ cells: Cells, _ y: [Double], errors: [Double] = [], _ most: Int, of some: [Int]? = nil
  ) -> [Int]? {
    let count = some?.count ?? y.count
    guard count > most, cells.count == y.count else { return nil }
    var order = TableFit.order(cells, y, errors: errors)
    if let some {
      let kept = Set(some)
      order.removeAll { !kept.contains($0) }
    }
    return (0..<most).map { order[$0 * count / most] }
  }

  /// The rows whose errors do not hide what was measured, as of a series; nil where that is all.
  private static func telling(_ cells: Cells, _ y: [Double], _ errors: [Double]) throws(DataError) -> [Int]? {
    guard errors.contains(where: { $0 > 0 }), cells.count == y.count, errors.count == y.count else {
      return nil
    }
    // Sums in one order, whatever order the rows came in.
    let order = TableFit.order(cells, y, errors: errors)
    let all = try Dataset(
      x: order.indices.map(Double.init), y: order.map { y[$0] }, errors: order.map { errors[$0] })
    let kept = Posterior.telling(all)
    return kept.count < y.count ? kept.x.map { order[Int($0)] } : nil
  }

  private init(
    _ reading: Reading, _ posterior: Posterior, _ rows: (Int, Int), share: Double, _ note: String?
  ) {
    (self.reading, self.posterior, self.rows, self.share, self.note) = (reading, posterior, rows, share, note)
  }

  /// The same answers, worked out on other threads.
  func using(_ pool: ThreadPool?) -> TablePosterior { replacing(posterior.using(pool)) }

  /// What another posterior says of the same told rows.
  func replacing(_ posterior: Posterior) -> TablePosterior {
    TablePosterior(reading, posterior, rows, share: share, note)
  }

  /// A network's posterior beside a process of the same rows, and the share of paths that the process draws; alone where no process
  /// fits them.
  private static func beside(
    _ network: Posterior, _ fit: TableFit, _ read: [Int], share: Double?
  ) -> (Posterior, share: Double) {
    let columns = fit.designWidth
    // As the network holds numbers, so that a row that is asked for again is the same row.
    let design = fit.observedDesign.map { Float($0) }
    let rows = NetworkRows(x: design, y: fit.measured.y.map { Float($0) }, dimensions: columns)
    guard share ?? 1 > 0,
      let process = JointProcess(
        x: design.map(Double.init), y: rows.y.map(Double.init), errors: fit.measured.errors,
        columns: columns, names: fit.designNames)
    else { return (network, 0) }
    let mixed = MixedContext(
      network.conditioned, design: read.flatMap { design[$0 * columns..<($0 + 1) * columns] },
      process: process, of: rows, errors: fit.measured.errors,
      share: min(share ?? Self.share(of: process, fit), 1))
    return (network.replacing(mixed), mixed.share)
  }

  /// Draws `count` coherent paths through rows; parameters and errors as `Posterior.sample(_:at:)`.
  public func sample(
    _ count: Int, at rows: Cells, plan: PlanTemplate = .sequential, seed: UInt64 = 0,
    flopLimit: Double = Posterior.flopLimit, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Posterior.Samples {
    try posterior.sample(
      count, at: told(rows), plan: plan, seed: seed, flopLimit: flopLimit, progress: progress)
  }

  /// The joint log-density of values of rows, in nats; parameters and errors as `Posterior.logDensity(of:at:)`.
  public func logDensity(
    of y: [Double], at rows: Cells, plan: PlanTemplate = .sequential, orders: Int = 8, seed: UInt64 = 0
  ) throws -> Posterior.LogDensity {
    try posterior.logDensity(of: y, at: told(rows), plan: plan, orders: orders, seed: seed)
  }

  /// The law of each row on its own.
  public func marginals(at rows: Cells) throws -> [any ContinuousLaw] {
    try posterior.marginals(at: told(rows))
  }

  /// Rows as the network reads them: as what it may ask a `Posterior` for.
  public func told(_ rows: Cells) throws -> Inputs {
    guard rows.categories == categories else {
      throw DataError.dimensions(
        what: "the rows asked for", expected: categories.count, found: rows.columns)
    }
    let fit: TableFit
    switch reading {
    case .numbers(let numbers): return try Inputs(numbers.numbers(rows), dimensions: rows.columns)
    case .told(let found): fit = found
    }
    let told = fit.tell(rows)
    guard share > 0 else { return try Inputs(told, dimensions: TableExperts.width) }
    let (design, columns, width) = (fit.design(rows), fit.designWidth, TableExperts.width)
    var all: [Double] = []
    all.reserveCapacity(told.count + design.count)
    for row in 0..<rows.count {
      all += told[row * width..<(row + 1) * width]
      all += design[row * columns..<(row + 1) * columns]
    }
    return try Inputs(all, dimensions: width + columns)
  }
}

extension Model {
  /// Reads a table, to be asked for paths, densities and laws of further rows; parameters and errors as `TablePosterior.init`.
  public func condition(
    on cells: Cells, y: [Double], errors: [Double] = [], limits: ClosedRange<Double>? = nil,
    whole: Bool = false, share: Double? = nil, pool: ThreadPool? = nil
  ) throws -> TablePosterior {
    try TablePosterior(
      self, cells, y: y, errors: errors, limits: limits, whole: whole, share: share, on: pool)
  }
}
